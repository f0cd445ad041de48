"""The dtypes, and PyTorch's rules for mixing them."""

import numpy as np

float32, float64 = np.dtype(np.float32), np.dtype(np.float64)
int64, int32, uint8, bool_ = np.dtype(np.int64), np.dtype(np.int32), np.dtype(np.uint8), np.dtype(np.bool_)
supported = (float32, float64, int64, int32, uint8, bool_)
default_float = float32

_category = {"b": 0, "u": 1, "i": 1, "f": 2}  # bool < integer < float
_scalar_dtype = {bool: bool_, int: int64, float: default_float}


def check(dtype, caller):
    """Return `dtype` as one of the supported dtypes, or say which those are."""
    dtype = np.dtype(dtype)
    if dtype not in supported:
        raise TypeError(f"{caller}: dtype {dtype} is not supported, expected one of {', '.join(map(str, supported))}")
    return dtype


def result_type(values):
    """The dtype PyTorch gives to an operation on `values`, arrays and Python scalars.

    The highest category present decides (bool < integer < float). Within it, arrays with axes
    count before zero-dimensional arrays, and those before Python scalars: a double in a 0-d array
    does not turn a float32 vector into float64.
    """
    ranked = []
    for value in values:
        if isinstance(value, np.ndarray):
            ranked.append((_category[value.dtype.kind], 2 if value.ndim else 1, value.dtype))
        else:
            dtype = _scalar_dtype[type(value)]
            ranked.append((_category[dtype.kind], 0, dtype))
    result, reached = None, -1
    for rank in (2, 1, 0):  # a lower rank changes the result only by a higher category
        present = [(category, dtype) for category, r, dtype in ranked if r == rank]
        if present and max(present, key=lambda pair: pair[0])[0] > reached:
            reached = max(category for category, _ in present)
            result = np.result_type(*(dtype for category, dtype in present if category == reached))
    return result
