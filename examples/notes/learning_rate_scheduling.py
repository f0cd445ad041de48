"""Learning-rate scheduling: large steps first, small steps last.

    python -m examples.notes.learning_rate_scheduling
"""

from functools import cache

import numpy as np

import minigrad
from minigrad import nn, optim
from minigrad.optim import lr_scheduler
from minigrad.utils.data import DataLoader, TensorDataset

from .page import alone
from .stochastic_gradient_descent import digits

TITLE = "Learning-rate scheduling"
RATE, EPOCHS, BATCH = 0.5, 40, 8
TRAINED = 1150  # of the 1,437 training images; the others tell how well it goes
SCHEDULES = {
    "constant": lambda optimizer: lr_scheduler.ExponentialLR(optimizer, gamma=1.0),
    "StepLR": lambda optimizer: lr_scheduler.StepLR(optimizer, step_size=10, gamma=0.1),  # the notes' line
    "ExponentialLR": lambda optimizer: lr_scheduler.ExponentialLR(optimizer, gamma=0.9),
    "ReduceLROnPlateau": lambda optimizer: lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.3, patience=2),
}


@cache
def least_squares():
    """Digits as a regression: inputs, their 0-1 targets (one column a digit), labels, and the least possible loss."""
    images, labels = digits()
    inputs, targets = images.reshape(-1, 64), minigrad.tensor(np.eye(10, dtype=np.float32)[labels.numpy()])
    known = np.column_stack((inputs[:TRAINED].numpy(), np.ones(TRAINED))).astype(float)
    wanted = targets[:TRAINED].numpy().astype(float)
    solution = np.linalg.lstsq(known, wanted, rcond=None)[0]
    return inputs, targets, labels, ((known @ solution - wanted) ** 2).mean()


def train(make_schedule, epochs=EPOCHS, seed=0):
    """Train a linear model of the digits by SGD, one schedule step an epoch.

    Returns rows of (rate, training loss above the least possible one, validation loss, validation accuracy).
    """
    inputs, targets, labels, least = least_squares()
    minigrad.manual_seed(seed)
    model = nn.Linear(64, 10)
    optimizer = optim.SGD(model.parameters(), lr=RATE)
    scheduler = make_schedule(optimizer)
    loader = DataLoader(TensorDataset(inputs[:TRAINED], targets[:TRAINED]), BATCH, shuffle=True)
    rows = []
    for _ in range(epochs):
        rate = optimizer.param_groups[0]["lr"]
        for batch, wanted in loader:
            optimizer.zero_grad()
            nn.functional.mse_loss(model(batch), wanted).backward()
            optimizer.step()
        with minigrad.no_grad():
            scores = model(inputs)
            losses = nn.functional.mse_loss(scores, targets, reduction="none").mean(1)
            right = scores.argmax(1) == labels
        validation = losses[TRAINED:].mean().item()
        rows.append((rate, losses[:TRAINED].mean().item() - least, validation, right[TRAINED:].float().mean().item()))
        if isinstance(scheduler, lr_scheduler.ReduceLROnPlateau):
            scheduler.step(validation)  # it decides by what happened
        else:
            scheduler.step()
    return np.array(rows)


def show(page):
    page.text("""With a constant rate, SGD does not come to rest: each batch pulls another way, and the weights
        jitter around the minimum in a cloud whose size goes with the rate. A large rate gets near fast, a small one
        gets close. A schedule takes both, in this order. The notes' line makes a scheduler; it acts only if its
        `step()` is called, once an epoch, after the optimizer's.""")
    page.code(train)
    page.text(f"""Here a linear model learns the digits by least squares, {EPOCHS} passes with batches of {BATCH},
        all from the rate {RATE}. The least possible loss is known exactly, so that the distance to it can be shown.
        `StepLR` is the notes' line, a tenth every 10 epochs; `ExponentialLR` takes 0.9 every epoch;
        `ReduceLROnPlateau` takes 0.3 whenever the loss on 287 held-out images has not improved for more than 2
        epochs.""")
    found = {name: train(make) for name, make in SCHEDULES.items()}
    page.table(
        ["", "rate at the end", "loss above the least", "held-out loss", "held-out accuracy"],
        [
            [name, f"{rate:.2g}", f"{excess:.5f}", f"{loss:.4f}", f"{100 * accuracy:.1f} %"]
            for name, (rate, excess, loss, accuracy) in ((name, rows[-1]) for name, rows in found.items())
        ],
    )
    page.picture(
        "learning-rate-scheduling",
        lambda figure: draw(figure, found),
        "The rate (above) and the training loss above the least possible one (below), in each epoch.",
        (9, 5.6),
    )


def draw(figure, found):
    above, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (2, 3)})
    for (name, rows), colour in zip(found.items(), ("C6", "C0", "C2", "C1")):
        epochs = np.arange(1, len(rows) + 1)
        above.step(epochs, rows[:, 0], where="mid", color=colour, linewidth=1.8, label=name)
        below.plot(epochs, rows[:, 1], "o-", color=colour, markersize=3, linewidth=1.5)
    above.set(yscale="log", ylabel="rate")
    below.set(yscale="log", ylabel="loss above the least", xlabel="epoch")
    figure.legend(loc="outside right upper")


if __name__ == "__main__":
    alone(TITLE, show)
