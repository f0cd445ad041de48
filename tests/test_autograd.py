"""Gradients as values, hand-written functions, switching recording off, and higher orders."""

import numpy as np
import pytest

import minigrad
from minigrad import autograd


def leaf(values, dtype=minigrad.float64):
    return minigrad.tensor(values, dtype=dtype, requires_grad=True)


class Exp(autograd.Function):
    """Saves its result."""

    @staticmethod
    def forward(ctx, x):
        y = minigrad.exp(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad):
        (y,) = ctx.saved_tensors
        return grad * y


class MulAdd(autograd.Function):
    """x * y + k and x - y: two tensors and a number in, two tensors out."""

    @staticmethod
    def forward(ctx, x, y, k):
        ctx.save_for_backward(x, y)
        return x * y + k, x - y

    @staticmethod
    def backward(ctx, product, difference):
        x, y = ctx.saved_tensors
        return product * y + difference, product * x - difference, None


# backward


def test_gradients_accumulate():
    """A second backward adds to .grad, and zeroing starts anew."""
    x = leaf([1.0, 2.0])
    for expected in ([3.0, 3.0], [6.0, 6.0]):
        (x * 3).sum().backward()
        assert expected == x.grad.tolist()
    x.grad = None
    (x * 2).sum().backward()
    assert [2.0, 2.0] == x.grad.tolist()


def test_fan_out():
    """A value used in several places gets the sum of their gradients."""
    x = leaf(3.0)
    y = x * 2
    (y * y + y + x).backward()
    assert 2 * 2 * 6.0 + 2 + 1 == x.grad.item()


def test_gradient_is_nobodys_memory():
    """Two leaves never share the memory of a gradient, with each other or with the upstream one."""
    for create_graph in (False, True):
        x, y, upstream = leaf([1.0, 2.0]), leaf([1.0, 2.0]), minigrad.ones(2, dtype=minigrad.float64)
        (x + y).backward(upstream, create_graph=create_graph)
        with minigrad.no_grad():
            x.grad.zero_()
        assert [[1.0, 1.0], [1.0, 1.0]] == [y.grad.tolist(), upstream.tolist()]
        x, y = leaf([1.0, 2.0]), leaf([1.0, 2.0])
        ((x + y) * 3).sum().backward(create_graph=create_graph)
        with minigrad.no_grad():
            x.grad.zero_()
        assert [3.0, 3.0] == y.grad.tolist()


