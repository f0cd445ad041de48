"""The backward walk: depth, order, and what it leaves in memory."""

import gc
import time
import weakref

import numpy as np
import pytest

import minigrad
from minigrad import autograd, graph

MILLION = 1_000_000


def chain(x, length):
    """x + 1 - 1 + 1 ... as `length` recorded calls."""
    for _ in range(length):
        x = -x
    return x


def test_million_calls():
    """A million chained calls: neither backward nor forgetting the graph unused recurses."""
    x = minigrad.tensor(1.0, requires_grad=True)
    y = chain(x, MILLION)
    y.backward(retain_graph=True)
    assert 1.0 == x.grad.item()
    node = weakref.ref(y.grad_fn)
    del y
    assert node() is None


def test_diamonds():
    """Sixty doublings by fan-out visit each node once, not 2^60 times."""
    x = minigrad.tensor(1.0, dtype=minigrad.float64, requires_grad=True)
    y = x
    start = time.perf_counter()
    for _ in range(60):
        y = y + y
    y.backward()
    assert 2.0**60 == x.grad.item()
    assert time.perf_counter() - start < 5


def test_long_and_short_ways_meet():
    """A node waits for the gradients of all its uses, however far away they are."""
    x = minigrad.tensor([2.0], requires_grad=True)
    h = x * x
    (chain(h * 3, 101) + h + x).sum().backward()
    assert [-12.0 + 4.0 + 1.0] == x.grad.tolist()


def test_release():
    """Backward gives nodes and arrays free, although the result is still there, and a second one says so."""
    x = minigrad.tensor([2.0], requires_grad=True)
    h = x * x
    array, node = weakref.ref(h.array), weakref.ref(h.grad_fn)
    y = (h * h).sum()
    del h
    assert None not in (array(), node())
    y.backward()
    assert (None, None) == (array(), node())
    with pytest.raises(RuntimeError, match=r"sum\(\).*already used.*retain_graph=True"):
        y.backward()


class Cube(autograd.Function):
    """Saves its argument and its result."""

    @staticmethod
    def forward(ctx, x):
        y = x * x * x
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx, grad):
        x, y = ctx.saved_tensors
        return grad * 3 * y / x


def _views(x):
    y = x * 1
    part = y[1:].reshape(2, 1).T
    part.mul_(3)
    return y * part.sum()


def _writes(x):
    y = x * 1
    y[0] = y[1] * 2
    y += x * x
    return y


def _second(x):
    (slope,) = autograd.grad((x**3).sum(), x, create_graph=True)
    return slope * x


PROGRAMS = {
    "operations": lambda x: minigrad.softmax(minigrad.exp(x) * x + minigrad.tanh(x), 0),
    "function": Cube.apply,
    "views": _views,
    "writes": _writes,
    "indexing": lambda x: x[[0, 0, 2]] * x[x > 0],
    "second derivative": _second,
    "function, second derivative": lambda x: autograd.grad(Cube.apply(x).sum(), x, create_graph=True)[0],
}


@pytest.fixture
def no_collector():
    """Without the cyclic collector, only what has no cycles is freed."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("used", [True, False], ids=["after backward", "without backward"])
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_nothing_waits_for_the_collector(program, used, no_collector):
    """When the result goes, every node and array behind it goes with it."""
    x = minigrad.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = program(x)
    nodes, queue = [], [y.grad_fn]
    while queue:
        node = queue.pop()
        nodes += [weakref.ref(node)] if node.parents else []
        queue += [parent for parent in node.parents if parent is not None]
    arrays = [weakref.ref(y.array)]
    if used:
        y.sum().backward()
    del y, node
    assert [] == [ref() for ref in nodes + arrays if ref() is not None]


def test_repeated_training_keeps_nothing(no_collector):
    """After many steps there are no more objects than after one."""
    w = minigrad.tensor(np.ones((3, 3)), requires_grad=True)

    def step():
        loss = minigrad.tanh(Cube.apply(w @ w)).mean()
        loss.backward()
        w.grad = None

    step()
    before = len(gc.get_objects())
    for _ in range(50):
        step()
    assert len(gc.get_objects()) - before < 20


def test_notes_of_writes_go_with_the_memory():
    """What was written to in place, and is gone, leaves no note behind."""
    before = len(graph._writes)
    kept = minigrad.zeros(2)
    for _ in range(100):
        minigrad.zeros(3).add_(1)
        kept[:1].add_(1)
    assert len(graph._writes) <= before + 1
    assert graph.last_write_to(kept.array) > graph.last_write_to(np.zeros(2)) == 0
