"""Every kernel in plain NumPy: the formulas to read, and what the C kernels are tested against.

A loss is a function of arrays that gives two: what each element (or row) costs, and the slope of that cost by the
input. `_loss` turns such a formula into the kernel, which checks, reduces and scales.
"""

import contextlib
import functools

import numpy as np

from . import checks
from .table import Table


def _quietly(function):
    """Infinities and NaN are results here, not warnings."""
    return functools.wraps(function)(np.errstate(all="ignore")(function))


def _reduce(values, slopes, divisor, reduction, need_gradient):
    """(value, gradient) from the costs of all elements or rows, summed in float64."""
    dtype = slopes.dtype
    if reduction == "none":
        return values.astype(dtype), slopes if need_gradient else None
    divisor = np.float64(divisor if reduction == "mean" else 1)
    value = np.asarray(np.sum(values, dtype=np.float64) / divisor).astype(dtype)
    return value, slopes * (1 / divisor).astype(dtype) if need_gradient else None


# ---- elementary functions ----

exp = _quietly(np.exp)
log = _quietly(np.log)
log1p = log1p_near_0 = _quietly(np.log1p)


# ---- losses over elements ----


@_quietly
def _elementwise(function, formula, input, target, reduction, need_gradient, **weights):
    checks.check_float(function, "input", input)
    checks.check_reduction(function, reduction)
    for argument, array in {"target": target, **weights}.items():
        if array is not None:
            checks.check_array(function, argument, array, input.dtype, input.shape)
    values, slopes = formula(input, target)
    if (weight := weights.get("weight")) is not None:
        values, slopes = weight * values, weight * slopes
    return _reduce(values, np.asarray(slopes), input.size, reduction, need_gradient)


def mse_loss(input, target, reduction="mean", need_gradient=True):
    """(value, gradient) of the squared error."""

    def formula(x, y):
        return (x - y) ** 2, 2 * (x - y)

    return _elementwise("mse_loss", formula, input, target, reduction, need_gradient)


def l1_loss(input, target, reduction="mean", need_gradient=True):
    """(value, gradient) of the absolute error."""

    def formula(x, y):
        return np.abs(x - y), _sign(x - y)

    return _elementwise("l1_loss", formula, input, target, reduction, need_gradient)


def smooth_l1_loss(input, target, beta=1.0, reduction="mean", need_gradient=True):
    """(value, gradient) of the absolute error, rounded off within `beta`."""

    def formula(x, y):
        d = np.abs(x - y)
        values = np.where(d < beta, 0.5 * d * d / np.float64(beta), d - 0.5 * beta)
        slopes = np.where(d >= beta, _sign(x - y), (x - y) / np.float64(beta))
        return values.astype(x.dtype), slopes.astype(x.dtype)

    return _elementwise("smooth_l1_loss", formula, input, target, reduction, need_gradient)


def huber_loss(input, target, delta=1.0, reduction="mean", need_gradient=True):
    """(value, gradient) of the squared error, straightened beyond `delta`."""

    def formula(x, y):
        d = np.abs(x - y)
        return np.where(d < delta, 0.5 * d * d, delta * (d - 0.5 * delta)), np.clip(x - y, -delta, delta)

    return _elementwise("huber_loss", formula, input, target, reduction, need_gradient)


def binary_cross_entropy(input, target, weight=None, reduction="mean", need_gradient=True):
    """(value, gradient) of the cross-entropy between probabilities of two classes."""

    def formula(x, y):
        refused = ~((x >= 0) & (x <= 1))
        if refused.any():
            raise checks.bad_probability("binary_cross_entropy", input, int(np.argmax(refused)))
        values = (y - 1) * np.maximum(np.log1p(-x), -100) - y * np.maximum(np.log(x), -100)
        return values, (x - y) / np.maximum((1 - x) * x, x.dtype.type(1e-12))

    return _elementwise("binary_cross_entropy", formula, input, target, reduction, need_gradient, weight=weight)


