"""Section 11. Adam: momentum and RMSProp, and the correction of their slow start.

    python -m examples.notes.adam
"""

import numpy as np

from minigrad import optim

from .landscapes import RAVINE_START, descend, draw_ravine, gradient, losses, ravine, steps_until
from .page import alone

TITLE = "11. Adam"
BETA1, BETA2 = 0.9, 0.999
RATE = 0.5


def by_hand(compute_gradient, x, learning_rate, num_iterations, beta1=BETA1, beta2=BETA2):
    """The notes' loop. Returns the places it visits."""
    first_moment = 0
    second_moment = 0
    visited = [x]
    for t in range(1, num_iterations):
        dx = compute_gradient(x)
        first_moment = beta1 * first_moment + (1 - beta1) * dx
        second_moment = beta2 * second_moment + (1 - beta2) * dx * dx
        first_unbias = first_moment / (1 - beta1**t)
        second_unbias = second_moment / (1 - beta2**t)
        x = x - learning_rate * first_unbias / (np.sqrt(second_unbias) + 1e-7)
        visited.append(x)
    return np.array(visited)


def moments(gradients, beta1=BETA1, beta2=BETA2):
    """m and v after each of some gradients, and both corrected: four rows."""
    m = v = 0.0
    rows = []
    for t, g in enumerate(gradients, 1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        rows.append((m, v, m / (1 - beta1**t), v / (1 - beta2**t)))
    return np.array(rows).T


def step_sizes(gradients):
    """The steps in units of α, without and with the correction (ε = 0)."""
    m, v, corrected_m, corrected_v = moments(gradients)
    return m / np.sqrt(v), corrected_m / np.sqrt(corrected_v)


def uncorrected(compute_gradient, x, learning_rate, steps):
    """Adam without the correction. Returns the places it visits."""
    m = v = 0
    visited = [x]
    for _ in range(steps):
        g = compute_gradient(x)
        m, v = BETA1 * m + (1 - BETA1) * g, BETA2 * v + (1 - BETA2) * g * g
        x = x - learning_rate * m / (np.sqrt(v) + 1e-8)
        visited.append(x)
    return np.array(visited)


def first_step(gradient, epsilon, inside):
    """Adam's first step in units of α with ε inside or outside the root; the corrected moments are then g and g²."""
    return gradient / (np.sqrt(gradient**2 + epsilon) if inside else np.sqrt(gradient**2) + epsilon)


def show(page):
    page.text("""Adam keeps two running means: of the gradients, like momentum, and of their squares, like RMSProp.
        The step is the first divided by the root of the second. Both start at 0, which pulls them towards 0 at
        first; the correction divides by what the weights of a mean over t steps add up to.""")
    page.formula(
        "m ← β₁ m + (1 - β₁) g",
        "v ← β₂ v + (1 - β₂) g²",
        "m̂ = m / (1 - β₁ᵗ),   v̂ = v / (1 - β₂ᵗ)",
        "θ ← θ - α m̂ / (√v̂ + ε)",
    )
    page.text("""This is algorithm 1 of Kingma and Ba 2015. The notes' code computes it; the correction in their
        formulas (a step subtracted from m̂ and v̂) is another thing and cannot be right: a correction has no
        learning rate.""")
    page.code(by_hand)
    start = np.array(RAVINE_START)
    hand = by_hand(lambda place: gradient(ravine, place), start, RATE, 401)
    same = descend(ravine, start, 400, lambda place: optim.Adam(place, lr=RATE, eps=1e-7))
    page.text(f"""`minigrad.optim.Adam(eps=1e-7)` takes the same path down the ravine: the largest difference over
        400 steps is {abs(hand - same).max():.1g}. (The loop runs from 1 to num_iterations - 1, so it takes one step
        fewer than its name says. The paper and PyTorch have ε = 1e-8.)""")

    page.text("""What the correction does is seen best when every gradient is 1, so that both means should be 1 from
        the start:""")
    ones = np.ones(5000)
    (m, v, corrected_m, corrected_v), (plain, corrected) = moments(ones), step_sizes(ones)
    times = (1, 2, 3, 10, 100, 1000, 5000)
    page.table(
        ["after step", *(f"{t:,}" for t in times)],
        [
            [name, *(f"{values[t - 1]:.3f}" for t in times)]
            for name, values in (
                ("m", m),
                ("v", v),
                ("m̂", corrected_m),
                ("v̂", corrected_v),
                ("step / α, without correction", plain),
                ("step / α, with correction", corrected),
            )
        ],
    )
    page.text(f"""Without the correction the first step is (1 - β₁) / √(1 - β₂) = {plain[0]:.2f} times α and the
        longest, step {plain.argmax() + 1}, is {plain.max():.2f} times α, because v, with its long memory, is slower
        to wake up than m. It takes some thousand steps to wear off. With the correction, the very first step is α.""")
    noisy = np.random.default_rng(0).normal(1, 1, 2000)
    page.picture(
        "adam-moments",
        lambda figure: draw_moments(figure, noisy),
        "Gradients of mean 1 and standard deviation 1, whose squares have the mean 2 (dotted: the true means). Corrected, "
        "the moments are right from the start, but for the noise; without the correction the first steps are far too long.",
        (11, 3.6),
    )
    without = uncorrected(lambda place: gradient(ravine, place), start, RATE, 400)
    path = descend(ravine, start, 400, lambda place: optim.Adam(place, lr=RATE))
    page.table(
        [f"in the ravine, α = {RATE}", "x after step 1", "farthest x", "steps until the loss is below 0.01"],
        [
            [name, f"{walked[1, 0]:.2f}", f"{walked[:, 0].max():.2f}", f"{steps_until(losses(ravine, walked), 0.01)}"]
            for name, walked in (("without correction", without), ("with correction", path))
        ],
    )
    page.picture(
        "adam",
        lambda figure: draw_walks(figure.subplots(), without, path),
        "The first 60 steps in the ravine, with and without the correction.",
        (9, 3.6),
    )

    page.text("""The place of ε matters where gradients are small. The notes' update rule has it inside the root,
        their code outside, like the paper. Inside, ε = 1e-8 acts like 1e-4 outside: gradients much below that are
        damped away.""")
    page.table(
        ["first step / α, ε = 1e-8", "g = 1", "g = 1e-3", "g = 1e-4", "g = 1e-6"],
        [
            [
                f"ε {'inside' if inside else 'outside'} the root",
                *(f"{first_step(g, 1e-8, inside):.4f}" for g in (1, 1e-3, 1e-4, 1e-6)),
            ]
            for inside in (False, True)
        ],
    )


def draw_moments(figure, gradients):
    shown = 200
    m, v, corrected_m, corrected_v = (row[:shown] for row in moments(gradients))
    plain, corrected = (row[:shown] for row in step_sizes(gradients))
    steps = np.arange(1, shown + 1)
    panels = figure.subplots(1, 3, gridspec_kw={"wspace": 0.06})
    titles = ("first moment", "second moment", "step / α")
    for axes, raw, mended, title, true in zip(
        panels, (m, v, plain), (corrected_m, corrected_v, corrected), titles, (1, 2, None)
    ):
        axes.plot(steps, raw, color="C1", linewidth=1.8, label="without correction")
        axes.plot(steps, mended, color="C0", linewidth=1.8, label="with correction")
        axes.set(title=title, xlabel="step")
        if true is not None:
            axes.axhline(true, color="black", linestyle=":", linewidth=1)
    panels[2].legend(loc="upper right")


def draw_walks(axes, without, path):
    draw_ravine(axes, {"without correction": without[:61], "with correction": path[:61]})
    axes.legend(loc="upper right", frameon=True, framealpha=1)


if __name__ == "__main__":
    alone(TITLE, show)
