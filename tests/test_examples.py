"""The examples do what they promise: run as a user runs them, and their data is what it is said to be."""

import gzip
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import minigrad

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
sys.path.insert(0, str(EXAMPLES))  # as `python examples/digits.py` does

import datasets  # noqa: E402
import digits  # noqa: E402

ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(Path(minigrad.__file__).resolve().parents[1]),
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONIOENCODING": "utf-8",
}


def run(folder, *options, before=""):
    """Run digits.py in `folder`, after the statements `before`."""
    start = [sys.executable, "-W", "error"]
    if before:
        script = f"import runpy, sys; {before}; sys.path.insert(0, {str(EXAMPLES)!r}); sys.argv[0] = 'digits.py'; "
        command = [*start, "-c", script + f"runpy.run_path({str(EXAMPLES / 'digits.py')!r}, run_name='__main__')"]
    else:
        command = [*start, str(EXAMPLES / "digits.py")]
    return subprocess.run(
        [*command, *map(str, options)], cwd=folder, env=ENVIRONMENT, capture_output=True, encoding="utf-8", timeout=120
    )


def trained(folder, *options, before=""):
    """The lines it prints. It succeeds, warns of nothing, and shows no progress bar in a pipe."""
    result = run(folder, *options, before=before)
    noise = [line for line in result.stderr.splitlines() if "font cache" not in line]  # matplotlib's, in its first run
    assert (result.returncode, noise) == (0, [])
    return result.stdout.splitlines()


def accuracy(lines):
    return float(re.fullmatch(r"test accuracy (\d{1,3}\.\d) %", lines[-1])[1])


BARE = "sys.modules['matplotlib'] = sys.modules['tqdm'] = None"


# digits.py


def test_the_defaults_read_97_of_100_digits_and_leave_their_results(tmp_path):
    lines = trained(tmp_path)
    assert accuracy(lines) >= 97
    text = "\n".join(lines)
    assert "UCI optical digits, 1,437 to train, 360 to test, 8x8 pixels" in text
    assert "backward() agrees with finite differences in all 543 derivatives" in text
    assert re.search(r"worst pairs     \d read as \d: \d times?\n", text)
    assert "loaded back: all 360 predictions are the same" in text
    saved = minigrad.load(tmp_path / "digits-output" / "checkpoint.npz")
    assert saved["settings"]["widths"] == [64, 256, 64, 10]
    assert saved["epoch"] == 30


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
def test_other_seeds_read_97_of_100_digits_too(seed, tmp_path):
    assert accuracy(trained(tmp_path, "--seed", seed, before=BARE)) >= 97


@pytest.mark.skipif(find_spec("matplotlib") is None, reason="the pictures need matplotlib")
def test_the_pictures_are_drawn(tmp_path):
    lines = trained(tmp_path, "--epochs", 1, "--model", "linear", "--output", "a/b")
    assert any(re.fullmatch(r"pictures +a.b.learning-curve\.png, a.b.mistakes\.png", line) for line in lines)
    for name in "learning-curve.png", "mistakes.png":
        assert (tmp_path / "a" / "b" / name).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_without_matplotlib_and_tqdm_it_trains_and_says_what_to_install(tmp_path):
    lines = trained(tmp_path, "--epochs", 3, before=BARE)
    assert accuracy(lines) >= 85
    assert any("matplotlib is missing: run pip install '.[plot]'" in line for line in lines)
    assert [path.name for path in (tmp_path / "digits-output").iterdir()] == ["checkpoint.npz"]


def test_the_seed_decides_everything(tmp_path):
    def lines(seed):
        printed = trained(tmp_path, "--epochs", 2, "--model", "16", "--seed", seed, before=BARE)
        return [line for line in printed if not line.startswith(("training time", "optimizer"))]

    assert lines(3) == lines(3)
    assert lines(3) != lines(4)


@pytest.mark.parametrize("name", digits.OPTIMIZERS)
def test_every_optimizer_learns_with_its_default_rate(name, tmp_path):
    lines = trained(tmp_path, "--optimizer", name, "--epochs", 3, before=BARE)
    assert lines[2].startswith(f"optimizer       {name}, lr {digits.OPTIMIZERS[name][1]['lr']:g}, 3 epochs")
    assert accuracy(lines) >= 85


