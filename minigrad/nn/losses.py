"""The losses as modules; formulas, shapes and errors stand at the function of `nn.functional` each one calls."""

from . import functional
from .module import Module


class MSELoss(Module):
    """Mean squared error: `functional.mse_loss`.

    Example:
        >>> import minigrad
        >>> minigrad.nn.MSELoss(reduction="sum")(minigrad.tensor([1.0, 2.0]), minigrad.tensor([1.0, 4.0]))
        tensor(4.)
    """

    def __init__(self, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, input, target):
        return functional.mse_loss(input, target, self.reduction)


class L1Loss(Module):
    """Mean absolute error: `functional.l1_loss`."""

    def __init__(self, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, input, target):
        return functional.l1_loss(input, target, self.reduction)


class SmoothL1Loss(Module):
    """Squared near 0, absolute beyond `beta`: `functional.smooth_l1_loss`."""

    def __init__(self, reduction="mean", beta=1.0):
        super().__init__()
        self.reduction, self.beta = reduction, beta

    def forward(self, input, target):
        return functional.smooth_l1_loss(input, target, self.reduction, self.beta)


class HuberLoss(Module):
    """Squared near 0, linear beyond `delta`: `functional.huber_loss`."""

    def __init__(self, reduction="mean", delta=1.0):
        super().__init__()
        self.reduction, self.delta = reduction, delta

    def forward(self, input, target):
        return functional.huber_loss(input, target, self.reduction, self.delta)


class BCELoss(Module):
    """Log loss on probabilities: `functional.binary_cross_entropy`. `weight` is a buffer."""

    def __init__(self, weight=None, reduction="mean"):
        super().__init__()
        self.register_buffer("weight", weight)
        self.reduction = reduction

    def forward(self, input, target):
        return functional.binary_cross_entropy(input, target, self.weight, self.reduction)


class BCEWithLogitsLoss(Module):
    """Log loss on logits: `functional.binary_cross_entropy_with_logits`. The weights are buffers.

    Example:
        >>> import minigrad
        >>> loss = minigrad.nn.BCEWithLogitsLoss(pos_weight=minigrad.tensor(3.0))
        >>> loss(minigrad.zeros(1), minigrad.ones(1))  # 3 log 2
        tensor(2.0794)
    """

    def __init__(self, weight=None, reduction="mean", pos_weight=None):
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("pos_weight", pos_weight)
        self.reduction = reduction

    def forward(self, input, target):
        return functional.binary_cross_entropy_with_logits(input, target, self.weight, self.reduction, self.pos_weight)


class CrossEntropyLoss(Module):
    """Softmax and log loss in one: `functional.cross_entropy`. `weight` is a buffer.

    Example:
        >>> import minigrad
        >>> loss = minigrad.nn.CrossEntropyLoss(weight=minigrad.tensor([1.0, 3.0]))
        >>> loss(minigrad.zeros(2, 2), minigrad.tensor([0, 1]))  # (1 log 2 + 3 log 2) / (1 + 3)
        tensor(0.6931)
    """

    def __init__(self, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
        super().__init__()
        self.register_buffer("weight", weight)
        self.ignore_index, self.reduction, self.label_smoothing = ignore_index, reduction, label_smoothing

    def forward(self, input, target):
        return functional.cross_entropy(
            input, target, self.weight, self.ignore_index, self.reduction, self.label_smoothing
        )


class NLLLoss(Module):
    """The loss on log-probabilities, after `LogSoftmax`: `functional.nll_loss`. `weight` is a buffer."""

    def __init__(self, weight=None, ignore_index=-100, reduction="mean"):
        super().__init__()
        self.register_buffer("weight", weight)
        self.ignore_index, self.reduction = ignore_index, reduction

    def forward(self, input, target):
        return functional.nll_loss(input, target, self.weight, self.ignore_index, self.reduction)


class MultiMarginLoss(Module):
    """The multiclass hinge loss: `functional.multi_margin_loss`. `weight` is a buffer."""

    def __init__(self, p=1, margin=1.0, weight=None, reduction="mean"):
        super().__init__()
        self.register_buffer("weight", weight)
        self.p, self.margin, self.reduction = p, margin, reduction

    def forward(self, input, target):
        return functional.multi_margin_loss(input, target, self.p, self.margin, self.weight, self.reduction)
