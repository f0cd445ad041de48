"""Layers and losses as functions, with PyTorch's names, formulas and defaults."""

import numpy as np

from ..graph import repeated, tell_watcher
from ..ops import losses as fused
from ..ops.elementwise import relu, sigmoid, softplus, tanh
from ..ops.linear_algebra import linear
from ..ops.reductions import log_softmax, softmax
from ..ops.shaping import flatten, movedim
from ..random import stream
from ..tensor import Tensor, wrap

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "dropout", "flatten", "huber_loss",
    "l1_loss", "linear", "log_softmax", "mse_loss", "multi_margin_loss", "nll_loss", "one_hot", "relu", "sigmoid",
    "smooth_l1_loss", "softmax", "softplus", "tanh",
]  # fmt: skip


def probability(p, caller):
    """Return `p`, or raise ValueError if it is not in [0, 1]."""
    if not 0 <= p <= 1:
        raise ValueError(f"{caller}: p must be between 0 and 1, got {p}")
    return p


def dropout(input, p=0.5, training=True, inplace=False, generator=None):
    """Zero each element with probability `p` and scale the others by 1 / (1 - p).

    The mean of each element stays as it is. Source: Srivastava et al. 2014.

    Args:
        input: a floating-point tensor of any shape; the result has its shape and dtype.
        p: the probability of a zero, in [0, 1].
        training: if False, `input` itself comes back.
        inplace: write into `input`.
        generator: a `minigrad.Generator` to draw from; by default that of `manual_seed`.

    Raises:
        ValueError: when `p` is not in [0, 1].

    Example:
        >>> import minigrad
        >>> out = minigrad.nn.functional.dropout(minigrad.ones(100), p=0.5)
        >>> sorted(set(out.tolist()))
        [0.0, 2.0]
    """
    probability(p, "dropout()")
    if not training or p == 0:
        return input
    mask = _dropout_mask(input.shape, input.dtype, p, generator)
    return input.mul_(mask) if inplace else input * mask


@repeated
def _dropout_mask(shape, dtype, p, generator):
    """1 / (1 - p) for what is kept, else 0."""
    kept = stream(generator).random(shape, np.float32) >= p
    return wrap(kept.astype(dtype) * np.asarray(1 / (1 - p) if p < 1 else 0, dtype))


def one_hot(target, num_classes=-1):
    """Rows of zeros with a 1 at each class: result[..., c] = 1 where target = c.

    Args:
        target: integers of any shape.
        num_classes: the size C of the new last axis; -1 means the largest class + 1.

    Returns:
        An int64 tensor of the target's shape and a last axis C.

    Raises:
        ValueError: when `target` is not of an integer dtype or holds a class outside 0 to C - 1.

    Example:
        >>> import minigrad
        >>> minigrad.nn.functional.one_hot(minigrad.tensor([0, 2]))
        tensor([[1, 0, 0],
                [0, 0, 1]])
    """
    if num_classes == -1:
        tell_watcher("the shape of one_hot() depends on values. Give num_classes")
        num_classes = int(target.array.max()) + 1
    return _one_hot(target, num_classes)


@repeated
def _one_hot(target, classes):
    if target.dtype.kind not in "iu" or target.numel() and not 0 <= target.array.min() <= target.array.max() < classes:
        raise ValueError(f"one_hot(): target must hold integers from 0 to {classes - 1}")
    return wrap((target.array[..., None] == np.arange(classes)).astype(np.int64))


# Losses


def _require_tensors(name, **arguments):
    """Refuse what is not a tensor. Dtypes, shapes and values are the kernels' to check, once."""
    for argument, value in arguments.items():
        if not isinstance(value, Tensor) and (value is not None or argument in ("input", "target")):
            raise TypeError(f"{name}(): {argument} must be a tensor, got {type(value).__name__}")


def mse_loss(input, target, reduction="mean"):
    """Mean squared error, (input - target)^2.

    Args:
        input, target: tensors of one shape and dtype, float32 or float64.
        reduction: "mean" over all elements (NaN over none), "sum" (the L2 loss), or "none", which
            keeps the input's shape.

    Raises:
        TypeError: for what is not a tensor, and when the dtypes differ or are not floating-point.
        ValueError: when the shapes differ (nothing is broadcast), and for another reduction.

    Example:
        >>> import minigrad
        >>> minigrad.nn.functional.mse_loss(minigrad.tensor([1.0, 2.0]), minigrad.tensor([1.0, 4.0]))
        tensor(2.)
    """
    return fused.mse_loss.apply(input, target, reduction)


