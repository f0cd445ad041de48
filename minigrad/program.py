"""`jit`: a function that does the same calls each time becomes a program of them.

The first two runs are watched: they go as ever, and each computation, of the forward pass and of the backward pass, is
written down as a line of Python. If both wrote the same lines about the same objects, the third call and those after it
run the lines alone: nothing is recorded, ordered or checked again.
"""

import re
import warnings
from collections.abc import Iterator
from functools import partial, update_wrapper
from itertools import zip_longest
from keyword import iskeyword
from operator import is_
from types import MethodType

import numpy as np

from . import graph, kernels
from .graph import Node, grad_mode
from .nn.module import settings
from .tensor import Tensor, wrap

PROGRAMS_KEPT = 64  # of one function
LARGE = 1 << 16  # bytes; a program frees such an array as soon as no later line reads it
LITERALS = (type(None), bool, int, str, type(...))


class Watch:
    """What one run of a function does, as lines of Python and the objects that they name."""

    def __init__(self, arrays):
        self.lines, self.objects, self.reason = [], {}, None
        self.names, self.arrays = {}, {}  # by id, and by name: arrays stay alive, or their ids would go to others
        self.tensors = []  # what the function reads beside its arguments: parameters, above all
        for i, array in enumerate(arrays):
            self.name(f"x{i}", array)

    def refuse(self, reason):
        """Note the first reason why this run cannot become a program; it goes on."""
        self.reason = self.reason or reason

    def name(self, name, array):
        self.names[id(array)], self.arrays[name] = name, array
        return name

    def bind(self, name, thing):
        """A name by which lines reach an object."""
        name = re.sub(r"\W", "_", name) + "_" * iskeyword(name)
        unique, count = name, 1
        while not is_same(self.objects.setdefault(unique, thing), thing):
            count += 1
            unique = f"{name}_{count}"
        return unique

    def text(self, thing, tensor=None):
        """How a line writes an argument; `tensor` is the one around an array, if there is one."""
        if id(thing) in self.names:
            return self.names[id(thing)]
        if isinstance(thing, Tensor):
            name = self.names.get(id(thing.array), "p")
            if name[0] != "p":  # computed here, or an argument
                return self.write(wrap, "wrap", [name])
        if isinstance(tensor, Tensor):
            if grad_mode.enabled and not tensor.is_leaf:
                self.refuse("it reads a tensor that was computed from parameters before the call")
            self.tensors.append(tensor)
            return self.name(f"p{len(self.tensors) - 1}", thing)
        if isinstance(thing, Written):
            return thing.name
        if isinstance(thing, (tuple, list)):
            return row(map(self.text, thing))
        if isinstance(thing, slice):
            return f"slice{self.text((thing.start, thing.stop, thing.step))}"
        if type(thing) in LITERALS or type(thing) is float and np.isfinite(thing):
            return repr(thing)
        kind = "leaf" if isinstance(thing, Node) else "constant" if isinstance(thing, np.ndarray) else type(thing).__name__
        return self.bind(kind.lower(), thing)

    def write(self, function, name, arguments, options=()):
        """The text of a call; the arguments are text already."""
        named = [f"{key}={self.text(option)}" for key, option in dict(options).items()]
        return f"{self.bind(name, function)}({', '.join([*arguments, *named])})"

    # What the engine tells

    def call(self, primitive, args, arrays, options, result, out):
        """A primitive was called on tensors."""
        inputs = [self.text(array, arg) for arg, array in zip(args, arrays)]
        text = self.write(primitive.forward, primitive.__name__, inputs, options)
        if type(result) is not np.ndarray:
            text = self.write(np.asarray, "asarray", [text])
        name, saved = self.name(f"v{len(self.lines)}", out.array), f"s{len(self.lines)}"
        self.lines.append(f"{name}, {saved} = {text}" if primitive.saves else f"{name} = {text}")
        if not primitive.saves:
            saved = name if primitive.reads_result else "None"
        if out.node is not None:
            out.node.primitive = Noted(primitive, self, [saved, *inputs])

    def repeat(self, function, args, named):
        """A call that the program makes as it is."""
        args = [list(arg) if isinstance(arg, Iterator) else arg for arg in args]
        text = self.write(function, function.__name__, [self.text(arg) for arg in args], named)
        grad_mode.watcher = None
        try:
            result = function(*args, **named)
        finally:
            grad_mode.watcher = self
        if isinstance(result, Tensor):
            name = f"t{len(self.lines)}"
            text = f"{name} = {text}"
            self.name(f"{name}.array", result.array)
        self.lines.append(text)
        return result

    def backward(self, seeds, retain_graph, lift, wanted):
        """`graph.backward`, its rules and sums written down."""
        if retain_graph:
            self.refuse("it keeps a graph after backward()")
        if self.reason is None:
            seeds = [(node, Written(self, self.text(gradient), gradient)) for node, gradient in seeds]
        found = graph.backward(seeds, retain_graph=retain_graph, lift=lift, wanted=wanted)
        return [(node, g.array if isinstance(g, Written) else g, owned) for node, g, owned in found]

    def returned(self, result):
        """How the program writes what the function returned."""
        if isinstance(result, tuple):
            return row(map(self.returned, result))
        if not isinstance(result, Tensor):
            if type(result) not in (*LITERALS, float):
                self.refuse(f"it returns {type(result).__name__}, expected tensors, numbers or a tuple of them")
            return repr(result)
        name = self.names.get(id(result.array), "")
        if not name or name[0] not in "vt":
            self.refuse("it returns a tensor that it did not compute" if name else "it returns what NumPy computed")
        if result.node is not None and result.node.parents is not graph.RELEASED:
            self.refuse("it returns a tensor with a graph. Call backward() inside it, or the function under no_grad()")
        if any(np.may_share_memory(result.array, array) for n, array in self.arrays.items() if n[0] in "xp"):
            self.refuse("it returns a view of what it was given")
        return self.write(wrap, "wrap", [name])

    def compare(self, before):
        """Refuse unless the run before wrote the same lines about the same objects."""
        pairs = list(zip_longest(self.lines, before.lines, fillvalue="nothing"))
        for line, other in pairs:
            if line != other:
                return self.refuse(f"it does not do the same in each call: {line!r} in one, {other!r} in another")
        things = self.objects | {f"p{i}": tensor for i, tensor in enumerate(self.tensors)}
        others = before.objects | {f"p{i}": tensor for i, tensor in enumerate(before.tensors)}
        for name, thing in things.items():
            if not is_same(thing, others[name]):
                line = next(line for line in self.lines if re.search(rf"\b{name}\b", line))
                return self.refuse(f"{name} in {line!r} is another object in each call, such as what NumPy computed")


