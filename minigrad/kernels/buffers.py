"""Large arrays that are used again: the first touch of fresh pages costs more than a loss computed into them."""

import math
import os
import sys
import threading

import numpy as np

LARGE = 1 << 20  # bytes; smaller arrays come from memory that the allocator keeps
KEPT = 1 << 28  # bytes that may wait for their next use

_buffers = []
_lock = threading.Lock()


def _is_free(i):
    """Whether nobody but this list holds array `i`; a view would hold it, too."""
    return sys.getrefcount(_buffers[i]) == _references_when_free


def _count_references():
    """What getrefcount says of an array that only the list holds: a number of the Python version's own."""
    _buffers.append(np.empty(0))
    count = sys.getrefcount(_buffers[0])
    _buffers.clear()
    return count


_references_when_free = _count_references()


def _replace_lock():
    """In a forked child: a thread that held the lock does not exist there."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_replace_lock)


def empty(shape, dtype):
    """Like np.empty, but a large array may be one that was given out before and that nobody holds any more."""
    if math.prod(shape) * dtype.itemsize < LARGE:
        return np.empty(shape, dtype)
    with _lock:
        for i in range(len(_buffers)):
            if _buffers[i].shape == shape and _buffers[i].dtype == dtype and _is_free(i):
                array = _buffers.pop(i)
                break
        else:
            array = np.empty(shape, dtype)
        _buffers.append(array)  # the last used stands last
        while sum(buffer.nbytes for buffer in _buffers) > KEPT:
            _buffers.pop(0)
    return array


def empty_like(array):
    """The same with the shape and dtype of `array`."""
    shape, dtype = array.shape, array.dtype
    return np.empty(shape, dtype) if array.nbytes < LARGE else empty(shape, dtype)
