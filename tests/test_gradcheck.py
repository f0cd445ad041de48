"""The gradient checker: what it takes, what it says, and what it leaves alone. Its verdicts: test_planted.py."""

import subprocess
import sys

import numpy as np
import pytest

import minigrad
from minigrad import autograd, gradcheck, gradgradcheck, nn
from minigrad.gradcheck.differences import settle
from minigrad.graph import Node
from minigrad.nn import functional as F
from minigrad.primitive import Primitive


def leaf(values, dtype=minigrad.float64):
    return minigrad.tensor(values, dtype=dtype, requires_grad=True)


def square(rule):
    """x^2 with the given derivative rule."""
    return Primitive(lambda x: x * x, "square").vjps(rule)


def product(x_rule, y_rule):
    return Primitive(lambda x, y: x * y, "product").vjps(x_rule, y_rule)


def right(grad, _out, x):
    return grad * 2.0 * x


def cause_of(*arguments, **options):
    return gradcheck(*arguments, raise_exception=False, **options).cause_key


# The verdict


def test_right_rule():
    """The right rule passes, for 0-d, empty and larger inputs."""
    for shape in [(), (0,), (2, 3)]:
        assert gradcheck(square(right), minigrad.randn(*shape, dtype=minigrad.float64, requires_grad=True))


def test_wrong_rule():
    """A wrong rule fails, by an exception that has the report, or by a false report."""
    wrong = square(lambda grad, _out, x: grad * x)
    with pytest.raises(minigrad.GradcheckError, match="square: the gradient is wrong. constant factor: 1/2") as caught:
        gradcheck(wrong, leaf([0.5, -1.5, 2.0]))
    report = gradcheck(wrong, leaf([0.5, -1.5, 2.0]), raise_exception=False)
    assert isinstance(caught.value, RuntimeError)
    assert str(caught.value.report) == str(report) == str(caught.value)
    assert (False, False, "constant factor") == (bool(report), bool(caught.value.report), report.cause_key)


def test_the_report_is_a_table():
    """It names function, input, index, both values, the bound and the order of the remainder."""
    wrong = product(lambda grad, _out, _x, y: grad * y, lambda grad, _out, x, y: grad * x * [1.0, 1.0, 3.0])
    report = gradcheck(wrong, (leaf([1.0, 2.0, 3.0]), leaf([4.0, 5.0, 6.0])), raise_exception=False)
    title, headings, first, second, *_ = str(report).splitlines()
    assert "product" in title
    assert "one element: input 1[2]" in title
    assert ["shape", "dtype", "wrong", "worst", "analytic", "numeric", "bound", "order"] == headings.split()
    assert "0 of 3" in first
    assert "1 of 3" in second
    analytic, numeric, bound, order = map(float, second.split()[-4:])
    assert 3.0 == pytest.approx(analytic / numeric, rel=1e-6)
    assert bound < 1e-5 * abs(numeric)
    assert order == pytest.approx(1, abs=0.05)


def test_orders_of_the_remainder():
    """2 for a right gradient, 1 for a wrong one."""
    x = minigrad.randn(5, dtype=minigrad.float64, requires_grad=True)
    assert gradcheck(minigrad.exp, x).checked[0].order == pytest.approx(2, abs=0.05)
    wrong = gradcheck(square(lambda grad, _out, x: grad * 2.02 * x), x, raise_exception=False)
    assert wrong.checked[0].order == pytest.approx(1, abs=0.05)


def test_error_estimate_is_honest():
    """The numeric derivatives are within their estimated errors of the exact ones."""
    x = minigrad.randn(50, dtype=minigrad.float64, requires_grad=True)
    part = gradcheck(minigrad.sin, x).checked[0]
    v = part.analytic / np.cos(x.array)
    assert np.all(np.abs(part.numeric - v * np.cos(x.array)) <= part.error + 1e-15)
    assert 0 < part.error.max() < 1e-6


