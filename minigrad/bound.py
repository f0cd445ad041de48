"""The small kernels of a program, called at once.

Most of what a small call takes is spent before C is reached: which kernel, do dtypes and shapes fit, room for the result,
where everything lies. In a program all of that is the same each time. So its first run notes what its lines call in C,
and a line that does nothing but one such call is replaced by the call: it is bound. Small products of matrices, which
NumPy does sooner where it has to be asked anew each time, are bound to a kernel that gives the same bits.
"""

import re
from functools import partial
from itertools import chain, combinations
from sys import getrefcount

import numpy as np

from .ops.linear_algebra import by_kernel
from .watch import bind

LARGE = 1 << 16  # bytes; such an array gets memory anew, and a program frees it as soon as no later line reads it
PURE = re.compile(r"([vg]\d+)(?:, (s\d+))? = ((\w+)\(.*)")  # a line that computes, and does nothing else
NAMES = re.compile(r"\b[xpvgs]\d+\b")
TRIALS = 72  # sums in another order have the same bits in two of three


def made(lines, objects):
    """The function `program` of these lines: its head, what it does, and what it returns."""
    exec(compile("\n    ".join(lines), "<minigrad.program>", "exec"), variables := dict(objects))
    return variables["program"]


def with_looks(lines, look):
    """The lines with another before all that the function does and after each but the return."""
    head, *between, last = lines
    return [head, look, *chain(*((line, look) for line in between)), last]


class FirstRun:
    """A run of a program. `result`: what it returned; `lines` and `objects`: those of the runs to come.

    `calls` is the list of the calls in C.
    """

    def __init__(self, lines, objects, arrays, calls):
        self.given, self.objects, self.calls, self.number = lines, dict(objects), calls, 0
        self.values, self.named, self.bound = {}, {}, {}  # by name; names by place; lines by their number
        self.result = made(with_looks(lines, "look(locals())"), objects | {"look": self.look})(*arrays)
        stay, known = self.staying(), set()
        self.lines = [
            self.bound[i].text(line, stay, known, self.objects) if i in self.bound else line for i, line in enumerate(lines)
        ]
        self.objects |= {name: value for name, value in stay.items() if name[0] != "p"}

    def look(self, values):
        """After each line: is it one call in C, or might it be?"""
        for name in values.keys() - self.values.keys():
            self.values[name] = values[name]
            self.named.setdefault(place(values[name]), name)
        if found := PURE.match(self.given[self.number]):
            results = {name: values[name] for name in found.groups()[:2] if name}
            if all(value is None or is_array(value) and value.nbytes < LARGE for value in results.values()):
                self.consider(results, *found.groups()[2:])
        self.calls.clear()
        self.number += 1

    def consider(self, results, text, name):
        """Bind a line that gave these results if it does nothing but call C. `text`: its call, of what is called `name`."""
        kernel = by_kernel.get(self.objects.get(name)) if not self.calls else None
        if kernel is not None:
            compiled = compile(text, "<minigrad.program>", "eval")
            numpy, kernel = (partial(eval, compiled, self.objects | {name: one}) for one in (self.objects[name], kernel))
            if not agree(numpy, kernel, {name: self.values[name] for name in NAMES.findall(text)}):
                return
            self.calls.clear()
            results = dict.fromkeys(results, kernel(self.values))
        if len(self.calls) == 1 and self.calls[0].places is not None:
            bound = Bound(self.calls[0], results, self.named)
            if bound.stands_alone():
                self.bound[self.number] = bound

    def staying(self):
        """The arrays, by name, that are where they were in each run: what the program reads, and what never leaves it."""
        leaves = set()
        for i, line in reversed(list(enumerate(self.given))):
            found = PURE.match(line)
            if not found:  # somebody may keep what it is given
                leaves.update(NAMES.findall(line))
            elif i not in self.bound and not leaves.isdisjoint(found.groups()):  # what it gives may be what it was given
                leaves.update(NAMES.findall(found[3]))
        made = {name: value for bound in self.bound.values() for name, value in bound.results.items() if name not in leaves}
        return made | {name: value for name, value in self.values.items() if name[0] == "p"}


class Bound:
    """A line that is one call in C.

    `results`: what the line gives to which names; `names`: those of the arrays that the arguments of the call stand for,
    "" of one without, None of a number.
    """

    def __init__(self, call, results, named):
        self.call, self.results = call, results
        named = named | {place(value): name for name, value in results.items()}
        self.names = [at and named.get(at, "") for at in call.places]

    def stands_alone(self):
        """Whether the call makes all of the results, by itself and of what has names."""
        made = {name: value for name, value in self.results.items() if value is not None}
        if "" in self.names or not made.keys() <= set(self.names):
            return False
        before = [array.copy() for array in made.values()]
        for array in made.values():
            array.fill(np.nan)
        self.call.again()
        alone = all(array.tobytes() == other.tobytes() for array, other in zip(made.values(), before))
        for array, other in zip(made.values(), before):
            array[...] = other
        return alone

    def text(self, line, stay, known, objects):
        """The call as a line; `at_NAME` is what C is given of an array.

        Args:
            stay: arrays, by name, that are where they were.
            known: the names with an `at_NAME` from earlier lines; those from this one are added.
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
            reader = self.call.reader(i, is_own=name[0] != "x")
            if name in stay:
                objects[f"at_{name}"] = reader(stay[name])
            elif name in self.results:
                array = self.results[name]
                new = bind(objects, "new", recycled(partial(np.empty, array.shape, array.dtype), reader))
                before.append(f"{name}, at_{name} = {new}(); ")
            else:
                before.append(f"at_{name} = {bind(objects, 'at', reader)}({name}); ")
        call = f"{bind(objects, self.call.function.__name__, self.call.function)}({', '.join(arguments)})"
        # A kernel that fails leaves it to the line to say why.
        return f"{''.join(before)}{call} and {bind(objects, 'failed', failed)}({PURE.match(line)[3]})"


def is_array(value):
    return isinstance(value, np.ndarray)


def place(value):
    """(address, size in bytes) of an array that C can read as it is; else None."""
    if is_array(value) and value.size and value.flags.c_contiguous and value.flags.aligned:
        return value.ctypes.data, value.nbytes
    return None


def recycled(make, at):
    """A function that gives an array and what C is given of it: the same as before if nobody else holds the array."""
    array = address = holders = None

    def take():
        nonlocal array, address, holders
        if getrefcount(array) != holders:
            array = make()
            address = at(array)
            holders = getrefcount(array)
        return array, address

    return take


def failed(_result):
    raise MemoryError("a kernel failed in a program, and did not when it was called again")


def agree(one, other, values):
    """Whether two functions of a dictionary give the same bits: for other numbers in the arrays, zeros among them."""
    names = [name for name, value in values.items() if is_array(value)]
    if any(np.may_share_memory(values[a], values[b]) for a, b in combinations(names, 2)):
        return False  # others would not
    rng, values = np.random.default_rng(0), dict(values)
    for trial in range(TRIALS):
        for name in names:
            values[name] = other_numbers = np.empty_like(values[name])
            other_numbers[...] = rng.standard_normal(other_numbers.shape)
            if trial % 9 == 0:
                other_numbers *= rng.integers(-1, 2, other_numbers.shape)
        if one(values).tobytes() != other(values).tobytes():
            return False
    return True
