"""The notes' summary: all optimizers are tuned alike, without the test images, and the text says what the figures say."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad
from minigrad import optim

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as `python -m examples.notes` does

from examples.datasets import load_digits  # noqa: E402
from examples.notes import summary  # noqa: E402
from examples.notes.page import Page  # noqa: E402
from examples.notes.summary import Result, Run  # noqa: E402


@pytest.fixture(autouse=True)
def seeds_stay_as_they_are():
    """The sections seed minigrad's random numbers, as programs may; other tests shall not notice."""
    state = minigrad.random.default_generator.get_state()
    yield
    minigrad.random.default_generator.set_state(state)


@pytest.fixture(scope="module")
def short():
    """The digits, with a shorter and smaller training than the section's."""
    return summary.small_task(load_digits())._replace(hidden=16, epochs=4, seeds=(0, 1), tuning_seeds=(2,))


FEW_RATES = (0.001, 0.01, 0.1)


@pytest.fixture(scope="module")
def results(short):
    return summary.compare(short, rates=FEW_RATES)


def test_the_digits_are_scaled_and_a_fifth_of_the_training_images_is_held_out(short):
    assert short.images.mean().item() == pytest.approx(0, abs=1e-5)
    assert short.images.numpy().std() == pytest.approx(1, abs=1e-5)
    held_out = summary.held_out_part(short)
    assert (len(held_out.labels), len(held_out.test_labels)) == (1149, 288)
    rows = {image.tobytes() for image in held_out.test_images.numpy()}
    assert rows == {image.tobytes() for image in short.images.numpy()[1149:]}


def test_every_optimizer_learns_when_tuned(results):
    assert list(results) == list(summary.OPTIMIZERS)
    for name, result in results.items():
        assert summary.mean_and_spread(result.tuned)[0] > 90, name
        assert len(result.tuned) == 2 and len(result.tuned[0].losses) == 4
        assert result.tuned[0].losses[-1] < result.tuned[0].losses[0] / 2
        assert set(result.held_out) == set(FEW_RATES) and result.rate in FEW_RATES
        assert max(result.held_out.values()) == result.held_out[result.rate]


def test_what_is_untuned_has_pytorchs_default_rates(results, short):
    rates = {name: result.default_rate for name, result in results.items() if result.untuned}
    assert rates == {
        "SGD": 1e-3,
        "momentum": 1e-3,
        "Nesterov": 1e-3,
        "Adagrad": 1e-2,
        "RMSprop": 1e-2,
        "Adam": 1e-3,
        "AdamW": 1e-3,
    }
    untuned = {name: summary.mean_and_spread(results[name].untuned)[0] for name in rates}
    assert untuned["SGD"] < untuned["momentum"] < untuned["Adam"]  # in so few steps
    assert results["Adam"].untuned[1].losses == summary.train(short, optim.Adam, {}, 1e-3, seed=1).losses


def test_the_same_seed_gives_the_same_run_and_another_seed_another(short):
    runs = [summary.train(short, optim.Adam, {}, 0.01, seed) for seed in (0, 0, 1)]
    assert runs[0].losses == runs[1].losses != runs[2].losses


def test_a_run_that_diverges_ends_and_never_wins(short):
    run = summary.train(short, optim.SGD, {}, 1e30, 0)
    assert (run.accuracy, run.loss, len(run.losses)) == (0, math.inf, 1)
    found = summary.compare(short._replace(epochs=1), {"SGD": (optim.SGD, [{}])}, rates=(1e30, 0.1))
    assert found["SGD"].rate == 0.1


def test_the_rate_is_chosen_without_the_test_images(short):
    wrong = short._replace(epochs=1, test_labels=(short.test_labels + 1) % 10)
    optimizers = {"SGD": (optim.SGD, [{}])}
    honest, misled = (summary.compare(task, optimizers, FEW_RATES)["SGD"] for task in (short._replace(epochs=1), wrong))
    assert honest.rate == misled.rate and honest.held_out == misled.held_out
    assert summary.mean_and_spread(honest.tuned)[0] > 60 > 30 > summary.mean_and_spread(misled.tuned)[0]