def binary_cross_entropy_with_logits(input, target, weight=None, pos_weight=None, reduction="mean", need_gradient=True):
    """(value, gradient) of the cross-entropy between sigmoid(input) and a probability."""

    def formula(x, y):
        negative, positive = 1 - y, y if pos_weight is None else pos_weight * y
        against, in_favour = np.where(x < 0, positive, negative), np.where(x < 0, negative, positive)
        e = np.exp(-np.abs(x))  # never overflows
        slopes = (against - in_favour * e) / (1 + e)
        return (negative + positive) * np.log1p(e) + against * np.abs(x), np.where(x < 0, -slopes, slopes)

    return _elementwise(
        "binary_cross_entropy_with_logits", formula, input, target, reduction, need_gradient,
        weight=weight, pos_weight=pos_weight,
    )


def _sign(difference):
    """-1, 0 or 1, and 0 for NaN."""
    return ((difference > 0).astype(difference.dtype) - (difference < 0)).astype(difference.dtype)


# ---- losses over rows of classes ----


def _check_rows(function, argument, input, target, target_dtype, weight, reduction):
    checks.check_rows(function, argument, input)
    checks.check_reduction(function, reduction)
    target_shape = input.shape[:1] if target_dtype == np.int64 else input.shape
    checks.check_array(function, "target", target, target_dtype, target_shape)
    if weight is None:
        return np.ones(input.shape[1], input.dtype)
    checks.check_array(function, "weight", weight, input.dtype, input.shape[1:])
    return weight


def _check_classes(function, target, classes, counts):
    refused = counts & ((target < 0) | (target >= classes))
    if refused.any():
        raise checks.bad_class(function, target, int(np.argmax(refused)), classes)


def _log_softmax(logits):
    """log(softmax) of each row. The largest logit adds exactly 1 to the sum: log1p keeps the digits of the rest."""
    if logits.shape[1] == 0:
        return logits
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log1p((np.exp(shifted).sum(axis=1, keepdims=True, dtype=np.float64) - 1).astype(logits.dtype))


def _soft_cross_entropy(logits, target):
    """Costs and slopes of sum_c target_c (-log softmax_c), whatever a row of `target` sums to."""
    log_p = _log_softmax(logits)
    return -(target * log_p).sum(axis=1), np.exp(log_p) * target.sum(axis=1, keepdims=True) - target


@_quietly
def cross_entropy(
    logits, target, weight=None, ignore_index=-100, label_smoothing=0.0, reduction="mean", need_gradient=True
):
    """(value, gradient) of the cross-entropy between softmax(logits) and a class index per row."""
    weight = _check_rows("cross_entropy", "logits", logits, target, np.int64, weight, reduction)
    rows, classes = logits.shape
    counts = target != ignore_index
    _check_classes("cross_entropy", target, classes, counts)
    log_p = _log_softmax(logits)
    row, y = np.arange(rows)[counts], target[counts]  # only the rows that count
    hard, soft = (1 - label_smoothing) * weight[y], label_smoothing / classes if classes else 0.0

    values, slopes = np.zeros(rows, logits.dtype), np.zeros_like(logits)
    values[row] = -hard * log_p[row, y]
    p, others = np.exp(log_p[row]), np.arange(classes) != y[:, None]
    slopes[row] = p * (soft * weight.sum() + hard[:, None] * others)
    slopes[row, y] -= hard * (p * others).sum(axis=1)  # hard (1 - p_y), which keeps its digits near 0
    if label_smoothing != 0:
        values[row] -= soft * (weight * log_p[row]).sum(axis=1)
        slopes[row] -= soft * weight
    divisor = weight[y].sum(dtype=np.float64) or np.nan  # a mean over no weight
    value, gradient = _reduce(values, slopes, divisor, reduction, need_gradient)
    if need_gradient:
        gradient[~counts] = 0  # even where the divisor is NaN
    return value, gradient


