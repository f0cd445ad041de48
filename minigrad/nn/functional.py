"""Layers and losses as functions, with PyTorch's names, formulas and defaults."""

import numpy as np

from ..ops import losses as fused
from ..ops.elementwise import relu, sigmoid, softplus, tanh
from ..ops.linear_algebra import linear
from ..ops.reductions import log_softmax, softmax
from ..ops.shaping import flatten, movedim
from ..random import stream
from ..tensor import Tensor, wrap

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cross_entropy", "dropout", "flatten", "huber_loss",
    "l1_loss", "linear", "log_softmax", "mse_loss", "multi_margin_loss", "one_hot", "relu", "sigmoid",
    "smooth_l1_loss", "softmax", "softplus", "tanh",
]  # fmt: skip


def probability(p, caller):
    """Return `p`, or raise ValueError if it is not in [0, 1]."""
    if not 0 <= p <= 1:
        raise ValueError(f"{caller}: p must be between 0 and 1, got {p}")
    return p


def dropout(input, p=0.5, training=True, inplace=False, generator=None):
    """Zero each element with probability `p` and scale the others by 1 / (1 - p) (Srivastava et al. 2014)."""
    probability(p, "dropout()")
    if not training or p == 0:
        return input
    kept = stream(generator).random(input.shape, np.float32) >= p
    mask = wrap(kept.astype(input.dtype) * np.asarray(1 / (1 - p) if p < 1 else 0, input.dtype))
    return input.mul_(mask) if inplace else input * mask


