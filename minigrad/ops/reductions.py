"""Reductions over axes, and the softmax family.

Users say `dim` and `keepdim`, or NumPy's `axis` and `keepdims`; the primitives beneath always get a
tuple of non-negative axes.
"""

import math
from collections import namedtuple
from functools import wraps

import numpy as np

from ..graph import repeated
from ..primitive import cast, primitive
from ..tensor import Tensor, wrap
from .elementwise import abs, exp, maximum, minimum, sqrt, where
from .indexing import argmax, argmin, gather
from .shaping import axis_of, expand_to, reshape_to

SMALL = 1 << 10  # elements; below, writing them costs less than a view


def _restore(reduced, shape, axis):
    """Put the reduced axes back, with size 1."""
    return reshape_to(reduced, shape=tuple(1 if i in axis else n for i, n in enumerate(shape)))


def _sum(x, axis, keepdims):
    return np.add.reduce(x, axis=axis, keepdims=keepdims, dtype=None if x.dtype.kind == "f" else np.int64)


def _spread(grad, _out, _x, *, axis, keepdims):
    """All that was added up has the gradient of the sum."""
    if grad.ndim and not keepdims:
        grad = _restore(grad, _x.shape, axis)
    if type(grad) is not np.ndarray or _x.size >= SMALL:
        return expand_to(grad, shape=_x.shape)
    spread = np.empty(_x.shape, grad.dtype)
    spread[...] = grad  # a seventh of the time that np.broadcast_to takes
    return spread


sum_over = primitive(_sum, "sum").vjps(_spread)


def _share_extreme(grad, out, x, *, axis, keepdims):
    """Elements that attain the extreme share the gradient evenly."""
    attains = x == _restore(out, x.shape, axis)
    count = maximum(cast(attains, dtype=grad.dtype).sum(axis=axis, keepdims=True), 1.0)
    return where(attains, _restore(grad, x.shape, axis) / count, 0.0)


amax_over = primitive(lambda x, axis, keepdims: np.max(x, axis=axis, keepdims=keepdims), "amax")
amax_over.vjps(_share_extreme)
amin_over = primitive(lambda x, axis, keepdims: np.min(x, axis=axis, keepdims=keepdims), "amin")
amin_over.vjps(_share_extreme)


def _largest(x, axis):
    """The maximum to subtract before exp: finite, so that a row of -inf does not give NaN."""
    top = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    return np.where(np.isfinite(top), top, 0)


def _logsumexp(x, axis, keepdims):
    top = _largest(x, axis)
    with np.errstate(divide="ignore"):
        out = np.log(np.exp(x - top).sum(axis=axis, keepdims=True)) + top
    return out if keepdims else out.squeeze(axis)


logsumexp_over = primitive(_logsumexp, "logsumexp", promotes="float")
logsumexp_over.vjps(
    lambda grad, out, x, *, axis, keepdims: _restore(grad, x.shape, axis) * exp(x - _restore(out, x.shape, axis))
)


def _softmax(x, axis):
    e = np.exp(x - np.max(x, axis=axis, keepdims=True, initial=-np.inf))
    e /= e.sum(axis=axis, keepdims=True)
    return e


softmax_over = primitive(_softmax, "softmax", promotes="float")
softmax_over.vjps(lambda grad, out, _x, *, axis: out * (grad - (grad * out).sum(axis=axis, keepdims=True)))


def _log_softmax(x, axis):
    shifted = x - _largest(x, axis)  # first, or the digits of a small result drown in those of a large x
    with np.errstate(divide="ignore"):
        return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


log_softmax_over = primitive(_log_softmax, "log_softmax", promotes="float")
log_softmax_over.vjps(lambda grad, out, _x, *, axis: grad - exp(out) * grad.sum(axis=axis, keepdims=True))


# What users call


def numpy_names(function):
    """Accept `axis` and `keepdims` for `dim` and `keepdim`."""

    @wraps(function)
    def either(*args, **named):
        if "axis" in named:
            named["dim"] = named.pop("axis")
        if "keepdims" in named:
            named["keepdim"] = named.pop("keepdims")
        return function(*args, **named)

    return either


