"""Learning-rate schedules: rates worked out by hand, the order of calls, and going on from a saved state."""

import math
import warnings

import numpy as np
import pytest

import minigrad
from minigrad import optim
from minigrad.optim.lr_scheduler import ExponentialLR, ReduceLROnPlateau, StepLR


def optimizer_of(*rates):
    groups = [{"params": [minigrad.zeros(1, requires_grad=True)], "lr": rate} for rate in rates]
    return optim.SGD(groups, lr=1.0)


def rates(scheduler, epochs):
    """The first group's rate at the start and after each epoch."""
    found = scheduler.get_last_lr()[:1]
    for _ in range(epochs):
        scheduler.optimizer.step()
        scheduler.step()
        found += scheduler.get_last_lr()[:1]
    assert found[-1] == scheduler.optimizer.param_groups[0]["lr"]
    return found


def plateau_rates(metrics, lr=1.0, **options):
    """The rate after each metric."""
    scheduler = ReduceLROnPlateau(optimizer_of(lr), **{"factor": 0.5, "patience": 0, **options})
    found = []
    for metric in metrics:
        scheduler.step(metric)
        found += scheduler.get_last_lr()
    return found


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda o: StepLR(o, 2), [1, 1, 0.1, 0.1, 0.01, 0.01, 0.001]),
        (lambda o: StepLR(o, step_size=3, gamma=0.5), [1, 1, 1, 0.5, 0.5, 0.5, 0.25]),
        (lambda o: StepLR(o, 1, gamma=2.0), [1, 2, 4, 8, 16, 32, 64]),
        (lambda o: ExponentialLR(o, 0.5), [1, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625]),
        (lambda o: ExponentialLR(o, gamma=1.0), [1] * 7),
    ],
)  # fmt: skip
def test_rates(make, expected):
    """The rate falls when and as the schedule says, starting with the optimizer's."""
    np.testing.assert_allclose(rates(make(optimizer_of(1.0)), 6), expected, rtol=1e-12)


def test_groups_and_chains():
    """Each group keeps its own rate; two schedules on one optimizer multiply."""
    optimizer = optimizer_of(1.0, 8.0)
    first, second = StepLR(optimizer, 2, gamma=0.5), ExponentialLR(optimizer, 0.1)
    for _ in range(2):
        optimizer.step()
        first.step()
        second.step()
    np.testing.assert_allclose(second.get_last_lr(), [0.005, 0.04])
    assert [1.0, 8.0] == first.base_lrs
    assert 2 == first.last_epoch


def test_rate_set_by_hand():
    """A rate that the user sets is the one the schedule goes on from."""
    optimizer = optimizer_of(1.0)
    scheduler = ExponentialLR(optimizer, 0.5)
    optimizer.param_groups[0]["lr"] = 10.0
    optimizer.step()
    scheduler.step()
    assert [5.0] == scheduler.get_last_lr()


def test_rates_reach_the_step():
    """The step is taken with the scheduled rate."""
    optimizer = optimizer_of(1.0)
    (p,) = optimizer.param_groups[0]["params"]
    scheduler = StepLR(optimizer, 1)
    for expected in (-1.0, -1.1, -1.11):
        p.grad = minigrad.ones(1)
        optimizer.step()
        scheduler.step()
        np.testing.assert_allclose(p.item(), expected, rtol=1e-6)


@pytest.mark.parametrize("make", [lambda o: StepLR(o, 1), lambda o: ExponentialLR(o, 0.9)], ids=["StepLR", "ExponentialLR"])
def test_warning_for_the_wrong_order(make):
    """scheduler.step() before the first optimizer.step() warns, once, where it was called."""
    optimizer = optimizer_of(1.0)
    scheduler = make(optimizer)
    with pytest.warns(UserWarning, match=r"before optimizer.step\(\)") as caught:
        scheduler.step()
    assert __file__ == caught[0].filename
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler.step()
        after = make(optimizer)
        optimizer.step()
        after.step()


PLATEAU = [
    ([3, 2, 1, 1, 1], {}, [1, 1, 1, 0.5, 0.25]),
    ([1, 1, 1, 1, 1, 1, 1], {"patience": 2}, [1, 1, 1, 0.5, 0.5, 0.5, 0.25]),
    ([1, 2, 3, 3, 2], {"mode": "max"}, [1, 1, 1, 0.5, 0.25]),
    ([1, 0.95, 0.9, 0.85], {"threshold": 0.1}, [1, 0.5, 0.25, 0.25]),
    ([1, 0.95, 0.9, 0.85], {"threshold": 0.1, "threshold_mode": "abs"}, [1, 0.5, 0.25, 0.25]),
    ([10, 9.95, 9.85], {"threshold": 0.1, "threshold_mode": "abs"}, [1, 0.5, 0.5]),
    ([10, 9.95, 9.85], {"threshold": 0.1}, [1, 0.5, 0.25]),
    ([1, 1.05, 1.2], {"mode": "max", "threshold": 0.1}, [1, 0.5, 0.5]),
    ([1] * 7, {"cooldown": 2}, [1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]),
    ([1] * 5, {"min_lr": 0.3}, [1, 0.5, 0.3, 0.3, 0.3]),
    ([1] * 4, {"eps": 0.3}, [1, 0.5, 0.5, 0.5]),
    ([1, math.nan, math.nan], {}, [1, 0.5, 0.25]),
    ([math.inf, 1, 1], {}, [0.5, 0.5, 0.25]),
    ([-1, -1.00001, -2, -1.9999], {"threshold": 0.1, "threshold_mode": "abs"}, [1, 0.5, 0.5, 0.25]),
    ([-1, -0.95, -0.9], {"threshold": 0.1}, [1, 1, 1]),
]  # fmt: skip


