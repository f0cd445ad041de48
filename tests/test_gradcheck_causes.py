"""The cause that is named for a wrong gradient: at all sizes, and no more than was seen.

That every kind of wrong rule is caught and named is in test_planted.py; here is what depends on sizes and shapes.
"""

import numpy as np
import pytest

import minigrad
from minigrad import gradcheck
from minigrad.primitive import Primitive


def leaf(*shape, dtype=np.float64):
    return minigrad.from_numpy(np.random.default_rng(0).uniform(0.5, 1.5, shape).astype(dtype)).requires_grad_()


def product(a_rule, b_rule):
    return Primitive(lambda a, b: a @ b, "product").vjps(a_rule, b_rule)


def turned(x):
    return np.swapaxes(x, -1, -2)


def a_right(u, _out, a, b):
    return u @ turned(b)


def b_right(u, _out, a, b):
    return turned(a) @ u


def cause_of(fn, inputs, **options):
    return gradcheck(fn, inputs, raise_exception=False, **options).cause or "right"


def square_of_a_matrix(x, u):
    """The gradient of sum(u * (x @ x))."""
    return u @ x.T + x.T @ u


# A transposed or swapped gradient, whatever the size


@pytest.mark.parametrize("n", [3, 17, 40])
def test_transposed_at_any_size(n):
    """Beyond 256 elements, and (with few of them compared) where most of what stands across was not looked at."""
    a, b = leaf(n, n), leaf(n, n)
    wrong = product(lambda u, _out, a, b: np.ascontiguousarray(a_right(u, _out, a, b).T), b_right)
    for seconds in (10.0, 0.001):
        cause = cause_of(wrong, (a, b), seconds=seconds)
        assert cause.startswith("transposed: axes 0 and 1 of the gradient for input 0 are exchanged"), cause


def test_transposed_where_few_elements_are_compared():
    x = np.random.default_rng(0).uniform(0.5, 1.5, (100, 100))
    gradient = lambda x, u: square_of_a_matrix(x, u).T.copy()
    cause = cause_of(lambda x: x @ x, x, grad=gradient, seconds=0.1)
    assert cause.startswith("transposed: axes 0 and 1 of the gradient for input 0 are exchanged, seen at "), cause
    assert cause.endswith(" of 10,000 elements"), cause


def test_swapped_where_few_elements_are_compared():
    a, b = leaf(100, 100), leaf(100, 100)
    cause = cause_of(product(b_right, a_right), (a, b), seconds=0.1)
    assert cause.startswith("swapped arguments: the gradient for input 0 is that for input 1"), cause
    assert "of 10,000 elements" in cause, cause


def test_a_forgotten_transpose_in_a_batch():
    a, b = leaf(2, 3, 3), leaf(2, 3, 3)
    cause = cause_of(product(lambda u, _out, a, b: u @ b, b_right), (a, b))
    assert "transposed: the gradient for input 0 is right for a transposed input 1" == cause
    cause = cause_of(product(lambda u, _out, a, b: turned(u) @ turned(b), b_right), (a, b))
    assert "transposed: the gradient for input 0 is right for a transposed upstream gradient" == cause


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (lambda u, x: (u * x)[0, 0], "of axes 0, 1 of output 0, the gradient for input 1 has only the first term"),
        (lambda u, x: (u * x)[-1, -1], "of axes 0, 1 of output 0, the gradient for input 1 has only the last term"),
        (lambda u, x: (u * x)[0].sum(), "of axis 0 of output 0, the gradient for input 1 has only the first term"),
    ],
)
def test_a_sum_forgotten_over_two_axes(rule, said):
    scaled = Primitive(lambda x, s: x * s, "scaled").vjps(lambda u, _o, x, s: u * s, lambda u, _o, x, s: rule(u, x))
    assert f"forgotten sum: {said}" == cause_of(scaled, (leaf(2, 3), leaf()))


# No more than was seen


def test_a_sign_that_is_wrong_in_many_elements_but_not_in_all():
    """More of them than the Jacobian is taken for; the rest is right."""
    x = leaf(1000)
    sign = np.where(np.arange(1000) < 500, -1.0, 1.0)
    for rule in (lambda u, _out, x: u * np.cos(x) * sign, lambda u, _out, x: u * np.cos(x) * (1 + sign) / 2):
        cause = cause_of(Primitive(np.sin, "sin").vjps(rule), x)
        assert "one region: input 0[0:500]; outside of it the gradient is right" == cause
    cause = cause_of(Primitive(np.sin, "sin").vjps(lambda u, _out, x: -u * np.cos(x)), x)
    assert "wrong sign: the gradient for input 0 is minus what it should be" == cause


def test_a_region_of_which_little_was_seen():
    """What was not compared is not called right."""
    x = leaf(50_000)
    last = np.arange(50_000) >= 49_992
    rule = lambda u, _out, x: u * np.cos(x) + last * x
    cause = cause_of(Primitive(np.sin, "sin").vjps(rule), x)
    assert cause.startswith("one region: input 0[4999"), cause
    assert "outside of it the gradient is right" not in cause
    assert "of 50,000 elements" in cause, cause


def test_a_factor_of_which_little_was_seen():
    cause = cause_of(Primitive(np.sin, "sin").vjps(lambda u, _out, x: 2 * u * np.cos(x)), leaf(50_000))
    assert cause.startswith("constant factor: 2, the gradient for input 0, seen at "), cause
    assert cause.endswith(" of 50,000 elements"), cause


FUNCTIONS = {
    "relu": (lambda x: np.maximum(x, 0), lambda x: x > 0),
    "sin 40 x": (lambda x: np.sin(40 * x), lambda x: 40 * np.cos(40 * x)),
    "log |x|": (lambda x: np.log(np.abs(x)), lambda x: 1 / x),
}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_cause_for_many_elements(name, dtype):
    """Also where most were compared by cheap differences alone, and for a factor that is small."""
    function, slope = FUNCTIONS[name]
    x = np.random.default_rng(1).standard_normal(3000).astype(dtype)
    for factor, said in (
        (-1, "wrong sign: "),
        (2, "constant factor: 2, "),
        (1 / 3000, "constant factor: 1/3000, 3000 being the size of axis 0 of input 0, the gradient for input 0"),
    ):
        rule = lambda u, _out, x, factor=factor: (u * slope(x) * factor).astype(dtype)
        cause = cause_of(Primitive(function, name).vjps(rule), minigrad.from_numpy(x).requires_grad_())
        assert cause.startswith(said), cause


# NaN


def test_nan_at_a_nan_input():
    """0 times NaN is NaN, which does not say that the upstream gradient is ignored."""
    x = minigrad.tensor([np.nan, 0.5, 2.0], dtype=minigrad.float64, requires_grad=True)
    quiet = Primitive(lambda x: np.nan_to_num(x), "quiet").vjps(lambda u, _out, x: u * x / x)
    assert "right" == cause_of(quiet, x)
    ignored = Primitive(lambda x: np.nan_to_num(x), "quiet").vjps(lambda u, _out, x: x / x)
    assert cause_of(ignored, x).startswith("upstream ignored: ")


# An exception in the backward pass


@pytest.mark.parametrize("error", [TypeError, ValueError, RuntimeError])
def test_an_exception_in_the_backward_pass_has_its_place(error):
    def broken(u, _out, x):
        raise error("no such thing")

    place = f"test_gradcheck_causes.py, line {broken.__code__.co_firstlineno + 1}"
    cause = cause_of(Primitive(np.sin, "sin").vjps(broken), leaf(2))
    assert cause.startswith(f"unknown: the backward pass raised {error.__name__}: no such thing") and place in cause
