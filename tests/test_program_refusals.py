"""`jit`: what cannot be a program runs as ever, and a warning says why."""

import itertools
import re
import warnings

import numpy as np
import pytest
from jitted import X, Y, counting_step, is_program

import minigrad
from minigrad import nn, optim
from minigrad.nn import functional as F

q = minigrad.ones(3, requires_grad=True)
model = nn.Linear(3, 3)
counter, sgd = itertools.count(1), optim.SGD([q], lr=0.1)


class Telling(optim.lr_scheduler.StepLR):
    def step(self):
        super().step()
        return self.get_last_lr()[0]


telling = Telling(optim.SGD([minigrad.ones(1, requires_grad=True)], lr=0.1), 2)
telling.optimizer.steps = 1  # or it warns of the wrong order


class Square(minigrad.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        return grad * 2 * ctx.saved_tensors[0]


def with_attribute(x):
    model.last = x
    return x * 2


def manual_sgd(x):
    (q * x).sum().backward()
    with minigrad.no_grad():
        q.sub_(q.grad * 0.0)


def second_backward(x):
    loss = (q * x).sum()
    loss.backward(retain_graph=True)
    loss.backward()


def double(x):
    (slope,) = minigrad.autograd.grad((q * q * x).sum(), q, create_graph=True)
    slope.sum().backward()


REFUSED = {
    "values": (lambda x: x * x.sum().item(), "looks at values"),
    "a branch": (lambda x: x * 2 if x.sum() > 0 else x, "looks at values"),
    "printing": (lambda x: (f"{x.sum():.2f}", x * 2)[1], "looks at values"),
    "NumPy": (lambda x: x * np.exp(x.numpy()), "looks at values"),
    "NumPy behind its back": (lambda x: x * np.exp(x.array), "another"),
    "a mask": (lambda x: x[x > 0].sum() * 1, "by a mask"),
    "a mask of NumPy's": (lambda x: x[np.array([True, False, True])] * 1, "by a mask"),
    "a mode": (lambda x: (model.train(not model.training), x * 2)[1], "sets attributes of a module"),
    "in place": (lambda x: (x * 2).add_(1), "writes in place"),
    "another number each time": (lambda x: x * next(counter), "not do the same"),
    "another length each time": (lambda x: [x := x * 2 for _ in range(next(counter))] and x, "not do the same"),
    "an attribute": (with_attribute, "sets attributes"),
    ".grad": (manual_sgd, "reads .grad"),
    "grad = None": (lambda x: setattr(q, "grad", None), "sets .grad"),
    ".data": (lambda x: setattr(q, "data", minigrad.ones(3)), "sets .data"),
    "freezing": (lambda x: (q.requires_grad_(), x * 2)[1], "requires grad"),
    "a graph": (lambda x: q * x, "a tensor with a graph"),
    "two backwards": (second_backward, "keeps a graph"),
    "double backward": (double, "keeps a graph"),
    "a Function": (lambda x: Square.apply(q * x).sum().backward(), "Square, a Function"),
    "a learning rate": (lambda x: sgd.param_groups[0].__setitem__("lr", 0.1), "sets lr"),
    "learning rates": (lambda x: sgd.param_groups[0].update(lr=0.1), "changes a parameter group"),
    "what a scheduler returns": (lambda x: x * telling.step(), "returned float"),
    "one_hot of unknown width": (lambda x: F.one_hot((x > 0).long()).float() * 1, "Give num_classes"),
    "set_grad_enabled": (lambda x: (minigrad.set_grad_enabled(True), x * 2)[1], "set_grad_enabled"),
    "its argument": (lambda x: x, "did not compute"),
    "a view": (lambda x: x[1:], "a view"),
    "something else": (lambda x: {"x": x}, "returns dict"),
    "NumPy's result": (lambda x: minigrad.from_numpy(x.array * 2), "NumPy"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_a_program_runs_as_ever(name):
    function, reason = REFUSED[name]
    jitted = minigrad.jit(function)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for i in range(4):
            x = minigrad.tensor([1.0, -2.0, 3.0]) * (i + 1)
            result = jitted(x)
            if name in ("values", "NumPy", "NumPy behind its back", "a view", "in place", "a mask"):
                np.testing.assert_array_equal(result.numpy(), function(x).numpy())
    assert [RuntimeWarning] == [w.category for w in caught]
    assert __file__ == caught[0].filename
    assert re.search(reason, str(caught[0].message)), str(caught[0].message)


def test_an_argument_that_has_no_hash():
    function = minigrad.jit(lambda x, factors: x * factors[0])
    with pytest.warns(RuntimeWarning, match="may change unseen"):
        assert [2.0, 2.0] == function(minigrad.ones(2), [2]).tolist()
    assert [3.0, 3.0] == function(minigrad.ones(2), [3]).tolist()


def test_a_gradient_for_an_argument():
    function = minigrad.jit(lambda x: (x * x).sum().backward())
    first, second = minigrad.ones(2, requires_grad=True), minigrad.ones(2, requires_grad=True)
    with pytest.warns(RuntimeWarning, match="argument"):
        for x in (first, first, first, second):
            function(x)
    assert [[6.0, 6.0], [2.0, 2.0]] == [first.grad.tolist(), second.grad.tolist()]


def test_arguments_that_the_function_changes():
    def function(x):
        x.requires_grad_()
        (x * x).sum().backward()

    jitted = minigrad.jit(function)
    with pytest.warns(RuntimeWarning, match="requires grad"):
        for _ in range(3):
            x = minigrad.ones(1)
            jitted(x)
            assert [2.0] == x.grad.tolist()


def test_what_was_computed_before():
    """Without recording it is a value as any other; with it, there is a graph that can be used once."""
    w = minigrad.ones(2, requires_grad=True)
    h = w * 2
    predict = minigrad.jit(minigrad.no_grad(lambda x: (h * x).sum()))
    assert [4.0] * 4 == [predict(minigrad.ones(2)).item() for _ in range(4)]
    assert is_program(predict)
    step = minigrad.jit(lambda x: (h * x).sum().backward())
    with pytest.warns(RuntimeWarning, match="computed from parameters before"):
        step(minigrad.ones(2))
    assert [2.0, 2.0] == w.grad.tolist()
    with pytest.raises(RuntimeError, match="already used"):
        step(minigrad.ones(2))


def test_what_came_with_a_graph():
    """A loss computed before, as an argument or not, is used as ever."""
    p = minigrad.ones(2, requires_grad=True)
    losses = {}

    @minigrad.jit
    def of_argument(loss):
        (loss * loss).sum().backward()

    @minigrad.jit
    def of_dictionary():
        losses["loss"].backward()

    with pytest.warns(RuntimeWarning, match="argument requires grad"):
        for _ in range(3):
            of_argument(p * 1)
    with pytest.warns(RuntimeWarning, match="before the call"):
        for _ in range(3):
            losses["loss"] = (p * 3).sum()
            of_dictionary()
    assert [15.0] * 2 == p.grad.tolist()


def test_wrong_input_is_refused_as_ever_and_forgotten():
    step, _, _, _ = counting_step()
    for _ in range(3):
        step(X, Y)
    with pytest.raises(IndexError, match="target"):
        step(X, minigrad.full((8,), 7))
    assert np.isfinite(step(X, Y).item())


def test_an_error_while_watched_ends_the_watching():
    @minigrad.jit
    def step(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        step(X)
    assert minigrad.graph.grad_mode.watcher is None
