"""The notes come alive, from AdaGrad to learning-rate scheduling: the numbers that each section shows."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad
from minigrad import optim

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as `python -m examples.notes` does

from examples.notes import adagrad, adam, landscapes, learning_rate_scheduling, rmsprop  # noqa: E402
from examples.notes.page import Page  # noqa: E402

START = np.array(landscapes.RAVINE_START)


@pytest.fixture(autouse=True)
def seeds_stay_as_they_are():
    """The sections seed minigrad's random numbers, as programs may; other tests shall not notice."""
    state = minigrad.random.default_generator.get_state()
    yield
    minigrad.random.default_generator.set_state(state)


def slope(place):
    return landscapes.gradient(landscapes.ravine, place)


def walk(make_optimizer, steps=200):
    return landscapes.descend(landscapes.ravine, START, steps, make_optimizer)


@pytest.mark.parametrize("section", [adagrad, rmsprop, adam], ids=lambda section: section.__name__.split(".")[-1])
def test_the_section_runs(section, tmp_path):
    page = Page(section.TITLE, tmp_path, quiet=True)
    section.show(page)
    assert sum(part.startswith("<p>") for part in page.parts) >= 2
    assert not re.search(r"\bnan\b|\binf\b", page.html())


# 9. AdaGrad


def test_the_diagonal_loop_is_the_optimizer():
    hand = adagrad.diagonal(slope, START, 2.0, 200)
    assert walk(lambda place: optim.Adagrad(place, lr=2.0, eps=1e-7)) == pytest.approx(hand, abs=1e-12)
    assert walk(lambda place: optim.Adagrad(place, lr=2.0)) == pytest.approx(hand, abs=1e-6)
    inside = landscapes.descend(landscapes.ravine, START, 1, lambda place: optim.Adagrad(place, lr=2.0, eps=1.0))
    assert inside[1] == pytest.approx(
        START - 2 * slope(START) / (abs(slope(START)) + 1), rel=1e-12
    )  # eps outside the root


def test_the_first_full_matrix_step_goes_along_the_gradient_and_the_next_by_the_inverse_root():
    path = adagrad.full_matrix(slope, START, 2.0, 2)
    first, second = slope(path[0]), slope(path[1])
    assert path[1] == pytest.approx(START - 2 * first / np.linalg.norm(first), rel=1e-6)
    G = np.outer(first, first) + np.outer(second, second)
    step = (path[1] - path[2]) / 2
    # step = G^(-1/2) g, so applying G^(1/2) twice gives back G^(1/2) g: check without a matrix root of our own
    assert step @ G @ step == pytest.approx(second @ second, rel=1e-5)


def test_only_the_full_matrix_is_blind_to_the_turn():
    straight, turned = adagrad.PLACES
    full = [adagrad.walk(adagrad.full_matrix, place, steps=120) for place in (straight, turned)]
    assert full[1] @ adagrad.TURN.T == pytest.approx(full[0], abs=1e-5)
    diagonal = [adagrad.walk(adagrad.diagonal, place, steps=120) for place in (straight, turned)]
    assert abs(diagonal[1] @ adagrad.TURN.T - diagonal[0]).max() > 1
    needed = [landscapes.steps_until(np.linalg.norm(path, axis=1), 0.01) for path in (*diagonal, *full)]
    assert needed == [60, None, 76, 76]


def test_the_size_of_a_gradient_cancels():
    for size in (100, 1, 0.01):
        assert adagrad.first_steps(size, steps=9) == pytest.approx(1 / np.sqrt(np.arange(1, 10)), rel=1e-6)


# 10. RMSProp


def test_the_rmsprop_loop_is_the_optimizer():
    hand = rmsprop.by_hand(slope, START, 0.05, 0.9, 200)
    assert walk(lambda place: optim.RMSprop(place, lr=0.05, alpha=0.9, eps=1e-7)) == pytest.approx(hand, abs=1e-12)


def test_adagrads_rate_dies_and_rmsprops_does_not():
    steps = np.arange(1, 101)
    rates = {name: rmsprop.walk(lambda w: w, 0.0, name, rate=1.0, steps=100)[1] for name in rmsprop.OPTIMIZERS}
    assert rates["AdaGrad"] == pytest.approx(1 / np.sqrt(steps), rel=1e-6)
    assert rates["RMSProp"] == pytest.approx(1 / np.sqrt(1 - 0.9**steps), rel=1e-6)

    walks = {name: rmsprop.walk(rmsprop.quartic, rmsprop.START, name, steps=200) for name in rmsprop.OPTIMIZERS}
    assert landscapes.steps_until(abs(walks["RMSProp"][0]), 0.5) == 89
    assert walks["AdaGrad"][0][-1] > 3.5
    assert (np.diff(walks["AdaGrad"][1]) < 0).all()
    assert walks["RMSProp"][1][-1] > 100 * walks["RMSProp"][1][0]


