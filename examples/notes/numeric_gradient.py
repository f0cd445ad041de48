"""The numeric gradient: three finite differences, their error against the step h, and what they cost."""

import time

import numpy as np

import minigrad
from minigrad import nn

from ..datasets import load_digits
from .page import alone

TITLE = "2. Numeric gradient"
POINT, EXACT = 1.0, np.exp(1) * (np.sin(1) + np.cos(1))  # f'(x) = exp(x) (sin(x) + cos(x))
STEPS = 10.0 ** np.arange(-16, 0.01, 0.25)
# The steps at which truncation is all the error there is
STRAIGHT = {"forward": (1e-7, 1e-2), "backward": (1e-7, 1e-2), "central": (1e-4, 1e-1)}


def show(page):
    page.text("A derivative is a limit; keep a small step h instead, and it can be computed from values alone:")
    page.formula(
        "forward     (f(x + h) − f(x)) / h             error about h/2 |f″(x)|",
        "backward    (f(x) − f(x − h)) / h             error about h/2 |f″(x)|",
        "central     (f(x + h) − f(x − h)) / (2h)      error about h²/6 |f‴(x)|",
    )
    page.text(
        """The notes give the forward difference. In the central one the even terms of the Taylor series cancel, so
        its error falls with h² (Nocedal and Wright 2006, section 8.1). For f(x) = exp(x) sin(x) at x = 1:"""
    )
    page.code(difference)
    exact = slope_by_backward()
    steps = 10.0 ** np.arange(-1, -16, -2)
    found = zip(steps, *(errors(kind, steps) for kind in STRAIGHT))
    page.table(
        ("h", *(f"error, {kind}" for kind in STRAIGHT)),
        [(f"{h:.0e}", *(f"{error:.1e}" for error in row)) for h, *row in found],
    )
    slopes = {kind: order(kind) for kind in STRAIGHT}
    page.text(
        f"""`backward()` gives {exact:.12f}, the formula {EXACT:.12f}. On a log-log plot the errors are straight
        lines, of slope {slopes['forward']:.2f} for the forward, {slopes['backward']:.2f} for the backward and
        {slopes['central']:.2f} for the central difference, until they hit a wall: f itself is rounded to about 16
        digits, an error of ε|f|, and the division by h makes that ε|f|/h. So a smaller step is not always better. The
        best is near √ε ≈ 1e-8 for the one-sided differences and near ∛ε ≈ 6e-6 for the central one: here
        {best_step('forward'):.0e} and {best_step('central'):.0e}. In float32, where ε is 1.2e-7, the wall stands so
        near that even the best step leaves five digits or so, and h = 1e-5 only two: gradients are checked in
        float64."""
    )
    page.text(
        """The price: each of n parameters has to be moved, so a gradient takes 2n evaluations of the loss (n + 1
        one-sided), where `backward()` takes one pass that costs about as much as one or two evaluations, whatever n
        is. The digits, 32 at a time, with networks of growing width:"""
    )
    page.code(numeric_gradient)
    costs = [cost(hidden) for hidden in page.progress((None, 16, 48, 128))]
    page.table(
        ("network", "parameters", "evaluations", "numeric", "one backward()", "ratio", "largest difference"),
        [
            (
                row["network"], f"{row['parameters']:,}", f"{row['evaluations']:,}",
                f"{row['numeric'] * 1e3:,.0f} ms", f"{row['backward'] * 1e3:.2f} ms",
                f"{row['numeric'] / row['backward']:,.0f}", f"{row['difference']:.0e}",
            )
            for row in costs
        ],
    )  # fmt: skip
    page.text(
        """Slow and approximate, but it needs no derivation: it is the independent witness that the section on the
        gradient check calls."""
    )
    page.picture(
        "numeric-gradient", lambda figure: draw(figure, costs),
        "Left: the error of each difference against its step; dashed, the slopes 1 and 2; dotted, the rounding wall "
        "ε|f|/h. Right: the time for one gradient.", size=(10, 4.2),
    )  # fmt: skip


def f(x):
    return x.exp() * x.sin()


def difference(kind, h, dtype=minigrad.float64):
    """The derivative of f at 1 by one of the three differences."""

    def value(x):
        return f(minigrad.tensor(x, dtype=dtype)).item()

    if kind == "forward":
        return (value(POINT + h) - value(POINT)) / h
    if kind == "backward":
        return (value(POINT) - value(POINT - h)) / h
    return (value(POINT + h) - value(POINT - h)) / (2 * h)


def slope_by_backward():
    x = minigrad.tensor(POINT, dtype=minigrad.float64, requires_grad=True)
    f(x).backward()
    return x.grad.item()


