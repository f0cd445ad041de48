"""Section 7. SGD with momentum: the rolling ball.

    python -m examples.notes.momentum
"""

import numpy as np

import minigrad
from minigrad import optim

from .landscapes import (
    RAVINE_START,
    STEEP,
    descend,
    draw_ravine,
    draw_two_valleys,
    gradient,
    losses,
    ravine,
    sign_changes,
    steps_until,
    two_valleys,
)
from .page import alone

TITLE = "7. SGD with momentum"
ROOT = STEEP**0.5
# label: (learning rate, momentum); "best" is what is best for this very ravine (Polyak 1964)
WALKS = {
    "SGD": (0.018, 0.0),
    "SGD, best": (2 / (1 + STEEP), 0.0),
    "momentum 0.9": (0.005, 0.9),
    "momentum, best": (4 / (1 + ROOT) ** 2, ((ROOT - 1) / (ROOT + 1)) ** 2),
}


def sgd(rate, momentum):
    return lambda parameters: optim.SGD(parameters, lr=rate, momentum=momentum)


def walk(rate, momentum, steps=400):
    """A path down the ravine."""
    return descend(ravine, RAVINE_START, steps, sgd(rate, momentum))


def roll(momentum, rate=0.02, steps=300):
    """The path of a ball that starts beside the shallow one of two valleys."""
    return descend(two_valleys, [3.0], steps, sgd(rate, momentum))


def by_hand(eval_grad, W, lr, rho, no_steps):
    """The notes' loop; returns the places it visits."""
    v_x = 0  # initially no velocity because no gradient is calculated yet
    visited = [W]
    for epoch in range(no_steps):
        W_grad = eval_grad(W)
        v_x = rho * v_x + W_grad
        W = W - lr * v_x
        visited.append(W)
    return np.array(visited)


def velocities(steps, momentum=0.9, dampening=0.0):
    """The velocity after each step under a gradient that is always 1, as `minigrad.optim.SGD` keeps it."""
    w = minigrad.tensor(0.0, dtype=minigrad.float64, requires_grad=True)
    optimizer = optim.SGD([w], lr=1.0, momentum=momentum, dampening=dampening)
    found = []
    for _ in range(steps):
        optimizer.zero_grad()
        w.backward()
        optimizer.step()
        found.append(optimizer.state[w]["momentum_buffer"].item())
    return found


def show(page):
    page.text("""A walker who takes each step by the slope under his feet zig-zags down a ravine and stops in every
        dip. A heavy ball keeps its velocity: pushes that alternate cancel, pushes that agree add up, and small dips
        are rolled through.""")
    page.formula("v ← ρ v + ∇f(x)", "x ← x - α v")
    page.code(by_hand)
    rate, momentum = WALKS["momentum 0.9"]
    paths = {label: walk(*settings) for label, settings in WALKS.items()}
    hand = by_hand(lambda place: gradient(ravine, place), np.array(RAVINE_START), rate, momentum, 400)
    page.text(f"""The loop and `minigrad.optim.SGD(momentum=0.9)` take the same path down the ravine (largest
        difference in 400 steps: {abs(hand - paths["momentum 0.9"]).max():.1g}). Against plain SGD:""")
    page.table(
        [
            "",
            "rate α",
            "momentum ρ",
            "steps until the loss is below 0.01",
            "sign changes of y in 60 steps",
            "farthest x",
        ],
        [
            [
                label,
                f"{rate:.4f}",
                f"{momentum:.2f}",
                f"{steps_until(losses(ravine, path), 0.01)}",
                f"{sign_changes(path[:61, 1])}",
                f"{path[:, 0].max():.2f}",
            ]
            for (label, path), (rate, momentum) in zip(paths.items(), WALKS.values())
        ],
    )
    page.text(f"""What is won is speed along the valley: with ρ = 0.9, pushes that agree add up to ten times one
        push. The price is inertia: the ball swings past the minimum (x above 0). Across the valley it swings less
        often, but each swing dies out slowly: by a factor √ρ = {0.9**0.5:.3f} a step, while plain SGD here has 0.8.
        In a ravine {STEEP} times as steep across as along, the best SGD shrinks the distance by ({STEEP} - 1) /
        ({STEEP} + 1) = {(STEEP - 1) / (STEEP + 1):.3f} a step, the best momentum by (√{STEEP} - 1) / (√{STEEP} + 1)
        = {(ROOT - 1) / (ROOT + 1):.3f} (Polyak 1964).""")
    page.picture(
        "momentum",
        lambda figure: draw_walks(figure.subplots(), paths),
        "60 steps from the same start down the same ravine, with and without momentum.",
        (9, 3.8),
    )

    balls = {f"momentum {momentum:g}": roll(momentum) for momentum in (0.0, 0.5, 0.9)}
    page.text("""Between two valleys, with the same rate 0.02, little momentum still ends in the first dip; 0.9
        rolls over the ridge into the deep valley. It is no rule that the ball finds the best valley: with enough
        speed it may also roll out of it.""")
    page.table(
        ["", "ends at x", "loss there"],
        [[label, f"{path[-1, 0]:.4f}", f"{losses(two_valleys, path)[-1]:.4f}"] for label, path in balls.items()],
    )
    page.picture(
        "rolling-ball",
        lambda figure: draw_balls(figure.subplots(), balls),
        "Three balls from x = 3, drawn one above another: only that with momentum 0.9 leaves the local minimum.",
        (8, 4.2),
    )

    summed, averaged = velocities(100), velocities(100, dampening=0.9)
    page.text(f"""The notes call v a moving average of the gradients. It is their discounted sum: under a gradient
        that is always 1, v grows to 1 / (1 - ρ) = 10 (after 10 steps {summed[9]:.2f}, after 100 {summed[99]:.2f}),
        so momentum 0.9 also takes steps up to ten times as long, and the rate must be chosen with that in mind. An
        average needs the new gradient weighted with 1 - ρ: `dampening=0.9` does that, and v stays
        {averaged[99]:.2f}.""")


def draw_walks(axes, paths):
    draw_ravine(axes, {label: paths[label][:61] for label in ("SGD", "momentum 0.9")})
    axes.legend(loc="upper right", frameon=True, framealpha=1)


def draw_balls(axes, balls):
    draw_two_valleys(axes, balls)
    axes.set(ylim=(-11, 8))
    axes.legend(loc="upper center")


if __name__ == "__main__":
    alone(TITLE, show)
