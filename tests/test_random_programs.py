"""Random programs of views, writes and operations, run here and on PyTorch, must agree or be refused."""

import numpy as np
import pytest

import minigrad
from minigrad import autograd

torch = pytest.importorskip("torch", reason="PyTorch is not installed, so there is nothing to compare with")

PROGRAMS = 400
STEPS = 10
LEAVES = [(2, 3), (3,), ()]

OUT_OF_PLACE = [
    lambda m, x, y: x + y, lambda m, x, y: x * y, lambda m, x, y: x - y * 0.5, lambda m, x, y: m.tanh(x),
    lambda m, x, y: m.sin(x) * x, lambda m, x, y: m.exp(m.tanh(x)), lambda m, x, y: m.maximum(x, y),
    lambda m, x, y: m.where(x > y, x, y * 2), lambda m, x, y: x.clone(), lambda m, x, y: x.sum(),
    lambda m, x, y: m.sigmoid(x) / (y * y + 1),
]  # fmt: skip
VIEWS = [
    lambda x, i: x[i % x.shape[0]], lambda x, i: x[i % x.shape[0] :], lambda x, i: x[::2], lambda x, i: x[..., 1:],
    lambda x, i: x.T if x.ndim == 2 else x[0], lambda x, i: x[None], lambda x, i: x.reshape(-1), lambda x, i: x[...],
    lambda x, i: x.unsqueeze(-1), lambda x, i: x.transpose(0, -1), lambda x, i: x[[0, i % x.shape[0]]],
]  # fmt: skip
WRITES = [
    lambda m, x, y, i: x.add_(y), lambda m, x, y, i: x.mul_(y), lambda m, x, y, i: x.mul_(0.5),
    lambda m, x, y, i: x.tanh_(), lambda m, x, y, i: x.copy_(y), lambda m, x, y, i: x.exp_().tanh_(),
    lambda m, x, y, i: x.sub_(y.sum()), lambda m, x, y, i: x.div_(y * y + 1),
]  # fmt: skip
PARTS = [
    lambda i: i % 2, lambda i: slice(i % 2, None), lambda i: Ellipsis, lambda i: [0], lambda i: slice(None, None, 2),
]  # fmt: skip


def _compute(rng, shapes, find):
    f = OUT_OF_PLACE[rng.integers(len(OUT_OF_PLACE))]
    x = rng.integers(len(shapes))
    y = find(shapes[x])
    return lambda m, pool: pool.append(f(m, pool[x], pool[y]))


def _view(rng, shapes, find):
    f, i = VIEWS[rng.integers(len(VIEWS))], int(rng.integers(4))
    x = rng.choice([k for k, shape in enumerate(shapes) if shape and k >= len(LEAVES)])  # no write may reach a leaf
    return lambda m, pool: pool.append(f(pool[x], i))


def _write(rng, shapes, find):
    f, i = WRITES[rng.integers(len(WRITES))], int(rng.integers(4))
    x = rng.integers(len(LEAVES), len(shapes))
    y = find(shapes[x])
    return lambda m, pool: f(m, pool[x], pool[y].clone(), i)  # a clone: PyTorch would read what it has just written


def _write_part(rng, shapes, find):
    part, add = PARTS[rng.integers(len(PARTS))](int(rng.integers(4))), rng.random() < 0.5
    x = rng.choice([k for k, shape in enumerate(shapes) if shape and k >= len(LEAVES)])
    y = find(())

    def step(m, pool):
        if add:
            pool[x][part] += pool[y].clone()
        else:
            pool[x][part] = pool[y].clone()

    return step


def start(m, leaves):
    """The leaves, what was computed from them, and a constant: the tensors a program works on."""
    return [*leaves, *(leaf * 1 for leaf in leaves), m.zeros(2, 3, dtype=m.float64)]


def leaves_of(m, values):
    return [m.tensor(value, requires_grad=True) for value in values]


def random_program(rng, values):
    """Steps that each change a pool of tensors or add to it, chosen so that shapes fit."""
    steps = []
    with minigrad.no_grad():
        pool = start(minigrad, leaves_of(minigrad, values))
        while len(steps) < STEPS:
            shapes = [x.shape for x in pool]

            def find(shape, shapes=shapes):
                return rng.choice([k for k, other in enumerate(shapes) if other in (shape, ())])

            kind = rng.choice([_compute, _view, _write, _write_part])
            step = kind(rng, shapes, find)
            try:
                step(minigrad, pool)
            except (RuntimeError, IndexError):
                continue  # a size or index that does not fit
            steps.append(step)
    return steps


def run(m, steps, leaves):
    """The pool after the steps, and a number made from everything in it."""
    pool = start(m, leaves)
    for step in steps:
        step(m, pool)
    return pool, sum(((x * x).sum() * (k + 1) / 10 for k, x in enumerate(pool)), m.tensor(0.0, dtype=m.float64))


def outcome(m, steps, values):
    """Values and gradients, or None where the library refuses."""
    try:
        leaves = leaves_of(m, values)
        pool, total = run(m, steps, leaves)
        total.backward()
    except RuntimeError:
        return None
    slopes = [(x * 0).tolist() if x.grad is None else x.grad.tolist() for x in leaves]
    return [x.tolist() for x in pool] + slopes


def test_random_programs():
    """Where PyTorch gives gradients, minigrad gives the same; where PyTorch refuses, it refuses or is right."""
    counts = {"same": 0, "both refuse": 0, "only PyTorch refuses": 0, "only minigrad refuses": 0}
    for seed in range(PROGRAMS):
        rng = np.random.default_rng(seed)
        values = [rng.uniform(-1, 1, shape) for shape in LEAVES]
        steps = random_program(rng, values)
        ours, theirs = outcome(minigrad, steps, values), outcome(torch, steps, values)
        if ours is None:
            counts["both refuse" if theirs is None else "only minigrad refuses"] += 1
        elif theirs is None:
            counts["only PyTorch refuses"] += 1
            leaves = leaves_of(minigrad, values)
            assert autograd.gradcheck(lambda *xs, steps=steps: run(minigrad, steps, xs)[1], leaves), f"seed {seed}"
        else:
            counts["same"] += 1
            for found, expected in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9, err_msg=f"seed {seed}")
    assert counts["same"] > PROGRAMS / 2, counts
    assert counts["both refuse"] > PROGRAMS / 50, counts
    assert 0 == counts["only minigrad refuses"], counts
