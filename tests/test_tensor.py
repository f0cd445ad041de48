"""Making tensors, what they say about themselves, and reading their parts."""

import copy
import pickle

import numpy as np
import pytest

import minigrad

DTYPES = [minigrad.float32, minigrad.float64, minigrad.int64, minigrad.int32, minigrad.uint8, minigrad.bool]


# Creation

FROM_DATA = {
    "float": (1.5, minigrad.float32, ()),
    "integer": (3, minigrad.int64, ()),
    "bool": (True, minigrad.bool, ()),
    "list": ([[1.0, 2.0], [3.0, 4.0]], minigrad.float32, (2, 2)),
    "mixed list": ([1, 2.5], minigrad.float32, (2,)),
    "empty list": ([], minigrad.float32, (0,)),
    "array": (np.zeros((2, 3)), minigrad.float64, (2, 3)),
    "NumPy number": (np.float64(2.0), minigrad.float64, ()),
    "int32 array": (np.zeros(2, np.int32), minigrad.int32, (2,)),
    "range": (range(3), minigrad.int64, (3,)),
}


@pytest.mark.parametrize(("data", "dtype", "shape"), FROM_DATA.values(), ids=FROM_DATA)
def test_from_data(data, dtype, shape):
    """Python floats become float32; arrays keep their dtype."""
    x = minigrad.tensor(data)
    assert (dtype, shape) == (x.dtype, x.shape)
    assert np.array_equal(np.asarray(data), x.numpy())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_given_dtype(dtype):
    """A dtype that is asked for is the dtype that comes."""
    made = [
        minigrad.tensor([0, 1], dtype=dtype), minigrad.zeros(2, dtype=dtype), minigrad.ones((2,), dtype=dtype),
        minigrad.full((2,), 1, dtype=dtype), minigrad.arange(2, dtype=dtype), minigrad.eye(2, dtype=dtype),
        minigrad.zeros_like(minigrad.ones(2), dtype=dtype), minigrad.tensor([1, 0]).to(dtype),
    ]  # fmt: skip
    assert [dtype] * len(made) == [x.dtype for x in made]


MADE = {
    "zeros": (lambda: minigrad.zeros(2, 3), np.zeros((2, 3), np.float32)),
    "ones of a tuple": (lambda: minigrad.ones((2, 1)), np.ones((2, 1), np.float32)),
    "ones of nothing": (lambda: minigrad.ones(()), np.ones((), np.float32)),
    "empty": (lambda: minigrad.empty(2), np.zeros(2, np.float32)),
    "full": (lambda: minigrad.full((2,), 1.5), np.full(2, 1.5, np.float32)),
    "full of integers": (lambda: minigrad.full((2,), 7), np.array([7, 7])),
    "arange": (lambda: minigrad.arange(3), np.array([0, 1, 2])),
    "arange of floats": (lambda: minigrad.arange(1, 2, 0.25), np.array([1, 1.25, 1.5, 1.75], np.float32)),
    "linspace": (lambda: minigrad.linspace(0, 1, 5), np.array([0, 0.25, 0.5, 0.75, 1], np.float32)),
    "eye": (lambda: minigrad.eye(2, 3), np.array([[1, 0, 0], [0, 1, 0]], np.float32)),
    "full_like": (lambda: minigrad.full_like(minigrad.zeros(2, dtype=minigrad.int32), 3), np.array([3, 3], np.int32)),
    "ones_like": (lambda: minigrad.ones_like(minigrad.zeros(1, dtype=minigrad.float64)), np.ones(1)),
}


@pytest.mark.parametrize(("make", "expected"), MADE.values(), ids=MADE)
def test_made(make, expected):
    """Values, shape and dtype are PyTorch's."""
    x = make()
    assert (expected.dtype, expected.shape, expected.tolist()) == (x.dtype, x.shape, x.tolist())
    assert not x.requires_grad


@pytest.mark.parametrize("make", [minigrad.zeros, minigrad.rand, minigrad.randn], ids=["zeros", "rand", "randn"])
def test_made_to_require_grad(make):
    """requires_grad=True makes a leaf."""
    x = make(2, requires_grad=True)
    assert (True, True, None) == (x.requires_grad, x.is_leaf, x.grad)


def test_copy_or_not():
    """tensor() copies; from_numpy() and as_tensor() share the array."""
    array = np.zeros(3)
    copied, shared, also = minigrad.tensor(array), minigrad.from_numpy(array), minigrad.as_tensor(array)
    array[0] = 1
    assert [0.0, 1.0, 1.0] == [t[0].item() for t in (copied, shared, also)]
    assert shared.numpy() is array
    assert minigrad.as_tensor(shared) is shared


# Random numbers

