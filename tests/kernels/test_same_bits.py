"""Neither the instruction set nor the number of threads changes a bit."""

import numpy as np
import pytest
from kernel_cases import DTYPES, LOSSES, OPTIMIZERS, ROW_LOSSES, loss_case, optimizer_steps

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["f32", "f64"])


def loss_bits(native, name, dtype, reduction):
    kernel, arrays, options, _ = loss_case(name, dtype, (1003, 33) if name in ROW_LOSSES else (100_003,))
    value, gradient = getattr(native, kernel)(*arrays, **options, reduction=reduction, need_gradient=True)
    return value.tobytes() + gradient.tobytes()


def optimizer_bits(native, name, dtype):
    rng = np.random.default_rng(0)
    draw = lambda: [rng.normal(size=n).astype(dtype) for n in (5, 9000, 0, 4096, 1, 30_000)]
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


@pytest.mark.parametrize("function", ["exp", "log", "log1p"])
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
