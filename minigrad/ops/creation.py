"""Making tensors."""

import numpy as np

from .. import dtypes
from ..graph import repeated
from ..random import stream
from ..tensor import Tensor, as_array, wrap
from .shaping import sizes


def _new(array, requires_grad):
    return wrap(array).requires_grad_() if requires_grad else wrap(array)


@repeated
def tensor(data, dtype=None, requires_grad=False):
    """A tensor with a copy of `data`: numbers, nested lists, an array or a tensor. Python floats become float32.

    Python integers become int64; arrays keep their dtype. Raises TypeError for what is not numbers or not
    of a supported dtype, and RuntimeError for a gradient of integers.

    Example:
        >>> import minigrad
        >>> minigrad.tensor([[1, 2], [3, 4]]).dtype, minigrad.tensor(0.5).dtype
        (dtype('int64'), dtype('float32'))
    """
    return Tensor(data, dtype, requires_grad)


def from_numpy(array):
    """A tensor around the memory of a NumPy array, without a copy.

    Raises TypeError for what is not an array, or not of a supported dtype.

    Example:
        >>> import minigrad, numpy
        >>> array = numpy.zeros(2)
        >>> tensor = minigrad.from_numpy(array)
        >>> array[0] = 1
        >>> tensor
        tensor([1., 0.], dtype=float64)
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy(): expected a NumPy array, got {type(array).__name__}. Use tensor()")
    dtypes.check(array.dtype, "from_numpy()")
    return wrap(array)


def as_tensor(data, dtype=None):
    """`data` as a tensor, without a copy where possible."""
    if isinstance(data, Tensor) and dtype in (None, data.dtype):
        return data
    return wrap(as_array(data, dtype, "as_tensor"))


def _shape(size, caller):
    shape = sizes(size)
    if not all(isinstance(n, (int, np.integer)) and n >= 0 for n in shape):
        raise ValueError(f"{caller}(): sizes must be non-negative integers, got {shape}")
    return shape


def _float(dtype, caller):
    return dtypes.default_float if dtype is None else dtypes.check(dtype, caller)


@repeated
def zeros(*size, dtype=None, requires_grad=False):
    """A tensor of zeros: zeros(2, 3) or zeros((2, 3)); float32 by default, as all functions below.

    Raises ValueError for sizes that are not non-negative integers.

    Example:
        >>> import minigrad
        >>> minigrad.zeros(2, dtype=minigrad.int64)
        tensor([0, 0])
    """
    return _new(np.zeros(_shape(size, "zeros"), _float(dtype, "zeros()")), requires_grad)


@repeated
def ones(*size, dtype=None, requires_grad=False):
    """A tensor of ones: ones(2, 3) or ones((2, 3))."""
    return _new(np.ones(_shape(size, "ones"), _float(dtype, "ones()")), requires_grad)


def empty(*size, dtype=None, requires_grad=False):
    """A tensor of zeros: unset memory saves nothing worth its surprises."""
    return zeros(*size, dtype=dtype, requires_grad=requires_grad)


@repeated
def full(size, fill_value, dtype=None, requires_grad=False):
    """A tensor of `size` filled with one number, whose dtype it takes.

    Example:
        >>> import minigrad
        >>> minigrad.full((2,), 7)
        tensor([7, 7])
    """
    value = as_array(fill_value, dtype, "full")
    return _new(np.full(_shape((size,), "full"), value, value.dtype), requires_grad)


@repeated
def arange(start, end=None, step=1, dtype=None, requires_grad=False):
    """start, start + step, ... below `end`; int64 for integers, float32 if any bound is a float.

    Example:
        >>> import minigrad
        >>> minigrad.arange(3), minigrad.arange(0, 1, 0.25)
        (tensor([0, 1, 2]), tensor([0.0000, 0.2500, 0.5000, 0.7500]))
    """
    start, end = (0, start) if end is None else (start, end)
    if dtype is None:
        dtype = dtypes.default_float if any(isinstance(v, float) for v in (start, end, step)) else dtypes.int64
    return _new(np.arange(start, end, step).astype(dtypes.check(dtype, "arange()")), requires_grad)


@repeated
def linspace(start, end, steps, dtype=None, requires_grad=False):
    """`steps` evenly spaced numbers from `start` to `end`, both included.

    Example:
        >>> import minigrad
        >>> minigrad.linspace(0, 1, 5)
        tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    return _new(np.linspace(start, end, steps, dtype=_float(dtype, "linspace()")), requires_grad)


