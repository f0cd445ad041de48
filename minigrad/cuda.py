"""There is one device, the CPU: enough of PyTorch's device names for scripts that choose one."""


def is_available():
    """False."""
    return False


def device(name="cpu"):
    """The name of the device, "cpu". Raises RuntimeError for any other.

    Example:
        >>> import minigrad
        >>> minigrad.device("cuda" if minigrad.cuda.is_available() else "cpu")
        'cpu'
    """
    if name != "cpu":
        raise RuntimeError(f"device(): the only device is 'cpu', got {name!r}")
    return name