def l1_loss(input, target, reduction="mean"):
    """Mean absolute error, |input - target|; its slope at 0 is 0.

    Shapes, dtypes, reduction and errors are those of `mse_loss`.

    Raises:
        TypeError, ValueError: as in `mse_loss`.

    Example:
        >>> import minigrad
        >>> minigrad.nn.functional.l1_loss(minigrad.tensor([1.0, 2.0]), minigrad.tensor([1.0, 4.0]))
        tensor(1.)
    """
    return fused.l1_loss.apply(input, target, reduction)


def smooth_l1_loss(input, target, reduction="mean", beta=1.0):
    """Squared error near 0 and absolute error beyond: d^2 / (2 beta) where |d| < beta, else |d| - beta/2.

    Here d = input - target. With `beta` 0 it is `l1_loss`. Source: Girshick 2015, eq. 3, where beta is 1.
    Shapes, dtypes and reduction are those of `mse_loss`.

    Raises:
        RuntimeError: when `beta` is negative.
        TypeError, ValueError: as in `mse_loss`.

    Example:
        >>> import minigrad
        >>> x, y = minigrad.tensor([0.5, 3.0]), minigrad.zeros(2)
        >>> minigrad.nn.functional.smooth_l1_loss(x, y, reduction="none")  # 0.5^2 / 2 and 3 - 1/2
        tensor([0.1250, 2.5000])
    """
    if not beta >= 0:
        raise RuntimeError(f"smooth_l1_loss(): beta must be >= 0, got {beta}")
    return fused.smooth_l1_loss.apply(input, target, beta, reduction)


def huber_loss(input, target, reduction="mean", delta=1.0):
    """Squared error near 0 and linear beyond: d^2 / 2 where |d| < delta, else delta (|d| - delta/2).

    Here d = input - target. It is delta times `smooth_l1_loss` with beta = delta. Source: Huber 1964.
    Shapes, dtypes and reduction are those of `mse_loss`.

    Raises:
        RuntimeError: when `delta` is not positive.
        TypeError, ValueError: as in `mse_loss`.

    Example:
        >>> import minigrad
        >>> x, y = minigrad.tensor([1.0, 5.0]), minigrad.zeros(2)
        >>> minigrad.nn.functional.huber_loss(x, y, reduction="none", delta=2.0)  # 1^2 / 2 and 2 (5 - 1)
        tensor([0.5000, 8.0000])
    """
    if not delta > 0:
        raise RuntimeError(f"huber_loss(): delta must be > 0, got {delta}")
    return fused.huber_loss.apply(input, target, delta, reduction)


def _spread(name, argument, weight, input):
    """`weight` broadcast to the shape of `input`; what is no tensor is left to the loss to refuse."""
    if not isinstance(weight, Tensor) or not isinstance(input, Tensor) or weight.shape == input.shape:
        return weight
    try:
        np.broadcast_to(weight.array, input.shape)
    except ValueError:
        raise ValueError(
            f"{name}(): {argument} of shape {weight.shape} does not broadcast to the input's shape {input.shape}"
        ) from None
    return weight.expand(input.shape)


def binary_cross_entropy(input, target, weight=None, reduction="mean"):
    """Log loss on probabilities p = input in [0, 1]: -(t log p + (1 - t) log(1 - p)) for t = target.

    The logarithms are cut off at -100. The slope is (p - t) / max(p (1 - p), 1e-12). Both as in PyTorch.
    On logits, `binary_cross_entropy_with_logits` is exact where a sigmoid would round to 0 or 1.

    Args:
        input, target: tensors of one shape and dtype, float32 or float64.
        weight: one factor per element, of the same dtype; broadcasts to the input.
        reduction: "mean" over all elements, not divided by the weights; "sum"; "none".

    Raises:
        RuntimeError: for an input outside [0, 1] or NaN.
        TypeError: for what is not a tensor, and when the dtypes differ or are not floating-point.
        ValueError: when the shapes do not fit, and for another reduction.

    Example:
        >>> import minigrad
        >>> p, t = minigrad.tensor([0.5, 0.25]), minigrad.tensor([1.0, 0.0])
        >>> minigrad.nn.functional.binary_cross_entropy(p, t, reduction="none")  # -log 0.5 and -log 0.75
        tensor([0.6931, 0.2877])
    """
    name = "binary_cross_entropy"
    return fused.binary_cross_entropy.apply(input, target, _spread(name, "weight", weight, input), reduction)


