"""The graph and its backward walk. Knows arrays and nodes, never Tensor.

Every recorded call is one `Node`. It remembers what was called, on which arrays, and which nodes
made them. Backward is one loop: take the youngest node that has a gradient, ask its rules for the
gradients of its inputs, add those up where a value was used more than once, and forget the node.
"""

import itertools
import threading
import weakref
from contextlib import ContextDecorator
from functools import partial, wraps
from heapq import heappop, heappush
from inspect import getattr_static
from pickle import PickleBuffer
from types import FunctionType

import numpy as np

tick = itertools.count(1).__next__  # one clock for the creation of nodes and for writes to memory


class GradMode(threading.local):
    """Whether calls are recorded in this thread, and who is told of them: see `jit`."""

    enabled, watcher = True, None


grad_mode = GradMode()


class set_grad_enabled(ContextDecorator):
    """Switch recording on or off, in this thread: at once, for a `with` block, or as a decorator."""

    def __init__(self, mode):
        tell_watcher("it calls set_grad_enabled(). Use no_grad()")
        self.mode, self.previous = bool(mode), grad_mode.enabled
        grad_mode.enabled = self.mode

    def __enter__(self):
        grad_mode.enabled = self.mode
        return self

    def __exit__(self, *exception):
        grad_mode.enabled = self.previous

    def __call__(self, function):
        grad_mode.enabled = self.previous  # as a decorator it acts when the function runs
        return super().__call__(function)

    def _recreate_cm(self):
        return set_grad_enabled(self.mode)


class no_grad(ContextDecorator):
    """Compute without recording: a `with` block, or a decorator.

    Example:
        >>> import minigrad
        >>> x = minigrad.ones(2, requires_grad=True)
        >>> with minigrad.no_grad():
        ...     y = x * 2
        >>> y.requires_grad
        False
    """

    mode = False

    def __new__(cls, function=None):
        made = super().__new__(cls)
        return made(function) if function is not None else made

    def __init__(self, function=None):
        self.previous = []

    def __enter__(self):
        self.previous.append(grad_mode.enabled)
        grad_mode.enabled = self.mode
        return self

    def __exit__(self, *exception):
        grad_mode.enabled = self.previous.pop()

    def _recreate_cm(self):
        return type(self)()


class enable_grad(no_grad):
    """Record again inside a `no_grad()` block."""

    mode = True


def is_grad_enabled():
    """Whether calls are being recorded in this thread."""
    return grad_mode.enabled


def tell_watcher(reason):
    """Tell who watches, if anybody does, why this run of a function cannot become a program."""
    if grad_mode.watcher is not None:
        grad_mode.watcher.refuse(reason)


def repeated(function):
    """For a function that does more than compute: a program that was made by watching calls it as it is."""

    @wraps(function)
    def either(*args, **named):
        watcher = grad_mode.watcher
        return function(*args, **named) if watcher is None else watcher.repeat(function, args, named)

    either.is_repeated = True
    return either


class RepeatedMethods:
    """A class whose methods named in `repeated_methods` are such functions, also where a subclass defines them."""

    repeated_methods = ()

    def __init_subclass__(cls, **named):
        super().__init_subclass__(**named)
        for name in cls.repeated_methods:
            method = getattr_static(cls, name, None)
            if isinstance(method, FunctionType) and not hasattr(method, "is_repeated"):
                setattr(cls, name, repeated(method))


RELEASED = (None,)
OWN_MEMORY = type(None), PickleBuffer  # bases of arrays that are no views: NumPy's, and those of kernels/buffers.py


class Node:
    """One recorded call.

    `order` is the time of its creation, so every node is younger than all it was made from.
    `inputs` are the arrays the call received, `saved` its result or whatever its forward kept for
    the rules.
    """

    __slots__ = ("order", "primitive", "parents", "inputs", "saved", "options", "keeps_grad", "grad", "__weakref__")

    def __init__(self, primitive, parents, inputs, saved, options):
        self.keeps_grad, self.grad = False, None
        self.order = tick()
        self.primitive = primitive
        self.parents = parents
        self.inputs = inputs
        self.saved = saved
        self.options = options

    def refuse_second_use(self):
        raise RuntimeError(
            f"backward: the graph behind {self.primitive.__name__}() was already used and freed by an earlier "
            "backward(). Run the forward pass again, or call the first backward(retain_graph=True)."
        )

    def check_unchanged(self):
        """Refuse to go on when an array that a rule reads was overwritten after it was recorded."""
        for parent, reads in zip(self.parents, self.primitive.reads):
            for position in reads if parent is not None else ():
                array = self.saved if position == -1 else self.inputs[position]
                if isinstance(array, np.ndarray) and last_write_to(array) > self.order:
                    self.refuse_changed(position)

    def refuse_changed(self, position):
        what, array = ("its result", self.saved) if position == -1 else (f"argument {position}", self.inputs[position])
        raise RuntimeError(
            f"backward: {self.primitive.__name__}() needs {what}, of shape {array.shape}, as it was during the forward "
            "pass, but an in-place operation has changed it since. Use the out-of-place form (x = x + y, not x += y), "
            "or change a clone()."
        )


