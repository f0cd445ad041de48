"""Reading elements by index."""

import numpy as np

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


def normalized(index):
    """An index as a tuple of what NumPy understands, ending in `...` so that even one element is a view."""
    index = index if isinstance(index, tuple) else (index,)
    index = tuple(_plain(i) for i in index)
    return index if any(i is Ellipsis for i in index) else (*index, Ellipsis)


def _plain(index):
    if isinstance(index, Tensor):
        return index.array
    return np.asarray(index, None if len(index) else np.int64) if isinstance(index, (list, range)) else index


def index(x, index):
    """`x[index]` with integers, slices, None, `...`, and integer or boolean tensors, arrays and lists."""
    return getitem(x, index=normalized(index))


def gather(x, dim, index):
    """Pick along `dim`: result[i, j] = x[index[i, j], j] for dim 0, and so on; `index` is int64."""
    axis = axis_of(dim, x.ndim, "gather")
    picks = index.array if isinstance(index, Tensor) else np.asarray(index)
    mesh = list(np.ogrid[tuple(slice(n) for n in picks.shape)])
    mesh[axis] = picks
    return getitem(x, index=(*mesh, Ellipsis))


def argmax(x, dim=None, keepdim=False):
    """The index of the largest element, of the flattened tensor or along `dim`; the first of equals."""
    return _arg(np.argmax, x, dim, keepdim)


def argmin(x, dim=None, keepdim=False):
    """The index of the smallest element, of the flattened tensor or along `dim`; the first of equals."""
    return _arg(np.argmin, x, dim, keepdim)


def _arg(function, x, dim, keepdim):
    if x.array.size == 0:
        raise IndexError(f"{function.__name__}(): an empty tensor of shape {x.shape} has no such element")
    axis = None if dim is None else axis_of(dim, x.ndim, function.__name__)
    return wrap(function(x.array, axis=axis if x.ndim else None, keepdims=keepdim))