def test_the_options_choose_the_model_and_how_it_is_trained(tmp_path):
    lines = trained(
        tmp_path, "--model", "linear", "--optimizer", "sgd", "--lr", 0.5, "--epochs", 1, "--batch-size", 64, "--seed", 9,
        "--output", "here", before=BARE,
    )  # fmt: skip
    assert lines[1] == "model           64-10, 650 parameters"
    assert lines[2] == "optimizer       sgd, lr 0.5, 1 epoch, batches of 64, seed 9"
    saved = minigrad.load(tmp_path / "here" / "checkpoint.npz")
    assert saved["settings"]["widths"] == [64, 10]
    assert saved["settings"]["optimizer"] == "sgd"


def test_the_gradient_check_finds_a_wrong_gradient():
    def wrong(scores, labels):  # the right value, but every derivative by a score is 0.1 too large
        return minigrad.nn.functional.cross_entropy(scores, labels) + 0.1 * (scores - scores.detach()).sum()

    images, labels = minigrad.randn(2, 3, 3), minigrad.tensor([1, 0])
    assert "all 158 derivatives of a 9-5-5-10 copy" in digits.check_gradients(
        [9, 256, 64, 10], minigrad.nn.functional.cross_entropy, images, labels
    )
    with pytest.raises(minigrad.autograd.GradcheckError, match="loss: the gradient is wrong"):
        digits.check_gradients([9, 256, 64, 10], wrong, images, labels)


def test_the_worst_pairs_come_first():
    labels, predicted = np.array([8, 8, 8, 3, 3, 5, 1]), np.array([1, 1, 1, 5, 3, 3, 1])
    assert digits.worst_pairs(predicted, labels, tuple("0123456789")) == [
        "8 read as 1: 3 times", "3 read as 5: 1 time", "5 read as 3: 1 time",
    ]  # fmt: skip
    assert digits.worst_pairs(labels, labels, tuple("0123456789")) == ["none"]


