"""Watching a function run: what it computes, forward and backward, as lines of Python and the objects that they name."""

import re
from collections.abc import Iterator
from functools import partial
from itertools import zip_longest
from keyword import iskeyword
from operator import is_

import numpy as np

from . import graph
from .graph import Node, grad_mode
from .random import Generator
from .tensor import Tensor, wrap

LITERALS = (type(None), bool, int, str, type(...))


class Watch:
    """What one run of a function does, as lines of Python and the objects that they name."""

    def __init__(self, tensors):
        self.lines, self.objects, self.reason = [], {}, None
        self.names, self.arrays = {}, {}  # by id, and by name: arrays stay alive, or their ids would go to others
        self.tensors = []  # what the function reads beside its arguments: parameters, above all
        self.own = set(map(id, tensors))  # those, and the arguments
        self.others = []  # tensors around the array of one of them
        self.nodes = []  # those that rules are written down of
        for i, tensor in enumerate(tensors):
            self.name(f"x{i}", tensor.array)

    def refuse(self, reason):
        """Note the first reason why this run cannot become a program; it goes on."""
        self.reason = self.reason or reason

    def name(self, name, array):
        self.names[id(array)], self.arrays[name] = name, array
        return name

    def text(self, thing, tensor=None):
        """How a line writes an argument; `tensor` is the one around an array, if there is one."""
        if name := self.names.get(id(thing)):
            if name[0] in "xp" and isinstance(tensor, Tensor) and id(tensor) not in self.own:
                self.others.append(tensor)
            return name
        if isinstance(thing, Tensor):
            name = self.names.get(id(thing.array), "p")
            if name[0] != "p":  # computed here, or an argument
                return self.write(wrap, "wrap", [name])
        if isinstance(tensor, Tensor):
            if grad_mode.enabled and not tensor.is_leaf:
                self.refuse("it reads a tensor that was computed from parameters before the call")
            self.tensors.append(tensor)
            self.own.add(id(tensor))
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
        return bind(self.objects, kind.lower(), thing)

    def write(self, function, name, arguments, options=()):
        """The text of a call; the arguments are text already."""
        named = [f"{key}={self.text(option)}" for key, option in dict(options).items()]
        return f"{bind(self.objects, name, function)}({', '.join([*arguments, *named])})"

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
            self.nodes.append(out.node)

    def repeat(self, function, args, named):
        """A call that the program makes as it is."""
        args = [list(arg) if isinstance(arg, Iterator) else arg for arg in args]
        named = {name: list(arg) if isinstance(arg, Iterator) else arg for name, arg in named.items()}
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
        elif not isinstance(result, (Generator, type(None))):
            self.refuse(f"{function.__name__}() returned {type(result).__name__}, which may be another the next time")
        self.lines.append(text)
        return result

    def backward(self, seeds, retain_graph, lift, wanted):
        """`graph.backward`, its rules and sums written down."""
        if retain_graph:
            self.refuse("it keeps a graph after backward()")
        if any(node.parents and type(node.primitive) is not Noted for node, _ in seeds):
            self.refuse("it calls backward() on what was computed before the call")
        if self.reason is None:
            seeds = [(node, Written(self, self.text(gradient), gradient)) for node, gradient in seeds]
        found = graph.backward(seeds, retain_graph, lift, wanted)
        return [(node, g.array if isinstance(g, Written) else g, owned) for node, g, owned in found]

    # Afterwards

    def finish(self, result):
        """The last line; and nodes that somebody may keep forget that they were watched."""
        self.lines.append(f"return {self.returned(result)}")
        for node in self.nodes:
            node.primitive = node.primitive.primitive
        self.nodes.clear()

    def returned(self, result):
        """How the program writes what the function returned."""
        if type(result) is tuple:
            return row(map(self.returned, result))
        if not isinstance(result, Tensor):
            if type(result) not in (*LITERALS, float):
                self.refuse(f"it returns {type(result).__name__}, expected tensors, numbers or a tuple of them")
            return self.text(result)
        name = self.names.get(id(result.array), "")
        if not name or name[0] not in "vtg":
            self.refuse("it returns a tensor that it did not compute" if name else "it returns what NumPy computed")
        if result.node is not None and result.node.parents is not graph.RELEASED:
            self.refuse("it returns a tensor with a graph. Call backward() inside it, or the function under no_grad()")
        if any(np.may_share_memory(result.array, array) for n, array in self.arrays.items() if n[0] in "xp"):
            self.refuse("it returns a view of what it was given")
        if self.reason is None:
            result.node = None  # its graph is used up
        return self.write(wrap, "wrap", [name])

    def compare(self, before):
        """Refuse unless the run before wrote the same lines about the same objects."""
        for line, other in zip_longest(self.lines, before.lines, fillvalue="nothing"):
            if line != other:
                return self.refuse(f"it does not do the same in each call: {line!r} in one, {other!r} in another")
        if any(map(is_, self.others, before.others)):  # those made within a call are new in each
            return self.refuse("two tensors that it reads share one array")
        things = self.objects | {f"p{i}": tensor for i, tensor in enumerate(self.tensors)}
        others = before.objects | {f"p{i}": tensor for i, tensor in enumerate(before.tensors)}
        for name, thing in things.items():
            if not is_same(thing, others[name]):
                line = next(line for line in self.lines if re.search(rf"\b{name}\b", line))
                return self.refuse(
                    f"{name} in {line!r} is another object in each call, such as what NumPy computed, or a tensor made inside"
                )


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


def bind(objects, name, thing):
    """A name by which lines reach an object; `objects` holds them by name."""
    name = re.sub(r"\W", "_", name)
    if iskeyword(name) or re.fullmatch(r"(at_)?[xpvsgt]\d+|program|look|locals|clock|times", name):
        name += "_"
    unique, count = name, 1
    while not is_same(objects.setdefault(unique, thing), thing):
        count += 1
        unique = f"{name}_{count}"
    return unique


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
        return is_same(a.func, b.func) and is_same(a.args, b.args) and not a.keywords and not b.keywords
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(is_same, a, b))
    return (type(a) in (*LITERALS, float) or isinstance(a, np.dtype)) and a == b
