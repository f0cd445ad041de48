"""The same calls on PyTorch: values, gradients, dtypes and shapes agree."""

import itertools
import operator

import numpy as np
import pytest

import minigrad

from .cases import PLACE_IDS, PLACES

torch = pytest.importorskip("torch", reason="PyTorch is not installed, so there is nothing to compare with")

LIBRARIES = (minigrad, torch)
INF, NAN = float("inf"), float("nan")


def name_of(dtype):
    return str(dtype).removeprefix("torch.")


def plain(x):
    """The values as an array, from either library."""
    return np.array(x.detach().tolist()).reshape(tuple(x.shape))


def assert_same(ours, theirs, **tolerance):
    """Equal dtype, shape and, up to the last digits, values; NaN where NaN is."""
    assert name_of(theirs.dtype) == name_of(ours.dtype)
    assert tuple(theirs.shape) == tuple(ours.shape)
    np.testing.assert_allclose(plain(ours), plain(theirs), **{"rtol": 1e-12, "atol": 1e-12, **tolerance})


def assert_parity(call, arrays, torch_call=None, **tolerance):
    """`call(m, *tensors)` and its gradients, for an upstream of tenths, agree in both libraries."""
    results = []
    for m, function in zip(LIBRARIES, (call, torch_call or call)):
        tensors = [m.tensor(array, requires_grad=True) for array in arrays]
        with np.errstate(all="ignore"):
            result = function(m, *tensors)
            upstream = np.arange(1, plain(result).size + 1).reshape(tuple(result.shape)) / 10
            result.backward(m.tensor(upstream, dtype=result.dtype))
        results.append([result, *(x.grad for x in tensors)])
    for ours, theirs in zip(*results, strict=True):
        assert_same(ours, theirs, **tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize(("case", "shapes"), PLACES, ids=PLACE_IDS)
def test_operation(case, shapes, dtype):
    """Every row of the table gives PyTorch's values and gradients."""
    tolerance = {"rtol": 2e-5, "atol": 5e-6} if dtype is np.float32 else {}
    assert_parity(case.call, case.arrays(shapes, dtype), case.torch, **tolerance)


# Kinks, ties and edges: the choice of subgradient is PyTorch's.

TIES = ([1.0, 2.0, 3.0, -1.0], [1.0, 3.0, 3.0, -2.0])
ZEROS = ([-1.0, 0.0, 2.0],)
EDGES = {
    "maximum": (lambda m, x, y: m.maximum(x, y), TIES),
    "minimum": (lambda m, x, y: m.minimum(x, y), TIES),
    "maximum of itself": (lambda m, x: m.maximum(x, x), ZEROS),
    "max": (lambda m, x: x.max(), ([3.0, 1.0, 3.0],)),
    "min": (lambda m, x: x.min(), ([[3.0, 1.0], [1.0, 1.0]],)),
    "amax": (lambda m, x: m.amax(x, 1), ([[3.0, 1.0, 3.0], [2.0, 2.0, 2.0]],)),
    "max along": (lambda m, x: x.max(1)[0], ([[3.0, 1.0, 3.0], [2.0, 2.0, 2.0]],)),
    "min along": (lambda m, x: x.min(dim=0, keepdim=True).values, ([[3.0, 1.0], [3.0, 1.0]],)),
    "relu": (lambda m, x: m.relu(x), ZEROS),
    "abs": (lambda m, x: m.abs(x), ZEROS),
    "sign": (lambda m, x: m.sign(x), ZEROS),
    "floor": (lambda m, x: m.floor(x), ZEROS),
    "round": (lambda m, x: m.round(x), ([0.5, 1.5, 2.5, -0.5],)),
    "clamp": (lambda m, x: m.clamp(x, -1.0, 2.0), ZEROS),
    "clamp to tensor": (lambda m, x, y: m.clamp(x, min=y), TIES),
    "clamp to tensors": (lambda m, x, y: m.clamp(x, max=y), TIES),
    "clamp crossed": (lambda m, x: m.clamp(x, 1.0, -1.0), ZEROS),
    "pow 0": (lambda m, x: x**0, ZEROS),
    "pow 1": (lambda m, x: x**1, ZEROS),
    "pow half": (lambda m, x: x**0.5, ([0.0, 4.0],)),
    "pow -1": (lambda m, x: x**-1, ([0.0, 4.0],)),
    "pow tensor": (lambda m, x, y: x**y, ([0.0, 0.0, 0.0, -2.0, -2.0, 2.0], [0.0, 2.0, 1.0, 2.0, 0.5, 0.0])),
    "pow of 0": (lambda m, x: 0.0**x, ([0.0, 1.0, 2.0],)),
    "pow of 1": (lambda m, x: 1**x, ([0.0, 1.0, 2.0],)),
    "std": (lambda m, x: x.std(1), ([[2.0, 2.0, 2.0], [1.0, 2.0, 3.0]],)),
    "std of one": (lambda m, x: x.std(0, unbiased=False), ([2.0],)),
    "mean of nothing": (lambda m, x: x.mean(), ([],)),
    "sqrt": (lambda m, x: m.sqrt(x), ([0.0, 4.0, -1.0],)),
    "log": (lambda m, x: m.log(x), ([0.0, 1.0, -1.0],)),
    "div": (lambda m, x, y: x / y, ([1.0, 0.0, -1.0], [0.0, 0.0, 2.0])),
    "remainder": (lambda m, x, y: m.remainder(x, y), ([5.0, -5.0, 5.0, 4.0], [3.0, 3.0, -3.0, 2.0])),
    "sigmoid": (lambda m, x: m.sigmoid(x), ([-1e3, 0.0, 1e3],)),
    "tanh": (lambda m, x: m.tanh(x), ([-1e3, 0.0, 1e3],)),
    "logsumexp": (lambda m, x: m.logsumexp(x, 1), ([[INF, 0.0], [-INF, 1.0], [1e3, 1e3]],)),
    "softmax": (lambda m, x: m.softmax(x, 1), ([[-INF, 0.0], [1e3, -1e3], [1e3, 1e3]],)),
    "log_softmax": (lambda m, x: m.log_softmax(x, 1), ([[-INF, 0.0], [1e3, -1e3], [1e3, 1e3]],)),
    "where": (lambda m, x: m.where(x > 0, x, x * 2), ZEROS),
    "sum over no dims": (lambda m, x: x.sum(()), ([[1.0, 2.0]],)),
    "mean over no dims": (lambda m, x: x.mean(dim=()), ([[1.0, 2.0]],)),
    "amax over no dims": (lambda m, x: x.amax(()), ([[1.0, 2.0]],)),
    "sum of nothing": (lambda m, x: x.sum(0), (np.zeros((0, 2)),)),
}


@pytest.mark.parametrize(("call", "given"), EDGES.values(), ids=EDGES)
def test_edge(call, given):
    """At kinks, ties, zeros and infinities, values and gradients are PyTorch's."""
    assert_parity(call, [np.array(values, np.float64) for values in given])


# Dims

DIMS = [None, 0, 1, -1, -3, (0,), (1, 2), (-1, 0), (0, 1, 2)]
REDUCTIONS = ["sum", "mean", "var", "std", "amax", "amin"]


@pytest.mark.parametrize("keepdim", [False, True], ids=["drop", "keep"])
@pytest.mark.parametrize("dim", DIMS, ids=str)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reduction_dims(name, dim, keepdim):
    """Every reduction takes one dim, several, negative ones, or none."""
    array = np.random.default_rng(1).standard_normal((2, 3, 4))
    dim = tuple(range(3)) if dim is None and name.startswith("am") else dim
    assert_parity(lambda m, x: getattr(m, name)(x, dim=dim, keepdim=keepdim), [array])


POSITIONAL = [
    *itertools.product(["sum", "mean", "var", "std"], [(), (1,), (1, True), (-1, False)]),
    *itertools.product(["var", "std"], [(False,), (True,), (0, False, True)]),
]


@pytest.mark.parametrize(("name", "arguments"), POSITIONAL, ids=str)
def test_positional_arguments(name, arguments):
    """What stands second and third is what PyTorch takes it for."""
    array = np.random.default_rng(1).standard_normal((2, 3))
    assert_parity(lambda m, x: getattr(x, name)(*arguments), [array])


@pytest.mark.parametrize("dim", [0, 1, -1, -2])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "max", "min", "argmax", "argmin", "unbind"])
def test_along_dim(name, dim):
    """Operations along one dim agree in values, and in indices where they give some."""
    array = np.random.default_rng(2).standard_normal((3, 4))
    ours, theirs = (getattr(m, name)(m.tensor(array), dim) for m in LIBRARIES)
    as_tuple = isinstance(theirs, tuple)
    for found, expected in zip(ours if as_tuple else [ours], theirs if as_tuple else [theirs], strict=True):
        assert_same(found, expected)


