"""`jit`: a function that does the same calls each time becomes a program of them.

The first two runs are watched: they go as ever, and each computation, of the forward pass and of the backward pass, is
written down as a line of Python. If both wrote the same lines about the same objects, the third call and those after it
run the lines alone: nothing is recorded, ordered or checked again. Lines that are one small call in C become that call,
and small products of NumPy's write where they wrote before (`bound.py`).
"""

import dis
import re
import warnings
from copy import deepcopy
from functools import partial, update_wrapper
from operator import is_
from types import CodeType, FunctionType, MethodType

from . import kernels
from .bound import LARGE, FirstRun, made, with_looks
from .graph import grad_mode
from .nn.module import settings
from .tensor import Tensor, current_node, wrap
from .watch import LITERALS, Watch

PROGRAMS_KEPT = 64  # of one function
FIRST_RUNS = 20  # of one program, until it runs as it is: arrays that it reads are replaced too often
WATCHED_IN_VAIN = 20  # calls in a row, until a warning says so


class Program:
    """The lines of a function, ready to run."""

    def __init__(self, watch):
        self.tensors = watch.tensors
        # A view has no node of its own until its base has one.
        self.guarded = self.tensors + [tensor.view_of.base for tensor in self.tensors if tensor.view_of]
        self.nodes = [tensor.node for tensor in self.guarded]
        self.arrays = [tensor.array for tensor in self.tensors]
        self.kinds = kinds(self.arrays)
        given = [name for name in watch.arrays if name[0] in "xp"]
        head = f"def program({', '.join(given)}):"
        self.lines, self.objects = [head, *freeing(watch.lines, watch.arrays)], watch.objects
        self.source = "\n    ".join(self.lines)
        self.latest = self.lines, self.objects, None
        self.free = []  # functions that run it, each with the arrays that it is for
        self.first_runs, self.plain = 0, None

    def __call__(self, *given):
        """Run the lines on the arguments."""
        arrays = self.arrays
        try:
            free = self.free.pop()  # each writes to places of its own: no other thread may run it meanwhile
        except IndexError:
            free = None, None
        if free[1] is not arrays:
            return self.first_run(given, arrays)
        try:
            return free[0](*given, *arrays)
        finally:
            self.free.append(free)

    def first_run(self, given, arrays):
        """The same, to find out how it runs from then on; as it is, if that was asked too often, or by two at a time."""
        with kernels.active.recording() as calls:
            if calls is None or self.first_runs == FIRST_RUNS:
                self.plain = self.plain or made(self.lines, self.objects)
                return self.plain(*given, *arrays)
            run = FirstRun(self.lines, self.objects, given + tuple(arrays), calls)
        self.first_runs += 1
        self.latest = run.lines, run.objects, arrays
        self.free.append((made(run.lines, run.objects), arrays))
        return run.result

    def timed(self, clock):
        """A function of the arguments that runs the lines as they run now, and gives what the clock says around each."""
        lines, objects, arrays = self.latest
        if arrays is not self.arrays:
            lines, objects = self.lines, self.objects
        times, arrays = [], self.arrays
        lines = with_looks([*lines[:-1], "return"], "times.append(clock())")
        run = made(lines, {**objects, "clock": clock, "times": times})

        def timed(*given):
            times.clear()
            run(*given, *arrays)
            return list(times)

        return timed

    def fits(self):
        """Whether the tensors that it reads beside its arguments are as they were; brings their arrays up to date."""
        if [tensor.node for tensor in self.guarded] != self.nodes:
            return False
        arrays = [tensor.array for tensor in self.tensors]
        if all(map(is_, arrays, self.arrays)):
            return True
        if kinds(arrays) != self.kinds:
            return False
        self.arrays = arrays
        return True


def kinds(arrays):
    """What a program depends on in arrays."""
    return [(array.shape, array.dtype, array.strides) for array in arrays]


def freeing(lines, arrays):
    """The lines, with a `del` of each large array after the last of them that reads it."""
    found, gone = [], set()
    for line in reversed(lines):
        last = {name for name in re.findall(r"\b[vg]\d+\b", line) if arrays[name].nbytes >= LARGE} - gone
        gone |= last
        if last and not line.startswith("return"):
            found.append(f"del {', '.join(sorted(last))}")
        found.append(line)
    return found[::-1]