def test_rmsprop_does_not_come_to_rest():
    ends = {name: rmsprop.walk(rmsprop.bowl, 1.05, name, rate=0.1)[0][-2:] for name in rmsprop.OPTIMIZERS}
    assert sorted(ends["RMSProp"]) == pytest.approx([-0.05, 0.05], abs=1e-3)
    assert abs(ends["AdaGrad"]).max() < 1e-9


# 11. Adam


def test_the_adam_loop_is_the_optimizer_and_takes_one_step_less_than_it_says():
    hand = adam.by_hand(slope, START, 0.5, 201)
    assert len(hand) == 201  # the start and 200 steps
    assert walk(lambda place: optim.Adam(place, lr=0.5, eps=1e-7)) == pytest.approx(hand, abs=1e-12)


def test_the_correction_makes_the_moments_of_a_steady_gradient_right_from_the_start():
    t = np.arange(1, 2001)
    m, v, corrected_m, corrected_v = adam.moments(np.full(2000, 3.0))
    assert m == pytest.approx(3 * (1 - 0.9**t), rel=1e-9) and v == pytest.approx(9 * (1 - 0.999**t), rel=1e-9)
    assert corrected_m == pytest.approx(np.full(2000, 3.0), rel=1e-9)
    assert corrected_v == pytest.approx(np.full(2000, 9.0), rel=1e-9)


def test_without_the_correction_the_first_steps_are_too_long():
    plain, corrected = adam.step_sizes(np.ones(5000))
    assert corrected == pytest.approx(np.ones(5000), rel=1e-9)
    assert plain[[0, 1, 9, 99]] == pytest.approx([10**0.5, 4.250, 6.528, 3.241], abs=1e-3)
    assert (plain.argmax() + 1, round(plain.max(), 2)) == (12, 6.57)
    assert plain[999] > 1.2 and plain[-1] == pytest.approx(1, abs=0.01)

    path = walk(lambda place: optim.Adam(place, lr=0.5), 100)
    without = adam.uncorrected(slope, START, 0.5, 100)
    assert path[1] == pytest.approx(START + [0.5, -0.5], abs=1e-6)
    assert without[1] == pytest.approx(START + np.array([0.5, -0.5]) * 10**0.5, abs=1e-6)
    assert path[:, 0].max() < 1.5 < 5 < without[:, 0].max()


def test_epsilon_inside_the_root_is_its_root_outside():
    w = minigrad.tensor(0.0, dtype=minigrad.float64, requires_grad=True)
    (1e-6 * w).backward()
    optim.Adam([w], lr=1.0).step()
    assert -w.item() == pytest.approx(adam.first_step(1e-6, 1e-8, inside=False), rel=1e-6) == pytest.approx(100 / 101)
    assert adam.first_step(1e-6, 1e-8, inside=True) == pytest.approx(0.01, rel=1e-3)
    assert adam.first_step(1e-4, 1e-8, inside=True) == pytest.approx(0.5**0.5)


# Learning-rate scheduling


@pytest.fixture(scope="module")
def trainings():
    return {
        name: learning_rate_scheduling.train(make, epochs=16)
        for name, make in learning_rate_scheduling.SCHEDULES.items()
    }


def test_the_rates_follow_their_formulas(trainings):
    epochs = np.arange(16)
    assert trainings["constant"][:, 0] == pytest.approx(np.full(16, 0.5))
    assert trainings["StepLR"][:, 0] == pytest.approx(0.5 * 0.1 ** (epochs // 10))
    assert trainings["ExponentialLR"][:, 0] == pytest.approx(0.5 * 0.9**epochs)

    rate, best, bad = 0.5, np.inf, 0
    for (used, _, held_out, _), epoch in zip(trainings["ReduceLROnPlateau"], epochs):
        assert used == pytest.approx(rate), epoch
        bad = 0 if held_out < best * (1 - 1e-4) else bad + 1
        best = min(best, held_out) if bad == 0 else best
        if bad > 2:
            rate, bad = 0.3 * rate, 0
    assert rate < 0.5


def test_every_schedule_ends_nearer_to_the_least_loss_than_the_constant_rate(trainings):
    excess = {name: rows[-1, 1] for name, rows in trainings.items()}
    constant = trainings["constant"][-10:, 1].mean()
    assert all(excess[name] < constant / 2 for name in ("StepLR", "ExponentialLR", "ReduceLROnPlateau"))
    least = learning_rate_scheduling.least_squares()[-1]  # it must be no more and hardly less than what is reached
    assert 0 < excess["StepLR"] < 0.05 * least
