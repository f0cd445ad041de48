"""The same training, losses and schedules in PyTorch: equal after every step."""

import math
import warnings

import numpy as np
import pytest
from loss_cases import CASES as LOSSES
from loss_cases import REDUCTIONS
from optimizer_cases import CASES as OPTIMIZERS

import minigrad
from minigrad import kernels, nn

torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install torch)")
torch.set_num_threads(1)  # its spinning threads and NumPy's would fight for the cores

DTYPES = [np.float32, np.float64]
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])
LOSS_TOLERANCE = {np.float32: dict(rtol=2e-5, atol=2e-6), np.float64: dict(rtol=1e-12, atol=1e-13)}
TRAINING_TOLERANCE = {np.float32: dict(rtol=1e-4, atol=1e-5), np.float64: dict(rtol=1e-9, atol=1e-12)}


def mlp(library):
    return library.Sequential(
        library.Linear(5, 16), library.Tanh(), library.Linear(16, 8), library.ReLU(), library.Linear(8, 3)
    )


def train(library, model, optimizer, x, y, steps):
    """Yield the parameters after each step."""
    for _ in range(steps):
        optimizer.zero_grad()
        loss = library.nn.functional.cross_entropy(model(x), y, label_smoothing=0.1)
        loss.backward()
        optimizer.step()
        yield [p.detach().numpy().copy() for p in model.parameters()]


@each_dtype
@pytest.mark.parametrize("case", OPTIMIZERS, ids=lambda case: case.id)
def test_training(case, dtype):
    """Fifty steps on a small network leave the same parameters after each step."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20, 5)).astype(dtype), rng.integers(0, 3, 20)
    minigrad.manual_seed(0)
    ours, theirs = mlp(nn).to(dtype), mlp(torch.nn).to(getattr(torch, np.dtype(dtype).name))
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        q.data = torch.from_numpy(p.detach().numpy().copy())
    eps = {"eps": 1e-4} if "eps" in case.make(minigrad.optim, ours.parameters()).defaults else {}  # tames 0 / 0
    runs = (
        train(minigrad, ours, case.make(minigrad.optim, ours.parameters(), **eps), *map(minigrad.from_numpy, (x, y)), 50),
        train(torch, theirs, case.make(torch.optim, theirs.parameters(), **eps), *map(torch.from_numpy, (x, y)), 50),
    )
    for step, (found, expected) in enumerate(zip(*runs, strict=True)):
        for p, q in zip(found, expected, strict=True):
            np.testing.assert_allclose(p, q, **TRAINING_TOLERANCE[dtype], err_msg=f"after step {step}")


@pytest.mark.parametrize("name", kernels.available())
@each_dtype
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("case", LOSSES, ids=lambda case: case.id)
def test_loss(case, reduction, dtype, name):
    """Value and gradient are PyTorch's, for a random upstream gradient."""
    arrays = case.arrays(dtype)
    results = []
    for library in (minigrad, torch):
        with kernels.use(name):
            input, *others = [library.from_numpy(array.copy()) for array in arrays]
            input.requires_grad_()
            loss = case.call(library.nn.functional, input, *others, reduction=reduction)
            upstream = np.random.default_rng(1).standard_normal(tuple(loss.shape)).astype(dtype)
            loss.backward(library.from_numpy(np.asarray(upstream)))
        results.append((loss.detach().numpy(), input.grad.numpy()))
    for found, expected in zip(*results, strict=True):
        assert (expected.dtype, expected.shape) == (found.dtype, found.shape)
        np.testing.assert_allclose(found, expected, **LOSS_TOLERANCE[dtype])


EXTREME = [
    ("cross_entropy", ([[100.0, 0.0], [0.0, -1e4]], [1, 1]), {}),
    ("cross_entropy", ([[1.0, 2.0]], [-100]), {}),
    ("cross_entropy", ([[1.0, 2.0]], [-100]), {"reduction": "sum"}),
    ("cross_entropy", ([[1.0, -math.inf]], [0]), {}),
    ("binary_cross_entropy", ([0.0, 1.0, 0.0, 1.0, 1e-30], [0.0, 1.0, 1.0, 0.0, 1.0]), {"reduction": "none"}),
    ("binary_cross_entropy_with_logits", ([1e4, -1e4, 0.0, -0.0], [0.0, 1.0, 0.5, 1.0]), {"reduction": "none"}),
    ("multi_margin_loss", ([[1.0, 0.0, 0.0], [0.0, 1.0, 2.0]], [0, 2]), {"reduction": "none"}),
    ("smooth_l1_loss", ([0.0, 1.0, -1.0, math.nan, math.inf], [0.0] * 5), {"reduction": "none"}),
    ("huber_loss", ([0.0, 1.0, -1.0, math.nan, math.inf], [0.0] * 5), {"reduction": "none"}),
    ("l1_loss", ([0.0, -0.0, math.inf], [0.0] * 3), {"reduction": "none"}),
]


@pytest.mark.parametrize("name", kernels.available())
@pytest.mark.parametrize(("function", "args", "options"), EXTREME, ids=range(len(EXTREME)))
def test_extreme_values(function, args, options, name):
    """At the ends of the range, too, value and gradient are PyTorch's."""
    results = []
    for library in (minigrad, torch):
        with kernels.use(name):
            input = library.tensor(args[0], dtype=library.float64, requires_grad=True)
            target = library.tensor(args[1], dtype=None if isinstance(args[1][0], int) else library.float64)
            loss = getattr(library.nn.functional, function)(input, target, **options)
            loss.sum().backward()
        results.append((loss.detach().numpy(), input.grad.numpy()))
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-300)  # its 1e-12 is a float32


