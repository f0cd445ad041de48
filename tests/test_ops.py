"""Every operation against its formula, its finite differences, and itself in float32."""

import importlib
import pkgutil

import numpy as np
import pytest

import minigrad
from minigrad import autograd, ops
from minigrad.primitive import Primitive

from .cases import CASES, LAYOUTS, PLACE_IDS, PLACES, leaf

DTYPES = (np.float32, np.float64)
TOLERANCE = {np.dtype(np.float32): 4e-6, np.dtype(np.float64): 1e-12}

SMALL = [(case, shapes) for case, shapes in PLACES if sum(np.prod(shape) for shape in shapes) < 30]

every_place = pytest.mark.parametrize(("case", "shapes"), PLACES, ids=PLACE_IDS)
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])


def assert_close(found, expected, dtype):
    """Equal in shape and, element by element, up to the rounding of `dtype`."""
    bound = TOLERANCE[np.dtype(dtype)]
    assert expected.shape == found.shape
    np.testing.assert_allclose(found, expected, rtol=bound, atol=bound)


def gradients(case, arrays):
    """The result, and the gradients for an upstream of 1, 2, 3, ... tenths."""
    tensors = [leaf(array) for array in arrays]
    result = case.call(minigrad, *tensors)
    upstream = np.arange(1, result.numel() + 1).reshape(result.shape) / 10
    result.backward(minigrad.tensor(upstream, dtype=result.dtype))
    return result.detach().numpy(), [x.grad.numpy() for x in tensors]


@each_dtype
@every_place
def test_value(case, shapes, dtype):
    """The value is the formula's, the dtype the arguments', and tracking changes neither."""
    arrays = case.arrays(shapes, dtype)
    expected = np.asarray(case.reference(*[array.astype(np.float64) for array in arrays]))
    for make in (minigrad.from_numpy, leaf):
        found = case.call(minigrad, *map(make, arrays))
        assert dtype == found.dtype
        assert_close(found.detach().numpy(), expected, dtype)


@every_place
def test_gradient(case, shapes):
    """The gradient is the finite difference, for a random upstream gradient."""
    assert autograd.gradcheck(lambda *xs: case.call(minigrad, *xs), [leaf(x) for x in case.arrays(shapes, np.float64)])


@pytest.mark.parametrize(("case", "shapes"), SMALL, ids=[PLACE_IDS[PLACES.index(place)] for place in SMALL])
def test_second_derivative(case, shapes):
    """The gradient is itself differentiable, by the arguments and by the upstream gradient."""
    inputs = [leaf(x) for x in case.arrays(shapes, np.float64)]
    assert autograd.gradgradcheck(lambda *xs: case.call(minigrad, *xs), inputs)


