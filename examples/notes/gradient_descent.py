"""Section 4. Gradient descent: step against the gradient, and what the learning rate decides.

    python -m examples.notes.gradient_descent
"""

import minigrad

from .page import alone

TITLE = "4. Gradient descent"
START = 4.0
RATES = {"small": 0.03, "good": 0.3, "large": 0.9, "too large": 1.03}


def loss(w):
    """L(W) = W²."""
    return w * w


def by_hand(rate=0.3, steps=4):
    """W after each step, by the notes' loop, the derivative 2 W written out."""
    W, seen = START, []
    for _ in range(steps):
        W_grad = 2 * W
        W = W - rate * W_grad
        seen.append(W)
    return seen


def by_optimizer(rate=0.3, steps=4):
    """The same with `backward()` and `minigrad.optim.SGD`."""
    W = minigrad.tensor(START, dtype=minigrad.float64, requires_grad=True)
    optimizer = minigrad.optim.SGD([W], lr=rate)
    seen = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss(W).backward()
        optimizer.step()
        seen.append(W.item())
    return seen


def show(page):
    page.text("""The gradient points up the steepest way, so a step of gradient descent goes against it: the new
        weights are the old ones minus the learning rate times the gradient. Take L(W) = W², whose gradient is 2 W,
        start at W = 4, and use the rate 0.3.""")
    page.formula("W ← W - α ∇L(W)")
    page.code(by_hand)
    page.code(by_optimizer)
    hand, optimizer = by_hand(), by_optimizer()
    page.table(
        ["step", "W by hand", "W by minigrad", "loss"],
        [[f"{t}", f"{a:.4f}", f"{b:.4f}", f"{loss(b):.6f}"] for t, (a, b) in enumerate(zip(hand, optimizer), 1)],
    )
    page.text("""Each step multiplies W by 1 - 2 · 0.3 = 0.4. In general the factor is 1 - 2 · rate, and all that a
        rate does is in it. Between 0 and 0.5 the factor is positive, and W creeps to 0 from one side. Between 0.5
        and 1 it is negative: W jumps over the minimum in every step, yet comes nearer. At 1 it jumps from 4 to -4
        and back for ever. Above 1 it moves away, faster and faster. So the notes' "large rate: faster convergence"
        holds up to a point only: here 0.5 is best (one step), and above 1 nothing converges.""")
    steps = 25
    page.table(
        ["rate", "", "factor", "W after 5 steps", f"W after {steps} steps"],
        [
            [f"{rate:g}", name, f"{1 - 2 * rate:+.2f}", f"{seen[4]:.4g}", f"{seen[-1]:.4g}"]
            for name, rate in RATES.items()
            for seen in [by_optimizer(rate, steps)]
        ],
    )
    page.picture(
        "gradient-descent",
        draw,
        "Four learning rates on L(W) = W² from W = 4. Left: where the steps land. Right: the loss after each step.",
        (9, 4),
    )


def draw(figure):
    left, right = figure.subplots(1, 2, gridspec_kw={"wspace": 0.06})
    grid = [i / 20 for i in range(-104, 105)]
    left.plot(grid, [loss(w) for w in grid], color="#8a94a6")
    for (name, rate), colour in zip(RATES.items(), ("C5", "C2", "C0", "C1")):
        seen = [START, *by_optimizer(rate, 25)]
        shown = seen[:8]
        left.plot(shown, [loss(w) for w in shown], "o-", color=colour, markersize=4, linewidth=1)
        right.plot([loss(w) for w in seen], "o-", color=colour, markersize=3, linewidth=1.2, label=f"{rate:g}, {name}")
    left.set(xlabel="W", ylabel="loss", title="the first 7 steps", ylim=(-1, 27))
    right.set(xlabel="step", title="loss, log scale", yscale="log", ylim=(1e-9, 1e4))
    right.legend(title="learning rate", loc=(0.54, 0.02))


if __name__ == "__main__":
    alone(TITLE, show)
