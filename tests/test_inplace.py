"""Writing in place: right values, right gradients, or an error; never silently wrong."""

import numpy as np
import pytest

import minigrad
from minigrad import autograd, graph


def leaf(values):
    return minigrad.tensor(values, dtype=minigrad.float64, requires_grad=True)


# A write is worth the same as the out-of-place form beside it.


def _add(x, w):
    y = x * 1
    y += w
    return y * x, (x + w) * x


def _chain(x, w):
    y = x * 1
    y.mul_(w).add_(1.0).tanh_()
    return y, minigrad.tanh(x * w + 1.0)


def _set_row(x, w):
    y = x * 1
    y[0] = w[0] * 2
    return y * w, minigrad.stack([w[0] * 2, x[1]]) * w


def _add_to_row(x, w):
    y = x * 1
    y[1] += w[0]
    return y, minigrad.stack([x[0], x[1] + w[0]])


def _set_column(x, w):
    y = x * 1
    y[:, 0] = w.sum()
    return y, minigrad.cat([w.sum().expand(2, 1), x[:, 1:]], 1)


def _set_by_list(x, w):
    y = x * 1
    y[[1, 0], [0, 2]] = w[0, :2]
    return y, minigrad.stack([minigrad.stack([x[0, 0], x[0, 1], w[0, 1]]), minigrad.stack([w[0, 0], x[1, 1], x[1, 2]])])


def _set_by_mask(x, w):
    y, mask = x * 1, np.array([[True, False, True], [False, True, False]])
    y[mask] = w[mask] * 3
    return y, minigrad.where(minigrad.tensor(mask), w * 3, x)


def _set_twice(x, w):
    y = x * 1
    y[[0, 0]] = w
    return y, minigrad.stack([w[1], x[1]])


def _view(x, w):
    y = x * 1
    part = y[0]
    part *= w[0]
    return y * part, minigrad.stack([x[0] * w[0], x[1]]) * (x[0] * w[0])


def _view_of_view(x, w):
    y = x * 1
    part = y.T[1:]
    row = part[0]
    row.mul_(3.0)
    part.add_(w[:, 1:].T)
    middle, last = x[:, 1] * 3 + w[:, 1], x[:, 2] + w[:, 2]
    return y * row.sum(), minigrad.stack([x[:, 0], middle, last], 1) * middle.sum()


def _view_sees_base(x, w):
    y = x * 1
    part = y[:, :2]
    y.mul_(w)
    return part * part, ((x * w)[:, :2]) ** 2


def _siblings(x, w):
    y = x * 1
    first, second = y[0], y[0, 1:]
    first.mul_(w[1])
    second.exp_()
    row = x[0] * w[1]
    return first + y, minigrad.cat([row[:1], minigrad.exp(row[1:])]) + minigrad.stack(
        [minigrad.cat([row[:1], minigrad.exp(row[1:])]), x[1]]
    )


def _into_constant(x, w):
    y = minigrad.zeros(2, 3, dtype=minigrad.float64)
    part = y[0]
    y[0] = x[0]
    part += w[0]
    return y, minigrad.stack([x[0] + w[0], x[0] * 0])


def _shift(x, w):
    y = x * w
    y[:, 1:] = y[:, :-1]
    return y, minigrad.cat([(x * w)[:, :1], (x * w)[:, :2]], 1)


def _view_as_value(x, w):
    source = minigrad.zeros(3, dtype=minigrad.float64)
    part = source[:2]
    source[0] = w.sum()
    y = minigrad.zeros(2, dtype=minigrad.float64)
    y[:] = part
    return y * x[0, 0], minigrad.stack([w.sum(), w.sum() * 0]) * x[0, 0]


def _fill(x, w):
    y = x * 1
    y[0].fill_(w.sum())
    y[1].zero_()
    return y + x, minigrad.stack([w.sum().expand(3), x[1] * 0]) + x


def _copy(x, w):
    y = x * 1
    y.T.copy_(w[0].reshape(3, 1))
    return y * x, w[0].expand(2, 3) * x


def _before_and_after(x, w):
    y = x * 1
    before = y + w
    y *= 2
    return before * y, (x + w) * (x * 2)


