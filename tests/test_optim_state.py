"""What optimizers save, load, refuse and print."""

import numpy as np
import pytest
from optimizer_cases import CASES, give, gradients, leaf

import minigrad
from minigrad import kernels, nn, optim


@pytest.mark.parametrize("name", kernels.available())
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_state_dict(case, name, tmp_path):
    """A new optimizer that loads the state goes on as the old one, also through a file."""
    with kernels.use(name):
        ends, expected = saved_and_continued(case, tmp_path / "state")
    assert [expected, expected] == ends


def saved_and_continued(case, path):
    """The parameters after two more steps: of optimizers that loaded the state, and of the one that saved it."""
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1)).double()
    params = list(model.parameters())
    optimizer = case.make(optim, [{"params": params[:1], "lr": 0.03}, {"params": params[1:]}])

    def step(optimizer, parameters, count):
        for i in range(count):
            for p in parameters:
                give(p, gradients(p.shape, 3)[i])
            optimizer.step()

    step(optimizer, params, 3)
    minigrad.save(optimizer.state_dict(), path)
    ends = []
    for load in (lambda: optimizer.state_dict(), lambda: minigrad.load(path)):
        copies = [leaf(p.tolist()) for p in params]
        other = case.make(optim, [{"params": copies[:1]}, {"params": copies[1:]}], lr=7.0)
        other.load_state_dict(load())
        assert 0.03 == other.param_groups[0]["lr"]
        step(other, copies, 2)
        ends.append([p.tolist() for p in copies])
    step(optimizer, params, 2)
    return ends, [p.tolist() for p in params]


def test_load_state_dict_copies():
    """Loaded state is a copy, in the parameter's dtype; what was saved is not written by later steps."""
    p, q = leaf([1.0, 2.0]), leaf([1.0, 2.0], np.float32)
    give(p, [1.0, 1.0])
    give(q, [1.0, 1.0])
    first, second = optim.Adam([p]), optim.Adam([q])
    first.step()
    saved = first.state_dict()
    before = saved["state"][0]["exp_avg"].tolist()
    second.load_state_dict(saved)
    second.step()
    assert before == saved["state"][0]["exp_avg"].tolist()
    assert np.float32 == second.state[q]["exp_avg"].dtype


def state_of(optimizer, parameter):
    return {name: np.asarray(value).tolist() for name, value in optimizer.state[parameter].items()}


@pytest.mark.parametrize(
    ("params", "message"),
    [([[2], [2]], r"groups of \[1, 1\] parameters, expected \[1\]"), ([[2, 2]], r"\[2\] parameters, expected \[1\]"),
     ([[3]], r"exp_avg of parameter 0 has shape \(3,\), expected \(2,\)")],
)  # fmt: skip
def test_load_state_dict_refuses(params, message):
    """A state that does not fit is refused, and nothing of it taken over."""
    p = leaf([1.0, 2.0])
    give(p, [1.0, 1.0])
    optimizer = optim.Adam([p])
    optimizer.step()
    before = state_of(optimizer, p)
    groups = [{"params": [leaf(np.ones(size)) for size in sizes], "lr": 5.0} for sizes in params]
    other = optim.Adam(groups)
    for q in (q for group in groups for q in group["params"]):
        give(q, np.ones(q.shape))
    other.step()
    with pytest.raises(ValueError, match=rf"Adam.load_state_dict: .*{message}"):
        optimizer.load_state_dict(other.state_dict())
    assert before == state_of(optimizer, p)
    assert 1e-3 == optimizer.param_groups[0]["lr"]


# Refusals

P = leaf([1.0, 2.0])
BOUNDS = {
    "SGD": ("lr", "momentum", "weight_decay"), "Adam": ("lr", "eps", "weight_decay"), "AdamW": ("lr", "eps", "weight_decay"),
    "RMSprop": ("lr", "alpha", "eps", "weight_decay", "momentum"),
    "Adagrad": ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps"),
}  # fmt: skip


@pytest.mark.parametrize("value", [-0.1, np.nan])
@pytest.mark.parametrize(("name", "option"), [(name, option) for name, options in BOUNDS.items() for option in options])
def test_refused_hyperparameters(name, option, value):
    """A negative hyperparameter is refused with its name and value, for all parameters or for a group."""
    for params in ([P], [{"params": [P], option: value}]):
        with pytest.raises(ValueError, match=rf"{name}: {option} must be >= 0, got {value}"):
            getattr(optim, name)(params, **({option: value} if params == [P] else {}))


REFUSED = [
    (ValueError, lambda: optim.Adam([P], betas=(1.0, 0.9)), r"Adam: betas\[0\] must be in \[0, 1\), got 1.0"),
    (ValueError, lambda: optim.AdamW([P], betas=(0.9, -0.1)), r"AdamW: betas\[1\] .* got -0.1"),
    (ValueError, lambda: optim.SGD([P], nesterov=True), "nesterov needs momentum > 0 and dampening = 0"),
    (ValueError, lambda: optim.SGD([P], momentum=0.9, dampening=0.1, nesterov=True), "nesterov needs"),
    (ValueError, lambda: optim.SGD([]), "SGD: params is empty"),
    (ValueError, lambda: optim.SGD([P, leaf([1.0]), P]), r"SGD: params\[2\] appears more than once"),
    (ValueError, lambda: optim.SGD([{"params": [P]}, {"params": [P]}]), r"params\[0\] appears more than once"),
    (ValueError, lambda: optim.SGD([P * 2]), r"params\[0\] is not a leaf"),
    (ValueError, lambda: optim.SGD([minigrad.tensor([1, 2])]), r"params\[0\] is int64, expected a floating-point"),
    (TypeError, lambda: optim.SGD(P), r"iterable of tensors or dictionaries, got one tensor. Use \[tensor\]"),
    (TypeError, lambda: optim.SGD([np.ones(2)]), r"params\[0\] must be a tensor, got ndarray"),
    (TypeError, lambda: optim.SGD([{"params": [P]}, P]), "a parameter group must be a dictionary, got Tensor"),
    (TypeError, lambda: optim.SGD([P], learning_rate=0.1), "learning_rate"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "make", "message"), REFUSED, ids=range(len(REFUSED)))
def test_refused(error, make, message):
    """What cannot be optimized is refused, saying which parameter and why."""
    with pytest.raises(error, match=message):
        make()


def test_refused_group_changes_nothing():
    """A group that is refused leaves the optimizer as it was."""
    optimizer = optim.SGD([P])
    with pytest.raises(ValueError, match="lr"):
        optimizer.add_param_group({"params": [leaf([1.0])], "lr": -1.0})
    assert 1 == len(optimizer.param_groups)


def test_repr():
    """The printed form lists every group's hyperparameters in order of their names, as PyTorch's does."""
    assert "SGD (\nParameter Group 0\n    dampening: 0\n    lr: 0.5\n" in repr(optim.SGD([P], lr=0.5))