# Dtypes

DTYPES = ["float32", "float64", "int64", "int32", "uint8", "bool"]
SCALARS = {"bool number": True, "int number": 3, "float number": 2.5}
OPERATORS = ["add", "mul", "truediv", "lt", "eq"]
OPERANDS = [(dtype, ndim) for dtype in DTYPES for ndim in (0, 1)]


def operand(m, kind):
    if kind in SCALARS:
        return SCALARS[kind]
    dtype, ndim = kind
    return m.full((2,) * ndim, 1, dtype=getattr(m, dtype))


@pytest.mark.parametrize("name", OPERATORS)
def test_promotion(name):
    """The dtype of x + y, x * y, x / y and comparisons, for all pairs of tensors, 0-d tensors and numbers."""
    function = getattr(operator, name)
    pairs = list(itertools.product(OPERANDS, [*OPERANDS, *SCALARS]))
    pairs += [(y, x) for x, y in pairs if y in SCALARS]
    wrong = []
    for x, y in pairs:
        ours, theirs = (function(operand(m, x), operand(m, y)) for m in LIBRARIES)
        if (name_of(ours.dtype), ours.tolist()) != (name_of(theirs.dtype), theirs.tolist()):
            wrong.append((x, y, ours, theirs))
    assert [] == wrong


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["exp", "sqrt", "sigmoid", "sum", "abs", "relu", "max", "isnan", "floor"])
def test_dtype_of_result(name, dtype):
    """Functions of integers and bools give PyTorch's dtype, or both refuse."""
    results = []
    for m in LIBRARIES:
        try:
            results.append(name_of(getattr(m, name)(m.full((2,), 1, dtype=getattr(m, dtype))).dtype))
        except (RuntimeError, TypeError):
            results.append("refused")
    assert results[1] in (results[0], "refused")


