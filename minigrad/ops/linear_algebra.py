"""Products of matrices and vectors."""

import math
from functools import lru_cache

import numpy as np

from .. import kernels
from ..primitive import primitive, record
from ..tensor import Tensor
from .shaping import reshape_to


SMALL_PRODUCT = 1 << 17  # multiplications
SMALL_SUM = 1 << 13  # elements


def _product(x, y):
    """x y for arrays, and in a rule for Tensors, too."""
    if type(x) is not np.ndarray:
        return x @ y
    if x.ndim == y.ndim == 2 and len(x) * y.size >= SMALL_PRODUCT:
        return kernels.active.matmul(x, y)
    return np.matmul(x, y)


# At least two axes on both sides; the ones before them broadcast.
_matmul = primitive(_product, "matmul")
_matmul.vjps(
    lambda grad, _out, _x, y: _product(grad, y.mT),
    lambda grad, _out, x, _y: _product(x.mT, grad),
)


@lru_cache(maxsize=64)
def _ones(count, dtype):
    return np.ones(count, dtype)


def _bias_rule(grad, _out, _x, _weight, _bias, *, into=None):
    if type(grad) is not np.ndarray:
        return _ones(len(grad), grad.dtype) @ grad
    if grad.size >= SMALL_SUM:
        return kernels.active.sum_rows(grad)
    return _ones(len(grad), grad.dtype).dot(grad, into)  # several times faster than np.add.reduce


# Of two matrices, by a kernel.


def _kernel_product(x, y, bias=None):
    return kernels.active.matmul(x, y, bias) if type(x) is np.ndarray else x @ y


_large_matmul = primitive(_kernel_product, "matmul")
_large_matmul.vjps(
    lambda grad, _out, _x, y: _kernel_product(grad, y.T),
    lambda grad, _out, x, _y: _kernel_product(x.T, grad),
)
_large_linear = primitive(lambda x, weight, bias=None: _kernel_product(x, weight.T, bias), "linear")
_large_linear.vjps(
    lambda grad, _out, _x, weight, *_bias: _kernel_product(grad, weight),
    lambda grad, _out, x, _weight, *_bias: _kernel_product(grad.T, x),
    _bias_rule,
)

# The same of matrices with so little to do that NumPy has done it sooner than a kernel, and that each call counts. The
# products in the rules have as many multiplications as the one forward: its size is looked at once. They can write their
# result `into` an array, so that in a program it lies where it lay before.


def _small_linear(x, weight, bias=None, *, into=None):
    out = x.dot(weight.T, into)
    if bias is not None:
        out += bias
    return out


_small_matmul = primitive(lambda x, y, *, into=None: x.dot(y, into), "matmul")
_small_matmul.vjps(
    lambda grad, _out, _x, y, *, into=None: grad.dot(y.T, into) if type(grad) is np.ndarray else grad @ y.T,
    lambda grad, _out, x, _y, *, into=None: x.T.dot(grad, into) if type(grad) is np.ndarray else x.T @ grad,
)
_small_linear = primitive(_small_linear, "linear")
_small_linear.vjps(
    lambda grad, _out, _x, w, *_bias, into=None: grad.dot(w, into) if type(grad) is np.ndarray else grad @ w,
    lambda grad, _out, x, _w, *_bias, into=None: grad.T.dot(x, into) if type(grad) is np.ndarray else grad.T @ x,
    _bias_rule,
)

# What NumPy computes, and the same by a kernel: a program takes the second where the bits agree.
by_kernel = {
    numpy: kernel
    for one, other in ((_small_matmul, _large_matmul), (_small_linear, _large_linear))
    for numpy, kernel in zip((one.forward, *one.rules), (other.forward, *other.rules), strict=True)
}
by_kernel[_bias_rule] = lambda grad, *_: kernels.active.sum_rows(grad)


def linear(input, weight, bias=None):
    """input weight^T + bias, for input (..., in), weight (out, in) and bias (out) of one dtype.

    The result is (..., out). Raises RuntimeError when shapes or dtypes do not fit.

    Example:
        >>> import minigrad
        >>> minigrad.nn.functional.linear(minigrad.ones(1, 2), minigrad.tensor([[1.0, 2.0]]), minigrad.tensor([10.0]))
        tensor([[13.]])
    """
    try:
        x, w, b = input.array, weight.array, None if bias is None else bias.array
        fits = x.shape[-1] == w.shape[1] and x.dtype == w.dtype
        fits = fits and (b is None or b.shape == w.shape[:1] and b.dtype == w.dtype)
    except (AttributeError, IndexError):
        fits = False
    if not fits:
        given = {"input": input, "weight": weight} | ({} if bias is None else {"bias": bias})
        raise RuntimeError(
            "linear(): expected tensors of one dtype, input (..., in), weight (out, in) and bias (out), got "
            + ", ".join(f"{name} {describe(value)}" for name, value in given.items())
        )
    if x.ndim != 2:
        rows = reshape_to(input, shape=(math.prod(x.shape[:-1]), x.shape[-1]))
        return reshape_to(linear(rows, weight, bias), shape=(*x.shape[:-1], w.shape[0]))
    args, arrays = ((input, weight), (x, w)) if b is None else ((input, weight, bias), (x, w, b))
    chosen = _small_linear if len(x) * w.size < SMALL_PRODUCT else _large_linear
    return record(chosen, chosen.forward(*arrays), args, arrays)


