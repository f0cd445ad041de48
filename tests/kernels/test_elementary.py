"""exp and the logarithms, measured in units in the last place against wider arithmetic."""

import numpy as np
import pytest
from sweep_elementary import largest_error

STATED = {
    np.float32: {"exp": 1.05, "log": 0.95, "log1p": 1.01, "log1p_near_0": 1.35},
    np.float64: {"exp": 1.14, "log": 0.92, "log1p": 0.98, "log1p_near_0": 1.33},
}
needs_long_double = pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="no wider type to measure with")

each_function = pytest.mark.parametrize("function", STATED[np.float32])


@each_function
def test_float32_over_all_magnitudes(native, function):
    """Every 251st of the 2^32 bit patterns; 251 is prime, so all low bits occur."""
    worst = 0
    for start in range(0, 1 << 32, 1 << 29):
        bits = np.arange(start, start + (1 << 29), 251, dtype=np.uint64).astype(np.uint32)
        worst = max(worst, largest_error(native, function, bits.view(np.float32))[0])
    assert worst <= STATED[np.float32][function]


@needs_long_double
@each_function
def test_float64_over_all_magnitudes(native, function):
    rng = np.random.default_rng(0)
    samples = [
        rng.integers(0, 1 << 64, 500_000, np.uint64).view(np.float64),
        rng.uniform(-746, 710, 500_000),
        rng.uniform(-1, 2, 500_000),
        1 + rng.uniform(-1, 1, 500_000) * 2.0 ** rng.uniform(-52, 0, 500_000),
        np.exp(rng.uniform(-745, 709, 500_000)),
        -np.exp(rng.uniform(-745, 0, 500_000)),
    ]
    assert max(largest_error(native, function, x)[0] for x in samples) <= STATED[np.float64][function]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_values(native, dtype):
    inf, nan, tiny = np.inf, np.nan, np.finfo(dtype).smallest_subnormal
    x = np.array([0.0, -0.0, 1.0, inf, -inf, nan, -1.0, -2.0, 1000.0, -1000.0, tiny], dtype)
    np.testing.assert_array_equal([1, 1, 0, nan, 0], native.exp(x)[[0, 1, 4, 5, 9]])
    np.testing.assert_array_equal([-inf, -inf, 0, inf, nan, nan, nan], native.log(x)[[0, 1, 2, 3, 4, 5, 6]])
    np.testing.assert_array_equal([0, inf, nan, nan, -inf, nan, tiny], native.log1p(x)[[0, 3, 4, 5, 6, 7, 10]])
    np.testing.assert_array_equal([0, nan, tiny], native.log1p_near_0(x)[[0, 5, 10]])
