"""One kernel call, shared by threads. cffi releases the GIL while C runs."""

import atexit
import os
import threading

# Work, in squared errors (0.2 ns); smaller calls stay on one thread: of these 8 us handing over takes 2 to 3.
SMALLEST_SPLIT = 40_000
LONG = 1 << 20  # the same; such a call wakes threads, which takes 0.1 ms; shorter ones only where they follow each other
SLICES_PER_THREAD = 4  # so that a thread that comes late, or is interrupted, is not waited for
PATIENCE = 60_000  # looks of a thread that waits for the next call, 0.7 to 3 ms in all

_team = None
_making = threading.Lock()


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
    number = _number_of_threads(number, "set_num_threads()")
    with _making:  # or a team of the old size, just being made, would stay
        _threads = number
    _end_team()


def slice_length(count, block, work):
    """How long the slices of a call on [0, count) are: a multiple of `block`, or all of it.

    Args:
        work: how much the call does, in squared errors; small work is not shared.
    """
    if work < SMALLEST_SPLIT or _threads == 1 or count <= block:
        return max(count, 1)
    return block * max(1, count // (block * _threads * SLICES_PER_THREAD))


class Team:
    """Threads that wait for calls to share; csrc/team.h says how. `serve`, `is_wanted` and `state` are C's."""

    def __init__(self, serve, is_wanted, state, size):
        self.serve, self.is_wanted, self.state = serve, is_wanted, state
        self.calls, self.ended, self.bell = 0, False, threading.Condition()
        self.threads = []
        for seat in range(1, size + 1):
            thread = threading.Thread(target=self._attend, args=(seat,), daemon=True, name="minigrad")
            try:
                thread.start()
            except RuntimeError:  # no more threads here, or none any more as the interpreter ends
                break
            self.threads.append(thread)

    def _attend(self, seat):
        heard = 0
        while True:
            with self.bell:
                while self.calls == heard:
                    self.bell.wait()
                heard = self.calls
            if self.ended:
                return
            self.serve(self.state, seat, PATIENCE)

    def _ring(self):
        with self.bell:
            self.calls += 1
            self.bell.notify_all()

    def gather(self, work):
        """C's view of the team, for so much work. Wakes the threads that sleep if that pays."""
        if self.state.serving < len(self.threads) and self.is_wanted(self.state, work >= LONG):
            self._ring()
        return self.state

    def end(self):
        """End the threads, and wait until they have."""
        self.ended = True
        self._ring()
        for thread in self.threads:
            thread.join()


def get_team(serve, is_wanted, make_state):
    """The team of `get_num_threads()` threads, the caller being one of them."""
    global _team
    team = _team  # another thread may end it at any time; its state lives as long as somebody uses it
    if team is None:
        with _making:
            team = _team = _team or Team(serve, is_wanted, make_state(), _threads - 1)
    return team


def _end_team():
    global _team
    with _making:
        team, _team = _team, None
    if team is not None:
        team.end()


def _forget_team():
    """In a forked child the threads do not exist, and the lock may be held by one of them."""
    global _team, _making
    _team, _making = None, threading.Lock()


atexit.register(_end_team)  # a thread that is in C must not outlive what it looks at
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_team)
