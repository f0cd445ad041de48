"""The operations on tensors, by subject; importing this package gives `Tensor` its methods."""

from . import methods  # noqa: F401
from .creation import (
    arange, as_tensor, empty, empty_like, eye, from_numpy, full, full_like, linspace, ones, ones_like, rand, rand_like,
    randint, randint_like, randn, randn_like, randperm, tensor, zeros, zeros_like,
)  # fmt: skip
from .elementwise import (
    abs, add, ceil, clamp, cos, div, eq, exp, expm1, floor, floor_divide, ge, gt, isfinite, isinf, isnan, le, log,
    log1p, lt, maximum, minimum, mul, ne, neg, pow, relu, remainder, round, sigmoid, sign, sin, sqrt, sub, tanh, where,
)  # fmt: skip
from .indexing import argmax, argmin, gather
from .linear_algebra import dot, matmul, mm, mv, outer
from .reductions import (
    all, amax, amin, any, log_softmax, logsumexp, max, mean, min, norm, softmax, std, sum, var,
)  # fmt: skip
from .shaping import (
    cat, expand, flatten, movedim, permute, reshape, split, squeeze, stack, t, transpose, unbind, unsqueeze,
)  # fmt: skip

__all__ = [name for name in dir() if not name.startswith("_") and not isinstance(globals()[name], type(methods))]
