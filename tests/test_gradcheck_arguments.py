"""What gradcheck and gradgradcheck can be called with: PyTorch's parameters, and clear errors for the rest."""

import inspect

import numpy as np
import pytest

import minigrad
from minigrad import autograd, gradcheck, gradgradcheck
from minigrad.gradcheck.arguments import ARGUMENTS
from minigrad.primitive import Primitive


def leaf(values, dtype=minigrad.float64):
    return minigrad.tensor(values, dtype=dtype, requires_grad=True)


def square(rule):
    """x^2 with the given derivative rule."""
    return Primitive(lambda x: x * x, "square").vjps(rule)


def test_nothing_to_check():
    """Without an input or an output in the graph there is nothing to check, which is an error."""
    x = leaf([1.0])
    for inputs in (minigrad.ones(1), 1.0, np.ones(1), (np.ones(1), "mean"), ()):
        with pytest.raises(ValueError, match=r"gradcheck\(exp\): no input requires grad.* got .*its gradient, grad="):
            gradcheck(minigrad.exp, inputs)
    with pytest.raises(ValueError, match="no output depends"):
        gradcheck(lambda x: x.detach(), x)
    with pytest.raises(TypeError, match="got ndarray.*pass its gradient"):
        gradcheck(lambda x: x.detach().numpy(), x)


# One error for what cannot be

X, A = leaf([1.0, 2.0]), np.array([1.0, 2.0])
SINE = dict(fn=np.sin, inputs=A)
BAD = [
    (gradcheck, dict(fn=3, inputs=X), TypeError, "gradcheck: fn must be a function or a module, got 3"),
    (gradcheck, dict(fn=minigrad.exp, inputs={"x": X}), TypeError, "gradcheck: inputs must be a tensor or a tuple"),
    (gradcheck, dict(fn=minigrad.exp, inputs="x"), TypeError, "inputs .* got 'x'"),
    (gradcheck, dict(fn=minigrad.exp, inputs=X, eps=0), ValueError, "eps must be a step > 0, got 0. Leave"),
    (gradcheck, dict(fn=minigrad.exp, inputs=X, eps=-1e-6), ValueError, "eps must be a step > 0, got -1e-06"),
    (gradcheck, dict(fn=minigrad.exp, inputs=X, eps="1e-6"), TypeError, "eps must be a step > 0, got '1e-6'"),
    (gradcheck, dict(fn=minigrad.exp, inputs=X, atol=-1), ValueError, "atol must be a number >= 0, got -1"),
    (gradcheck, dict(fn=minigrad.exp, inputs=X, rtol=np.nan), ValueError, "rtol must be a number >= 0, got nan"),
    (gradcheck, dict(fn=minigrad.exp, inputs=X, nondet_tol=None), TypeError, "nondet_tol must be .* got None"),
    (gradcheck, dict(fn=minigrad.exp, inputs=X, seconds=-1), ValueError, "seconds must be a number >= 0"),
    (gradcheck, dict(fn=minigrad.exp, inputs=X, fast_mode="no"), TypeError, "fast_mode must be True or False"),
    (gradcheck, dict(fn=minigrad.exp, inputs=X, check_forward_ad=True), ValueError, "must be False.* no forward mode"),
    (gradcheck, dict(fn=minigrad.exp, inputs=X, check_backward_ad=False), ValueError, "check_backward_ad must be True"),
    (gradcheck, dict(fn=minigrad.exp, inputs=X, check_batched_grad=True), ValueError, "no vmap"),
    (gradgradcheck, dict(fn=minigrad.exp, inputs=X, check_fwd_over_rev=True), ValueError, "gradgradcheck: .*False"),
    (gradgradcheck, dict(fn=minigrad.exp, inputs=X, grad_outputs=A), TypeError, "grad_outputs .* got array"),
    (gradgradcheck, dict(fn=minigrad.exp, inputs=X, grad_outputs=(X, X)), ValueError,
     r"as the outputs, float64 \(2,\), got float64 \(2,\), float64 \(2,\)"),
    (gradgradcheck, dict(fn=minigrad.exp, inputs=X, grad=A), ValueError, "grad= is for functions of NumPy arrays"),
    (gradgradcheck, dict(fn=minigrad.exp, inputs=X, eps=0), ValueError, "eps must be a step > 0"),
    (gradgradcheck, dict(fn=minigrad.exp, inputs=X, grad=A), ValueError, "gradgradcheck: grad= .*gradcheck.g, x"),
    (gradgradcheck, dict(fn=minigrad.exp, inputs=X, eps=0), ValueError, "gradgradcheck: eps"),
    (gradgradcheck, dict(fn=minigrad.exp, inputs=X, foo=1), TypeError, "gradgradcheck: foo is no parameter"),
    (gradgradcheck, dict(fn=minigrad.exp, inputs=X, steps=5), TypeError, "gradgradcheck: steps is no parameter"),
    (gradgradcheck, dict(fn=minigrad.exp, inputs=minigrad.ones(1)), ValueError,
     r"gradgradcheck\(exp\): no input requires grad"),
    (gradgradcheck, dict(fn=lambda x: x.detach(), inputs=X), ValueError,
     r"gradgradcheck\(<lambda>\): no output depends"),
    (gradcheck, dict(func=3, inputs=X), TypeError, "gradcheck: fn must be a function or a module, got 3"),
    (gradcheck, dict(fn=minigrad.exp, func=minigrad.exp, inputs=X), TypeError, "func is another name of fn, got both"),
    (gradcheck, dict(SINE, grad="cos"), TypeError, "grad must be an array or a function .* got 'cos'"),
    (gradcheck, dict(fn=minigrad.exp, inputs=X, grad=lambda x: x), ValueError, r"got a tensor.*\.detach\(\)\.numpy"),
    (gradcheck, dict(SINE, grad=lambda x: np.cos(x)), ValueError, "grad does not take 2 arguments, the upstream"),
    (gradcheck, dict(SINE, grad=np.cos), ValueError, "grad does not take 2 arguments"),
    (gradcheck, dict(fn=np.sum, inputs=A, grad=lambda x, y, z: x), ValueError, "take 2 arg.*, nor 1 without it"),
    (gradcheck, dict(fn=np.sum, inputs=A, grad=lambda x: "x"), ValueError, "an array as the gradient .* got str"),
    (gradcheck, dict(fn=lambda x: None, inputs=A, grad=A), ValueError, "an array as output 0, got NoneType"),
    (gradcheck, dict(fn=np.sum, inputs=A + 1j, grad=A), ValueError, "no input holds floats.* got complex128"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "arguments", "error", "said"), BAD, ids=[said[:40] for *_, said in BAD])
