"""The graph and its backward walk. Knows arrays and nodes, never Tensor.

Every recorded call is one `Node`. It remembers what was called, on which arrays, and which nodes
made them. Backward is one loop: take the youngest node that has a gradient, ask its rules for the
gradients of its inputs, add those up where a value was used more than once, and forget the node.
"""

import heapq
import itertools
import threading
from contextlib import ContextDecorator

tick = itertools.count(1).__next__  # one clock for the creation of nodes and for writes to memory


class GradMode(threading.local):
    """Whether calls are recorded in this thread."""

    enabled = True


grad_mode = GradMode()


class set_grad_enabled(ContextDecorator):
    """Switch recording on or off, in this thread: at once, for a `with` block, or as a decorator."""

    def __init__(self, mode):
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


class Node:
    """One recorded call, or, without parents, a leaf: a value whose gradient somebody asked for.

    `order` is the time of its creation, so every node is younger than all it was made from.
    `inputs` are the arrays the call received, `saved` its result or whatever its forward kept for
    the rules, `memory` one cell per input (and a last one for the result) holding the time of the
    last in-place write.
    """

    __slots__ = ("order", "primitive", "parents", "inputs", "saved", "memory", "options",
                 "keeps_grad", "grad", "__weakref__")  # fmt: skip

    def __init__(self, primitive=None, parents=(), inputs=(), saved=None, memory=(), options=None):
        self.order = tick()
        self.primitive = primitive
        self.parents = parents
        self.inputs = inputs
        self.saved = saved
        self.memory = memory
        self.options = options
        self.keeps_grad = not parents
        self.grad = None

    def release(self):
        """Drop the arrays and the links; what is left can only say that it is used up."""
        self.inputs = self.saved = self.memory = self.options = None
        self.parents = (None,) * len(self.parents)

    def check_usable(self):
        if self.inputs is None:
            raise RuntimeError(
                f"backward: the graph behind {self.primitive.__name__}() was already used and freed by an earlier "
                "backward(). Run the forward pass again, or call the first backward(retain_graph=True)."
            )

    def check_unchanged(self, rule):
        """Refuse to go on when an array that `rule` reads was overwritten after it was recorded."""
        for position in rule.reads:
            cell = self.memory[position]
            if cell is not None and cell[0] > self.order:
                result = position == len(self.inputs)
                what = "its result" if result else f"its argument {position}"
                raise RuntimeError(
                    f"backward: {self.primitive.__name__}() needs {what}, of shape "
                    f"{(self.saved if result else self.inputs[position]).shape}, as it was during the forward pass, "
                    "but an in-place operation has changed it since. Use the out-of-place form "
                    "(x = x + y, not x += y), or change a clone()."
                )


def backward(seeds, deliver, *, retain_graph=False, lift=None, wanted=None):
    """Walk the graph from `seeds`, pairs (node, gradient), from the youngest node to the oldest.

    `deliver(node, gradient, owned)` receives the finished gradient of every node that keeps one, or
    of those in `wanted` alone; `owned` says that nobody else holds that array. With `lift`, a
    function from (array, node, cell) to a Tensor, the rules run on Tensors and are recorded in turn.
    """
    pending, queue = {}, []

    def add(node, gradient, owned):
        if node in pending:
            earlier, may_write = pending[node]
            if may_write:
                earlier += gradient
                pending[node] = earlier, True
            else:
                pending[node] = earlier + gradient, lift is None and gradient.ndim > 0
        else:
            pending[node] = gradient, owned
            heapq.heappush(queue, (-node.order, node))

    oldest = 0 if wanted is None else min(node.order for node in wanted)
    for node, gradient in seeds:
        add(node, gradient, False)
    while queue:
        node = heapq.heappop(queue)[1]
        gradient, owned = pending.pop(node)
        if node.keeps_grad if wanted is None else node in wanted:
            deliver(node, gradient, owned)
        if not node.parents:
            continue
        node.check_usable()
        for parent, contribution in contributions(node, gradient, lift, wanted, oldest):
            # A rule returns the incoming gradient, a view, what its node saved, or a new array.
            kept = contribution is gradient or (retain_graph and contribution is node.saved)
            add(parent, contribution, not (kept or lift or contribution.base is not None or contribution.ndim == 0))
        if not retain_graph:
            node.release()


def contributions(node, gradient, lift, wanted, oldest):
    """Yield (parent, gradient for it) for every input of `node` that needs one."""
    inputs, saved = node.inputs, node.saved
    if lift is not None:
        inputs, saved = lift(node)
    options = node.options
    for position, (parent, rule) in enumerate(zip(node.parents, node.primitive.rules)):
        if parent is None:
            continue
        if wanted is not None and parent not in wanted and (not parent.parents or parent.order < oldest):
            continue  # leads to none of those asked for
        if rule is None:
            raise NotImplementedError(f"{node.primitive.__name__}() has no derivative for argument {position}")
        if rule.reads:
            node.check_unchanged(rule)
        result = rule.function(gradient, saved, *inputs, **options)
        if result is None:
            continue
        target = node.inputs[position]
        if result.shape != target.shape:
            result = unbroadcast(result, target.shape)
        if result.dtype != target.dtype:
            raise TypeError(
                f"backward: the rule of {node.primitive.__name__}() for argument {position} returned {result.dtype}, "
                f"expected {target.dtype}"
            )
        yield parent, result


def unbroadcast(gradient, shape):
    """Sum `gradient` over the axes along which a value of `shape` was repeated to give its shape."""
    extra = gradient.ndim - len(shape)
    if extra < 0 or any(a not in (1, b) for a, b in zip(shape, gradient.shape[extra:])):
        raise ValueError(f"backward: a gradient of shape {gradient.shape} does not fit a value of shape {shape}")
    if extra:
        gradient = gradient.sum(axis=tuple(range(extra)))
    repeated = tuple(i for i, size in enumerate(shape) if size == 1 and gradient.shape[i] != 1)
    return gradient.sum(axis=repeated, keepdims=True) if repeated else gradient