def test_kinks():
    """At a kink both slopes are given, and any value between them is right."""
    report = gradcheck(minigrad.relu, leaf([[0.0, 1.0], [-1.0, 0.0]]))
    assert [("input 0", (0, 0)), ("input 0", (1, 1))] == [(kink.name, kink.index) for kink in report.kinks]
    for kink in report.kinks:
        assert 0 == pytest.approx(min(kink.low, kink.high, key=abs), abs=1e-8)
        assert 0.5 <= abs(kink.low + kink.high) <= 1.5
        assert 0 == kink.analytic
    assert "kink at input 0[0, 0]" in str(report)
    assert [] == gradcheck(minigrad.relu, leaf([1e-7, -1e-7, 1.0])).kinks


@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (minigrad.floor, [[1.0, 2.5]]),  # jumps at 1
        (lambda x: x.clamp(0.0, 1.0), [[0.0, 1.0, 0.5]]),
        (lambda x: x.abs().sum(), [[0.0, 0.0, 1.0]]),
        (lambda x: x.amax(), [[2.0, 2.0, 1.0]]),
        (lambda x, y: minigrad.maximum(x, y), [[1.0, 2.0], [1.0, 1.0]]),
        (lambda x: F.multi_margin_loss(x, minigrad.tensor([0])), [[[1.0, 0.0, 0.3]]]),
        (lambda x: minigrad.relu(x)[[0, 0, 0]], [[0.0]]),
        (lambda x: minigrad.stack([minigrad.relu(x), minigrad.relu(-x)]), [[0.0, 1.0]]),
    ],
)
@pytest.mark.parametrize("dtype", [minigrad.float32, minigrad.float64], ids=str)
def test_kinks_of_minigrad(function, inputs, dtype):
    """minigrad's own choices at kinks are accepted, and called kinks."""
    assert gradcheck(function, [leaf(x, dtype) for x in inputs]).kinks


AWKWARD = {
    "all saturated": (minigrad.tanh, [17.1, -13.3, 25.5, 30.4, -43.0]),
    "some saturated": (minigrad.sigmoid, [-97366.0, 15.308863, -662.5, 1000.0]),
    "beyond the dtype": (lambda x: minigrad.exp(minigrad.log(x).sum()), [9.8e-10, 5.9e-10, 5.6e-10, 1.6e-9, 1.4e-10]),
    "a confident class": (lambda x: F.cross_entropy(x.reshape(1, -1), minigrad.tensor([0])), [31.41, -2.05]),
    "a confident logit": (
        lambda x: F.binary_cross_entropy_with_logits(x, minigrad.zeros(2, dtype=x.dtype)), [-32.09, -12.47]),
    "outputs that cancel": (lambda x: (x * x, minigrad.tanh(x).sum()), [6.7355375, -21.142853]),
    "a large constant": (lambda x: (x + 1e3).sum(), [1e-4, 3e-4, -2e-4]),
    "constant": (lambda x: x * 0, [1e6, 1e-9]),
    "steps far apart": (minigrad.floor, [9352.5, -78507.0, 1e6 + 0.5]),
    "cubes": (lambda x: minigrad.outer(x, x) @ x, [1e6, -3e5, 2e6]),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [minigrad.float32, minigrad.float64], ids=str)
@pytest.mark.parametrize(("function", "x"), AWKWARD.values(), ids=AWKWARD)
def test_awkward_values(function, x, dtype):
    """No false alarm where derivatives vanish, cancel, or lie under the rounding of the results."""
    assert gradcheck(function, leaf(x, dtype))


def test_extrapolation():
    """Two extrapolations remove the terms in h^2 and h^4."""
    steps = 4.0 ** -np.arange(14)
    slopes = (3 + 5 * steps**2 + 7 * steps**4)[:, None]
    value, error, _ = settle(slopes, 2, np.zeros(14), steps)
    assert abs(value[0] - 3) <= error < 1e-13


# Causes that need minigrad


