"""`Tensor`: an array with a place in the graph, and what starts a backward pass."""

from collections import namedtuple
from functools import lru_cache

import numpy as np

from . import dtypes, graph
from .graph import Leaf, grad_mode, repeated, tell_watcher, touch

# A view knows the tensor whose memory it shares, the calls that lead there, and for which node of
# that tensor its own node was made: after a write to the base it is made anew.
View = namedtuple("View", "base steps base_node")


class Tensor:
    """A NumPy array with reverse-mode automatic differentiation; PyTorch's names and meaning.

    Args:
        data: array, nested list or number, copied. Python floats become float32.
        dtype: one of `float32 float64 int64 int32 uint8 bool`, or None to follow the data.
        requires_grad: whether `backward()` shall fill `.grad` (floating-point dtypes only).

    The values are the NumPy array `.array`. `.node` is the recorded call that made the tensor, or a
    leaf node where a gradient is wanted, or None.

    Example:
        >>> import minigrad
        >>> x = minigrad.tensor([1.0, 2.0, 3.0], requires_grad=True)
        >>> y = (x * x).sum()
        >>> y.backward()
        >>> x.grad
        tensor([2., 4., 6.])
    """

    __slots__ = ("array", "node", "view_of", "leaf", "__weakref__")
    __array_ufunc__ = None  # ndarray + tensor asks Tensor.__radd__, instead of dropping the graph

    def __init__(self, data, dtype=None, requires_grad=False):
        self.array = as_array(data, dtype, "tensor", copy=True)
        self.node = self.view_of = None
        if requires_grad:
            self.requires_grad_()

    # What it is

    @property
    def shape(self):
        """The sizes of the axes, a tuple."""
        return self.array.shape

    @property
    def dtype(self):
        """The NumPy dtype of the values."""
        return self.array.dtype

    @property
    def device(self):
        """Always "cpu"."""
        return "cpu"

    @property
    def ndim(self):
        """The number of axes."""
        return self.array.ndim

    def dim(self):
        """The number of axes."""
        return self.array.ndim

    def size(self, dim=None):
        """The shape, or its entry `dim`."""
        return self.array.shape if dim is None else self.array.shape[dim]

    def numel(self):
        """The number of elements."""
        return self.array.size

    def is_contiguous(self):
        """Whether the memory is in C order without gaps."""
        return self.array.flags.c_contiguous

    def is_floating_point(self):
        """Whether the dtype is float32 or float64."""
        return self.array.dtype.kind == "f"

    # What it holds

    def numpy(self):
        """The values as the NumPy array itself, not a copy. Raises RuntimeError where a gradient is tracked."""
        tell_watcher("it looks at values")
        if self.requires_grad and grad_mode.enabled:
            raise RuntimeError("numpy(): the tensor requires grad, so its values would leave the graph. Use t.detach().numpy()")
        return self.array

    def __array__(self, dtype=None, copy=None):
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def item(self):
        """The single value as a Python number. Raises RuntimeError unless there is exactly one."""
        tell_watcher("it looks at values")
        if self.array.size != 1:
            raise RuntimeError(f"item(): a tensor of shape {self.shape} has {self.array.size} values, expected exactly one")
        return self.array.item()

    def tolist(self):
        """The values as nested lists of Python numbers."""
        tell_watcher("it looks at values")
        return self.array.tolist()

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __index__(self):
        if self.array.dtype.kind not in "iub":
            raise TypeError(f"only integer tensors can be used as an index, got {self.dtype}")
        return int(self.item())

    def __bool__(self):
        tell_watcher("it looks at values")
        if self.array.size != 1:
            raise RuntimeError(
                f"bool(): the truth of a tensor of shape {self.shape} is ambiguous. Use .all(), .any() or .item()"
            )
        return bool(self.array.item())

    def __format__(self, spec):
        return format(self.item(), spec) if self.array.ndim == 0 else object.__format__(self, spec)

    def __len__(self):
        if self.array.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self.array.shape[0]

    def __iter__(self):
        if self.array.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(len(self)))

    __hash__ = object.__hash__  # by identity, although == compares element by element

    def __repr__(self):
        tell_watcher("it looks at values")
        array = self.array
        whole = array.dtype.kind != "f" or not array.size or np.all((array == np.round(array)) | ~np.isfinite(array))
        text = np.array2string(
            array, separator=", ", prefix="tensor(", threshold=1000, precision=4,
            floatmode="maxprec" if whole else "fixed",
        )  # fmt: skip
        plain = (dtypes.default_float, dtypes.int64, dtypes.bool_)
        notes = [text] if self.dtype in plain else [text, f"dtype={self.dtype}"]
        node = current_node(self)
        if node is not None:
            notes.append("requires_grad=True" if not node.parents else f"grad_fn=<{node.primitive.__name__}>")
        return f"tensor({', '.join(notes)})"

    # Its place in the graph

    @property
    def requires_grad(self):
        return current_node(self) is not None

    @requires_grad.setter
    def requires_grad(self, flag):
        self.requires_grad_(flag)

    def requires_grad_(self, requires_grad=True):
        """Ask for a gradient, or no longer; a leaf only. Returns the tensor itself."""
        tell_watcher("it changes what requires grad")
        if not self.is_leaf:
            raise RuntimeError("requires_grad_(): only leaf tensors can be changed. Use detach() to leave the graph")
        if self.array.dtype.kind != "f" and requires_grad:
            raise RuntimeError(
                f"requires_grad: only floating-point tensors can require gradients, got {self.dtype}. "
                "Use .float() or a float dtype"
            )
        # A leaf keeps its node while it is frozen: a graph made before still leads there.
        if requires_grad and self.node is None:
            self.node, self.view_of = self.frozen_leaf or Leaf(), None
        elif not requires_grad and self.node is not None:
            self.leaf, self.node = self.node, None
        return self

    @property
    def frozen_leaf(self):
        return getattr(self, "leaf", None)  # a slot that most tensors never fill

    @property
    def is_leaf(self):
        """Whether no recorded call made this tensor."""
        node = current_node(self)
        return node is None or not node.parents

    @property
    def grad_fn(self):
        """The recorded call that made this tensor, or None for a leaf."""
        return None if self.is_leaf else current_node(self)

    @property
    def grad(self):
        """The gradient that `backward()` added up here, a Tensor or None."""
        tell_watcher("it reads .grad")
        node = self.node or self.frozen_leaf
        return None if node is None else node.grad

    @grad.setter
    def grad(self, grad):
        tell_watcher("it sets .grad. Use zero_grad()")
        node = self.node or self.frozen_leaf
        if grad is not None:
            if node is None:
                raise RuntimeError("grad: this tensor does not require grad, so it keeps none. Call requires_grad_() first")
            if not isinstance(grad, Tensor) or grad.shape != self.shape or grad.dtype != self.dtype:
                got = f"{grad.dtype} of shape {grad.shape}" if isinstance(grad, Tensor) else type(grad).__name__
                raise TypeError(f"grad: expected a tensor {self.dtype} of shape {self.shape}, got {got}")
        if node is not None:
            node.grad = grad

    def retain_grad(self):
        """Keep the gradient of a tensor that is not a leaf, too."""
        if not self.requires_grad:
            raise RuntimeError("retain_grad(): the tensor does not require grad")
        self.node.keeps_grad = True

    def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
        """Add the gradient of this tensor to `.grad` of every leaf it was made from.

        Args:
            gradient: the upstream gradient, of this tensor's shape; may be left out for one value.
            retain_graph: keep the graph for another backward; by default as `create_graph`.
            create_graph: record the backward pass itself, for derivatives of derivatives.
            inputs: a tensor or a sequence of them; then no other receives a gradient.

        Raises RuntimeError when nothing requires grad, when `gradient` is missing or of another
        shape, when the graph was already used, or when a value it needs was changed in place.

        Example:
            >>> import minigrad
            >>> x = minigrad.tensor([1.0, 2.0], requires_grad=True)
            >>> (x * x).backward(minigrad.tensor([1.0, 10.0]))
            >>> x.grad
            tensor([ 2., 40.])
        """
        if isinstance(inputs, Tensor):
            inputs = (inputs,)
        wanted = None if inputs is None else [current_node(t) for t in inputs]
        accumulate(run_backward((self,), (gradient,), retain_graph, create_graph, wanted))

    def detach(self):
        """The same memory outside the graph.

        Example:
            >>> import minigrad
            >>> minigrad.ones(2, requires_grad=True).detach().requires_grad
            False
        """
        return wrap(self.array)

    @property
    def data(self):
        """The same memory outside the graph; assigning gives the tensor another array."""
        return self.detach()

    @data.setter
    def data(self, value):
        tell_watcher("it sets .data")
        if not isinstance(value, Tensor):
            raise TypeError(f"data: expected a tensor, got {type(value).__name__}")
        if self.node is not None and value.dtype.kind != "f":
            raise TypeError(f"data: a tensor that requires grad must stay floating-point, got {value.dtype}")
        self.array, self.view_of = value.array, None
        if self.grad is not None and (self.grad.shape != self.shape or self.grad.dtype != self.dtype):
            self.grad = None  # it no longer fits

    def __deepcopy__(self, memo):
        if not self.is_leaf:
            raise RuntimeError("deepcopy: only leaf tensors can be copied out of the graph. Use detach() or clone()")
        return rebuild(type(self), self.array.copy(), self.requires_grad)

    def __reduce__(self):
        return rebuild, (type(self), self.array, self.requires_grad)


