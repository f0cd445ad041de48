"""Losses for regression: MSE, L2 and MAE, their gradients, and what one outlier does to each."""

import numpy as np

import minigrad
from minigrad import nn, optim

from .page import alone

TITLE = "Losses for regression"
LOSSES = {"MSE": nn.MSELoss(), "L2 (the sum)": nn.MSELoss(reduction="sum"), "MAE": nn.L1Loss()}
PREDICTIONS, TARGETS = (2.5, 0.0, 2.0, 8.0), (3.0, -0.5, 2.0, 7.0)
OUTLIER = 30.0


def show(page):
    page.text("A loss turns predictions ŷ and true values y into one number; its gradient says where to move each ŷ.")
    page.formula(
        "MSE = 1/n Σ (ŷᵢ − yᵢ)²        gradient 2 (ŷᵢ − yᵢ) / n",
        "L2 = Σ (ŷᵢ − yᵢ)²             gradient 2 (ŷᵢ − yᵢ)",
        "MAE = 1/n Σ |ŷᵢ − yᵢ|         gradient sign(ŷᵢ − yᵢ) / n, and 0 where ŷᵢ = yᵢ",
    )
    page.code(value_and_gradient)
    page.text(f"For the predictions {PREDICTIONS} of the targets {TARGETS}:")
    page.table(
        ("loss", "value", "gradient by backward()", "the same by the formula"),
        [
            (name, f"{value:.4f}", listed(gradient), listed(by_formula(name, PREDICTIONS, TARGETS)))
            for name in LOSSES
            for value, gradient in [value_and_gradient(name, PREDICTIONS, TARGETS)]
        ],
    )
    page.text(
        """L2 has the minimum of MSE, but a gradient n times as long: with a sum, the learning rate has to fall when the
        batch grows. MAE's gradient knows only the side of an error, not its size."""
    )
    page.text(
        f"""That is what matters for outliers. Take ten points near the line y = 2x + 1 and move one to y = {OUTLIER:g}.
        Squared, its error outweighs all others, and the line follows it; MAE hears it as one voice of ten."""
    )
    x, clean, spoiled = measurements()
    page.table(
        ("loss", "on the true line", "with the outlier", "the outlier's part of |gradient|", "line fitted"),
        [
            (
                name, f"{value_and_gradient(name, 2 * x + 1, clean)[0]:.3f}",
                f"{value_and_gradient(name, 2 * x + 1, spoiled)[0]:.3f}", f"{100 * outlier_part(name):.0f} %",
                line_as_text(*fit_line(name, x, spoiled)),
            )
            for name in LOSSES
        ],
    )  # fmt: skip
    page.picture(
        "regression-losses", draw,
        "Loss and gradient of one error, and the lines that each loss fits through nine good points and one outlier. "
        "L2 fits MSE's line.", size=(10, 3.8),
    )  # fmt: skip


def value_and_gradient(name, predictions, targets):
    """The loss and its derivative by each prediction."""
    predictions = minigrad.tensor(predictions, dtype=minigrad.float64, requires_grad=True)
    loss = LOSSES[name](predictions, minigrad.tensor(targets, dtype=minigrad.float64))
    loss.backward()
    return loss.item(), predictions.grad.numpy()


def by_formula(name, predictions, targets):
    """The gradient as the formula above says, in NumPy."""
    error = np.subtract(predictions, targets)
    return {"MSE": 2 * error / len(error), "L2 (the sum)": 2 * error, "MAE": np.sign(error) / len(error)}[name]


def measurements():
    """Ten points with noise around y = 2x + 1, and the same with one of them far off."""
    x = np.linspace(0, 4.5, 10)
    clean = 2 * x + 1 + 0.3 * np.random.RandomState(0).standard_normal(10)
    spoiled = clean.copy()
    spoiled[8] = OUTLIER
    return x, clean, spoiled


def outlier_part(name):
    """The outlier's share in the sum of the absolute gradients, at the true line."""
    x, _, spoiled = measurements()
    gradient = np.abs(value_and_gradient(name, 2 * x + 1, spoiled)[1])
    return gradient[8] / gradient.sum()


def fit_line(name, x, y, steps=1500):
    """Slope and intercept after training with the loss."""
    x, y = (minigrad.tensor(values, dtype=minigrad.float64) for values in (x, y))
    line = minigrad.zeros(2, dtype=minigrad.float64, requires_grad=True)
    optimizer = optim.Adam([line], lr=0.3)
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.994)  # MAE's gradient never shrinks: the rate must
    for _ in range(steps):
        optimizer.zero_grad()
        LOSSES[name](line[0] * x + line[1], y).backward()
        optimizer.step()
        scheduler.step()
    return tuple(line.tolist())


def line_as_text(slope, intercept):
    return f"{slope:.2f} x {'−' if intercept < 0 else '+'} {abs(intercept):.2f}"


def listed(values):
    return ", ".join(f"{value:.3g}" for value in values)


def draw(figure):
    loss, gradient, fits = figure.subplots(1, 3, gridspec_kw={"width_ratios": (3, 3, 4)})
    errors = np.linspace(-3, 3, 301)
    loss.plot(errors, errors**2, label="squared")
    loss.plot(errors, np.abs(errors), "--", label="absolute")
    loss.set(title="Loss of one error", xlabel="error ŷ − y", ylabel="loss")
    gradient.plot(errors, 2 * errors, label="squared")
    left, right = errors[errors < 0], errors[errors > 0]
    gradient.plot([*left, np.nan, *right], np.sign([*left, np.nan, *right]), "--", label="absolute")
    gradient.set(title="Its gradient", xlabel="error ŷ − y", ylabel="slope")
    x, clean, spoiled = measurements()
    fits.plot(x, spoiled, "o", color="black", markersize=4, label="points")
    fits.plot(x[8], OUTLIER, "o", color="black", markersize=11, fillstyle="none")
    for name, style in (("MSE", "-"), ("MAE", "--")):
        slope, intercept = fit_line(name, x, spoiled)
        fits.plot(x, slope * x + intercept, style, label=f"{name}: {line_as_text(slope, intercept)}")
    fits.set(title="Ten points, one outlier (ringed)", xlabel="x", ylabel="y")
    for axes in figure.axes:
        axes.legend(loc="upper left" if axes is not loss else "upper center")


if __name__ == "__main__":
    alone(TITLE, show)
