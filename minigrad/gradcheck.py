"""Gradients compared with finite differences."""

import warnings

import numpy as np

from .tensor import Tensor, gradients, wrap


class GradcheckError(RuntimeError):
    """A gradient differs from the finite difference."""


def gradcheck(func, inputs, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True, nondet_tol=0.0):
    """Compare the gradients that `backward` computes with central finite differences.

    For random upstream gradients v, one per output, every element i of every input that requires
    grad is checked:

        |analytic - numeric| <= atol + rtol |numeric|,
        numeric = sum(v (f(x + eps e_i) - f(x - eps e_i))) / (2 eps)

    Random upstream gradients also catch rules that ignore, or read only in part, what flows in.

    Args:
        func: a function of the inputs that returns a tensor or a tuple of tensors.
        inputs: a tensor or a sequence; those to check are float64 and require grad.
        eps, atol, rtol: the step, and the absolute and relative part of the bound.
        raise_exception: raise on failure; else return False.
        nondet_tol: how far two backward passes over the same graph may differ.

    Returns True if all gradients agree.

    Raises:
        GradcheckError: naming function, input, index, both values and the bound.
        ValueError: if no input requires grad, or no output depends on one.

    Example:
        >>> import minigrad
        >>> x = minigrad.randn(3, dtype=minigrad.float64, requires_grad=True)
        >>> minigrad.autograd.gradcheck(minigrad.exp, x)
        True
    """
    name = name_of(func)
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    checked = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
    if not checked:
        raise ValueError(f"gradcheck({name}): no input requires grad, so there is nothing to check")
    for i in checked:
        if inputs[i].dtype != np.float64:
            warnings.warn(
                f"gradcheck({name}): input {i} is {inputs[i].dtype}; finite differences of step {eps} need float64 and "
                "will likely differ. Use .double()",
                stacklevel=2,
            )
    try:
        _check(name, func, inputs, checked, eps, atol, rtol, nondet_tol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(func, inputs, grad_outputs=None, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True):
    """Check second derivatives: `gradcheck` of the gradient of `func`, by the inputs and the upstream gradients.

    Example:
        >>> import minigrad
        >>> x = minigrad.randn(3, dtype=minigrad.float64, requires_grad=True)
        >>> minigrad.autograd.gradgradcheck(minigrad.tanh, x)
        True
    """
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    checked = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
    if grad_outputs is None:
        grad_outputs = [wrap(v).requires_grad_() for v in _upstream(_outputs(func, inputs))]
    upstream = (grad_outputs,) if isinstance(grad_outputs, Tensor) else tuple(grad_outputs)

    def gradient(*values):
        values, v = values[: len(inputs)], values[len(inputs) :]
        found = gradients(_outputs(func, values), [values[i] for i in checked], v, create_graph=True)
        return tuple(g for g in found if g is not None and g.requires_grad)

    gradient.__name__ = f"gradient of {name_of(func)}"
    return gradcheck(gradient, (*inputs, *upstream), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception)


def name_of(func):
    """What messages call a function, a bound method or a module."""
    owner = getattr(func, "__self__", None)
    name = getattr(func, "__name__", type(func).__name__)
    return f"{owner.__name__}.{name}" if isinstance(owner, type) else name


def _outputs(func, inputs):
    """The floating-point results that are in the graph."""
    result = func(*inputs)
    result = (result,) if isinstance(result, Tensor) else tuple(result)
    return [y for y in result if isinstance(y, Tensor) and y.requires_grad]


def _upstream(outputs):
    """Random, non-uniform upstream gradients; the same in every run."""
    rng = np.random.default_rng(len(outputs))
    return [rng.standard_normal(y.shape).astype(y.dtype) for y in outputs]


def _check(name, func, inputs, checked, eps, atol, rtol, nondet_tol):
    before = [x.array.copy() if isinstance(x, Tensor) else None for x in inputs]
    outputs = _outputs(func, inputs)
    if not outputs:
        raise ValueError(f"gradcheck({name}): no output depends on an input that requires grad")
    upstream = _upstream(outputs)

    def backward(scale):
        found = gradients(outputs, [inputs[i] for i in checked], [wrap(v * scale) for v in upstream], retain_graph=True)
        return [np.zeros(inputs[i].shape) if g is None else g.array for i, g in zip(checked, found)]

    analytic, again, none = backward(1.0), backward(1.0), backward(0.0)
    for i, first, second, zero in zip(checked, analytic, again, none):
        if first.size and not np.max(np.abs(first - second)) <= nondet_tol and not np.isnan(first).any():
            raise GradcheckError(f"{name}: two backward passes for input {i} differ by {np.max(np.abs(first - second))}")
        if np.any(zero):
            raise GradcheckError(f"{name}: the gradient for input {i} is not 0 where the upstream gradient is")
    for i, (x, old) in enumerate(zip(inputs, before)):
        if isinstance(x, Tensor) and not np.array_equal(x.array, old, equal_nan=x.dtype.kind == "f"):
            raise GradcheckError(f"{name}: input {i} was written to")
    for i, gradient in zip(checked, analytic):
        numeric = _numeric(func, inputs, inputs[i].array, upstream, eps)
        bound = atol + rtol * np.abs(numeric)
        wrong = np.argwhere(~(np.abs(gradient - numeric) <= bound))
        if len(wrong):
            rows = [
                f"  input {i}, index {tuple(map(int, at))}: analytic {gradient[tuple(at)]:.10g}, "
                f"numeric {numeric[tuple(at)]:.10g}, bound {bound[tuple(at)]:.3g}"
                for at in wrong[:10]
            ]
            more = [f"  ... and {len(wrong) - 10} more"] if len(wrong) > 10 else []
            title = f"{name}: {len(wrong)} of {gradient.size} gradients for input {i}, of shape {gradient.shape}, are wrong"
            raise GradcheckError("\n".join([title, *rows, *more]))


def _numeric(func, inputs, array, upstream, eps):
    """The central difference of sum(upstream * func) by each element of `array`, which is changed and restored."""

    def value():
        return sum(float((y.array * v).sum()) for y, v in zip(_outputs(func, inputs), upstream))

    result = np.zeros(array.shape)
    for index in np.ndindex(array.shape):
        kept = array[index].copy()
        try:
            array[index] = kept + eps
            above = value()
            array[index] = kept - eps
            result[index] = (above - value()) / (2 * eps)
        finally:
            array[index] = kept
    return result
