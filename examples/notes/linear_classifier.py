"""The linear classifier of sections 1 and 3: images in rows, the hinge loss of a weight matrix, and its accuracy."""

from typing import NamedTuple

import numpy as np

import minigrad
import minigrad.nn.functional as F

from ..datasets import CIFAR10_FILES, CIFAR10_SOURCE, find_folder, load_cifar10, load_digits

TRAINING_IMAGES = 1500


class Problem(NamedTuple):
    """Images as rows, mean-subtracted and with a 1 at the end, and their labels; weights are (classes, inputs)."""

    name: str
    inputs: minigrad.Tensor
    labels: minigrad.Tensor
    test_inputs: minigrad.Tensor
    test_labels: minigrad.Tensor
    classes: tuple
    shape: tuple

    def draw(self, count, generator):
        """`count` random weight matrices."""
        return self.spread() * minigrad.randn(count, len(self.classes), self.inputs.shape[1], generator=generator)

    def spread(self):
        """The standard deviation of random weights: it gives scores of about 1/3, small beside the margin of 1."""
        return 1.4 / (self.inputs.shape[1] - 1) ** 0.5

    def accuracy(self, weights):
        """The part of the test images whose right class has the largest score."""
        return part_right(weights, self.test_inputs, self.test_labels)

    def training_accuracy(self, weights):
        return part_right(weights, self.inputs, self.labels)


def part_right(weights, inputs, labels):
    return (F.linear(inputs, weights).argmax(1) == labels).float().mean().item()


def hinge_loss(weights, inputs, labels):
    """The notes' loss of one matrix (classes, inputs), averaged over the images."""
    return len(weights) * F.multi_margin_loss(F.linear(inputs, weights), labels)


def hinge_losses(weights, inputs, labels):
    """The same for each of many matrices (count, classes, inputs), whose scores are one product."""
    count, classes, _ = weights.shape
    scores = F.linear(inputs, weights.reshape(count * classes, -1)).reshape(-1, classes)
    labels = labels.unsqueeze(1).expand(-1, count).reshape(-1)
    return classes * F.multi_margin_loss(scores, labels, reduction="none").reshape(-1, count).mean(0)


def load_problem(page):
    """CIFAR-10 where --data holds it, else the digits; says which, and how to get what is missing."""
    folder = find_folder(page.data, CIFAR10_FILES[0]) if page.data else None
    data, missing = None, f"No CIFAR-10 was given. {CIFAR10_SOURCE}"
    if folder is not None:
        try:
            data = load_cifar10(folder)
        except (OSError, ValueError) as error:
            missing = str(error)
    if data is None:
        data = load_digits()
        page.text(
            f"""{missing}. Then start this with `--data FOLDER`. Meanwhile it runs on the {data.name}, which are much
            easier: their figures are not to be compared with the notes'."""
        )
    problem = prepare(data)
    page.text(
        f"""{data.name}: {len(data.train_labels):,} training images of {"×".join(map(str, problem.shape))} values, of
        which {len(problem.labels):,} are used here, and {len(problem.test_labels):,} test images, for the accuracy
        alone. W has {len(data.classes)} × {problem.inputs.shape[1]:,} weights."""
    )
    return problem


def prepare(data):
    """The first training images and all test images, less the mean of those training images, and with a 1 appended."""
    images = data.train_images[:TRAINING_IMAGES]
    mean = images.mean(axis=0)

    def rows(images):
        flat = (images - mean).reshape(len(images), -1)
        return minigrad.from_numpy(np.column_stack((flat, np.ones(len(flat), flat.dtype))))

    return Problem(
        data.name, rows(images), minigrad.tensor(data.train_labels[:TRAINING_IMAGES]),
        rows(data.test_images), minigrad.tensor(data.test_labels), data.classes, images.shape[1:],
    )  # fmt: skip
