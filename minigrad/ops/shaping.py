"""Changing shape. A result shares the memory of its argument wherever NumPy can do so."""

import numpy as np

from ..primitive import primitive

reshape_to = primitive(lambda x, shape: x.reshape(shape), "reshape", is_view=True)
reshape_to.vjps(lambda grad, _out, _x, *, shape: reshape_to(grad, shape=_x.shape))

permute_to = primitive(lambda x, axes: x.transpose(axes), "permute", is_view=True)
permute_to.vjps(lambda grad, _out, _x, *, axes: permute_to(grad, axes=tuple(np.argsort(axes))))

# The walk sums the gradient back over the repeated axes. NumPy makes what is repeated read-only.
expand_to = primitive(lambda x, shape: x[...] if x.shape == shape else np.broadcast_to(x, shape), "expand", is_view=True)
expand_to.vjps(lambda grad, _out, _x, *, shape: grad)


def sizes(arguments):
    """`f(2, 3)` and `f((2, 3))` mean the same."""
    return tuple(arguments[0]) if len(arguments) == 1 and isinstance(arguments[0], (tuple, list)) else arguments


def axis_of(dim, ndim, caller):
    """`dim` counted from the front, or an IndexError that says what was allowed."""
    count = max(ndim, 1)
    if not -count <= dim < count:
        raise IndexError(f"{caller}(): dim {dim} is out of range, expected {-count} to {count - 1}")
    return dim % count


def reshape(x, *shape):
    """The same elements in another shape; one size may be -1. A view where the memory allows, else a copy.

    Raises RuntimeError when the number of elements does not fit.

    Example:
        >>> import minigrad
        >>> minigrad.arange(6).reshape(2, -1)
        tensor([[0, 1, 2],
                [3, 4, 5]])
    """
    shape = sizes(shape)
    try:
        return reshape_to(x, shape=shape)
    except (ValueError, TypeError):
        raise RuntimeError(f"reshape(): shape {shape} does not fit the elements of a tensor of shape {x.shape}") from None


def view(x, *shape):
    """`reshape` that never copies: raises RuntimeError where the memory's layout does not allow it."""
    result = reshape(x, *shape)
    if x.numel() and not np.may_share_memory(result.array, x.array):
        raise RuntimeError(f"view(): shape {sizes(shape)} needs a copy of this non-contiguous tensor. Use reshape()")
    return result


def flatten(x, start_dim=0, end_dim=-1):
    """Join the axes from `start_dim` to `end_dim` into one.

    Raises IndexError for an axis out of range, RuntimeError when they come in the wrong order.

    Example:
        >>> import minigrad
        >>> minigrad.zeros(2, 3, 4).flatten(1).shape
        (2, 12)
    """
    start, end = axis_of(start_dim, x.ndim, "flatten"), axis_of(end_dim, x.ndim, "flatten")
    if start > end:
        raise RuntimeError(f"flatten(): start_dim {start_dim} comes after end_dim {end_dim}")
    joined = int(np.prod(x.shape[start : end + 1], dtype=np.int64))
    return reshape_to(x, shape=(*x.shape[:start], joined, *x.shape[end + 1 :]))


def permute(x, *dims):
    """Reorder the axes: a view whose axis i is axis dims[i] of `x`.

    Example:
        >>> import minigrad
        >>> minigrad.zeros(2, 3, 4).permute(2, 0, 1).shape
        (4, 2, 3)
    """
    dims = tuple(axis_of(dim, x.ndim, "permute") for dim in sizes(dims))
    if sorted(dims) != list(range(x.ndim)):
        raise RuntimeError(f"permute(): dims {dims} must name each of the {x.ndim} axes once")
    return permute_to(x, axes=dims)


def transpose(x, dim0, dim1):
    """Swap two axes.

    Example:
        >>> import minigrad
        >>> minigrad.zeros(2, 3, 4).transpose(0, 2).shape
        (4, 3, 2)
    """
    axes = list(range(x.ndim))
    first, second = axis_of(dim0, x.ndim, "transpose"), axis_of(dim1, x.ndim, "transpose")
    if axes:
        axes[first], axes[second] = axes[second], axes[first]
    return permute_to(x, axes=tuple(axes))


def t(x):
    """Swap the axes of a matrix; a vector stays as it is."""
    if x.ndim > 2:
        raise RuntimeError(f"t(): expected at most 2 axes, got shape {x.shape}. Use transpose() or .mT")
    return permute_to(x, axes=tuple(reversed(range(x.ndim))))


def movedim(x, source, destination):
    """Move one axis to another place; the others keep their order.

    Example:
        >>> import minigrad
        >>> minigrad.zeros(2, 3, 4).movedim(0, -1).shape
        (3, 4, 2)
    """
    source, destination = axis_of(source, x.ndim, "movedim"), axis_of(destination, x.ndim, "movedim")
    axes = [axis for axis in range(x.ndim) if axis != source]
    axes.insert(destination, source)
    return permute_to(x, axes=tuple(axes))


