"""Summary: all optimizers on real data, each with its learning rate tuned in the same way.

    python -m examples.notes.summary                    the 8x8 digits that come with it
    python -m examples.notes.summary --data FOLDER      MNIST, where FOLDER holds it at any depth
"""

import math
import time
from typing import NamedTuple

import numpy as np

import minigrad
from minigrad import nn, optim
from minigrad.utils.data import DataLoader, TensorDataset

from ..datasets import IDX_FILES, find_folder, load_digits, load_idx
from .page import alone

TITLE = "Summary: which optimizer?"
RATES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
MORE = "momentum, tuned more"
# name: the class, and the settings to try with every rate; all others are PyTorch's defaults
OPTIMIZERS = {
    "SGD": (optim.SGD, [{}]),
    "momentum": (optim.SGD, [{"momentum": 0.9}]),
    "Nesterov": (optim.SGD, [{"momentum": 0.9, "nesterov": True}]),
    "Adagrad": (optim.Adagrad, [{}]),
    "RMSprop": (optim.RMSprop, [{}]),
    "Adam": (optim.Adam, [{}]),
    "AdamW": (optim.AdamW, [{}]),
    MORE: (optim.SGD, [{"momentum": momentum} for momentum in (0.8, 0.9, 0.95)]),
}


class Task(NamedTuple):
    """Images around 0 and their labels, to train on and to test with, and how to train."""

    name: str
    images: minigrad.Tensor
    labels: minigrad.Tensor
    test_images: minigrad.Tensor
    test_labels: minigrad.Tensor
    hidden: int
    batch: int
    epochs: int
    seeds: tuple
    tuning_seeds: tuple


class Run(NamedTuple):
    """What one training gave: the mean loss of each epoch, and accuracy (0 to 1), loss and seconds at the end."""

    losses: list
    accuracy: float
    loss: float
    seconds: float


class Result(NamedTuple):
    """One optimizer: the held-out accuracy at each rate, what was chosen, and the runs that met the test images."""

    held_out: dict
    rate: float
    settings: dict
    tuned: list
    default_rate: float
    untuned: list


def small_task(data):
    return prepare(data, hidden=64, batch=32, epochs=10, seeds=(0, 1, 2, 3, 4), tuning_seeds=(5, 6))


def large_task(data):
    return prepare(data, hidden=128, batch=128, epochs=3, seeds=(0, 1, 2, 3, 4), tuning_seeds=(5,))


def prepare(data, **how):
    mean, std = data.train_images.mean(), data.train_images.std()
    images, test_images = (minigrad.from_numpy((part - mean) / std) for part in (data.train_images, data.test_images))
    return Task(
        data.name, images, minigrad.tensor(data.train_labels), test_images, minigrad.tensor(data.test_labels), **how
    )


def held_out_part(task):
    """The task of tuning: train on four fifths of the training images, test on the last fifth."""
    cut = len(task.labels) * 4 // 5
    return task._replace(
        images=task.images[:cut], labels=task.labels[:cut], test_images=task.images[cut:], test_labels=task.labels[cut:]
    )


def train(task, kind, settings, rate, seed):
    """Train a network with one hidden layer. Returns a Run; one that diverges ends at once, with loss infinity."""
    minigrad.manual_seed(seed)  # of the first weights and of the order of the images
    pixels, classes = math.prod(task.images.shape[1:]), int(task.labels.max()) + 1
    model = nn.Sequential(nn.Flatten(), nn.Linear(pixels, task.hidden), nn.ReLU(), nn.Linear(task.hidden, classes))
    optimizer = kind(model.parameters(), lr=rate, **settings)
    loader = DataLoader(TensorDataset(task.images, task.labels), task.batch, shuffle=True)
    losses, start = [], time.perf_counter()
    with np.errstate(all="ignore"):  # at the largest rates some overflow
        for _ in range(task.epochs):
            total = 0.0
            for images, labels in loader:
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(images), labels)
                loss.backward()
                optimizer.step()
                total += loss.item() * len(labels)
            losses.append(total / len(task.labels))
            if not math.isfinite(losses[-1]):
                return Run(losses, 0.0, math.inf, time.perf_counter() - start)
        seconds = time.perf_counter() - start
        with minigrad.no_grad():
            scores = model(task.test_images)
            loss = nn.functional.cross_entropy(scores, task.test_labels).item()
    accuracy = (scores.argmax(1) == task.test_labels).float().mean().item()
    return Run(losses, accuracy, loss if math.isfinite(loss) else math.inf, seconds)