def axes(x, dim, caller):
    """`dim`, an integer, several, or None or () for all, as a tuple of non-negative axes."""
    if dim is None or isinstance(dim, tuple) and not dim:
        return tuple(range(x.ndim))
    dims = (dim,) if hasattr(dim, "__index__") else tuple(dim)
    found = tuple(axis_of(d, x.ndim, caller) for d in dims)
    if len(set(found)) != len(found):
        raise RuntimeError(f"{caller}(): dim {dims} names an axis twice")
    return found if x.ndim else ()


def _not_empty(x, axis, caller):
    if 0 in [x.shape[i] for i in axis]:
        raise RuntimeError(f"{caller}(): nothing to choose from in a tensor of shape {x.shape}")
    return axis


def _floating(x, caller):
    if x.dtype.kind != "f":
        raise RuntimeError(f"{caller}(): expected a floating-point tensor, got {x.dtype}. Use .float() first")
    return x


@numpy_names
def sum(x, dim=None, keepdim=False):
    """The sum over `dim`, an integer, a tuple of them, or None for all. Integers and bools add up to int64.

    Example:
        >>> import minigrad
        >>> minigrad.tensor([[1, 2], [3, 4]]).sum(dim=0)
        tensor([4, 6])
    """
    return sum_over(x, axis=axes(x, dim, "sum"), keepdims=keepdim)


@numpy_names
def mean(x, dim=None, keepdim=False):
    """The mean over `dim`; NaN over nothing. Raises RuntimeError unless the dtype is floating-point.

    Example:
        >>> import minigrad
        >>> minigrad.tensor([[1.0, 2.0], [3.0, 6.0]]).mean(dim=1)
        tensor([1.5000, 4.5000])
    """
    axis = axes(_floating(x, "mean"), dim, "mean")
    total = sum_over(x, axis=axis, keepdims=keepdim)
    count = math.prod(x.shape[i] for i in axis)
    return total / count if count else total * math.nan


@numpy_names
def var(x, dim=None, unbiased=None, keepdim=False, *, correction=1):
    """The variance: sum of (x - mean)^2 / (n - correction); `unbiased=False` means correction 0.

    NaN where n <= correction. Raises RuntimeError unless the dtype is floating-point.

    Example:
        >>> import minigrad
        >>> minigrad.var(minigrad.tensor([1.0, 2.0, 3.0, 4.0]))  # 5 / 3
        tensor(1.6667)
    """
    if isinstance(dim, bool):  # PyTorch also has var(unbiased)
        dim, unbiased = None, dim
    axis = axes(_floating(x, "var"), dim, "var")
    if unbiased is not None:
        correction = int(unbiased)
    centered = x - mean(x, axis, keepdim=True)
    degrees = math.prod(x.shape[i] for i in axis) - correction
    total = sum_over(centered * centered, axis=axis, keepdims=keepdim)
    return total / degrees if degrees > 0 else total * math.nan


@numpy_names
def std(x, dim=None, unbiased=None, keepdim=False, *, correction=1):
    """The standard deviation, the root of `var`; its gradient is 0 where it is 0.

    Example:
        >>> import minigrad
        >>> minigrad.std(minigrad.tensor([2.0, 4.0]), correction=0)
        tensor(1.)
    """
    variance = var(x, dim, unbiased, keepdim, correction=correction)
    zero = variance == 0
    return where(zero, 0.0, sqrt(where(zero, 1.0, variance)))


@numpy_names
def norm(x, p=2, dim=None, keepdim=False):
    """The p-norm over `dim`, (sum |x|^p)^(1/p), or the largest |x| for p = inf; its gradient is 0 where it is 0.

    Example:
        >>> import minigrad
        >>> minigrad.tensor([3.0, 4.0]).norm()
        tensor(5.)
    """
    size = abs(_floating(x, "norm"))
    if p == math.inf:
        return amax(size, dim, keepdim)
    total = sum(size if p == 1 else size * size if p == 2 else size**p, dim, keepdim)
    if p == 1:
        return total
    zero = total == 0
    return where(zero, 0.0, where(zero, 1.0, total) ** (1 / p))


