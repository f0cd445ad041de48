"""Gradients compared with numeric derivatives: a verdict without tuning, and the likely cause of a wrong one."""

import warnings

import numpy as np

from ..graph import enable_grad
from ..tensor import Tensor, gradients, wrap
from .optimizers import check_optimizer
from .report import GradcheckError, GradcheckReport
from .subject import ArrayFunction, TensorFunction, name_of
from .verdict import check, random_upstream

__all__ = ["GradcheckError", "GradcheckReport", "check_optimizer", "gradcheck", "gradgradcheck"]


def gradcheck(
    fn, inputs, *, grad=None, eps=None, atol=None, rtol=None, nondet_tol=0.0, raise_exception=True, fast_mode=False,
    seconds=10.0,
):  # fmt: skip
    """Check the gradient of `fn` against numeric derivatives, and say what is wrong with a wrong one.

    For random upstream gradients v, one per output, the gradient g of phi(x) = sum(v * fn(x)) that
    `backward()` gives is compared with differences of phi over a sweep of steps. It needs no
    tuning: the steps follow from the dtype and the size of each input, and the bound from the estimated
    error of each difference. The remainder |phi(x + t u) - phi(x) - t g.u| falls with t^2 where g is
    right, with t where it is wrong. float32 functions are evaluated at float64 copies, if they allow it,
    NumPy functions at complex arguments. Where the slopes to the two sides differ, any value between
    them is right, and reported as a kink. Inputs too large for every element are compared along random
    directions, with a random choice of elements.

    Args:
        fn: a function of tensors that returns a tensor or several; or a module, whose parameters are checked,
            too; or, with `grad`, a function of NumPy arrays that returns a number or arrays.
        inputs: a tensor, or a sequence of tensors and other arguments; those that require grad are checked.
            With `grad`: an array or a number, or a tuple of them.
        grad: the gradient of a NumPy function: an array, or a function of the same arguments that returns
            an array for one input, a tuple for several. If fn returns an array, it takes the upstream gradient
            as a last argument and returns the gradient of sum(upstream * fn(x)).
        eps, atol, rtol: if any is given, PyTorch's test takes the place of the above: one central difference of
            step eps (1e-6), and |analytic - numeric| <= atol + rtol |numeric| (1e-5 and 1e-3).
        nondet_tol: how far two backward passes may differ.
        raise_exception: raise if the gradient is wrong; else return the report, which is then false.
        fast_mode: random directions only (without eps, atol and rtol).
        seconds: how long comparing every element may take; directions are used beyond.

    Returns a `GradcheckReport`: true if the gradient is right; printed, a table.

    Raises:
        GradcheckError: with the report, naming the cause if it is a known one.
        ValueError: if no input requires grad, or no output depends on one.

    Sources: L. F. Richardson (1911) and C. Ridders (1982) for the extrapolation, J. N. Lyness and C. B. Moler
    (1967) for the complex step.

    Example:
        >>> import minigrad
        >>> x = minigrad.tensor([0.5, -1.0, 2.0], requires_grad=True)
        >>> bool(minigrad.gradcheck(minigrad.exp, x))
        True
        >>> import numpy as np
        >>> x = np.array([1.0, 2.0])
        >>> minigrad.gradcheck(lambda x: np.sum(x**3), x, grad=lambda x: x**2, raise_exception=False).cause
        'constant factor: 1/3, the gradient for input 0'
    """
    if grad is not None:
        subject = ArrayFunction(fn, inputs, grad)
    else:
        subject = TensorFunction(fn, (inputs,) if isinstance(inputs, Tensor) else tuple(inputs))
    if any(value is not None for value in (eps, atol, rtol)):
        for name, holder in subject.variables:
            if holder.array.dtype != np.float64:
                warnings.warn(
                    f"gradcheck({subject.name}): {name} is {holder.array.dtype}; differences of one fixed step need "
                    "float64 and will likely differ. Leave eps, atol and rtol out, or use .double()",
                    stacklevel=2,
                )
    report = check(
        subject, eps=eps, atol=atol, rtol=rtol, nondet_tol=nondet_tol, fast_mode=fast_mode, seconds=seconds
    )
    if raise_exception and not report:
        raise GradcheckError(report)
    return report


def gradgradcheck(fn, inputs, grad_outputs=None, **options):
    """Check second derivatives: `gradcheck` of the gradient of `fn`, by the inputs and the upstream gradients.

    `grad_outputs` are the upstream gradients, random ones by default; `options` are those of `gradcheck`.

    Example:
        >>> import minigrad
        >>> x = minigrad.randn(3, dtype=minigrad.float64, requires_grad=True)
        >>> bool(minigrad.autograd.gradgradcheck(minigrad.tanh, x))
        True
    """
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    subject = TensorFunction(fn, inputs)
    wanted = [tensor for _, tensor in subject.variables]
    if grad_outputs is None:
        grad_outputs = [wrap(v).requires_grad_() for v in random_upstream(subject.outputs())]
    upstream = (grad_outputs,) if isinstance(grad_outputs, Tensor) else tuple(grad_outputs)

    @enable_grad()
    def gradient(*values):
        given, v = values[: len(inputs)], values[len(inputs) :]
        inner = TensorFunction(fn, given)
        found = gradients(inner.results(), wanted, v, create_graph=True)
        return tuple(g for g in found if g is not None and g.requires_grad)

    gradient.__name__ = f"gradient of {name_of(fn)}"
    if subject.module is not None:
        gradient.named_parameters = subject.module.named_parameters
    return gradcheck(gradient, (*inputs, *upstream), **options)
