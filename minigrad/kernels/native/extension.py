"""The compiled extension: its kernels at the chosen instruction set, how they are called, and what they may read.

Nobody else imports it. The modules beside this one know the kernels' argument orders and codes.
"""

import os
from functools import partial
from types import SimpleNamespace

import numpy as np

from .. import checks, parallel
from .._native import ffi, lib

NULL, NO_MEMORY, BLOCK, ROW_BLOCK, PIECE = ffi.NULL, lib.NO_MEMORY, lib.BLOCK, lib.ROW_BLOCK, lib.PIECE
SHORT_ROW, TURNED = lib.SHORT_ROW, lib.TURNED
INT64, FLOAT64 = np.dtype(np.int64), np.dtype(np.float64)
SIZE_ARRAY = ffi.typeof("size_t[]")
PRECISIONS = {np.dtype(np.float32): ("f32", "float"), FLOAT64: ("f64", "double")}
LEVELS = ("baseline", "v3", "v4")

from_buffer, new, new_team = ffi.from_buffer, ffi.new, partial(ffi.new, "team *")
kernels_of = {}  # dtype -> its kernels at the chosen level
_instruction_set = None


def instruction_sets():
    """The levels that were built and that this machine has, slowest first."""
    return LEVELS[: 1 + min(lib.highest_level_built(), lib.highest_level_supported())]


def types(dtype, given):
    """What C is given of arrays: pointers, or for those who want to know their sizes, arrays."""
    real = PRECISIONS[dtype][1]
    spelt = {"array": given.format(real), "indices": given.format("int64_t"), "pointers": f"{real} *[]"}
    return {name: ffi.typeof(text) for name, text in spelt.items()}


def set_instruction_set(name):
    """Use the kernels of one level from now on."""
    global _instruction_set
    if name not in instruction_sets():
        raise ValueError(f"set_instruction_set(): {name!r} is not one of {', '.join(instruction_sets())}")
    for dtype, (precision, _) in PRECISIONS.items():
        ending = f"_{precision}_{name}"
        names = {name.removesuffix("_shared").removesuffix(ending): name for name in dir(lib) if ending in name}
        functions = {name: getattr(lib, full) for name, full in names.items()}
        kernels_of[dtype] = SimpleNamespace(**functions, **types(dtype, "{} *"))
    _instruction_set = name


def config():
    """How the kernels were built and which of them run."""
    return {
        "instruction set": _instruction_set,
        "instruction sets available": instruction_sets(),
        "compiler": ffi.string(lib.build_compiler()).decode(),
        "compiler flags": ffi.string(lib.BUILD_FLAGS).decode(),
    }


set_instruction_set(os.environ.get("MINIGRAD_INSTRUCTION_SET") or instruction_sets()[-1])


def instruction_set():
    """The chosen level."""
    return _instruction_set


# Squared errors: the work of an element of losses over rows and most optimizers, of one with exp or log, and of a row.
MORE, MUCH, ROW = 2, 4, 32


def share(count, block, work):
    """(team, length): who runs a kernel on [0, count), and in slices of what length, a multiple of `block`."""
    if work < parallel.SMALLEST_SPLIT or (length := parallel.slice_length(count, block, work)) >= count:
        return NULL, count
    return parallel.get_team(lib.team_serve, lib.team_is_wanted, new_team).gather(work), length


def address(ctype, array):
    """The address of an array, or of a copy of one that C cannot read."""
    flags = array.flags
    if not (flags.carray or flags.c_contiguous and flags.aligned):  # most are writable, too: one look
        array = array.copy()
    return from_buffer(ctype, array)


def readable(function, argument, array, ctype, dtype, shape):
    """The address of an array that must be of this dtype and shape, as above; NULL for None."""
    if array is None:
        return NULL
    if array.dtype is not dtype or array.shape != shape:
        checks.check_array(function, argument, array, dtype, shape)
    return address(ctype, array)
