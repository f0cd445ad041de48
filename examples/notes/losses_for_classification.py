"""Losses for classification: cross-entropy and binary cross-entropy, and why they want logits."""

import numpy as np

import minigrad
import minigrad.nn.functional as F

from .page import alone

TITLE = "Losses for classification"
LOGITS, CLASSES = ((2.0, 1.0, 0.1), (0.5, 2.5, -1.0), (1.2, 0.3, 0.8)), (0, 1, 2)
HARD = (10.0, 20.0, 100.0, 200.0)


def show(page):
    page.text(
        """A classifier gives one unbounded number per class, the logits x. Softmax turns them into probabilities ŷ, and
        the log loss is the surprise at the right class: minus the logarithm of its probability."""
    )
    page.formula(
        "ŷ_c = exp(x_c) / Σ_k exp(x_k)",
        "L = −1/N Σₙ Σ_c y_nc log ŷ_nc        (y_nc is 1 for the right class of row n, else 0)",
        "∂L/∂x_nc = (ŷ_nc − y_nc) / N",
    )
    page.text(
        """The notes print one sum over i = 1..n. It needs two: over the rows and, within a row, over the classes
        (Bishop 2006, eq. 4.108; the division by N makes it the mean that PyTorch computes). Four ways to the same
        number:"""
    )
    logits, classes = np.array(LOGITS), np.array(CLASSES)
    ways = cross_entropy_in_four_ways(logits, classes)
    page.table(("way", "loss"), [(name, f"{value:.12f}") for name, value in ways.items()])
    by_backward, by_formula = cross_entropy_gradients(logits, classes)
    apart = np.abs(by_backward - by_formula).max()
    page.text(f"The gradient by `backward()` and (softmax(x) − one-hot) / N differ by at most {apart:.0e}.")
    page.text("With two classes one logit is enough, and the sigmoid takes softmax's place (Bishop 2006, eq. 4.90):")
    page.formula(
        "ŷ = 1 / (1 + exp(−x))", "BCE = −1/n Σ [yᵢ log ŷᵢ + (1 − yᵢ) log(1 − ŷᵢ)]        ∂BCE/∂xᵢ = (ŷᵢ − yᵢ) / n"
    )
    page.table(("way", "loss"), [(name, f"{value:.12f}") for name, value in binary_in_four_ways().items()])
    page.text(
        """Mind what each PyTorch name contains. `nn.CrossEntropyLoss` is softmax and log loss. `nn.BCELoss`, which
        the notes call sigmoid and log loss, is the log loss alone and wants probabilities; the pair is
        `nn.BCEWithLogitsLoss`. Nor does cross-entropy want probabilities: given those, it takes their softmax."""
    )
    page.text(
        f"""Ten classes, all probability on the right one: the loss is 0, but `cross_entropy` of these probabilities
        says {softmax_twice():.3f}, which is log(1 + 9/e), and nothing can bring it lower."""
    )
    page.text(
        """Why logits go in: on the way through a probability, numbers are lost. In float32 a sigmoid beyond about 17 is
        exactly 1, so log(1 − ŷ) is minus infinity; `BCELoss` cuts logarithms off at −100, as PyTorch does, which keeps
        the loss finite but its gradient at 0: the worst mistakes are those it cannot learn from. From the logit both
        come out right. Below, the true answer is no (y = 0), and the model says yes with logit x:"""
    )
    page.code(three_ways)
    page.table(
        ("x", "−log(1 − ŷ)", "gradient", "BCELoss of ŷ", "gradient", "BCEWithLogitsLoss", "gradient", "exact loss"),
        [
            (f"{x:g}", *(f"{number:.7g}" for pair in three_ways(x).values() for number in pair), f"{exact(x):.7g}")
            for x in HARD
        ],
    )
    naive, stable = softmax_overflow()
    page.text(
        f"""Softmax has the same trap: exp(100) is infinite in float32, so by hand the probabilities of the logits
        (100, 0, −100) are {naive}. `log_softmax` subtracts the largest logit first, which changes nothing in exact
        arithmetic, and gives the logarithms {stable}."""
    )
    page.picture(
        "classification-losses", draw,
        "The loss and its gradient for y = 0 as the logit grows, in float32. By way of the sigmoid the loss breaks off "
        "or is cut at 100, and the gradient dies near x = 17, where the sigmoid rounds to 1. From the logit both are "
        "right.",
        size=(9, 3.8),
    )  # fmt: skip