def test_forgotten_broadcast_sum():
    """A gradient that lacks the sum over repeated axes has the wrong shape, which the walk refuses."""
    wide = lambda grad, _out, _x, y: (grad * y)[..., None] * np.ones((3, 4))
    wrong = product(wide, lambda grad, _out, x, _y: grad * x)
    assert "forgotten sum" == cause_of(wrong, (leaf([1.0, 2.0, 3.0]), leaf([4.0, 5.0, 6.0])))


def test_shape_of_the_upstream_gradient():
    """A rule that reads memory as if it were contiguous is found out by upstream gradients that are not."""

    def reads_memory(grad, _out, x):
        owner = grad if grad.base is None else grad.base
        return owner.ravel()[: grad.size].reshape(grad.shape) * 2.0 * x if owner.size >= grad.size else grad * x

    report = gradcheck(square(reads_memory), leaf([[1.0, 2.0], [3.0, 4.0]]), raise_exception=False)
    assert "upstream layout" == report.cause_key
    assert "not contiguous" in report.cause
    stretched = square(lambda grad, _out, x: grad * 2.0 * x * (0 not in grad.strides))
    report = gradcheck(stretched, leaf([[1.0, 2.0], [3.0, 4.0]]), raise_exception=False)
    assert "stride 0" in report.cause


def test_written_upstream():
    """The upstream gradient belongs to the caller."""

    def clumsy(grad, _out, x):
        grad *= 2.0
        return grad * x

    assert "input written" == cause_of(square(clumsy), leaf([1.0, 2.0]))


def test_not_zero_for_zero():
    """Where the upstream gradient is 0, so is the gradient."""
    wrong = square(lambda grad, _out, x: grad * 2.0 * x if grad.any() else 2.0 * x)
    assert "upstream ignored" == cause_of(wrong, leaf([1.0, 2.0]))


def test_not_a_number_unless_zero():
    """A gradient that is finite only for an upstream gradient of 0."""
    wrong = square(lambda grad, _out, x: np.where(grad == 0, 0.0, np.nan))
    report = gradcheck(wrong, leaf([1.0, 2.0]), raise_exception=False)
    assert "not finite: nan at input 0[0], 2 elements in all" == report.cause


def test_function_that_is_not_finite():
    """Without a value there is nothing to compare."""
    report = gradcheck(minigrad.log, leaf([1.0, 0.0]), raise_exception=False)
    assert "not finite: the function itself gives -inf at [1] of output 0" == report.cause


def test_missing_gradient():
    """A rule that gives None is a gradient of zero."""
    assert "zero" == cause_of(square(lambda grad, _out, x: None), leaf([1.0, 2.0]))


def test_wrong_dtype_from_rule():
    """The walk refuses a gradient of another dtype than its value, naming the primitive, and so does the check."""
    wrong = square(lambda grad, _out, x: (grad * 2 * x).astype(np.float64))
    x = minigrad.ones(2, requires_grad=True)
    with pytest.raises(TypeError, match=r"square\(\).*float64, expected float32"):
        wrong(x).sum().backward()
    assert isinstance(wrong(x).grad_fn, Node)
    assert "TypeError" in gradcheck(wrong, x, raise_exception=False).cause


def test_one_part_of_one_of_two_outputs():
    """Every output counts, also beside one that is a hundred million times larger."""
    wrong = square(lambda grad, _out, x: grad * 2.02 * x)
    assert "unknown" == cause_of(lambda x: (x * 1e4, wrong(x) * 1e-4), leaf([1.0, 2.0]))


# Steadiness


def test_unsteady_backward():
    """A backward pass that differs between two runs fails, unless the difference is allowed."""
    count = [0]

    def unsteady(grad, _out, x):
        count[0] += 1
        return grad * 2.0 * x + grad * (count[0] * 1e-9)

    with pytest.raises(minigrad.GradcheckError, match="not deterministic: two backward passes for input 0"):
        gradcheck(square(unsteady), leaf([1.0]))
    assert gradcheck(square(unsteady), leaf([1.0]), nondet_tol=1e-6)


