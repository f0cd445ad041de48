"""Section 9. AdaGrad: a learning rate for each weight, in the form of the notes' code and of the notes' formula.

    python -m examples.notes.adagrad
"""

import numpy as np

from minigrad import optim

from .landscapes import RAVINE_START, descend, draw_paths, gradient, ravine, steps_until
from .page import alone

TITLE = "9. AdaGrad"
TURN = np.array([[1.0, 1.0], [-1.0, 1.0]]) / 2**0.5  # turns the plane by 45 degrees


def turned_ravine(x, y):
    """The ravine, turned by 45 degrees: now x and y both run along and across it."""
    half = 2**-0.5
    return ravine(half * (x + y), half * (y - x))


PLACES = {"along the axes": (ravine, np.array(RAVINE_START)), "turned by 45°": (turned_ravine, TURN.T @ RAVINE_START)}


def diagonal(evaluate_gradient, weights, learning_rate, steps):
    """The notes' loop: a sum for each weight. Returns the places it visits."""
    grad_sq = 0
    visited = [weights]
    for step in range(steps):
        W_grad = evaluate_gradient(weights)
        grad_sq = grad_sq + W_grad**2
        weights = weights - learning_rate * W_grad / (np.sqrt(grad_sq) + 1e-7)
        visited.append(weights)
    return np.array(visited)


def full_matrix(evaluate_gradient, weights, learning_rate, steps):
    """The notes' formula: G is the sum of the outer products g gᵀ, and the step is α G^(-1/2) g.

    G = Q diag(λ) Qᵀ with orthogonal Q, so G^(-1/2) = Q diag(1/√λ) Qᵀ: the diagonal form in the axes of G.
    """
    G = np.zeros((len(weights), len(weights)))
    visited = [weights]
    for step in range(steps):
        g = evaluate_gradient(weights)
        G = G + np.outer(g, g)
        eigenvalues, Q = np.linalg.eigh(G)
        roots = np.sqrt(np.maximum(eigenvalues, 0))  # rounding may leave a 0 below 0
        weights = weights - learning_rate * Q @ (Q.T @ g / (roots + 1e-7))
        visited.append(weights)
    return np.array(visited)


def walk(form, place, rate=2.0, steps=1000):
    """The path of `diagonal` or `full_matrix` from the start of one of the two ravines."""
    function, start = PLACES[place]
    return form(lambda weights: gradient(function, weights), start, rate, steps)


def first_steps(slope, steps=4, rate=1.0):
    """How far each step of `minigrad.optim.Adagrad` goes under a gradient that is always `slope`."""
    path = descend(lambda w: slope * w, [0.0], steps, lambda place: optim.Adagrad(place, lr=rate))
    return -np.diff(path[:, 0])


def show(page):
    page.text("""One rate for all weights is too large for some and too small for others. AdaGrad divides each
        weight's gradient by the root of the sum of its squares so far. The notes' code does this with one number
        for each weight:""")
    page.formula("s ← s + g²", "θ ← θ - α g / (√s + ε)")
    page.code(diagonal)
    paths = {place: {"diagonal": walk(diagonal, place), "full matrix": walk(full_matrix, place)} for place in PLACES}
    straight = paths["along the axes"]["diagonal"]
    same, default = (
        descend(ravine, RAVINE_START, 1000, lambda place: optim.Adagrad(place, lr=2.0, eps=eps))
        for eps in (1e-7, 1e-10)
    )
    page.text(f"""`minigrad.optim.Adagrad` takes the same path: the largest difference over 1,000 steps is
        {abs(same - straight).max():.1g} with the notes' ε = 1e-7, and {abs(default - straight).max():.1g} with
        PyTorch's default of 1e-10. ε stands outside the root.""")
    page.text("""The notes say that weights with smaller gradients get larger updates. What gets larger is their
        rate; the size of the gradient itself cancels. Under a gradient that never changes, the steps are α, α/√2,
        α/√3, ..., whatever its size:""")
    page.table(
        ["gradient, α = 1", "step 1", "step 2", "step 3", "step 4"],
        [[f"{slope:g}", *(f"{step:.4f}" for step in first_steps(slope))] for slope in (100, 1, 0.01)],
    )
    page.text("""The notes' formula means more than their code. There G is the sum of the outer products g gᵀ, a
        matrix, and the division by its root is a multiplication by the inverse of its matrix square root (Duchi,
        Hazan and Singer 2011, section 1.1). The code keeps the diagonal of G alone, as everybody does: with a
        million weights the matrix would have 10¹² entries. With two weights we can afford it:""")
    page.formula("G ← G + g gᵀ", "θ ← θ - α G^(-1/2) g")
    page.code(full_matrix)
    page.text("""The ravine along the axes suits the diagonal form: each weight has its own steepness. Turn the
        ravine by 45°, and both weights share the steep direction; the diagonal form sees nothing to tell apart. The
        full matrix finds the axes of the ravine, however it is turned.""")
    page.table(
        ["steps until the distance is below 0.01", *paths],
        [
            [
                form,
                *(
                    f"{steps_until(np.linalg.norm(paths[place][form], axis=1), 0.01) or 'more than 1,000'}"
                    for place in paths
                ),
            ]
            for form in ("diagonal", "full matrix")
        ],
    )
    turned_back = paths["turned by 45°"]["full matrix"] @ TURN.T
    page.text(f"""The path of the full matrix in the turned ravine is its path in the straight one, turned: the two
        differ by at most {abs(turned_back - paths["along the axes"]["full matrix"]).max():.0e}.""")
    page.picture(
        "adagrad",
        lambda figure: draw(figure, paths),
        "AdaGrad with one rate for each weight and with the full matrix, α = 2: 60 steps in the straight and the turned ravine.",
        (10, 4.6),
    )


def draw(figure, paths):
    for axes, (place, both) in zip(figure.subplots(1, 2, gridspec_kw={"wspace": 0.06}), paths.items()):
        shown = {form: path[:61] for form, path in both.items()}
        levels = [0.5, 3, 10, 25, 50, 90, 140, 200, 400]
        limits = ((-11, 3), (-1.6, 1.6)) if place == "along the axes" else ((-9.5, 2.5), (-9.5, 2.5))
        draw_paths(axes, PLACES[place][0], shown, *limits, levels)
        axes.set_title(place)
    axes.legend(loc="upper left")


if __name__ == "__main__":
    alone(TITLE, show)
