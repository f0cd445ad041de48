"""The gradient checker's verdicts and causes, beyond the table of test_planted.py."""

from collections import Counter
from dataclasses import replace

import numpy as np
import planted
import pytest
from planted_operations import OPERATIONS
from rules import cause_of, leaf, product, right, square

import minigrad
from minigrad import autograd, gradcheck, gradgradcheck, nn
from minigrad.gradcheck.differences import settle
from minigrad.graph import Node
from minigrad.nn import functional as F
from minigrad.primitive import Primitive


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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_order_of_the_remainder_is_the_verdict():
    """The plain order, 1 or 2, says the same as the verdict wherever rounding lets it be seen.

    Except for two right functions in which larger numbers cancel, so that what is seen is their rounding; and, in
    float32, for a few elements that are off by so little that 7 digits leave no room for order 1.
    """
    same, other = Counter(), Counter()
    cancel = ("right: div, mixed scales, float64", "right: sum, cancelling, float64")
    for case in planted.CASES:
        function, tensors = planted.as_minigrad(case)
        report = gradcheck(function, tensors, raise_exception=False)
        for part in () if report.kinks or case.id in cancel else report.checked:
            seen = [(order, part.wrong[at]) for at, (order, _) in part.remainders.items() if not part.elsewhere[at]]
            seen += [(part.order, False)] if not part.is_wrong else []  # along a random direction
            for order, wrong in seen:
                if not np.isnan(order) and np.isfinite(part.analytic).all():
                    (same if (order < 1.5) == wrong else other)[case.dtype, bool(wrong)] += 1
    assert min(same.values()) > 100 and len(same) == 4
    assert 0 == other["float64", True] + other["float64", False]
    assert other["float32", True] + other["float32", False] < 0.03 * (same["float32", True] + same["float32", False])


def test_how_small_an_error_is_seen():
    """1e-7 of a rule, also in float32; 0.05 % of what is wrong in float32 alone, or cannot be run in float64."""

    def in_float32_alone(rule):
        right, wrong = rule, planted.times(1.0005)(rule)
        return lambda u, y, x: (wrong if u.dtype == np.float32 else right)(u, y, x)

    for name in ("exp", "tanh", "softmax", "norm"):
        rule = OPERATIONS[name].rule
        for dtype, strict, bug in (
            ("float64", True, planted.times(1 + 1e-7)), ("float32", False, planted.times(1 + 1e-7)),
            ("float32", True, planted.times(1.0005)), ("float32", False, in_float32_alone),
        ):  # fmt: skip
            case = planted.Planted(name, "", replace(OPERATIONS[name], rule=bug(rule)), dtype, strict=strict)
            function, tensors = planted.as_minigrad(case)
            assert not gradcheck(function, tensors, raise_exception=False), (name, dtype, strict)


@pytest.mark.parametrize("dtype", [minigrad.float32, minigrad.float64], ids=str)
@pytest.mark.parametrize("is_sum", [False, True], ids=["elements", "sum"])
@pytest.mark.parametrize(("at", "factor"), [(0, 2), (0, 0), (0, -1), (0, 1.05), (1, 2), (2, 2)])
def test_1e_9_beside_1e6(at, factor, is_sum, dtype):
    """Each element is judged by its own size, also where the result is a sum in which the small one drowns."""

    def rule(grad, _out, x):
        grad = grad * 3 * x * x
        grad[at] *= factor
        return grad

    x = leaf([1e-9, 1.0, 1e6], dtype)
    total = (lambda y: y.sum()) if is_sum else (lambda y: y)
    cube = Primitive(lambda x: x * x * x, "cube").vjps(rule)
    report = gradcheck(lambda x: total(cube(x)), x, raise_exception=False)
    assert f"one element: input 0[{at}]" in str(report.cause)
    assert gradcheck(lambda x: total(x * x * x), x)
    assert "about as large" in str(gradcheck(lambda x: (x * x * x).sum(), x))


def test_what_no_step_can_show_is_said():
    """A derivative that drowns in a constant, at every step and every point, is not decided."""
    report = gradcheck(lambda x: (x * 1e-12).sum() + 1e6, leaf([1.0, 2.0]))
    assert "so small beside the rounding that 1 % would not show: 2" in str(report)


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


@pytest.mark.parametrize("value", [1e-310, 1e-308, 0.0])
def test_the_low_end_of_the_range_of_numbers(value):
    assert gradcheck(lambda x: x * 0.5, minigrad.tensor([value], dtype=minigrad.float64, requires_grad=True))


# Causes that need minigrad