# What it says


def runs(*accuracies):
    return [Run([1.0], accuracy / 100, 0.1, 1.0) for accuracy in accuracies]


def result(tuned, untuned, held_out=(0.5, 0.95, 0.96)):
    return Result(dict(zip(FEW_RATES, held_out)), 0.1, {"momentum": 0.9}, runs(*tuned), 0.001, runs(*untuned))


def test_a_difference_counts_above_two_standard_errors():
    results = {"a": result([97, 98, 99], []), "b": result([96, 97, 98], []), "c": result([90, 91, 92], [])}
    assert summary.difference(results["a"].tuned, results["b"].tuned) == pytest.approx((1, (2 / 3) ** 0.5))
    assert summary.against("a", "b", results) == "a and b cannot be told apart (+1.00 ± 0.82 points)"
    assert summary.against("a", "c", results) == "a beats c (+7.00 ± 0.82 points)"
    assert summary.against("c", "a", results) == "c is behind a (-7.00 ± 0.82 points)"


@pytest.mark.parametrize("adam_wins", [True, False])
def test_the_verdict_says_what_the_figures_say(adam_wins):
    good, poor = (
        result([98.0, 98.2], [97.0, 97.2], (0.975, 0.977, 0.98)),
        result([95.0, 95.2], [60.0, 61.0], (0.1, 0.5, 0.98)),
    )
    adam, momentum = (good, poor) if adam_wins else (poor, good)
    results = {"momentum": momentum, "Adam": adam, summary.MORE: result([96.5, 96.7], [])}
    easy, width, tuned = (" ".join(sentence.split()) for sentence in summary.verdict(results))
    if adam_wins:
        assert (
            "Adam reads 97.1 %, place 1 of 2" in easy
            and "costs 1.0 points" in easy
            and "Adam is the better one" in easy
        )
        assert "Of the 3 rates, 3 bring Adam" in width and "less care" in width
        assert (
            "momentum is behind Adam (-3.00" in tuned
            and "With its coefficient ρ tuned as well, momentum is behind Adam (-1.50" in tuned
        )
    else:
        assert (
            "Adam reads 60.5 %, place 2 of 2" in easy
            and "costs 34.6 points" in easy
            and "Adam is not the better one" in easy
        )
        assert "Of the 3 rates, 1 bring Adam" in width and "more care" in width
        assert (
            "momentum beats Adam (+3.00" in tuned
            and "With its coefficient ρ tuned as well, momentum beats Adam (+1.50" in tuned
        )


def test_without_mnist_it_says_how_to_get_it_and_goes_on_with_the_digits(tmp_path, monkeypatch, short, results):
    monkeypatch.setattr(summary, "compare", lambda *_, **__: results)
    page, tables = Page(summary.TITLE, tmp_path / "output", data=tmp_path, quiet=True), []
    monkeypatch.setattr(page, "table", lambda header, rows: tables.append(rows))
    summary.show(page)
    text = page.html()
    assert "No MNIST was found" in text and "https://github.com/cvdfoundation/mnist" in text
    assert "UCI optical digits: 1,437 images to train on, 360 to test" in text
    ((*rows,),) = tables
    assert [name for name, *_ in rows] == list(summary.OPTIMIZERS)
    for (_, rate, accuracy, *_), found in zip(rows, results.values()):
        assert float(rate.split(",")[0]) == found.rate
        mean = np.mean([100 * run.accuracy for run in found.tuned])
        assert float(accuracy.split(" ± ")[0]) == pytest.approx(mean, abs=0.005)


def test_mnist_is_found_at_any_depth(tmp_path):
    from test_examples import write_mnist

    (tmp_path / "a" / "b").mkdir(parents=True)
    write_mnist(tmp_path / "a" / "b" / "mnist")
    page = Page(summary.TITLE, tmp_path / "output", data=tmp_path, quiet=True)
    task = summary.choose_task(page)
    assert (task.name, len(task.labels), len(task.test_labels)) == ("mnist", 200, 50)
    assert (task.hidden, task.batch) == (128, 128)