# Schedules

RNG = np.random.default_rng(5)
METRICS = {
    "falling": 1 / np.arange(1, 61), "noisy": RNG.standard_normal(60), "flat": np.ones(60),
    "negative": -np.arange(60.0) // 7, "nan": np.where(RNG.random(60) < 0.3, np.nan, RNG.random(60)),
    "rising": np.arange(60.0), "infinite": np.where(np.arange(60) % 9 == 0, np.inf, 1.0),
}  # fmt: skip
SCHEDULES = [
    ("StepLR", {"step_size": 7}), ("StepLR", {"step_size": 1, "gamma": 0.9}), ("ExponentialLR", {"gamma": 0.95}),
    ("ExponentialLR", {"gamma": 1.1}), ("ReduceLROnPlateau", {}), ("ReduceLROnPlateau", {"patience": 2, "factor": 0.7}),
    ("ReduceLROnPlateau", {"mode": "max", "patience": 1}), ("ReduceLROnPlateau", {"cooldown": 4, "patience": 0, "factor": 0.9}),
    ("ReduceLROnPlateau", {"threshold": 0.05, "patience": 1}), ("ReduceLROnPlateau", {"threshold": 1.5, "patience": 1}),
    ("ReduceLROnPlateau", {"threshold": 0.3, "threshold_mode": "abs", "mode": "max", "patience": 3}),
    ("ReduceLROnPlateau", {"threshold": 0.3, "threshold_mode": "abs", "patience": 3}),
    ("ReduceLROnPlateau", {"min_lr": [0.01, 0.002], "patience": 0}), ("ReduceLROnPlateau", {"min_lr": 1e-3, "eps": 1e-2, "patience": 0}),
]  # fmt: skip
CURVES = [
    (name, options, metrics)
    for name, options in SCHEDULES
    for metrics in (METRICS if name == "ReduceLROnPlateau" else ["falling"])
]


def rates(library, name, options, metrics):
    """The rates of two groups over the epochs."""
    params = [library.zeros(1, requires_grad=True) for _ in range(2)]
    optimizer = library.optim.SGD([{"params": [params[0]]}, {"params": [params[1]], "lr": 0.03}], lr=0.5)
    scheduler = getattr(library.optim.lr_scheduler, name)(optimizer, **options)
    for metric in METRICS[metrics].tolist():
        optimizer.step()
        scheduler.step(*[metric] * (name == "ReduceLROnPlateau"))
        yield *scheduler.get_last_lr(), *(group["lr"] for group in optimizer.param_groups)


@pytest.mark.parametrize(("name", "options", "metrics"), CURVES, ids=[f"{c[0]}-{i}-{c[2]}" for i, c in enumerate(CURVES)])
def test_schedule(name, options, metrics):
    """Sixty epochs give the same learning rates, in each of two groups, for any course of the metric."""
    found, expected = (list(rates(library, name, options, metrics)) for library in (minigrad, torch))
    assert expected == found


def test_schedule_from_an_epoch():
    """A schedule that goes on from `last_epoch` starts with PyTorch's rate."""
    found = []
    for library in (minigrad, torch):
        optimizer = library.optim.SGD([{"params": [library.zeros(1, requires_grad=True)], "initial_lr": 1.0}], lr=0.25)
        scheduler = library.optim.lr_scheduler.StepLR(optimizer, 4, gamma=0.5, last_epoch=3)
        optimizer.step()
        found.append([scheduler.last_epoch, *scheduler.get_last_lr()])
        for _ in range(4):
            scheduler.step()
            found[-1] += scheduler.get_last_lr()
    assert found[1] == found[0]


# Modules


def test_default_start_has_the_same_bounds():
    """The starting values of Linear fill PyTorch's interval."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, expected = (library.nn.Linear(50, 400) for library in (minigrad, torch))
    for p, q in zip(found.parameters(), expected.parameters(), strict=True):
        np.testing.assert_allclose(np.abs(p.detach().numpy()).max(), np.abs(q.detach().numpy()).max(), rtol=0.01)


def test_repr():
    """Models print as PyTorch's do."""

    def model(nn):
        inner = nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU(), nn.Flatten(0))
        inner.add_module("loss", nn.CrossEntropyLoss())
        return nn.ModuleList([inner, nn.Sequential(), nn.Softmax(dim=1), nn.LogSoftmax(dim=0), nn.HuberLoss(), nn.Identity()])

    assert repr(model(torch.nn)) == repr(model(minigrad.nn))


def test_state_dict_names():
    """States have PyTorch's names in PyTorch's order, with shared modules and weighted losses."""

    def model(library):
        net = library.nn.Sequential(library.nn.Linear(2, 2), library.nn.Tanh(), library.nn.Linear(2, 2))
        net.add_module("again", net[0])
        net.add_module("loss", library.nn.CrossEntropyLoss(weight=library.ones(2)))
        net.register_buffer("count", library.zeros(1))
        net.register_buffer("scratch", library.zeros(1), persistent=False)
        return net

    ours, theirs = model(minigrad), model(torch)
    assert list(theirs.state_dict()) == list(ours.state_dict())
    for names in ("named_parameters", "named_buffers", "named_modules"):
        assert [name for name, _ in getattr(theirs, names)()] == [name for name, _ in getattr(ours, names)()]