def binary_cross_entropy_with_logits(input, target, weight=None, reduction="mean", pos_weight=None):
    """Sigmoid and log loss in one: (1 - t) x + (1 + (pos_weight - 1) t) log(1 + exp(-x)).

    Here x = input are logits, any real numbers, and t = target. Nothing overflows for large |x|.

    Args:
        input, target: tensors of one shape and dtype, float32 or float64.
        weight: one factor per element, of the same dtype; broadcasts to the input.
        reduction: "mean" over all elements, not divided by the weights; "sum"; "none".
        pos_weight: a factor for the terms of t, such as one per class on the last axis; broadcasts.

    Raises:
        TypeError: for what is not a tensor, and when the dtypes differ or are not floating-point.
        ValueError: when the shapes do not fit, and for another reduction.

    Example:
        >>> import minigrad
        >>> x, t = minigrad.tensor([0.0, 200.0]), minigrad.tensor([1.0, 0.0])
        >>> minigrad.nn.functional.binary_cross_entropy_with_logits(x, t, reduction="none")  # log 2 and 200
        tensor([  0.6931, 200.0000])
    """
    name = "binary_cross_entropy_with_logits"
    weight = _spread(name, "weight", weight, input)
    pos_weight = _spread(name, "pos_weight", pos_weight, input)
    return fused.binary_cross_entropy_with_logits.apply(input, target, weight, pos_weight, reduction)


def _rows(name, input, target):
    """(C) or (N, C, d1, ...) and a target that fits as rows of classes and one target each."""
    if input.ndim == 0:
        raise ValueError(f"{name}(): input must be (C), (N, C) or (N, C, d1, ...), got a single number")
    leading = input.shape[:1] + input.shape[2:] if input.ndim > 1 else ()
    per_class = target.is_floating_point()
    expected = input.shape if per_class else leading
    if target.shape != expected:
        raise ValueError(f"{name}(): target has shape {target.shape}, expected {expected} for input {input.shape}")

    def flat(x):
        return x if x.ndim == 2 else x.unsqueeze(0) if x.ndim == 1 else movedim(x, 1, -1).reshape(-1, x.shape[1])

    return flat(input), flat(target) if per_class else target.reshape(-1), leading


def cross_entropy(input, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """Softmax and log loss in one: -log softmax(input)[target].

    Args:
        input: logits (C), (N, C) or (N, C, d1, ...); unbounded numbers, not probabilities.
        target: int64 class indices, (), (N) or (N, d1, ...); or probabilities of the input's shape and dtype.
        weight: one factor per class, (C), of the input's dtype.
        ignore_index: rows with this class as target add neither to the loss nor to the mean's divisor.
        reduction: "mean" divides by the sum of the weights of the targets (by N d1 ... for probabilities),
            so with `weight` it is not the mean of "none", and NaN if all rows are ignored; "sum"; "none"
            gives the shape of a target of indices.
        label_smoothing: e mixes the target with the uniform distribution: (1 - e) target + e / C
            (Szegedy et al. 2016, section 7).

    Raises:
        IndexError: for a target that is no class and not `ignore_index`.
        TypeError: for what is not a tensor, and for dtypes other than these.
        ValueError: when the shapes do not fit, and for another reduction.
        RuntimeError: for `label_smoothing` outside [0, 1], and `ignore_index` >= 0 with probabilities.

    Example:
        >>> import minigrad
        >>> logits = minigrad.zeros(2, 4)
        >>> minigrad.nn.functional.cross_entropy(logits, minigrad.tensor([2, 3]))  # log 4
        tensor(1.3863)
        >>> minigrad.nn.functional.cross_entropy(logits, minigrad.tensor([2, -100]), reduction="none")
        tensor([1.3863, 0.0000])
    """
    if not (isinstance(input, Tensor) and isinstance(target, Tensor)):
        _require_tensors("cross_entropy", input=input, target=target)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"cross_entropy(): label_smoothing must be between 0 and 1, got {label_smoothing}")
    if input.array.ndim != 2:
        rows, row_target, leading = _rows("cross_entropy", input, target)
        loss = cross_entropy(rows, row_target, weight, ignore_index, reduction, label_smoothing)
        return loss.reshape(leading) if reduction == "none" else loss
    if target.array.dtype.kind == "f":
        if target.array.shape != input.array.shape:
            raise ValueError(
                f"cross_entropy(): target is {target.dtype} of shape {target.shape}. Class indices must be int64, use "
                f".long(); probabilities must have the input's shape {input.shape}"
            )
        if ignore_index >= 0:
            raise RuntimeError(f"cross_entropy(): ignore_index needs class indices as target, got {ignore_index} for probabilities")
        return fused.cross_entropy_probabilities.apply(input, target, weight, label_smoothing, reduction)
    return fused.cross_entropy.apply(input, target, weight, ignore_index, label_smoothing, reduction)