def test_bad_arguments(check, arguments, error, said):
    """Each is refused by one error, which names function and argument, what came and what was expected."""
    with pytest.raises(error, match=said):
        check(**arguments)


def test_every_parameter_has_its_row():
    """What one of the three functions takes is in the table, and nothing else."""
    checks = gradcheck, gradgradcheck, minigrad.check_optimizer
    taken = set().union(*(inspect.signature(check).parameters for check in checks))
    assert taken == set(ARGUMENTS)


# PyTorch's parameters


def test_pytorchs_parameters():
    """Any of eps, atol and rtol asks for PyTorch's test, with the step and the bound it says."""
    seen = []

    def cube(x):
        seen.append(x.tolist()[0])
        return x * x * x

    assert gradcheck(cube, leaf([2.0]), eps=1e-3)
    assert {2.0, 2.001, 1.999} == set(seen)
    # The difference of step 1/4 for x^3 is 3 x^2 + 1/16, for an upstream gradient v between 0.5 and 1.5
    x, exact = leaf([1.0]), dict(eps=0.25, raise_exception=False)
    part = gradcheck(cube, x, **exact).checked[0]
    v = part.analytic[0] / 3
    assert part.numeric[0] == pytest.approx(v * (3 + 1 / 16))
    assert not gradcheck(cube, x, rtol=0, atol=abs(v) / 16.1, **exact)
    assert gradcheck(cube, x, rtol=0, atol=abs(v) / 15.9, **exact)
    assert not gradcheck(cube, x, atol=0, rtol=1 / 49.1, **exact)
    assert gradcheck(cube, x, atol=0, rtol=1 / 48.9, **exact)
    assert gradcheck(minigrad.exp, leaf([0.1] * 50), fast_mode=True).checked[0].measured.sum() == 0


