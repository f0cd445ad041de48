"""Losses: (value, gradient by the input) in one call."""

import numpy as np

from .. import checks
from ..buffers import empty_like
from .extension import (
    BLOCK, INT64, INT64_ARRAY, NO_MEMORY, NULL, ROW_BLOCK, address, from_buffer, kernels_of, readable, share,
)  # fmt: skip

STREAMED = 1 << 23  # bytes of a gradient that the caches cannot hold, beside what is read, until somebody looks at it


def _reduced(kernel, ctype, count, block, input, value_shape, arguments, reduction, divisor, need_gradient):
    """Run a loss kernel over `count` elements or rows; (value, gradient, the kernel's code)."""
    gradient, slopes = None, NULL
    if need_gradient:
        gradient = empty_like(input)
        slopes = from_buffer(ctype, gradient)
    team, length = share(count, block, input.size)
    if reduction == "none":
        value = np.empty(value_shape, input.dtype)
        code = kernel(team, count, length, 0, NULL, from_buffer(ctype, value), slopes, *arguments, 1.0)
    else:
        value = np.empty((), input.dtype)
        code = kernel(team, count, length, block, from_buffer(ctype, value), NULL, slopes, *arguments, divisor)
    if code == NO_MEMORY:
        raise MemoryError("no memory for the sums of a loss")
    return value, gradient, code


def _elementwise(function, input, target, weights, numbers, reduction, need_gradient):
    """A loss over elements; `weights` are pairs (argument, array or None) and `numbers` what C takes after them."""
    dtype, shape, count = input.dtype, input.shape, input.size
    if (kernels := kernels_of.get(dtype)) is None:
        checks.check_float(function, "input", input)
    if reduction not in checks.REDUCTIONS:
        checks.check_reduction(function, reduction)
    ctype = kernels.array
    arguments = [address(ctype, input), readable(function, "target", target, ctype, dtype, shape)]
    for argument, array in weights:
        arguments.append(readable(function, argument, array, ctype, dtype, shape))
    arguments += numbers
    divisor = count if reduction == "mean" else 1.0
    value, gradient, code = _reduced(
        getattr(kernels, function), ctype, count, BLOCK, input, shape, arguments, reduction, divisor, need_gradient
    )
    if code:
        raise checks.bad_probability(function, input, code - 1)
    return value, gradient


def mse_loss(input, target, *, reduction, need_gradient):
    """(value, gradient) of the squared error."""
    return _elementwise("mse_loss", input, target, (), (input.nbytes >= STREAMED,), reduction, need_gradient)


def l1_loss(input, target, *, reduction, need_gradient):
    """(value, gradient) of the absolute error."""
    return _elementwise("l1_loss", input, target, (), (input.nbytes >= STREAMED,), reduction, need_gradient)


def smooth_l1_loss(input, target, *, beta, reduction, need_gradient):
    """(value, gradient) of the absolute error, rounded off within `beta`."""
    numbers = beta, input.nbytes >= STREAMED
    return _elementwise("smooth_l1_loss", input, target, (), numbers, reduction, need_gradient)


def huber_loss(input, target, *, delta, reduction, need_gradient):
    """(value, gradient) of the squared error, straightened beyond `delta`."""
    numbers = delta, input.nbytes >= STREAMED
    return _elementwise("huber_loss", input, target, (), numbers, reduction, need_gradient)


def binary_cross_entropy(input, target, weight=None, *, reduction, need_gradient):
    """(value, gradient) of the cross-entropy between probabilities of two classes."""
    weights = (("weight", weight),)
    return _elementwise("binary_cross_entropy", input, target, weights, (), reduction, need_gradient)


def binary_cross_entropy_with_logits(input, target, weight=None, pos_weight=None, *, reduction, need_gradient):
    """(value, gradient) of the cross-entropy between sigmoid(input) and a probability."""
    weights = (("weight", weight), ("pos_weight", pos_weight))
    return _elementwise("binary_cross_entropy_with_logits", input, target, weights, (), reduction, need_gradient)


def _row_arguments(function, argument, input, target, target_dtype, weight, reduction):
    """The kernels, and the addresses of input, target and weight, of a loss over (rows, classes)."""
    dtype, shape = input.dtype, input.shape
    kernels = kernels_of.get(dtype)
    if kernels is None or len(shape) != 2 or reduction not in checks.REDUCTIONS:
        checks.check_rows(function, argument, input)
        checks.check_reduction(function, reduction)
    logits = address(kernels.array, input)
    if target_dtype is INT64:
        labels = readable(function, "target", target, INT64_ARRAY, INT64, shape[:1])
    else:
        labels = readable(function, "target", target, kernels.array, dtype, shape)
    return kernels, [logits, labels, readable(function, "weight", weight, kernels.array, dtype, shape[1:])]


def cross_entropy(logits, target, weight=None, *, ignore_index, label_smoothing, reduction, need_gradient):
    """(value, gradient) of the cross-entropy between softmax(logits) and a class index per row."""
    kernels, arguments = _row_arguments("cross_entropy", "logits", logits, target, INT64, weight, reduction)
    rows, classes = logits.shape
    divisor = 0.0 if reduction == "mean" else 1.0  # 0 stands for the sum of the targets' weights
    arguments += (classes, ignore_index, label_smoothing)
    value, gradient, code = _reduced(
        kernels.cross_entropy, kernels.array, rows, ROW_BLOCK, logits, (rows,), arguments, reduction, divisor,
        need_gradient,
    )
    if code:
        raise checks.bad_class("cross_entropy", target, code - 1, classes)
    return value, gradient


def cross_entropy_probabilities(logits, target, weight=None, *, label_smoothing, reduction, need_gradient):
    """(value, gradient) of the cross-entropy between softmax(logits) and class probabilities."""
    function = "cross_entropy_probabilities"
    kernels, arguments = _row_arguments(function, "logits", logits, target, None, weight, reduction)
    rows, classes = logits.shape
    arguments += (classes, label_smoothing)
    divisor = rows if reduction == "mean" else 1.0
    value, gradient, _ = _reduced(
        kernels.cross_entropy_probabilities, kernels.array, rows, ROW_BLOCK, logits, (rows,), arguments, reduction,
        divisor, need_gradient,
    )
    return value, gradient


def multi_margin_loss(scores, target, weight=None, *, p, margin, reduction, need_gradient):
    """(value, gradient) of the hinge loss over classes, to the power `p`."""
    function = "multi_margin_loss"
    kernels, arguments = _row_arguments(function, "scores", scores, target, INT64, weight, reduction)
    if p not in (1, 2):
        checks.check_power(function, p)
    rows, classes = scores.shape
    arguments += (classes, p, margin)
    divisor = rows if reduction == "mean" else 1.0
    value, gradient, code = _reduced(
        kernels.multi_margin_loss, kernels.array, rows, ROW_BLOCK, scores, (rows,), arguments, reduction, divisor,
        need_gradient,
    )
    if code:
        raise checks.bad_class(function, target, code - 1, classes)
    return value, gradient