def as_array(data, dtype, caller, copy=None):
    """`data` as an array of a supported dtype: of `dtype` if given, float32 for Python floats."""
    if isinstance(data, Tensor):
        data = data.array
    from_python = not isinstance(data, (np.ndarray, np.generic))
    array = np.asarray(data, dtypes.check(dtype, caller) if from_python and dtype is not None else None)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{caller}(): expected numbers, got {type(data).__name__} of dtype {array.dtype}")
    if dtype is None:
        dtype = dtypes.default_float if from_python and array.dtype == dtypes.float64 else array.dtype
    return np.array(array, dtype=dtypes.check(dtype, caller), copy=copy)


new = Tensor.__new__


def wrap(array, node=None):
    """A Tensor around `array` itself, without checks: for results that are known to be right."""
    tensor = new(Tensor)
    tensor.array = array if type(array) is np.ndarray else np.asarray(array)
    tensor.node = node
    tensor.view_of = None
    return tensor


def rebuild(kind, array, requires_grad):
    tensor = wrap(array)
    tensor.__class__ = kind
    return tensor.requires_grad_(requires_grad)


def current_node(tensor):
    """The node of `tensor`; that of a view is made anew when its base was written to since."""
    view = tensor.view_of
    if view is not None and view.base.node is not view.base_node and not isinstance(view.base.node, Leaf):
        again = view.base
        with graph.enable_grad():  # it is in the graph, whoever asks
            for primitive, options in view.steps:
                again = primitive(again, **options)
        replace_node(tensor, again.node)
        tensor.view_of = view._replace(base_node=view.base.node)
    return tensor.node


