"""Elementwise operations, each beside its rules.

A rule reads `rule(grad, out, *args)`: the gradient for one argument from the gradient of the result.
It is written with the same operations that users call, never mentions broadcasting (the walk sums
a gradient back to its argument's shape), and marks with an underscore what it does not read.
"""

import math

import numpy as np

from .. import kernels
from ..primitive import copy, primitive
from ..tensor import Tensor, as_array, wrap

# Arithmetic

add = primitive(np.add, doc="x + y, elementwise and broadcast.", promotes="same")
add.vjps(lambda grad, _out, _x, _y: grad, lambda grad, _out, _x, _y: grad)

sub = primitive(np.subtract, "sub", "x - y, elementwise and broadcast.", promotes="same")
sub.vjps(lambda grad, _out, _x, _y: grad, lambda grad, _out, _x, _y: -grad)

mul = primitive(np.multiply, "mul", "x y, elementwise and broadcast.", promotes="same")
mul.vjps(lambda grad, _out, _x, y: grad * y, lambda grad, _out, x, _y: grad * x)

div = primitive(np.true_divide, "div", "x / y, elementwise and broadcast; of integers, too, a float.", promotes="float")
div.vjps(lambda grad, _out, _x, y: grad / y, lambda grad, _out, x, y: -grad * (x / y) / y)

neg = primitive(np.negative, "neg", "-x.")
neg.vjps(lambda grad, _out, _x: -grad)


def _pow_base(grad, _out, x, y):
    """d/dx x^y = y x^(y-1), and 0 where y = 0, also at x = 0."""
    if isinstance(y, (int, float)):
        return grad * y * x ** (y - 1) if y else grad * 0.0
    return where(y == 0, 0.0, grad * y * x ** where(y == 0, 1.0, y - 1))


def _pow_exponent(grad, out, x, y):
    """d/dy x^y = x^y log x: 0 at x = 0 for y >= 0, NaN for a negative base."""
    if isinstance(x, (int, float)):
        slope = math.log(x) if x > 0 else math.nan if x < 0 else -math.inf
        return where(y >= 0, 0.0, grad * out * slope) if x == 0 else grad * out * slope
    flat = (x == 0) & (y >= 0)
    return where(flat, 0.0, grad * out * log(where(flat, 1.0, where(x < 0, math.nan, x))))


# The operator, not np.power: it has fast paths for the exponents -1, 0.5 and 2.
pow = primitive(lambda x, y: x**y, "pow", "x to the power y, elementwise and broadcast.", promotes="same")
pow.vjps(_pow_base, _pow_exponent)

remainder = primitive(np.remainder, doc="x - y floor(x / y), which has the sign of y.", promotes="same")
remainder.vjps(lambda grad, _out, _x, _y: grad, lambda grad, _out, x, y: -grad * floor(x / y))

floor_divide = primitive(np.floor_divide, doc="floor(x / y).", promotes="same")
floor_divide.vjps(None, None)


def _flat(grad, _out, _x):
    """The derivative of a step function: 0, at the steps, too."""
    return grad * 0.0


floor = primitive(np.floor, doc="The largest integer not above x; its derivative is 0.").vjps(_flat)
ceil = primitive(np.ceil, doc="The smallest integer not below x; its derivative is 0.").vjps(_flat)
round = primitive(np.round, doc="The nearest integer, halves to the even one; its derivative is 0.").vjps(_flat)

# Exponentials and roots

exp = primitive(np.exp, doc="e to the power x.", promotes="float")
exp.vjps(lambda grad, out, _x: grad * out)

expm1 = primitive(np.expm1, doc="e^x - 1, exact near 0.", promotes="float")
expm1.vjps(lambda grad, out, _x: grad * (out + 1.0))

log = primitive(np.log, doc="The natural logarithm.", promotes="float")
log.vjps(lambda grad, _out, x: grad / x)

log1p = primitive(np.log1p, doc="log(1 + x), exact near 0.", promotes="float")
log1p.vjps(lambda grad, _out, x: grad / (x + 1.0))

sqrt = primitive(np.sqrt, doc="The square root.", promotes="float")
sqrt.vjps(lambda grad, out, _x: grad / (out * 2.0))

sin = primitive(np.sin, doc="The sine, x in radians.", promotes="float")
sin.vjps(lambda grad, _out, x: grad * cos(x))

cos = primitive(np.cos, doc="The cosine, x in radians.", promotes="float")
cos.vjps(lambda grad, _out, x: -grad * sin(x))

# Activations

tanh = primitive(np.tanh, doc="The hyperbolic tangent.", promotes="float")
tanh.vjps(lambda grad, out, _x: grad * (1.0 - out * out))