def _widened(x, w):
    y = x * 1
    y[:, :1] = w[:1, :1].reshape(1, 1, 1, 1)
    return y, minigrad.cat([w[:1, :1].expand(2, 1), x[:, 1:]], 1)


PROGRAMS = {
    program.__name__[1:].replace("_", " "): program
    for program in (
        _add, _chain, _set_row, _add_to_row, _set_column, _set_by_list, _set_by_mask, _set_twice, _view, _view_of_view,
        _view_sees_base, _siblings, _into_constant, _shift, _view_as_value, _fill, _copy, _before_and_after, _widened,
    )
}  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_same_as_out_of_place(program):
    """Values, gradients and second derivatives are those of the out-of-place form."""
    rng = np.random.default_rng(0)
    values = rng.uniform(0.5, 1.5, (2, 2, 3))
    results = []
    for form in (0, 1):
        x, w = leaf(values[0]), leaf(values[1])
        y = program(x, w)[form]
        slopes = autograd.grad((y * y).sum(), (x, w), create_graph=True)
        curves = autograd.grad(sum((slope * slope).sum() for slope in slopes), (x, w))
        results.append([y, *slopes, *curves])
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found.tolist(), expected.tolist(), rtol=1e-12, atol=1e-12)
    assert autograd.gradcheck(lambda x, w: program(x, w)[0], (leaf(values[0]), leaf(values[1])))


# A rule that needs a value finds it changed.

SPOILED = {
    "argument of mul": (lambda x: x * x, "argument"),
    "result of exp": (minigrad.exp, "result"),
    "result of tanh": (minigrad.tanh, "result"),
    "argument of sin": (minigrad.sin, "argument"),
    "argument of matmul": (lambda x: x @ x, "argument"),
    "result of softmax": (lambda x: minigrad.softmax(x, 0), "result"),
}
WRITES = {
    "add_": lambda y: y.add_(1.0),
    "item": lambda y: y.__setitem__(0, 0.0),
    "through a view": lambda y: y[1:].mul_(2.0),
    "through detach": lambda y: y.detach().mul_(2.0),
    "under no_grad": lambda y: _under_no_grad(y),
}


def _under_no_grad(y):
    with minigrad.no_grad():
        y -= 0.1


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize(("function", "which"), SPOILED.values(), ids=SPOILED)
def test_overwritten_value(function, which, write):
    """Backward refuses, naming the operation and the mend, when a value that it needs was overwritten."""
    h = leaf([1.0, 2.0]) * 1
    y = function(h)
    result = y + 0
    write(h if which == "argument" else y)
    with pytest.raises(RuntimeError, match=rf"{which}.*in-place.*out-of-place") as caught:
        result.sum().backward()
    assert "(): " not in str(caught.value)
    assert "() needs" in str(caught.value)


UNSPOILED = {
    "add": (lambda h: h + 1, [1.0, 1.0]),
    "mul by a number": (lambda h: h * 3, [3.0, 3.0]),
    "sum": (lambda h: h.sum(0), [1.0, 1.0]),
    "copied part": (lambda h: h[1:].clone(), [0.0, 1.0]),
    "exp": (minigrad.exp, np.exp([1.0, 2.0]).tolist()),
}


@pytest.mark.parametrize(("function", "expected"), UNSPOILED.values(), ids=UNSPOILED)
def test_overwritten_value_nobody_needs(function, expected):
    """A value that no rule reads may be overwritten."""
    x = leaf([1.0, 2.0])
    h = x * 1
    y = function(h)
    h.zero_()
    y.sum().backward()
    assert expected == pytest.approx(x.grad.tolist(), rel=1e-12)


