"""Saving and loading: everything comes back as it was, nothing is executed, and no kill or damage goes unnoticed."""

import math
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

import minigrad
from minigrad import nn

STATE = {
    "tensors": [
        minigrad.tensor([[1.5, -2.0], [0.0, 3.0]]), minigrad.tensor(7.25, dtype=np.float64), minigrad.zeros(0, 3),
        minigrad.tensor([1, -(2**40)]), minigrad.tensor([3], dtype=np.int32), minigrad.tensor([255], dtype=np.uint8),
        minigrad.tensor([True, False]), minigrad.tensor([math.nan, math.inf, -math.inf, -0.0]),
    ],
    "arrays": (np.arange(6.0).reshape(2, 3).T, np.float32(2.5), np.array(3)),
    "numbers": [0, -1, 10**30, 0.1, -0.0, 1e-320, math.inf, True, False, None, ""],
    1: {"1": "text: ü € \n \ud800", -7: (), "": [], "nested": {"deep": [({"x": ()},)]}},
}  # fmt: skip


def assert_same(found, expected):
    """Equal in kind and content, NaN included, all the way down."""
    if isinstance(expected, (minigrad.Tensor, np.ndarray, np.generic)):
        assert isinstance(found, minigrad.Tensor if isinstance(expected, minigrad.Tensor) else np.ndarray)
        one, two = (x.numpy() if isinstance(x, minigrad.Tensor) else np.asarray(x) for x in (found, expected))
        assert (two.dtype, two.shape, two.tobytes()) == (one.dtype, one.shape, one.tobytes())
        return
    assert type(expected) is type(found)
    if isinstance(expected, dict):
        assert list(expected) == list(found)
        for key, value in expected.items():
            assert_same(found[key], value)
    elif isinstance(expected, (list, tuple)):
        assert len(expected) == len(found)
        for one, two in zip(found, expected):
            assert_same(one, two)
    else:
        assert (expected, math.copysign(1, expected or 0) if isinstance(expected, float) else 0) == (
            found, math.copysign(1, found or 0) if isinstance(found, float) else 0)  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.npz"


def test_round_trip(path):
    """Kinds, dtypes, shapes, keys and every bit come back, however nested."""
    minigrad.save(STATE, path)
    assert_same(minigrad.load(path), STATE)


@pytest.mark.parametrize("state", [minigrad.ones(2), None, 3, "x", [], {}, float("nan")], ids=repr)
def test_any_value(state, path):
    """The outermost value may be of any kind that may be within."""
    minigrad.save(state, path)
    found = minigrad.load(path)
    assert math.isnan(found) if isinstance(state, float) else assert_same(found, state) is None


def test_what_is_not_kept(path):
    """A parameter comes back as a tensor outside the graph, NumPy's scalar float64 as a float."""
    minigrad.save([nn.Parameter(minigrad.ones(2)), np.float64(0.5)], path)
    parameter, number = minigrad.load(path)
    assert (minigrad.Tensor, False, 0.5, float) == (type(parameter), parameter.requires_grad, number, type(number))
    parameter.add_(1)
    assert [2.0, 2.0] == parameter.tolist()


@pytest.mark.parametrize("kind", [str, pathlib.Path, pathlib.PurePosixPath])
def test_paths(kind, path, monkeypatch):
    """A path may be a string or path-like, relative or absolute, and its name is taken as it is."""
    monkeypatch.chdir(path.parent)
    for name in (path, "plain", "with.dots.pt"):
        minigrad.save({"a": 1}, kind(name))
        assert {"a": 1} == minigrad.load(kind(name))
    assert {"state.npz", "plain", "with.dots.pt"} == set(os.listdir())


# What save() refuses


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"model": {"hook": print}}, r"state\['model'\]\['hook'\] is a builtin_function_or_method"),
        ([1, (2, {3})], r"state\[1\]\[1\] is a set"),
        ({"a": np.array(["text"])}, r"state\['a'\] is an array of <U4, expected numbers"),
        ({"a": [np.array([object()])]}, r"state\['a'\]\[0\] is an array of object"),
        ({(1, 2): 3}, r"state has the key \(1, 2\), expected strings or integers"),
        ({"a": {True: 1}}, r"state\['a'\] has the key True"),
        (1 + 2j, "state is a complex"),
        (b"bytes", "state is a bytes"),
    ],
)  # fmt: skip
def test_refused_values(state, message, path):
    """A value of another kind is refused with its place, before anything is written."""
    minigrad.save("old", path)
    with pytest.raises(TypeError, match=rf"save\(\): {message}"):
        minigrad.save(state, path)
    assert "old" == minigrad.load(path)
    assert [path.name] == os.listdir(path.parent)


@pytest.mark.parametrize("failing", ["savez", "fsync", "replace"])
def test_failure_while_writing(failing, path, monkeypatch):
    """A disk that is full leaves the old file, and no temporary one."""
    minigrad.save("old", path)

    def fail(*args, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np if failing == "savez" else os, failing, fail)
    with pytest.raises(OSError, match="No space left"):
        minigrad.save("new", path)
    assert "old" == minigrad.load(path)
    assert [path.name] == os.listdir(path.parent)


