"""Problems with SGD: ravines, places without a slope, and noise.

    python -m examples.notes.problems_with_sgd
"""

import numpy as np

from minigrad import nn, optim

from .landscapes import (
    RAVINE_START,
    STEEP,
    descend,
    draw_paths,
    draw_ravine,
    draw_two_valleys,
    gradient,
    ravine,
    saddle,
    sign_changes,
    steps_until,
    two_valleys,
)
from .page import alone
from .stochastic_gradient_descent import LOOP, digits, run_loop

TITLE = "Problems with SGD"
SIZES = (1, 4, 16, 64, 256)


def sgd(rate):
    return lambda parameters: optim.SGD(parameters, lr=rate)


def zig_zag(rate=0.018, steps=400):
    """The path of gradient descent down the ravine."""
    return descend(ravine, RAVINE_START, steps, sgd(rate))


def stopped_in_valley():
    """The path into the shallow one of two valleys."""
    return descend(two_valleys, [3.0], 200, sgd(0.02))


def at_saddle(x, y, steps=400):
    """The path from (x, y): with y = 0 straight on to the saddle, with any other y past it."""
    return descend(saddle, [x, y], steps, sgd(0.1))


def lingering(path):
    """How many places of a path lie where the gradient of the saddle function is below 0.01 and the minima are far."""
    return sum(np.linalg.norm(gradient(saddle, place)) < 0.01 and abs(place[1]) < 0.5 for place in path)


def ending(function, path):
    """Where a path ends, the length of the gradient there, and the loss, as text."""
    end = path[-1]
    place = ", ".join(f"{value:z.4f}" for value in end)
    return place, f"{np.linalg.norm(gradient(function, end)):.0e}", f"{function(*end):.4f}"


def gradient_at(model, images, labels):
    """The gradient of the mean loss of some images, all parameters in one row."""
    model.zero_grad()
    nn.functional.cross_entropy(model(images), labels).backward()
    return np.concatenate([parameter.grad.numpy().ravel() for parameter in model.parameters()]).astype(float)


def noise(sizes=SIZES, draws=400, seed=0):
    """Gradients of a linear classifier of the digits after one pass of SGD.

    Returns (the full gradient, those of the single images, {batch size: those of random batches}), one in a row.
    Batches are drawn with replacement.
    """
    images, labels = digits()
    model, _ = run_loop(LOOP.replace("1e-4", "1e-1"))
    rng = np.random.default_rng(seed)
    full = gradient_at(model, images, labels)
    singles = np.array([gradient_at(model, images[i : i + 1], labels[i : i + 1]) for i in range(len(labels))])
    batches = {}
    for size in sizes:
        choices = rng.integers(len(labels), size=(draws, size))
        batches[size] = np.array([gradient_at(model, images[choice], labels[choice]) for choice in choices])
    return full, singles, batches


def spread(gradients, full):
    """The root mean square length of the error of some gradients, relative to the length of the full one."""
    return np.sqrt(((gradients - full) ** 2).sum(1).mean()) / np.linalg.norm(full)