class Written:
    """A gradient, and the name it has in the lines: what the walk sees in the place of an array."""

    def __init__(self, watch, name, array):
        self.watch, self.name, self.array = watch, name, array

    def __getattr__(self, name):
        return getattr(self.array, name)  # shape, dtype, base

    def made(self, text, array):
        """The result of the call that `text` says."""
        watch = self.watch
        name = watch.name(f"g{len(watch.lines)}", array)
        watch.lines.append(f"{name} = {text}")
        return Written(watch, name, array)

    def __add__(self, other):
        return self.made(f"{self.name} + {other.name}", self.array + other.array)

    def __iadd__(self, other):
        self.watch.lines.append(f"{self.name} += {other.name}")
        self.array += other.array
        self.watch.name(self.name, self.array)  # a number of NumPy's is another now
        return self

    def sum(self, axis, keepdims=False):
        return self.made(f"{self.name}.sum({axis}, keepdims={keepdims})", self.array.sum(axis, keepdims=keepdims))


class Noted:
    """A primitive whose rules write down what they do. `inputs`: what they take after the gradient, as text."""

    def __init__(self, primitive, watch, inputs):
        self.primitive, self.watch, self.inputs = primitive, watch, inputs

    def __getattr__(self, name):
        return getattr(self.primitive, name)

    @property
    def rules(self):
        return (partial(self.rule, i, rule) for i, rule in enumerate(self.primitive.rules))

    def rule(self, i, rule, gradient, saved, *inputs, **options):
        if not isinstance(gradient, Written):
            return rule(gradient, saved, *inputs, **options)
        result = rule(gradient.array, saved, *inputs, **options)
        if result is None:
            return None
        if result is gradient.array:
            return gradient
        name = f"{self.primitive.__name__}_rule{i}"
        return gradient.made(self.watch.write(rule, name, [gradient.name, *self.inputs], options), result)


def row(texts):
    """The text of a tuple."""
    texts = list(texts)
    return f"({', '.join(texts)}{',' * (len(texts) == 1)})"