def test_folder_that_is_missing(path):
    """A missing folder is a FileNotFoundError; a folder in the place of the file is an OSError."""
    with pytest.raises(FileNotFoundError):
        minigrad.save(1, path.parent / "no" / "file")
    path.mkdir()
    with pytest.raises(OSError):
        minigrad.save(1, path)
    assert [path.name] == os.listdir(path.parent)


def test_permissions(path):
    """A new file gets the permissions of any new file, a replaced one keeps its own."""
    minigrad.save(1, path)
    path.with_name("other").touch()
    assert path.with_name("other").stat().st_mode == path.stat().st_mode
    path.chmod(0o640)
    minigrad.save(2, path)
    assert 0o640 == path.stat().st_mode & 0o777


# What load() refuses


def test_missing_file(path):
    """A file that is not there is a FileNotFoundError, a folder an OSError."""
    with pytest.raises(FileNotFoundError):
        minigrad.load(path)
    with pytest.raises(IsADirectoryError):
        minigrad.load(path.parent)


def refuse(path):
    with pytest.raises(ValueError, match=r"load\(\): .*state.npz is truncated, damaged or was not written by"):
        minigrad.load(path)


def test_truncated(path):
    """A file cut off anywhere is refused."""
    minigrad.save(STATE, path)
    whole = path.read_bytes()
    for end in {*range(0, len(whole), len(whole) // 50), len(whole) - 1}:
        path.write_bytes(whole[:end])
        refuse(path)


def test_flipped_bits(path):
    """A flipped bit anywhere is noticed, or was in a place that carries nothing: the state is whole."""
    state = {"w": minigrad.tensor([1.5, 2.5, 3.5]), "n": [1, "two"]}
    minigrad.save(state, path)
    whole, refused = path.read_bytes(), 0
    for place in range(len(whole)):
        for bit in (1 << place % 8, 0x80 >> place % 8, 0xFF):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
            try:
                found = minigrad.load(path)
            except ValueError as error:
                assert "damaged" in str(error)
                refused += 1
            else:
                assert_same(found, state)
    assert refused > len(whole)


def test_flipped_shape(path):
    """An array that a flipped bit made shorter, so that its end is not read, is noticed."""
    minigrad.save({"w": minigrad.arange(3000)}, path)
    path.write_bytes(path.read_bytes().replace(b"'shape': (3000,)", b"'shape': (2000,)"))
    refuse(path)


def foreign_zip(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "hello")


FOREIGN = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("not a state\n" * 100),
    "zip": foreign_zip,
    "npy": lambda path: path.write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }"),
    "npz": lambda path: np.savez(path, a=np.arange(3)),
    "json": lambda path: np.savez(path, index=np.frombuffer(b'["other format", 1]', np.uint8)),
    "structure": lambda path: np.savez(path, index=np.frombuffer(b'["minigrad state, version 1", ["tensor", 5]]', np.uint8)),
    "kind": lambda path: np.savez(path, index=np.frombuffer(b'["minigrad state, version 1", ["code", 0]]', np.uint8)),
    "deep": lambda path: np.savez(path, index=np.frombuffer(b"[" * 100_000, np.uint8)),
    "pickle": lambda path: path.write_bytes(pickle.dumps({"a": 1})),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_foreign_file(kind, path):
    """A file of another kind is refused."""
    FOREIGN[kind](path)
    refuse(path)


class Malicious:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("entry", ["index", "0"])
def test_nothing_is_executed(entry, path):
    """A pickled object in the place of an array is refused and not unpickled."""
    mark = path.parent / "mark"
    index = np.frombuffer(b'["minigrad state, version 1", ["tensor", 0]]', np.uint8)
    objects = np.array([Malicious(mark)], dtype=object)
    np.savez(path, **{"index": index, "0": np.ones(1), entry: objects})
    refuse(path)
    assert not mark.exists()
    path.write_bytes(pickle.dumps(Malicious(mark)))
    refuse(path)
    assert not mark.exists()


# Kill


SAVING = """
import sys, minigrad
states = [{"all": minigrad.full((200_000,), float(i)), "i": i} for i in (1, 2)]
print("ready", flush=True)
while True:
    for state in states:
        minigrad.save(state, sys.argv[1])
"""


def test_kill(path):
    """A kill at any moment of saving leaves the old file or the new one, whole."""
    seen = set()
    for delay in np.random.default_rng(0).uniform(0.01, 0.06, 5):
        minigrad.save({"all": minigrad.zeros(200_000), "i": 0}, path)
        process = subprocess.Popen([sys.executable, "-c", SAVING, str(path)], stdout=subprocess.PIPE)
        with process:
            process.stdout.readline()
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        found = minigrad.load(path)
        assert (float(found["i"]), float(found["i"])) == (found["all"].array.min(), found["all"].array.max())
        seen.add(found["i"])
    assert seen <= {0, 1, 2}
