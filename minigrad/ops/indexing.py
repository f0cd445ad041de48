"""Reading elements by index."""

import numpy as np

from ..graph import repeated, tell_watcher
from ..primitive import primitive
from ..tensor import Tensor, wrap
from .shaping import axis_of


def _scatter(grad, index, shape):
    """Zeros of `shape`, with `grad` added where `index` points."""
    result = np.zeros(shape, grad.dtype)
    if any(isinstance(i, np.ndarray) for i in index):
        np.add.at(result, index, grad)  # an index may name an element twice
    else:
        result[index] = grad
    return result


getitem = primitive(lambda x, index: x[index], "getitem", is_view=True)
getitem.vjps(lambda grad, _out, _x, *, index: scatter(grad, index=index, shape=_x.shape))

scatter = primitive(_scatter, "scatter")
scatter.vjps(lambda grad, _out, _x, *, index, shape: getitem(grad, index=index))


def selections(index):
    """An index as one or two tuples that NumPy understands, to be applied in turn.

    Each ends in `...`, so that even one element is a view. Two are needed where integers stand
    beside arrays: NumPy would broadcast them together, PyTorch picks by the integers first.
    """
    index = tuple(_plain(i) for i in (index if isinstance(index, tuple) else (index,)))
    if not any(i is Ellipsis for i in index):
        index = (*index, Ellipsis)
    kinds = {type(i) for i in index}
    if not (int in kinds and np.ndarray in kinds):
        return (index,)
    first, then = [], []
    for i in index:
        if isinstance(i, np.ndarray):
            first += [slice(None)] * (i.ndim if i.dtype == bool else 1)
            then.append(i)
        else:
            first.append(i)
            then += [] if type(i) is int else [i if i is Ellipsis else slice(None)]
    return tuple(first), tuple(then)


@repeated
def _positions(index):
    return wrap(np.array(index.array if isinstance(index, Tensor) else index))


def _plain(index):
    """An integer, a slice, None, `...`, or an array of its own: backward reads it again."""
    if isinstance(index, (Tensor, np.ndarray, np.integer, list, range)):
        if isinstance(index, Tensor) and index.ndim == 0:
            tell_watcher("it looks at values to index")
        index = _positions(index).array
        if index.dtype == bool:
            tell_watcher("it picks by a mask, so that the size of the result depends on values")
        if not index.size and index.dtype.kind == "f":
            index = index.astype(np.int64)  # an empty list
        return int(index) if index.ndim == 0 and index.dtype.kind in "iu" else index
    return index


def index(x, index):
    """`x[index]` with integers, slices, None, `...`, and integer or boolean tensors, arrays and lists.

    Integers, slices, None and `...` give a view, the others a copy. Raises IndexError out of range.

    Example:
        >>> import minigrad
        >>> x = minigrad.arange(6).reshape(2, 3)
        >>> x[:, 1], x[x > 2]
        (tensor([1, 4]), tensor([3, 4, 5]))
    """
    for step in selections(index):
        x = getitem(x, index=step)
    return x


def gather(x, dim, index):
    """Pick along `dim`: result[i, j] = x[index[i, j], j] for dim 0, and so on; `index` is int64.

    `index` has as many axes as `x`; the result has its shape. Raises IndexError out of range.

    Example:
        >>> import minigrad
        >>> minigrad.gather(minigrad.tensor([[1, 2], [3, 4]]), 1, minigrad.tensor([[0], [1]]))
        tensor([[1],
                [4]])
    """
    axis = axis_of(dim, x.ndim, "gather")
    picks = _positions(index).array
    if picks.ndim != x.ndim or picks.dtype.kind not in "iu":
        raise RuntimeError(f"gather(): index must hold integers in {x.ndim} axes, got {picks.dtype} {picks.shape}")
    mesh = list(np.ogrid[tuple(slice(n) for n in picks.shape)])
    mesh[axis] = picks
    return getitem(x, index=(*mesh, Ellipsis))


def argmax(x, dim=None, keepdim=False):
    """The index of the largest element, of the flattened tensor or along `dim`; the first of equals.

    Raises IndexError for an empty tensor or axis.

    Example:
        >>> import minigrad
        >>> minigrad.argmax(minigrad.tensor([[1, 3], [5, 2]]), dim=1)
        tensor([1, 0])
    """
    return _arg(np.argmax, x, dim, keepdim)


def argmin(x, dim=None, keepdim=False):
    """The index of the smallest element, of the flattened tensor or along `dim`; the first of equals."""
    return _arg(np.argmin, x, dim, keepdim)


@repeated
def _arg(function, x, dim, keepdim):
    axis = None if dim is None else axis_of(dim, x.ndim, function.__name__)
    if 0 in (x.shape if axis is None else x.shape[axis : axis + 1]):
        raise IndexError(f"{function.__name__}(): an empty tensor of shape {x.shape} has no such element")
    return wrap(function(x.array, axis=axis if x.ndim else None, keepdims=keepdim))
