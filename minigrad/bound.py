"""The small kernels of a program, called at once.

Most of what a small call takes is spent before C is reached: which kernel, do dtypes and shapes fit, room for the result,
where everything lies. In a program all of that is the same each time. So its first run notes what its lines call in C,
and a line that does nothing but one such call is replaced by the call: it is bound. Small products of matrices, which
NumPy does sooner where it has to be asked anew each time, are bound to a kernel that gives the same bits; where none
does, NumPy writes the result where it wrote it before, so that other calls find it there.
"""

import re
from functools import lru_cache, partial
from itertools import chain, combinations
from pickle import PickleBuffer
from sys import getrefcount

import numpy as np

from . import kernels
from .ops.linear_algebra import by_kernel
from .watch import bind

LARGE = 1 << 16  # bytes; such an array gets memory anew, and a program frees it as soon as no later line reads it
PURE = re.compile(r"([vg]\d+)(?:, (s\d+))? = ((\w+)\(.*)")  # a line that computes, and does nothing else
NAMES = re.compile(r"\b[xpvgst]\d+\b")
TRIALS = 80  # a sum of three in another order has the same bits in two of three


def made(lines, objects):
    """The function `program` of these lines: its head, what it does, and what it returns."""
    exec(compile("\n    ".join(lines), "<minigrad.program>", "exec"), variables := dict(objects))
    return variables.pop("program")  # or it would hold itself, and all of its arrays, until the cyclic collector runs


def with_looks(lines, look):
    """The lines with another before all that the function does and after each but the return."""
    head, *between, last = lines
    return [head, look, *chain(*((line, look) for line in between)), last]


class FirstRun:
    """A run of a program. `result`: what it returned; `lines` and `objects`: those of the runs to come.

    `calls` is the list in which the calls in C are noted.
    """

    def __init__(self, lines, objects, arrays, calls):
        self.given, self.objects, self.calls = lines, dict(objects), calls
        self.looks, self.read = 0, {}  # how many; what it reads, by name
        self.replaced = {}  # by the number of a line, the Bound or Placed that takes its place
        self.result = made(with_looks(lines, "look(locals())"), objects | {"look": self.look})(*arrays)
        made_here, known = self.staying(), set()
        stay = made_here | self.read
        self.objects |= made_here
        self.lines = [
            self.replaced[i].text(line, stay, known, self.objects) if i in self.replaced else line
            for i, line in enumerate(lines)
        ]

    def look(self, values):
        """After each line, and before all, with the values that names have then: replace it if it may be."""
        number = self.looks
        if number == 0:
            self.read = {name: value for name, value in values.items() if name[0] == "p"}
        elif found := PURE.match(self.given[number]):
            *names, text, function = found.groups()
            results = {name: values[name] for name in names if name}
            inputs = {name: values[name] for name in NAMES.findall(text)}
            own = [value for name, value in (results | inputs).items() if name[0] not in "xp"]
            if all(value is None or is_array(value) and value.nbytes < LARGE for value in own):
                replacement = self.considered(results, inputs, text, function)
                if replacement is not None:
                    self.replaced[number] = replacement
        self.calls.clear()
        self.looks += 1

    def considered(self, results, inputs, text, name):
        """What takes a line's place, or None. It called the function `name`, as `text` says, and gave these results."""
        function = self.objects.get(name)
        if not self.calls and function in by_kernel and (factors := kinds_of_factors(inputs, text)):
            agreed = agree(function, NAMES.sub("{}", text), factors, kernels.choices())
            self.calls.clear()
            if agreed:
                results = dict.fromkeys(results, eval(text, self.objects | {name: by_kernel[function]}, inputs))
        if len(self.calls) == 1 and self.calls[0].places is not None:
            bound = Bound(self.calls[0], results, inputs)
            return bound if bound.stands_alone() else None
        # What has a keyword `into` computes one array, and may write it there.
        if not self.calls and "into" in (getattr(function, "__kwdefaults__", None) or ()):
            ((result, array),) = results.items()
            with np.errstate(all="ignore"):
                if array.dtype.kind == "f" and eval(into(result, text), self.objects, inputs | results) is array:
                    return Placed(result, array)
        return None

    def staying(self):
        """Of the arrays that replaced lines make, by name, those that never leave the program: they stay where they are."""
        leaves = set()
        for i, line in reversed(list(enumerate(self.given))):
            found = PURE.match(line)
            if not found:  # somebody may keep what it is given
                leaves.update(NAMES.findall(line))
            elif i not in self.replaced and not leaves.isdisjoint(found.groups()):  # what it gives may be what it was given
                leaves.update(NAMES.findall(found[3]))
        made_here = [pair for line in self.replaced.values() for pair in line.results.items()]
        return {name: value for name, value in made_here if name not in leaves}


