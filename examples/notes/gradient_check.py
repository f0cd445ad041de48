"""The gradient check: one right and five wrong rules for the hinge loss, and what the check says of each."""

import minigrad
from minigrad.autograd import Function, gradcheck

from .page import alone

TITLE = "Gradient check"
CAPTION = (
    "The wrong rule, as the report draws it: the error of the linear approximation against the step, where a right "
    "gradient gives slope 2, and the errors of the single elements."
)


def show(page):
    page.text(
        """The analytic gradient is fast and exact but derived by people; the numeric one is slow and approximate but
        needs no derivation. So the one is used to train and the other to check it, once, on a small float64 example.
        Here is the hinge loss as an operation of one's own, with its rule by hand:"""
    )
    page.code(Hinge)
    page.text("`gradcheck` runs both and compares them. Of the rule above it says:")
    page.code("gradcheck(Hinge.apply, (scores, labels), raise_exception=False)")
    page.output_of(str(check(Hinge)).splitlines())
    page.text("And of the same rule by someone who remembered the wrong classes and forgot the right one:")
    page.code(ForgetsTheRightClass)
    wrong = check(ForgetsTheRightClass)
    page.output_of(str(wrong).splitlines())
    page.text(
        """It counts the wrong elements, names the worst with both values, and how far they may be apart: that bound
        comes from the estimated error of the finite difference, not from a tolerance somebody chose."""
    )
    page.saved_picture("gradient-check", wrong.plot, CAPTION)
    page.text("Where no simple cause fits, look for a pattern: one element of each row is wrong, the right class.")
    reports = {name: check(rule) for name, rule in RULES.items()}
    page.text("More ways to go wrong, and the likely cause that the check names for each:")
    page.table(
        ("the rule", "verdict", "likely cause"),
        [(name, "right" if report else "wrong", report.cause or "") for name, report in reports.items()],
    )
    page.text(
        """The gradients that flow in are random. A rule that ignores them passes every test with a plain
        `loss.backward()`, where the upstream gradient is 1, and fails as soon as the loss is scaled or added to
        another. What no gradient check can say is whether the loss is the one you meant: a wrong forward pass with a
        gradient to match is passed."""
    )


class Hinge(Function):
    @staticmethod
    def forward(ctx, scores, labels):
        rows = minigrad.arange(len(labels))
        margins = scores - scores[rows, labels].unsqueeze(1) + 1
        margins[rows, labels] = 0
        ctx.save_for_backward(margins, labels)
        return margins.clamp(min=0).sum() / len(labels)

    @staticmethod
    def backward(ctx, grad):
        margins, labels = ctx.saved_tensors
        violated = (margins > 0).double()
        violated[minigrad.arange(len(labels)), labels] = -violated.sum(1)
        return grad * violated / len(labels), None


class ForgetsTheRightClass(Hinge):
    @staticmethod
    def backward(ctx, grad):
        margins, labels = ctx.saved_tensors
        return grad * (margins > 0).double() / len(labels), None


class ForgetsTheMean(Hinge):
    @staticmethod
    def backward(ctx, grad):
        right, _ = Hinge.backward(ctx, grad)
        return right * len(right), None


class GoesUphill(Hinge):
    @staticmethod
    def backward(ctx, grad):
        right, _ = Hinge.backward(ctx, grad)
        return -right, None


class IgnoresUpstream(Hinge):
    @staticmethod
    def backward(ctx, grad):
        right, _ = Hinge.backward(ctx, minigrad.ones_like(grad))
        return right, None


class StopsTooEarly(Hinge):
    @staticmethod
    def backward(ctx, grad):
        right, _ = Hinge.backward(ctx, grad)
        right[-1] = 0
        return right, None


RULES = {
    "is the one above": Hinge,
    "forgets the right class": ForgetsTheRightClass,
    "forgets to divide by the number of rows": ForgetsTheMean,
    "has the wrong sign": GoesUphill,
    "ignores the upstream gradient": IgnoresUpstream,
    "stops one row too early": StopsTooEarly,
}


def check(rule):
    """What `gradcheck` says of a rule, on six rows of random scores for four classes."""
    scores = (minigrad.randn(6, 4, dtype=minigrad.float64, generator=minigrad.Generator(0)) / 2).requires_grad_()
    return gradcheck(rule.apply, (scores, minigrad.tensor([0, 1, 2, 3, 0, 1])), raise_exception=False)


if __name__ == "__main__":
    alone(TITLE, show)
