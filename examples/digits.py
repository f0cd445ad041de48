"""Train a classifier of handwritten digits: gradient check, training, mistakes, checkpoint.

    python examples/digits.py                         the 8x8 digits that come with it, in a few seconds
    python examples/digits.py --data FOLDER           MNIST or Fashion-MNIST in the idx.gz format
    python examples/digits.py --model linear --optimizer momentum --lr 0.01
"""

import argparse
import math
import sys
import time
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from datasets import load_digits, load_idx

import minigrad
from minigrad import nn, optim
from minigrad.autograd import gradcheck
from minigrad.utils.data import DataLoader, TensorDataset

OPTIMIZERS = {
    "sgd": (optim.SGD, dict(lr=0.2)),
    "momentum": (optim.SGD, dict(lr=0.05, momentum=0.9)),
    "nesterov": (optim.SGD, dict(lr=0.05, momentum=0.9, nesterov=True)),
    "adagrad": (optim.Adagrad, dict(lr=0.02)),
    "rmsprop": (optim.RMSprop, dict(lr=0.001)),
    "adam": (optim.Adam, dict(lr=0.002)),
    "adamw": (optim.AdamW, dict(lr=0.002)),
}
DROPOUT = 0.2
LR_FALL = 0.05  # the learning rate falls to this part of itself by the end
SMALL = 10_000  # with fewer images than this to train on: more epochs, smaller batches


def main():
    options = read_options()
    sys.stdout.reconfigure(line_buffering=True)  # each line is seen at once, also in a pipe
    try:
        data = load_idx(options.data) if options.data else load_digits()
        options.output.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise SystemExit(f"digits.py: {error}") from None
    small = len(data.train_labels) < SMALL
    epochs = options.epochs or (30 if small else 10)
    # 16 also keeps the products so small that BLAS starts no threads; on a busy machine they would wait for each other.
    batch_size = options.batch_size or (16 if small else 128)
    minigrad.manual_seed(options.seed)

    # Networks learn faster from inputs around 0. The test images must be scaled as the training images are.
    mean, std = float(data.train_images.mean()), float(data.train_images.std()) or 1.0
    train_images, test_images = (
        minigrad.tensor((images - mean) / std, dtype=minigrad.float32) for images in (data.train_images, data.test_images)
    )
    train_labels, test_labels = minigrad.tensor(data.train_labels), minigrad.tensor(data.test_labels)
    loader = DataLoader(TensorDataset(train_images, train_labels), batch_size, shuffle=True)

    height, width = data.train_images.shape[1:]
    widths = [height * width, *options.model, len(data.classes)]
    model = build_model(widths)
    loss_function = nn.CrossEntropyLoss()
    optimizer = build_optimizer(options.optimizer, model, options.lr)
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=LR_FALL ** (1 / epochs))

    report("data", f"{data.name}, {len(train_labels):,} to train, {len(test_labels):,} to test, {width}x{height} pixels")
    report("model", f"{'-'.join(map(str, widths))}, {sum(p.numel() for p in model.parameters()):,} parameters")
    lr, passes = optimizer.param_groups[0]["lr"], f"{epochs} epoch{'s' * (epochs > 1)}"
    report("optimizer", f"{options.optimizer}, lr {lr:g}, {passes}, batches of {batch_size}, seed {options.seed}")
    report("gradient check", check_gradients(widths, loss_function, train_images[:2], train_labels[:2]))

    print("\nepoch   training loss   test accuracy")
    losses, accuracies, start = [], [], time.perf_counter()
    with progress_bar(epochs * len(loader)) as bar:
        for epoch in range(1, epochs + 1):
            model.train()
            total = 0.0
            for images, labels in loader:
                optimizer.zero_grad()
                loss = loss_function(model(images), labels)
                loss.backward()
                optimizer.step()
                total += loss.item() * len(labels)
                bar.update()
            scheduler.step()

            losses.append(total / len(train_labels))
            if not math.isfinite(losses[-1]):
                raise SystemExit(f"digits.py: training diverged in epoch {epoch}, the loss is {losses[-1]}; try a smaller --lr")
            accuracies.append(100 * (predict(model, test_images) == test_labels).float().mean().item())
            if epoch % -(-epochs // 10) == 0 or epoch == epochs:
                bar.write(f"{epoch:5d}   {losses[-1]:13.4f}   {accuracies[-1]:11.1f} %")
    print()
    report("training time", f"{time.perf_counter() - start:.1f} s")

    # The last epoch counts, not the best: to choose one by its test accuracy would be to train on the test.
    predicted = predict(model, test_images)
    report("worst pairs", *worst_pairs(predicted.numpy(), data.test_labels, data.classes))
    report("pictures", draw(options.output, losses, accuracies, data, predicted.numpy()))

    path = options.output / "checkpoint.npz"
    settings = {"widths": widths, "optimizer": options.optimizer, "mean": mean, "std": std, "classes": data.classes}
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "settings": settings, "epoch": epochs}
    minigrad.save(state, path)
    loaded, _ = load_checkpoint(path)
    if not (predict(loaded, test_images) == predicted).all():
        raise SystemExit(f"digits.py: the model loaded from {path} predicts something else than the one saved")
    report("checkpoint", f"{path}, loaded back: all {len(predicted):,} predictions are the same")
    print(f"test accuracy {accuracies[-1]:.1f} %")