class jit:
    """A function that runs as a program after two watched calls: the same calls, without recording or looking up.

    It is meant for a whole training step, or for predictions under `no_grad()`, of small models, where Python takes
    more time than arithmetic. The results have the same bits, but for the sign of NaN; NumPy's warnings, such as of an
    overflow, are not given where a kernel takes its place. `source` is the program, which shows the forward pass and
    the backward pass line by line.

    Its arguments are tensors that require no gradient, and hashable values; it returns tensors outside the graph, numbers,
    None, or tuples of these. There is a program for each combination of shapes, dtypes, strides and other values of the
    arguments, of the grad mode, and of which modules are in training. They are made anew when another attribute of a
    module is set, when a tensor that it computes with begins or ceases to require grad, and when a variable that the
    function reads, global or of a scope around it, names another object; so for functions of the same file that it calls
    by name, not for methods. Parameters, random numbers, and the learning rates that optimizers use, are read anew in
    each call.

    A function that looks at values (`item()`, `if x.sum() > 0`), writes in place, reads or sets `.grad`, or does not do the
    same calls twice has no program: it runs as ever, and a RuntimeWarning says why. What is not seen, and so stays as it
    was in the watched calls:

    - prints, counts, appends, and all else that Python does beside calling minigrad;
    - exceptions that the function catches, and branches by Python's or NumPy's random numbers;
    - what it reads from lists, dictionaries, attributes other than modules', and parameter groups;
    - what it reads from or writes to `.array`.

    Args:
        function: a function or module. Within a function that is watched it is part of that one's program.

    Example:
        >>> import minigrad
        >>> w = minigrad.tensor([1.0, 2.0], requires_grad=True)
        >>> optimizer = minigrad.optim.SGD([w], lr=0.1)
        >>> @minigrad.jit
        ... def step(x):
        ...     optimizer.zero_grad()
        ...     loss = (w * x).sum()
        ...     loss.backward()
        ...     optimizer.step()
        ...     return loss
        >>> [step(minigrad.tensor([1.0, 0.5])).item() for i in range(4)]
        [2.0, 1.875, 1.75, 1.625]
        >>> print(step.source)
        def program(x0, p0):
            zero_grad(sgd)
            v1 = mul(p0, x0)
            v2 = asarray(sum(v1, axis=(0,), keepdims=False))
            g3 = sum_rule0(constant, None, v1, axis=(0,), keepdims=False)
            g4 = mul_rule0(g3, None, p0, x0)
            accumulate(((leaf, g4, True),))
            step(sgd)
            return wrap(v2)
    """

    def __init__(self, function):
        update_wrapper(self, function, updated=())
        self.function, self.watched = function, 0
        self.programs = {}  # by kind of call: a Watch after the first, then a Program, or False; None for a hopeless case
        self.around, self.cells, self.variables = [None], [], []  # what stood there before the first call is not known

    def __get__(self, instance, owner=None):
        return self if instance is None else MethodType(self, instance)

    def __deepcopy__(self, memo):
        return jit(deepcopy(self.function, memo))

    def __reduce__(self):
        return getattr(self, "__qualname__", (jit, (self.function,)))  # a decorated function is found by its name

    @property
    def source(self):
        """The lines of the program that was made last; None before there is one."""
        made = [program.source for program in (self.programs or {}).values() if isinstance(program, Program)]
        return made[-1] if made else None

    def __call__(self, *args, **named):
        if grad_mode.watcher is not None or self.programs is None:
            return self.function(*args, **named)
        arrays, key = [], [grad_mode.enabled, settings.modes, *named]
        for arg in (*args, *named.values()) if named else args:
            if isinstance(arg, Tensor):
                array = arg.array
                arrays.append(array)
                node = arg.node if arg.view_of is None else current_node(arg)
                key.append((array.shape, array.dtype, array.strides, node is None))
            else:
                key.append(kind_of(arg))
        key, around = tuple(key), self.look_around()
        if not all(map(is_, around, self.around)):
            self.programs, (self.cells, self.variables) = {}, surroundings(self.function)
            self.around = self.look_around()
        found = self.programs.get(key)
        if type(found) is Program and found.fits():
            self.watched = 0
            return found(*arrays)
        if found is False:
            return self.function(*args, **named)
        result, reason = self.watch(key, found, args, named)
        if reason is not None:
            name = getattr(self.function, "__qualname__", type(self.function).__name__)
            warnings.warn(f"jit: {name} runs as ever, not as a program: {reason}", RuntimeWarning, stacklevel=2)
        return result

    def look_around(self):
        """What the function finds beside its arguments, as far as can be seen from here."""
        variables = [there.get(name) for there, name in self.variables]
        try:
            cells = [cell.cell_contents for cell in self.cells]
        except ValueError:  # one has no value yet
            cells = [*map(content, self.cells)]
        return [settings.changes, *kernels.choices(), *cells, *variables]

    def watch(self, key, before, args, named):
        """Run the function; its result, and why there is no program of it, if so."""
        self.watched += 1
        everything = (*args, *named.values())
        if any(isinstance(arg, Tensor) and arg.requires_grad for arg in everything):
            self.programs[key] = False
            return self.function(*args, **named), "an argument requires grad"
        try:
            hash(everything)
        except TypeError as error:
            self.programs = None
            return self.function(*args, **named), f"an argument may change unseen ({error})"
        own = [wrap(arg.array.view()) if isinstance(arg, Tensor) else arg for arg in everything]  # two may be one
        lent = [getattr(arg, "array", None) for arg in own]
        modes = settings.modes
        grad_mode.watcher = watch = Watch([arg for arg in own if isinstance(arg, Tensor)])
        try:
            result = self.function(*own[: len(args)], **dict(zip(named, own[len(args) :])))
            watch.finish(result)
        finally:
            grad_mode.watcher = None
            hand_back(everything, own, lent)
        if modes != settings.modes or not all(map(is_, self.look_around(), self.around)):
            self.programs = None  # it will do so again
            return result, "it sets attributes of a module, or variables around it"
        if seen_before := isinstance(before, Watch):
            watch.compare(before)
        if key not in self.programs and len(self.programs) >= PROGRAMS_KEPT:
            del self.programs[next(iter(self.programs))]
        self.programs[key] = False if watch.reason else Program(watch) if seen_before else watch
        watch.names, watch.arrays = {}, {}
        if self.watched == WATCHED_IN_VAIN:
            watch.refuse(f"{self.watched} calls in a row were all of other kinds, or something around it changed before each")
        return result, watch.reason


