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


X, Y = data(8, 5), data(8, classes=3)
