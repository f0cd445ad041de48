"""Where the gradient checker might be led astray: at x alone, at the edges of domains, in large inputs."""

import re

import numpy as np
import pytest

import minigrad
from minigrad import gradcheck
from minigrad.gradcheck.differences import Sweep
from minigrad.nn import functional as F
from minigrad.primitive import Primitive


def leaf(values):
    return minigrad.tensor(values, dtype=minigrad.float64, requires_grad=True)


def right_of(f, x, grad):
    return gradcheck(f, np.array(x), grad=grad, raise_exception=False)


@pytest.mark.parametrize("by_direction", [False, True])
def test_a_zero_where_a_step_happens_to_change_nothing(by_direction, monkeypatch):
    """x^2 is the same at 1 and at -1; two tests see it, each alone."""
    if by_direction:
        anywhere = lambda sweep, y, fine: sweep.steps[(y == sweep.value).all(1)].max(initial=0)
        monkeypatch.setattr(Sweep, "still", anywhere)
    for x in ([1.0, 2.0], [0.25, 0.5], [3.0, 6.0], [1.5, 0.5]):
        assert not right_of(lambda x: np.sum(x**2), x, lambda x: np.array([0, 2 * x[1]]))
    cut = lambda x: minigrad.stack([x[0].detach() * x[0].detach(), x[1] * x[1]])
    assert not gradcheck(cut, leaf([1.0, 2.0]), raise_exception=False)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("distance", [1e-3, 1e-6, 1e-8, 1e-9, 1e-10, 1e-12])
def test_close_to_the_edge_of_a_domain(distance):
    """The right rule passes and one that is 30 % larger does not, however few steps stay inside."""
    for f, slope, edge in (
        (lambda x: np.log(1 - x), lambda x: -1 / (1 - x), 1 - distance),
        (np.arcsin, lambda x: 1 / np.sqrt((1 - x) * (1 + x)), 1 - distance),
        (np.arctanh, lambda x: 1 / (1 - x) / (1 + x), 1 - distance),
        (np.log1p, lambda x: 1 / (1 + x), -1 + distance),
        (np.arccosh, lambda x: 1 / np.sqrt((x - 1) * (x + 1)), 1 + distance),
    ):
        for others in ([], [0.5 if edge < 1 else 2.0]):
            assert right_of(f, [edge, *others], lambda x, u, slope=slope: u * slope(x))
            assert not right_of(f, [edge, *others], lambda x, u, slope=slope: u * slope(x) * 1.3)
    z = [0.5, 0.5 - distance]
    assert right_of(lambda z: np.log(1 - z.sum()), z, lambda z: np.full(2, -1 / (1 - z.sum())))
    target = minigrad.tensor([0.0, 1.0], dtype=minigrad.float64)
    assert gradcheck(lambda p: F.binary_cross_entropy(p, target), leaf([1 - distance, 0.5]))


def only_at_one(x):
    return np.where(x == 1.0, 0.0, np.nan)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_function_that_no_step_reaches_is_not_decided():
    """It is not wrong, and not counted as compared."""
    report = right_of(only_at_one, [1.0], lambda x, u: u * 7)
    assert report and "0 of 1 elements compared" in report.coverage
    assert "not decided, as the function is not defined close by, or no step suits it: 1" in str(report)
    assert not report.checked[0].measured.any()
    assert "not finite" == right_of(only_at_one, [1.0], lambda x, u: u * np.nan).cause_key


def test_a_float32_gradient_of_a_float64_function():
    """It is as exact as float32 is, and judged by that."""
    for size in (3, 60):
        x = np.random.default_rng(size).standard_normal(size)
        assert right_of(np.sin, x, lambda x, u: (u * np.cos(x)).astype("f4"))
        assert not right_of(np.sin, x, lambda x, u: (u * np.cos(x) * 1.001).astype("f4"))


def test_what_was_compared_is_said():
    """Only elements with a verdict count, and every evaluation does."""
    finite = Primitive(np.nan_to_num, "finite").vjps(lambda u, _y, x: u)
    assert "2 of 3 elements compared" in gradcheck(finite, leaf([np.nan, 0.5, 2.0])).coverage
    calls = []
    report = right_of(lambda x: calls.append(x) or np.cosh(x), [0.1, 0.2], lambda x, u: u * np.sinh(x))
    assert len(calls) / 2 < report.evaluations < len(calls)


def once(x_rule):
    """sin, only in float32."""

    def forward(x):
        if x.dtype != np.float32:
            raise TypeError("float32 only")
        return np.sin(x)

    return Primitive(forward, "sin").vjps(x_rule)


@pytest.mark.parametrize("at", [5, 12345, 39999])
def test_one_doubled_element_of_many_in_float32(at):
    """Blocks of elements show it where a direction of all has too much rounding; what they would miss is said."""

    def rule(u, _y, x):
        g = u * np.cos(x)
        g[at] *= 2
        return g

    x = minigrad.randn(40_000, requires_grad=True, generator=minigrad.Generator(4))
    report = gradcheck(once(lambda u, _y, x: u * np.cos(x)), x, seconds=3.0)
    missed = float(re.search(r"off by its own size is missed with a chance of (\S+) %", str(report))[1])
    assert missed < 2
    assert f"one element: input 0[{at}]" in gradcheck(once(rule), x, seconds=3.0, raise_exception=False).cause


def test_one_doubled_element_of_many_sizes():
    """Elements are put together with those of their size."""
    x = 10.0 ** np.random.default_rng(3).uniform(-9, 6, 20_000)
    x[5] = 1e-6
    rule = lambda u, _y, x: 2 * u * x * np.where(np.arange(x.size) == 5, 2, 1)
    wrong = Primitive(lambda x: x * x, "square").vjps(rule)
    report = gradcheck(wrong, leaf(x), seconds=3.0, raise_exception=False)
    assert report.cause.startswith("one element: input 0[5]")


def test_a_function_that_rounds_inside():
    """Its differences vanish at small steps; the report says that the gradient fits large ones."""
    x = [0.3, 1.2, 0.7]
    rounds = right_of(lambda x: np.round(np.sin(x), 6), x, lambda x, u: u * np.cos(x))
    assert "wrong, but fit larger steps: does the function round inside, or is it a step function?" in str(rounds)
    for factor in (0, -1, 2):
        assert "fit larger steps" not in str(right_of(np.sin, x, lambda x, u, f=factor: f * u * np.cos(x)))
