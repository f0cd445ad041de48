"""The images that the examples train on: the 8x8 digits beside this file, MNIST (idx.gz) and CIFAR-10 (binary)."""

import gzip
import math
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

DIGITS = Path(__file__).parent / "data" / "digits.csv.gz"
IDX_FILES = (
    "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz",
)  # fmt: skip
CIFAR10_FILES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
CIFAR10_RECORD = 1 + 3 * 32 * 32  # bytes: a label, then the red, the green and the blue values, row by row
CIFAR10_SOURCE = (
    "Expected: a folder with the six files of CIFAR-10's binary version, data_batch_1.bin to data_batch_5.bin and\n"
    "test_batch.bin: fetch and unpack https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz (162 MB)"
)
OBJECTS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FASHION = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


class Images(NamedTuple):
    """Images as float32 from 0 to 1, their labels (count) as int64, and the names of the classes.

    Grey images have the shape (count, height, width), colour images (count, 3, height, width).
    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: tuple


def load_digits():
    """1,797 handwritten digits of 8x8 pixels: 1,437 to train on and 360 to test, always the same ones."""
    table = np.loadtxt(DIGITS, delimiter=",", dtype=np.int64)
    images, labels = (table[:, :64].reshape(-1, 8, 8) / 16).astype(np.float32), table[:, 64]
    train, test = stratified_split(labels)
    return Images("UCI optical digits", images[train], labels[train], images[test], labels[test], tuple("0123456789"))


def stratified_split(labels):
    """Shuffled indices to train on and to test on: a fifth is for the test, also of each class, give or take one image."""
    # RandomState: NumPy promises never to change its numbers, so the split is the same with every version.
    shuffled = np.random.RandomState(0).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    tested = np.zeros(len(labels), bool)
    tested[by_class[::5]] = True
    return shuffled[~tested[shuffled]], shuffled[tested[shuffled]]


def load_idx(folder):
    """The four files of MNIST or Fashion-MNIST in `folder`; a name with "fashion" in it gives the classes their names.

    Raises FileNotFoundError when files are missing, ValueError when one is damaged or not what its name says.
    """
    folder = Path(folder).expanduser().resolve()
    missing = [name for name in IDX_FILES if not (folder / name).is_file()]
    if missing:
        problem = f"lacks {', '.join(missing)}" if folder.is_dir() else "is not a folder"
        raise FileNotFoundError(
            f"{folder} {problem}.\n"
            "Expected: a folder with the four files of MNIST or of Fashion-MNIST,\n"
            f"    {IDX_FILES[0]}, {IDX_FILES[1]},\n    {IDX_FILES[2]}, {IDX_FILES[3]}\n"
            "MNIST: https://github.com/cvdfoundation/mnist\n"
            "Fashion-MNIST: https://github.com/zalandoresearch/fashion-mnist, or on Debian\n"
            "    apt install dataset-fashion-mnist, then --data /usr/share/datasets/fashion-mnist"
        )
    train_images, train_labels, test_images, test_labels = (
        read_idx(folder / name, dimensions) for name, dimensions in zip(IDX_FILES, (3, 1, 3, 1))
    )
    for part, images, labels in ("train", train_images, train_labels), ("t10k", test_images, test_labels):
        if len(images) != len(labels) or len(labels) == 0:
            raise ValueError(f"{folder}: {part} has {len(images):,} images and {len(labels):,} labels, expected one each")
        if labels.max() > 9:
            raise ValueError(f"{folder}: {part} has the label {labels.max()}, expected 0 to 9")
    if train_images.shape[1:] != test_images.shape[1:]:
        sizes = " and ".join("{}x{}".format(*images.shape[1:]) for images in (train_images, test_images))
        raise ValueError(f"{folder}: training and test images have {sizes} pixels, expected one size")
    white = np.float32(255)
    return Images(
        folder.name, train_images / white, train_labels.astype(np.int64), test_images / white, test_labels.astype(np.int64),
        FASHION if "fashion" in folder.name.lower() else tuple("0123456789"),
    )  # fmt: skip


def read_idx(path, dimensions):
    """The bytes of an idx.gz file as a uint8 array.

    The format: two zero bytes, 8 for "unsigned byte", the number of dimensions, one big-endian 32-bit length for
    each, then the values, the last dimension fastest.
    """
    try:
        content = gzip.decompress(Path(path).read_bytes())
    except EOFError:
        raise ValueError(f"{path}: the file ends too early; it was cut off, fetch it again") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: not a whole gzip file ({error}); fetch it again") from None
    magic, header = bytes((0, 0, 8, dimensions)), 4 + 4 * dimensions
    if content[:4] != magic:
        came = content[:4].hex(" ") or "nothing"
        raise ValueError(f"{path}: begins with {came}, expected {magic.hex(' ')}, bytes in {dimensions} dimensions")
    if len(content) < header:
        raise ValueError(f"{path}: ends within its header, after {len(content)} of {header} bytes")
    shape = [int.from_bytes(content[i : i + 4], "big") for i in range(4, header, 4)]
    if len(content) != header + math.prod(shape):
        raise ValueError(
            f"{path}: the header promises {' x '.join(map(str, shape))} values, {math.prod(shape):,} bytes, "
            f"but {len(content) - header:,} follow"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def load_cifar10(folder):
    """CIFAR-10 (Krizhevsky 2009) from the six files of its binary version in `folder`, whole or in part.

    A file holds any number of whole records of 3,073 bytes, at least one; the original ones hold 10,000 each.

    Raises FileNotFoundError when files are missing, ValueError when one is damaged or not what its name says.
    """
    folder = Path(folder).expanduser().resolve()
    missing = [name for name in CIFAR10_FILES if not (folder / name).is_file()]
    if missing:
        problem = f"lacks {', '.join(missing)}" if folder.is_dir() else "is not a folder"
        raise FileNotFoundError(f"{folder} {problem}.\n{CIFAR10_SOURCE}")
    *train, test = (read_cifar10(folder / name) for name in CIFAR10_FILES)
    train_images, train_labels = (np.concatenate(parts) for parts in zip(*train))
    return Images("CIFAR-10", train_images, train_labels, *test, OBJECTS)


def read_cifar10(path):
    """The images and the labels of one file of CIFAR-10."""
    content = np.fromfile(path, np.uint8)
    if len(content) == 0 or len(content) % CIFAR10_RECORD:
        raise ValueError(
            f"{path}: {len(content):,} bytes are not one or more whole records of {CIFAR10_RECORD:,}; "
            "it was cut off, or it is not the binary version: fetch it again"
        )
    records = content.reshape(-1, CIFAR10_RECORD)
    labels = records[:, 0].astype(np.int64)
    if labels.max() > 9:
        raise ValueError(f"{path}: record {labels.argmax()} has the label {labels.max()}, expected 0 to 9")
    images = records[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32)
    images /= 255
    return images, labels


def find_folder(below, name):
    """The folder at or below `below` that holds a file called `name`: the first by its path, or None."""
    return min((path.parent for path in Path(below).expanduser().rglob(name) if path.is_file()), default=None)
