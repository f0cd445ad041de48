"""Optimizer updates, in place, many parameters at once."""

import math
from operator import is_
from weakref import ref

from .. import checks
from ..table import Table
from .extension import MORE, NULL, PIECE, SIZE_ARRAY, from_buffer, kernels_of, new, share


# The names of what is kept between steps, in C's order.
STATES = {
    "sgd": ("momentum_buffers",),
    "adagrad": ("sums",),
    "rmsprop": ("square_avgs", "grad_avgs", "momentum_buffers"),
    "adam": ("exp_avgs", "exp_avg_sqs", "max_exp_avg_sqs"),
    "adamw": ("exp_avgs", "exp_avg_sqs", "max_exp_avg_sqs"),
}


OPTIONAL = ("momentum_buffers", "grad_avgs", "max_exp_avg_sqs")


class Update:
    """What a kernel is called with, step after step, for as long as the same tables are updated."""

    __slots__ = ("arguments", "dtype", "function", "kernel", "kernels", "last", "lasts", "shapes", "size", "states")

    def __init__(self, function, parameters, states):
        tables = [
            table if table is None or isinstance(table, Table) else Table(table, f"{function}(): {name}")
            for name, table in zip(STATES[function], states)
        ]
        for name, table in zip(STATES[function], tables):
            if table is None and name not in OPTIONAL:
                raise TypeError(f"{function}(): {name} is None, expected arrays, one per parameter")
            if table is not None:
                checks.check_lists(function, parameters.arrays, {name: table.arrays})
        for table in (parameters, *tables):
            if table is not None and table.addresses is None:
                find_addresses(table)
        self.function, self.states = function, states
        self.lasts = all(state is table for state, table in zip(states, tables))  # what lists hold may change
        self.dtype, self.shapes, self.size = parameters.dtype, parameters.shapes, parameters.size
        self.kernels = kernels_of[self.dtype]
        self.kernel = getattr(self.kernels, function)
        self.last = [], None  # weak references to the gradients, all or the first, and the addresses of all
        addresses = [NULL if table is None else table.addresses for table in tables]
        self.arguments = len(self.shapes), parameters.counts, parameters.addresses, *addresses

    def serves(self, function, states):
        """Whether another call with the same parameters may use it."""
        same = self.lasts and self.function == function and self.kernels is kernels_of[self.dtype]
        return same and self.states == states  # tables are equal if they are one

    def pointers_to(self, gradients):
        """The addresses of the gradients, and what must live meanwhile. They are checked, unless they were the last time.

        A program often brings the same arrays again; what brings others pays for a look at the first.
        """
        last, pointers = self.last
        again = bool(last) and last[0]() is gradients[0]
        if again and len(last) == len(gradients) and all(map(is_, gradients, [array() for array in last])):
            return pointers, None
        dtype, ctype, addresses, copied = self.dtype, self.kernels.array, [], False
        for array, shape in zip(gradients, self.shapes):
            if array.dtype is not dtype or array.shape != shape:
                checks.check_array(self.function, f"gradients[{len(addresses)}]", array, dtype, shape)
            flags = array.flags
            if not (flags.c_contiguous and flags.aligned):
                array, copied = array.copy(), True
            addresses.append(from_buffer(ctype, array))
        pointers = new(self.kernels.pointers, addresses)
        self.last = [] if copied else [ref(array) for array in (gradients if again else gradients[:1])], pointers
        return pointers, addresses


def find_addresses(table):
    """Fill in a table's addresses and counts; they are good while the table holds its arrays."""
    kernels = kernels_of[table.dtype]
    table.addresses = new(kernels.pointers, [from_buffer(kernels.array, array) for array in table.arrays])
    table.counts = new(SIZE_ARRAY, [array.size for array in table.arrays])


def _update(function, parameters, gradients, states, numbers):
    """One optimizer step. What it needs beside gradients and numbers is kept with the table of the parameters."""
    if not isinstance(parameters, Table):
        parameters = Table(parameters, f"{function}(): parameters")
    update = parameters.update
    if update is None or not update.serves(function, states):
        update = parameters.update = Update(function, parameters, states)
    if isinstance(gradients, Table):
        gradients = gradients.arrays
    if len(gradients) != len(update.shapes):
        checks.check_lists(function, parameters.arrays, {"gradients": gradients})
    pointers, _alive = update.pointers_to(gradients)
    team, length = share(update.size, PIECE, update.size if function == "sgd" else MORE * update.size)
    update.kernel(team, update.size, length, *update.arguments, pointers, *numbers)


def _sign(maximize):
    return -1.0 if maximize else 1.0


def sgd(
    parameters, gradients, momentum_buffers=None, *,
    lr, momentum, dampening, nesterov, weight_decay, maximize, first,
):
    """Stochastic gradient descent, in place. The first step with momentum starts the buffers at the gradient."""
    numbers = lr, momentum, dampening, weight_decay, _sign(maximize), bool(nesterov), bool(first)
    _update("sgd", parameters, gradients, (momentum_buffers,), numbers)


def adagrad(parameters, gradients, sums, *, lr, lr_decay, weight_decay, eps, maximize, step):
    """Adagrad, in place; `step` counts from 1."""
    numbers = lr / (1 + (step - 1) * lr_decay), weight_decay, eps, _sign(maximize)
    _update("adagrad", parameters, gradients, (sums,), numbers)


def rmsprop(
    parameters, gradients, square_avgs, grad_avgs=None, momentum_buffers=None, *,
    lr, alpha, eps, weight_decay, momentum, maximize,
):
    """RMSprop, in place; centred if `grad_avgs` are given, with momentum if `momentum_buffers` are."""
    numbers = lr, alpha, eps, weight_decay, momentum, _sign(maximize)
    _update("rmsprop", parameters, gradients, (square_avgs, grad_avgs, momentum_buffers), numbers)


def adam(
    parameters, gradients, exp_avgs, exp_avg_sqs, max_exp_avg_sqs=None, *,
    lr, beta1, beta2, eps, weight_decay, maximize, step,
):
    """Adam, in place; `step` counts from 1. AMSGrad if `max_exp_avg_sqs` are given."""
    correction = math.sqrt(1 - beta2**step)
    numbers = lr * correction / (1 - beta1**step), beta1, beta2, eps * correction, weight_decay, _sign(maximize)
    _update("adam", parameters, gradients, (exp_avgs, exp_avg_sqs, max_exp_avg_sqs), numbers)


def adamw(
    parameters, gradients, exp_avgs, exp_avg_sqs, max_exp_avg_sqs=None, *,
    lr, beta1, beta2, eps, weight_decay, maximize, step,
):
    """Adam with decoupled weight decay, in place; `step` counts from 1."""
    correction, decay = math.sqrt(1 - beta2**step), 1 - lr * weight_decay
    numbers = lr * correction / (1 - beta1**step), beta1, beta2, eps * correction, decay, _sign(maximize)
    _update("adamw", parameters, gradients, (exp_avgs, exp_avg_sqs, max_exp_avg_sqs), numbers)