def show(page):
    page.text(f"""A ravine is a valley that is steep across and nearly level along. Here the loss is (x² + {STEEP}
        y²) / 2: the slope across is {STEEP} times as strong as that along, at the same distance. The rate must be
        below 2 / {STEEP} = {2 / STEEP:g}, or y explodes; and x then pays for it.""")
    rate = 0.018
    path = zig_zag(rate)
    page.table(
        ["rate 0.018", "factor per step", "sign changes in 20 steps", "steps until below 0.01"],
        [
            ["x, along", f"{1 - rate:.3f}", f"{sign_changes(path[:21, 0])}", f"{steps_until(abs(path[:, 0]), 0.01)}"],
            [
                "y, across",
                f"{1 - rate * STEEP:.3f}",
                f"{sign_changes(path[:21, 1])}",
                f"{steps_until(abs(path[:, 1]), 0.01)}",
            ],
        ],
    )
    page.text("""Each step crosses the valley and lands on the other side: y changes its sign every time, while x
        keeps 98.2 % of its distance. This is no fault of randomness. The gradient here is exact, and the zig-zag is
        the same for gradient descent over all data.""")
    page.picture(
        "ravine",
        lambda figure: draw_ravine(figure.subplots(), {"SGD, rate 0.018": path[:60]}),
        "60 steps of gradient descent in the ravine. The star is the minimum; x and y have different scales.",
        (9, 3.6),
    )

    page.text("""Where the slope is zero, gradient descent stands still, whatever lies beyond. Two such places are
        no global minimum: a local minimum, and a saddle, which goes up one way and down another. So a zero gradient
        is needed for a minimum but does not make one.""")
    valley, stuck, free = stopped_in_valley(), at_saddle(1.0, 0.0), at_saddle(-1.0, 1e-9)
    page.table(
        ["", "start", "end", "length of the gradient", "loss there", "least loss"],
        [
            ["local minimum", "3", *ending(two_valleys, valley), "-9.3333"],
            ["saddle", "(1, 0)", *ending(saddle, stuck), "-0.2500"],
            ["beside the saddle", "(-1, 1e-9)", *ending(saddle, free), "-0.2500"],
        ],
    )
    page.text(f"""From (1, 0) there is no slope in y at all, and the saddle catches the path. A billionth beside
        that line, the path leaves it again, but only after {lingering(free)} steps on almost level ground: saddles
        cost time rather than stop anything. Almost no start ends in one (Lee et al. 2016), and the noise of SGD
        soon pushes off the line. A local minimum, however, keeps what falls into it.""")
    page.picture(
        "no-slope",
        lambda figure: draw_stops(figure, valley, stuck, free),
        "Left: gradient descent stops in the shallow valley. Right: on the line y = 0 it ends at the saddle; from a "
        "billionth beside that line it gets there, lingers, and leaves to a minimum (stars).",
        (10, 4),
    )

    page.text("""The gradient of a mini-batch is the true one plus noise. Here are those of a linear classifier of
        the digits after one pass of SGD: 400 random batches of each size, beside the gradient of all 1,437 images.""")
    full, singles, batches = noise()
    unit = full / np.linalg.norm(full)
    page.table(
        ["batch", "error / length of the gradient", "expected", "batches that point uphill"],
        [
            [
                f"{size}",
                f"{spread(found, full):.2f}",
                f"{spread(singles, full) / size**0.5:.2f}",
                f"{100 * np.mean(found @ unit < 0):.1f} %",
            ]
            for size, found in batches.items()
        ],
    )
    page.text(f"""What is expected is the error of single images, {spread(singles, full):.2f}, divided by √batch:
        the standard deviation of a mean of n samples falls like 1 / √n, so four times the batch halves the noise.
        Accuracy of the gradient is dear: a batch 256 times as large costs up to 256 times as much and is 16 times
        as accurate.""")
    page.picture(
        "gradient-noise",
        lambda figure: draw_noise(figure, full, singles, batches),
        "Left: mini-batch gradients, along the full gradient and across it, in units of its length; the star at (1, 0) "
        "is the full gradient. Some single images point far out of the frame. Right: the error falls like 1/√batch.",
        (10, 4.2),
    )


def draw_stops(figure, valley, stuck, free):
    left, right = figure.subplots(1, 2, gridspec_kw={"wspace": 0.06})
    draw_two_valleys(left, {"SGD, rate 0.02": valley})
    left.annotate("stops here", (2, two_valleys(2)), (1.6, -4), ha="center", arrowprops={"arrowstyle": "->"})
    left.annotate(
        "never gets here", (-2, two_valleys(-2)), (0.2, -9.3), ha="center", va="center", arrowprops={"arrowstyle": "->"}
    )
    left.set(title="a local minimum", ylim=(-11, 7))
    paths = {"from (1, 0)": stuck, "from (-1, 1e-9)": free}
    draw_paths(right, saddle, paths, (-1.4, 1.4), (-1.3, 1.3), np.linspace(-0.3, 1, 14), minimum=([0, 0], [-1, 1]))
    right.set(title="a saddle")
    right.legend(loc="lower right")


def draw_noise(figure, full, singles, batches):
    length = np.linalg.norm(full)
    unit = full / length
    some = singles[:100]
    across = np.linalg.svd(some - np.outer(some @ unit, unit), full_matrices=False)[2][0]  # where they scatter most
    left, right = figure.subplots(1, 2, gridspec_kw={"wspace": 0.06})
    for size, colour in (1, "C4"), (16, "C5"), (256, "C6"):
        found = batches[size] / length
        left.plot(found @ unit, found @ across, ".", color=colour, markersize=5, label=f"{size}")
    left.plot(1, 0, "*", color="C1", markersize=16, markeredgecolor="white")
    left.axvline(0, color="gray", linewidth=0.8)
    left.set(xlabel="along the full gradient (below 0: uphill)", ylabel="across", xlim=(-9, 15), ylim=(-12, 12))
    left.set_title("gradients of 400 batches of each size")
    left.legend(title="batch", loc="upper right", markerscale=2, frameon=True, framealpha=1)
    sizes = np.array(list(batches))
    right.plot(
        sizes, [spread(found, full) for found in batches.values()], "o", color="C0", markersize=8, label="measured"
    )
    right.plot(sizes, spread(singles, full) / np.sqrt(sizes), "--", color="gray", label="that of one image / √batch")
    right.set(xscale="log", yscale="log", xlabel="batch", title="error / length of the full gradient")
    right.set_xticks(sizes, [f"{size}" for size in sizes])
    right.yaxis.set_major_formatter("{x:g}")
    right.yaxis.set_minor_formatter("")
    right.legend()


if __name__ == "__main__":
    alone(TITLE, show)
