"""What gradcheck, gradgradcheck and check_optimizer can be called with; anything else is refused here, in one place."""

import functools
from collections.abc import Callable
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np

from ..tensor import Tensor

NONE, BOOL = type(None), (bool, np.bool_)
ARRAYS = (np.ndarray, Real, tuple, list)


class Argument(NamedTuple):
    """One row of the table: another type is a TypeError, a value of that type that does not hold a ValueError."""

    expected: str
    types: tuple
    holds: Callable = lambda value: True
    mend: str = ""


def number(expected, holds, mend):
    return Argument(expected, (Real,), holds, mend)


def optional(argument):
    """The same, or None."""
    return argument._replace(
        types=(*argument.types, NONE), holds=lambda value: value is None or argument.holds(value)
    )  # fmt: skip


def only(wanted, reason):
    """One of PyTorch's switches that can stand in one way here: `reason` says why."""
    return Argument(str(wanted), (*BOOL, NONE), lambda value: bool(value) is wanted, reason)


def filled(value, holds):
    """Whether a list holds at least one thing, and only such things."""
    return len(value) > 0 and all(map(holds, value))


def is_float(dtype):
    try:
        return np.dtype(dtype) in (np.float32, np.float64)
    except TypeError:
        return False


SWITCH = Argument("True or False", BOOL)
NO_FORWARD_MODE = only(False, "There is no forward mode to check")
OWN_TEST = "Leave eps, atol and rtol out for a verdict that needs none of them"

ARGUMENTS = {
    "fn": Argument("a function or a module", (Callable,)),
    "inputs": Argument(
        "a tensor or a tuple of tensors and other arguments, or with grad= arrays or numbers", (Tensor, *ARRAYS)),
    "grad": optional(Argument(
        "an array or a function that returns one", (Callable, *ARRAYS),
        mend="It is the gradient of a function of NumPy arrays; one of minigrad's tensors has its own")),
    "eps": optional(number("a step > 0", lambda value: 0 < value < np.inf, OWN_TEST)),
    "atol": optional(number("a number >= 0", lambda value: value >= 0, OWN_TEST)),
    "rtol": optional(number("a number >= 0", lambda value: value >= 0, OWN_TEST)),
    "nondet_tol": number("a number >= 0", lambda value: value >= 0, "0 says that two backward passes must agree"),
    "seconds": number("a number >= 0", lambda value: value >= 0, "0 says to compare along directions only"),
    "raise_exception": SWITCH,
    "fast_mode": SWITCH,
    # PyTorch's others
    "check_undefined_grad": SWITCH,
    "check_grad_dtypes": SWITCH,
    "check_batched_grad": only(False, "There is no vmap to check"),
    "check_batched_forward_grad": NO_FORWARD_MODE,
    "check_forward_ad": NO_FORWARD_MODE,
    "check_backward_ad": only(True, "The backward pass is all there is to check"),
    "masked": optional(SWITCH),
    # of gradgradcheck
    "grad_outputs": optional(Argument(
        "a tensor, or a tuple with one for each output", (Tensor, tuple, list),
        lambda value: isinstance(value, Tensor) or filled(value, lambda one: isinstance(one, Tensor)),
        "Leave it out for random ones")),
    "gen_non_contig_grad_outputs": SWITCH,
    "check_fwd_over_rev": NO_FORWARD_MODE,
    "check_rev_over_rev": only(True, "The backward pass of the backward pass is all there is to check"),
    # of check_optimizer
    "factory": Argument(
        "a class of optimizers, or a function that makes one from a list of parameters", (Callable,),
        mend="Pass the class itself"),
    "recurrence": optional(Argument(
        "the name of a known optimizer, or a function step(p, g, state, options, t)", (str, Callable))),
    "options": optional(Argument(
        "a list of dictionaries, each with keywords for factory", (tuple, list),
        lambda value: filled(value, lambda one: isinstance(one, dict)),
        "For one set of options: options=[{'lr': 0.1}]")),
    "steps": Argument("4 or more", (Integral,), lambda value: value >= 4),
    "dtypes": Argument(
        "a list of 'float64' and 'float32'", (tuple, list), lambda value: filled(value, is_float)),
}  # fmt: skip


def validate(function, given):
    """Raise for the first of the arguments, name by name, that `function` cannot be called with."""
    __tracebackhide__ = True  # pytest then shows the line of the test
    for name, value in given.items():
        argument = ARGUMENTS[name]
        is_of_type = isinstance(value, argument.types)
        if not (is_of_type and argument.holds(value)):
            message = f"{function}: {name} must be {argument.expected}, got {shown(value)}"
            raise (ValueError if is_of_type else TypeError)(". ".join(filter(None, (message, argument.mend))))


def shown(value):
    """A value as it is written, if that is short, else its type."""
    text = repr(value)
    return text if len(text) <= 40 and "\n" not in text else type(value).__name__


def also_called(**others):
    """A decorator: the function takes some parameters by another name, too, as `func` for `fn`."""

    def decorate(function):
        @functools.wraps(function)
        def called(*arguments, **named):
            __tracebackhide__ = True
            for other, name in others.items():
                if other in named and name in named:
                    raise TypeError(f"{function.__name__}: {other} is another name of {name}, got both")
                if other in named:
                    named[name] = named.pop(other)
            return function(*arguments, **named)

        return called

    return decorate