@every_place
def test_float32_gradient(case, shapes):
    """A float32 gradient is float32, and the float64 one up to rounding."""
    arrays = case.arrays(shapes, np.float32)
    _, found = gradients(case, arrays)
    _, expected = gradients(case, [array.astype(np.float64) for array in arrays])
    for single, double in zip(found, expected, strict=True):
        assert np.float32 == single.dtype
        np.testing.assert_allclose(single, double, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
@every_case
def test_layout(case, layout):
    """Where the numbers lie in memory changes neither value nor gradient."""
    arrays = case.arrays(case.shapes[-1], np.float64)
    moved = [LAYOUTS[layout](array) if array.ndim else array for array in arrays]
    value, grads = gradients(case, arrays)
    moved_value, moved_grads = gradients(case, moved)
    assert_close(moved_value, value, np.float64)
    for found, expected in zip(moved_grads, grads, strict=True):
        assert found.flags.c_contiguous
        assert_close(found, expected, np.float64)


WITHOUT_DERIVATIVE = {minigrad.floor_divide}  # recorded, to be refused in backward: test_refusals.py


def recorded(tensors):
    """(primitive, argument) for every tracked argument in the graph behind `tensors`."""
    found, queue = set(), [tensor.grad_fn for tensor in tensors if tensor.grad_fn]
    while queue:
        node = queue.pop()
        for position, parent in enumerate(node.parents):
            if parent is not None:
                found.add((node.primitive, position))
                queue.append(parent)
    return found


def test_every_rule_has_a_row():
    """Each derivative rule of each primitive is in the graph of some row, or in that of its gradient."""
    covered = set()
    for case in CASES:
        tensors = [leaf(x) for x in case.arrays(case.shapes[0], np.float64)]
        result = case.call(minigrad, *tensors)
        upstream = minigrad.ones_like(result, requires_grad=True)
        slopes = autograd.grad(result, tensors, upstream, create_graph=True)
        covered |= recorded([result, *slopes])
    x = minigrad.ones(2, requires_grad=True)
    covered |= recorded([x.to(minigrad.float64)])  # test_cast
    modules = [importlib.import_module(f"minigrad.ops.{module.name}") for module in pkgutil.iter_modules(ops.__path__)]
    modules.append(importlib.import_module("minigrad.primitive"))
    primitives = {p for module in modules for p in vars(module).values() if isinstance(p, Primitive)}
    rules = {(p, i) for p in primitives - WITHOUT_DERIVATIVE for i, rule in zip(range(3), p.rules)}
    assert len(primitives) > 50
    assert set() == {(p, i) for p, i in rules - covered if p is not ops.shaping._concatenate or i < 2}


@pytest.mark.parametrize("into", DTYPES)
@each_dtype
def test_cast(dtype, into):
    """to() changes the dtype of the value, and gives the gradient back in the old one."""
    x = leaf(np.array([1.5, -2.0], dtype))
    y = x.to(minigrad.tensor([0.0], dtype=into))
    assert np.dtype(into) == y.dtype
    (y * 3).sum().backward()
    assert np.dtype(dtype) == x.grad.dtype
    assert [3.0, 3.0] == x.grad.tolist()


@pytest.mark.parametrize("into", [minigrad.int64, minigrad.int32, minigrad.uint8, minigrad.bool])
def test_cast_to_integers(into):
    """Integers and bools have no gradient, so a cast to them leaves the graph."""
    y = minigrad.ones(2, requires_grad=True).to(dtype=into)
    assert into == y.dtype
    assert not y.requires_grad


NAN, INF = float("nan"), float("inf")
PREDICATES = {
    "eq": (lambda x, y: x == y, [False, True, False, False]),
    "ne": (lambda x, y: x != y, [True, False, True, True]),
    "lt": (lambda x, y: x < y, [True, False, False, False]),
    "le": (lambda x, y: x <= y, [True, True, False, False]),
    "gt": (lambda x, y: x > y, [False, False, True, False]),
    "ge": (lambda x, y: x >= y, [False, True, True, False]),
    "isnan": (lambda x, y: minigrad.isnan(x), [False, False, False, True]),
    "isinf": (lambda x, y: minigrad.isinf(x), [False, False, True, False]),
    "isfinite": (lambda x, y: minigrad.isfinite(x), [True, True, False, False]),
    "and": (lambda x, y: (x < y) & (x < 0), [True, False, False, False]),
    "or": (lambda x, y: (x < y) | (x == y), [True, True, False, False]),
    "xor": (lambda x, y: (x < y) ^ (x != y), [False, False, True, True]),
    "not": (lambda x, y: ~(x < y), [False, True, True, True]),
}


@pytest.mark.parametrize(("call", "expected"), PREDICATES.values(), ids=PREDICATES)
def test_predicate(call, expected):
    """A question about numbers has bools for an answer and no gradient."""
    x = minigrad.tensor([-1.0, 2.0, INF, NAN], requires_grad=True)
    answer = call(x, minigrad.tensor([1.0, 2.0, 3.0, 4.0]))
    assert (minigrad.bool, expected, False) == (answer.dtype, answer.tolist(), answer.requires_grad)


EXTREMES = {
    "sigmoid": (minigrad.sigmoid, [-1e4, 1e4], [0.0, 1.0]),
    "softplus": (ops.elementwise.softplus, [-1e4, 1e4], [0.0, 1e4]),
    "tanh": (minigrad.tanh, [-1e4, 1e4], [-1.0, 1.0]),
    "softmax": (lambda x: minigrad.softmax(x, 0), [1e4, 1e4, -INF], [0.5, 0.5, 0.0]),
    "log_softmax": (lambda x: minigrad.log_softmax(x, 0), [1e4, 1e4], [-np.log(2), -np.log(2)]),
    "logsumexp": (lambda x: minigrad.logsumexp(x, 0), [1e4, 1e4], 1e4 + np.log(2)),
    "logsumexp of nothing": (lambda x: minigrad.logsumexp(x, 0), [-INF, -INF], -INF),
    "logsumexp of infinity": (lambda x: minigrad.logsumexp(x, 0), [INF, 0.0], INF),
    "log1p": (minigrad.log1p, [1e-10], [1e-10]),
    "expm1": (minigrad.expm1, [1e-10], [1e-10]),
    "mean of nothing": (lambda x: x.mean(), [], NAN),
    "var of one": (lambda x: x.var(), [1.0], NAN),
    "clamp of nan": (lambda x: x.clamp(0.0, 1.0), [NAN], [NAN]),
    "maximum of nan": (lambda x: minigrad.maximum(x, 0.0), [NAN], [NAN]),
    "relu of nan": (minigrad.relu, [NAN], [NAN]),
}


@pytest.mark.parametrize(("call", "given", "expected"), EXTREMES.values(), ids=EXTREMES)
@each_dtype
def test_extreme(call, given, expected, dtype):
    """Neither overflow nor lost digits, at the edge of what a dtype holds."""
    found = call(minigrad.tensor(given, dtype=dtype))
    assert_close(found.numpy(), np.asarray(expected), dtype)


def test_arrays_in_arrays_out():
    """A primitive called on bare arrays just computes."""
    found = minigrad.exp(np.zeros(2))
    assert type(found) is np.ndarray
    assert [1.0, 1.0] == found.tolist()


@pytest.mark.parametrize("array_first", [True, False])
def test_array_beside_a_tensor(array_first):
    """A NumPy array on either side of an operator counts as a constant, and the graph stays."""
    x, c = minigrad.tensor([1.0, 2.0], requires_grad=True), np.array([3.0, 4.0], np.float32)
    y = c * x if array_first else x * c
    y.sum().backward()
    assert [3.0, 4.0] == x.grad.tolist()


@pytest.mark.parametrize("index", [None, 0, -1])
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_position_of_extreme(name, index):
    """argmax and argmin give the first of equal elements, as int64."""
    x = np.array([[1.0, 3.0, 3.0], [0.0, 0.0, 2.0]])
    found = getattr(minigrad.tensor(x), name)(index)
    assert minigrad.int64 == found.dtype
    assert getattr(np, name)(x, axis=index).tolist() == found.tolist()


def test_truth():
    """all() and any() ask whether values differ from 0."""
    x = minigrad.tensor([0.0, 2.0])
    assert [False, True] == [bool(x.all()), bool(x.any())]