def test_dropout_is_not_deterministic():
    """While training; and the check leaves the random numbers where they were."""
    state = minigrad.random.default_generator.get_state()
    layer, x = nn.Dropout(0.5), minigrad.randn(20, requires_grad=True, generator=minigrad.Generator(1))
    assert "not deterministic" == cause_of(layer, x)
    assert gradcheck(layer.eval(), x)
    assert state == minigrad.random.default_generator.get_state()


# What it takes


def test_several_outputs_and_constants():
    """All outputs count; constants and integer inputs are left alone."""
    index = minigrad.tensor([0, 0, 1])

    def function(x, index, factor):
        return x[index] * factor, index, x.sum()

    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    assert gradcheck(function, (x, index, 2.5))
    assert [[1.0, 2.0], [3.0, 4.0]] == x.tolist()


def test_mixed_dtypes():
    """Inputs of both dtypes are judged by the coarser one."""
    assert gradcheck(lambda x, y: x * y, (leaf([1.0, 2.0]), leaf([3.0, 4.0], minigrad.float32)))
    wrong = product(lambda grad, _out, _x, y: grad * y * 1.01, lambda grad, _out, x, _y: grad * x)
    double = lambda x, y: wrong(x, y.to(minigrad.float64))
    assert "constant factor" == cause_of(double, (leaf([1.0, 2.0]), leaf([3.0, 4.0], minigrad.float32)))


def test_memory_layout_of_input():
    """Inputs that are not contiguous, or whose elements overlap, are checked as any other."""
    values = np.arange(6.0)
    for array in (values.reshape(2, 3).T[::2], values[::-1], np.broadcast_to(values, (2, 6))):
        assert gradcheck(minigrad.sin, minigrad.from_numpy(array).requires_grad_())


def test_the_same_tensor_twice():
    """Its gradient is the sum over both places."""
    x = leaf([1.0, 2.0])
    assert gradcheck(lambda x, y: x * y, (x, x))


def test_module():
    """A module's parameters are checked by name, also behind a bound method; nothing of it changes."""
    layer, x = nn.Linear(3, 2), minigrad.randn(4, 3)
    kept = {name: (p.array, p.array.copy()) for name, p in layer.named_parameters()}
    for subject in (layer, layer.forward):
        assert ["weight", "bias"] == [part.name for part in gradcheck(subject, x).checked]
    for name, parameter in layer.named_parameters():
        assert parameter.array is kept[name][0]
        assert np.array_equal(parameter.array, kept[name][1])
        assert parameter.grad is None
    layer.weight.requires_grad_(False)
    assert ["bias"] == [part.name for part in gradcheck(layer, x).checked]


def test_a_closure_over_float32():
    """A function that mixes in float32 constants and refuses float64 is checked in float32."""
    layer = nn.Linear(3, 2)
    report = gradcheck(lambda x: layer(x).tanh(), minigrad.randn(4, 3, requires_grad=True))
    assert "float64" not in report.method
    assert "float64 copy" in gradcheck(layer, minigrad.randn(4, 3)).method


def test_nothing_to_check():
    """Without an input or an output in the graph there is nothing to check, which is an error."""
    x = leaf([1.0])
    with pytest.raises(ValueError, match="no input requires grad"):
        gradcheck(minigrad.exp, minigrad.ones(1))
    with pytest.raises(ValueError, match="no output depends"):
        gradcheck(lambda x: x.detach(), x)
    with pytest.raises(TypeError, match="got ndarray.*pass its gradient"):
        gradcheck(lambda x: x.detach().numpy(), x)
    with pytest.raises(TypeError, match="masked"):
        gradcheck(minigrad.exp, x, masked=True)


# What it leaves alone


def test_written_input():
    """A function that writes to its input is found, and the input restored."""

    def clumsy(x):
        with minigrad.no_grad():
            x.add_(1.0)
        return x * 2

    x = leaf([1.0, 2.0])
    with pytest.raises(minigrad.GradcheckError, match="clumsy: .*input written: input 0 was changed by the forward"):
        gradcheck(clumsy, x)
    assert [1.0, 2.0] == x.tolist()