def _sigmoid(x):
    """1 / (1 + e^-x), from e^-|x| so that nothing overflows."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


sigmoid = primitive(_sigmoid, "sigmoid", "1 / (1 + e^-x).", promotes="float")
sigmoid.vjps(lambda grad, out, _x: grad * (out * (1.0 - out)))

def _softplus(x):
    return np.logaddexp(x, np.zeros((), x.dtype))


softplus = primitive(_softplus, "softplus", "log(1 + e^x), without overflow; its derivative is the sigmoid.", promotes="float")
softplus.vjps(lambda grad, _out, x: grad * sigmoid(x))


def _relu(x):
    return kernels.active.relu(x)


def _relu_rule(grad, out, _x):
    if type(grad) is not np.ndarray:
        return where(out <= 0, 0.0, grad)
    return kernels.active.relu_backward(grad, out)


relu = primitive(_relu, "relu", "max(x, 0); the derivative at the kink is 0.")
relu.vjps(_relu_rule)

# Kinks

sign = primitive(np.sign, doc="-1, 0 or 1; its derivative is 0.").vjps(_flat)

abs = primitive(np.abs, "abs", "|x|; the derivative at 0 is 0.")
abs.vjps(lambda grad, _out, x: grad * sign(x))


def _won(grad, x, y, larger):
    """The gradient for `x`: all of it where x won, half where both are equal."""
    return where(x == y, grad * 0.5, where(x > y if larger else x < y, grad, 0.0))


maximum = primitive(np.maximum, doc="The larger of x and y; at a tie each gets half of the gradient.", promotes="same")
maximum.vjps(lambda grad, _out, x, y: _won(grad, x, y, True), lambda grad, _out, x, y: _won(grad, y, x, True))

minimum = primitive(np.minimum, doc="The smaller of x and y; at a tie each gets half of the gradient.", promotes="same")
minimum.vjps(lambda grad, _out, x, y: _won(grad, x, y, False), lambda grad, _out, x, y: _won(grad, y, x, False))


def _inside(x, low, high):
    above = True if low is None else x >= low
    return above if high is None else above & (x <= high)


# The bounds themselves still pass the gradient on.
_clip = primitive(lambda x, low, high: np.clip(x, low, high), "clamp")
_clip.vjps(lambda grad, _out, x, *, low, high: where(_inside(x, low, high), grad, 0.0))


def clamp(x, min=None, max=None):
    """Limit every element to [min, max]; either bound may be a number, a tensor, or None.

    Example:
        >>> import minigrad
        >>> minigrad.clamp(minigrad.tensor([-2.0, 0.5, 2.0]), min=-1, max=1)
        tensor([-1.0000,  0.5000,  1.0000])
    """
    if min is None and max is None:
        raise ValueError("clamp(): at least one of min and max must be given")
    if isinstance(min, Tensor) or isinstance(max, Tensor) or x.dtype.kind != "f":
        x = x if min is None else where(x < min, min, x)
        return x if max is None else where(x > max, max, x)
    return _clip(x, low=min, high=max)


# Choice and comparison

def where(condition, x, y):
    """`x` where `condition` holds, `y` elsewhere, all three broadcast together.

    The gradient of the side not chosen is 0, whatever its value; but 0 times the infinite slope of
    what made it is NaN, so keep log(0) and sqrt(0) out of that side with a second `where`.

    Example:
        >>> import minigrad
        >>> x = minigrad.tensor([-1.0, 2.0])
        >>> minigrad.where(x > 0, x, 0.0)
        tensor([0., 2.])
    """
    if isinstance(condition, Tensor):
        condition = copy(condition).array  # it must still be the same in backward
        x = x if isinstance(x, Tensor) or isinstance(y, Tensor) else wrap(as_array(x, None, "where"))
    elif isinstance(x, Tensor) or isinstance(y, Tensor):
        condition = np.array(condition)
    return _select(x, y, condition=condition)


_select = primitive(lambda x, y, condition: np.where(condition, x, y), "where", promotes="same")
_select.vjps(
    lambda grad, _out, _x, _y, *, condition: where(condition, grad, 0.0),
    lambda grad, _out, _x, _y, *, condition: where(condition, 0.0, grad),
)

eq = primitive(np.equal, "eq", "x == y.", promotes="same")
ne = primitive(np.not_equal, "ne", "x != y.", promotes="same")
lt = primitive(np.less, "lt", "x < y.", promotes="same")
le = primitive(np.less_equal, "le", "x <= y.", promotes="same")
gt = primitive(np.greater, "gt", "x > y.", promotes="same")
ge = primitive(np.greater_equal, "ge", "x >= y.", promotes="same")
bitwise_and = primitive(np.bitwise_and, promotes="same")
bitwise_or = primitive(np.bitwise_or, promotes="same")
bitwise_xor = primitive(np.bitwise_xor, promotes="same")
bitwise_not = primitive(np.invert, "bitwise_not")
isnan = primitive(np.isnan, doc="Whether each element is NaN.")
isinf = primitive(np.isinf, doc="Whether each element is infinite.")
isfinite = primitive(np.isfinite, doc="Whether each element is neither NaN nor infinite.")
