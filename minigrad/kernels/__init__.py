"""The fused losses and optimizer updates: arrays in, C out.

Callers write `kernels.active.mse_loss(...)`. `active` is one of two modules with the same functions:
`native`, the compiled kernels, and `reference`, the same formulas in NumPy.
"""

import importlib
import os
import warnings
from importlib import metadata

from . import parallel, reference
from .parallel import get_num_threads, set_num_threads
from .table import Table

__all__ = [
    "Table", "active", "available", "config", "get_num_threads", "instruction_sets", "set_instruction_set",
    "set_num_threads", "use",
]

_MODULES = {"numpy": "reference", "native": "native"}
_HOW_TO_BUILD = "build it with `pip install .` where a C compiler and Python's headers are installed"

active = reference


def _module(name):
    """The module of the kernels called `name`; ImportError if it is not built."""
    if name not in _MODULES:
        raise ValueError(f"use(): the kernels are 'numpy' or 'native', not {name!r}")
    try:
        return importlib.import_module("." + _MODULES[name], __name__)
    except ImportError as error:
        raise ImportError(f"minigrad's C kernels cannot be loaded ({error}); {_HOW_TO_BUILD}") from error


class use:
    """Choose the kernels, "numpy" or "native": for good as a call, for a while as a context manager.

    The environment variable MINIGRAD_KERNELS makes the first choice; without it "native" is taken where
    it is built.

    Raises:
        ValueError: for another name.
        ImportError: for "native" where the C kernels are not built.

    Example:
        >>> with use("numpy"):
        ...     active_kernels()
        'numpy'
    """

    def __init__(self, name):
        global active
        self.previous = active
        active = _module(name)

    def __enter__(self):
        return active

    def __exit__(self, *error):
        global active
        active = self.previous


def active_kernels():
    """The name of the kernels in use."""
    return "numpy" if active is reference else "native"


def available():
    """The names that `use()` accepts here.

    Example:
        >>> import minigrad
        >>> "numpy" in minigrad.kernels.available()
        True
    """
    try:
        _module("native")
    except ImportError:
        return ("numpy",)
    return ("numpy", "native")


def instruction_sets():
    """The instruction sets that were built and that this machine has, slowest first; none without C kernels."""
    return _module("native").instruction_sets() if "native" in available() else ()


def set_instruction_set(name):
    """Make the C kernels run on one of `instruction_sets()`; the results have the same bits on each.

    The environment variable MINIGRAD_INSTRUCTION_SET makes the first choice; without it the last of
    `instruction_sets()` is taken. Raises ValueError for another name, ImportError without C kernels.

    Example:
        >>> import minigrad
        >>> if chosen := minigrad.kernels.config().get("instruction set"):
        ...     minigrad.kernels.set_instruction_set("baseline")
        ...     minigrad.kernels.set_instruction_set(chosen)
    """
    _module("native").set_instruction_set(name)


def choices():
    """What decides how a kernel runs: the module, the instruction set, the number of threads."""
    return active, active.instruction_set(), get_num_threads()


def config():
    """What runs, as a dictionary: kernels, instruction set, compiler, threads.

    Without C kernels only the entries "kernels", "kernels available" and "threads".

    Example:
        >>> import minigrad
        >>> minigrad.kernels.config()["threads"] == minigrad.get_num_threads()
        True
    """
    built = _module("native").config() if "native" in available() else {}
    return {"kernels": active_kernels(), "kernels available": available(), **built, "threads": get_num_threads()}


def _was_built_pure():
    """True of an installation that was asked to have no C kernels: its wheel holds nothing compiled."""
    wheels = [found.read_text("WHEEL") or "" for found in metadata.distributions(name="minigrad")]
    return any("Root-Is-Purelib: true" in wheel for wheel in wheels)


def _use_first_choice():
    """Follow MINIGRAD_KERNELS; without it take the C kernels, or warn once that there are none."""
    if choice := os.environ.get("MINIGRAD_KERNELS"):
        if choice not in _MODULES:
            raise ValueError(f"MINIGRAD_KERNELS is 'numpy' or 'native', not {choice!r}")
        use(choice)
        return
    try:
        use("native")
    except ImportError as error:
        if not _was_built_pure():
            warnings.warn(f"{error}. The NumPy kernels are used.", RuntimeWarning, stacklevel=2)


_use_first_choice()