def nll_loss(input, target, weight=None, ignore_index=-100, reduction="mean"):
    """-input[target] on log-probabilities: what `cross_entropy` does after `log_softmax`, without a kernel.

    Arguments and errors as of `cross_entropy` with class indices.

    Example:
        >>> import minigrad
        >>> log_p = minigrad.tensor([[0.5, 0.5], [0.25, 0.75]]).log()
        >>> minigrad.nn.functional.nll_loss(log_p, minigrad.tensor([0, 0]), reduction="none")
        tensor([0.6931, 1.3863])
    """
    _require_tensors("nll_loss", input=input, target=target, weight=weight)
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"nll_loss(): reduction is {reduction!r}, expected 'mean', 'sum' or 'none'")
    if target.dtype != np.int64:
        raise TypeError(f"nll_loss(): target is {target.dtype}, expected int64. Use .long()")
    rows, row_target, leading = _rows("nll_loss", input, target)
    classes, wanted = rows.shape[1], row_target.array
    wrong = np.flatnonzero((wanted != ignore_index) & ((wanted < 0) | (wanted >= classes)))
    if len(wrong):
        raise IndexError(f"nll_loss(): target[{wrong[0]}] is {wanted[wrong[0]]}, expected a class from 0 to {classes - 1}")
    loss = fused.negative_log_likelihood(rows, wanted, weight, ignore_index, reduction)
    return loss.reshape(leading) if reduction == "none" else loss


def multi_margin_loss(input, target, p=1, margin=1.0, weight=None, reduction="mean"):
    """The multiclass hinge loss: sum over j != y of max(0, margin - s_y + s_j)^p / C for scores s = input.

    The sum over all other classes is that of Weston and Watkins 1999. The division by all C classes is
    PyTorch's; multiply by C for the hinge loss of the textbooks.

    Args:
        input: scores (N, C) or (C), float32 or float64.
        target: int64 classes (N) or ().
        p: 1 or 2.
        weight: one factor per class, (C), chosen by the target.
        reduction: "mean" over the N rows, not divided by the weights; "sum"; "none" gives one per row.

    Raises:
        IndexError: for a target that is no class.
        TypeError: for what is not a tensor, and for dtypes other than these.
        ValueError: when the shapes do not fit, for another `p`, and for another reduction.

    Example:
        >>> import minigrad
        >>> scores = minigrad.tensor([[1.0, 0.5, 0.0]])
        >>> minigrad.nn.functional.multi_margin_loss(scores, minigrad.tensor([0]))  # (0.5 + 0) / 3
        tensor(0.1667)
    """
    if isinstance(input, Tensor) and input.array.ndim == 1 and isinstance(target, Tensor):
        rows, row_target, leading = _rows("multi_margin_loss", input, target)
        loss = multi_margin_loss(rows, row_target, p, margin, weight, reduction)
        return loss.reshape(leading) if reduction == "none" else loss
    return fused.multi_margin_loss.apply(input, target, weight, p, margin, reduction)