@pytest.mark.parametrize(
    "options, expected",
    [
        (["--model", "64x32"], "--model: expected widths such as 64 or 256-64, or linear, got '64x32'"),
        (["--model", "0"], "--model: expected widths"),
        (["--optimizer", "lion"], "choose from"),
        (["--lr", "nan"], "--lr: expected a positive number, got 'nan'"),
        (["--epochs", "0"], "--epochs: expected a positive integer, got '0'"),
        (["--batch-size", "1.5"], "--batch-size: expected a positive integer, got '1.5'"),
        (["--seed", "-1"], "--seed: expected an integer, 0 or more, got '-1'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_bad_option_is_refused_with_what_was_expected(options, expected, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["digits.py", *options])
    with pytest.raises(SystemExit) as exit:
        digits.read_options()
    assert exit.value.code == 2
    assert expected in capsys.readouterr().err


def test_a_missing_folder_is_one_error_that_names_the_files(tmp_path):
    result = run(tmp_path, "--data", "nowhere")
    assert result.returncode == 1
    assert "nowhere is not a folder" in result.stderr and "Traceback" not in result.stderr
    assert all(name in result.stderr for name in datasets.IDX_FILES)


def test_a_learning_rate_that_is_too_large_is_said_to_be_one(tmp_path):
    result = run(tmp_path, "--lr", 1e30, "--optimizer", "sgd", before="import warnings; warnings.simplefilter('ignore')")
    assert result.returncode == 1
    assert "diverged in epoch 1" in result.stderr and "try a smaller --lr" in result.stderr


# The digits that ship with it


def test_the_split_has_1437_and_360_images_and_every_digit_in_proportion():
    data = datasets.load_digits()
    assert data.train_images.shape == (1437, 8, 8) and data.test_images.shape == (360, 8, 8)
    assert data.train_images.dtype == np.float32 and data.train_labels.dtype == np.int64
    assert (data.train_images.min(), data.train_images.max()) == (0, 1)
    tested = np.bincount(data.test_labels, minlength=10)
    assert np.all(np.abs(tested - (tested + np.bincount(data.train_labels, minlength=10)) / 5) < 1)


def test_the_split_is_disjoint_shuffled_and_always_the_same():
    labels = np.repeat(np.arange(10), 180)[:1797]
    train, test = datasets.stratified_split(labels)
    assert sorted([*train, *test]) == list(range(1797)) and len(test) == 360
    assert not np.array_equal(train, np.sort(train)) and not np.array_equal(test, np.sort(test))
    state = np.random.get_state()[1].copy()
    minigrad.manual_seed(7)
    assert all(np.array_equal(a, b) for a, b in zip((train, test), datasets.stratified_split(labels)))
    assert np.array_equal(state, np.random.get_state()[1])
    assert datasets.load_digits().test_labels[:12].tolist() == [2, 8, 6, 0, 7, 4, 9, 1, 8, 6, 7, 0]


# idx.gz


def write_idx(path, values, magic=None, shape=None):
    header = bytes((0, 0, 8, values.ndim)) if magic is None else magic
    lengths = b"".join(n.to_bytes(4, "big") for n in (values.shape if shape is None else shape))
    path.write_bytes(gzip.compress(header + lengths + values.astype(np.uint8).tobytes()))


def write_mnist(folder, train=200, test=50):
    """Four small files: the digit d is a 4x5 image whose pixel d is bright."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i, count in (0, train), (2, test):
        labels = rng.permutation(np.arange(count) % 10)
        images = rng.integers(0, 60, (count, 20))
        images[np.arange(count), labels] = 255
        write_idx(folder / datasets.IDX_FILES[i], images.reshape(count, 4, 5))
        write_idx(folder / datasets.IDX_FILES[i + 1], labels)
    return folder


def test_read_idx_reads_what_was_written(tmp_path):
    values = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    write_idx(tmp_path / "a.gz", values)
    read = datasets.read_idx(tmp_path / "a.gz", 3)
    assert read.dtype == np.uint8
    assert np.array_equal(read, values)


@pytest.mark.parametrize(
    "damage, message",
    [
        (lambda path, v: path.write_bytes(path.read_bytes()[:-12]), "cut off"),
        (lambda path, v: path.write_bytes(b""), "begins with nothing, expected 00 00 08 03"),
        (lambda path, v: path.write_bytes(b"<html>not found</html>"), "not a whole gzip file"),
        (lambda path, v: write_idx(path, v, magic=b"\0\0\x0d\3"), "begins with 00 00 0d 03, expected 00 00 08 03"),
        (lambda path, v: write_idx(path, v[0, 0]), "begins with 00 00 08 01, expected 00 00 08 03"),
        (lambda path, v: write_idx(path, v, shape=(3, 3, 4)), "promises 3 x 3 x 4 values, 36 bytes, but 24 follow"),
        (lambda path, v: write_idx(path, v, shape=(1, 3, 4)), "promises 1 x 3 x 4 values, 12 bytes, but 24 follow"),
        (lambda path, v: path.write_bytes(gzip.compress(b"\0\0\x08\3\0\0")), "ends within its header, after 6 of 16 bytes"),
    ],
    ids=["truncated", "empty", "not gzip", "floats", "labels", "too few", "too many", "half a header"],
)
def test_read_idx_refuses_a_file_that_is_not_right(damage, message, tmp_path):
    path, values = tmp_path / "a.gz", np.arange(24).reshape(2, 3, 4)
    write_idx(path, values)
    damage(path, values)
    with pytest.raises(ValueError, match=message) as error:
        datasets.read_idx(path, 3)
    assert str(path) in str(error.value)


def test_load_idx_scales_the_pixels_and_names_the_classes(tmp_path):
    data = datasets.load_idx(write_mnist(tmp_path / "mnist"))
    assert data.train_images.shape == (200, 4, 5) and data.test_labels.shape == (50,)
    assert data.train_images.dtype == np.float32 and data.train_images.max() == 1
    assert data.classes[9] == "9"
    assert datasets.load_idx(write_mnist(tmp_path / "fashion-mnist")).classes[9] == "ankle boot"


def test_load_idx_refuses_a_set_that_does_not_fit_together(tmp_path):
    folder = write_mnist(tmp_path / "mnist")
    images, labels, test_images, _ = (folder / name for name in datasets.IDX_FILES)

    write_idx(labels, np.zeros(199))
    with pytest.raises(ValueError, match="train has 200 images and 199 labels"):
        datasets.load_idx(folder)
    write_idx(labels, np.full(200, 10))
    with pytest.raises(ValueError, match="train has the label 10, expected 0 to 9"):
        datasets.load_idx(folder)
    write_idx(labels, np.zeros(200))
    write_idx(test_images, np.zeros((50, 5, 5)))
    with pytest.raises(ValueError, match="4x5 and 5x5 pixels"):
        datasets.load_idx(folder)
    images.unlink()
    with pytest.raises(FileNotFoundError, match="lacks train-images-idx3-ubyte.gz"):
        datasets.load_idx(folder)


def test_digits_trains_on_a_folder_of_idx_files(tmp_path):
    write_mnist(tmp_path / "mnist")
    lines = trained(tmp_path, "--data", "mnist", "--epochs", 8, "--optimizer", "momentum", before=BARE)
    assert lines[0].split() == "data mnist, 200 to train, 50 to test, 5x4 pixels".split()
    assert accuracy(lines) >= 90
