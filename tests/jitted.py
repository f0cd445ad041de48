"""What the tests of `jit` share."""

import numpy as np

import minigrad
from minigrad import nn, optim
from minigrad.nn import functional as F
from minigrad.program import Program


def is_program(jitted):
    """Whether the last call's kind has become a program."""
    return bool(jitted.programs) and isinstance(list(jitted.programs.values())[-1], Program)


def data(*shape, classes=None, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    if classes:
        return minigrad.from_numpy(rng.integers(classes, size=shape))
    return minigrad.from_numpy(rng.standard_normal(shape).astype(dtype))


def counting_step():
    """A step, jitted, with its model and optimizer, and how often Python ran it."""
    minigrad.manual_seed(3)
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 3))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    runs = []

    @minigrad.jit
    def step(x, y, scale=1.0):
        runs.append(1)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y) * scale
        loss.backward()
        optimizer.step()
        return loss

    return step, model, optimizer, runs


def bound_lines(jitted):
    """The lines of the last program that became calls in C."""
    return lines_that_have("_shared(", jitted)


def placed_lines(jitted):
    """Those that write their result where they wrote it before."""
    return lines_that_have(", into=", jitted)


def lines_that_have(text, jitted):
    program = list(jitted.programs.values())[-1]
    return [line for line, now in zip(program.lines, program.latest[0]) if text in now]


def bits(tensor):
    return tensor.detach().numpy().tobytes()


def small_step(rows=32):
    minigrad.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return model, step, data(rows, 2), data(rows, classes=3)


def odd_arrays(array):
    """The same numbers: read-only, misaligned, in Fortran's order, and with gaps."""
    frozen = array.copy()
    frozen.flags.writeable = False
    shifted = np.empty(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    shifted[...] = array
    gaps = np.zeros((2 * len(array), *array.shape[1:]), array.dtype)[::2]
    gaps[...] = array
    return [frozen, shifted, np.asfortranarray(array), gaps, array]


X, Y = data(8, 5), data(8, classes=3)