@repeated
def eye(n, m=None, dtype=None, requires_grad=False):
    """The identity matrix of `n` rows, with `m` columns if given.

    Example:
        >>> import minigrad
        >>> minigrad.eye(2, 3)
        tensor([[1., 0., 0.],
                [0., 1., 0.]])
    """
    return _new(np.eye(n, m, dtype=_float(dtype, "eye()")), requires_grad)


@repeated
def rand(*size, dtype=None, requires_grad=False, generator=None):
    """Uniform on [0, 1), float32 or float64.

    Example:
        >>> import minigrad
        >>> minigrad.rand(2, 3).shape
        (2, 3)
    """
    return _new(stream(generator).random(_shape(size, "rand"), _float(dtype, "rand()")), requires_grad)


@repeated
def randn(*size, dtype=None, requires_grad=False, generator=None):
    """Normal with mean 0 and variance 1, float32 or float64."""
    return _new(stream(generator).standard_normal(_shape(size, "randn"), _float(dtype, "randn()")), requires_grad)


@repeated
def randint(low, high=None, size=None, *, dtype=None, generator=None):
    """Integers from `low` (0 if left out) up to, not including, `high`: randint(high, size) or randint(low, high, size).

    int64 by default. Raises ValueError unless low < high.

    Example:
        >>> import minigrad
        >>> sorted(set(minigrad.randint(1, 4, (100,)).tolist()))
        [1, 2, 3]
    """
    if size is None:
        high, size = None, high
    if high is None:
        low, high = 0, low
    dtype = dtypes.int64 if dtype is None else dtypes.check(dtype, "randint()")
    if not low < high:
        raise ValueError(f"randint(): low {low} must be below high {high}")
    return wrap(stream(generator).integers(low, high, _shape((size,), "randint")).astype(dtype))


@repeated
def randperm(n, *, generator=None):
    """The integers 0 to n - 1 in random order, int64.

    Example:
        >>> import minigrad
        >>> sorted(minigrad.randperm(4).tolist())
        [0, 1, 2, 3]
    """
    return wrap(stream(generator).permutation(n).astype(dtypes.int64))


def zeros_like(x, dtype=None, requires_grad=False):
    """Zeros of the shape and dtype of `x`.

    Example:
        >>> import minigrad
        >>> minigrad.zeros_like(minigrad.tensor([1, 2]))
        tensor([0, 0])
    """
    return zeros(x.shape, dtype=dtype or x.dtype, requires_grad=requires_grad)


def ones_like(x, dtype=None, requires_grad=False):
    """Ones of the shape and dtype of `x`."""
    return ones(x.shape, dtype=dtype or x.dtype, requires_grad=requires_grad)


def empty_like(x, dtype=None, requires_grad=False):
    """As `zeros_like`."""
    return zeros(x.shape, dtype=dtype or x.dtype, requires_grad=requires_grad)


def full_like(x, fill_value, dtype=None, requires_grad=False):
    """One number in the shape and dtype of `x`."""
    return full(x.shape, fill_value, dtype or x.dtype, requires_grad)


def rand_like(x, dtype=None, requires_grad=False, generator=None):
    """As `rand`, in the shape and dtype of `x`."""
    return rand(x.shape, dtype=dtype or x.dtype, requires_grad=requires_grad, generator=generator)


def randn_like(x, dtype=None, requires_grad=False, generator=None):
    """As `randn`, in the shape and dtype of `x`."""
    return randn(x.shape, dtype=dtype or x.dtype, requires_grad=requires_grad, generator=generator)


def randint_like(x, low, high=None, *, dtype=None, generator=None):
    """As `randint`, in the shape and dtype of `x`."""
    low, high = (0, low) if high is None else (low, high)
    return randint(low, high, x.shape, dtype=dtype or x.dtype, generator=generator)
