"""The elementary functions that the losses are made of, for the tests."""

import numpy as np

from .. import checks
from .extension import BLOCK, MUCH, address, from_buffer, kernels_of, share


def _elementary(function, array):
    checks.check_float(function, "array", array)
    result, kernels, size = np.empty(array.shape, array.dtype), kernels_of[array.dtype], array.size
    team, length = share(size, BLOCK, MUCH * size)
    getattr(kernels, function)(team, size, length, from_buffer(kernels.array, result), address(kernels.array, array))
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