def build_model(widths):
    """An MLP; `widths` are the numbers of pixels, of units in each hidden layer, and of classes."""
    layers = [nn.Flatten()]
    for inputs, outputs in zip(widths, widths[1:-1]):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(DROPOUT)]
    return nn.Sequential(*layers, nn.Linear(*widths[-2:]))


def build_optimizer(name, model, lr=None):
    kind, defaults = OPTIMIZERS[name]
    return kind(model.parameters(), **defaults | ({} if lr is None else {"lr": lr}))


def load_checkpoint(path):
    """A new model and optimizer in the state of those saved: ready to read images, or to train on."""
    checkpoint = minigrad.load(path)
    model = build_model(checkpoint["settings"]["widths"])
    model.load_state_dict(checkpoint["model"])
    optimizer = build_optimizer(checkpoint["settings"]["optimizer"], model)
    optimizer.load_state_dict(checkpoint["optimizer"])
    return model, optimizer


def check_gradients(widths, loss_function, images, labels):
    """Compare every derivative of a narrow float64 copy of the model with finite differences."""
    widths = [widths[0], *(min(width, 5) for width in widths[1:-1]), widths[-1]]
    # Finite differences need float64; without eval(), dropout would make every call another function.
    model = build_model(widths).double().eval()
    images = images.double().requires_grad_()

    def loss(images, *parameters):  # gradcheck moves the parameters in place, where the model finds them
        return loss_function(model(images), labels)

    inputs = [images, *model.parameters()]
    gradcheck(loss, inputs)
    count, layers = sum(x.numel() for x in inputs), "-".join(map(str, widths))
    return f"backward() agrees with finite differences in all {count:,} derivatives of a {layers} copy"


def predict(model, images):
    model.eval()
    with minigrad.no_grad():
        return model(images).argmax(dim=1)


def worst_pairs(predicted, labels, classes, count=5):
    """The most frequent confusions, such as "8 read as 1: 3 times"."""
    confusion = np.zeros((len(classes), len(classes)), int)
    np.add.at(confusion, (labels, predicted), 1)
    np.fill_diagonal(confusion, 0)
    worst = np.argsort(-confusion, axis=None, kind="stable")[:count]
    pairs = [(i, j, confusion[i, j]) for i, j in zip(*np.unravel_index(worst, confusion.shape)) if confusion[i, j]]
    return [f"{classes[i]} read as {classes[j]}: {n} time{'s' if n > 1 else ''}" for i, j, n in pairs] or ["none"]


def draw(folder, losses, accuracies, data, predicted):
    if find_spec("matplotlib") is None:
        return "not drawn, matplotlib is missing: run pip install '.[plot]' in minigrad's folder"
    from pictures import draw_learning_curve, draw_mistakes

    draw_learning_curve(folder / "learning-curve.png", losses, accuracies)
    draw_mistakes(folder / "mistakes.png", data.test_images, data.test_labels, predicted, data.classes)
    return f"{folder / 'learning-curve.png'}, {folder / 'mistakes.png'}"


def progress_bar(total):
    """A tqdm bar on a terminal; in a pipe, or without tqdm, something with the same methods that shows nothing."""
    if find_spec("tqdm") is None:
        return nullcontext(SimpleNamespace(update=lambda: None, write=print))
    from tqdm import tqdm

    return tqdm(total=total, unit="batch", leave=False, disable=None)


def report(name, *lines):
    for i, line in enumerate(lines):
        print(f"{'' if i else name:<16}{line}")


def read_options():
    parser = argparse.ArgumentParser(description="Train a classifier of handwritten digits.", allow_abbrev=False)
    rates = ", ".join(f"{name} {defaults['lr']:g}" for name, (_, defaults) in OPTIMIZERS.items())
    add = parser.add_argument
    add("--data", metavar="DIR", help="folder of MNIST or Fashion-MNIST as idx.gz (default: the 8x8 digits beside this file)")
    add("--model", type=hidden_widths, default="256-64", help="widths of the hidden layers, or linear (default: 256-64)")
    add("--optimizer", metavar="NAME", choices=OPTIMIZERS, default="adam", help=f"{', '.join(OPTIMIZERS)} (default: adam)")
    add("--lr", type=positive(float, "number"), metavar="RATE", help=f"learning rate (default: {rates})")
    add("--epochs", type=positive(int, "integer"), metavar="N", help=f"default: 30; with {SMALL:,} images or more, 10")
    add("--batch-size", type=positive(int, "integer"), metavar="N", help=f"default: 16; with {SMALL:,} images or more, 128")
    add("--seed", type=seed, default=0, help="of the first weights, the order of the images and the dropout (default: 0)")
    add("--output", type=Path, default="digits-output", metavar="DIR", help="for pictures and model (default: digits-output)")
    return parser.parse_args()


def hidden_widths(text):
    widths = [] if text == "linear" else text.split("-")
    if not all(width.isdecimal() and int(width) for width in widths):
        raise argparse.ArgumentTypeError(f"expected widths such as 64 or 256-64, or linear, got {text!r}")
    return [int(width) for width in widths]


def seed(text):
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected an integer, 0 or more, got {text!r}")
    return int(text)


def positive(kind, name):
    def convert(text):
        try:
            if 0 < kind(text) < math.inf:
                return kind(text)
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"expected a positive {name}, got {text!r}")

    return convert


if __name__ == "__main__":
    main()
