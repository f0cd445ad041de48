"""What is checked, in one form: values at the arrays where they are, and gradients for any upstream gradients."""

import inspect
import warnings
from contextlib import contextmanager

import numpy as np

from ..tensor import Tensor, gradients, wrap

# How functions refuse arguments outside their domain; a step may lead there.
REFUSALS = (ValueError, RuntimeError, ArithmeticError, AssertionError, IndexError)
NUMBERS = "fiub"  # kinds of dtypes


class Misuse(ValueError):
    """The check was called in a wrong way, which is no fault of the gradient."""


class Subject:
    """A function with its arguments.

    A holder is whatever has the array in its attribute `array`: a tensor, or a `Box`. `holders` are all
    that the function reads, `variables` the pairs (name, holder) whose gradient is checked.
    """

    takes_upstream = True
    allows_complex = False
    is_anywhere = True  # whether the gradient is known at other arguments, too
    length = None  # of the vector of results

    def outputs(self):
        """The results as a list of arrays, not copied."""
        raise NotImplementedError

    def pull(self, upstream):
        """The gradient of sum(upstream * outputs) for each variable: an array, or None where there is none."""
        raise NotImplementedError

    def gradients(self, upstream):
        """The same as new arrays, zeros where there is none; these variables are `unconnected`."""
        found = self.pull(upstream)
        self.unconnected = {name for (name, _), g in zip(self.variables, found) if g is None}
        return [
            np.zeros(holder.array.shape, holder.array.dtype) if g is None else np.array(g)
            for (_, holder), g in zip(self.variables, found)
        ]

    def vector(self):
        """All results as one new vector, in float64 or complex; None where the function refuses the arguments."""
        try:
            joined = np.concatenate([np.ravel(y) for y in self.outputs()])
        except REFUSALS:
            return None
        self.length = joined.size if self.length is None else self.length
        if joined.size != self.length:
            return None
        return joined if joined.dtype.kind == "c" else joined.astype(np.float64)

    @contextmanager
    def moved(self, change):
        """Give every holder another array, `change(holder)`, for a while. The caller's memory is not written."""
        kept = [holder.array for holder in self.holders]
        try:
            for holder in self.holders:
                holder.array = np.asarray(change(holder))
            yield
        finally:
            for holder, array in zip(self.holders, kept):
                holder.array = array


def copied(holder):
    """The same values in memory of its own, in which no two elements overlap."""
    return np.array(holder.array, order="K" if 0 not in holder.array.strides else "C")


def doubled(holder):
    """A copy in float64, if it is a float at all."""
    return copied(holder).astype(np.float64) if holder.array.dtype.kind == "f" else copied(holder)


class TensorFunction(Subject):
    """A function of minigrad's tensors, or a module with its parameters; `check` is what its errors name."""

    def __init__(self, function, inputs, check="gradcheck"):
        self.name, self.function, self.inputs = name_of(function), function, inputs
        self.call = f"{check}({self.name})"
        module = function if hasattr(function, "named_parameters") else getattr(function, "__self__", None)
        named = [(f"input {i}", x) for i, x in enumerate(inputs) if isinstance(x, Tensor)]
        self.module = module if hasattr(module, "named_parameters") else None
        named += module.named_parameters() if self.module is not None else ()
        unique = {id(tensor): (name, tensor) for name, tensor in reversed(named)}
        named = list(unique.values())[::-1]
        self.variables = [(name, tensor) for name, tensor in named if tensor.requires_grad]
        buffers = [("buffer", b) for b in module.buffers()] if hasattr(module, "buffers") else []
        self.names, self.holders = zip(*named, *buffers) if named or buffers else ((), ())
        self.positions = None
        if not self.variables:
            got = ", ".join(type(x).__name__ for x in inputs) or "nothing"
            raise ValueError(
                f"{self.call}: no input requires grad, so there is nothing to check; got {got}. Use "
                "x.requires_grad_(), or for a function of NumPy arrays pass its gradient, grad="
            )

    def results(self):
        """The floating-point results that are in the graph."""
        result = self.function(*self.inputs)
        result = (result,) if isinstance(result, Tensor) else result
        if not isinstance(result, (tuple, list)):
            raise TypeError(
                f"{self.call}: expected a tensor or a tuple of tensors as the result, got "
                f"{type(result).__name__}. For a function of NumPy arrays pass its gradient, grad="
            )
        if self.positions is None:
            self.positions = [i for i, y in enumerate(result) if isinstance(y, Tensor) and y.requires_grad]
            if not self.positions:
                raise ValueError(f"{self.call}: no output depends on an input that requires grad")
        return [result[i] for i in self.positions]

    def outputs(self):
        return [y.array for y in self.results()]

    def pull(self, upstream):
        found = gradients(self.results(), [tensor for _, tensor in self.variables], [wrap(v) for v in upstream])
        return [None if g is None else g.array for g in found]


class Box:
    """An array that is no tensor."""

    def __init__(self, value):
        self.is_number = not isinstance(value, np.ndarray)  # given back as a number, if it is one
        self.array = np.asarray(value)

    def given(self):
        return self.array[()] if self.is_number else self.array


