"""The notes' sections 1 to 3 and the gradient check give the figures that they say."""

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from test_datasets import write_cifar10

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import minigrad  # noqa: E402
from examples.datasets import load_cifar10, load_digits  # noqa: E402
from examples.notes import analytic_gradient, gradient_check, numeric_gradient, random_search  # noqa: E402
from examples.notes import linear_classifier as classifier  # noqa: E402
from examples.notes.page import Page  # noqa: E402


@cache
def digits():
    return classifier.prepare(load_digits())


@cache
def comparison(seed):
    return analytic_gradient.compare(digits(), seed)


# The linear classifier


def test_inputs_are_mean_subtracted_and_end_in_a_one():
    data, problem = load_digits(), digits()
    inputs = problem.inputs.numpy()
    assert inputs.shape == (1437, 65) and problem.test_inputs.shape == (360, 65) and inputs.dtype == np.float32
    np.testing.assert_allclose(inputs[:, :-1].mean(axis=0), 0, atol=1e-6)
    assert np.all(inputs[:, -1] == 1) and np.all(problem.test_inputs.numpy()[:, -1] == 1)
    mean = data.train_images.mean(axis=0).ravel()  # the test images are shifted by the mean of the training images
    np.testing.assert_allclose(problem.test_inputs.numpy()[:, :-1], data.test_images.reshape(360, -1) - mean, atol=1e-6)


def hinge_by_the_notes(weights, inputs, labels):
    """Two loops, as the formula reads."""
    total = 0
    for x, y in zip(inputs, labels):
        s = weights @ x
        total += sum(max(0, s[j] - s[y] + 1) for j in range(len(s)) if j != y)
    return total / len(labels)


def test_the_hinge_loss_is_that_of_the_notes():
    inputs, labels = digits().inputs[:40].double(), digits().labels[:40]
    weights = digits().draw(3, minigrad.Generator(0)).double()
    expected = [hinge_by_the_notes(w, inputs.numpy(), labels.numpy()) for w in weights.numpy()]
    one_by_one = [classifier.hinge_loss(w, inputs, labels).item() for w in weights]
    np.testing.assert_allclose(one_by_one, expected, rtol=1e-12)
    np.testing.assert_allclose(classifier.hinge_losses(weights, inputs, labels).numpy(), expected, rtol=1e-12)


def test_the_spread_of_the_weights_is_1e_4_for_cifar10_on_pixels_to_255():
    problem = digits()._replace(inputs=minigrad.zeros(1, 3073))
    assert problem.spread() / 255 == pytest.approx(1e-4, rel=0.02)
    assert problem.draw(20, minigrad.Generator(0)).numpy().std() == pytest.approx(problem.spread(), rel=0.01)


# 1 Random search


def test_random_search_is_a_little_better_than_chance():
    found = [random_search.search(digits(), seed, tries=300) for seed in range(4)]
    accuracies = np.array([100 * digits().accuracy(result.best) for result in found])
    assert 11 < accuracies.mean() < 35
    assert "mean {:.1f} %".format(accuracies.mean()) in random_search.summary(accuracies / 100)


def test_the_best_matrix_has_the_loss_that_is_reported():
    found = random_search.search(digits(), 0, tries=200)
    tried = digits().draw(200, minigrad.Generator(0))
    losses = classifier.hinge_losses(tried, digits().inputs, digits().labels).numpy()
    assert found.best.tolist() == tried[int(losses.argmin())].tolist()
    assert found.loss == pytest.approx(losses.min(), rel=1e-6)


def test_cifar10_is_taken_where_it_is_given(tmp_path):
    write_cifar10(tmp_path / "deep" / "down", counts=(30, 30, 30, 30, 30, 50))
    page = Page("", tmp_path / "out", tmp_path, quiet=True)
    problem = classifier.load_problem(page)
    assert problem.name == "CIFAR-10"
    assert problem.inputs.shape == (150, 3073) and problem.test_inputs.shape == (50, 3073)
    assert "CIFAR-10: 150 training images of 3×32×32 values" in "".join(page.parts)
    text = random_search.what_it_means(problem, [0.12, 0.16])
    assert "15.5 %" in text and "1 of 2 seeds" in text
    expected = load_cifar10(tmp_path / "deep" / "down").train_labels
    assert problem.labels.tolist() == expected.tolist()


@pytest.mark.parametrize("damage", [None, b"", "remove"], ids=["absent", "damaged", "in part"])
def test_without_cifar10_it_says_so_and_goes_on_with_the_digits(damage, tmp_path):
    if damage is not None:
        write_cifar10(tmp_path / "c")
        path = tmp_path / "c" / "test_batch.bin"
        path.unlink() if damage == "remove" else path.write_bytes(damage)
    page = Page("", tmp_path / "out", tmp_path, quiet=True)
    assert classifier.load_problem(page).name == "UCI optical digits"
    text = "".join(page.parts)
    said = {None: "No CIFAR-10 was given", b"": "0 bytes are not", "remove": "lacks test_batch.bin"}[damage]
    assert said in text and "--data FOLDER" in text
    assert ("cs.toronto.edu" in text) == (damage != b"")


# 2 Numeric gradient