@_quietly
def cross_entropy_probabilities(logits, target, weight=None, label_smoothing=0.0, reduction="mean", need_gradient=True):
    """(value, gradient) of the cross-entropy between softmax(logits) and class probabilities."""
    function = "cross_entropy_probabilities"
    weight = _check_rows(function, "logits", logits, target, logits.dtype, weight, reduction)
    rows, classes = logits.shape
    smoothed = (1 - label_smoothing) * target + (label_smoothing / classes if classes else 0.0)
    values, slopes = _soft_cross_entropy(logits, weight * smoothed)
    return _reduce(values, slopes, rows, reduction, need_gradient)


@_quietly
def multi_margin_loss(scores, target, weight=None, p=1, margin=1.0, reduction="mean", need_gradient=True):
    """(value, gradient) of the hinge loss over classes, to the power `p`."""
    weight = _check_rows("multi_margin_loss", "scores", scores, target, np.int64, weight, reduction)
    checks.check_power("multi_margin_loss", p)
    rows, classes = scores.shape
    _check_classes("multi_margin_loss", target, classes, np.ones(rows, bool))
    row = np.arange(rows)
    z = margin - scores[row, target][:, None] + scores
    z[row, target] = 0
    z = np.where(z > 0, z, 0)  # not maximum(): NaN costs nothing here

    factor = (weight[target] / max(classes, 1)).astype(scores.dtype)[:, None]
    slopes = factor * (z > 0 if p == 1 else 2 * z).astype(scores.dtype)
    slopes[row, target] = -slopes.sum(axis=1)
    return _reduce((factor * z**p).sum(axis=1), slopes, rows, reduction, need_gradient)


# ---- layers ----


def relu(input):
    """max(input, 0); NaN stays NaN."""
    return np.maximum(input, input.dtype.type(0))


def relu_backward(upstream, result):
    """0 where `result`, what relu gave, is 0, also where `upstream` is not finite; else `upstream`."""
    return np.where(result <= 0, upstream.dtype.type(0), upstream)


def sum_rows(matrix):
    """The sum over the rows of a matrix."""
    return matrix.sum(axis=0, dtype=matrix.dtype)


def matmul(left, right, bias=None):
    """left right (+ bias on each row)."""
    result = np.matmul(left, right)
    if bias is not None:
        result += bias
    return result


# ---- optimizers ----


def _arrays(collection):
    return collection.arrays if isinstance(collection, Table) else collection


def _tensors(function, parameters, gradients, **states):
    """One tuple per parameter: itself, its gradient, and its entry of each state, None for a missing one."""
    parameters, gradients = _arrays(parameters), _arrays(gradients)
    states = {name: None if arrays is None else _arrays(arrays) for name, arrays in states.items()}
    checks.check_lists(function, parameters, {"gradients": gradients, **states})
    missing = [None] * len(parameters)
    return zip(parameters, gradients, *(missing if arrays is None else arrays for arrays in states.values()))


def _descent(parameter, gradient, weight_decay, maximize):
    """The gradient to go down along: flipped to maximize, with L2 decay added."""
    gradient = -gradient if maximize else gradient
    return gradient + weight_decay * parameter if weight_decay != 0 else gradient


@_quietly
def sgd(
    parameters, gradients, momentum_buffers=None, *,
    lr, momentum, dampening, nesterov, weight_decay, maximize, first,
):
    """Stochastic gradient descent, in place. The first step with momentum starts the buffers at the gradient."""
    for p, g, b in _tensors("sgd", parameters, gradients, momentum_buffers=momentum_buffers):
        g = _descent(p, g, weight_decay, maximize)
        if b is not None:
            b[...] = g if first else momentum * b + (1 - dampening) * g
            g = g + momentum * b if nesterov else b
        p -= lr * g


