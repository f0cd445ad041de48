"""What Python calls in C, noted so that it can be called again without the Python around it."""

from contextlib import contextmanager
from functools import partial
from threading import Lock, get_ident
from types import SimpleNamespace

from .extension import NULL, address, ffi, kernels_of, types

_one_at_a_time = Lock()


class Call:
    """A call of a kernel: its function in C, the arguments, and what it returned, which is 0 unless it failed.

    `places`: of each argument (address, size in bytes) of the array that it stands for, None of NULL and of numbers;
    None altogether if one stands for something else, as a team of threads does.
    """

    def __init__(self, function, arguments):
        self.function, self.arguments = function, arguments
        self.result = self.again()
        try:
            self.places = [_place(argument) for argument in arguments]
        except ValueError:
            self.places = None

    def again(self):
        return self.function(*self.arguments)

    def reader(self, i):
        """A function that makes argument `i` of another array: of a copy, if C cannot read it; ValueError if it is smaller."""
        ctype = ffi.typeof(self.arguments[i])
        return partial(address, ffi.typeof(f"{ctype.item.cname}[{len(self.arguments[i])}]"))


def _place(argument):
    if not isinstance(argument, ffi.CData) or argument == NULL:
        return None
    ctype = ffi.typeof(argument)
    if ctype.kind != "array" or ctype.item.kind != "primitive":
        raise ValueError(f"{argument!r} stands for no array")
    return int(ffi.cast("intptr_t", argument)), ffi.sizeof(argument)


@contextmanager
def recording():
    """Within it, a list of the calls that this thread makes; or None if somebody is at it already."""
    calls, thread, before = [], get_ident(), dict(kernels_of)

    def noted(function):
        def call(*arguments):
            if get_ident() != thread:
                return function(*arguments)
            calls.append(Call(function, arguments))
            return calls[-1].result

        return call

    if not _one_at_a_time.acquire(blocking=False):
        yield None
        return
    noting = {}
    try:
        for dtype, kernels in before.items():
            functions = {name: noted(thing) for name, thing in vars(kernels).items() if callable(thing)}
            kernels_of[dtype] = noting[dtype] = SimpleNamespace(**vars(kernels) | functions | types(dtype, "{}[]"))
        yield calls
    finally:
        for dtype, kernels in noting.items():
            if kernels_of[dtype] is kernels:  # or somebody has chosen another instruction set meanwhile
                kernels_of[dtype] = before[dtype]
        _one_at_a_time.release()