class Leaf(Node):
    """A value that no recorded call made and whose gradient somebody asked for."""

    __slots__ = ()

    def __init__(self):
        super().__init__(None, (), (), None, None)
        self.keeps_grad = True


last_write = [0]
_writes = {}  # by the id of the array that owns the memory: the time of the last write, and a weak reference


def touch(*arrays):
    """Note a write to the memory of each array."""
    tell_watcher("it writes in place")
    stamp([writes_to(array) for array in arrays])


def stamp(writes):
    """Note a write now; for `writes_to` of several arrays."""
    last_write[0] = now = tick()
    for write in writes:
        write[0] = now


def writes_to(array):
    """What is known of the writes to the memory of `array`; the same for as long as the array lives."""
    owner = owner_of(array)
    key = id(owner)
    if key not in _writes:  # the entry goes with the array
        _writes[key] = [0, weakref.ref(owner, partial(_writes.pop, key))]
    return _writes[key]


def last_write_to(array):
    """The time of the last write to the memory of `array`, through whatever view of it; 0 if there was none."""
    entry = _writes.get(id(owner_of(array)))
    return 0 if entry is None else entry[0]


def owner_of(array):
    """The array whose memory this one shares."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def backward(seeds, retain_graph=False, lift=None, wanted=None):
    """Walk the graph from `seeds`, pairs (node, gradient), from the youngest node to the oldest.

    Returns triples (node, gradient, owned) for every node that keeps a gradient, or for those in
    `wanted` alone; `owned` says that nobody else holds that array. With `lift`, which gives the
    inputs and the result of a node as Tensors, the rules run on those and are recorded.
    """
    pending, queue, finished = {}, [], []
    wanted = wanted if wanted is None else set(wanted)
    shared = {}  # by their ids, gradients that may have another holder, beside all that are views
    summed = set()  # nodes whose pending gradient is a sum, an array of the walk's own
    oldest = 0 if wanted is None else min(node.order for node in wanted)
    for node, gradient in seeds:
        if wanted is not None and not node.parents and node not in wanted:
            continue
        if node in pending:
            pending[node] = pending[node] + gradient
            continue
        pending[node] = gradient
        if node.parents:
            heappush(queue, (-node.order, node))
        else:
            shared[id(gradient)] = gradient
    while queue:
        node = heappop(queue)[1]
        gradient = pending.pop(node)
        if node.keeps_grad if wanted is None else node in wanted:
            finished.append((node, gradient, False))
        if node.order <= oldest:
            continue  # older than all that is wanted
        targets, saved, options = node.inputs, node.saved, node.options
        if targets is None:
            node.refuse_second_use()
        if last_write[0] > node.order:
            node.check_unchanged()
        inputs, saved = (targets, saved) if lift is None else lift(node)
        for parent, rule, target in zip(node.parents, node.primitive.rules, targets):
            if parent is None or wanted is not None and not parent.parents and parent not in wanted:
                continue
            result = rule(gradient, saved, *inputs, **options)
            if result is None:
                continue
            if result.shape != target.shape:
                result = unbroadcast(result, target.shape)
            if result.dtype is not target.dtype:
                check_dtype(result, target, node.primitive)
            if result is gradient or retain_graph and result is saved:
                shared[id(result)] = result
            if parent not in pending:
                pending[parent] = result
                if parent.parents:
                    heappush(queue, (-parent.order, parent))
            elif parent in summed:
                pending[parent] += result
            else:
                pending[parent] = pending[parent] + result
                if lift is None:
                    summed.add(parent)
        if not retain_graph:  # what is left of the node can only say that it is used up
            node.parents = RELEASED
            node.inputs = node.saved = node.options = None
    for node, gradient in pending.items():
        owned = lift is None and type(gradient.base) in OWN_MEMORY and id(gradient) not in shared
        finished.append((node, gradient, owned))
    return finished


def check_dtype(result, target, primitive):
    if result.dtype != target.dtype:
        raise TypeError(f"backward: a rule of {primitive.__name__}() returned {result.dtype}, expected {target.dtype}")


def unbroadcast(gradient, shape):
    """Sum `gradient` over the axes along which a value of `shape` was repeated to give its shape."""
    came, extra = gradient.shape, gradient.ndim - len(shape)
    if extra > 0:
        gradient = gradient.sum(axis=tuple(range(extra)))
    if gradient.shape == shape:
        return gradient
    if extra < 0 or any(a not in (1, b) for a, b in zip(shape, gradient.shape)):
        raise ValueError(f"backward: a gradient of shape {came} does not fit a value of shape {shape}")
    repeated = tuple(i for i, size in enumerate(shape) if size == 1 and gradient.shape[i] != 1)
    return gradient.sum(axis=repeated, keepdims=True)
