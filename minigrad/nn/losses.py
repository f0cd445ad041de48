"""The losses as modules; formulas, shapes and errors stand at the function of `nn.functional` each one calls."""

from . import functional
from .module import Module


class Loss(Module):
    """Calls `functional.<function>(input, target, ...)` with the options it was made with."""

    function = None

    def __init__(self, reduction="mean", **options):
        super().__init__()
        self.reduction, self.options = reduction, options

    def forward(self, input, target):
        return getattr(functional, self.function)(input, target, reduction=self.reduction, **self.options)

    def extra_repr(self):
        return ", ".join(f"{name}={value!r}" for name, value in {**self.options, "reduction": self.reduction}.items())


class MSELoss(Loss):
    """Mean squared error: `functional.mse_loss`."""

    function = "mse_loss"


class L1Loss(Loss):
    """Mean absolute error: `functional.l1_loss`."""

    function = "l1_loss"


class SmoothL1Loss(Loss):
    """Squared near 0, absolute beyond `beta`: `functional.smooth_l1_loss`."""

    function = "smooth_l1_loss"

    def __init__(self, reduction="mean", beta=1.0):
        super().__init__(reduction, beta=beta)


class HuberLoss(Loss):
    """Squared near 0, linear beyond `delta`: `functional.huber_loss`."""

    function = "huber_loss"

    def __init__(self, reduction="mean", delta=1.0):
        super().__init__(reduction, delta=delta)


class BCELoss(Loss):
    """Log loss on probabilities: `functional.binary_cross_entropy`."""

    function = "binary_cross_entropy"

    def __init__(self, weight=None, reduction="mean"):
        super().__init__(reduction, weight=weight)


class BCEWithLogitsLoss(Loss):
    """Log loss on logits: `functional.binary_cross_entropy_with_logits`."""

    function = "binary_cross_entropy_with_logits"

    def __init__(self, weight=None, reduction="mean", pos_weight=None):
        super().__init__(reduction, weight=weight, pos_weight=pos_weight)


class CrossEntropyLoss(Loss):
    """Softmax and log loss in one: `functional.cross_entropy`."""

    function = "cross_entropy"

    def __init__(self, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
        super().__init__(reduction, weight=weight, ignore_index=ignore_index, label_smoothing=label_smoothing)


class MultiMarginLoss(Loss):
    """The multiclass hinge loss: `functional.multi_margin_loss`."""

    function = "multi_margin_loss"

    def __init__(self, p=1, margin=1.0, weight=None, reduction="mean"):
        super().__init__(reduction, p=p, margin=margin, weight=weight)
