"""One kernel call, spread over threads. cffi releases the GIL while C runs."""

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor

# Elements. Here two threads beat one for the kernels timed on two cores (mse, l1, BCE on logits, cross-entropy, sgd,
# adam; timeit with MINIGRAD_NUM_THREADS 1 and 2). At half of it the mean squared error took 1.04 to 1.10 times as long.
SMALLEST_SPLIT = 1 << 21
SLICES_PER_THREAD = 4  # so that a thread that wakes late, or is interrupted, is not waited for

_pool = None


def _number_of_threads(value, source):
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{source}: the number of threads is {value!r}, expected an integer of at least 1")
    return value


def _first_number_of_threads():
    if text := os.environ.get("MINIGRAD_NUM_THREADS"):
        return _number_of_threads(int(text) if text.isdecimal() else text, "MINIGRAD_NUM_THREADS")
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_threads = _first_number_of_threads()


def get_num_threads():
    """The number of threads that one large kernel call may use.

    At first that of the environment variable MINIGRAD_NUM_THREADS, or of the CPUs this process may use.
    """
    return _threads


def set_num_threads(number):
    """Set the number of threads for large kernel calls. The results have the same bits for any number.

    Raises ValueError unless it is an integer of at least 1.

    Example:
        >>> import minigrad
        >>> before = minigrad.get_num_threads()
        >>> minigrad.set_num_threads(2)
        >>> minigrad.get_num_threads()
        2
        >>> minigrad.set_num_threads(before)
    """
    global _threads
    _threads = _number_of_threads(number, "set_num_threads()")
    _forget_pool()


def run(kernel, count, block, work, *arguments):
    """Call `kernel(begin, end, *arguments)` on slices of [0, count) that start at multiples of `block`.

    Args:
        work: how many elements the call touches; small work stays on this thread.

    Returns:
        The smallest nonzero result of a slice, or 0.
    """
    threads = _threads
    if work < SMALLEST_SPLIT or threads == 1 or count <= block:
        return kernel(0, count, *arguments) or 0

    blocks = -(-count // block)
    step = block * -(-blocks // (threads * SLICES_PER_THREAD))
    starts = deque(range(0, count, step))
    codes = []

    def work_through_slices():
        while True:
            try:
                begin = starts.popleft()
            except IndexError:
                return
            codes.append(kernel(begin, min(begin + step, count), *arguments) or 0)

    pool = _get_pool(threads)
    helpers = [pool.submit(work_through_slices) for _ in range(threads - 1)]
    work_through_slices()
    for helper in helpers:
        if not helper.cancel():  # one that has not begun has nothing left to do
            helper.result()
    return min(filter(None, codes), default=0)


def _get_pool(threads):
    global _pool
    pool = _pool  # another thread may forget it at any time
    if pool is None:
        pool = _pool = ThreadPoolExecutor(threads - 1, thread_name_prefix="minigrad")
    return pool


def _forget_pool():
    """Drop the pool; in a forked child its threads do not exist."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
