"""The hinge loss's gradient by hand, by backward() and by finite difference; descent beside random search.

    python -m examples.notes.analytic_gradient --data FOLDER
"""

import time

import numpy as np

import minigrad
from minigrad import optim

from . import random_search
from .linear_classifier import hinge_loss, load_problem
from .page import alone

TITLE = "3. Analytic gradient"
SEEDS, STEPS = range(5), 100


def show(page):
    page.text(
        """Calculus gives the gradient itself, at the price of one derivation. For the hinge loss of section 1 it is a
        count: every margin that is violated pulls its class's weights away from the image, and pushes those of the
        right class towards it."""
    )
    page.formula(
        "Lᵢ = Σ max(0, mⱼ), summed over j ≠ y, with mⱼ = sⱼ − s_y + 1 and s = Wx",
        "∂Lᵢ/∂wⱼ = [mⱼ > 0] x  for j ≠ y",
        "∂Lᵢ/∂w_y = −(number of classes j ≠ y with mⱼ > 0) x",
    )
    page.text(
        """The notes say that the goal is to minimize the gradient. It is to minimize L; at a minimum where L is
        smooth the gradient is 0 (Nocedal and Wright 2006, theorem 2.2). And where some m is exactly 0 the hinge has a
        kink and no gradient; 0 is taken there for its slope."""
    )
    problem = load_problem(page)
    page.code(by_hand)
    page.text(
        """The same by `backward()`, which knows only the loss, and by the central difference of the loss, all in
        float64 on 50 images. The loss is made of straight pieces, so a difference has no truncation error, only
        rounding, as long as no margin changes its sign within the step."""
    )
    answers = three_answers(problem)
    weights, checked = answers["hand"].size, len(answers["where"])
    page.table(
        ("compared", "weights", "largest difference"),
        [
            ("by hand and backward()", f"{weights:,}", f"{largest(answers, 'hand', 'backward'):.0e}"),
            ("by hand and finite difference", f"{checked:,}", f"{largest(answers, 'hand', 'difference'):.0e}"),
            ("backward() and finite difference", f"{checked:,}", f"{largest(answers, 'backward', 'difference'):.0e}"),
        ],
    )
    page.text(
        f"""(The largest element of the gradient is {np.abs(answers['hand']).max():.2f}. The finite difference is
        taken for weights chosen at random, two evaluations each.)"""
    )
    page.text(
        f"""Now follow it: {STEPS} steps of gradient descent, from one random matrix, on the same images, scores and
        loss as random search with its {random_search.TRIES:,} tries."""
    )
    page.code(descend)
    runs = [compare(problem, seed) for seed in page.progress(SEEDS)]
    figures = np.array([[*run["search"], *run["descent"]] for run in runs])  # loss, accuracy in %, seconds of each
    page.table(
        ("seed", "search: loss", "test accuracy", "seconds", "descent: loss", "test accuracy", "seconds"),
        [
            (str(seed), f"{a:.3f}", f"{b:.1f} %", f"{c:.2f}", f"{d:.3f}", f"{e:.1f} %", f"{f:.2f}")
            for seed, (a, b, c, d, e, f) in zip(SEEDS, figures)
        ],
    )
    mean, spread = figures.mean(axis=0), figures.std(axis=0, ddof=1)
    page.text(
        f"""Over {len(runs)} seeds random search reads {mean[1]:.1f} ± {spread[1]:.1f} % of the test images (from
        {figures[:, 1].min():.1f} to {figures[:, 1].max():.1f} %), gradient descent {mean[4]:.1f} ± {spread[4]:.1f} %
        (from {figures[:, 4].min():.1f} to {figures[:, 4].max():.1f} %). After {max(map(steps_to_pass, runs))} steps
        at most, descent had a smaller loss than the search found in {random_search.TRIES:,} tries."""
    )
    page.picture(
        "analytic-gradient", lambda figure: draw(figure, problem, runs),
        "Training loss and test accuracy against evaluations of the loss, one line per seed. A step of descent also "
        "takes one backward pass, about as much work again or twice as much.",
    )  # fmt: skip
    page.picture(
        "templates", lambda figure: draw_templates(figure, problem, runs[0]),
        "Each class's weights as an image, grey where they are 0. Above, the best that random search found: noise. "
        "Below, what gradient descent added to its random start: what images of the class have and the others lack.",
        size=(10, 2.3),
    )  # fmt: skip


def by_hand(weights, inputs, labels):
    """The gradient of the mean hinge loss in plain NumPy; `inputs` has one image in a row."""
    scores = inputs @ weights.T
    rows = np.arange(len(labels))
    margins = scores - scores[rows, labels][:, None] + 1
    by_scores = (margins > 0).astype(scores.dtype)
    by_scores[rows, labels] = 0
    by_scores[rows, labels] = -by_scores.sum(axis=1)
    return by_scores.T @ inputs / len(labels)


