"""Section 10. RMSProp: AdaGrad that forgets.

    python -m examples.notes.rmsprop
"""

import numpy as np

from minigrad import optim

from .landscapes import RAVINE_START, descend, gradient, ravine, steps_until
from .page import alone

TITLE = "10. RMSProp"
START, RATE, STEPS = 10.0, 0.5, 1000
OPTIMIZERS = {
    "AdaGrad": lambda place, rate: optim.Adagrad(place, lr=rate),
    "RMSProp": lambda place, rate: optim.RMSprop(place, lr=rate, alpha=0.9),
}


def quartic(x):
    """x⁴ / 4: the slope, x³, is 1,000 at the start and 1 where x is 1."""
    return x * x * x * x / 4


def bowl(x):
    """√(1 + x²), with its minimum at 0."""
    return (1 + x * x) ** 0.5


def by_hand(evaluate_gradient, weights, learning_rate, decay_rate, steps):
    """The notes' loop. Returns the places it visits."""
    grad_sq = 0
    visited = [weights]
    for step in range(steps):
        W_grad = evaluate_gradient(weights)
        grad_sq = decay_rate * grad_sq + (1 - decay_rate) * (W_grad**2)
        weights = weights - learning_rate * W_grad / (np.sqrt(grad_sq) + 1e-7)
        visited.append(weights)
    return np.array(visited)


def walk(function, start, name, rate=RATE, steps=STEPS):
    """The places visited, and the rate in force in each step: how far it went, divided by the slope."""
    path = descend(function, [start], steps, lambda place: OPTIMIZERS[name](place, rate))[:, 0]
    slopes = np.array([gradient(function, [x])[0] for x in path[:-1]])
    return path, -np.diff(path) / slopes


def show(page):
    page.text("""AdaGrad never forgets: its sum only grows, so the rate only falls, and one steep stretch spoils it
        for all time to come. RMSProp keeps a moving average of the squares instead, in which what is long past
        fades away.""")
    page.formula("v ← β v + (1 - β) g²", "θ ← θ - α g / (√v + ε)")
    page.code(by_hand)
    hand = by_hand(lambda place: gradient(ravine, place), np.array(RAVINE_START), 0.05, 0.9, 400)
    same = descend(ravine, RAVINE_START, 400, lambda place: optim.RMSprop(place, lr=0.05, alpha=0.9, eps=1e-7))
    page.text(f"""`minigrad.optim.RMSprop(alpha=0.9, eps=1e-7)` does the same (largest difference over 400 steps in
        the ravine: {abs(hand - same).max():.1g}). Mind the names: what PyTorch calls alpha is the notes' β, not
        their learning rate α, and is 0.99 by default, not 0.9.""")
    page.text("""First a gradient that is always 1. AdaGrad's rate is α / √t and dies; RMSProp's settles at α. It
        starts higher, at α / √(1 - β) = 3.16 α, because the average starts at 0 and is not yet worth its name;
        Adam, the next section, corrects for that.""")
    times = (1, 2, 5, 10, 100, 1000)
    page.table(
        ["rate in force / α, after step", *(f"{t:,}" for t in times)],
        [
            [name, *(f"{rates[t - 1] / RATE:.3f}" for t in times)]
            for name in OPTIMIZERS
            for _, rates in [walk(lambda w: w, 0.0, name)]
        ],
    )
    page.text(f"""Now x⁴ / 4 from x = {START:g}, steep at first and level later, both with the rate {RATE}:""")
    walks = {name: walk(quartic, START, name) for name in OPTIMIZERS}
    page.table(
        [
            "",
            "rate in step 1",
            "in step 100",
            "x after 100 steps",
            f"x after {STEPS:,} steps",
            "steps until x is below 0.5",
        ],
        [
            [
                name,
                f"{rates[0]:.4f}",
                f"{rates[99]:.4f}",
                f"{path[100]:.3f}",
                f"{path[-1]:.3f}",
                f"{steps_until(abs(path), 0.5) or f'more than {STEPS:,}'}",
            ]
            for name, (path, rates) in walks.items()
        ],
    )
    page.text("""The first slope, 1,000, stands in AdaGrad's sum for ever. RMSProp has forgotten it after some
        dozens of steps, and its rate grows as the slope falls.""")
    page.picture(
        "rmsprop",
        lambda figure: draw(figure, walks),
        "x⁴/4 from x = 10 with α = 0.5. Left: the rate in force over the first 150 steps. Right: where x is.",
        (9, 3.8),
    )
    ends = [walk(bowl, 1.05, name, 0.1)[0][-2:] for name in OPTIMIZERS]
    page.text(f"""The other side of the coin: a rate that does not die does not come to rest. On √(1 + x²) from 1.05
        with α = 0.1, AdaGrad is at {ends[0][-1]:.0e} after 1,000 steps; RMSProp jumps between {min(ends[1]):.3f}
        and {max(ends[1]):.3f}, half a rate on either side, for ever: dividing by the root mean square makes even
        the smallest slopes into steps of length α. It wants a schedule that lowers α in the end.""")


def draw(figure, walks):
    left, right = figure.subplots(1, 2, gridspec_kw={"wspace": 0.06})
    for (name, (path, rates)), colour in zip(walks.items(), ("C5", "C3")):
        left.plot(np.arange(1, 151), rates[:150], color=colour, linewidth=2, label=name)
        right.plot(path[:151], color=colour, linewidth=2, label=name)
    left.set(xlabel="step", yscale="log", title="rate in force, log scale")
    right.set(xlabel="step", title="x")
    left.legend()


if __name__ == "__main__":
    alone(TITLE, show)
