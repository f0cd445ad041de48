"""Saving and loading: nested dictionaries of tensors and plain values, as npz without pickle."""

import json
import os
import tempfile
import zipfile

import numpy as np

from .tensor import Tensor, wrap

_FORMAT = "minigrad state, version 1"
_INDEX = "index"  # the entry that holds the structure, as JSON; arrays are entries "0", "1", ...


def save(state, path):
    """Write `state` to the file `path`, replacing it as a whole: a kill leaves the old file or the new one.

    Args:
        state: dictionaries, lists and tuples, nested, of tensors, NumPy arrays, numbers, strings,
            booleans and None; keys are strings or integers. Such as a `state_dict()`.
        path: the file; its name is taken as it is.

    Raises TypeError, before anything is written, for a value of another kind.

    Example:
        >>> import minigrad, os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "state.npz")
        >>> minigrad.save({"weight": minigrad.ones(2), "epoch": 3}, path)
        >>> minigrad.load(path)
        {'weight': tensor([1., 1.]), 'epoch': 3}
    """
    arrays = []
    index = json.dumps([_FORMAT, _encode(state, arrays, "state")])
    path = os.fspath(path)
    folder = os.path.dirname(os.path.abspath(path))
    descriptor, temporary = tempfile.mkstemp(prefix=os.path.basename(path) + ".", suffix=".tmp", dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            entries = {str(i): array for i, array in enumerate(arrays)}
            np.savez(file, **{_INDEX: np.frombuffer(index.encode(), np.uint8)}, **entries)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode(path))
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def load(path, map_location=None, weights_only=True):
    """Read what `save` wrote. Nothing in the file is ever executed.

    The other arguments are PyTorch's, without effect: all is on the CPU, and only data is ever read.

    Raises FileNotFoundError if there is no such file, and ValueError if it is truncated, damaged, or
    not written by `save`.
    """
    path = os.fspath(path)
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as entries:
                form, index = json.loads(_read(entries, _INDEX).tobytes())
                if form != _FORMAT:
                    raise ValueError(f"its format is {form!r}")
                return _decode(index, entries)
        except Exception as error:  # damage shows as almost anything
            raise ValueError(
                f"load(): {path} is truncated, damaged or was not written by minigrad.save() "
                f"({type(error).__name__}: {error})"
            ) from error


def _mode(path):
    """The permissions of the file to be replaced, or those a new file would get."""
    try:
        return os.stat(path).st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def _encode(value, arrays, where):
    """`value` as JSON, its arrays moved to `arrays`; every container and array is a pair [kind, content]."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (Tensor, np.ndarray, np.generic)):
        array = np.asarray(value.array if isinstance(value, Tensor) else value)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"save(): {where} is an array of {array.dtype}, expected numbers")
        arrays.append(array)
        return ["tensor" if isinstance(value, Tensor) else "array", len(arrays) - 1]
    if isinstance(value, dict):
        for key in value:
            if isinstance(key, bool) or not isinstance(key, (str, int)):
                raise TypeError(f"save(): {where} has the key {key!r}, expected strings or integers")
        return ["dict", [[key, _encode(item, arrays, f"{where}[{key!r}]")] for key, item in value.items()]]
    if isinstance(value, (list, tuple)):
        items = [_encode(item, arrays, f"{where}[{i}]") for i, item in enumerate(value)]
        return ["list" if isinstance(value, list) else "tuple", items]
    raise TypeError(
        f"save(): {where} is a {type(value).__name__}, expected tensors, arrays, numbers, strings, booleans, None, "
        "and dictionaries, lists and tuples of those"
    )


def _decode(value, entries):
    if not isinstance(value, list):
        return value
    kind, content = value
    if kind == "dict":
        return {key: _decode(item, entries) for key, item in content}
    if kind in ("list", "tuple"):
        return (list if kind == "list" else tuple)(_decode(item, entries) for item in content)
    array = _read(entries, str(content))
    return wrap(array) if kind == "tensor" else array


def _read(entries, name):
    """One array, read to the end of its entry: only there is the checksum compared."""
    with entries.open(f"{name}.npy") as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):
            raise ValueError(f"entry {name} is longer than its header says")
    return array
