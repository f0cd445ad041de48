"""Neither the instruction set nor the number of threads changes a bit."""

from itertools import product

import numpy as np
import pytest
from kernel_cases import DTYPES, LOSSES, OPTIMIZERS, ROW_LOSSES, loss_case, optimizer_steps

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["f32", "f64"])


def loss_bits(native, name, dtype, reduction):
    """Of one call; for losses over rows, of short, longer and long rows, which are worked through in different ways."""
    bits = b""
    for shape in ((1003, 33), (303, 101), (103, 1001)) if name in ROW_LOSSES else ((100_003,),):
        kernel, arrays, options, _ = loss_case(name, dtype, shape)
        value, gradient = getattr(native, kernel)(*arrays, **options, reduction=reduction, need_gradient=True)
        bits += value.tobytes() + gradient.tobytes()
    return bits


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


STREAMED_LOSSES = ["mse", "l1", "smooth_l1-0.5", "huber-0.5"]


@pytest.mark.parametrize("name", STREAMED_LOSSES)
@each_dtype
def test_gradients_written_past_the_caches(native, name, dtype, threads, monkeypatch):
    seen = set()
    for bound, level, number in product((0, 1 << 40), native.instruction_sets(), (1, 2)):
        monkeypatch.setattr(native.losses, "STREAMED", bound)
        native.set_instruction_set(level)
        threads(number)
        seen.add(loss_bits(native, name, dtype, "mean"))
    assert len(seen) == 1


@each_dtype
def test_gradients_written_past_the_caches_at_any_address(native, dtype, guarded):
    """All of the gradient and nothing beside it, wherever in a cache line it begins and ends."""
    extension = native.extension
    kernels, null = extension.kernels_of[np.dtype(dtype)], extension.NULL
    for offset, count in product(range(18), (0, 1, 3, 15, 16, 17, 33, 600)):
        x = np.arange(count, dtype=dtype)
        gradient = guarded(count, dtype, guard=64 + offset)
        to, x_at, y_at = (extension.from_buffer(kernels.array, array) for array in (gradient, x, np.zeros_like(x)))
        kernels.mse_loss(null, count, max(count, 1), 0, null, null, to, x_at, y_at, True, 1.0)
        np.testing.assert_array_equal(gradient, 2 * x)


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
