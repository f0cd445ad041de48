"""random_search keeps the best of many tries, and says what is wrong with what it is given."""

import numpy as np
import pytest

import minigrad
from minigrad.optim import random_search


def bowl(points):
    """One value per row, least at (1, -1)."""
    return ((points - minigrad.tensor([1.0, -1.0])) ** 2).sum(1)


def draw(count, generator):
    return 2 * minigrad.randn(count, 2, generator=generator)


def test_the_best_of_all_candidates_is_kept():
    candidates = draw(300, minigrad.Generator(5)).numpy()
    losses = ((candidates - (1, -1)) ** 2).sum(axis=1)
    found = random_search(bowl, draw, 300, seed=5)
    np.testing.assert_array_equal(candidates[losses.argmin()], found.best.numpy())
    assert found.loss == pytest.approx(losses.min(), rel=1e-5)
    np.testing.assert_allclose(np.minimum.accumulate(losses), found.history, rtol=1e-5)
    assert found.best.dtype == np.float32 and found.history.shape == (300,)


def test_more_tries_are_never_worse():
    history = random_search(bowl, draw, 2000, seed=0).history
    assert np.all(np.diff(history) <= 0)
    assert history[-1] < 0.02 < history[0]


@pytest.mark.parametrize("batch_size", [7, 64, 1000])
def test_the_stack_changes_nothing(batch_size):
    one, many = random_search(bowl, draw, 100, seed=3), random_search(bowl, draw, 100, batch_size=batch_size, seed=3)
    np.testing.assert_array_equal(one.best.numpy(), many.best.numpy())
    np.testing.assert_array_equal(one.history, many.history)


def test_candidates_come_in_stacks_of_the_given_size():
    sizes = []
    random_search(bowl, lambda count, generator: (sizes.append(count), draw(count, generator))[1], 10, batch_size=4)
    assert sizes == [4, 4, 2]


def test_the_seed_decides_and_leaves_the_global_numbers_alone():
    minigrad.manual_seed(1)
    expected = minigrad.rand(3).tolist()
    minigrad.manual_seed(1)
    first, again, other = (random_search(bowl, draw, 50, seed=seed) for seed in (0, 0, 1))
    assert first.best.tolist() == again.best.tolist() != other.best.tolist()
    assert minigrad.rand(3).tolist() == expected


def test_without_a_seed_the_global_numbers_are_used():
    minigrad.manual_seed(4)
    first = random_search(bowl, draw, 50).best.tolist()
    minigrad.manual_seed(4)
    assert random_search(bowl, draw, 50).best.tolist() == first != random_search(bowl, draw, 50).best.tolist()


def test_nan_is_worse_than_any_number():
    losses = iter([np.nan, 3.0, np.nan, 2.0])
    found = random_search(lambda w: np.array([next(losses)]), draw, 4, seed=0)
    assert found.loss == 2.0
    assert found.history.tolist() == [np.inf, 3.0, 3.0, 2.0]


def test_the_best_owns_its_memory_and_records_nothing():
    weight = minigrad.ones(2, requires_grad=True)
    found = random_search(lambda w: (w * weight).sum(1), draw, 20, batch_size=20, seed=0)
    assert found.best.numpy().base is None  # else the whole stack would stay in memory
    assert not found.best.requires_grad and weight.grad is None


@pytest.mark.parametrize(
    "arguments, kind, message",
    [
        (dict(tries=0), ValueError, "tries must be a positive integer, got 0"),
        (dict(tries=1.5), ValueError, "tries must be a positive integer, got 1.5"),
        (dict(batch_size=-1), ValueError, "batch_size must be a positive integer, got -1"),
        (dict(seed=-1), ValueError, "expected a non-negative integer, got -1"),
        (dict(draw=lambda count, generator: np.zeros(count)), TypeError, "draw must return a tensor, got ndarray"),
        (dict(draw=lambda count, generator: minigrad.zeros(3, 2)), ValueError, r"\(3, 2\), expected \(4, ...\)"),
        (dict(draw=lambda count, generator: minigrad.zeros(())), ValueError, r"shape \(\), expected \(4, ...\)"),
        (dict(loss=lambda w: w), ValueError, r"loss returned the shape \(4, 2\), expected one loss per"),
        (dict(loss=lambda w: w.sum()), ValueError, r"loss returned the shape \(\)"),
        (dict(loss=lambda w: np.full(len(w), np.nan)), ValueError, "none of the 4 candidates has a loss below"),
    ],
    ids=["no tries", "half a try", "batch", "seed", "array", "too few", "a number", "no sum", "one sum", "all NaN"],
)
def test_what_is_wrong_is_said(arguments, kind, message):
    with pytest.raises(kind, match=message):
        random_search(**dict(loss=bowl, draw=draw, tries=4, batch_size=4) | arguments)