def test_function_notices_overwriting():
    """saved_tensors refuses to hand out what was changed."""

    class Square(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return grad * 2 * x

    h = leaf([1.0, 2.0]) * 1
    y = Square.apply(h)
    h.add_(1.0)
    with pytest.raises(RuntimeError, match="Square needs a saved tensor.*in-place"):
        y.sum().backward()


# What may be written to

REFUSED = {
    "leaf": (lambda: leaf([1.0, 2.0]), lambda x: x.add_(1.0), "add_.*leaf.*no_grad"),
    "leaf by item": (lambda: leaf([1.0, 2.0]), lambda x: x.__setitem__(0, 1.0), "setitem.*leaf"),
    "view of leaf": (lambda: leaf([1.0, 2.0]), lambda x: x[:1].mul_(2.0), "mul_.*leaf"),
    "leaf that is a view": (
        lambda: minigrad.ones(2)[:1].requires_grad_(), lambda x: x.mul_(2.0), "mul_.*leaf"),
    "expanded": (lambda: minigrad.ones(1).expand(3), lambda x: x.add_(1.0), r"add_.*expand\(\)"),
    "larger result": (lambda: minigrad.ones(3), lambda x: x.add_(minigrad.ones(2, 3)), r"add_.*\(2, 3\).*\(3,\)"),
    "integers": (lambda: minigrad.tensor([1, 2]), lambda x: x.add_(1.5), "add_.*float32.*int64"),
    "division of integers": (lambda: minigrad.tensor([1, 2]), lambda x: x.div_(2), "div_.*float32.*int64"),
    "item of wrong shape": (
        lambda: minigrad.ones(2, 2), lambda x: x.__setitem__(0, minigrad.ones(3)), r"setitem.*\(3,\).*\(2,\)"),
    "item of wrong dtype": (
        lambda: minigrad.tensor([1, 2]), lambda x: x.__setitem__(0, minigrad.tensor(1.5)), "setitem.*float32.*int64"),
    "item out of range": (lambda: minigrad.ones(2), lambda x: x.__setitem__(5, 1.0), "5.*out of bounds.*2"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "write", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(make, write, message):
    """A refused write says why, and changes neither values nor graph."""
    x = make()
    values, node, written = x.tolist(), x.node, graph.last_write_to(x.array)
    with pytest.raises((RuntimeError, TypeError, IndexError), match=message):
        write(x)
    assert (values, node, written) == (x.tolist(), x.node, graph.last_write_to(x.array))


def test_leaf_under_no_grad():
    """Under no_grad() a leaf changes its values and stays a leaf, as an optimizer needs it."""
    x = leaf([1.0, 2.0])
    (x * 3).sum().backward()
    with minigrad.no_grad():
        x -= 0.5 * x.grad
        x[0] = 7.0
    assert ([7.0, 0.5], True, True) == (x.tolist(), x.is_leaf, x.requires_grad)


def test_view_asked_without_recording():
    """Looking at a view under no_grad() after a write to its base does not cut it from the graph."""
    x = leaf([1.0, 2.0, 3.0])
    y = x * 1
    part = y[:2]
    y.mul_(3)
    with minigrad.no_grad():
        assert part.requires_grad
    part.sum().backward()
    assert [3.0, 3.0, 0.0] == x.grad.tolist()


def test_write_of_mixed_dtypes():
    """A float64 result is rounded into a float32 tensor, and its gradient comes back in float64."""
    w = leaf([1.0, 2.0])
    y = minigrad.zeros(2)
    y += w
    y[0] = w[1]
    assert minigrad.float32 == y.dtype
    (y * 3).sum().backward()
    assert ([0.0, 6.0], minigrad.float64) == (w.grad.tolist(), w.grad.dtype)


IN_PLACE = ["neg", "exp", "log", "sqrt", "tanh", "sigmoid", "relu", "abs", "floor", "ceil", "round"]


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_function(name):
    """f_() writes what f() returns, into the same memory, and returns the tensor."""
    x = minigrad.tensor([0.5, 1.5, 2.0])
    memory, expected = x.array, getattr(x, name)()
    assert x is getattr(x, name + "_")()
    assert memory is x.array
    assert expected.tolist() == x.tolist()


def test_in_place_operators():
    """All augmented assignments keep tensor and memory."""
    x = y = minigrad.tensor([8.0, 9.0])
    x += 1
    x -= 2
    x *= 3
    x /= 2
    x **= 2
    x //= 2
    x %= 10
    assert x is y
    assert [(((8 - 1) * 1.5) ** 2 // 2) % 10, (((9 - 1) * 1.5) ** 2 // 2) % 10] == x.tolist()
    assert [True] == (minigrad.tensor([True]).__iand__(minigrad.tensor([True]))).tolist()