def kind_of(arg):
    """What a program depends on in an argument that is no tensor."""
    if type(arg) is float:
        return float, repr(arg)  # the sign of 0, too
    if type(arg) is tuple:
        return tuple, *map(kind_of, arg)
    return (type(arg), arg) if type(arg) in LITERALS else ByIdentity(arg)


class ByIdentity:
    """Equal to nothing but what holds the same object."""

    def __init__(self, thing):
        self.thing = thing

    def __hash__(self):
        return id(self.thing)

    def __eq__(self, other):
        return type(other) is ByIdentity and other.thing is self.thing


def hand_back(given, own, lent):
    """Give the arguments what the function gave to those that stood for them, which had the arrays `lent`."""
    for arg, stand_in, array in zip(given, own, lent):
        if isinstance(arg, Tensor):
            if stand_in.array is not array:
                arg.array = stand_in.array
            if stand_in.node is not None:
                arg.node = stand_in.node


def surroundings(function):
    """Where a function, and those of its file that it names, read and set what stands around them.

    Returns cells, and pairs (dictionary of globals, name).
    """
    cells, variables, waiting, seen = [], [], [function], set()
    while waiting:
        chain = unwrapped(waiting.pop())
        there = getattr(chain[-1], "__globals__", None)
        for function in chain:
            if not isinstance(function, FunctionType) or function.__globals__ is not there or function in seen:
                continue
            seen.add(function)
            names, own_cells = globals_of(function.__code__), function.__closure__ or ()
            cells += own_cells
            variables += [(there, name) for name in names]
            found = [there.get(name) for name in names] + [content(cell) for cell in own_cells]
            waiting += [value for value in found if getattr(unwrapped(value)[-1], "__globals__", None) is there]
    return cells, variables


def unwrapped(function):
    """A function, and those that it stands for, one within the other."""
    chain = [getattr(function, "__func__", function)]
    while inner := chain[-1].func if isinstance(chain[-1], partial) else getattr(chain[-1], "__wrapped__", None):
        chain.append(getattr(inner, "__func__", inner))
    if not isinstance(chain[-1], (FunctionType, type)) and isinstance(getattr(type(chain[-1]), "forward", None), FunctionType):
        chain.append(type(chain[-1]).forward)  # a module
    return chain


def globals_of(code):
    """The names of the global variables that code reads or sets, also within functions in it."""
    names = [i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL")]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names += globals_of(constant)
    return names


def content(cell):
    """What a cell holds; None of a variable that has no value yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return None
