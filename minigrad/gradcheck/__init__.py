"""Gradients compared with numeric derivatives: a verdict without tuning, and the likely cause of a wrong one."""

import inspect
import warnings

import numpy as np

from ..graph import enable_grad
from ..tensor import gradients, wrap
from .arguments import also_called, validate
from .optimizers import check_optimizer
from .report import GradcheckError, GradcheckReport
from .subject import ArrayFunction, TensorFunction, name_of
from .verdict import check, random_upstream

__all__ = ["GradcheckError", "GradcheckReport", "check_optimizer", "gradcheck", "gradgradcheck"]


@also_called(func="fn")
def gradcheck(
    fn, inputs, *, grad=None, eps=None, atol=None, rtol=None, raise_exception=True, nondet_tol=0.0,
    check_undefined_grad=True, check_grad_dtypes=False, check_batched_grad=False, check_batched_forward_grad=False,
    check_forward_ad=False, check_backward_ad=True, fast_mode=False, masked=False, seconds=10.0,
):  # fmt: skip
    """Check the gradient of `fn` against numeric derivatives, and say what is wrong with a wrong one.

    For random upstream gradients v, one per output, the gradient g of phi(x) = sum(v * fn(x)) that `backward()`
    gives is compared with differences of phi over a sweep of steps. It needs no tuning: the steps follow from the
    dtype and the size of each input, and the bound of each element from the estimated error of its own difference
    and the rounding of its own gradient. The remainder |phi(x + t u) - phi(x) - t g.u| falls with t^2 where g is
    right, with t where it is wrong. float32 functions are evaluated at float64 copies, if they allow it, NumPy
    functions at complex arguments. Where the slopes to the two sides differ, any value between them is right, and
    reported as a kink. Inputs too large for every element are compared along random directions, with a random
    choice of elements. Elements too small to show beside others are compared again where all are about as large.

    Args:
        fn: a function of tensors that returns a tensor or several; or a module, whose parameters are checked,
            too; or, with `grad`, a function of NumPy arrays that returns a number or arrays. PyTorch's name for it,
            `func`, is taken, too.
        inputs: a tensor, or a sequence of tensors and other arguments; those that require grad are checked.
            With `grad`: an array or a number, or a tuple of them. Integers count as floats, but for arrays beside
            arrays of floats, and where fn refuses a float.
        grad: the gradient of a NumPy function, for several inputs a tuple with one for each: an array, which is the
            gradient of fn's result or of the sum of its elements; or a function. It takes the inputs and, last, the
            upstream gradient (one for each output), and returns the gradient of sum(upstream * fn(x)). Where fn
            returns a single number it may take the inputs alone.
        eps, atol, rtol: if any is given, PyTorch's test takes the place of the above: one central difference of
            step eps (1e-6), and |analytic - numeric| <= atol + rtol |numeric| (1e-5 and 1e-3).
        raise_exception: raise if the gradient is wrong; else return the report, which is then false.
        nondet_tol: how far two backward passes may differ.
        check_grad_dtypes: a gradient must have the dtype of its input. One of minigrad's tensors always must.
        fast_mode: random directions only (without eps, atol and rtol).
        seconds: how long comparing every element may take; directions are used beyond.
        check_undefined_grad, masked: PyTorch's, which change nothing here: outputs without an upstream gradient have
            one of zeros, and there are no sparse tensors.
        check_batched_grad, check_batched_forward_grad, check_forward_ad, check_backward_ad: PyTorch's, of which
            minigrad has only what their defaults ask for.

    Returns a `GradcheckReport`: true if the gradient is right; printed, a table.

    Raises:
        GradcheckError: with the report, naming the cause if it is a known one.
        TypeError, ValueError: for an argument that cannot be, if no input requires grad, or no output depends on one.

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
    validate("gradcheck", locals())
    __tracebackhide__ = True  # pytest then shows the line of the test
    subject = TensorFunction(fn, listed(inputs)) if grad is None else ArrayFunction(fn, inputs, grad)
    if any(value is not None for value in (eps, atol, rtol)):
        for name, holder in subject.variables:
            if holder.array.dtype != np.float64:
                warnings.warn(
                    f"gradcheck({subject.name}): {name} is {holder.array.dtype}; differences of one fixed step need "
                    "float64 and will likely differ. Leave eps, atol and rtol out, or use .double()",
                    stacklevel=3,
                )
    report = check(
        subject, eps=eps, atol=atol, rtol=rtol, nondet_tol=nondet_tol, fast_mode=fast_mode, seconds=seconds
    )
    if check_grad_dtypes and report:
        for part, (name, holder) in zip(report.checked, subject.variables):
            if part.dtype != holder.array.dtype:
                report.cause = f"dtype: the gradient for {name} is {part.dtype}, expected {holder.array.dtype}"
    if raise_exception and not report:
        raise GradcheckError(report) from report.error
    return report


def listed(values):
    """One value or several, as a tuple."""
    return tuple(values) if isinstance(values, (tuple, list)) else (values,)


@also_called(func="fn")
def gradgradcheck(
    fn, inputs, grad_outputs=None, *, gen_non_contig_grad_outputs=False, check_fwd_over_rev=False,
    check_rev_over_rev=True, **options,
):  # fmt: skip
    """Check second derivatives: `gradcheck` of the gradient of `fn`, by the inputs and the upstream gradients.

    Args:
        fn, inputs: as for `gradcheck`.
        grad_outputs: the upstream gradients, a tensor or one for each output; random ones by default.
        gen_non_contig_grad_outputs: random ones that are not contiguous.
        check_fwd_over_rev, check_rev_over_rev: PyTorch's, of which minigrad has only what their defaults ask for.
        options: those of `gradcheck`, but for `grad`.

    Raises:
        GradcheckError, TypeError, ValueError: as `gradcheck`, and for `grad_outputs` unlike the outputs.
        RuntimeError: if the backward pass cannot be differentiated, as one that uses NumPy alone.

    Example:
        >>> import minigrad
        >>> x = minigrad.randn(3, dtype=minigrad.float64, requires_grad=True)
        >>> bool(minigrad.autograd.gradgradcheck(minigrad.tanh, x))
        True
    """
    validate("gradgradcheck", {name: value for name, value in locals().items() if name != "options"})
    __tracebackhide__ = True
    if unknown := options.keys() - inspect.signature(gradcheck).parameters.keys():
        raise TypeError(f"gradgradcheck: {min(unknown)} is no parameter, nor one of gradcheck's")
    if options.get("grad") is not None:
        raise ValueError(
            "gradgradcheck: grad= is for functions of NumPy arrays, of which there are no second derivatives. Give the "
            "gradient as the function, gradcheck(g, x, grad=its gradient)"
        )
    validate("gradgradcheck", options)
    inputs = listed(inputs)
    subject = TensorFunction(fn, inputs, "gradgradcheck")
    wanted = [tensor for _, tensor in subject.variables]
    outputs = subject.outputs()
    if grad_outputs is None:
        drawn = random_upstream(outputs)
        if gen_non_contig_grad_outputs:
            drawn = [np.repeat(v[..., None], 2, -1)[..., 0] for v in drawn]
        grad_outputs = [wrap(v).requires_grad_() for v in drawn]
    upstream = listed(grad_outputs)
    expected, got = (", ".join(f"{y.dtype} {y.shape}" for y in values) for values in (outputs, upstream))
    if got != expected:
        raise ValueError(f"{subject.call}: grad_outputs must be as the outputs, {expected}, got {got}")

    @enable_grad()
    def gradient(*values):
        given, v = values[: len(inputs)], values[len(inputs) :]
        inner = TensorFunction(fn, given, "gradgradcheck")
        try:
            found = gradients(inner.results(), wanted, v, create_graph=True)
        except (TypeError, ValueError, RuntimeError) as error:
            raise RuntimeError(
                f"{subject.call}: the backward pass, which is itself differentiated here, raised "
                f"{type(error).__name__}: {error}. Its rule must be written in operations on tensors"
            ) from error
        return tuple(g for g in found if g is not None and g.requires_grad)

    gradient.__name__ = f"gradient of {name_of(fn)}"
    if subject.module is not None:
        gradient.named_parameters = subject.module.named_parameters
    return gradcheck(gradient, (*inputs, *upstream), **options)
