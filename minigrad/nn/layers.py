"""Layers: linear maps, activations, Flatten and Dropout."""

import math
from operator import index

from ..ops.creation import zeros
from . import functional, init
from .module import Module, Parameter


class Linear(Module):
    """y = x W^T + b for x of shape (..., in_features).

    `weight` (out_features, in_features) and `bias` (out_features) start uniform on
    [-1/sqrt(in_features), 1/sqrt(in_features)), as in PyTorch.

    Args:
        in_features, out_features: sizes, non-negative integers.
        bias: whether there is a b.
        dtype: float32 (the default) or float64; the input must have it, too.

    Raises:
        ValueError: for sizes that are not non-negative integers.
        RuntimeError: when called on another size or dtype.

    Example:
        >>> import minigrad
        >>> minigrad.nn.Linear(2, 3)(minigrad.ones(5, 2)).shape
        (5, 3)
    """

    def __init__(self, in_features, out_features, bias=True, dtype=None):
        super().__init__()
        for name, size in (("in_features", in_features), ("out_features", out_features)):
            if not hasattr(size, "__index__") or size < 0:
                raise ValueError(f"Linear: {name} must be a non-negative integer, got {size!r}")
        self.in_features, self.out_features = in_features, out_features = index(in_features), index(out_features)
        self.weight = Parameter(zeros(out_features, in_features, dtype=dtype))
        self.bias = Parameter(zeros(out_features, dtype=dtype)) if bias else None
        self.reset_parameters()

    def reset_parameters(self):
        """Draw the starting values of weight and bias again."""
        bound = 1 / math.sqrt(self.in_features) if self.in_features else 0
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x):
        return functional.linear(x, self.weight, self.bias)

    def extra_repr(self):
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Identity(Module):
    """Returns its argument."""

    def forward(self, x):
        return x


class ReLU(Module):
    """max(x, 0); written into x itself if `inplace`.

    Example:
        >>> import minigrad
        >>> minigrad.nn.ReLU()(minigrad.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace

    def forward(self, x):
        return x.relu_() if self.inplace else functional.relu(x)

    def extra_repr(self):
        return "inplace=True" if self.inplace else ""


class Sigmoid(Module):
    """1 / (1 + exp(-x))."""

    def forward(self, x):
        return functional.sigmoid(x)


class Tanh(Module):
    """The hyperbolic tangent, (exp(x) - exp(-x)) / (exp(x) + exp(-x))."""

    def forward(self, x):
        return functional.tanh(x)


class Softmax(Module):
    """exp(x) / sum(exp(x)) over `dim`.

    Example:
        >>> import minigrad
        >>> minigrad.nn.Softmax(dim=1)(minigrad.zeros(1, 4))
        tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """

    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, x):
        return functional.softmax(x, self.dim)

    def extra_repr(self):
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    """The logarithm of `Softmax`, x - log(sum(exp(x))) over `dim`."""

    def forward(self, x):
        return functional.log_softmax(x, self.dim)


class Flatten(Module):
    """Join the axes from `start_dim` to `end_dim`; by default all but the batch.

    Example:
        >>> import minigrad
        >>> minigrad.nn.Flatten()(minigrad.zeros(2, 3, 4)).shape
        (2, 12)
    """

    def __init__(self, start_dim=1, end_dim=-1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x):
        return x.flatten(self.start_dim, self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Dropout(Module):
    """While training, zero each element with probability `p` and scale the others by 1 / (1 - p).

    In evaluation it returns its argument. Raises ValueError when `p` is not in [0, 1]. Source:
    Srivastava et al. 2014; see `functional.dropout`.

    Example:
        >>> import minigrad
        >>> minigrad.nn.Dropout(0.5).eval()(minigrad.ones(2))
        tensor([1., 1.])
    """

    def __init__(self, p=0.5, inplace=False):
        super().__init__()
        self.p, self.inplace = functional.probability(p, "Dropout"), inplace

    def forward(self, x):
        return functional.dropout(x, self.p, self.training, self.inplace)

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"
