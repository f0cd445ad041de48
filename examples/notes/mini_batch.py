"""Section 6. Mini-batches: the notes' program, run as it stands, and what the size of a batch costs and buys.

    python -m examples.notes.mini_batch
"""

import contextlib
import io
import time

import numpy as np

import minigrad
from minigrad import nn
from minigrad.utils.data import DataLoader, TensorDataset

from .page import alone
from .stochastic_gradient_descent import digits

TITLE = "6. Mini-batch gradient descent"

IMPORTS = """\
import minigrad
import minigrad.nn as nn
import minigrad.optim as optim
"""
DATA = """\
minigrad.manual_seed(0)
X = minigrad.linspace(-1, 1, 20).reshape(20, 1)  # the notes leave X and y open: here, points near the line 2x + 1
y = 2 * X + 1 + 0.05 * minigrad.randn(20, 1)
"""
# The program of the notes; of its words, only `torch` is now `minigrad`.
PROGRAM = """\
from minigrad.utils.data import DataLoader, TensorDataset

# Creating Mini-Batches
dataset = TensorDataset(X, y)
batch_size = 2  # Mini-batch size
dataloader = DataLoader(dataset, batch_size=batch_size, shuffle=True)

# Model, Loss, and Optimizer
model = nn.Linear(1, 1)
criterion = nn.MSELoss()
optimizer = optim.SGD(model.parameters(), lr=0.01)

# Training Loop (Mini-Batch GD)
for epoch in range(100):
    for batch_X, batch_y in dataloader:  # Iterating over mini-batches
        optimizer.zero_grad()
        y_pred = model(batch_X)
        loss = criterion(y_pred, batch_y)
        loss.backward()
        optimizer.step()
    if (epoch+1) % 20 == 0:
        print(f'Epoch [{epoch+1}/100], Loss: {loss.item():.4f}')
"""

# name: (batch size, rate, passes over the data). Of the rates 0.0125, 0.025, 0.05, ... each is the one that needs the
# fewest passes to the goal.
SIZES = {
    "one image": (1, 0.05, 5),
    "mini-batch of 32": (32, 0.8, 40),
    "full batch": (1437, 0.8, 200),
}
GOAL = 0.1  # a training loss to reach


def run_program(source=IMPORTS + DATA + PROGRAM):
    """Run the program. Returns (what it printed, line by line; its variables)."""
    names, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(source, names)
    return printed.getvalue().splitlines(), names


def small_network():
    """A network of 64-32-10 units, always with the same first weights."""
    minigrad.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def compare(sizes=SIZES, points=50):
    """The loss on all training images over the images seen and the seconds spent, for each batch size.

    Returns {name: rows of (steps, images, seconds, loss)}. The clock stands still while that loss is measured.
    """
    images, labels = digits()
    found = {}
    for name, (batch_size, rate, passes) in sizes.items():
        model = small_network()
        optimizer = minigrad.optim.SGD(model.parameters(), lr=rate)
        loader = DataLoader(TensorDataset(images, labels), batch_size, shuffle=True, seed=0)
        measured = set(np.geomspace(1, passes * len(loader), points).astype(int))
        rows, step, seen, seconds, start = [], 0, 0, 0.0, time.perf_counter()
        for _ in range(passes):
            for batch, truth in loader:
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(batch), truth).backward()
                optimizer.step()
                step, seen = step + 1, seen + len(truth)
                if step in measured:
                    seconds += time.perf_counter() - start
                    with minigrad.no_grad():
                        loss = nn.functional.cross_entropy(model(images), labels).item()
                    rows.append((step, seen, seconds, loss))
                    start = time.perf_counter()
        found[name] = np.array(rows)
    return found


def reached(rows, goal=GOAL):
    """The first row of `compare` whose loss is below the goal, or None."""
    return next((row for row in rows if row[-1] < goal), None)


def show(page):
    page.text("""Between one sample and all of them lies the mini-batch: a small random part, whose gradient is less
        noisy than one sample's and still cheap. The notes' program, with `minigrad` where they say `torch`, after
        its imports and some data, which the notes leave open:""")
    page.code(IMPORTS + DATA + PROGRAM)
    printed, names = run_program()
    page.output_of(printed)
    model = names["model"]
    page.text(f"""The points lie near the line 2 x + 1, and the model found {model.weight.item():.2f} x +
        {model.bias.item():.2f}. The printed losses do not fall steadily, for each is that of the last mini-batch of
        its epoch, of two points, not the mean over the epoch.""")
    page.text(f"""What is the best size? It depends on what is counted. Below, the same network (64-32-10, the same
        first weights) learns the 1,437 shipped digits with one image, 32 images or all of them in each step, until
        its loss on all of them is below {GOAL}.""")
    found = compare()
    page.table(
        ["batch", "rate", "steps", "images seen", "milliseconds", "per step"],
        [[name, f"{SIZES[name][1]:g}", *costs(reached(rows))] for name, rows in found.items()],
    )
    page.text("""Counted in images, one at a time wins: every image moves the weights. Counted in seconds it loses:
        a step on 32 images takes hardly longer than a step on one, because most of a small step is overhead, and
        the matrix products of a batch keep the processor busy. The full batch has the best gradient of all, but
        each costs a whole pass over the data, and the more data there are, the worse the bargain gets. This is why
        mini-batches are the rule. The seconds are those of this run and depend on the machine, the steps and images
        hardly do.""")
    page.picture(
        "mini-batch",
        lambda figure: draw(figure, found),
        "The same network, trained with three sizes of batch: the loss on all training images against what was spent.",
        (9, 4),
    )


def costs(row):
    if row is None:
        return ["not reached", "", "", ""]
    step, seen, seconds, _ = row
    return [f"{step:,.0f}", f"{seen:,.0f}", f"{1000 * seconds:.0f}", f"{1000 * seconds / step:.2f}"]


def draw(figure, found):
    panels = figure.subplots(1, 2, sharey=True)
    for (name, rows), colour in zip(found.items(), ("C1", "C2", "C0")):
        _, seen, seconds, loss = rows.T
        for axes, spent in zip(panels, (seen, seconds)):
            axes.plot(spent, loss, color=colour, linewidth=1.8, label=name)
    for axes, title in zip(panels, ("images seen", "seconds spent")):
        axes.axhline(GOAL, color="gray", linewidth=0.8, linestyle=":")
        axes.set(xlabel=f"{title}, log scale", xscale="log", yscale="log", title=f"against {title}", ylim=(0.02, 3))
    panels[0].set_ylabel("loss on all training images")
    panels[0].legend(loc="lower left")


if __name__ == "__main__":
    alone(TITLE, show)
