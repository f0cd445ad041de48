"""Losses: (value, gradient by the input) in one call."""

import numpy as np

from .. import checks
from ..buffers import LARGE, empty
from .extension import (
    BLOCK, INT64, MORE, MUCH, NO_MEMORY, NULL, ROW, ROW_BLOCK, SHORT_ROW, TURNED, address, from_buffer, kernels_of,
    readable, share,
)  # fmt: skip


# The smallest losses cost what Python costs: the next two functions do everything themselves, and once; for a small
# gradient they ask NumPy at once.


def _over_elements(function, work, input, target, weights, numbers, reduction, need_gradient):
    """A loss over elements of so much `work`; `weights` are pairs (argument, array or None) and `numbers` what C takes
    after them."""
    dtype, shape, count = input.dtype, input.shape, input.size
    if (kernels := kernels_of.get(dtype)) is None:
        checks.check_float(function, "input", input)
    if reduction not in checks.REDUCTIONS:
        checks.check_reduction(function, reduction)
    if target.dtype is not dtype or target.shape != shape:
        checks.check_array(function, "target", target, dtype, shape)
    ctype = kernels.array
    arguments = [address(ctype, input), address(ctype, target)]
    for argument, array in weights:
        arguments.append(readable(function, argument, array, ctype, dtype, shape))
    gradient, slopes = None, NULL
    if need_gradient:
        gradient = np.empty(shape, dtype) if input.nbytes < LARGE else empty(shape, dtype)
        slopes = from_buffer(ctype, gradient)
    team, length = share(count, BLOCK, work * count)
    kernel = getattr(kernels, function)
    if reduction == "none":
        value = np.empty(shape, dtype)
        code = kernel(team, count, length, 0, NULL, from_buffer(ctype, value), slopes, *arguments, *numbers, 1.0)
    else:
        value, divisor = np.empty((), dtype), count if reduction == "mean" else 1.0
        code = kernel(team, count, length, BLOCK, from_buffer(ctype, value), NULL, slopes, *arguments, *numbers, divisor)
    if code == NO_MEMORY:
        raise MemoryError(f"{function}(): no memory for the sums of blocks")
    if code:
        raise checks.bad_probability(function, input, code - 1)
    return value, gradient


def _over_rows(function, argument, input, target, weight, numbers, reduction, need_gradient):
    """A loss over (rows, classes), called `argument`, with a class per row as target."""
    dtype, shape = input.dtype, input.shape
    kernels = kernels_of.get(dtype)
    if kernels is None or len(shape) != 2 or reduction not in checks.REDUCTIONS:
        checks.check_rows(function, argument, input)
        checks.check_reduction(function, reduction)
    ctype, (rows, classes) = kernels.array, shape
    if function == "cross_entropy_probabilities":
        labels = readable(function, "target", target, ctype, dtype, shape)
    else:
        if target.dtype is not INT64 or target.shape != (rows,):
            checks.check_array(function, "target", target, INT64, (rows,))
        labels = address(kernels.indices, target)
    weights = NULL if weight is None else readable(function, "weight", weight, ctype, dtype, (classes,))
    gradient, slopes = None, NULL
    if need_gradient:
        gradient = np.empty(shape, dtype) if input.nbytes < LARGE else empty(shape, dtype)
        slopes = from_buffer(ctype, gradient)
    arguments = slopes, address(ctype, input), labels, weights, classes, *numbers
    team, length = share(rows, TURNED if classes <= SHORT_ROW else ROW_BLOCK, MORE * input.size + ROW * rows)
    kernel = getattr(kernels, function)
    if reduction == "none":
        value = np.empty(rows, dtype)
        code = kernel(team, rows, length, 0, NULL, from_buffer(ctype, value), *arguments, 1.0)
    else:
        value, divisor = np.empty((), dtype), 1.0
        if reduction == "mean":  # 0 stands for the sum of the targets' weights
            divisor = 0.0 if function == "cross_entropy" else rows
        code = kernel(team, rows, length, ROW_BLOCK, from_buffer(ctype, value), NULL, *arguments, divisor)
    if code == NO_MEMORY:
        raise MemoryError(f"{function}(): no memory for the sums of blocks")
    if code:
        raise checks.bad_class(function, target, code - 1, classes)
    return value, gradient


def mse_loss(input, target, reduction="mean", need_gradient=True):
    """(value, gradient) of the squared error."""
    return _over_elements("mse_loss", 1, input, target, (), (), reduction, need_gradient)


def l1_loss(input, target, reduction="mean", need_gradient=True):
    """(value, gradient) of the absolute error."""
    return _over_elements("l1_loss", 1, input, target, (), (), reduction, need_gradient)


def smooth_l1_loss(input, target, beta=1.0, reduction="mean", need_gradient=True):
    """(value, gradient) of the absolute error, rounded off within `beta`."""
    return _over_elements("smooth_l1_loss", 1, input, target, (), (beta,), reduction, need_gradient)


def huber_loss(input, target, delta=1.0, reduction="mean", need_gradient=True):
    """(value, gradient) of the squared error, straightened beyond `delta`."""
    return _over_elements("huber_loss", 1, input, target, (), (delta,), reduction, need_gradient)


def binary_cross_entropy(input, target, weight=None, reduction="mean", need_gradient=True):
    """(value, gradient) of the cross-entropy between probabilities of two classes."""
    weights = (("weight", weight),)
    return _over_elements("binary_cross_entropy", MUCH, input, target, weights, (), reduction, need_gradient)


def binary_cross_entropy_with_logits(input, target, weight=None, pos_weight=None, reduction="mean", need_gradient=True):
    """(value, gradient) of the cross-entropy between sigmoid(input) and a probability."""
    function, weights = "binary_cross_entropy_with_logits", (("weight", weight), ("pos_weight", pos_weight))
    return _over_elements(function, MUCH, input, target, weights, (), reduction, need_gradient)


def cross_entropy(
    logits, target, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="mean", need_gradient=True
):
    """(value, gradient) of the cross-entropy between softmax(logits) and a class index per row."""
    numbers = ignore_index, label_smoothing
    return _over_rows("cross_entropy", "logits", logits, target, weight, numbers, reduction, need_gradient)


def cross_entropy_probabilities(logits, target, weight=None, label_smoothing=0.0, reduction="mean", need_gradient=True):
    """(value, gradient) of the cross-entropy between softmax(logits) and class probabilities."""
    function, numbers = "cross_entropy_probabilities", (label_smoothing,)
    return _over_rows(function, "logits", logits, target, weight, numbers, reduction, need_gradient)


def multi_margin_loss(scores, target, weight=None, p=1, margin=1.0, reduction="mean", need_gradient=True):
    """(value, gradient) of the hinge loss over classes, to the power `p`."""
    if p not in (1, 2):
        checks.check_power("multi_margin_loss", p)
    return _over_rows("multi_margin_loss", "scores", scores, target, weight, (p, margin), reduction, need_gradient)