def is_same(a, b):
    """Whether a program may read one object where the run read the other."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, partial):
        return all(map(is_same, (a.func, *a.args), (b.func, *b.args))) and len(a.args) == len(b.args)
    return (type(a) in (*LITERALS, float) or isinstance(a, np.dtype)) and a == b


class Program:
    """The lines of a function, ready to run."""

    def __init__(self, watch):
        self.tensors = watch.tensors
        # A view has no node of its own until its base has one.
        self.guarded = self.tensors + [tensor.view_of.base for tensor in self.tensors if tensor.view_of]
        self.nodes = [tensor.node for tensor in self.guarded]
        self.arrays = [tensor.array for tensor in self.tensors]
        self.kinds = [(array.shape, array.dtype) for array in self.arrays]
        given = [name for name in watch.arrays if name[0] in "xp"]
        lines = [f"def program({', '.join(given)}):", *freeing(watch.lines, watch.arrays)]
        self.source, self.objects = "\n    ".join(lines), watch.objects
        self.run = made(self.source, self.objects)

    def timed(self, clock):
        """`run` with a look at the clock before each line and at the end; it returns the times."""
        first, *lines, _ = self.source.split("\n    ")
        looks = [look for line in lines for look in (line, "times.append(clock())")]
        source = "\n    ".join([first, "times = [clock()]", *looks, "return times"])
        return made(source, {**self.objects, "clock": clock})

    def fits(self):
        """Whether the tensors that it reads beside its arguments are as they were; brings their arrays up to date."""
        if [tensor.node for tensor in self.guarded] != self.nodes:
            return False
        arrays = [tensor.array for tensor in self.tensors]
        if all(map(is_, arrays, self.arrays)):
            return True
        self.arrays = arrays
        return self.kinds == [(array.shape, array.dtype) for array in arrays]


def made(source, objects):
    """The function `program` that the lines define."""
    exec(compile(source, "<minigrad.program>", "exec"), variables := dict(objects))
    return variables["program"]


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
    more time than arithmetic. The results have the same bits. `source` is the program, which shows the forward pass and
    the backward pass line by line.

    Its arguments are tensors that require no gradient, and hashable values; it returns tensors outside the graph, numbers,
    None, or tuples of these. There is a program for each combination of shapes, dtypes, strides and other values of the
    arguments, and of whether calls are recorded. They are made anew when an attribute of any module is set (also by
    `train()` and `eval()`), when a tensor begins or ceases to require grad, and when a variable that the function itself
    reads, global or of a scope around it, names another object. Parameters, learning rates and random numbers are those
    of the moment.

    What else a function does happens in the watched calls alone: a printed line, a count, a write to `.array`; and what it
    finds in lists, dictionaries and attributes other than modules' stays as it was then. A function that looks at values
    (`item()`, `if x.sum() > 0`), writes in place, sets `.grad`, or does not do the same calls twice has no program: it runs
    as ever, and a RuntimeWarning says why.

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
            clear_grads((tensor,), True)
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
        self.function, self.programs, self.around = function, {}, [None]
        self.cells, code = getattr(function, "__closure__", None) or (), getattr(function, "__code__", None)
        self.globals, self.names = getattr(function, "__globals__", {}), code.co_names if code else ()

    def __get__(self, instance, owner=None):
        return self if instance is None else MethodType(self, instance)

    @property
    def source(self):
        """The lines of the program that was made last; None before there is one."""
        made = [program.source for program in self.programs.values() if isinstance(program, Program)]
        return made[-1] if made else None

    def __call__(self, *args, **named):
        if grad_mode.watcher is not None or self.programs is None:
            return self.function(*args, **named)
        arrays, key = [], [grad_mode.enabled, *named]
        for arg in (*args, *named.values()) if named else args:
            if isinstance(arg, Tensor):
                array = arg.array
                arrays.append(array)
                key.append((array.shape, array.dtype, array.strides, arg.node is None))
            else:
                key.append((type(arg), arg))
        around = self.look_around()
        if not all(map(is_, around, self.around)):
            self.programs, self.around = {}, around
        key = tuple(key)
        try:
            found = self.programs.get(key)
        except TypeError:
            self.programs, result, reason = None, self.function(*args, **named), "an argument is no tensor and not hashable"
        else:
            if type(found) is Program and found.fits():
                return found.run(*arrays, *found.arrays)
            if found is False:
                return self.function(*args, **named)
            result, reason = self.watch(key, found, args, named)
        if reason is not None:
            name = getattr(self.function, "__qualname__", type(self.function).__name__)
            warnings.warn(f"jit: {name} runs as ever, not as a program: {reason}", RuntimeWarning, stacklevel=2)
        return result

    def look_around(self):
        """What the function finds beside its arguments, as far as can be seen from here."""
        return [settings[0], kernels.active, *(cell.cell_contents for cell in self.cells), *map(self.globals.get, self.names)]

    def watch(self, key, before, args, named):
        """Run the function; its result, and why there is no program of it, if so."""
        args, named = [own(arg) for arg in args], {name: own(arg) for name, arg in named.items()}
        tensors = [arg for arg in (*args, *named.values()) if isinstance(arg, Tensor)]
        grad_mode.watcher = watch = Watch([tensor.array for tensor in tensors])
        try:
            result = self.function(*args, **named)
        finally:
            grad_mode.watcher = None
        watch.lines.append(f"return {watch.returned(result)}")
        if any(tensor.requires_grad for tensor in tensors):
            watch.refuse("an argument requires grad")
        if not all(map(is_, self.look_around(), self.around)):  # and will again
            self.programs = None
            return result, "it sets attributes of a module, or variables that it reads"
        seen_before = isinstance(before, Watch)
        if seen_before:
            watch.compare(before)
        if len(self.programs) >= PROGRAMS_KEPT:
            del self.programs[next(iter(self.programs))]
        self.programs[key] = False if watch.reason else Program(watch) if seen_before else watch
        return result, watch.reason


def own(arg):
    """A tensor for this argument alone, as two of them may be one."""
    return wrap(arg.array.view()) if isinstance(arg, Tensor) and not arg.requires_grad else arg