def replace_node(tensor, node):
    """Give `tensor` the node of its new value, which keeps the gradient if the old one did."""
    old, tensor.node = tensor.node, node
    if old is not None and node is not None and old.parents and old.keeps_grad:
        node.keeps_grad, node.grad, old.keeps_grad = True, old.grad, False


# Running backward


@lru_cache(maxsize=16)
def one(shape, dtype):
    """The upstream gradient of a single value; read-only, as all backward passes share it."""
    array = np.ones(shape, dtype)
    array.flags.writeable = False
    return array


def run_backward(tensors, gradients, retain_graph=None, create_graph=False, wanted=None):
    """Check the upstream gradients and walk the graph; see `graph.backward` for what comes back."""
    if wanted is not None and (not wanted or None in wanted):
        raise RuntimeError("backward(): inputs must be one or more tensors that require grad")
    seeds = []
    for tensor, gradient in zip(tensors, gradients):
        node, array = current_node(tensor), tensor.array
        if node is None:
            raise RuntimeError(
                "backward(): the tensor does not require grad and no recorded call made it. Nothing it was computed "
                "from has requires_grad=True, or it was computed under no_grad()"
            )
        if gradient is None:
            if array.size != 1:
                raise RuntimeError(
                    f"backward(): grad can be left out only for a single value, got shape {tensor.shape}. "
                    "Pass gradient=, or reduce with .sum() or .mean()"
                )
            upstream = one(array.shape, array.dtype)
        elif not isinstance(gradient, Tensor) or gradient.shape != tensor.shape:
            got = gradient.shape if isinstance(gradient, Tensor) else type(gradient).__name__
            raise RuntimeError(f"backward(): gradient must be a tensor of shape {tensor.shape}, got {got}")
        elif gradient.dtype != tensor.dtype:
            raise RuntimeError(f"backward(): gradient must be {tensor.dtype}, got {gradient.dtype}")
        else:
            upstream = gradient.array
        seeds.append((node, upstream if not create_graph else wrap(upstream) if gradient is None else gradient))
    walk = graph.backward if grad_mode.watcher is None else grad_mode.watcher.backward
    if not create_graph:  # the rules run on arrays
        return walk(seeds, bool(retain_graph), None, wanted)
    with graph.enable_grad():
        return walk(seeds, retain_graph is None or retain_graph, lift, wanted)