class Bound:
    """A line that is one call in C.

    `results`: what the line gives to which names; `names`: of each argument of the call the name of the array that it
    stands for, "" if the line has none or two for it, None for a number.
    """

    def __init__(self, call, results, inputs):
        self.call, self.results = call, results
        self.names = []
        for wanted in call.places:
            found = [name for name, value in (results | inputs).items() if wanted is not None and place(value) == wanted]
            self.names.append(None if wanted is None else found[0] if len(found) == 1 else "")

    def stands_alone(self):
        """Whether the call, done again, makes all of the results, by itself and of what the line names."""
        arrays = {name: value for name, value in self.results.items() if value is not None}
        if "" in self.names or not arrays.keys() <= set(self.names):
            return False
        before = [array.copy() for array in arrays.values()]
        for array in arrays.values():
            array.fill(np.nan)
        self.call.again()
        alone = all(array.tobytes() == other.tobytes() for array, other in zip(arrays.values(), before))
        for array, other in zip(arrays.values(), before):
            array[...] = other
        return alone

    def text(self, line, stay, known, objects):
        """The call as a line; `at_NAME` is what C is given of an array.

        Args:
            stay: arrays, by name, that are where they were.
            known: the names that have an `at_NAME` from earlier lines; those from this one are added.
        """
        before, arguments = [], []
        for i, (argument, name) in enumerate(zip(self.call.arguments, self.names)):
            if name is None:
                arguments.append(repr(argument) if type(argument) is int else bind(objects, "constant", argument))
                continue
            arguments.append(f"at_{name}")
            if name in known:
                continue
            known.add(name)
            reader = self.call.reader(i)
            if name in stay:
                objects[f"at_{name}"] = reader(stay[name])
            elif name in self.results:
                array = self.results[name]
                before.append(f"{name}, at_{name} = {bind(objects, 'new', recycled(array.shape, array.dtype, reader))}(); ")
            else:
                before.append(f"at_{name} = {bind(objects, 'at', reader)}({name}); ")
        call = f"{bind(objects, self.call.function.__name__, self.call.function)}({', '.join(arguments)})"
        # A kernel that fails leaves it to the line to say why.
        return f"{''.join(before)}{call} and {bind(objects, 'failed', failed)}({PURE.match(line)[3]})"


class Placed:
    """A line that computes one array, which it can write where it wrote it before."""

    def __init__(self, name, array):
        self.name, self.results = name, {name: array}

    def text(self, line, stay, _known, objects):
        """The line as it writes there; see `Bound`."""
        array, before = self.results[self.name], ""
        if self.name not in stay:
            before = f"{self.name} = {bind(objects, 'new', recycled(array.shape, array.dtype))}()[0]; "
        return before + into(self.name, PURE.match(line)[3])


def into(name, text):
    """A call that writes its result into the array `name`, as text."""
    return f"{text[:-1]}, into={name})"


def failed(_result):
    raise MemoryError("a kernel failed in a program, and did not when it was called again")


def is_array(value):
    return isinstance(value, np.ndarray)


def place(value):
    """(address, size in bytes) of an array that C can read as it is; else None."""
    if is_array(value) and value.size and value.flags.c_contiguous and value.flags.aligned:
        return value.ctypes.data, value.nbytes
    return None


def recycled(shape, dtype, at=id):
    """A function that gives an array and what C is given of it, `at(array)`: the same as before if nobody else holds the
    array."""
    array = address = holders = None

    def take():
        nonlocal array, address, holders
        # Who held it may have turned it into another. It is not the owner of its memory, so nobody can resize it.
        if getrefcount(array) != holders or array.shape != shape or array.dtype is not dtype or not array.flags.carray:
            array = np.ndarray(shape, dtype, PickleBuffer(np.empty(shape, dtype)))
            address = at(array)
            holders = getrefcount(array)
        return array, address

    return take


def kinds_of_factors(inputs, text):
    """(shape, dtype, order) of the arrays of a product; None if it is not tried, see `agree`."""
    arrays = [inputs[name] for name in NAMES.findall(text)]
    if any(np.may_share_memory(*pair) for pair in combinations(arrays, 2)):  # NumPy has a function for x x^T
        return None
    if not all(a.dtype.kind == "f" and a.flags.forc and 0 < a.nbytes < LARGE and 1 not in a.shape for a in arrays):
        return None
    return tuple((array.shape, array.dtype, "C" if array.flags.c_contiguous else "F") for array in arrays)


@lru_cache(maxsize=1024)
def agree(function, text, kinds, _choices):
    """Whether a function and its kernel give the same bits, but for the sign of NaN, for arrays of these kinds.

    They are tried on numbers of all sizes, with zeros, infinities and NaN among them. NumPy has other functions for
    products that have a side of 1, which are not tried. The answer holds for the same `kernels.choices()` alone.
    """
    names = [f"v{i}" for i in range(len(kinds))]
    compiled = compile(text.format(*names), "<minigrad.program>", "eval")
    one, other = (partial(eval, compiled, {text.split("(")[0]: f}) for f in (function, by_kernel[function]))
    rng, numbers = np.random.default_rng(0), _numbers()
    for trial in range(TRIALS):
        values = {}
        for name, (shape, dtype, order) in zip(names, kinds):
            values[name] = array = np.empty(shape, dtype, order)
            start = rng.integers(len(numbers) - array.size)
            array[...] = numbers[start : start + array.size].reshape(shape)
            if trial % 8 >= 5:
                odd = ([0.0, -0.0], [1e-30, -1e-25, 1e-200], [np.inf, -np.inf, np.nan])[trial % 8 - 5]
                array[...] = np.where(rng.random(shape) < rng.random(), rng.choice(odd, shape), array)
        with np.errstate(all="ignore"):
            a, b = one(values), other(values)
        a[np.isnan(a)] = b[np.isnan(b)] = np.nan
        if a.tobytes() != b.tobytes():
            return False
    return True


@lru_cache(maxsize=1)
def _numbers():
    return np.random.default_rng(1).standard_normal(1 << 16)