def compare(task, optimizers=OPTIMIZERS, rates=RATES, progress=iter):
    """Tune each optimizer on held-out training images, then train it with every seed. Returns {name: Result}.

    The settings with the highest held-out accuracy are taken, of equal ones those with the lower held-out loss.
    """
    held_out, known, results = held_out_part(task), {}, {}

    def runs(part, kind, settings, rate, seeds):
        """One run for each seed; what two rows share is trained once."""
        key = part is task, kind, rate, *settings.items()
        if key not in known:
            known[key] = [train(part, kind, settings, rate, seed) for seed in seeds]
        return known[key]

    tried = {name: [] for name in optimizers}
    trials = [
        (name, settings, rate) for name, (_, choices) in optimizers.items() for settings in choices for rate in rates
    ]
    for name, settings, rate in progress(trials):
        trial = runs(held_out, optimizers[name][0], settings, rate, task.tuning_seeds)
        accuracy, loss = np.mean([(run.accuracy, run.loss) for run in trial], axis=0)
        tried[name].append((accuracy, -loss, rate, settings))
    for name, (kind, choices) in progress(list(optimizers.items())):
        _, _, rate, settings = max(tried[name], key=lambda trial: trial[:2])
        best_at = {rate: max(accuracy for accuracy, _, r, _ in tried[name] if r == rate) for rate in rates}
        default = kind([minigrad.zeros(1, requires_grad=True)]).defaults["lr"]
        tuned = runs(task, kind, settings, rate, task.seeds)
        untuned = runs(task, kind, choices[0], default, task.seeds) if len(choices) == 1 else []
        results[name] = Result(best_at, rate, settings, tuned, default, untuned)
    return results


def mean_and_spread(runs):
    """The mean accuracy in %, and its standard deviation over the seeds."""
    accuracies = [100 * run.accuracy for run in runs]
    return np.mean(accuracies), np.std(accuracies, ddof=1)


def difference(first, second):
    """The mean accuracy of some runs less that of others, in points, and the standard error of this."""
    (a, spread_a), (b, spread_b) = mean_and_spread(first), mean_and_spread(second)
    return a - b, math.hypot(spread_a / len(first) ** 0.5, spread_b / len(second) ** 0.5)


def against(name, other, results):
    """What the tuned runs say of two optimizers: a difference counts if it is above two standard errors."""
    gap, error = difference(results[name].tuned, results[other].tuned)
    figures = f"{gap:+.2f} ± {error:.2f} points"
    if abs(gap) <= 2 * error:
        return f"{name} and {other} cannot be told apart ({figures})"
    return f"{name} {'beats' if gap > 0 else 'is behind'} {other} ({figures})"


def good_rates(result, points=1.0):
    """How many of the rates come within so many points of the best held-out accuracy."""
    best = max(result.held_out.values())
    return sum(100 * (best - accuracy) <= points for accuracy in result.held_out.values())


def verdict(results):
    """What the runs say of the notes' last two sentences, put together from the figures alone."""
    untuned = {name: mean_and_spread(result.untuned)[0] for name, result in results.items() if result.untuned}
    cost = {name: mean_and_spread(results[name].tuned)[0] - untuned[name] for name in untuned}
    order = sorted(untuned, key=untuned.get, reverse=True)
    place = order.index("Adam") + 1
    easy = f"""Untuned, at PyTorch's default rates, Adam reads {untuned["Adam"]:.1f} %, place {place} of
        {len(order)} (first: {order[0]}, {untuned[order[0]]:.1f} %; last: {order[-1]}, {untuned[order[-1]]:.1f} %),
        and not to tune it costs {cost["Adam"]:z.1f} points; momentum reads {untuned["momentum"]:.1f} %, and not to
        tune it costs {cost["momentum"]:z.1f}. So as a choice without tuning, Adam
        {"is" if untuned["Adam"] > untuned["momentum"] else "is not"} the better one here."""
    within = {name: good_rates(results[name]) for name in ("Adam", "momentum")}
    rates, gap = len(results["Adam"].held_out), within["Adam"] - within["momentum"]
    width = f"""Of the {rates} rates, {within["Adam"]} bring Adam within a point of its best, {within["momentum"]}
        momentum: Adam asks for {"less" if gap > 1 else "more" if gap < -1 else "about as much"} care with the rate."""
    tuned = f"""Tuned over the same rates, {against("momentum", "Adam", results)}. With its coefficient ρ tuned as
        well, {against(MORE, "Adam", results).replace(MORE, "momentum")}."""
    return [easy, width, tuned]