def test_the_derivative_by_backward_is_that_of_the_formula():
    assert numeric_gradient.slope_by_backward() == pytest.approx(numeric_gradient.EXACT, rel=1e-14)


@pytest.mark.parametrize("kind, order", [("forward", 1), ("backward", 1), ("central", 2)])
def test_the_error_falls_with_its_power_of_h(kind, order):
    assert numeric_gradient.order(kind) == pytest.approx(order, abs=0.03)


def test_the_central_difference_has_the_error_that_taylor_says():
    third = 2 * np.e * (np.cos(1) - np.sin(1))
    second = 2 * np.e * np.cos(1)
    h = 1e-3
    for kind, expected in {"central": h**2 / 6 * third, "forward": h / 2 * second, "backward": -h / 2 * second}.items():
        error = numeric_gradient.difference(kind, h) - numeric_gradient.EXACT
        assert error == pytest.approx(expected, rel=2e-3)


def test_too_small_a_step_hits_the_rounding_wall():
    for kind in numeric_gradient.STRAIGHT:
        assert numeric_gradient.errors(kind, [1e-15])[0] > 1e-3 > 1e-6 > numeric_gradient.errors(kind, [1e-7])[0]
    assert 1e-9 < numeric_gradient.best_step("forward") < 1e-7
    assert 1e-6 < numeric_gradient.best_step("central") < 1e-4


def test_the_cost_is_two_evaluations_for_each_parameter():
    row = numeric_gradient.cost(4, images=8)
    assert row["network"] == "64-4-10" and row["parameters"] == 64 * 4 + 4 + 4 * 10 + 10
    assert row["evaluations"] == 2 * row["parameters"]
    assert row["difference"] < 1e-9
    assert row["numeric"] > 20 * row["backward"]


def test_the_numeric_gradient_puts_every_weight_back():
    w = minigrad.tensor([[1.0, -2.0], [0.5, 3.0]], dtype=minigrad.float64, requires_grad=True)
    (gradient,) = numeric_gradient.numeric_gradient(lambda: (w**3).sum(), [w])
    np.testing.assert_allclose(gradient, 3 * np.array([[1.0, 4.0], [0.25, 9.0]]), rtol=1e-8)
    assert w.tolist() == [[1.0, -2.0], [0.5, 3.0]] and w.grad is None


# 3 Analytic gradient


def test_three_ways_to_one_gradient():
    answers = analytic_gradient.three_answers(digits())
    assert answers["hand"].shape == (10, 65) and len(answers["where"]) == 600
    assert np.abs(answers["hand"]).max() > 0.1
    assert analytic_gradient.largest(answers, "hand", "backward") < 1e-14
    assert analytic_gradient.largest(answers, "hand", "difference") < 1e-7
    assert analytic_gradient.largest(answers, "backward", "difference") < 1e-7


def test_the_gradient_of_one_image_by_hand():
    """Scores 0, 2, 2.5 for class 1: class 0 is far enough below, class 2 violates its margin."""
    weights, inputs = np.array([[0.0], [2.0], [2.5]]), np.array([[1.0]])
    np.testing.assert_array_equal(analytic_gradient.by_hand(weights, inputs, np.array([1])), [[0.0], [-1.0], [1.0]])


@pytest.mark.parametrize("seed", [0, 1])
def test_descent_leaves_random_search_far_behind(seed):
    run = comparison(seed)
    (search_loss, search_accuracy, _), (loss, accuracy, _) = run["search"], run["descent"]
    assert search_accuracy < 40 and accuracy > 92
    assert search_loss > 5 and loss < 0.35
    assert analytic_gradient.steps_to_pass(run) <= 5
    searched, losses, accuracies = run["histories"]
    assert len(searched) == random_search.TRIES and len(losses) == len(accuracies) == analytic_gradient.STEPS
    assert searched[0] == pytest.approx(losses[0], rel=1e-5)  # both begin with the same matrix
    assert all(after < before for before, after in zip(losses[::10], losses[10::10]))


# Gradient check


def test_the_check_passes_the_right_rule_and_no_wrong_one():
    assert {rule.__name__: bool(gradient_check.check(rule)) for rule in gradient_check.RULES.values()} == {
        "Hinge": True, "ForgetsTheRightClass": False, "ForgetsTheMean": False, "GoesUphill": False,
        "IgnoresUpstream": False, "StopsTooEarly": False,
    }  # fmt: skip


def test_the_check_names_the_cause():
    causes = {rule.__name__: gradient_check.check(rule).cause for rule in gradient_check.RULES.values()}
    assert causes["Hinge"] is None
    assert causes["ForgetsTheMean"].startswith("constant factor: 6")
    assert causes["GoesUphill"].startswith("wrong sign")
    assert causes["IgnoresUpstream"].startswith("upstream ignored")


def test_the_right_rule_is_the_hinge_loss_of_the_notes():
    scores = minigrad.randn(6, 4, dtype=minigrad.float64, generator=minigrad.Generator(2))
    labels = minigrad.tensor([0, 1, 2, 3, 0, 1])
    expected = hinge_by_the_notes(np.eye(4), scores.numpy(), labels.numpy())
    assert gradient_check.Hinge.apply(scores, labels).item() == pytest.approx(expected, rel=1e-14)