def gradients(outputs, inputs, upstream, retain_graph=None, create_graph=False):
    """The gradients of `outputs` by `inputs` as new tensors, None where nothing depends on the input."""
    nodes = [current_node(tensor) for tensor in inputs]
    found = {
        node: gradient if isinstance(gradient, Tensor) else wrap(gradient if owned else np.array(gradient))
        for node, gradient, owned in run_backward(outputs, upstream, retain_graph, create_graph, nodes)
    }
    return tuple(found.get(node) for node in nodes)


def lift(node):
    """The inputs and the saved result of `node` as Tensors in the graph, for rules that are recorded."""
    inputs = [
        wrap(array, parent) if isinstance(array, np.ndarray) else array
        for array, parent in zip(node.inputs, node.parents)
    ]
    is_result = node.saved is not None and not node.primitive.saves
    return inputs, wrap(node.saved, node) if is_result else node.saved


def accumulate(finished):
    """Add finished gradients to those that their nodes keep."""
    if grad_mode.watcher is not None:  # as `repeated` does, in less time
        return grad_mode.watcher.repeat(accumulate, (finished,), {})
    for node, gradient, owned in finished:
        if owned and node.grad is None and gradient.flags.c_contiguous:  # as the optimizers' kernels want it
            node.grad = wrap(gradient)
        elif isinstance(gradient, Tensor):
            # A clone, because one gradient may belong to several tensors.
            node.grad = gradient.clone() if node.grad is None else node.grad + gradient
        elif node.grad is None:
            node.grad = wrap(np.array(gradient, order="C"))
        else:
            node.grad.array += gradient
            touch(node.grad.array)


@repeated
def clear_grads(tensors, set_to_none=True):
    """Forget the gradients, or fill them with zeros."""
    for tensor in tensors:
        node = tensor.node or tensor.frozen_leaf
        if node is None or node.grad is None:
            continue
        if set_to_none:
            node.grad = None
        else:
            node.grad = wrap(node.grad.array)
            node.grad.zero_()
