"""Neither the instruction set nor the number of threads changes a bit."""

from itertools import product

import numpy as np
import pytest
from kernel_cases import DTYPES, LOSSES, OPTIMIZERS, ROW_LOSSES, loss_case, optimizer_steps

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["f32", "f64"])


def loss_bits(native, name, dtype, reduction):
    """Of one call, all of which is far for one thread (csrc/blocks.h), but not its part when there are more; for losses
    over rows, of short, longer and long rows, which are worked through in different ways."""
    bits = b""
    for shape in ((1003, 33), (303, 101), (103, 1001)) if name in ROW_LOSSES else ((180_003,),):
        kernel, arrays, options, _ = loss_case(name, dtype, shape)
        value, gradient = getattr(native, kernel)(*arrays, **options, reduction=reduction, need_gradient=True)
        bits += value.tobytes() + gradient.tobytes()
    return bits


def optimizer_bits(native, name, dtype):
    rng = np.random.default_rng(0)
    draw = lambda: [rng.normal(size=n).astype(dtype) for n in (5, 9000, 0, 2049, 4096, 1, 270_001)]  # far, as above
    parameters = draw()
    optimizer_steps(native, name, parameters, [draw() for _ in range(3)])
    return b"".join(p.tobytes() for p in parameters)


@pytest.mark.parametrize("name", LOSSES)
@each_dtype
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_losses(native, name, dtype, reduction, threads):
    seen = set()
    for level in native.instruction_sets():
        native.set_instruction_set(level)
        for number in (1, 2, 3, 8):
            threads(number)
            seen.add(loss_bits(native, name, dtype, reduction))
    assert len(seen) == 1


@pytest.mark.parametrize("name", OPTIMIZERS)
@each_dtype
def test_optimizers(native, name, dtype, threads):
    seen = set()
    for level in native.instruction_sets():
        native.set_instruction_set(level)
        for number in (1, 2, 3, 8):
            threads(number)
            seen.add(optimizer_bits(native, name, dtype))
    assert len(seen) == 1


@pytest.mark.parametrize("name", ["relu", "relu_backward", "sum_rows"])
@each_dtype
def test_layers(native, name, dtype, threads):
    """Products have a test of their own, in test_layers.py."""
    draw = np.random.default_rng(0)
    x, upstream = (draw.normal(size=(203, 1501)).astype(dtype) for _ in range(2))
    x[0, :3] = [np.nan, -0.0, np.inf]
    arguments = (upstream, native.relu(x)) if name == "relu_backward" else (x,)
    seen = set()
    for level, number in product(native.instruction_sets(), (1, 2, 3, 8)):
        native.set_instruction_set(level)
        threads(number)
        seen.add(getattr(native, name)(*arguments).tobytes())
    assert len(seen) == 1


@pytest.mark.parametrize("function", ["exp", "log", "log1p", "log1p_near_0"])
@each_dtype
def test_elementary_functions(native, function, dtype):
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 256, 1_000_000 * np.dtype(dtype).itemsize, np.uint8).view(dtype)  # any bit pattern
    seen = set()
    for level in native.instruction_sets():
        native.set_instruction_set(level)
        result = getattr(native, function)(raw)
        result[np.isnan(result)] = np.nan  # which NaN is not promised
        seen.add(result.tobytes())
    assert len(seen) == 1