@numpy_names
def amax(x, dim=None, keepdim=False):
    """The largest elements over `dim`; equal ones share the gradient evenly.

    Raises RuntimeError where there is nothing to choose from.

    Example:
        >>> import minigrad
        >>> minigrad.tensor([[1, 5], [7, 2]]).amax(dim=0)
        tensor([7, 5])
    """
    return amax_over(x, axis=_not_empty(x, axes(x, dim, "amax"), "amax"), keepdims=keepdim)


@numpy_names
def amin(x, dim=None, keepdim=False):
    """The smallest elements over `dim`; equal ones share the gradient evenly."""
    return amin_over(x, axis=_not_empty(x, axes(x, dim, "amin"), "amin"), keepdims=keepdim)


Extreme = namedtuple("Extreme", "values indices")


@numpy_names
def max(x, dim=None, keepdim=False):
    """The largest element; or (values, indices) along `dim`, where the element chosen gets the gradient.

    Over all, equal ones share the gradient evenly. Raises RuntimeError or IndexError where there is
    nothing to choose from. `max(x, y)` with a tensor y is `maximum`.

    Example:
        >>> import minigrad
        >>> values, indices = minigrad.tensor([[1, 5], [7, 2]]).max(dim=1)
        >>> values, indices
        (tensor([5, 7]), tensor([1, 0]))
    """
    return maximum(x, dim) if isinstance(dim, Tensor) else _extreme(x, dim, keepdim, amax, argmax)


@numpy_names
def min(x, dim=None, keepdim=False):
    """The smallest element; or (values, indices) along `dim`, where the element chosen gets the gradient.

    Ties and errors as in `max`.

    Example:
        >>> import minigrad
        >>> minigrad.tensor([[1, 5], [7, 2]]).min(dim=1).indices
        tensor([0, 1])
    """
    return minimum(x, dim) if isinstance(dim, Tensor) else _extreme(x, dim, keepdim, amin, argmin)


def _extreme(x, dim, keepdim, over_all, arg):
    if dim is None:
        return over_all(x)
    index = arg(x, dim, keepdim=True)
    values = gather(x, dim, index) if x.ndim else x.clone()
    squeezed = axes(x, dim, over_all.__name__) if not keepdim else ()
    shape = tuple(n for i, n in enumerate(x.shape) if i not in squeezed)
    if keepdim:
        return Extreme(values, index)
    return Extreme(reshape_to(values, shape=shape), reshape_to(index, shape=shape))


@repeated
def all(x):
    """Whether every element is true (not 0).

    Example:
        >>> import minigrad
        >>> minigrad.all(minigrad.tensor([1, 0]))
        tensor(False)
    """
    return wrap((x.array != 0).all())


@repeated
def any(x):
    """Whether some element is true (not 0)."""
    return wrap((x.array != 0).any())


@numpy_names
def logsumexp(x, dim, keepdim=False):
    """log(sum(exp(x))) over `dim`, computed without overflow: max + log(sum(exp(x - max))).

    Example:
        >>> import minigrad
        >>> minigrad.logsumexp(minigrad.tensor([1000.0, 1000.0]), dim=0)  # 1000 + log 2
        tensor(1000.6932)
    """
    return logsumexp_over(x, axis=axes(x, dim, "logsumexp"), keepdims=keepdim)


@numpy_names
def softmax(x, dim):
    """exp(x) / sum(exp(x)) over `dim`: positive numbers that add up to 1.

    Example:
        >>> import minigrad
        >>> minigrad.softmax(minigrad.tensor([1.0, 3.0]).log(), dim=0)
        tensor([0.2500, 0.7500])
    """
    return softmax_over(x, axis=axes(x, dim, "softmax"))


@numpy_names
def log_softmax(x, dim):
    """x - logsumexp(x) over `dim`: the logarithm of `softmax`, exact where that would round to 0.

    Example:
        >>> import minigrad
        >>> minigrad.log_softmax(minigrad.tensor([0.0, 200.0]), dim=0)
        tensor([-200.,    0.])
    """
    return log_softmax_over(x, axis=axes(x, dim, "log_softmax"))
