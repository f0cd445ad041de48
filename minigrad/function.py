"""`Function`: an operation whose backward is written by hand."""

import weakref

import numpy as np

from .graph import Node, enable_grad, grad_mode, last_write_to, no_grad, tell_watcher, tick
from .primitive import EachArgument
from .tensor import Tensor, current_node, wrap


class Context:
    """What `Function.forward` hands over to `Function.backward`."""

    def __init__(self, name, needs_input_grad):
        self.name, self.needs_input_grad = name, needs_input_grad
        self.saved, self.results, self.node, self.non_differentiable = (), {}, None, set()

    def save_for_backward(self, *tensors):
        """Keep arguments or results of forward; backward finds them in `saved_tensors`."""
        # New references to the same memory: a kept result would lead back here and never be freed.
        self.saved = [t if t is None else wrap(t.array, current_node(t)) for t in tensors]
        self.saved_at = tick()

    @property
    def saved_tensors(self):
        """The tensors that were saved. Raises RuntimeError if one was changed in place since."""
        found = []
        for tensor in self.saved:
            if tensor is not None and last_write_to(tensor.array) > self.saved_at:
                raise RuntimeError(
                    f"backward: {self.name} needs a saved tensor of shape {tensor.shape} as it was during the forward "
                    "pass, but an in-place operation has changed it since. Use the out-of-place form, or save a clone()"
                )
            if tensor is not None and grad_mode.enabled and id(tensor.array) in self.results:
                # A saved result is in the graph, too, for derivatives of derivatives.
                tensor = wrap(tensor.array, result_node(self.results[id(tensor.array)], self.node()))
            found.append(tensor)
        return tuple(found)

    def mark_non_differentiable(self, *tensors):
        """Name results that have no gradient, such as indices."""
        self.non_differentiable.update(id(tensor) for tensor in tensors)


class Function:
    """An operation with its own backward: static methods `forward(ctx, *args)` and `backward(ctx, *grads)`.

    `backward` returns one gradient per argument of `forward`, None where there is none. Written with
    tensor operations it can itself be differentiated (`create_graph=True`).

    Example:
        >>> import minigrad
        >>> class Cube(minigrad.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         ctx.save_for_backward(x)
        ...         return x * x * x
        ...     @staticmethod
        ...     def backward(ctx, grad):
        ...         (x,) = ctx.saved_tensors
        ...         return grad * 3 * x * x
        >>> x = minigrad.tensor(2.0, requires_grad=True)
        >>> Cube.apply(x).backward()
        >>> x.grad
        tensor(12.)
    """

    @staticmethod
    def forward(ctx, *args):
        raise NotImplementedError("a Function defines the static method forward(ctx, *args)")

    @staticmethod
    def backward(ctx, *grads):
        raise NotImplementedError("a Function defines the static method backward(ctx, *grads)")

    @classmethod
    def apply(cls, *args):
        """Run `forward` on the arguments and record the call."""
        tell_watcher(f"it calls {cls.__name__}, a Function")
        parents = [current_node(arg) if isinstance(arg, Tensor) else None for arg in args]
        ctx = Context(cls.__name__, tuple(parent is not None for parent in parents))
        with no_grad():
            results = cls.forward(ctx, *args)
        several = isinstance(results, (tuple, list))
        outputs = list(results) if several else [results]
        for i, output in enumerate(outputs):
            if not isinstance(output, Tensor):
                raise TypeError(f"{cls.__name__}.forward: result {i} is {type(output).__name__}, expected a tensor")
        if grad_mode.enabled and any(ctx.needs_input_grad):
            arrays = [arg.array if isinstance(arg, Tensor) else arg for arg in args]
            node = Node(Call(cls, outputs), parents, arrays, ctx, {})
            ctx.node, arrays_seen = weakref.ref(node), list(arrays)
            for i, output in enumerate(outputs):
                tracked = output.dtype.kind == "f" and id(output) not in ctx.non_differentiable
                array = output.array
                if any(isinstance(given, np.ndarray) and np.may_share_memory(array, given) for given in arrays_seen):
                    array = array.copy()  # the graph would not see a write to the one change the other
                else:
                    ctx.results[id(array)] = i
                    arrays_seen.append(array)
                outputs[i] = wrap(array, result_node(i, node) if tracked else None)
        return tuple(outputs) if several else outputs[0]


class Call:
    """One call of a Function in the place of a primitive: one rule per argument, all from one `backward`."""

    saves, reads = True, ()  # saves the context

    def __init__(self, function, outputs):
        self.function, self.__name__ = function, function.__name__
        self.templates = [(output.shape, output.dtype) for output in outputs]
        self.parts, self.gradients = None, {}

    @property  # an attribute would lead back here, and only the cyclic collector free the gradients
    def rules(self):
        return EachArgument(self.gradient)

    def gradient(self, index, parts, ctx, *inputs):
        if parts is not self.parts:
            self.parts, self.gradients = parts, self.run(parts, ctx, inputs)
        return self.gradients.pop(index)

    def run(self, parts, ctx, inputs):
        """Call `backward` and check what it returns."""
        lifted = any(isinstance(grad, Tensor) for grad in parts.gradients.values())
        upstream = []
        for i, (shape, dtype) in enumerate(self.templates):
            grad = parts.gradients.get(i)
            grad = np.zeros(shape, dtype) if grad is None else grad
            upstream.append(grad if isinstance(grad, Tensor) else wrap(read_only(grad)))
        with enable_grad() if lifted else no_grad():
            returned = self.function.backward(ctx, *upstream)
        returned = tuple(returned) if isinstance(returned, (tuple, list)) else (returned,)
        if len(returned) != len(inputs):
            raise RuntimeError(
                f"{self.__name__}.backward returned {len(returned)} gradients, expected {len(inputs)}: one per argument "
                "of forward, None where there is none"
            )
        for i, (grad, given, needed) in enumerate(zip(returned, inputs, ctx.needs_input_grad)):
            if grad is None or not needed:
                continue
            if not isinstance(grad, Tensor) or grad.shape != given.shape:
                got = f"shape {grad.shape}" if isinstance(grad, Tensor) else type(grad).__name__
                raise RuntimeError(
                    f"{self.__name__}.backward: the gradient for argument {i} must be a tensor of shape {given.shape}, got {got}"
                )
        # A view, so that the walk does not take memory that the user may still hold for its own.
        return {i: grad if lifted or not isinstance(grad, Tensor) else grad.array.view() for i, grad in enumerate(returned)}


def read_only(array):
    """A view that refuses writes: the memory belongs to the walk, and others may be given it, too."""
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


class Result:
    """The step from a call to one of its results, in the place of a primitive."""

    __name__, saves, reads = "Function", True, ()

    def __init__(self, position):
        self.rules = EachArgument(lambda index, grad, saved, parts: Parts({position: grad}))


class Parts:
    """Gradients of some results of one call, by position: the gradient of the call's node."""

    shape, dtype, ndim, base = (), None, 0, None

    def __init__(self, gradients=()):
        self.gradients = dict(gradients)

    def __add__(self, other):
        ours, theirs = self.gradients, other.gradients
        return Parts(ours | theirs | {i: ours[i] + theirs[i] for i in ours.keys() & theirs.keys()})


def result_node(position, node):
    """A node for result `position` of the call `node`."""
    return Node(Result(position), (node,), (Parts(),), None, {})
