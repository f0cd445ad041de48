"""Section 5. Stochastic gradient descent: the notes' loop, run as it stands.

    python -m examples.notes.stochastic_gradient_descent
"""

from functools import cache

import numpy as np

import minigrad
from minigrad import nn
from minigrad.utils.data import DataLoader, TensorDataset

from ..datasets import load_digits
from .page import alone

TITLE = "5. Stochastic gradient descent"

# The loop of the notes; of its words, only `torch` is now `minigrad`.
LOOP = """\
model = create_model()
optimizer = minigrad.optim.SGD(model.parameters(), lr=1e-4)
for input_data, labels in train_dataloader:
    preds = model(input_data)
    loss = L(preds, labels)  # finding out loss
    loss.backward()          # perform backprop
    optimizer.step()         # updates the weights by taking step
    optimizer.zero_grad()    # reset the gradients to avoid adding up
"""


def create_model():
    """A linear classifier of 8x8 images, all weights 0: every digit gets the probability 1/10."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    return model


@cache
def digits():
    """The shipped digits as tensors: training images and labels."""
    data = load_digits()
    return minigrad.tensor(data.train_images), minigrad.tensor(data.train_labels)


def run_loop(source=LOOP, batch_size=1, seed=0):
    """Run the loop over the digits, and note the loss of every step. Returns (model, losses)."""
    losses = []

    def L(preds, labels):
        loss = nn.functional.cross_entropy(preds, labels)
        losses.append(loss.item())
        return loss

    loader = DataLoader(TensorDataset(*digits()), batch_size, shuffle=True, seed=seed)
    names = {"minigrad": minigrad, "create_model": create_model, "train_dataloader": loader, "L": L}
    exec(source, names)
    return names["model"], np.array(losses)


def evaluate(model):
    """The loss and the accuracy on all training images."""
    images, labels = digits()
    with minigrad.no_grad():
        scores = model(images)
        return nn.functional.cross_entropy(scores, labels).item(), (scores.argmax(1) == labels).float().mean().item()


def running_mean(values, window=100):
    """The mean of each `window` values in a row."""
    return np.convolve(values, np.ones(window) / window, "valid")


def show(page):
    page.text("""Gradient descent looks at all data before it moves once. Stochastic gradient descent moves after
        every single sample: its gradient is right only on average, but it costs a fraction. The notes' loop
        follows, with `minigrad` where they say `torch`; here it is run over the shipped digits, one image at a
        time.""")
    page.code(LOOP)
    rows, curves = [], {}
    for rate in ("1e-4", "1e-1"):
        model, losses = run_loop(LOOP.replace("1e-4", rate))
        loss, accuracy = evaluate(model)
        curves[rate] = losses
        last = losses[-100:]
        rows.append(
            [
                rate,
                f"{len(losses):,}",
                f"{last.mean():.2f} ± {last.std():.2f}",
                f"{loss:.3f}",
                f"{100 * accuracy:.1f} %",
            ]
        )
    page.table(["rate", "steps", "loss of the last 100 samples", "loss on all images", "accuracy"], rows)
    page.text("""The loss starts at log 10 = 2.303, a guess among ten digits. With the notes' rate, 1e-4, it hardly
        leaves it in one pass: the weights point the right way already, so most digits are told apart, but the model
        is sure of none. A thousand times that rate learns well in the same pass. One image says little about all
        the others: the single losses scatter widely long after their mean has fallen. That is the price of a cheap
        step, and the next section's subject.""")
    page.picture(
        "stochastic-gradient-descent",
        lambda figure: draw(figure, curves["1e-4"], curves["1e-1"]),
        "One pass over 1,437 digits, an image a step. Dots: the loss of that image. Lines: the mean over 100 steps.",
    )


def draw(figure, slow, fast):
    axes = figure.subplots()
    steps = np.arange(100, len(fast) + 1)
    axes.plot(fast, ".", color="C4", alpha=0.25, markersize=4)
    axes.plot(steps, running_mean(slow), color="C1", linewidth=2.5, label="rate 0.0001")
    axes.plot(steps, running_mean(fast), color="C0", linewidth=2.5, label="rate 0.1")
    axes.set(xlabel="step (= images seen)", ylabel="loss of one image", ylim=(-0.2, 5.2))
    axes.legend(loc="upper right")


if __name__ == "__main__":
    alone(TITLE, show)
