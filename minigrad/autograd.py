"""Gradients as values, and the public names around them."""

from .function import Function
from .gradcheck import GradcheckError, check_optimizer, gradcheck, gradgradcheck
from .graph import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from .tensor import Tensor, accumulate, current_node, gradients, run_backward

__all__ = [
    "Function", "GradcheckError", "backward", "check_optimizer", "enable_grad", "grad", "gradcheck", "gradgradcheck", "is_grad_enabled",
    "no_grad", "set_grad_enabled",
]  # fmt: skip


def _sequence(value):
    return (value,) if isinstance(value, Tensor) or value is None else tuple(value)


def backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None):
    """Add the gradient of the sum of several tensors to `.grad` of their leaves; see `Tensor.backward`."""
    tensors = _sequence(tensors)
    wanted = None if inputs is None else [current_node(tensor) for tensor in _sequence(inputs)]
    accumulate(run_backward(tensors, _upstream(tensors, grad_tensors), retain_graph, create_graph, wanted))


def _upstream(outputs, gradients):
    gradients = (None,) * len(outputs) if gradients is None else _sequence(gradients)
    if len(gradients) != len(outputs):
        raise RuntimeError(f"grad(): got {len(gradients)} upstream gradients for {len(outputs)} outputs")
    return gradients


def grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, allow_unused=False):
    """The gradients of the sum of `outputs` with respect to `inputs`, as a tuple; no `.grad` is touched.

    Args:
        outputs: a tensor or a sequence of them.
        inputs: the tensors to differentiate by, leaves or not.
        grad_outputs: the upstream gradients, one per output (v in v^T J); optional for single values.
        retain_graph: keep the graph; by default as `create_graph`.
        create_graph: record the backward pass, so that the results can be differentiated again.
        allow_unused: give None for an input that the outputs do not depend on, instead of raising.

    Example:
        >>> import minigrad
        >>> x = minigrad.tensor(3.0, requires_grad=True)
        >>> (slope,) = minigrad.autograd.grad(x ** 3, x, create_graph=True)
        >>> slope
        tensor(27., grad_fn=<mul>)
        >>> minigrad.autograd.grad(slope, x)
        (tensor(18.),)
    """
    outputs, inputs = _sequence(outputs), _sequence(inputs)
    for i, tensor in enumerate(inputs):
        if current_node(tensor) is None:
            raise RuntimeError(f"grad(): inputs[{i}] does not require grad")
    found = gradients(outputs, inputs, _upstream(outputs, grad_outputs), retain_graph, create_graph)
    unused = [i for i, gradient in enumerate(found) if gradient is None]
    if unused and not allow_unused:
        raise RuntimeError(f"grad(): the outputs do not depend on inputs {unused}. Pass allow_unused=True to get None")
    return found
