"""Which options of an optimizer are tried: every one that its recurrence knows and that its factory takes."""

import inspect
import itertools
from collections import Counter, defaultdict

import numpy as np

from ..tensor import wrap
from .recurrences import claimed_by

# The values of each option that are tried, in every combination; the first is one that any optimizer takes.
_COMMON = dict(weight_decay=(0, 0.1), maximize=(False, True))
_ADAM = dict(lr=(0.02,), betas=((0.9, 0.999), (0.7, 0.95)), eps=(1e-8, 1e-3), amsgrad=(False, True), **_COMMON)
OPTIONS = {
    "SGD": dict(lr=(0.05,), momentum=(0, 0.9), dampening=(0, 0.3), nesterov=(False, True), **_COMMON),
    "Adagrad": dict(lr=(0.1,), lr_decay=(0, 0.05), initial_accumulator_value=(0, 0.5), eps=(1e-10, 1e-3), **_COMMON),
    "RMSprop": dict(
        lr=(0.02,), alpha=(0.99, 0.8), eps=(1e-8, 1e-3), momentum=(0, 0.7), centered=(False, True), **_COMMON
    ),
    "Adam": _ADAM,
    "AdamW": _ADAM,
}


def make(factory, options, parameters=None):
    """The optimizer that a factory makes, of one parameter if none are given; ValueError if it makes none."""
    parameters = [wrap(np.ones(2)).requires_grad_()] if parameters is None else parameters
    try:
        optimizer = factory(parameters, **options)
    except (TypeError, ValueError, NotImplementedError) as error:
        call = ", ".join(["params", *(f"{name}={value!r}" for name, value in options.items())])
        raise ValueError(
            f"check_optimizer: factory({call}) raised {type(error).__name__}: {error}. "
            "options= says what it is called with"
        ) from error
    groups = getattr(optimizer, "param_groups", None)
    if not groups or "lr" not in groups[0] or not callable(getattr(optimizer, "step", None)):
        raise ValueError(
            f"check_optimizer: factory gave {type(optimizer).__name__}, expected an optimizer with step() and "
            "param_groups[0]['lr'], as PyTorch's have"
        )
    return optimizer


def refusal(factory, options):
    """Why a factory makes no optimizer with these options, in words; None if it does."""
    try:
        make(factory, options)
        return None
    except ValueError as error:
        cause = error.__cause__ or error
        return "refused by factory" if isinstance(cause, TypeError) else str(cause)


def search(factory, recurrence):
    """(rows, untried): the options of each run, and for each reason to leave something out, what it is."""
    parameters, untried = parameters_of(factory), defaultdict(list)
    first = {option: some[0] for known in OPTIONS.values() for option, some in known.items()}
    needed = {p.name: first[p.name] for p in parameters if p.default is p.empty and p.name in first}
    name, *_ = claimed_by(type(make(factory, needed)), recurrence)
    known, values = OPTIONS.get(name, {}), {option: (value,) for option, value in needed.items()}
    for option, some in known.items():
        if why := refusal(factory, {**needed, option: some[0]}):
            untried[why].append(option)
        else:
            values[option] = some
    for parameter in parameters:
        if parameter.default is not parameter.empty and parameter.name not in known:
            untried["no values known, give some by options="].append(parameter.name)
    combinations = [dict(zip(values, row)) for row in itertools.product(*values.values())]
    reasons = [refusal(factory, row) for row in combinations]
    for why, count in Counter(filter(None, reasons)).items():
        untried[why].append(f"{count} of {len(combinations)} combinations")
    return [row for row, why in zip(combinations, reasons) if not why], dict(untried)


def parameters_of(factory):
    """The parameters of a factory after the first, which takes the optimizer's; none where it does not say."""
    try:
        return list(inspect.signature(factory).parameters.values())[1:]
    except ValueError:  # a function in C
        return []