def test_input_is_restored():
    """Even if the function raises in the middle, the input keeps its values, and its memory is never written."""
    calls = [0]

    def failing(x):
        calls[0] += 1
        if calls[0] == 20:
            raise KeyError
        return x * 2

    array = np.array([1.0, 2.0])
    array.flags.writeable = False
    x = minigrad.from_numpy(array.copy()).requires_grad_()
    x.array = array
    with pytest.raises(KeyError):
        gradcheck(failing, x)
    assert x.array is array
    assert gradcheck(minigrad.exp, x)
    assert x.grad is None


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


def test_a_fixed_step_in_float32_warns():
    """One small step in float32 is mostly rounding, and the warning says so."""
    with pytest.warns(UserWarning, match="input 0 is float32.*float64"):
        gradcheck(minigrad.exp, minigrad.ones(1, requires_grad=True), eps=1e-6, raise_exception=False)


# Second derivatives


def test_second_derivative_of_wrong_rule():
    """A rule whose own derivative is cut off passes first order and fails second."""

    def cut(grad, _out, x):
        return grad * (2.0 * (x.detach() if isinstance(x, minigrad.Tensor) else x))

    x = leaf([0.5, -1.5])
    assert gradcheck(square(cut), x)
    with pytest.raises(minigrad.GradcheckError, match="gradient of square: .*zero"):
        gradgradcheck(square(cut), x)
    assert gradgradcheck(square(right), x, leaf([1.0, 2.0]))
    assert gradgradcheck(square(right), leaf([0.5, -1.5], minigrad.float32))
    assert autograd.gradgradcheck is gradgradcheck


# Functions of NumPy arrays


def test_numpy_function():
    """A number or an array, one input or several, a gradient computed before or a function."""
    x = np.array([0.5, -1.0, 2.0])
    assert gradcheck(lambda x: np.sum(x**3), x, grad=lambda x: 3 * x**2)
    assert gradcheck(lambda x: np.sum(x**3), x, grad=3 * x**2)
    assert gradcheck(lambda x: x**3, 2.0, grad=lambda x: 3 * x**2)
    assert gradcheck(lambda x: sum(x**3), [1, 2, 3], grad=lambda x: 3 * x**2)
    assert gradcheck(np.sin, x, grad=lambda x, upstream: upstream * np.cos(x))
    assert gradcheck(lambda x, y: x @ y, (x, x + 1), grad=lambda x, y: (y, x))
    assert gradcheck(lambda w, x: x @ w, (x, np.eye(3)), grad=lambda w, x, u: (x.T @ u, np.outer(u, w)))
    rows = np.array([0, 2])
    assert gradcheck(lambda x, rows: x[rows].sum(), (x, rows), grad=lambda x, rows: (np.array([1.0, 0, 1]), None))
    assert "constant factor: 1/3, 3 being the size of axis 0 of input 0, the gradient for input 0" == gradcheck(
        lambda x: np.sum(x), x, grad=lambda x: np.ones(3) / 3, raise_exception=False
    ).cause


def test_numpy_gradient_of_wrong_shape():
    """The shape of a hand-written gradient counts, and mostly says what was forgotten."""
    x, w, b = np.ones((5, 3)), np.ones((3, 2)), np.ones(2)
    affine = lambda w, b: np.sum((x @ w + b) ** 2)
    slope = lambda w, b: 2 * (x @ w + b)
    assert gradcheck(affine, (w, b), grad=lambda w, b: (x.T @ slope(w, b), slope(w, b).sum(0)))
    report = gradcheck(affine, (w, b), grad=lambda w, b: (x.T @ slope(w, b), slope(w, b)), raise_exception=False)
    assert "forgotten sum: over axis 0; the gradient for input 1 has shape (5, 2), expected (2,)" == report.cause
    assert "transposed" == cause_of(affine, (w, b), grad=lambda w, b: (slope(w, b).T @ x, slope(w, b).sum(0)))
    with pytest.raises(ValueError, match="grad gave 1 gradients for 2 inputs"):
        gradcheck(affine, (w, b), grad=lambda w, b: x.T @ slope(w, b))