def squeeze(x, dim=None):
    """Drop the axes of size 1: all of them, or those named if they have size 1.

    Example:
        >>> import minigrad
        >>> minigrad.zeros(1, 3, 1).squeeze().shape
        (3,)
    """
    dims = range(x.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    dropped = {axis_of(d, x.ndim, "squeeze") for d in dims}
    return reshape_to(x, shape=tuple(n for i, n in enumerate(x.shape) if i not in dropped or n != 1))


def unsqueeze(x, dim):
    """Insert an axis of size 1.

    Example:
        >>> import minigrad
        >>> minigrad.zeros(3).unsqueeze(0).shape
        (1, 3)
    """
    axis = axis_of(dim, x.ndim + 1, "unsqueeze")
    return reshape_to(x, shape=(*x.shape[:axis], 1, *x.shape[axis:]))


def expand(x, *sizes_):
    """Repeat axes of size 1 without copying; -1 keeps a size, and new axes come in front.

    The result is a view. Raises RuntimeError when the shapes do not fit.

    Example:
        >>> import minigrad
        >>> minigrad.tensor([[1], [2]]).expand(-1, 3)
        tensor([[1, 1, 1],
                [2, 2, 2]])
    """
    shape = sizes(sizes_)
    kept = (None,) * (len(shape) - x.ndim) + tuple(x.shape)
    target = tuple(old if size == -1 else size for size, old in zip(shape, kept))
    if len(kept) != len(shape) or None in target or any(old not in (None, 1, new) for old, new in zip(kept, target)):
        raise RuntimeError(f"expand(): a tensor of shape {x.shape} does not expand to {shape}")
    return expand_to(x, shape=target)


# Joining


def _cat_part(index, grad, _out, *_arrays, axis):
    start = sum(array.shape[axis] for array in _arrays[:index])
    return grad[(slice(None),) * axis + (slice(start, start + _arrays[index].shape[axis]),)]


_concatenate = primitive(lambda *arrays, axis: np.concatenate(arrays, axis), "cat", promotes="same")
_concatenate.vjp_each(_cat_part)


def cat(tensors, dim=0):
    """Join tensors along an existing axis.

    Raises RuntimeError when another axis differs in size, or for no tensors. Dtypes are promoted.

    Example:
        >>> import minigrad
        >>> minigrad.cat([minigrad.tensor([1, 2]), minigrad.tensor([3])])
        tensor([1, 2, 3])
    """
    tensors = _joinable(tensors, "cat")
    axis = axis_of(dim, tensors[0].ndim, "cat")
    for i, tensor in enumerate(tensors):
        if tensor.ndim == 0 or _without(tensor.shape, axis) != _without(tensors[0].shape, axis):
            raise RuntimeError(
                f"cat(): tensors[{i}] has shape {tensor.shape}, expected {tensors[0].shape} except in dim {axis}"
            )
    return _concatenate(*tensors, axis=axis)


def stack(tensors, dim=0):
    """Join tensors of one shape along a new axis.

    Raises RuntimeError when the shapes differ, or for no tensors. Dtypes are promoted.

    Example:
        >>> import minigrad
        >>> minigrad.stack([minigrad.tensor([1, 2]), minigrad.tensor([3, 4])])
        tensor([[1, 2],
                [3, 4]])
    """
    tensors = _joinable(tensors, "stack")
    for i, tensor in enumerate(tensors):
        if tensor.shape != tensors[0].shape:
            raise RuntimeError(f"stack(): tensors[{i}] has shape {tensor.shape}, expected {tensors[0].shape}")
    return cat([unsqueeze(tensor, dim) for tensor in tensors], dim)


def _joinable(tensors, caller):
    tensors = list(tensors)
    if not tensors:
        raise RuntimeError(f"{caller}(): expected at least one tensor, got none")
    return tensors


def _without(shape, axis):
    return (*shape[:axis], None, *shape[axis + 1 :])


def split(x, split_size, dim=0):
    """Views of `x` along `dim`, each of `split_size`, the last perhaps smaller; or of the sizes in a list.

    Raises RuntimeError when listed sizes do not add up to the size of `dim`.

    Example:
        >>> import minigrad
        >>> minigrad.arange(5).split(2)
        (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    axis = axis_of(dim, x.ndim, "split")
    total = x.shape[axis]
    if isinstance(split_size, int):
        if split_size < 1:
            raise RuntimeError(f"split(): split_size must be at least 1, got {split_size}")
        split_size = [min(split_size, total - start) for start in range(0, total, split_size)]
    if sum(split_size) != total:
        raise RuntimeError(f"split(): sizes {list(split_size)} must add up to {total}, the size of dim {dim}")
    ends = np.cumsum(split_size).tolist()
    return tuple(x[(slice(None),) * axis + (slice(end - n, end),)] for end, n in zip(ends, split_size))


def unbind(x, dim=0):
    """The slices of `x` along `dim`, without that axis.

    Example:
        >>> import minigrad
        >>> minigrad.tensor([[1, 2], [3, 4]]).unbind()
        (tensor([1, 2]), tensor([3, 4]))
    """
    axis = axis_of(dim, x.ndim, "unbind")
    return tuple(x[(slice(None),) * axis + (i,)] for i in range(x.shape[axis]))