class ArrayFunction(Subject):
    """A function of NumPy arrays and the function, or the array, that is said to be its gradient."""

    def __init__(self, function, inputs, gradient):
        self.name, self.function, self.gradient = name_of(function), function, gradient
        is_list = isinstance(inputs, list) and any(isinstance(x, np.ndarray) for x in inputs)
        inputs = inputs if is_list or isinstance(inputs, tuple) else [inputs]
        if any(isinstance(x, Tensor) for x in inputs):
            raise ValueError(
                f"gradcheck({self.name}): grad= is for functions of NumPy arrays, got a tensor as input. Leave grad= "
                "out, as tensors come with their gradient, or use x.detach().numpy()"
            )
        self.holders = [Box(x) for x in inputs]
        self.names = [f"input {i}" for i in range(len(self.holders))]
        self.count_integers_as_floats()
        self.variables = [(n, box) for n, box in zip(self.names, self.holders) if box.array.dtype.kind == "f"]
        if not self.variables:
            got = ", ".join(str(box.array.dtype) for box in self.holders)
            raise ValueError(
                f"gradcheck({self.name}): no input holds floats, so there is nothing to check; got {got}. Use "
                "x.astype(float), and a function that takes floats"
            )
        self.takes_upstream, self.is_anywhere = self.wants_upstream(), callable(gradient)

    def count_integers_as_floats(self):
        """Numbers, as in f(-2, 5), and arrays where no input is one of floats; but not what must be an integer.

        An array of integers beside one of floats may be indices; an axis or a size is refused as a float.
        """
        any_floats = any(box.array.dtype.kind == "f" for box in self.holders)
        for box in self.holders:
            if box.array.dtype.kind in "iu" and (box.is_number or not any_floats):
                integers, box.array = box.array, box.array.astype(np.float64)
                try:
                    with self.moved(copied):
                        self.function(*self.arguments())
                except Exception:  # whatever a function says to a float; what else it says comes again, below
                    box.array = integers

    def wants_upstream(self):
        """Whether the gradient is called with upstream gradients, too, which for a single number it need not be."""
        with self.moved(copied):
            result = self.function(*self.arguments())
        several = isinstance(result, (tuple, list))
        results, inputs = result if several else (result,), len(self.holders)
        for i, y in enumerate(results):
            if np.asarray(y).dtype.kind not in NUMBERS:
                got = type(y).__name__
                raise ValueError(f"gradcheck({self.name}): expected a number or an array as output {i}, got {got}")
        is_number = not several and np.ndim(result) == 0
        if not callable(self.gradient) or is_number and takes(self.gradient, inputs):
            return False
        if takes(self.gradient, inputs + len(results)):
            return True
        alone = f", nor {inputs} without it" if is_number else ""
        raise ValueError(
            f"gradcheck({self.name}): grad does not take {inputs + len(results)} arguments, the upstream gradient "
            f"after the inputs{alone}. It should return the gradient of sum(upstream * fn(x)); for np.sin that is "
            "lambda x, upstream: upstream * np.cos(x)"
        )

    def arguments(self):
        return [box.given() for box in self.holders]

    def outputs(self):
        result = self.function(*self.arguments())
        result = result if isinstance(result, (tuple, list)) else (result,)
        return [floats(y) for y in result]

    def pull(self, upstream):
        if callable(self.gradient):
            found = self.gradient(*self.arguments(), *(upstream if self.takes_upstream else ()))
        else:
            found = self.gradient
        several = isinstance(found, tuple) or isinstance(found, list) and len(self.holders) > 1
        found = list(found) if several else [found]
        if len(found) == len(self.holders):  # one for each input; those of integers do not count
            found = [g for g, box in zip(found, self.holders) if box.array.dtype.kind == "f"]
        if len(found) != len(self.variables):
            raise Misuse(
                f"gradcheck({self.name}): grad gave {len(found)} gradients for {len(self.variables)} inputs, "
                "expected a tuple with one array for each; a constant belongs in fn, not in inputs"
            )
        for (name, _), g in zip(self.variables, found):
            if g is not None and np.asarray(g).dtype.kind not in NUMBERS:
                got = type(g).__name__
                raise Misuse(f"gradcheck({self.name}): expected an array as the gradient for {name}, got {got}")
        return [None if g is None else floats(g) for g in found]

    allows_complex = True

    def imaginary(self):
        """The imaginary part of all results, None if the function does not go along with complex arguments."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                vector = self.vector()
            except Exception:  # whatever a function says to numbers it was not written for
                return None
        return vector.imag if vector is not None and vector.dtype.kind == "c" else None


def floats(value):
    """An array, in float64 if it is one of integers, as max(0, x) may be."""
    array = np.asarray(value)
    return array if array.dtype.kind in "fc" else array.astype(np.float64)


def takes(function, count):
    """Whether a function can be called with so many arguments, as far as it says."""
    if isinstance(function, np.ufunc):
        return function.nin == count
    try:
        inspect.signature(function).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # a function in C that does not say
        pass
    return True


def name_of(function):
    """What messages call a function, a bound method or a module."""
    owner = getattr(function, "__self__", None)
    name = getattr(function, "__name__", type(function).__name__)
    return f"{owner.__name__}.{name}" if isinstance(owner, type) else name
