"""Each loss kernel: C against NumPy, NumPy against a formula of its own, and what it reads and writes."""

import numpy as np
import pytest
from kernel_cases import (
    DTYPES, LOSSES, REDUCTIONS, ROW_LOSSES, assert_close, expected_loss, loss_case, shapes_of,
)

from minigrad.kernels import reference

each_loss = pytest.mark.parametrize("name", LOSSES)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["f32", "f64"])
each_reduction = pytest.mark.parametrize("reduction", REDUCTIONS)


def small_shape(name):
    return (6, 5) if name in ROW_LOSSES else (31,)


def call(module, name, dtype, shape, reduction="none", need_gradient=True, change=None):
    kernel, arrays, options, _ = loss_case(name, dtype, shape)
    if change:
        arrays = [None if array is None else change(array) for array in arrays]
    return getattr(module, kernel)(*arrays, **options, reduction=reduction, need_gradient=need_gradient)


@each_loss
@each_reduction
def test_reference_equals_the_formula(name, reduction):
    """Values are the independent formula's; gradients are its central differences."""
    shape = small_shape(name)
    _, arrays, _, cost = loss_case(name, np.float64, shape)
    weight = np.ones(shape[-1]) if arrays[-1] is None else arrays[-1]
    arrays = [*arrays[:-1], weight] if name in ROW_LOSSES else arrays
    value, gradient = call(reference, name, np.float64, shape, reduction)

    def costs(x):
        return cost(x, *arrays[1:])

    divisor = 1.0
    if reduction == "mean":
        divisor = float(len(costs(arrays[0])))
        if name.startswith("index"):
            divisor = weight[arrays[1][arrays[1] != 1]].sum()
    expected = costs(arrays[0]) if reduction == "none" else np.asarray(costs(arrays[0]).sum() / divisor)
    assert_close(value, expected, ulps=200)

    slopes, h = np.empty(shape), 1e-6
    for index in np.ndindex(*shape):
        step = np.zeros(shape)
        step[index] = h
        slopes[index] = (costs(arrays[0] + step).sum() - costs(arrays[0] - step).sum()) / (2 * h * divisor)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("module", ["reference", "native"])
@pytest.mark.parametrize("name", ["margin-1", "margin-2-weight"])
@pytest.mark.parametrize("classes", [3, 64, 65, 79, 80, 81, 96, 528])
def test_hinge_leaves_out_the_target_wherever_it_is(request, module, name, classes):
    module = reference if module == "reference" else request.getfixturevalue("native")
    kernel, (scores, _, weight), options, cost = loss_case(name, np.float64, (classes, classes))
    target = np.arange(classes)
    wanted = cost(scores, target, np.ones(classes) if weight is None else weight)
    for need_gradient in (True, False):
        value, gradient = getattr(module, kernel)(
            scores, target, weight, **options, reduction="none", need_gradient=need_gradient
        )
        assert_close(value, wanted, ulps=200)
        if need_gradient:  # what one class takes, the others give
            np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-12)
            others = gradient[~np.eye(classes, dtype=bool)]
            assert np.all(np.diag(gradient) <= 0) and np.all(others >= 0) and np.any(others > 0)


@each_loss
@each_dtype
@each_reduction
def test_native_equals_reference(native, name, dtype, reduction):
    """At every count around a vector's, a chunk's and a block's width."""
    for shape in shapes_of(name):
        value, gradient = call(native, name, dtype, shape, reduction)
        expected_value, expected_gradient = expected_loss(name, dtype, shape, reduction)
        assert value.dtype == gradient.dtype == dtype
        assert isinstance(value, np.ndarray) and isinstance(gradient, np.ndarray)
        assert_close(value, expected_value, what=("value", shape))
        assert_close(gradient, expected_gradient, what=("gradient", shape))


@each_dtype
def test_probabilities_at_the_ends(native, dtype):
    """0 of either sign, the least number, and 1."""
    x = np.array([0.0, -0.0, np.finfo(dtype).smallest_subnormal, 1.0] * 16, dtype)
    target = np.repeat(np.array([0.0, 0.25, 0.5, 1.0], dtype), 16)
    value, gradient = native.binary_cross_entropy(x, target, reduction="none", need_gradient=True)
    expected_value, expected_gradient = reference.binary_cross_entropy(x, target, reduction="none", need_gradient=True)
    assert_close(value, expected_value)
    assert_close(gradient, expected_gradient)


@each_loss
@each_dtype
@each_reduction
def test_reference_in_float32_is_close_and_keeps_its_dtype(name, dtype, reduction):
    shape = small_shape(name)
    value, gradient = call(reference, name, dtype, shape, reduction)
    expected_value, expected_gradient = expected_loss(name, dtype, shape, reduction)
    assert value.dtype == gradient.dtype == dtype
    assert_close(value, expected_value)
    assert_close(gradient, expected_gradient)


@each_loss
@each_reduction
def test_without_gradient_the_value_is_the_same(native, name, reduction):
    shape = small_shape(name)
    for module in (native, reference):
        value, gradient = call(module, name, np.float32, shape, reduction)
        alone, nothing = call(module, name, np.float32, shape, reduction, need_gradient=False)
        assert nothing is None and gradient is not None
        np.testing.assert_array_equal(value, alone)


