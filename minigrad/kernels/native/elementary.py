"""The elementary functions that the losses are made of, for the tests."""

import numpy as np

from .. import checks
from .extension import BLOCK, from_buffer, kernels_of, readable, run


def _elementary(function, array):
    checks.check_float(function, "array", array)
    result, kernels = np.empty(array.shape, array.dtype), kernels_of[array.dtype]
    address = readable(function, "array", array, kernels.array, array.dtype, array.shape)
    run(getattr(kernels, function), array.size, BLOCK, array.size, from_buffer(kernels.array, result), address)
    return result


def exp(array):
    """The kernels' exp, elementwise, of numbers that are not positive."""
    return _elementary("exp", array)


def log(array):
    """The kernels' log, elementwise."""
    return _elementary("log", array)


def log1p(array):
    """The kernels' log(1 + x), elementwise."""
    return _elementary("log1p", array)


def log1p_near_0(array):
    """The same of numbers from -1/2 to 1."""
    return _elementary("log1p_near_0", array)
