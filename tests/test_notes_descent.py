"""The notes come alive, from gradient descent to Nesterov: the numbers that each section shows."""

import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad
from minigrad import nn, optim

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as `python -m examples.notes` does

from examples.notes import (  # noqa: E402
    gradient_descent,
    landscapes,
    mini_batch,
    momentum,
    nesterov,
    problems_with_sgd,
    stochastic_gradient_descent,
)
from examples.notes.page import Page  # noqa: E402


@pytest.fixture(autouse=True)
def seeds_stay_as_they_are():
    """The sections seed minigrad's random numbers, as programs may; other tests shall not notice."""
    state = minigrad.random.default_generator.get_state()
    yield
    minigrad.random.default_generator.set_state(state)


SECTIONS = gradient_descent, stochastic_gradient_descent, problems_with_sgd, momentum, nesterov


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__.split(".")[-1])
def test_the_section_runs(section, tmp_path):
    page = Page(section.TITLE, tmp_path, quiet=True)
    section.show(page)
    assert sum(part.startswith("<p>") for part in page.parts) >= 2
    assert not re.search(r"\bnan\b|\binf\b", page.html())


# The landscapes


def test_the_landscapes_have_the_slopes_and_the_floors_that_their_docstrings_promise():
    for x in (-3.0, 0.5, 2.5):
        slope = landscapes.gradient(landscapes.two_valleys, [x])
        assert slope == pytest.approx([(x + 2) * (x - 1) * (x - 2)], abs=1e-12)
    assert landscapes.two_valleys(2) == pytest.approx(4 / 3)
    assert [landscapes.saddle(0, y) for y in (-1, 0, 1)] == [-0.25, 0, -0.25]
    assert landscapes.gradient(landscapes.ravine, landscapes.RAVINE_START).tolist() == [-10, 100]


def test_steps_until_means_for_good():
    assert landscapes.steps_until(np.array([5, 0, 5, 0, 0]), 1) == 3
    assert landscapes.steps_until(np.array([0, 0]), 1) == 0
    assert landscapes.steps_until(np.array([5, 0, 5]), 1) is None
    assert landscapes.steps_until(np.array([5, math.nan]), 1) is None
    assert landscapes.sign_changes([1, -1, -2, 3]) == 2


# 4. Gradient descent


def test_gradient_descent_gives_the_four_numbers_of_the_notes():
    expected = [1.6, 0.64, 0.256, 0.1024]
    assert gradient_descent.by_hand() == pytest.approx(expected, rel=1e-14)
    assert gradient_descent.by_optimizer() == pytest.approx(expected, rel=1e-14)


def test_each_rate_does_what_its_name_says():
    seen = {
        name: np.array([4.0, *gradient_descent.by_optimizer(rate, 25)]) for name, rate in gradient_descent.RATES.items()
    }
    for name, rate in gradient_descent.RATES.items():
        assert seen[name] == pytest.approx(4 * (1 - 2 * rate) ** np.arange(26), rel=1e-12)
    assert landscapes.sign_changes(seen["small"]) == landscapes.sign_changes(seen["good"]) == 0
    assert landscapes.sign_changes(seen["large"]) == landscapes.sign_changes(seen["too large"]) == 25
    assert (
        abs(seen["good"][-1]) < 1e-9 < abs(seen["large"][-1]) < abs(seen["small"][-1]) < 4 < abs(seen["too large"][-1])
    )


# 5. Stochastic gradient descent


def test_the_loop_of_the_notes_runs_as_it_stands_and_learns():
    model, losses = stochastic_gradient_descent.run_loop()
    assert len(losses) == 1437
    assert losses[0] == pytest.approx(math.log(10), rel=1e-6)
    assert 2.26 < stochastic_gradient_descent.evaluate(model)[0] < 2.29

    model, losses = stochastic_gradient_descent.run_loop(stochastic_gradient_descent.LOOP.replace("1e-4", "1e-1"))
    loss, accuracy = stochastic_gradient_descent.evaluate(model)
    assert loss < 0.25 and accuracy > 0.94
    assert losses[-100:].std() > 0.3  # single images still differ widely


# 6. Mini-batches