def test_kept_graph_keeps_its_values():
    """A gradient that is a saved value does not hand that value's memory out."""

    class Saved(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.slope = x.detach() * 2
            return x * x

        @staticmethod
        def backward(ctx, grad):
            return ctx.slope

    x = leaf([1.0, 2.0])
    y = Saved.apply(x).sum()
    for expected in ([2.0, 4.0], [4.0, 8.0], [6.0, 12.0]):
        y.backward(retain_graph=True)
        assert expected == x.grad.tolist()


def test_backward_of_several():
    """autograd.backward() adds the gradients of all the tensors given."""
    x = leaf([1.0, 2.0])
    autograd.backward([x.sum(), x * 2], [None, minigrad.tensor([1.0, 3.0], dtype=minigrad.float64)])
    assert [3.0, 7.0] == x.grad.tolist()


def test_backward_from_a_leaf_that_is_not_chosen():
    """It receives no gradient, although it is where the walk begins."""
    a, b = (minigrad.tensor(2.0, requires_grad=True) for _ in range(2))
    minigrad.autograd.backward([a, b], inputs=[a])
    assert a.grad.item() == 1 and b.grad is None


def test_backward_for_chosen_inputs():
    """With inputs= only those receive a gradient, leaves or not."""
    x, w = leaf(2.0), leaf(3.0)
    h = x * w
    (h * h).backward(inputs=[w, h])
    assert (None, 24.0, 12.0) == (x.grad, w.grad.item(), h.node.grad.item())


def test_retain_graph():
    """A kept graph gives the same gradient again."""
    x = leaf([1.0, -2.0])
    y = (minigrad.exp(x) * x).sum()
    y.backward(retain_graph=True)
    first = x.grad.clone()
    y.backward()
    assert (2 * first).tolist() == x.grad.tolist()


def test_retained_gradient_of_the_middle():
    """retain_grad() keeps the gradient of a tensor that is no leaf."""
    x = leaf([1.0, 2.0])
    h = x * 2
    h.retain_grad()
    (h * h).sum().backward()
    assert [[4.0, 8.0], [8.0, 16.0]] == [h.grad.tolist(), x.grad.tolist()]


def test_views_share_one_gradient_path():
    """Parts of a tensor, used separately, meet again in its gradient."""
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    ((x[0] * x[1]).sum() + x.T[0, 1]).backward()
    assert [[3.0, 4.0], [2.0, 2.0]] == x.grad.tolist()


# grad


def test_grad_leaves_no_trace():
    """grad() returns the gradients and touches no .grad."""
    x, y = leaf(2.0), leaf(5.0)
    assert (5.0, 2.0) == tuple(g.item() for g in autograd.grad(x * y, (x, y)))
    assert (None, None) == (x.grad, y.grad)


def test_grad_by_the_middle_keeps_what_lies_before():
    """Differentiating by an intermediate value leaves the graph before it for a later backward."""
    x = leaf([1.0, 2.0])
    h = x * x
    (slope,) = autograd.grad((h * 3).sum(), h)
    h.backward(slope)
    assert [6.0, 12.0] == x.grad.tolist()


def test_grad_of_unused_input():
    """An input that the output does not depend on has no gradient: an error, or None if allowed."""
    x, y = leaf(1.0), leaf(1.0)
    with pytest.raises(RuntimeError, match=r"inputs \[1\].*allow_unused"):
        autograd.grad(x * 2, (x, y))
    assert [2.0, None] == [g and g.item() for g in autograd.grad(x * 2, (x, y), allow_unused=True)]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_higher_derivatives(order):
    """Differentiated again and again, x^4 and sin give what calculus says."""
    x = leaf(0.7)
    for function, expected in [
        (lambda: x**4, [4 * 0.7**3, 12 * 0.7**2, 24 * 0.7, 24.0]),
        (lambda: minigrad.sin(x), [np.cos(0.7), -np.sin(0.7), -np.cos(0.7), np.sin(0.7)]),
    ]:
        y = function()
        for _ in range(order):
            (y,) = autograd.grad(y, x, create_graph=True)
        assert expected[order - 1] == pytest.approx(y.item(), rel=1e-12)


def test_hessian_vector_product():
    """The gradient of (gradient . v) is H v: here of the sum of x_i^2 x_j over neighbours."""
    x, v = leaf([1.0, 2.0, 3.0]), minigrad.tensor([1.0, 0.0, -1.0], dtype=minigrad.float64)
    (slope,) = autograd.grad((x[:-1] ** 2 * x[1:]).sum(), x, create_graph=True)
    (product,) = autograd.grad(slope, x, v)
    hessian = np.array([[4.0, 2.0, 0.0], [2.0, 6.0, 4.0], [0.0, 4.0, 0.0]])
    assert (hessian @ [1.0, 0.0, -1.0]).tolist() == product.tolist()


def test_gradient_penalty():
    """backward() through a gradient reaches the leaves behind it."""
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    (slope,) = autograd.grad((w * x * x).sum(), x, create_graph=True)
    (slope * slope).sum().backward()
    assert [24.0, 128.0] == w.grad.tolist()  # sum (2 w x)^2 by w: 8 w x^2
    assert [72.0, 256.0] == x.grad.tolist()


def test_second_derivative_sees_overwritten_constant():
    """A constant that the recorded gradient needs is watched like any other value."""
    x, v, c = leaf([1.0, 2.0]), leaf([1.0, 1.0]), minigrad.tensor([2.0, 2.0], dtype=minigrad.float64)
    (slope,) = autograd.grad(x * c, x, v, create_graph=True)
    c.mul_(5)
    with pytest.raises(RuntimeError, match="in-place"):
        slope.sum().backward()


# Function


def test_function_with_several_results():
    """Each argument gets one gradient, whichever results are used."""
    x, y = leaf([1.0, 2.0]), leaf([3.0, 5.0])
    product, difference = MulAdd.apply(x, y, 10.0)
    assert [13.0, 20.0] == product.tolist()
    (product * 2 + difference).sum().backward()
    assert [[7.0, 11.0], [1.0, 3.0]] == [x.grad.tolist(), y.grad.tolist()]
    MulAdd.apply(x, y, 10.0)[1].sum().backward()
    assert [[8.0, 12.0], [0.0, 2.0]] == [x.grad.tolist(), y.grad.tolist()]


@pytest.mark.parametrize(
    "function",
    [lambda x, y: MulAdd.apply(x, y, 1.0), lambda x, y: Exp.apply(x) * y + Exp.apply(y)],
    ids=["two results", "saved result"],
)
def test_function_derivatives(function):
    """First and second derivatives of hand-written functions are right."""
    x, y = leaf([0.3, -1.0]), leaf([2.0, 0.5])
    assert autograd.gradcheck(function, (x, y))
    assert autograd.gradgradcheck(function, (x, y))


def test_function_result_saved_and_used():
    """A saved result that the caller uses, too, gets both gradients in the second derivative."""
    x = leaf([1.0, 2.0])
    y = Exp.apply(x)
    (slope,) = autograd.grad(y.sum(), x, create_graph=True)
    (slope + 2 * y).sum().backward()
    assert np.allclose(3 * np.exp([1.0, 2.0]), x.grad.numpy(), rtol=1e-12)


def test_function_context():
    """The context tells which arguments need a gradient, and can exempt results."""
    seen = []

    class Sort(autograd.Function):
        @staticmethod
        def forward(ctx, x, scale):
            seen.append(ctx.needs_input_grad)
            order = minigrad.tensor(np.argsort(x.detach().numpy()))
            ctx.order = order
            ranks = order.double()
            ctx.mark_non_differentiable(ranks)
            return x[order], order, ranks

        @staticmethod
        def backward(ctx, grad, *_):
            back = minigrad.zeros_like(grad)
            back[ctx.order] = grad
            return back, None

    values, order, ranks = Sort.apply(leaf([3.0, 1.0, 2.0]), minigrad.tensor(1.0))
    assert [(True, False)] == seen
    assert [True, False, False] == [values.requires_grad, order.requires_grad, ranks.requires_grad]
    assert autograd.gradcheck(lambda x: Sort.apply(x, 1.0)[0], leaf([3.0, 1.0, 2.0]))


def test_function_returning_its_argument():
    """A result never shares memory with an argument: a write to one is not silently in the other."""

    class Head(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x[:2]

        @staticmethod
        def backward(ctx, grad):
            return minigrad.cat([grad, grad[:1] * 0])

    x = leaf([1.0, 2.0, 3.0])
    a = x * 1
    y = Head.apply(a)
    a.mul_(3)
    (y * y).sum().backward()
    assert [2.0, 4.0, 0.0] == x.grad.tolist()


def test_function_without_recording():
    """Under no_grad() a Function just computes."""
    with minigrad.no_grad():
        assert not Exp.apply(leaf([1.0])).requires_grad


# Recording on and off


def test_no_grad():
    """Nothing is recorded in the block, and again afterwards, also after an exception."""
    x = leaf([1.0])
    with pytest.raises(KeyError), minigrad.no_grad():
        assert not (x * 2).requires_grad
        with minigrad.enable_grad():
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
        raise KeyError
    assert (x * 2).requires_grad


@pytest.mark.parametrize(
    "decorator",
    [lambda f: minigrad.no_grad(f), lambda f: minigrad.no_grad()(f), lambda f: minigrad.set_grad_enabled(False)(f)],
    ids=["no_grad", "no_grad()", "set_grad_enabled(False)"],
)
def test_no_grad_decorates(decorator):
    """As a decorator, with or without parentheses, it acts while the function runs."""

    @decorator
    def recording():
        return minigrad.is_grad_enabled()

    assert [False, False, True] == [recording(), recording(), minigrad.is_grad_enabled()]


def test_set_grad_enabled():
    """As a call it acts at once, as a block it restores what was before."""
    minigrad.set_grad_enabled(False)
    assert not minigrad.is_grad_enabled()
    with minigrad.set_grad_enabled(True):
        assert minigrad.is_grad_enabled()
    assert not minigrad.is_grad_enabled()
    minigrad.set_grad_enabled(True)


def test_backward_records_nothing_by_default():
    """A gradient is in the graph only after create_graph=True."""
    for create_graph in (False, True):
        x = leaf([2.0])
        (x**3).sum().backward(create_graph=create_graph)
        assert create_graph == x.grad.requires_grad
        x.grad = None
