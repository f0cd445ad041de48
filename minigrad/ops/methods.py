"""The operators and methods of `Tensor`: which function each one calls."""

import numpy as np

from .. import dtypes
from ..primitive import cast, copy, truncate
from ..tensor import Tensor, wrap
from . import elementwise, indexing, linear_algebra, reductions, shaping
from .inplace import write, write_part

OPERATORS = {
    "add": elementwise.add, "sub": elementwise.sub, "mul": elementwise.mul, "truediv": elementwise.div,
    "floordiv": elementwise.floor_divide, "mod": elementwise.remainder, "pow": elementwise.pow,
    "matmul": linear_algebra.matmul,
    "and": elementwise.bitwise_and, "or": elementwise.bitwise_or, "xor": elementwise.bitwise_xor,
}  # fmt: skip
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
ELEMENTWISE = (
    "add", "sub", "mul", "div", "neg", "pow", "remainder", "floor_divide", "floor", "ceil", "round", "exp", "expm1",
    "log", "log1p", "sqrt", "sin", "cos", "tanh", "sigmoid", "relu", "sign", "abs", "maximum", "minimum", "clamp",
    "isnan", "isinf", "isfinite", *COMPARISONS,
)  # fmt: skip
METHODS = {
    elementwise: ELEMENTWISE,
    reductions: (
        "sum", "mean", "var", "std", "norm", "max", "min", "amax", "amin", "all", "any", "logsumexp", "softmax", "log_softmax",
    ),
    shaping: (
        "reshape", "view", "flatten", "permute", "transpose", "t", "movedim", "squeeze", "unsqueeze", "expand",
        "split", "unbind",
    ),
    indexing: ("gather", "argmax", "argmin"),
    linear_algebra: ("matmul", "mm", "mv", "dot", "outer"),
}  # fmt: skip
IN_PLACE = (
    "add", "sub", "mul", "div", "neg", "pow", "exp", "log", "sqrt", "tanh", "sigmoid", "relu", "abs", "clamp", "floor",
    "ceil", "round",
)  # fmt: skip


def _operator(function):
    def forward(self, other):
        return function(self, other)

    def reflected(self, other):
        return function(other, self)

    return forward, reflected


def _comparison(function):
    def compare(self, other):
        try:
            return function(self, other)
        except TypeError:  # tensor == None is False, and tensor < None Python's own error
            return NotImplemented

    return compare


def _in_place(function):
    def in_place(self, *args, **named):
        return write(self, function, *args, **named)

    in_place.__doc__ = f"Write the result of `{function.__name__}` into the tensor's memory; returns the tensor."
    return in_place


for _name, _function in OPERATORS.items():
    _forward, _reflected = _operator(_function)
    setattr(Tensor, f"__{_name}__", _forward)
    setattr(Tensor, f"__r{_name}__", _reflected)
    setattr(Tensor, f"__i{_name}__", _in_place(_function))
for _name in COMPARISONS:
    setattr(Tensor, f"__{_name}__", _comparison(getattr(elementwise, _name)))
for _module, _names in METHODS.items():
    for _name in _names:
        setattr(Tensor, _name, getattr(_module, _name))
for _name in IN_PLACE:
    setattr(Tensor, f"{_name}_", _in_place(getattr(elementwise, _name)))

Tensor.__neg__, Tensor.__abs__, Tensor.__invert__ = elementwise.neg, elementwise.abs, elementwise.bitwise_not
Tensor.__getitem__ = indexing.index
Tensor.clone = copy
Tensor.T = property(lambda self: shaping.permute_to(self, axes=tuple(range(self.ndim))[::-1]))
Tensor.mT = property(lambda self: shaping.transpose(self, -2, -1))


def _setitem(self, index, value):
    value = value if isinstance(value, Tensor) else wrap(np.asarray(value, self.dtype))
    *first, last = indexing.selections(index)
    for step in first:
        self = indexing.getitem(self, index=step)
    write_part(self, value, (indexing.getitem, {"index": last}))


def _copied(x, source):
    return shaping.expand_to(source, shape=x.shape)


def _fill(x, value):
    return _copied(x, value if isinstance(value, Tensor) else wrap(np.asarray(value, x.dtype)))


_fill.__name__, _copied.__name__ = "fill", "copy"
Tensor.__setitem__ = _setitem
Tensor.fill_ = _in_place(_fill)
Tensor.zero_ = lambda self: self.fill_(0)
Tensor.copy_ = _in_place(_copied)


def _to(self, *targets, dtype=None, device=None):
    """The tensor in another dtype, or like another tensor; "cpu", the one device there is, changes nothing."""
    for target in (*targets, *(t for t in (dtype, device) if t is not None)):
        if target == "cpu" and isinstance(target, str):
            continue
        if isinstance(target, str):
            raise RuntimeError(f"to(): the only device is 'cpu', got {target!r}")
        dtype = target.dtype if isinstance(target, Tensor) else dtypes.check(target, "to()")
        if dtype != self.dtype:
            self = (cast if dtype.kind == "f" else truncate)(self, dtype=dtype)
    return self


def _like(function):
    def shaped(self, other):
        return function(self, other.shape)

    shaped.__doc__ = f"`{function.__name__}` to the shape of another tensor."
    return shaped


def _contiguous(self):
    """The tensor itself if its memory is in C order, else a copy."""
    return self if self.is_contiguous() else copy(self)


Tensor.to, Tensor.contiguous = _to, _contiguous
Tensor.view_as, Tensor.reshape_as, Tensor.expand_as = map(_like, (shaping.view, shaping.reshape, shaping.expand))
Tensor.square = lambda self: self * self
Tensor.cpu = lambda self: self
Tensor.float = lambda self: self.to(dtypes.float32)
Tensor.double = lambda self: self.to(dtypes.float64)
Tensor.long = lambda self: self.to(dtypes.int64)
Tensor.int = lambda self: self.to(dtypes.int32)
Tensor.bool = lambda self: self.to(dtypes.bool_)
