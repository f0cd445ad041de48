"""Random search for the weights of a linear classifier: 1,000 tries, the best one kept.

    python -m examples.notes.random_search --data FOLDER
"""

import time

import numpy as np

from minigrad import optim

from .linear_classifier import hinge_loss, hinge_losses, load_problem
from .page import alone

TITLE = "1. Random search"
TRIES, SEEDS = 1000, range(8)
NOTES_ACCURACY = 15.5


def show(page):
    page.text(
        """The plainest way to small loss needs no calculus: draw the weights at random, many times, and keep the draw
        with the least loss. The model is linear, one score per class: `s = Wx`. The loss of one image of class y is the
        multiclass hinge loss: every other class whose score comes closer than 1 to that of the right class costs the
        difference."""
    )
    page.formula("s = Wx", "Lᵢ = Σ max(0, sⱼ − s_y + 1), summed over the classes j ≠ y")
    page.text(
        """Two habits keep this simple. The mean image is subtracted, so that inputs lie around 0; and a 1 is appended
        to every image, so that the last column of W is the bias. minigrad's `multi_margin_loss`, like PyTorch's, is
        divided by the number of classes C, so the loss above is C times it."""
    )
    problem = load_problem(page)
    page.text(
        f"""The weights are drawn from a normal distribution of mean 0 and standard deviation {problem.spread():.3f},
        which makes scores of about 1/3. (For pixels from 0 to 255 and CIFAR-10 that is 1e-4.) Many matrices are
        judged at once: one large product takes far less time than many small ones."""
    )
    page.code(hinge_loss)
    page.code(hinge_losses)
    page.code(search)
    start = time.perf_counter()
    results = [search(problem, seed) for seed in page.progress(SEEDS)]
    seconds = (time.perf_counter() - start) / len(results)
    training = [problem.training_accuracy(found.best) for found in results]
    accuracies = [problem.accuracy(found.best) for found in results]
    page.table(
        ("seed", "least hinge loss", "training accuracy", "test accuracy"),
        [
            (str(seed), f"{found.loss:.3f}", f"{100 * trained:.1f} %", f"{100 * tested:.1f} %")
            for seed, found, trained, tested in zip(SEEDS, results, training, accuracies)
        ],
    )
    page.text(f"{summary(accuracies)} One search of {TRIES:,} tries took {seconds:.1f} s.")
    page.text(what_it_means(problem, accuracies))
    page.picture(
        "random-search", lambda figure: draw(figure, problem, results, accuracies),
        "Left: the best loss so far; each new record takes longer to come. Right: the accuracy on the test images of "
        "the best of 1,000 tries, seed by seed.",
    )  # fmt: skip


def search(problem, seed, tries=TRIES):
    """The best of `tries` random matrices on the training images."""

    def losses(weights):
        return hinge_losses(weights, problem.inputs, problem.labels)

    return optim.random_search(losses, problem.draw, tries, batch_size=50, seed=seed)


def summary(accuracies):
    percent = 100 * np.array(accuracies)
    return (
        f"Test accuracy over {len(percent)} seeds: mean {percent.mean():.1f} %, standard deviation "
        f"{percent.std(ddof=1):.1f}, from {percent.min():.1f} to {percent.max():.1f} %; by chance it would be 10 %."
    )


def what_it_means(problem, accuracies):
    """What the figures say beside the notes' 15.5 %."""
    if problem.name != "CIFAR-10":
        return "Better than chance, and far from good: in a space of so many dimensions almost every draw is a bad one."
    above = sum(100 * accuracy >= NOTES_ACCURACY for accuracy in accuracies)
    error = 100 * (0.155 * 0.845 / len(problem.test_labels)) ** 0.5
    return f"""The notes report {NOTES_ACCURACY} % for 1,000 tries, without a seed. It is one draw out of this spread:
        {above} of {len(accuracies)} seeds reach it here. With {len(problem.test_labels):,} test images a single
        accuracy is itself uncertain by ± {error:.1f}, so differences smaller than that say nothing. A figure that
        depends on luck should come with its spread."""


def draw(figure, problem, results, accuracies):
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": (3, 2)})
    for found in results:
        left.step(np.arange(1, TRIES + 1), found.history, where="post", color="C0", alpha=0.5)
    left.set(xscale="log", xlabel="tries", ylabel="best hinge loss so far", title="One line per seed")
    percent = 100 * np.array(accuracies)
    right.bar([str(seed) for seed in SEEDS], percent, color="C0")
    right.axhline(percent.mean(), color="black", label=f"mean {percent.mean():.1f} %")
    if problem.name == "CIFAR-10":
        right.axhline(NOTES_ACCURACY, color="C1", linestyle="--", label=f"the notes' {NOTES_ACCURACY} %")
    right.axhline(10, color="gray", linestyle=":", label="chance, 10 %")
    right.set(xlabel="seed", ylabel="test accuracy, %", title=problem.name, ylim=(0, 1.5 * percent.max()))
    right.legend(loc="upper center", ncols=1)
    right.grid(axis="x", visible=False)


if __name__ == "__main__":
    alone(TITLE, show)
