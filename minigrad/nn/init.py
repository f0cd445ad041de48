"""Starting values, written into a tensor in place; each function returns the tensor."""

import math

import numpy as np

from ..graph import no_grad
from ..random import stream
from ..tensor import wrap


def _fill(tensor, values):
    with no_grad():
        return tensor.copy_(wrap(np.asarray(values, tensor.dtype)))


def constant_(tensor, val):
    """Fill with the number `val`.

    Example:
        >>> import minigrad
        >>> minigrad.nn.init.constant_(minigrad.zeros(2), 3)
        tensor([3., 3.])
    """
    return _fill(tensor, val)


def zeros_(tensor):
    """Fill with 0."""
    return _fill(tensor, 0)


def ones_(tensor):
    """Fill with 1."""
    return _fill(tensor, 1)


def uniform_(tensor, a=0.0, b=1.0, generator=None):
    """Uniform on [a, b)."""
    return _fill(tensor, stream(generator).uniform(a, b, tensor.shape))


def normal_(tensor, mean=0.0, std=1.0, generator=None):
    """Normal with the given mean and standard deviation."""
    return _fill(tensor, stream(generator).normal(mean, std, tensor.shape))


def calculate_gain(nonlinearity, param=None):
    """The factor by which a nonlinearity's inputs should be scaled up to keep their variance.

    1 for "linear" and "sigmoid", 5/3 for "tanh", sqrt(2) for "relu", 3/4 for "selu", and
    sqrt(2 / (1 + a^2)) for "leaky_relu", where `param` is its slope a (0.01 if left out). PyTorch's
    numbers. Raises ValueError for another name.

    Example:
        >>> import minigrad
        >>> minigrad.nn.init.calculate_gain("relu")
        1.4142135623730951
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    gains = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 0.75}
    if nonlinearity not in gains:
        raise ValueError(f"calculate_gain(): nonlinearity must be one of leaky_relu, {', '.join(gains)}, got {nonlinearity!r}")
    return gains[nonlinearity]


def fans(tensor):
    """The number of inputs and outputs of a weight (out, in, ...): each times the sizes of the further axes.

    Raises ValueError for fewer than two axes.

    Example:
        >>> import minigrad
        >>> minigrad.nn.init.fans(minigrad.zeros(5, 3, 2, 2))
        (12, 20)
    """
    if tensor.ndim < 2:
        raise ValueError(f"init: a weight of at least two axes is needed to count inputs and outputs, got shape {tensor.shape}")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def xavier_uniform_(tensor, gain=1.0, generator=None):
    """Uniform on [-a, a), a = gain sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010, eq. 16).

    Raises ValueError for fewer than two axes, as do the functions below.

    Example:
        >>> import minigrad
        >>> weight = minigrad.nn.init.xavier_uniform_(minigrad.zeros(2, 4))  # a = sqrt(6 / 6)
        >>> bool((weight.abs() <= 1).all())
        True
    """
    bound = gain * math.sqrt(6 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor, gain=1.0, generator=None):
    """Normal with variance gain^2 2 / (inputs + outputs) (Glorot and Bengio 2010, eq. 12)."""
    return normal_(tensor, 0, gain * math.sqrt(2 / sum(fans(tensor))), generator)


def _kaiming_std(tensor, a, mode, nonlinearity):
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"init: mode must be 'fan_in' or 'fan_out', got {mode!r}")
    return calculate_gain(nonlinearity, a) / math.sqrt(fans(tensor)[mode == "fan_out"])


def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Uniform on [-b, b), b = gain sqrt(3 / fan), so with variance gain^2 / fan (He et al. 2015, eq. 10).

    Args:
        a: the slope of the leaky ReLU; 0 gives the gain of a ReLU, sqrt(2).
        mode: "fan_in" keeps the variance of the values, "fan_out" that of the gradients (eq. 14).
        nonlinearity: a name for `calculate_gain`.

    Raises ValueError for another mode or nonlinearity.

    Example:
        >>> import minigrad
        >>> weight = minigrad.nn.init.kaiming_uniform_(minigrad.zeros(4, 6))  # b = sqrt(2) sqrt(3 / 6)
        >>> bool((weight.abs() <= 1).all())
        True
    """
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None):
    """Normal with variance gain^2 / fan (He et al. 2015, eq. 10); arguments as in `kaiming_uniform_`."""
    return normal_(tensor, 0, _kaiming_std(tensor, a, mode, nonlinearity), generator)