def errors(kind, steps=STEPS, dtype=minigrad.float64):
    return np.array([abs(difference(kind, float(h), dtype) - EXACT) for h in steps])


def order(kind):
    """The slope of log error over log h where the Taylor series rules: 1 or 2."""
    low, high = STRAIGHT[kind]
    steps = np.geomspace(low, high, 20)
    return np.polyfit(np.log(steps), np.log(errors(kind, steps)), 1)[0]


def best_step(kind):
    """The step of least error, smoothed over neighbours: single errors may be 0 by luck."""
    logs = np.log(errors(kind) + 1e-16)
    return STEPS[2:-2][np.convolve(logs, np.ones(5) / 5, "valid").argmin()]


def numeric_gradient(loss, parameters, h=1e-5):
    """The central difference of loss() by each element of the parameters, moved in place and put back."""
    gradients = []
    with minigrad.no_grad():
        for parameter in parameters:
            values, gradient = parameter.numpy().reshape(-1), np.empty(parameter.numel())
            for i, value in enumerate(values.copy()):
                values[i] = value + h
                above = loss()
                values[i] = value - h
                gradient[i] = (above - loss()).item() / (2 * h)
                values[i] = value
            gradients.append(gradient.reshape(parameter.shape))
    return gradients


def cost(hidden, images=32):
    """Time and evaluations of the numeric gradient and of one backward(), and how far they differ."""
    data = load_digits()
    x = minigrad.tensor(data.train_images[:images].reshape(images, -1), dtype=minigrad.float64)
    y = minigrad.tensor(data.train_labels[:images])
    minigrad.manual_seed(0)
    widths = (64, 10) if hidden is None else (64, hidden, 10)
    layers = [nn.Linear(64, 10)] if hidden is None else [nn.Linear(64, hidden), nn.Tanh(), nn.Linear(hidden, 10)]
    model, evaluations = nn.Sequential(*layers).double(), 0
    parameters = list(model.parameters())

    def loss():
        nonlocal evaluations
        evaluations += 1
        return nn.functional.cross_entropy(model(x), y)

    backward = []
    for _ in range(9):
        model.zero_grad()
        start = time.perf_counter()
        loss().backward()  # with its forward pass
        backward.append(time.perf_counter() - start)
    evaluations, start = 0, time.perf_counter()
    numeric = numeric_gradient(loss, parameters)
    return {
        "network": "-".join(map(str, widths)),
        "parameters": sum(parameter.numel() for parameter in parameters),
        "evaluations": evaluations,
        "numeric": time.perf_counter() - start,
        "backward": float(np.median(backward)),
        "difference": max(np.abs(p.grad.numpy() - g).max() for p, g in zip(parameters, numeric)),
    }


def draw(figure, costs):
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": (3, 2)})
    shown = {"forward": ("C1", "o"), "backward": ("C5", "x"), "central": ("C0", "s")}
    for kind, (colour, marker) in shown.items():
        left.plot(STEPS, errors(kind), marker, color=colour, markersize=4, linestyle="none", label=kind)
    large = STEPS[STEPS >= 1e-5]
    single = errors("central", large, minigrad.float32)
    left.plot(large, single, "^", color="C3", markersize=4, linestyle="none", label="central, float32")
    second, third = 2 * np.e * np.cos(1), 2 * np.e * (np.cos(1) - np.sin(1))  # the derivatives of f at 1
    steps = np.geomspace(1e-9, 1, 2)
    left.plot(steps, steps / 2 * second, "--", color="C1", linewidth=1, label="slope 1")
    steps = np.geomspace(2e-6, 1, 2)
    left.plot(steps, steps**2 / 6 * abs(third), "--", color="C0", linewidth=1, label="slope 2")
    steps = np.geomspace(1e-16, 1e-4, 2)
    rounding = np.finfo(float).eps * np.e * np.sin(1) / steps
    left.plot(steps, rounding, ":", color="black", linewidth=1, label="rounding, ε|f|/h")
    left.set(title="exp(x) sin(x) at x = 1", xlabel="step h", ylabel="error")
    left.set(xscale="log", yscale="log", ylim=(1e-13, 1e4))
    left.legend(ncols=2, loc="upper right", fontsize=9)
    parameters = [row["parameters"] for row in costs]
    right.plot(parameters, [row["numeric"] for row in costs], "o-", color="C1", label="numeric, central")
    right.plot(parameters, [row["backward"] for row in costs], "s-", color="C0", label="loss and backward()")
    right.set(xscale="log", yscale="log", xlabel="parameters", ylabel="seconds for one gradient", title="32 digits")
    right.legend(loc="center left")


if __name__ == "__main__":
    alone(TITLE, show)