DRAWS = {
    "rand": lambda g: minigrad.rand(1000, generator=g),
    "randn": lambda g: minigrad.randn(1000, generator=g),
    "randint": lambda g: minigrad.randint(2, 5, (1000,), generator=g),
    "randperm": lambda g: minigrad.randperm(1000, generator=g),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_seed(draw):
    """The same seed gives the same numbers, from a generator or from the default one; the next draw differs."""
    generator = minigrad.Generator().manual_seed(3)
    first, second = draw(generator).tolist(), draw(generator).tolist()
    minigrad.manual_seed(3)
    assert first == draw(None).tolist() == draw(minigrad.Generator(3)).tolist()
    assert first != second


def test_generator_state():
    """A saved state continues where it was saved."""
    generator = minigrad.Generator(5)
    minigrad.rand(3, generator=generator)
    state = generator.get_state()
    expected = minigrad.rand(3, generator=generator).tolist()
    generator.set_state(state)
    assert expected == minigrad.rand(3, generator=generator).tolist()
    assert 5 == generator.initial_seed()


def test_distributions():
    """rand fills [0, 1), randn has mean 0 and variance 1, randint its bounds, randperm every number."""
    generator = minigrad.Generator(0)
    uniform, normal = minigrad.rand(20_000, generator=generator), minigrad.randn(20_000, generator=generator)
    whole, order = minigrad.randint(3, (1000,), generator=generator), minigrad.randperm(50, generator=generator)
    assert 0 <= uniform.min().item() < 0.001 < 0.999 < uniform.max().item() < 1
    assert (0, 1) == (pytest.approx(normal.mean().item(), abs=0.03), pytest.approx(normal.std().item(), abs=0.03))
    assert {0, 1, 2} == set(whole.tolist())
    assert list(range(50)) == sorted(order.tolist())
    assert (minigrad.float32, minigrad.int64) == (normal.dtype, whole.dtype)


# What a tensor says

REPRS = {
    "floats": (lambda: minigrad.tensor([1.0, 2.5]), "tensor([1.0000, 2.5000])"),
    "whole floats": (lambda: minigrad.tensor([1.0, 2.0]), "tensor([1., 2.])"),
    "integers": (lambda: minigrad.tensor([1, 2]), "tensor([1, 2])"),
    "number": (lambda: minigrad.tensor(3.0), "tensor(3.)"),
    "bools": (lambda: minigrad.tensor([True, False]), "tensor([ True, False])"),
    "nothing": (lambda: minigrad.tensor([]), "tensor([])"),
    "matrix": (lambda: minigrad.eye(2), "tensor([[1., 0.],\n        [0., 1.]])"),
    "float64": (lambda: minigrad.ones(1, dtype=minigrad.float64), "tensor([1.], dtype=float64)"),
    "leaf": (lambda: minigrad.ones(1, requires_grad=True), "tensor([1.], requires_grad=True)"),
    "result": (lambda: minigrad.ones(1, requires_grad=True) * 2, "tensor([2.], grad_fn=<mul>)"),
}


@pytest.mark.parametrize(("make", "expected"), REPRS.values(), ids=REPRS)
def test_repr(make, expected):
    """The text shows values, dtype where it is not the usual one, and the place in the graph."""
    assert expected == repr(make())


def test_attributes():
    """Shape, dtype and number of elements, under all their names."""
    x = minigrad.zeros(2, 3)
    assert ((2, 3), (2, 3), 3, 2, 2, 6, 2) == (x.shape, x.size(), x.size(-1), x.ndim, x.dim(), x.numel(), len(x))
    assert (True, False, True) == (x.is_contiguous(), x.T.is_contiguous(), x.T.contiguous().is_contiguous())
    assert (True, False) == (x.is_floating_point(), x.long().is_floating_point())


def test_as_python_numbers():
    """One element converts to a Python number, a truth value, an index, or formatted text."""
    x = minigrad.tensor([2.5])
    assert (2.5, 2.5, 2, True) == (x.item(), float(x), int(x), bool(x))
    assert "c" == "abcd"[minigrad.tensor(2)]
    assert "2.50" == f"{minigrad.tensor(2.5):.2f}"
    assert [[1, 2], [3, 4]] == minigrad.tensor([[1, 2], [3, 4]]).tolist()


def test_as_numpy():
    """numpy() shares the memory, np.asarray() takes a tensor, and both refuse one in the graph."""
    x = minigrad.zeros(2)
    x.numpy()[0] = 5
    assert [5.0, 0.0] == np.asarray(x).tolist()
    base = minigrad.zeros(2)
    part = base[:1]
    base[0] = minigrad.ones((), requires_grad=True)
    for tracked in (minigrad.zeros(2, requires_grad=True), part):
        with pytest.raises(RuntimeError, match="detach"):
            tracked.numpy()


def test_comparison_with_other_things():
    """Equality with what is no number is False; order is Python's own error."""
    x = minigrad.ones(2)
    assert (False, True) == (x == None, x != "text")  # noqa: E711
    with pytest.raises(TypeError, match="not supported between"):
        x < None  # noqa: B015
    assert 1 == len({x, x})


def test_leaves_and_detach():
    """detach() and data share memory outside the graph; requires_grad can be switched at leaves."""
    x = minigrad.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    assert (True, False, "mul") == (x.is_leaf, y.is_leaf, y.grad_fn.primitive.__name__)
    assert (False, False) == (y.detach().requires_grad, x.data.requires_grad)
    y.detach().numpy()[0] = 7.0
    assert [7.0, 4.0] == y.tolist()
    x.requires_grad = False
    assert not (x * 2).requires_grad


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"])
def test_copies(copied):
    """A copied leaf has its own memory and still wants a gradient."""
    x = minigrad.tensor([1.0, 2.0], requires_grad=True)
    y = copied(x)
    with minigrad.no_grad():
        y[0] = 9.0
    assert ([1.0, 2.0], [9.0, 2.0], True, True) == (x.tolist(), y.tolist(), y.requires_grad, y.is_leaf)


# Reading parts; values are NumPy's, but an integer beside arrays picks first, as in PyTorch

INDICES = {
    "integer": 1,
    "negative": -1,
    "slice": slice(1, None),
    "step": (slice(None), slice(None, None, 2)),
    "backwards": slice(None, None, -1),
    "empty slice": slice(2, 1),
    "new axis": (None, 0, None),
    "ellipsis": (Ellipsis, 1),
    "list": [1, 0, 1],
    "empty list": [],
    "lists": ([0, 1], [2, 0]),
    "lists apart": ([0, 1], slice(None), [3, 0]),
    "nested list": [[0, 1], [1, 1]],
    "mask": np.array([True, False]),
    "whole mask": np.arange(24).reshape(2, 3, 4) % 5 == 0,
    "mask in the middle": (slice(None), np.array([True, False, True])),
    "list of bools": [False, True],
    "array and slice": (slice(None), np.array([2, 1]), slice(1, 3)),
    "NumPy integer": np.int64(1),
    "nothing": (),
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_index(index):
    """Every kind of index reads what NumPy reads, and gives the gradient back to those places."""
    array = np.arange(24.0).reshape(2, 3, 4)
    x = minigrad.tensor(array, requires_grad=True)
    y, expected = x[index], array[index]
    assert (expected.shape, expected.tolist()) == (y.shape, y.tolist())
    y.backward(minigrad.ones_like(y))
    count = np.zeros_like(array)
    np.add.at(count, index, 1.0)
    assert count.tolist() == x.grad.tolist()


@pytest.mark.parametrize("as_tensor", [minigrad.tensor, np.array, list], ids=["tensor", "array", "list"])
def test_integer_beside_array(as_tensor):
    """An integer picks before arrays do, so the picked axis stays where it was."""
    array = np.arange(24.0).reshape(2, 3, 4)
    x = minigrad.tensor(array, requires_grad=True)
    y = x[1, :, as_tensor([0, 2])]
    assert array[1][:, [0, 2]].tolist() == y.tolist()
    y.sum().backward()
    assert (6.0, 0.0) == (x.grad.sum().item(), x.grad[0].sum().item())
    with minigrad.no_grad():
        x[1, :, as_tensor([0, 2])] = -1.0
    assert [[-1.0, -1.0]] * 3 == x[1][:, [0, 2]].tolist()


def test_index_keeps_its_values():
    """Changing an index afterwards does not change where the gradient goes."""
    x = minigrad.tensor([1.0, 2.0, 3.0], requires_grad=True)
    for index, new, expected in [
        (minigrad.tensor([0, 1]), 2, [1.0, 1.0, 0.0]),
        (np.array([0, 1]), 2, [1.0, 1.0, 0.0]),
        (minigrad.tensor([True, False, True]), False, [1.0, 0.0, 1.0]),
    ]:
        x.grad = None
        y = x[index]
        index[0] = new
        y.sum().backward()
        assert expected == x.grad.tolist()


def test_condition_keeps_its_values():
    """Changing the condition of where() afterwards does not change the gradient."""
    x, condition = minigrad.ones(2, requires_grad=True), minigrad.tensor([True, False])
    y = minigrad.where(condition, x, x * 2)
    condition[0] = False
    y.sum().backward()
    assert [1.0, 2.0] == x.grad.tolist()


def test_iteration():
    """Iterating gives the parts along the first axis, as views."""
    x = minigrad.zeros(2, 2)
    for i, row in enumerate(x):
        row.fill_(i)
    assert [[0.0, 0.0], [1.0, 1.0]] == x.tolist()