def three_answers(problem, images=50, checked=600, h=1e-6):
    """The gradient at a random matrix: by hand, by backward(), and by differences at the flat indices `where`."""
    inputs, labels = problem.inputs[:images].double(), problem.labels[:images]
    weights = random_start(problem, 0).double().requires_grad_()
    hinge_loss(weights, inputs, labels).backward()
    hand = by_hand(weights.detach().numpy(), inputs.numpy(), labels.numpy())
    where = np.sort(np.random.RandomState(0).permutation(hand.size)[:checked])
    difference = np.empty(len(where))
    with minigrad.no_grad():
        flat = weights.numpy().reshape(-1)
        for i, at in enumerate(where):
            kept = flat[at]
            flat[at] = kept + h
            above = hinge_loss(weights, inputs, labels)
            flat[at] = kept - h
            difference[i] = (above - hinge_loss(weights, inputs, labels)).item() / (2 * h)
            flat[at] = kept
    return {"hand": hand, "backward": weights.grad.numpy(), "difference": difference, "where": where}


def largest(answers, one, other):
    """The largest difference between two of the answers, where both were computed."""
    first, second = answers[one], answers[other]
    if other == "difference":
        first = first.reshape(-1)[answers["where"]]
    return np.abs(first - second).max()


def random_start(problem, seed):
    return problem.draw(1, minigrad.Generator(seed))[0]


def descend(problem, seed, steps=STEPS):
    """Gradient descent on all training images: the weights, and loss and test accuracy step by step."""
    weights = random_start(problem, seed).requires_grad_()
    optimizer = optim.SGD([weights], lr=10 / weights.shape[1])
    losses, accuracies = [], []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = hinge_loss(weights, problem.inputs, problem.labels)
        loss.backward()
        losses.append(loss.item())
        accuracies.append(problem.accuracy(weights.detach()))
        optimizer.step()
    return weights.detach(), losses, accuracies


def compare(problem, seed):
    """Random search and gradient descent from the same seed, each with (loss, test accuracy in %, seconds)."""
    start = time.perf_counter()
    found = random_search.search(problem, seed)
    middle = time.perf_counter()
    weights, losses, accuracies = descend(problem, seed)
    end = time.perf_counter()
    last = hinge_loss(weights, problem.inputs, problem.labels).item()
    return {
        "search": (found.loss, 100 * problem.accuracy(found.best), middle - start),
        "descent": (last, 100 * problem.accuracy(weights), end - middle),
        "weights": (found.best, weights - random_start(problem, seed)),
        "histories": (found.history, losses, accuracies),
    }


def steps_to_pass(run):
    """How many steps descent took to a smaller loss than all tries of the search."""
    _, losses, _ = run["histories"]
    return int(np.argmax(np.array(losses) < run["search"][0]))


def draw(figure, problem, runs):
    left, right = figure.subplots(1, 2)
    for i, run in enumerate(runs):
        searched, losses, accuracies = run["histories"]
        tries, steps = (np.arange(1, len(values) + 1) for values in (searched, losses))
        labels = (None, None) if i else ("random search, best so far", "gradient descent")  # in the legend once
        left.step(tries, searched, where="post", color="C1", label=labels[0])
        left.plot(steps, losses, color="C0", label=labels[1])
        right.plot(steps, 100 * np.array(accuracies), color="C0")
        right.plot([1, len(searched)], [run["search"][1]] * 2, "--", color="C1", linewidth=1)
    left.set(xscale="log", xlabel="evaluations of the loss", ylabel="hinge loss, training images", title=problem.name)
    left.set_ylim(0, 1.25 * left.get_ylim()[1])
    left.legend(loc="upper right")
    right.set(xscale="log", xlabel="evaluations of the loss", ylabel="test accuracy, %", ylim=0)
    right.set_title("dashed: the end of random search")


def draw_templates(figure, problem, run):
    for axes_row, weights in zip(figure.subplots(2, len(problem.classes)), run["weights"]):
        for axes, template, name in zip(axes_row, weights.numpy()[:, :-1], problem.classes):
            image = template.reshape(problem.shape)
            image = np.moveaxis(image, 0, -1) if image.ndim == 3 else image
            largest = np.abs(image).max()
            axes.imshow(0.5 + image / (2 * largest), cmap="gray", vmin=0, vmax=1)  # 0 is grey
            axes.set(xticks=[], yticks=[])
            axes.grid(False)
            axes.spines[:].set_visible(False)
            if axes_row[0].get_subplotspec().is_first_row():
                axes.set_title(name, fontsize=9)
    for axes_row, name in ((0, "search"), (1, "descent")):
        figure.axes[axes_row * len(problem.classes)].set_ylabel(name)


if __name__ == "__main__":
    alone(TITLE, show)
