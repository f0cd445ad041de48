"""The pictures that the examples draw, with matplotlib: the only file that needs it."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator


def draw_learning_curve(path, losses, accuracies):
    """The training loss and the test accuracy (in %) of each epoch."""
    epochs = range(1, len(losses) + 1)
    # A Figure made by hand, not by pyplot, draws into files only and needs no screen.
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, gridspec_kw={"wspace": 0.08})
    left.plot(epochs, losses, "o-", markersize=3, color="tab:blue")
    left.set(title="Training loss", ylabel="cross-entropy, log scale")
    if min(losses) > 0:
        left.set_yscale("log")
        left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        left.yaxis.set_major_formatter("{x:g}")
        left.minorticks_off()
    right.plot(epochs, accuracies, "o-", markersize=3, color="tab:orange")
    right.set(title=f"Test accuracy: {accuracies[-1]:.1f} % at the end", ylabel="images read correctly, %")
    for axes in left, right:
        axes.set(xlabel="epoch", xlim=(0.5, len(losses) + 0.5))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def draw_mistakes(path, images, labels, predicted, classes):
    """The first 24 images that were misread, each with what it is and what it was read as."""
    wrong = np.flatnonzero(predicted != labels)
    columns, rows = max(1, min(len(wrong), 8)), max(1, min(-(-len(wrong) // 8), 3))
    figure = Figure(figsize=(max(4.5, 1.2 * columns), 0.5 + 1.5 * rows), layout="constrained")
    figure.suptitle(f"{len(wrong):,} of {len(labels):,} test images misread: truth → reading")
    for axes, i in zip(figure.subplots(rows, columns, squeeze=False).flat, wrong):
        truth, reading = classes[labels[i]], classes[predicted[i]]
        axes.imshow(images[i], cmap="gray_r", vmin=0, vmax=1)
        axes.set_title(f"{truth} → {reading}", fontsize=11 if len(truth + reading) < 8 else 7)
    for axes in figure.axes:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(color="lightgray", visible=axes.has_data())
    figure.savefig(path, dpi=150)