PYTORCHS = dict(
    raise_exception=True, nondet_tol=0.0, check_undefined_grad=True, check_grad_dtypes=False, check_batched_grad=False,
    check_batched_forward_grad=False, check_forward_ad=False, check_backward_ad=True, fast_mode=False,
)  # fmt: skip


@pytest.mark.parametrize("masked", [None, False, True])
def test_a_call_with_all_of_pytorchs_parameters(masked):
    """PyTorch's calls are taken, and as in PyTorch by keyword only."""
    assert gradcheck(minigrad.exp, X, eps=1e-6, atol=1e-5, rtol=1e-3, masked=masked, **PYTORCHS)
    assert gradcheck(minigrad.exp, X, **{**PYTORCHS, "check_undefined_grad": False, "check_grad_dtypes": True})
    assert gradgradcheck(minigrad.exp, X, gen_non_contig_grad_outputs=True, check_rev_over_rev=True, nondet_tol=0.0)
    with pytest.raises(TypeError, match="positional"):
        gradcheck(minigrad.exp, X, 1e-6)


@pytest.mark.parametrize("check", [gradcheck, gradgradcheck])
def test_pytorchs_name_of_the_function(check):
    assert check(func=minigrad.exp, inputs=X)
    with pytest.raises(TypeError, match="multiple values"):
        check(minigrad.exp, X, func=minigrad.exp)
    with pytest.raises(minigrad.GradcheckError) as caught:
        check(func=square(lambda grad, _out, x: grad * (x.detach() if isinstance(x, minigrad.Tensor) else x)), inputs=X)
    shown = [entry.name for entry in caught.traceback if not entry.frame.f_locals.get("__tracebackhide__")]
    assert ["test_pytorchs_name_of_the_function"] == shown


def test_a_backward_pass_in_numpy_alone():
    """It has a first derivative, and the error of the second says what it lacks."""

    class Cube(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return minigrad.from_numpy(grad.numpy() * 3 * x.numpy() ** 2)

    said = r"^gradgradcheck\(Cube.apply\): the backward pass, .* raised .*numpy\(\).* written in operations on tensors"
    assert gradcheck(Cube.apply, X)
    with pytest.raises(RuntimeError, match=said):
        gradgradcheck(Cube.apply, X)


@pytest.mark.parametrize("name", ["gradcheck", "gradgradcheck"])
def test_pytorchs_signature(name):
    """Every parameter of PyTorch's function is taken, with its default, but for those of its tolerances."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ours = dict(inspect.signature(gradcheck).parameters) | dict(inspect.signature(getattr(autograd, name)).parameters)
    theirs = inspect.signature(getattr(torch.autograd, name)).parameters
    for key in theirs.keys() - {"func", "eps", "atol", "rtol", "masked"}:
        assert (ours[key].default, ours[key].kind) == (theirs[key].default, theirs[key].kind), key
    assert {"eps", "atol", "rtol", "masked"} < ours.keys() & theirs.keys()


def test_layout_of_random_upstream_gradients():
    """gen_non_contig_grad_outputs gives what it says."""
    seen = []

    def watched(grad, _out, x):
        seen.append(grad.is_contiguous() if isinstance(grad, minigrad.Tensor) else True)
        return grad * 2.0 * x

    for spaced in (True, False):
        seen.clear()
        assert gradgradcheck(square(watched), leaf([1.0, 2.0]), gen_non_contig_grad_outputs=spaced)
        assert spaced != all(seen)


def test_dtype_of_a_hand_written_gradient():
    """It counts where check_grad_dtypes asks."""
    x = A.astype(np.float32)
    slope = lambda x: (2 * x).astype(np.float64)
    assert gradcheck(lambda x: np.sum(x * x), x, grad=slope)
    with pytest.raises(minigrad.GradcheckError, match="dtype: the gradient for input 0 is float64, expected float32"):
        gradcheck(lambda x: np.sum(x * x), x, grad=slope, check_grad_dtypes=True)


def test_a_fixed_step_in_float32_warns():
    """One small step in float32 is mostly rounding, and the warning says so."""
    with pytest.warns(UserWarning, match="input 0 is float32.*float64"):
        gradcheck(minigrad.exp, minigrad.ones(1, requires_grad=True), eps=1e-6, raise_exception=False)