def test_the_program_of_the_notes_runs_as_it_stands():
    printed, names = mini_batch.run_program()
    assert [re.fullmatch(r"Epoch \[(\d+)/100\], Loss: 0\.\d{4}", line)[1] for line in printed] == [
        "20",
        "40",
        "60",
        "80",
        "100",
    ]
    model = names["model"]
    assert model.weight.item() == pytest.approx(2, abs=0.15) and model.bias.item() == pytest.approx(1, abs=0.1)
    assert float(printed[-1].split()[-1]) == pytest.approx(names["loss"].item(), abs=5e-5)


def test_the_program_differs_from_pytorch_in_one_word():
    torch = pytest.importorskip("torch", reason="torch is needed to run the same program with the word torch")
    torch_state = torch.random.get_rng_state()
    source = (mini_batch.IMPORTS + mini_batch.DATA + mini_batch.PROGRAM).replace("minigrad", "torch")
    printed, names = mini_batch.run_program(source)
    torch.random.set_rng_state(torch_state)
    assert len(printed) == 5
    assert names["model"].weight.item() == pytest.approx(2, abs=0.15)


def test_one_image_needs_the_fewest_images_and_a_mini_batch_fewer_passes_than_the_full_batch():
    passes = {"one image": 2, "mini-batch of 32": 4, "full batch": 60}  # fewer than the section's, to an easier goal
    found = mini_batch.compare({name: (*mini_batch.SIZES[name][:2], n) for name, n in passes.items()}, points=20)
    reached = {name: mini_batch.reached(rows, goal=0.4) for name, rows in found.items()}
    steps, seen, seconds, loss = (dict(zip(reached, column)) for column in zip(*reached.values()))
    assert all(0 < value < 0.4 for value in loss.values())
    assert seen["one image"] < seen["mini-batch of 32"] < 5_000 < 30_000 < seen["full batch"]
    assert steps["full batch"] < steps["mini-batch of 32"] < steps["one image"] == seen["one image"]
    assert [rows[-1, 1] for rows in found.values()] == [1437 * n for n in passes.values()]
    for rows in found.values():  # time and images only grow
        assert (np.diff(rows[:, :3], axis=0) > 0).all()
    assert mini_batch.reached(found["full batch"], goal=1e-9) is None
    assert mini_batch.costs(None)[0] == "not reached"


# Problems with SGD


def test_the_ravine_makes_gradient_descent_zig_zag():
    path = problems_with_sgd.zig_zag(steps=60)
    assert path[:, 0] == pytest.approx(-10 * 0.982 ** np.arange(61), rel=1e-12)
    assert path[:, 1] == pytest.approx((-0.8) ** np.arange(61), rel=1e-9)
    assert landscapes.sign_changes(path[:, 1]) == 60
    assert abs(problems_with_sgd.zig_zag(rate=0.0201, steps=2000)[-1, 1]) > 1e6  # above 2 / 100


def test_it_stops_in_a_local_minimum_and_on_a_saddle():
    valley = problems_with_sgd.stopped_in_valley()[-1]
    assert valley == pytest.approx([2], abs=1e-6)
    assert abs(landscapes.gradient(landscapes.two_valleys, valley)).max() < 1e-6

    stuck = problems_with_sgd.at_saddle(1.0, 0.0)[-1]
    assert stuck == pytest.approx([0, 0], abs=1e-15)
    assert np.linalg.norm(landscapes.gradient(landscapes.saddle, stuck)) < 1e-15
    assert landscapes.saddle(*stuck) > landscapes.saddle(0, 1)

    free = problems_with_sgd.at_saddle(-1.0, 1e-9)
    assert free[-1] == pytest.approx([0, 1], abs=1e-9)
    assert problems_with_sgd.lingering(free) > 100


def test_the_noise_of_a_batch_falls_with_the_root_of_its_size():
    full, singles, batches = problems_with_sgd.noise(sizes=(1, 16, 256), draws=200)
    assert singles.mean(0) == pytest.approx(full, abs=1e-6)
    one = problems_with_sgd.spread(singles, full)
    for size, found in batches.items():
        assert problems_with_sgd.spread(found, full) == pytest.approx(one / size**0.5, rel=0.15)
    uphill = [np.mean(found @ full < 0) for found in batches.values()]
    assert 0.5 > uphill[0] > uphill[1] > uphill[2] == 0


