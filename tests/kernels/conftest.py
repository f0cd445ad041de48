"""Kernel tests need the compiled kernels; each starts from, and returns to, the same settings."""

import numpy as np
import pytest

from minigrad import kernels
from minigrad.kernels import parallel


@pytest.fixture
def native():
    """The compiled kernels, at the best instruction set."""
    module = pytest.importorskip("minigrad.kernels.native", reason="built without C kernels")
    yield module
    module.set_instruction_set(module.instruction_sets()[-1])


@pytest.fixture
def threads(monkeypatch):
    """A function that sets the number of threads and makes even small work split, and wake threads."""
    before = kernels.get_num_threads()
    monkeypatch.setattr(parallel, "SMALLEST_SPLIT", 0)
    monkeypatch.setattr(parallel, "LONG", 0)
    yield kernels.set_num_threads
    kernels.set_num_threads(before)


@pytest.fixture
def guarded():
    """A function that returns an array with guard values on both sides; they are checked after the test."""
    buffers = []

    def empty(shape, dtype=float, guard=64):
        size = int(np.prod(shape, dtype=np.int64))
        buffer = np.full(size + 2 * guard, 12345, dtype)
        buffers.append((buffer, guard))
        return buffer[guard : guard + size].reshape(shape)

    yield empty
    for buffer, guard in buffers:
        assert (buffer[:guard] == 12345).all() and (buffer[len(buffer) - guard :] == 12345).all()