@each_loss
@each_dtype
def test_layout_changes_nothing(native, name, dtype):
    """Strided, reversed, Fortran-ordered, read-only and unaligned arrays give the same bits as plain ones."""

    def strided(array):
        wide = np.zeros([2 * n + 1 for n in array.shape], array.dtype)
        view = wide[tuple(slice(1, None, 2) for _ in array.shape)]
        view[...] = array
        return view

    def reversed_twice(array):
        return np.ascontiguousarray(array[::-1])[::-1]

    def read_only(array):
        array = array.copy()
        array.flags.writeable = False
        return array

    def offset(count):
        def view(array):
            raw = np.zeros(array.nbytes + count, np.uint8)[count:]
            placed = raw.view(array.dtype).reshape(array.shape)
            placed[...] = array
            return placed

        return view

    shape = (9, 7) if name in ROW_LOSSES else (63,)
    value, gradient = call(native, name, dtype, shape)
    for change in (strided, reversed_twice, read_only, np.asfortranarray, offset(1), offset(4), offset(8)):
        other_value, other_gradient = call(native, name, dtype, shape, change=change)
        np.testing.assert_array_equal(value, other_value)
        np.testing.assert_array_equal(gradient, other_gradient)


@each_loss
@each_dtype
@each_reduction
def test_writes_stay_inside_and_inputs_stay_as_they_are(native, name, dtype, reduction, guarded, monkeypatch):
    monkeypatch.setattr(np, "empty", guarded)
    for shape in shapes_of(name):
        kernel, arrays, options, _ = loss_case(name, dtype, shape)
        before = [None if array is None else array.tobytes() for array in arrays]
        getattr(native, kernel)(*arrays, **options, reduction=reduction, need_gradient=True)
        assert before == [None if array is None else array.tobytes() for array in arrays]


EXTREMES = [
    0.0, -0.0, 1e-45, -1e-45, 1e-310, 1e-38, 1.0, -1.0, 88.0, -104.0, 1e4, -1e4, 1e30, -1e30, np.inf, -np.inf, np.nan,
]


@pytest.mark.parametrize("name", [name for name in LOSSES if not name.startswith("bce")])
@each_dtype
def test_extreme_inputs_agree_with_the_reference(native, name, dtype):
    """NaN, infinities, denormals and huge offsets come out alike, and NumPy has nothing to warn of."""
    kernel, arrays, options, _ = loss_case(name, dtype, (len(EXTREMES), 5) if name in ROW_LOSSES else (len(EXTREMES),))
    with np.errstate(all="ignore"):
        extremes = np.array(EXTREMES).astype(dtype)
    if name in ROW_LOSSES:
        arrays[0][:, 2] = extremes
        arrays[0][-1] = -np.inf
    else:
        arrays[0][...] = extremes
    for reduction in REDUCTIONS:
        options["reduction"] = reduction
        value, gradient = getattr(native, kernel)(*arrays, **options, need_gradient=True)
        expected_value, expected_gradient = getattr(reference, kernel)(*arrays, **options, need_gradient=True)
        np.testing.assert_allclose(value, expected_value, rtol=100 * np.finfo(dtype).eps)
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(gradient, expected_gradient, rtol=100 * eps, atol=10 * eps)


def test_probabilities_at_their_ends(native):
    """Logarithms are held at -100, slopes' divisors at 1e-12."""
    x, y = np.array([0.0, 1.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0, 1.0])
    for module in (native, reference):
        value, gradient = module.binary_cross_entropy(x, y, reduction="none", need_gradient=True)
        np.testing.assert_array_equal([100, 100, 0, 0], value)
        np.testing.assert_allclose(gradient, [-1e12, 1e12, 0, 0])


def test_small_cross_entropy_keeps_its_digits(native):
    """A sure and right prediction costs exp(-15), which 1 + exp(-15) has no room for in float32."""
    logits, target = np.array([[15, 0]], np.float32), np.array([0])
    options = {"ignore_index": -100, "label_smoothing": 0.0, "reduction": "sum", "need_gradient": False}
    for module in (native, reference):
        np.testing.assert_allclose(module.cross_entropy(logits, target, **options)[0], np.log1p(np.exp(-15)), rtol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_all_rows_ignored(native, weighted, smoothing):
    """The mean over nothing is NaN and the sum 0; no row has a slope."""
    logits, target = np.ones((5, 3)), np.full(5, -100)
    weight = np.ones(3) if weighted else None
    for module in (native, reference):
        for reduction, expected in (("mean", np.nan), ("sum", 0), ("none", np.zeros(5))):
            value, gradient = module.cross_entropy(
                logits, target, weight, ignore_index=-100, label_smoothing=smoothing, reduction=reduction,
                need_gradient=True,
            )
            np.testing.assert_array_equal(expected, value)
            np.testing.assert_array_equal(np.zeros((5, 3)), gradient)


def test_a_single_class_is_certain(native):
    logits, target = np.array([[3.0], [-2.0]], np.float32), np.array([0, 0])
    options = {"ignore_index": -100, "label_smoothing": 0.1, "reduction": "none", "need_gradient": True}
    for module in (native, reference):
        value, gradient = module.cross_entropy(logits, target, **options)
        np.testing.assert_array_equal([0, 0], value)
        np.testing.assert_allclose(gradient, [[0], [0]], atol=1e-7)


def test_nothing_has_no_mean(native):
    """The mean of no elements is NaN, their sum 0."""
    for module in (native, reference):
        for name in LOSSES:
            shape = (0, 5) if name in ROW_LOSSES else (0,)
            assert np.isnan(call(module, name, np.float32, shape, "mean")[0])
            assert call(module, name, np.float32, shape, "sum")[0] == 0
            assert call(module, name, np.float32, shape, "mean")[1].shape == shape
