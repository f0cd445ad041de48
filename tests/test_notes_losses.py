"""The notes' sections on losses: their figures, against formulas in NumPy."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from examples.notes import losses_for_classification as classification  # noqa: E402
from examples.notes import losses_for_regression as regression  # noqa: E402

# Regression


@pytest.mark.parametrize("name, value", [("MSE", 0.375), ("L2 (the sum)", 1.5), ("MAE", 0.5)])
def test_values_worked_out_by_hand(name, value):
    """The errors are -0.5, 0.5, 0 and 1."""
    found, gradient = regression.value_and_gradient(name, regression.PREDICTIONS, regression.TARGETS)
    assert found == pytest.approx(value, abs=1e-15)
    expected = {"MSE": [-0.25, 0.25, 0, 0.5], "L2 (the sum)": [-1, 1, 0, 2], "MAE": [-0.25, 0.25, 0, 0.25]}[name]
    np.testing.assert_allclose(gradient, expected, atol=1e-15)


@pytest.mark.parametrize("name", regression.LOSSES)
def test_backward_agrees_with_the_formula(name):
    rng = np.random.default_rng(0)
    predictions, targets = rng.standard_normal((2, 20))
    np.testing.assert_allclose(
        regression.value_and_gradient(name, predictions, targets)[1],
        regression.by_formula(name, predictions, targets),
        rtol=1e-13,
    )


def test_the_outlier_has_most_of_the_squared_gradient_and_a_tenth_of_the_absolute_one():
    assert regression.outlier_part("MSE") > 0.8
    assert regression.outlier_part("L2 (the sum)") == pytest.approx(regression.outlier_part("MSE"))
    assert regression.outlier_part("MAE") == pytest.approx(0.1)


def test_squares_follow_the_outlier_and_absolute_errors_do_not():
    x, clean, spoiled = regression.measurements()
    for name in "MSE", "L2 (the sum)":  # the minimum is that of least squares
        np.testing.assert_allclose(regression.fit_line(name, x, spoiled), np.polyfit(x, spoiled, 1), atol=2e-3)
    slope, intercept = regression.fit_line("MAE", x, spoiled)
    assert abs(slope - 2) < 0.2 and abs(intercept - 1) < 0.6
    assert np.polyfit(x, spoiled, 1)[0] > 3.5

    def absolute(slope, intercept):
        return np.abs(slope * x + intercept - spoiled).sum()

    through_two = [  # a line of least absolute errors goes through two of the points
        absolute(a, spoiled[i] - a * x[i])
        for i in range(10) for j in range(i) for a in [(spoiled[i] - spoiled[j]) / (x[i] - x[j])]
    ]  # fmt: skip
    assert absolute(slope, intercept) == pytest.approx(min(through_two), rel=1e-3)


# Classification


def test_cross_entropy_is_softmax_and_log_loss():
    rng = np.random.default_rng(1)
    for logits, classes in (np.array(classification.LOGITS), np.array(classification.CLASSES)), (
        rng.standard_normal((50, 7)) * 3, rng.integers(0, 7, 50),
    ):  # fmt: skip
        ways = classification.cross_entropy_in_four_ways(logits, classes)
        assert len(ways) == 4
        np.testing.assert_allclose(list(ways.values()), ways["the formula, in NumPy"], rtol=1e-13)
        by_backward, by_formula = classification.cross_entropy_gradients(logits, classes)
        np.testing.assert_allclose(by_backward, by_formula, atol=1e-15)


def test_cross_entropy_of_a_row_worked_out_by_hand():
    """Logits log 1, log 2, log 5 are the probabilities 1/8, 2/8, 5/8."""
    ways = classification.cross_entropy_in_four_ways(np.log([[1.0, 2.0, 5.0]]), np.array([1]))
    np.testing.assert_allclose(list(ways.values()), np.log(4), rtol=1e-13)


def test_binary_cross_entropy_is_sigmoid_and_log_loss():
    ways = classification.binary_in_four_ways()
    assert len(ways) == 4
    np.testing.assert_allclose(list(ways.values()), ways["the formula, in NumPy"], rtol=1e-13)
    by_hand = classification.binary_in_four_ways(logits=(np.log(3),), targets=(0.0,))  # probability 3/4, answer no
    np.testing.assert_allclose(list(by_hand.values()), np.log(4), rtol=1e-13)


def test_probabilities_are_no_logits():
    assert classification.softmax_twice() == pytest.approx(np.log(1 + 9 / np.e), rel=1e-6)


def test_through_a_probability_numbers_are_lost():
    for x in 20.0, 100.0, 200.0:
        ways = classification.three_ways(x)
        assert ways["by hand"][0] == np.inf and np.isnan(ways["by hand"][1])
        assert ways["probability"] == (100.0, 0.0)  # clamped, and without a gradient to learn from
        assert ways["logit"] == (pytest.approx(classification.exact(x), rel=1e-6), pytest.approx(1.0))
    mild = classification.three_ways(3.0)
    for loss, gradient in mild.values():
        assert loss == pytest.approx(classification.exact(3.0), rel=1e-5)
        assert gradient == pytest.approx(1 / (1 + np.exp(-3)), rel=1e-5)


def test_softmax_by_the_formula_overflows_and_log_softmax_does_not():
    naive, stable = classification.softmax_overflow()
    assert np.isnan(naive[0])
    assert stable == (0.0, -100.0, -200.0)
