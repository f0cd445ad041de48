"""relu, sums of rows, and matrix products: against float64 NumPy, at all layouts, levels and numbers of threads."""

import os
import threading
from itertools import product

import numpy as np
import pytest
from kernel_cases import DTYPES

import minigrad
from minigrad.kernels import reference

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["f32", "f64"])
# Around the tiles' rows (4 and 8), the vectors (4 to 16), the tiles' columns (12 to 48) and the blocks of inner (128, 256).
SHAPES = [
    *product((1, 3, 4, 5, 8, 9, 13), (0, 1, 15, 17), (1, 7, 8, 16, 17, 47, 48, 49, 65)),
    (5, 127, 20), (5, 128, 20), (5, 129, 20), (5, 257, 20), (9, 513, 50),
    (255, 9, 33), (256, 9, 33), (257, 9, 33), (600, 300, 40),
    (0, 3, 4), (4, 3, 0), (0, 0, 0),
]  # fmt: skip
LEVELS = ("v3", "v4")


def factors(dtype, rows, inner, columns, turned_left, turned_right):
    rng = np.random.default_rng([rows, inner, columns])
    left, right = rng.normal(size=(rows, inner)).astype(dtype), rng.normal(size=(inner, columns)).astype(dtype)
    turned = lambda matrix, turn: np.asfortranarray(matrix) if turn else matrix
    return turned(left, turned_left), turned(right, turned_right), rng.normal(size=columns).astype(dtype)


def assert_product(result, left, right, bias):
    """Every element within the rounding of its own terms."""
    wide = [array.astype(np.float64) for array in (left, right, bias)]
    expected = np.einsum("ik,kj->ij", *wide[:2]) + wide[2]
    terms = np.einsum("ik,kj->ij", *map(np.abs, wide[:2])) + np.abs(wide[2])
    bound = terms * np.finfo(left.dtype).eps * (left.shape[1] + 2)
    assert result.shape == expected.shape and result.dtype == left.dtype
    assert (np.abs(result - expected) <= bound).all()


def available_levels(native):
    levels = [level for level in LEVELS if level in native.instruction_sets()]
    if not levels:
        pytest.skip("no instruction set here has fused multiply-adds")
    return levels


@each_dtype
@pytest.mark.parametrize("turned_left", [False, True], ids=["left", "left.T"])
@pytest.mark.parametrize("turned_right", [False, True], ids=["right", "right.T"])
def test_products(native, dtype, turned_left, turned_right):
    for level in available_levels(native):
        native.set_instruction_set(level)
        for shape in SHAPES:
            left, right, bias = factors(dtype, *shape, turned_left, turned_right)
            assert_product(native.matmul(left, right, bias), left, right, bias)
            assert_product(native.matmul(left, right), left, right, np.zeros_like(bias))


@each_dtype
def test_products_of_views_with_other_strides(native, dtype):
    """Neither rows nor columns contiguous, a step backwards, a repeated row, an address off its alignment."""
    left, right, bias = factors(dtype, 12, 60, 50, False, False)
    raw = np.zeros(60 * 50 * left.itemsize + 1, np.uint8)[1:].view(dtype).reshape(60, 50)
    raw[:] = right
    for a, b in [
        (left[::2, ::3], right[::3, ::2]), (left[::-1], right), (left, right[:, ::-1]),
        (np.broadcast_to(left[0], (9, 60)), right), (left, raw), (left[:, 1:], right[1:]),
    ]:  # fmt: skip
        assert_product(native.matmul(a, b, bias[: b.shape[1]].copy()), a, b, bias[: b.shape[1]])


@each_dtype
def test_products_written_past_the_caches(native, dtype, guarded):
    """A result of two megabytes: as its parts are, and nothing beside it is written, wherever in a line it begins."""
    extension = native.extension
    left, right, bias = factors(dtype, 1100, 40, 496, False, False)
    parts = [native.matmul(left, right[:, j : j + 62].copy(), bias[j : j + 62].copy()) for j in range(0, 496, 62)]
    expected = np.hstack(parts)
    for level, offset in product(available_levels(native), (0, 1, 8, 15)):
        native.set_instruction_set(level)
        kernels = extension.kernels_of[np.dtype(dtype)]
        room = guarded(expected.size + 128, dtype)
        first = -room.ctypes.data % 64 // room.itemsize + offset
        result, room[:] = room[first : first + expected.size].reshape(expected.shape), 7
        assert (result.ctypes.data % 64 == 0) == (offset * room.itemsize % 64 == 0)
        to, *others = (extension.from_buffer(kernels.array, array) for array in (result, left, right, bias))
        call = extension.NULL, 496, 496, to, 1100, 40, 496, others[0], 40, 1, others[1], 496, 1, others[2]
        assert kernels.matmul(*call) == 0
        np.testing.assert_array_equal(result, expected)
        assert (room[:first] == 7).all() and (room[first + expected.size :] == 7).all()