def test_complex_step():
    """It is used where the function goes along, and not trusted where it does so wrongly."""
    x = np.array([0.5, -1.0, 2.0])
    report = gradcheck(lambda x: np.sum(np.exp(x) / x), x, grad=lambda x: np.exp(x) / x - np.exp(x) / x**2)
    assert "complex step" in report.method
    assert report.error_estimate < 1e-14
    real = lambda x: np.real(x) ** 2, lambda x: 2 * x
    cbrt = np.cbrt, lambda x: np.cbrt(x) / 3 / x
    for function, slope in ((np.abs, np.sign), real, cbrt):
        report = gradcheck(lambda x, function=function: function(x).sum(), x, grad=slope)
        assert "complex" not in report.method


def test_numpy_input_is_left_alone():
    """The caller's array is not written, not even for a moment, and a function that writes it is found."""
    x = np.array([1.0, 2.0])
    x.flags.writeable = False
    assert gradcheck(lambda x: np.sum(x * x), x, grad=lambda x: 2 * x)
    x = np.array([1.0, 2.0])

    def writes(x):
        x *= 2
        return x.sum()

    assert "input written" == cause_of(writes, x, grad=np.ones(2))
    assert [1.0, 2.0] == x.tolist()


# Sizes


def faulty(at, share):
    """The identity, whose gradient is wrong in one element by `share` of the typical one."""

    def rule(grad, _out, _x):
        grad = grad.copy()
        grad[at] += share * np.abs(grad).mean()
        return grad

    return Primitive(lambda x: x.copy(), "identity").vjps(rule)


@pytest.mark.parametrize("dtype", [minigrad.float32, minigrad.float64], ids=str)
def test_large_input(dtype):
    """Every one of 4,000 elements is compared; a single wrong one is found by 1 %."""
    x = minigrad.randn(40, 100, dtype=dtype, requires_grad=True)
    assert "all 4,000 elements" in gradcheck(minigrad.tanh, x).coverage
    report = gradcheck(lambda x: minigrad.tanh(faulty((31, 7), 0.1)(x)), x, raise_exception=False)
    assert report.cause == "one element: input 0[31, 7]; the others that were compared are right"


@pytest.mark.parametrize("dtype", [minigrad.float32, minigrad.float64], ids=str)
def test_large_module(dtype):
    """Of 100,000 parameters a single wrong one is found by random directions, and then by name."""
    minigrad.manual_seed(5)
    model = nn.Sequential(nn.Linear(300, 300), nn.Tanh(), nn.Linear(300, 30)).to(dtype)
    x = minigrad.randn(2, 300, dtype=dtype)
    report = gradcheck(model, x, seconds=0.5)
    assert "random directions" in report.coverage
    assert "no direction misses a single element" in str(report)
    bug = faulty((123, 45), 0.05)
    linear = F.linear

    def broken(x):
        hidden = linear(x, bug(model[0].weight), model[0].bias).tanh()
        return linear(hidden, model[2].weight, model[2].bias)

    broken.named_parameters = model.named_parameters
    report = gradcheck(broken, x, seconds=0.5, raise_exception=False)
    assert report.cause == "one element: 0.weight[123, 45]; the others that were compared are right"


def test_directions_see_what_no_element_shows():
    """A gradient under the rounding of the result, element by element, is seen to be wrong by its sum."""
    x = minigrad.randn(10_000, dtype=minigrad.float64, requires_grad=True, generator=minigrad.Generator(3))
    wrong = Primitive(lambda x: x.copy(), "identity").vjps(lambda grad, _out, _x: grad * 1.7)
    for rule, verdict in ((lambda x: x, True), (wrong, False)):
        function = lambda x, rule=rule: (rule(x) * 1e-10).sum() + 2e5
        report = gradcheck(function, x, seconds=0.0, raise_exception=False)
        assert verdict == bool(report)
        assert "rounding hides an error of 1 %" in str(report)


