"""One table of losses: function, options, arguments, and what each costs by its definition in float64 NumPy.

A formula gives the losses before reduction and the divisor of the mean. The rows keep away from
kinks, on both sides of each, so that finite differences hold. The same rows run on PyTorch, where
functions and options have the same names.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

REDUCTIONS = ("mean", "sum", "none")


# The definitions


def mse(x, y):
    return (x - y) ** 2, x.size


def l1(x, y):
    return np.abs(x - y), x.size


def smooth_l1(x, y, beta=1.0):
    d = np.abs(x - y)
    return (np.where(d < beta, d**2 / (2 * beta), d - beta / 2) if beta else d), x.size


def huber(x, y, delta=1.0):
    d = np.abs(x - y)
    return np.where(d < delta, d**2 / 2, delta * d - delta**2 / 2), x.size


def bce(x, y, weight=1.0):
    return -weight * (y * np.log(x) + (1 - y) * np.log(1 - x)), x.size


def bce_with_logits(x, y, weight=1.0, pos_weight=1.0):
    p = 1 / (1 + np.exp(-x))
    return -weight * (pos_weight * y * np.log(p) + (1 - y) * np.log(1 - p)), x.size


def cross_entropy(x, y, weight=1.0, ignore_index=-100, label_smoothing=0.0):
    axis = min(1, x.ndim - 1)
    x = np.moveaxis(x, axis, -1)
    classes = x.shape[-1]
    weight = weight * np.ones(classes)
    log_p = np.log(np.exp(x) / np.exp(x).sum(-1, keepdims=True))
    if y.dtype.kind == "i":
        kept = (y != ignore_index)[..., None]
        target = (y[..., None] == np.arange(classes)) * kept
        divisor = (target * weight).sum()
    else:
        kept, target = 1, np.moveaxis(y, axis, -1)
        divisor = log_p[..., 0].size
    mixed = (1 - label_smoothing) * target + label_smoothing / classes * kept
    return -(mixed * weight * log_p).sum(-1), divisor


def multi_margin(x, y, p=1, margin=1.0, weight=None):
    rows, labels = x.reshape(-1, x.shape[-1]), y.reshape(-1)
    losses = [
        sum(max(0.0, margin - row[label] + row[j]) ** p for j in range(len(row)) if j != label)
        * (1.0 if weight is None else weight[label])
        / len(row)
        for row, label in zip(rows, labels)
    ]
    return np.reshape(losses, y.shape), len(labels)


# The arguments


def normal(*shape):
    return lambda rng: rng.standard_normal(shape)


def near_and_far(*shape):
    """Distances 0.1, 0.3, ... to the target of zeros, of both signs: no kink at 0, 0.25, 0.5 or 1."""

    def make(rng):
        sizes = 0.1 + 0.2 * np.arange(np.prod(shape, dtype=int))
        return rng.permutation(sizes * (-1) ** np.arange(sizes.size)).reshape(shape)

    return make


def zeros(*shape):
    return lambda rng: np.zeros(shape)


def probabilities(*shape):
    return lambda rng: rng.uniform(0.1, 0.9, shape)


def positive(*shape):
    return lambda rng: rng.uniform(0.5, 2.0, shape)


def distributions(*shape):
    """Positive numbers that sum to 1 along the axis of classes."""

    def make(rng):
        x = rng.uniform(0.1, 1.0, shape)
        return x / x.sum(min(1, x.ndim - 1), keepdims=True)

    return make


def labels(*shape, classes):
    return lambda rng: rng.integers(0, classes, shape)


def exactly(*values):
    return lambda rng: np.array(values)


@dataclass(frozen=True)
class LossCase:
    id: str
    function: str
    formula: Callable
    input: Callable
    target: Callable
    tensors: dict = field(default_factory=dict)  # keyword arguments that are tensors: name -> maker
    options: dict = field(default_factory=dict)

    def arrays(self, dtype):
        """Input, target and the tensor options, of `dtype` unless they are integers; the same in every run."""
        rng = np.random.default_rng(sum(map(ord, self.id)))
        made = [np.asarray(make(rng)) for make in (self.input, self.target, *self.tensors.values())]
        return [array if array.dtype.kind == "i" else array.astype(dtype) for array in made]

    def call(self, functional, input, target, *tensors, reduction):
        """The loss by `functional`, minigrad's or PyTorch's."""
        options = {**dict(zip(self.tensors, tensors, strict=True)), **self.options}
        return getattr(functional, self.function)(input, target, reduction=reduction, **options)

    def expected(self, arrays, reduction):
        """The loss by its definition, in float64."""
        input, target, *tensors = (a if a.dtype.kind == "i" else a.astype(np.float64) for a in arrays)
        losses, divisor = self.formula(input, target, **dict(zip(self.tensors, tensors)), **self.options)
        return losses if reduction == "none" else losses.sum() / (divisor if reduction == "mean" else 1)


def _pairs(name, function, formula, **options):
    return LossCase(name, function, formula, near_and_far(3, 4), zeros(3, 4), options=options)


def _binary(name, function, formula, input, target, **tensors):
    return LossCase(name, function, formula, input, target, tensors)


def _classes(name, input, target, weight=None, **options):
    tensors = {} if weight is None else {"weight": weight}
    return LossCase(f"cross_entropy-{name}", "cross_entropy", cross_entropy, input, target, tensors, options)


def _margin(name, input, target, weight=None, **options):
    tensors = {} if weight is None else {"weight": weight}
    return LossCase(f"multi_margin-{name}", "multi_margin_loss", multi_margin, input, target, tensors, options)


BCE, LOGITS = ("binary_cross_entropy", bce), ("binary_cross_entropy_with_logits", bce_with_logits)
SOME_IGNORED = exactly(1, -100, 0, 4, -100, 2)

CASES = (
    LossCase("mse", "mse_loss", mse, normal(3, 4), normal(3, 4)),
    LossCase("mse-0d", "mse_loss", mse, normal(), normal()),
    LossCase("mse-100", "mse_loss", mse, normal(100), normal(100)),
    _pairs("l1", "l1_loss", l1),
    _pairs("smooth_l1", "smooth_l1_loss", smooth_l1),
    _pairs("smooth_l1-beta", "smooth_l1_loss", smooth_l1, beta=0.4),
    _pairs("smooth_l1-beta0", "smooth_l1_loss", smooth_l1, beta=0),
    _pairs("huber", "huber_loss", huber),
    _pairs("huber-delta", "huber_loss", huber, delta=0.4),
    _binary("bce", *BCE, probabilities(3, 4), probabilities(3, 4)),
    _binary("bce-weight", *BCE, probabilities(3, 4), probabilities(3, 4), weight=positive(3, 4)),
    _binary("bce-weight-row", *BCE, probabilities(3, 4), probabilities(3, 4), weight=positive(4)),
    _binary("logits", *LOGITS, normal(3, 4), probabilities(3, 4)),
    _binary("logits-weight", *LOGITS, normal(3, 4), probabilities(3, 4), weight=positive(3, 1)),
    _binary("logits-pos_weight", *LOGITS, normal(3, 4), probabilities(3, 4), pos_weight=positive(4)),
    _binary("logits-both", *LOGITS, normal(2, 3, 4), probabilities(2, 3, 4), weight=positive(3, 4), pos_weight=positive(4)),
    _classes("plain", normal(6, 5), labels(6, classes=5)),
    _classes("one-row", normal(5), labels(classes=5)),
    _classes("images", normal(2, 5, 3, 2), labels(2, 3, 2, classes=5), positive(5), label_smoothing=0.2),
    _classes("series", normal(2, 5, 3), exactly((1, -1, 0), (-1, 4, 4)), ignore_index=-1),
    _classes("weight", normal(6, 5), labels(6, classes=5), positive(5)),
    _classes("ignored", normal(6, 5), SOME_IGNORED),
    _classes("ignored-class", normal(6, 5), exactly(1, 2, 0, 4, 2, 2), positive(5), ignore_index=2),
    _classes("smoothing", normal(6, 5), labels(6, classes=5), label_smoothing=0.3),
    _classes("smoothing1", normal(6, 5), labels(6, classes=5), label_smoothing=1.0),
    _classes("all-options", normal(6, 5), SOME_IGNORED, positive(5), label_smoothing=0.3),
    _classes("probabilities", normal(6, 5), distributions(6, 5)),
    _classes("probabilities-row", normal(5), distributions(5), positive(5)),
    _classes("probabilities-all", normal(6, 5), distributions(6, 5), positive(5), label_smoothing=0.3),
    _classes("probabilities-images", normal(2, 5, 3), distributions(2, 5, 3), positive(5)),
    _margin("p1", normal(6, 5), labels(6, classes=5)),
    _margin("p2", normal(6, 5), labels(6, classes=5), p=2),
    _margin("weight", normal(6, 5), labels(6, classes=5), positive(5), margin=0.5),
    _margin("p2-weight", normal(6, 5), labels(6, classes=5), positive(5), p=2, margin=0.7),
    _margin("one-row", normal(5), labels(classes=5)),
)  # fmt: skip