def one_hot(target, num_classes=-1):
    """Rows of zeros with a 1 at each class; int64 in, int64 out, with one more axis."""
    classes = int(target.array.max()) + 1 if num_classes == -1 else num_classes
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
        input, target: tensors of one shape and floating-point dtype.
        reduction: "mean" over all elements, "sum" (the L2 loss), or "none".

    Raises ValueError when the shapes differ: nothing is broadcast.

    Example:
        >>> import minigrad
        >>> minigrad.nn.functional.mse_loss(minigrad.tensor([1.0, 2.0]), minigrad.tensor([1.0, 4.0]))
        tensor(2.)
    """
    _require_tensors("mse_loss", input=input, target=target)
    return fused.mse_loss(input, target, reduction=reduction)


def l1_loss(input, target, reduction="mean"):
    """Mean absolute error, |input - target|; its slope at 0 is 0. Shapes as in `mse_loss`."""
    _require_tensors("l1_loss", input=input, target=target)
    return fused.l1_loss(input, target, reduction=reduction)


def smooth_l1_loss(input, target, reduction="mean", beta=1.0):
    """With d = input - target: d^2 / (2 beta) where |d| < beta, else |d| - beta/2 (Girshick 2015, eq. 3)."""
    _require_tensors("smooth_l1_loss", input=input, target=target)
    if not beta >= 0:
        raise RuntimeError(f"smooth_l1_loss(): beta must be >= 0, got {beta}")
    return fused.smooth_l1_loss(input, target, beta=beta, reduction=reduction)


def huber_loss(input, target, reduction="mean", delta=1.0):
    """With d = input - target: d^2 / 2 where |d| < delta, else delta (|d| - delta/2) (Huber 1964)."""
    _require_tensors("huber_loss", input=input, target=target)
    if not delta > 0:
        raise RuntimeError(f"huber_loss(): delta must be > 0, got {delta}")
    return fused.huber_loss(input, target, delta=delta, reduction=reduction)


def _spread(name, argument, weight, input):
    """`weight` broadcast to the shape of `input`."""
    if weight is None or weight.shape == input.shape:
        return weight
    try:
        np.broadcast_to(weight.array, input.shape)
    except ValueError:
        raise ValueError(
            f"{name}(): {argument} of shape {weight.shape} does not broadcast to the input's shape {input.shape}"
        ) from None
    return weight.expand(input.shape)


def binary_cross_entropy(input, target, weight=None, reduction="mean"):
    """-(t log p + (1 - t) log(1 - p)) on probabilities p = input in [0, 1]; logarithms are cut off at -100.

    `weight` rescales each element and broadcasts. The slope is (p - t) / max(p (1 - p), 1e-12), as in
    PyTorch. Raises RuntimeError for a probability outside [0, 1]. On logits,
    `binary_cross_entropy_with_logits` is exact where a sigmoid would round to 0 or 1.
    """
    name = "binary_cross_entropy"
    _require_tensors(name, input=input, target=target, weight=weight)
    return fused.binary_cross_entropy(input, target, _spread(name, "weight", weight, input), reduction=reduction)


def binary_cross_entropy_with_logits(input, target, weight=None, reduction="mean", pos_weight=None):
    """(1 - t) x + (1 + (pos_weight - 1) t) log(1 + exp(-x)) on logits x = input: sigmoid and log loss in one.

    `pos_weight` scales the positive term, `weight` each element; both broadcast to the input.
    """
    name = "binary_cross_entropy_with_logits"
    _require_tensors(name, input=input, target=target, weight=weight, pos_weight=pos_weight)
    weight = _spread(name, "weight", weight, input)
    pos_weight = _spread(name, "pos_weight", pos_weight, input)
    return fused.binary_cross_entropy_with_logits(input, target, weight, pos_weight, reduction=reduction)


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
        return x.unsqueeze(0) if x.ndim == 1 else movedim(x, 1, -1).reshape(-1, x.shape[1])

    return flat(input), flat(target) if per_class else target.reshape(-1), leading


def cross_entropy(input, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """Softmax and log loss in one: -log softmax(input)[target].

    Args:
        input: logits (C), (N, C) or (N, C, d1, ...); unbounded numbers, not probabilities.
        target: int64 class indices, (), (N) or (N, d1, ...); or probabilities of the input's shape.
        weight: one factor per class, (C).
        ignore_index: rows with this class as target add neither to the loss nor to the mean's divisor.
        reduction: "mean" divides by the sum of the weights of the targets (by N for probabilities),
            so with `weight` it is not the mean of "none"; "sum"; "none" gives the target's shape.
        label_smoothing: e mixes the target with the uniform distribution: (1 - e) target + e / C.

    Raises:
        IndexError: for a target that is no class and not `ignore_index`.
        ValueError: when the shapes do not fit.

    Example:
        >>> import minigrad
        >>> minigrad.nn.functional.cross_entropy(minigrad.zeros(1, 4), minigrad.tensor([2]))  # log 4
        tensor(1.3863)
    """
    if not (isinstance(input, Tensor) and isinstance(target, Tensor)) or weight is not None:
        _require_tensors("cross_entropy", input=input, target=target, weight=weight)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"cross_entropy(): label_smoothing must be between 0 and 1, got {label_smoothing}")
    if input.array.ndim != 2:
        rows, row_target, leading = _rows("cross_entropy", input, target)
        loss = cross_entropy(rows, row_target, weight, ignore_index, reduction, label_smoothing)
        return loss.reshape(leading) if reduction == "none" else loss
    if target.array.dtype.kind == "f":
        if ignore_index >= 0:
            raise RuntimeError(f"cross_entropy(): ignore_index needs class indices as target, got {ignore_index} for probabilities")
        return fused.cross_entropy_probabilities(
            input, target, weight, label_smoothing=label_smoothing, reduction=reduction
        )
    return fused.cross_entropy(
        input, target, weight, ignore_index=ignore_index, label_smoothing=label_smoothing, reduction=reduction
    )


def multi_margin_loss(input, target, p=1, margin=1.0, weight=None, reduction="mean"):
    """The multiclass hinge loss: sum over j != y of max(0, margin - s_y + s_j)^p / C for scores s = input.

    Args:
        input: scores (N, C) or (C).
        target: int64 classes (N) or ().
        p: 1 or 2.
        weight: one factor per class, (C), chosen by the target.

    The division by all C classes is PyTorch's; multiply by C for the hinge loss of the textbooks.
    Raises IndexError for a target that is no class.
    """
    _require_tensors("multi_margin_loss", input=input, target=target, weight=weight)
    if input.array.ndim == 1:
        rows, row_target, leading = _rows("multi_margin_loss", input, target)
        loss = multi_margin_loss(rows, row_target, p, margin, weight, reduction)
        return loss.reshape(leading) if reduction == "none" else loss
    return fused.multi_margin_loss(input, target, weight, p=p, margin=margin, reduction=reduction)