def test_python_dtypes():
    """`float`, `int` and `bool` mean the same dtype as in PyTorch."""
    for dtype in (float, int, bool):
        assert name_of(torch.ones(1, dtype=dtype).dtype) == name_of(minigrad.ones(1, dtype=dtype).dtype)


# Products

SHAPES = [(3,), (3, 3), (2, 3), (3, 2), (1, 3, 3), (4, 3, 3), (2, 1, 3, 3), (4, 2, 3), (0, 3)]


@pytest.mark.parametrize(("left", "right"), list(itertools.product(SHAPES, SHAPES)), ids=str)
def test_matmul_shapes(left, right):
    """Every pair of shapes multiplies as in PyTorch, with its gradients, or is refused as there."""
    rng = np.random.default_rng(3)
    arrays = [rng.standard_normal(left), rng.standard_normal(right)]
    try:
        torch.matmul(*map(torch.tensor, arrays))
    except RuntimeError:
        with pytest.raises(RuntimeError, match="matmul"):
            minigrad.matmul(*map(minigrad.tensor, arrays))
    else:
        assert_parity(lambda m, x, y: x @ y, arrays)


# Reading and writing parts

PARTS = {
    "integer": lambda m: 1,
    "integers": lambda m: (-1, 0, 2),
    "slice": lambda m: slice(1, None),
    "steps": lambda m: (slice(None), slice(0, 3, 2), slice(1, None, 3)),
    "new axis": lambda m: (None, 0, Ellipsis, None),
    "ellipsis": lambda m: (Ellipsis, 1),
    "list": lambda m: [1, 0, 1],
    "lists": lambda m: ([0, 1], [2, 0]),
    "lists apart": lambda m: ([0, 1], slice(None), [3, 0]),
    "list and slice": lambda m: (slice(None), [2, 0, 2], slice(1, 3)),
    "integer and list": lambda m: (1, [2, 0]),
    "integer apart from list": lambda m: (0, slice(None), [3, 3]),
    "list apart from integer": lambda m: ([1, 0], slice(None), 2),
    "integer, lists": lambda m: (slice(None), 1, [0, 1]),
    "new axis and list": lambda m: (None, [0, 1], slice(None), [0, 1]),
    "tensor": lambda m: m.tensor([[0, 1], [1, 1]]),
    "tensors": lambda m: (m.tensor([[0], [1]]), m.tensor([0, 2])),
    "number in a tensor": lambda m: (m.tensor(1), slice(None), [0, 1]),
    "mask": lambda m: m.tensor([True, False]),
    "whole mask": lambda m: m.tensor(np.arange(24).reshape(2, 3, 4) % 5 == 0),
    "mask and integer": lambda m: (slice(None), m.tensor([True, False, True]), 1),
    "mask and list": lambda m: ([0, 1], m.tensor([True, False, True])),
    "nothing": lambda m: (),
    "empty list": lambda m: m.tensor(np.zeros(0, np.int64)),
}
CUBE = np.random.default_rng(4).standard_normal((2, 3, 4))


@pytest.mark.parametrize("index", PARTS.values(), ids=PARTS)
def test_read_part(index):
    """x[index] has PyTorch's shape, values and gradient."""
    assert_parity(lambda m, x: x[index(m)], [CUBE])


def names_a_place_twice(index):
    """Which of several values stays is then PyTorch's secret."""
    places = torch.arange(24).reshape(2, 3, 4)[index(torch)].flatten().tolist()
    return len(set(places)) < len(places)


WRITABLE = {name: index for name, index in PARTS.items() if not names_a_place_twice(index)}


@pytest.mark.parametrize("size", ["number", "one", "part"])
@pytest.mark.parametrize("index", WRITABLE.values(), ids=WRITABLE)
def test_write_part(index, size):
    """x[index] = v and x[index] += v have PyTorch's values and gradients, for v of the part's shape or smaller."""
    shape = {"number": (), "one": (1, 1, 1, 1, 1), "part": tuple(torch.tensor(CUBE)[index(torch)].shape)}[size]
    values = np.random.default_rng(5).standard_normal(shape)

    def write(m, x, v):
        y = x * 1
        y[index(m)] = v
        y[index(m)] += v.sum()
        return y * x

    assert_parity(write, [CUBE, values])
