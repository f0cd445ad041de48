"""Optimizer updates, in place, many parameters at once."""

import math

from .. import checks
from ..table import Table
from .extension import BLOCK, NULL, SIZE_ARRAY, from_buffer, kernels_of, new, share


def _written(function, argument, arrays, parameters):
    """The addresses of state, once it is found to match the parameters."""
    table = arrays if isinstance(arrays, Table) else Table(arrays, f"{function}(): {argument}")
    checks.check_lists(function, parameters.arrays, {argument: table.arrays})
    find_addresses(table)
    table.matched = parameters
    return table.addresses


def find_addresses(table):
    """Fill in a table's addresses and counts; they are good while the table holds its arrays."""
    kernels = kernels_of[table.dtype]
    table.addresses = new(kernels.pointers, [from_buffer(kernels.array, array) for array in table.arrays])
    table.counts = new(SIZE_ARRAY, [array.size for array in table.arrays])


def _update(function, parameters, gradients, states, *numbers):
    """One optimizer step; `states` maps the names of what is kept between steps to arrays or None, in C's order."""
    if not isinstance(parameters, Table):
        parameters = Table(parameters, f"{function}(): parameters")
    if parameters.addresses is None:
        find_addresses(parameters)
    dtype, shapes, size = parameters.dtype, parameters.shapes, parameters.size
    kernels = kernels_of[dtype]
    arguments = [len(shapes), parameters.counts, parameters.addresses]
    for name, table in states.items():
        if table is None:
            arguments.append(NULL)
        elif type(table) is Table and table.matched is parameters:
            arguments.append(table.addresses)
        else:
            arguments.append(_written(function, name, table, parameters))

    if isinstance(gradients, Table):
        gradients = gradients.arrays
    if len(gradients) != len(shapes):
        checks.check_lists(function, parameters.arrays, {"gradients": gradients})
    ctype, addresses = kernels.array, []
    for array, shape in zip(gradients, shapes):
        if array.dtype is not dtype or array.shape != shape:
            checks.check_array(function, f"gradients[{len(addresses)}]", array, dtype, shape)
        flags = array.flags
        if not (flags.c_contiguous and flags.aligned):
            array = array.copy()
        addresses.append(from_buffer(ctype, array))
    team, length = share(size, BLOCK, size)
    getattr(kernels, function)(team, size, length, *arguments, new(kernels.pointers, addresses), *numbers)


def _sign(maximize):
    return -1.0 if maximize else 1.0


def sgd(
    parameters, gradients, momentum_buffers=None, *,
    lr, momentum, dampening, nesterov, weight_decay, maximize, first,
):
    """Stochastic gradient descent, in place. The first step with momentum starts the buffers at the gradient."""
    states = {"momentum_buffers": momentum_buffers}
    numbers = lr, momentum, dampening, weight_decay, _sign(maximize), bool(nesterov), bool(first)
    _update("sgd", parameters, gradients, states, *numbers)


def adagrad(parameters, gradients, sums, *, lr, lr_decay, weight_decay, eps, maximize, step):
    """Adagrad, in place; `step` counts from 1."""
    rate = lr / (1 + (step - 1) * lr_decay)
    _update("adagrad", parameters, gradients, {"sums": sums}, rate, weight_decay, eps, _sign(maximize))


def rmsprop(
    parameters, gradients, square_avgs, grad_avgs=None, momentum_buffers=None, *,
    lr, alpha, eps, weight_decay, momentum, maximize,
):
    """RMSprop, in place; centred if `grad_avgs` are given, with momentum if `momentum_buffers` are."""
    states = {"square_avgs": square_avgs, "grad_avgs": grad_avgs, "momentum_buffers": momentum_buffers}
    _update("rmsprop", parameters, gradients, states, lr, alpha, eps, weight_decay, momentum, _sign(maximize))


def adam(
    parameters, gradients, exp_avgs, exp_avg_sqs, max_exp_avg_sqs=None, *,
    lr, beta1, beta2, eps, weight_decay, maximize, step,
):
    """Adam, in place; `step` counts from 1. AMSGrad if `max_exp_avg_sqs` are given."""
    states = {"exp_avgs": exp_avgs, "exp_avg_sqs": exp_avg_sqs, "max_exp_avg_sqs": max_exp_avg_sqs}
    correction = math.sqrt(1 - beta2**step)
    numbers = lr * correction / (1 - beta1**step), beta1, beta2, eps * correction, weight_decay, _sign(maximize)
    _update("adam", parameters, gradients, states, *numbers)


def adamw(
    parameters, gradients, exp_avgs, exp_avg_sqs, max_exp_avg_sqs=None, *,
    lr, beta1, beta2, eps, weight_decay, maximize, step,
):
    """Adam with decoupled weight decay, in place; `step` counts from 1."""
    states = {"exp_avgs": exp_avgs, "exp_avg_sqs": exp_avg_sqs, "max_exp_avg_sqs": max_exp_avg_sqs}
    correction, decay = math.sqrt(1 - beta2**step), 1 - lr * weight_decay
    numbers = lr * correction / (1 - beta1**step), beta1, beta2, eps * correction, decay, _sign(maximize)
    _update("adamw", parameters, gradients, states, *numbers)
