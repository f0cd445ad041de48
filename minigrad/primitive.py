"""`Primitive`: how a call on Tensors is computed and recorded."""

from functools import partial
from types import MethodType

import numpy as np

from . import dtypes
from .graph import Node, grad_mode
from .tensor import Tensor, View, current_node

NO_OPTIONS = {}


class Primitive:
    """A function of arrays with one derivative rule per argument.

    Called with bare arrays it just computes. Called with at least one Tensor it computes, wraps the
    result, and records a node if an argument is tracked. The rules are called the same way, so
    `backward()` runs on arrays at NumPy's speed and `create_graph=True` runs the very same rules on
    Tensors, recording them for the next derivative.

    Args:
        forward: function of arrays (positional) and metadata (keywords).
        name, doc: what messages call it, and its documentation.
        promotes: "same" brings the arguments to a common dtype, "float" to a floating-point one.
        is_view: the result may share the memory of its first argument.
        saves: forward returns (result, saved), and the rules receive `saved` in place of the result.
    """

    def __init__(self, forward, name=None, doc=None, *, promotes=None, is_view=False, saves=False):
        self.forward = forward
        self.__name__ = name or forward.__name__
        self.__doc__ = doc
        self.promotes = promotes
        self.is_view = is_view
        self.saves = saves
        self.rules, self.reads, self.reads_result = (), (), False

    def vjps(self, *functions):
        """Register the rules: `function(grad, out, *args, **options)` gives the gradient for one argument.

        A parameter whose name starts with an underscore says that the rule does not read those
        values (at most their shape), so that they may be overwritten, and the result forgotten.
        None stands for an argument without derivative.
        """
        self.rules = tuple(f or partial(no_derivative, self.__name__, i) for i, f in enumerate(functions))
        self.reads = tuple(read_positions(f) if f else () for f in functions)
        self.reads_result = any(-1 in reads for reads in self.reads)
        return self

    def vjp_each(self, function):
        """Register one rule for any number of arguments: `function(index, grad, out, *args, **options)`."""
        self.rules = EachArgument(function)
        return self

    def __get__(self, tensor, owner=None):
        return self if tensor is None else MethodType(self, tensor)

    def __repr__(self):
        return f"<primitive {self.__name__}>"

    def __call__(self, *args, **options):
        for arg in args:
            if isinstance(arg, Tensor):
                break
        else:
            return self.forward(*args, **options)
        arrays = [arg.array if isinstance(arg, Tensor) else arg for arg in args]
        if self.promotes and is_mixed(arrays):
            promoted = promote(args, arrays, self.promotes == "float", self.__name__)
            if promoted is not None:
                return self(*promoted, **options)
        try:
            result, saved = self.forward(*arrays, **options), None
        except ValueError as error:
            if not self.promotes:
                raise
            raise RuntimeError(f"{self.__name__}(): {error}") from None  # NumPy says which shapes do not broadcast
        if self.saves:
            result, saved = result
        out = record(self, result, args, arrays, saved, options)
        if self.is_view and np.may_share_memory(out.array, arrays[0]):
            base, steps, _ = args[0].view_of or (args[0], (), None)
            out.view_of = View(base, (*steps, (self, options)), base.node)
        return out


def record(primitive, result, args, arrays, saved=None, options=NO_OPTIONS):
    """The tensor around a result, with a node if an argument is tracked; `arrays` are those of `args`."""
    out = new(Tensor)
    out.array = result if type(result) is np.ndarray else np.asarray(result)
    out.node = out.view_of = None
    if grad_mode.enabled:
        parents, tracked = [], False
        for arg in args:
            if isinstance(arg, Tensor):
                node = arg.node if arg.view_of is None else current_node(arg)
                parents.append(node)
                if node is not None:
                    tracked = True
            else:
                parents.append(None)
        if tracked and primitive.rules:
            saved = out.array if primitive.reads_result and not primitive.saves else saved
            out.node = Node(primitive, parents, arrays, saved, options)
    if grad_mode.watcher is not None:
        grad_mode.watcher.call(primitive, args, arrays, options, result, out)
    return out


new = Tensor.__new__
primitive = Primitive  # reads better at a definition: add = primitive(np.add)


class EachArgument:
    """The rules of a primitive with any number of arguments, none of which reads values."""

    def __init__(self, function):
        self.function = function

    def __iter__(self):
        index = 0
        while True:
            yield partial(self.function, index)
            index += 1


def no_derivative(name, position, *_args, **_options):
    raise NotImplementedError(f"{name}() has no derivative for argument {position}")


def read_positions(function):
    """Which values a rule reads, from its parameters' names: 0, 1, ... for arguments, -1 for the result."""
    _, out, *names = function.__code__.co_varnames[: function.__code__.co_argcount]
    reads = [i for i, name in enumerate(names) if not name.startswith("_")]
    return tuple(reads if out.startswith("_") else [-1, *reads])


def is_mixed(arrays):
    """Whether the arguments are anything but floating-point arrays of one dtype and Python numbers."""
    dtype = None
    for array in arrays:
        kind = type(array)
        if kind is np.ndarray:
            if array.dtype is not dtype:
                if dtype is not None:
                    return True
                dtype = array.dtype
        elif kind is not float and kind is not int:
            return True
    return dtype.kind != "f"


def promote(args, arrays, to_float, name):
    """`args` with tensors and arrays of PyTorch's common dtype, or None if they are; Python numbers follow it."""
    arrays = [array.item() if isinstance(array, np.generic) else array for array in arrays]
    for array in arrays:
        if not isinstance(array, (np.ndarray, bool, int, float)):
            raise TypeError(f"{name}(): expected a tensor, an array or a number, got {type(array).__name__}")
        if isinstance(array, np.ndarray) and array.dtype.kind not in "biuf":
            raise TypeError(f"{name}(): expected numbers, got an array of dtype {array.dtype}")
    dtype = dtypes.result_type(arrays)
    if to_float and dtype.kind != "f":
        dtype = dtypes.default_float
    promoted, changed = [], False
    for arg, array in zip(args, arrays):
        if isinstance(array, np.ndarray) and array.dtype != dtype:
            arg, changed = cast(arg, dtype=dtype) if isinstance(arg, Tensor) else array.astype(dtype), True
        elif isinstance(arg, np.generic):
            arg, changed = array, True
        promoted.append(arg)
    return promoted if changed else None


cast = primitive(lambda x, dtype: x.astype(dtype), "to")
cast.vjps(lambda grad, _out, _x, *, dtype: cast(grad, dtype=_x.dtype))

truncate = primitive(cast.forward, "to")  # to integers or bools, which have no derivative

copy = primitive(lambda x: np.array(x, order="C"), "clone")
copy.vjps(lambda grad, _out, _x: grad)
