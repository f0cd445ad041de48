"""Section 8. Nesterov momentum: look ahead before you look down; and why PyTorch's form is the same.

    python -m examples.notes.nesterov
"""

import numpy as np

from minigrad import optim

from .landscapes import RAVINE_START, STEEP, descend, draw_ravine, gradient, losses, ravine, steps_until
from .page import alone

TITLE = "8. Nesterov momentum"


def look_ahead(gradient, x, alpha, rho, steps):
    """The notes' loop. Returns the places x it visits, and the places it looked at, x + rho v."""
    v = 0  # Initial velocity
    visited, looked_at = [x], [x]
    for i in range(steps):
        lookahead_x = x + rho * v  # Lookahead step
        grad = gradient(lookahead_x)  # Compute gradient at lookahead position
        v = rho * v - alpha * grad  # Update velocity
        x = x + v  # Update parameter
        visited.append(x)
        looked_at.append(x + rho * v)
    return np.array(visited), np.array(looked_at)


def by_optimizer(function, start, alpha, rho, steps):
    """The parameter after each step of `minigrad.optim.SGD(nesterov=True)`, and -alpha times its velocity."""
    velocities = [np.zeros(len(start))]

    class Watched(optim.SGD):
        def step(self):
            super().step()
            velocities.append([-alpha * kept["momentum_buffer"].item() for kept in self.state.values()])

    path = descend(
        function, start, steps, lambda parameters: Watched(parameters, lr=alpha, momentum=rho, nesterov=True)
    )
    return path, np.array(velocities)


def walk(rate=0.005, nesterov=False, steps=400):
    """A path down the ravine with momentum 0.9."""
    return descend(
        ravine, RAVINE_START, steps, lambda place: optim.SGD(place, lr=rate, momentum=0.9, nesterov=nesterov)
    )


def limit(rho, nesterov):
    """The largest stable rate times the curvature."""
    return 2 * (1 + rho) / (1 + 2 * rho) if nesterov else 2 * (1 + rho)


def show(page):
    page.text("""Momentum will carry the ball on anyway. So Nesterov's form first goes where the velocity leads and
        asks for the slope there: a ball that looks ahead, and brakes before the hill instead of on it.""")
    page.formula("v ← ρ v - α ∇f(x + ρ v)", "x ← x + v")
    page.code(look_ahead)
    x, looked_at = look_ahead(lambda x: 2 * x, 5.0, 0.1, 0.9, 50)
    path, velocity = by_optimizer(lambda x: x * x, [5.0], 0.1, 0.9, 50)
    heavy = descend(lambda x: x * x, [5.0], 50, lambda place: optim.SGD(place, lr=0.1, momentum=0.9))[:, 0]
    page.text(f"""The notes' program, f(x) = x² from 5 with α = 0.1 and ρ = 0.9, ends after 50 steps at {x[-1]:.4f}.
        On the way it swings to {x.min():.2f}: the notes say that the look-ahead prevents overshooting; it makes it
        less. Plain momentum swings to {heavy.min():.2f} and is at {heavy[-1]:.4f} after 50 steps.""")
    page.text("""PyTorch, and minigrad, keep another variable: their parameter is the place that is looked at, y = x
        + ρ v, so that the gradient is taken where the parameter is. With b = -v / α, the notes' two lines become""")
    page.formula("b ← ρ b + ∇f(y)", "y ← y - α (∇f(y) + ρ b)")
    page.text("""which is what `SGD(nesterov=True)` computes. It is the same sequence under another name, as long as
        α stays the same: y here is x + ρ v there, and x is y + α ρ b.""")
    rows = [0, 1, 2, 3, 10, 50]
    page.table(
        ["step", "notes: x", "notes: x + ρ v", "minigrad: parameter y", "y - ρ v: x again"],
        [
            [f"{t}", *(f"{value:.6f}" for value in (x[t], looked_at[t], path[t, 0], path[t, 0] - 0.9 * velocity[t, 0]))]
            for t in rows
        ],
    )
    in_ravine = look_ahead(lambda place: gradient(ravine, place), np.array(RAVINE_START), 0.005, 0.9, 400)[1]
    nesterov, momentum = walk(nesterov=True), walk()
    page.text(f"""Largest difference between the second and the third column over all 50 steps:
        {abs(looked_at - path[:, 0]).max():.1g}; in the ravine, over 400 steps:
        {abs(in_ravine - nesterov).max():.1g}.""")
    page.text("On the same ravine as before, momentum 0.9 with and without the look-ahead, both with the rate 0.005:")
    page.table(
        ["", "|y| after 20 steps", "farthest x", "steps until the loss is below 0.01", "largest stable rate"],
        [
            [
                label,
                f"{abs(path[20, 1]):.1e}",
                f"{path[:, 0].max():.2f}",
                f"{steps_until(losses(ravine, path), 0.01)}",
                f"{limit(0.9, name) / STEEP:.4f}",
            ]
            for label, path, name in (("momentum", momentum, False), ("Nesterov", nesterov, True))
        ],
    )
    page.text(f"""Across the valley the look-ahead brakes: there the swings shrink by √(ρ (1 - α h)) =
        {(0.9 * 0.5) ** 0.5:.2f} a step, h = {STEEP} being the curvature, where momentum alone has √ρ =
        {0.9**0.5:.2f}. Along the valley, where h = 1, both are nearly the same. The price: the largest stable rate
        is 2 (1 + ρ) / ((1 + 2 ρ) h), not 2 (1 + ρ) / h.""")
    page.picture(
        "nesterov",
        lambda figure: draw(figure, momentum, nesterov),
        "Left: the first 60 steps in the ravine. Right: y over the steps; the look-ahead stops the swinging at once.",
        (11, 3.8),
    )


def draw(figure, momentum, nesterov):
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": (3, 2), "wspace": 0.04})
    paths = {"momentum": momentum[:61], "Nesterov": nesterov[:61]}
    draw_ravine(left, paths, ("C0", "C2"))
    left.legend(loc="upper right", frameon=True, framealpha=1)
    for (label, path), colour in zip(paths.items(), ("C0", "C2")):
        right.plot(path[:, 1], "o-", color=colour, markersize=3, linewidth=1.2, label=label)
    right.set(xlabel="step", ylabel="y")


if __name__ == "__main__":
    alone(TITLE, show)
