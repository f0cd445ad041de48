"""CIFAR-10's binary version is read as it was written, and what is damaged is refused; files are found at any depth."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from examples import datasets  # noqa: E402


def write_cifar10(folder, counts=(5, 3, 1, 2, 4, 6), seed=0):
    """Six small files of random records; returns the labels and images of each."""
    folder.mkdir(parents=True)
    rng, written = np.random.default_rng(seed), []
    for name, count in zip(datasets.CIFAR10_FILES, counts):
        labels, images = rng.integers(0, 10, count), rng.integers(0, 256, (count, 3, 32, 32))
        records = np.column_stack((labels, images.reshape(count, -1))).astype(np.uint8)
        records.tofile(folder / name)
        written.append((labels, images))
    return written


def test_cifar10_is_read_as_it_was_written(tmp_path):
    written = write_cifar10(tmp_path / "a")
    data = datasets.load_cifar10(tmp_path / "a")
    assert (data.name, len(data.classes), data.classes[0], data.classes[9]) == ("CIFAR-10", 10, "airplane", "truck")
    np.testing.assert_array_equal(np.concatenate([labels for labels, _ in written[:5]]), data.train_labels)
    images = np.concatenate([images for _, images in written[:5]])
    np.testing.assert_array_equal((images / np.float32(255)).astype(np.float32), data.train_images)
    np.testing.assert_array_equal(written[5][0], data.test_labels)
    assert data.train_images.shape == (15, 3, 32, 32) and data.test_images.shape == (6, 3, 32, 32)
    assert data.train_images.dtype == np.float32 and data.train_labels.dtype == np.int64


def test_a_record_is_a_label_then_red_green_and_blue_row_by_row(tmp_path):
    record = np.zeros(datasets.CIFAR10_RECORD, np.uint8)
    record[0] = 7
    record[1 + 1024 + 32 * 2 + 5] = 255  # green, row 2, column 5
    record.tofile(tmp_path / "one.bin")
    images, labels = datasets.read_cifar10(tmp_path / "one.bin")
    assert labels.tolist() == [7]
    assert np.argwhere(images).tolist() == [[0, 1, 2, 5]] and images[0, 1, 2, 5] == 1


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "0 bytes are not one or more whole records of 3,073"),
        (bytes(3072), "3,072 bytes are not one or more whole records"),
        (bytes(2 * 3073 + 1), "6,147 bytes are not"),
        (bytes(3073) + b"\x0a" + bytes(3072), "record 1 has the label 10, expected 0 to 9"),
    ],
    ids=["empty", "one byte short", "one byte more", "label"],
)
def test_a_damaged_file_is_refused(content, message, tmp_path):
    write_cifar10(tmp_path / "a")
    path = tmp_path / "a" / "data_batch_3.bin"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        datasets.load_cifar10(tmp_path / "a")
    assert str(path) in str(error.value)


def test_a_missing_file_or_folder_is_named_with_where_to_get_it(tmp_path):
    write_cifar10(tmp_path / "a")
    (tmp_path / "a" / "test_batch.bin").unlink()
    with pytest.raises(FileNotFoundError, match="lacks test_batch.bin") as error:
        datasets.load_cifar10(tmp_path / "a")
    assert "https://www.cs.toronto.edu/~kriz/" in str(error.value)
    with pytest.raises(FileNotFoundError, match="b is not a folder"):
        datasets.load_cifar10(tmp_path / "b")


def test_a_data_set_is_found_at_any_depth(tmp_path):
    name = datasets.CIFAR10_FILES[0]
    assert datasets.find_folder(tmp_path, name) is None
    write_cifar10(tmp_path / "x" / "y" / "z")
    assert datasets.find_folder(tmp_path, name) == tmp_path / "x" / "y" / "z"
    assert datasets.find_folder(tmp_path / "x" / "y" / "z", name) == tmp_path / "x" / "y" / "z"
    write_cifar10(tmp_path / "first")
    assert datasets.find_folder(tmp_path, name) == tmp_path / "first"
    (tmp_path / "a" / name).mkdir(parents=True)  # a folder of that name is not the file
    assert datasets.find_folder(tmp_path, name) == tmp_path / "first"