# 7. Momentum


def test_the_loop_with_momentum_is_the_optimizer():
    slope = lambda place: landscapes.gradient(landscapes.ravine, place)  # noqa: E731
    hand = momentum.by_hand(slope, np.array(landscapes.RAVINE_START), 0.005, 0.9, 200)
    assert hand == pytest.approx(momentum.walk(0.005, 0.9, 200), abs=1e-12)


def test_momentum_is_faster_in_the_ravine():
    needed = {
        label: landscapes.steps_until(landscapes.losses(landscapes.ravine, momentum.walk(*settings)), 0.01)
        for label, settings in momentum.WALKS.items()
    }
    assert needed == {"SGD": 235, "SGD, best": 231, "momentum 0.9": 90, "momentum, best": 44}
    path = momentum.walk(0.005, 0.9)
    assert path[:, 0].max() > 0.3  # it overshoots
    assert landscapes.sign_changes(path[:61, 1]) == 14
    distances = np.linalg.norm(momentum.walk(*momentum.WALKS["SGD, best"]), axis=1)
    assert distances[-1] / distances[-2] == pytest.approx(99 / 101, rel=1e-6)


def test_only_the_fast_ball_leaves_the_local_minimum():
    ends = [momentum.roll(rho)[-1, 0] for rho in (0.0, 0.5, 0.9)]
    assert ends == pytest.approx([2, 2, -2], abs=1e-4)


def test_the_velocity_is_a_sum_and_with_dampening_an_average():
    steps = np.arange(1, 101)
    assert momentum.velocities(100) == pytest.approx((1 - 0.9**steps) / 0.1, rel=1e-12)
    assert momentum.velocities(100, dampening=0.9) == pytest.approx(np.ones(100), rel=1e-12)


# 8. Nesterov


def test_the_look_ahead_form_and_pytorchs_form_are_one_sequence():
    x, looked_at = nesterov.look_ahead(lambda x: 2 * x, 5.0, 0.1, 0.9, 50)
    path, velocity = nesterov.by_optimizer(lambda x: x * x, [5.0], 0.1, 0.9, 50)
    assert x[1:4] == pytest.approx([4, 2.48, 0.8896], rel=1e-12)
    assert path[:, 0] == pytest.approx(looked_at, abs=1e-14)
    assert (path - 0.9 * velocity)[:, 0] == pytest.approx(x, abs=1e-14)
    assert abs(path[1:, 0] - x[1:]).max() > 0.5  # without the change of variables they are not the same

    slope = lambda place: landscapes.gradient(landscapes.ravine, place)  # noqa: E731
    in_ravine = nesterov.look_ahead(slope, np.array(landscapes.RAVINE_START), 0.005, 0.9, 400)[1]
    assert in_ravine == pytest.approx(nesterov.walk(nesterov=True), abs=1e-13)


def test_the_look_ahead_overshoots_less_but_does_overshoot():
    x, _ = nesterov.look_ahead(lambda x: 2 * x, 5.0, 0.1, 0.9, 50)
    heavy = landscapes.descend(lambda x: x * x, [5.0], 50, lambda place: optim.SGD(place, lr=0.1, momentum=0.9))
    assert heavy.min() == pytest.approx(-3.54, abs=0.01)
    assert x.min() == pytest.approx(-1.66, abs=0.01)
    assert abs(nesterov.walk(nesterov=True)[20, 1]) < 1e-3 < 0.1 < abs(nesterov.walk()[20, 1])


@pytest.mark.parametrize("look_ahead", [False, True])
def test_the_largest_stable_rate_is_where_the_text_says(look_ahead):
    rate = nesterov.limit(0.9, look_ahead) / landscapes.STEEP
    across = [abs(nesterov.walk(rate * factor, look_ahead, 600)[-1, 1]) for factor in (0.97, 1.03)]
    assert across[0] < 1e-3 and across[1] > 1e3


def test_a_model_of_all_zeros_guesses():
    scores = stochastic_gradient_descent.create_model()(minigrad.randn(3, 8, 8))
    assert nn.functional.cross_entropy(scores, minigrad.tensor([1, 2, 3])).item() == pytest.approx(
        math.log(10), rel=1e-6
    )