@pytest.mark.parametrize(("metrics", "options", "expected"), PLATEAU, ids=range(len(PLATEAU)))
def test_plateau(metrics, options, expected):
    """The rate falls when more than `patience` epochs brought nothing better, by the threshold, than the best."""
    np.testing.assert_allclose(plateau_rates(metrics, **options), expected, rtol=1e-12)


def test_plateau_of_groups():
    """Each group has its floor, also one that is added later; get_last_lr() follows rates set by hand."""
    optimizer = optimizer_of(1.0, 1.0)
    scheduler = ReduceLROnPlateau(optimizer, factor=0.1, patience=0, min_lr=[0.5, 0.02])
    for _ in range(3):
        scheduler.step(minigrad.tensor(1.0))
    assert [0.5, 0.02] == scheduler.get_last_lr()
    plain = ReduceLROnPlateau(optimizer, patience=5, min_lr=0.1)
    optimizer.add_param_group({"params": [minigrad.zeros(1, requires_grad=True)], "lr": 3.0})
    plain.step(1.0)
    assert [0.5, 0.02, 3.0] == plain.get_last_lr()
    with pytest.raises(ValueError, match="2 values of min_lr for 3 parameter groups"):
        scheduler.step(1.0)


SCHEDULERS = {
    "StepLR": lambda o: StepLR(o, 3, gamma=0.5), "ExponentialLR": lambda o: ExponentialLR(o, 0.9),
    "ReduceLROnPlateau": lambda o: ReduceLROnPlateau(o, patience=1, cooldown=1, min_lr=0.01),
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEDULERS)
def test_state_dict(name, tmp_path):
    """A schedule and its optimizer loaded from a file go on as the saved ones."""

    def go_on(scheduler, count):
        found = []
        for _ in range(count):
            scheduler.optimizer.step()
            scheduler.step(*[1.0] * (name == "ReduceLROnPlateau"))
            found += scheduler.get_last_lr()
        return found

    old = SCHEDULERS[name](optimizer_of(1.0))
    go_on(old, 4)
    minigrad.save([old.optimizer.state_dict(), old.state_dict()], tmp_path / "state")
    new = SCHEDULERS[name](optimizer_of(77.0))
    for part, state in zip((new.optimizer, new), minigrad.load(tmp_path / "state"), strict=True):
        part.load_state_dict(state)
    assert "optimizer" not in old.state_dict()
    assert go_on(old, 7) == go_on(new, 7)


def test_last_epoch():
    """`last_epoch` goes on from an epoch, if the optimizer knows the rates of the start."""
    optimizer = optimizer_of(0.25)
    with pytest.raises(KeyError, match="group 0 needs 'initial_lr'"):
        StepLR(optimizer, 2, last_epoch=3)
    optimizer.param_groups[0]["initial_lr"] = 1.0
    scheduler = StepLR(optimizer, 4, gamma=0.5, last_epoch=3)
    assert ([1.0], 4, [0.125]) == (scheduler.base_lrs, scheduler.last_epoch, scheduler.get_last_lr())


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda o: StepLR(o, 0), ValueError, "step_size must be a positive integer, got 0"),
        (lambda o: StepLR(o, 1.5), ValueError, "step_size .* got 1.5"),
        (lambda o: StepLR([o], 1), TypeError, "StepLR: expected an optimizer, got list"),
        (lambda o: ReduceLROnPlateau("o"), TypeError, "ReduceLROnPlateau: expected an optimizer, got str"),
        (lambda o: ReduceLROnPlateau(o, factor=1.0), ValueError, "factor must be < 1, got 1.0"),
        (lambda o: ReduceLROnPlateau(o, mode="less"), ValueError, "mode must be 'min' or 'max', got 'less'"),
        (lambda o: ReduceLROnPlateau(o, threshold_mode="x"), ValueError, "threshold_mode must be .* got 'x'"),
        (lambda o: ReduceLROnPlateau(o, min_lr=[0, 0]), ValueError, "2 values of min_lr for 1 parameter groups"),
    ],
)  # fmt: skip
def test_refused(make, error, message):
    """A schedule that makes no sense is refused, and the rate stays."""
    optimizer = optimizer_of(1.0)
    with pytest.raises(error, match=message):
        make(optimizer)
    assert 1.0 == optimizer.param_groups[0]["lr"]