def describe(value):
    """What came, for a message."""
    return f"{value.dtype} {value.shape}" if isinstance(value, Tensor) else type(value).__name__


def matmul(x, y):
    """The matrix product `x @ y`; vectors count as a row on the left and a column on the right.

    Shapes (..., n, k) @ (..., k, m) give (..., n, m), leading axes broadcast. Both need one dtype.
    Raises RuntimeError when shapes or dtypes do not fit, TypeError for what is no tensor or array.

    Example:
        >>> import minigrad
        >>> minigrad.tensor([[1.0, 2.0], [3.0, 4.0]]) @ minigrad.tensor([1.0, 1.0])
        tensor([3., 7.])
    """
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        a, b = arrays = x.array, y.array
        if a.ndim == b.ndim == 2 and a.dtype is b.dtype and a.shape[1] == len(b):  # as nearly always
            if len(a) * b.size < SMALL_PRODUCT:
                return record(_small_matmul, a.dot(b), (x, y), arrays)  # its forward, without a call between
            return record(_large_matmul, _large_matmul.forward(a, b), (x, y), arrays)
    for value in (x, y):
        if not isinstance(value, (Tensor, np.ndarray)):
            raise TypeError(f"matmul(): expected a tensor or an array, got {type(value).__name__}")
    if x.ndim == 0 or y.ndim == 0:
        raise RuntimeError(f"matmul(): both arguments need at least one axis, got shapes {x.shape} and {y.shape}")
    if x.dtype != y.dtype:
        raise RuntimeError(f"matmul(): both arguments need one dtype, got {x.dtype} and {y.dtype}. Use .to(dtype)")
    if x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
        raise RuntimeError(f"matmul(): inner sizes differ, got shapes {x.shape} and {y.shape}")
    left = reshape_to(x, shape=(1, -1)) if x.ndim == 1 else x
    right = reshape_to(y, shape=(-1, 1)) if y.ndim == 1 else y
    try:
        out = _matmul(left, right)
    except ValueError:
        raise RuntimeError(f"matmul(): the leading axes do not broadcast, got shapes {x.shape} and {y.shape}") from None
    if x.ndim > 1 and y.ndim > 1:
        return out
    shape = out.shape if x.ndim > 1 else (*out.shape[:-2], out.shape[-1])
    return reshape_to(out, shape=shape if y.ndim > 1 else shape[:-1])


def _of_rank(caller, x, x_ndim, y, y_ndim):
    if not all(isinstance(value, (Tensor, np.ndarray)) for value in (x, y)):
        raise TypeError(f"{caller}(): expected tensors, got {type(x).__name__} and {type(y).__name__}")
    if x.ndim != x_ndim or y.ndim != y_ndim:
        raise RuntimeError(f"{caller}(): expected {x_ndim} and {y_ndim} axes, got shapes {x.shape} and {y.shape}")


def mm(x, y):
    """The product of two matrices, (n, k) and (k, m). Raises RuntimeError for other shapes."""
    _of_rank("mm", x, 2, y, 2)
    return matmul(x, y)


def mv(x, y):
    """The product of a matrix (n, k) and a vector (k). Raises RuntimeError for other shapes."""
    _of_rank("mv", x, 2, y, 1)
    return matmul(x, y)


def dot(x, y):
    """The inner product of two vectors: sum of x[i] y[i]. Raises RuntimeError for other shapes.

    Example:
        >>> import minigrad
        >>> minigrad.tensor([1.0, 2.0]).dot(minigrad.tensor([3.0, 4.0]))
        tensor(11.)
    """
    _of_rank("dot", x, 1, y, 1)
    return matmul(x, y)


def outer(x, y):
    """The outer product of two vectors: result[i, j] = x[i] y[j].

    Example:
        >>> import minigrad
        >>> minigrad.outer(minigrad.tensor([1.0, 2.0]), minigrad.tensor([3.0, 4.0]))
        tensor([[3., 4.],
                [6., 8.]])
    """
    _of_rank("outer", x, 1, y, 1)
    return reshape_to(x, shape=(-1, 1)) * y