def choose_task(page):
    """MNIST where --data holds it, else the digits; says which, and how to get what is missing."""
    folder = find_folder(page.data, IDX_FILES[0]) if page.data else None
    if folder is not None:
        return large_task(load_idx(folder))
    where = f"No MNIST was found in {page.data}" if page.data else "No MNIST was given"
    page.text(f"""{where}, so this runs on the digits that come with it. For MNIST, fetch its four files from
        https://github.com/cvdfoundation/mnist and start this with `--data FOLDER`; it takes some minutes.""")
    return small_task(load_digits())


def show(page):
    task = choose_task(page)
    count, tested = len(task.labels), len(task.test_labels)
    page.text(f"""One network ({math.prod(task.images.shape[1:])}-{task.hidden}-10), one data set ({task.name}:
        {count:,} images to train on, {tested:,} to test), {task.epochs} passes with batches of {task.batch}, the
        same first weights and order of images for every optimizer. Each is tuned alike: {len(RATES)} rates from
        {RATES[0]} to {RATES[-1]:g}, trained on four fifths of the training images, and the best on the last fifth,
        with other seeds, is taken. Only then it is trained on all training images, with {len(task.seeds)} seeds,
        and meets the test images. One row gets more: its momentum coefficient is tuned, too. "Untuned" is PyTorch's
        default rate, with the same seeds.""")
    results = compare(task, progress=page.progress)
    page.table(
        ["", "tuned rate", "test accuracy", "good rates", "default rate", "untuned", "seconds"],
        [row(name, result) for name, result in results.items()],
    )
    page.text(f"""Accuracies are means and standard deviations over the seeds, in %; one test image is
        {100 / tested:.2g} points. "Good rates" come within a point of the best held-out accuracy. Seconds are for
        one training of {task.epochs} passes.""")
    name = "summary" if task.batch == 32 else "summary-mnist"
    page.picture(
        name,
        lambda figure: draw(figure, results),
        "Left: the training loss with the tuned rates, mean over the seeds. Right: the held-out accuracy at each rate.",
        (11, 4.6),
    )
    page.text("""The notes end with two sentences: Adam is a default choice, and SGD with momentum might beat it
        with more tuning. What these runs say of them:""")
    for sentence in verdict(results):
        page.text(sentence)
    page.text("""One small network and one data set prove no rule; what can be trusted is the method: tune all
        alike, on images that are neither trained on nor tested with, and ask whether a difference is larger than
        the seeds make it.""")


def row(name, result):
    chosen = f"{result.rate:g}" + (f", ρ {result.settings['momentum']:g}" if name == MORE else "")
    accuracy = "{:.2f} ± {:.2f}".format(*mean_and_spread(result.tuned))
    good = untuned = default = ""
    if name != MORE:
        good, default = f"{good_rates(result)} of {len(result.held_out)}", f"{result.default_rate:g}"
        untuned = "{:.2f} ± {:.2f}".format(*mean_and_spread(result.untuned))
    seconds = np.median([run.seconds for run in result.tuned])
    return [name, chosen, accuracy, good, default, untuned, f"{seconds:.2f}"]


def draw(figure, results):
    left, right = figure.subplots(1, 2, gridspec_kw={"wspace": 0.06})
    for (name, result), colour in zip(results.items(), ("C6", "C0", "C4", "C5", "C3", "C1", "C2", "C0")):
        style = ":" if name == MORE else "-"
        losses = np.mean([run.losses for run in result.tuned], axis=0)
        left.plot(np.arange(1, len(losses) + 1), losses, style, color=colour, linewidth=1.8, label=name)
        right.plot(
            list(result.held_out),
            [100 * accuracy for accuracy in result.held_out.values()],
            style + "o",
            color=colour,
            markersize=4,
            linewidth=1.8,
        )
    left.xaxis.get_major_locator().set_params(integer=True)
    left.set(yscale="log", xlabel="epoch", title="training loss, tuned")
    right.set(xscale="log", xlabel="learning rate", title="held-out accuracy, %", ylim=(80, 100.5))
    figure.legend(loc="outside right upper")


if __name__ == "__main__":
    alone(TITLE, show)