def test_a_float32_kernel_that_is_wrong_alone():
    """A rule that is right in float64 and wrong in float32 is found in float32, also by directions."""

    def rule(grad, _out, x):
        grad = grad * 2.0 * x
        if grad.dtype == np.float32:
            grad[-1] *= 1.05
        return grad

    x = minigrad.randn(3000, requires_grad=True, generator=minigrad.Generator(2))
    for options in ({}, {"seconds": 0.0}):
        report = gradcheck(square(rule), x, raise_exception=False, **options)
        assert report.cause.startswith("one element: input 0[2999]")


def test_progress(monkeypatch):
    """Long work moves a bar on a terminal, and is silent in a pipe."""
    bars = []

    class Bar:
        def __init__(self, **options):
            bars.append((options["total"], self))
            self.count = 0

        def update(self):
            self.count += 1

        def __enter__(self):
            return self

        def __exit__(self, *exception):
            pass

    monkeypatch.setitem(sys.modules, "tqdm", type(sys)("tqdm"))
    sys.modules["tqdm"].tqdm = Bar
    monkeypatch.setattr(sys.modules["minigrad.gradcheck.verdict"], "PATIENCE", 0.0)
    x = leaf([1.0, 2.0, 3.0])
    assert gradcheck(minigrad.exp, x)
    assert [] == bars
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert gradcheck(minigrad.exp, x)
    assert [3] == [bar.count for _, bar in bars]


# The picture and the command


def test_plot(tmp_path):
    """Both panels are drawn for vectors, matrices and more axes, right or wrong, and saved."""
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    for shape in [(), (5,), (3, 4), (2, 3, 4)]:
        x = minigrad.randn(*shape, requires_grad=True)
        gradcheck(minigrad.exp, x).plot(tmp_path / "right.png")
        wrong = gradcheck(square(lambda grad, _out, x: grad * x), x, raise_exception=False)
        figure = wrong.plot(tmp_path / "wrong.png")
        assert [2, 2] == [len(ax.get_title() and "ok") for ax in figure.axes[:2]]
    assert (tmp_path / "wrong.png").stat().st_size > 10_000


CASES = """
import numpy as np, minigrad
def right():
    return minigrad.tanh, minigrad.randn(3, requires_grad=True)
def wrong():
    return lambda x: np.sum(x * x), np.arange(3.0), lambda x: x
def nothing():
    return 3
"""


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["cases:right"], 0, "tanh: the gradient is right"),
        (["cases:right", "--gradgrad"], 0, "gradient of tanh: the gradient is right"),
        (["cases:wrong"], 1, "constant factor: 1/2"),
        (["cases:nothing"], 2, "gave int, expected a tuple"),
        (["cases:missing"], 2, "missing"),
        (["absent:right"], 2, "absent"),
        (["cases"], 2, "expected module:function"),
        (["cases:wrong", "--gradgrad"], 2, "--gradgrad needs"),
        (["--help"], 0, "loss:check_square"),
    ],
)
def test_command(arguments, status, said, tmp_path):
    """python -m minigrad.gradcheck: prints the report, and its status says the verdict."""
    (tmp_path / "cases.py").write_text(CASES)
    root = str(minigrad.__path__[0]).removesuffix("minigrad")
    command = [sys.executable, "-W", "error", "-m", "minigrad.gradcheck", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": root}, timeout=60)
    assert (status, True) == (done.returncode, said in done.stdout + done.stderr), done.stdout + done.stderr


@pytest.mark.parametrize("value", [1e-310, 1e-308, 0.0])
def test_the_low_end_of_the_range_of_numbers(value):
    assert gradcheck(lambda x: x * 0.5, minigrad.tensor([value], dtype=minigrad.float64, requires_grad=True))