def test_forgotten_broadcast_sum():
    """A gradient that lacks the sum over repeated axes has the wrong shape, which the walk refuses."""
    wide = lambda grad, _out, _x, y: (grad * y)[..., None] * np.ones((3, 4))
    wrong = product(wide, lambda grad, _out, x, _y: grad * x)
    assert "forgotten sum" == cause_of(wrong, (leaf([1.0, 2.0, 3.0]), leaf([4.0, 5.0, 6.0])))


class Doubles(autograd.Function):
    """x^2 whose rule writes to the upstream gradient."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        grad *= 2
        return grad * x


class Sums(Doubles):
    @staticmethod
    def backward(ctx, grad):
        return (grad * 2 * ctx.saved_tensors[0]).sum()


class Column(Doubles):
    @staticmethod
    def backward(ctx, grad):
        return (grad * 2 * ctx.saved_tensors[0]).reshape(-1, 1)


@pytest.mark.parametrize(("function", "key"), [(Doubles, "input written"), (Sums, "shape"), (Column, "shape")])
def test_errors_of_the_backward_pass(function, key):
    """What minigrad refuses while it runs a rule is a cause, too."""
    assert key == cause_of(function.apply, leaf([1.0, 2.0]))


@pytest.mark.parametrize(
    ("grad", "cause"),
    [
        (lambda x: (2 * x)[:, None], "shape: {} (3, 1), expected (3,); its values are right"),
        (lambda x: np.sum(2 * x), "shape: {} (), expected (3,)"),
        (lambda x: np.outer(2 * x, [0.25, 0.75]), "forgotten sum: over axis 1; {} (3, 2), expected (3,)"),
    ],
)
def test_the_shape_of_a_gradient(grad, cause):
    """Another shape is named as such, with the shape in the table instead of a value that is none."""
    report = gradcheck(lambda x: np.sum(x * x), np.array([1.0, 2.0, 3.0]), grad=grad, raise_exception=False)
    assert cause.format("the gradient for input 0 has shape") == report.cause
    assert report.checked[0].came == np.shape(grad(np.ones(3)))
    assert f"shape {report.checked[0].came}" in str(report).splitlines()[2]


def test_detached_second_derivative():
    """A gradient of 0 says so if nothing leads back to the input."""

    def cut(grad, _out, x):
        return grad * (2.0 * (x.detach() if isinstance(x, minigrad.Tensor) else x))

    report = gradgradcheck(square(cut), leaf([0.5, -1.5]), raise_exception=False)
    assert "zero: the gradient for input 0 is 0 everywhere; nothing leads back to it" in report.cause
    assert "detached" not in gradcheck(square(lambda grad, _out, x: grad * 0), leaf([1.0]), raise_exception=False).cause


def test_directions_are_counted():
    """In fast mode the table counts directions, not elements."""
    assert "0 of 4 directions" in str(gradcheck(minigrad.exp, leaf([0.1] * 50), fast_mode=True))
    wrong = gradcheck(square(lambda grad, _out, x: grad * x), leaf([0.1] * 50), fast_mode=True, raise_exception=False)
    assert "constant factor" == wrong.cause_key


def test_causes_need_evidence():
    """One bad element is neither a factor of all, nor a sum that was forgotten where nothing was summed."""
    for factor in (1.001, 2.0, 0.5, -1.0, 0.0):
        for at in range(3):
            wrong = square(lambda grad, _out, x, f=factor, at=at: grad * 2 * x * np.where(np.arange(3) == at, f, 1.0))
            assert "one element" == cause_of(wrong, leaf([0.1, -3.0, 20.0]))
    assert "one element" == cause_of(threshold, leaf([0.05, -1.0, 1.0]))


threshold = Primitive(lambda x: np.maximum(x, 0), "relu").vjps(lambda grad, _out, x: grad * (x > 0.1))


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
    assert report.cause.startswith("one element: 0.weight[123, 45]; the others that were compared are right")


def test_directions_see_what_no_element_shows():
    """A gradient under the rounding of the result, element by element, is seen to be wrong by its sum."""
    x = minigrad.randn(10_000, dtype=minigrad.float64, requires_grad=True, generator=minigrad.Generator(3))
    wrong = Primitive(lambda x: x.copy(), "identity").vjps(lambda grad, _out, _x: grad * 1.7)
    for rule, verdict in ((lambda x: x, True), (wrong, False)):
        function = lambda x, rule=rule: (rule(x) * 1e-10).sum() + 2e5
        report = gradcheck(function, x, seconds=0.0, raise_exception=False)
        assert verdict == bool(report)
        assert "so small beside the rounding that 1 % would not show" in str(report)


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
