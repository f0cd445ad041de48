"""Training for long needs no more memory than training for a moment, with the cyclic garbage collector off."""

import gc
import tracemalloc

import pytest

import minigrad
from minigrad import nn


@pytest.mark.parametrize("steps", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_training(steps):
    """Steps of training leave neither objects nor memory behind, and need no collector."""
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = minigrad.optim.Adam(model.parameters())
    x, y = minigrad.randn(32, 8), minigrad.randint(3, (32,))
    losses = []

    def train(count):
        for _ in range(count):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        losses.append(loss.item())

    train(20)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        train(20)
        objects, (memory, _) = len(gc.get_objects()), tracemalloc.get_traced_memory()
        train(steps)
        assert len(gc.get_objects()) - objects < 20
        assert tracemalloc.get_traced_memory()[0] - memory < 10_000
        assert 0 == gc.collect()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert losses[-1] < losses[0]