def cross_entropy_in_four_ways(logits, classes):
    """The loss from the formula in float64 NumPy, and from minigrad's functions."""
    x, target = minigrad.tensor(logits), minigrad.tensor(classes)
    one_hot = np.eye(logits.shape[1])[classes]
    return {
        "the formula, in NumPy": -(one_hot * np.log(softmax(logits))).sum() / len(logits),
        "softmax, then log, then pick": -F.softmax(x, 1).log()[minigrad.arange(len(classes)), target].mean().item(),
        "log_softmax, then nll_loss": F.nll_loss(F.log_softmax(x, 1), target).item(),
        "cross_entropy": F.cross_entropy(x, target).item(),
    }


def cross_entropy_gradients(logits, classes):
    """The gradient by the logits: from backward(), and from the formula."""
    x = minigrad.tensor(logits, requires_grad=True)
    F.cross_entropy(x, minigrad.tensor(classes)).backward()
    return x.grad.numpy(), (softmax(logits) - np.eye(logits.shape[1])[classes]) / len(logits)


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def binary_in_four_ways(logits=(1.5, -0.3, 2.0, -2.2), targets=(1.0, 0.0, 0.0, 1.0)):
    """The binary loss from the formula in float64 NumPy, and from minigrad's functions."""
    x, y = (minigrad.tensor(values, dtype=minigrad.float64) for values in (logits, targets))
    two_logits = minigrad.stack((minigrad.zeros_like(x), x), 1)
    p, t = 1 / (1 + np.exp(-np.array(logits))), np.array(targets)
    return {
        "the formula, in NumPy": -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean(),
        "sigmoid, then binary_cross_entropy": F.binary_cross_entropy(F.sigmoid(x), y).item(),
        "binary_cross_entropy_with_logits": F.binary_cross_entropy_with_logits(x, y).item(),
        "cross_entropy of the logits (0, x)": F.cross_entropy(two_logits, y.long()).item(),
    }


def softmax_twice():
    """Cross-entropy of probabilities that are already perfect."""
    return F.cross_entropy(minigrad.tensor([[1.0] + [0.0] * 9]), minigrad.tensor([0])).item()


def three_ways(logit):
    """Loss and gradient for y = 0, in float32."""
    ways = {
        "by hand": lambda x, y: -(1 - F.sigmoid(x)).log(),
        "probability": lambda x, y: F.binary_cross_entropy(F.sigmoid(x), y),
        "logit": lambda x, y: F.binary_cross_entropy_with_logits(x, y),
    }
    found = {}
    for name, way in ways.items():
        x, y = minigrad.tensor(logit, requires_grad=True), minigrad.tensor(0.0)
        with np.errstate(all="ignore"):  # what goes wrong here is meant to
            loss = way(x, y)
            loss.backward()
        found[name] = loss.item(), x.grad.item()
    return found


def exact(logit):
    """log(1 + exp(x)) in float64."""
    return np.logaddexp(0, logit)


def softmax_overflow():
    """The probabilities by the formula, and the log-probabilities by `log_softmax`, both in float32."""
    logits = np.array([[100, 0, -100]], np.float32)
    with np.errstate(all="ignore"):
        naive = softmax(logits)[0]
    return tuple(naive.tolist()), tuple(F.log_softmax(minigrad.tensor(logits), 1)[0].tolist())


def draw(figure):
    logits = np.arange(0, 150, 0.25)
    curves = {name: np.array([three_ways(float(x))[name] for x in logits]).T for name in three_ways(0.0)}
    labels = {"logit": "BCEWithLogitsLoss(x)", "probability": "BCELoss(sigmoid(x))", "by hand": "−log(1 − sigmoid(x))"}
    styles = {"logit": ("C0", "-", 2), "probability": ("C1", "--", 2), "by hand": ("black", ":", 3)}
    for axes, quantity, title in zip(figure.subplots(1, 2), (0, 1), ("Loss for y = 0", "Gradient for y = 0")):
        for name, label in labels.items():
            colour, line, width = styles[name]
            values = curves[name][quantity]
            values = np.where(np.isfinite(values), values, np.nan)
            axes.plot(logits, values, line, color=colour, linewidth=width, label=label)
        axes.set(title=title, xlabel="logit x")
    loss, gradient = figure.axes
    loss.set(ylabel="loss")
    loss.legend(loc="upper left")
    gradient.set(ylabel="∂L/∂x")


if __name__ == "__main__":
    alone(TITLE, show)