@_quietly
def adagrad(parameters, gradients, sums, *, lr, lr_decay, weight_decay, eps, maximize, step):
    """Adagrad, in place; `step` counts from 1."""
    for p, g, s in _tensors("adagrad", parameters, gradients, sums=sums):
        g = _descent(p, g, weight_decay, maximize)
        s += g * g
        p -= lr / (1 + (step - 1) * lr_decay) * g / (np.sqrt(s) + eps)


@_quietly
def rmsprop(
    parameters, gradients, square_avgs, grad_avgs=None, momentum_buffers=None, *,
    lr, alpha, eps, weight_decay, momentum, maximize,
):
    """RMSprop, in place; centred if `grad_avgs` are given, with momentum if `momentum_buffers` are."""
    states = {"square_avgs": square_avgs, "grad_avgs": grad_avgs, "momentum_buffers": momentum_buffers}
    for p, g, v, a, b in _tensors("rmsprop", parameters, gradients, **states):
        g = _descent(p, g, weight_decay, maximize)
        v[...] = alpha * v + (1 - alpha) * g * g
        variance = v
        if a is not None:
            a[...] = alpha * a + (1 - alpha) * g
            variance = v - a * a
        if b is None:
            p -= lr * g / (np.sqrt(variance) + eps)
        else:
            b[...] = momentum * b + g / (np.sqrt(variance) + eps)
            p -= lr * b


def _adam_step(p, g, m, v, largest, lr, beta1, beta2, eps, step):
    """What Adam and AdamW share (Kingma and Ba 2015, algorithm 1; with `largest`, Reddi et al. 2018)."""
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * g * g
    if largest is not None:
        np.maximum(largest, v, out=largest)  # of the averages before bias correction
        v = largest
    p -= lr / (1 - beta1**step) * m / (np.sqrt(v) / (1 - beta2**step) ** 0.5 + eps)


@_quietly
def adam(
    parameters, gradients, exp_avgs, exp_avg_sqs, max_exp_avg_sqs=None, *,
    lr, beta1, beta2, eps, weight_decay, maximize, step,
):
    """Adam, in place; `step` counts from 1. AMSGrad if `max_exp_avg_sqs` are given."""
    states = {"exp_avgs": exp_avgs, "exp_avg_sqs": exp_avg_sqs, "max_exp_avg_sqs": max_exp_avg_sqs}
    for p, g, m, v, largest in _tensors("adam", parameters, gradients, **states):
        g = _descent(p, g, weight_decay, maximize)
        _adam_step(p, g, m, v, largest, lr, beta1, beta2, eps, step)


@_quietly
def adamw(
    parameters, gradients, exp_avgs, exp_avg_sqs, max_exp_avg_sqs=None, *,
    lr, beta1, beta2, eps, weight_decay, maximize, step,
):
    """Adam with decoupled weight decay, in place; `step` counts from 1."""
    states = {"exp_avgs": exp_avgs, "exp_avg_sqs": exp_avg_sqs, "max_exp_avg_sqs": max_exp_avg_sqs}
    for p, g, m, v, largest in _tensors("adamw", parameters, gradients, **states):
        p *= 1 - lr * weight_decay
        _adam_step(p, -g if maximize else g, m, v, largest, lr, beta1, beta2, eps, step)


# ---- what programs look at ----


def instruction_set():
    """The instruction set of kernels in C: none."""


@contextlib.contextmanager
def recording():
    """Within it, a list of what is called in C: nothing."""
    yield []


# ---- the machine's limit ----


def make_stream(written, updated, first, second=None, *, past_caches=False):
    """A call that sets written = first + second, or -first without `second`, and adds `first` to each of `updated`.

    `written` may be None.
    """

    def stream():
        if written is not None:
            np.negative(first, out=written) if second is None else np.add(first, second, out=written)
        for array in updated:
            np.add(array, first, out=array)

    return stream