@each_dtype
def test_products_carry_nan_and_infinity(native, dtype):
    left, right, bias = factors(dtype, 9, 20, 50, False, False)
    left[2, 3], right[4, 5] = np.nan, np.inf
    result = native.matmul(left, right, bias)
    assert np.isnan(result[2]).all() and not np.isnan(np.delete(result, 2, axis=0)).any()
    assert np.isinf(np.delete(result[:, 5], 2)).all()


def test_a_thread_with_a_small_stack(native):
    """64 KB, a quarter of the factors' copies, are enough; more of them would end the process."""
    left, right, bias = factors(np.float32, 300, 300, 60, True, False)
    results = []
    before = threading.stack_size(max(1 << 16, os.sysconf("SC_THREAD_STACK_MIN")))
    try:
        thread = threading.Thread(target=lambda: results.append(native.matmul(left, right, bias)))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert_product(results[0], left, right, bias)


@pytest.mark.parametrize("change", ["dtype", "inner", "axes", "bias"])
def test_products_refuse_what_does_not_fit(native, change):
    available_levels(native)  # or the refusals would be NumPy's
    left, right, bias = factors(np.float32, 9, 20, 50, False, False)
    if change == "dtype":
        right = right.astype(np.float64)
    elif change == "inner":
        right = right[1:]
    elif change == "axes":
        left = left[0]
    else:
        bias = bias[1:]
    with pytest.raises((TypeError, ValueError), match=r"^matmul\(\)"):
        native.matmul(left, right, bias)


def test_other_products_are_numpys(native):
    """Of integers, and at the baseline."""
    left, right = np.arange(6).reshape(2, 3), np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(native.matmul(left, right), left @ right)
    native.set_instruction_set("baseline")
    left, right, bias = factors(np.float32, 9, 20, 50, False, False)
    np.testing.assert_array_equal(native.matmul(left, right, bias), reference.matmul(left, right, bias))


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 4097])
@each_dtype
def test_relu(native, dtype, count):
    x = np.random.default_rng(0).normal(size=count).astype(dtype)
    x[:4] = [np.nan, -0.0, np.inf, -np.inf][:count]
    upstream = np.random.default_rng(1).normal(size=count).astype(dtype)
    for kernels in native, reference:
        result = kernels.relu(x)
        np.testing.assert_array_equal(result, [v if v > 0 or v != v else 0 for v in x])
        slopes = [0 if v <= 0 else u for u, v in zip(upstream, x)]
        np.testing.assert_array_equal(kernels.relu_backward(upstream, result), slopes)
    infinite = np.full(count, np.inf, dtype)
    np.testing.assert_array_equal(native.relu_backward(infinite, native.relu(x)), [0 if v <= 0 else np.inf for v in x])


@pytest.mark.parametrize("count", [6, 6000])
@pytest.mark.parametrize("create_graph", [False, True])
def test_slope_of_relu_at_the_ends(count, create_graph):
    """As PyTorch's, on each way that leads there: NaN lets the gradient through, both zeros stop it."""
    x = minigrad.tensor([np.nan, -0.0, 0.0, np.inf, -np.inf, 1.0] * (count // 6), requires_grad=True)
    x.relu().backward(minigrad.tensor([1.0, 2.0, 3.0, 4.0, 5.0, 6.0] * (count // 6)), create_graph=create_graph)
    assert x.grad.tolist() == [1, 0, 0, 4, 0, 6] * (count // 6)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 1), (5, 17), (300, 50)])
@each_dtype
def test_sums_of_rows(native, dtype, shape, threads):
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    bound = (np.abs(x).sum(0) + 1) * np.finfo(dtype).eps * shape[0]
    for number in (1, 2):
        threads(number)
        assert (np.abs(native.sum_rows(x) - x.astype(np.float64).sum(0)) <= bound).all()
        assert (np.abs(native.sum_rows(x.T.copy().T) - x.astype(np.float64).sum(0)) <= bound).all()
    assert reference.sum_rows(x).dtype == dtype


@each_dtype
def test_sums_of_many_rows(native, dtype):
    """The error does not grow like that of one running sum, which would be 1 % here for float32."""
    roundings = 64 if dtype == np.float32 else 64 + 1_000_000 / 64
    for level in native.instruction_sets():
        native.set_instruction_set(level)
        x = np.full((1_000_000, 3), 0.1, dtype)
        assert (np.abs(native.sum_rows(x) / (float(x[0, 0]) * len(x)) - 1) < roundings * np.finfo(dtype).eps).all()
