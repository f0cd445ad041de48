"""The optimizers: every option against its recurrence, and whatever may change between two steps."""

import numpy as np
import pytest
from optimizer_cases import CASES, give, gradients, leaf

import minigrad
from minigrad import kernels, optim

TOLERANCE = {np.float32: dict(rtol=2e-5, atol=2e-6), np.float64: dict(rtol=1e-12, atol=1e-13)}

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
each_family = pytest.mark.parametrize(
    "case", [case for case in CASES if case.id in ("SGD", "SGD-momentum", "Adam-amsgrad", "AdamW", "RMSprop-all", "Adagrad")],
    ids=lambda case: case.id,
)  # fmt: skip


@pytest.fixture(params=kernels.available())
def backend(request):
    """Each kind of kernels in turn."""
    with kernels.use(request.param):
        yield request.param


def follow(optimizer, parameter, steps, grads, dtype=np.float64):
    """Take a step per gradient and compare with the recurrence after each."""
    for gradient in grads:
        give(parameter, gradient)
        optimizer.step()
        np.testing.assert_allclose(parameter.detach().numpy(), steps.send(gradient), **TOLERANCE[dtype])


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 5), (33,)], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@each_case
def test_recurrence(case, dtype, shape, backend):
    """Twenty steps are those of the paper's recurrence in float64; parameter and state keep their dtype."""
    values = gradients(shape, 1)[0]
    p = leaf(values, dtype)
    optimizer = case.make(optim, [p])
    follow(optimizer, p, case.start(values.astype(np.float64)), gradients(shape), dtype)
    kept = [value for value in optimizer.state[p].values() if isinstance(value, minigrad.Tensor)]
    assert {np.dtype(dtype)} == {p.dtype, *(tensor.dtype for tensor in kept)}
    assert {shape} == {p.shape, *(tensor.shape for tensor in kept)}


def solve(case, lr, loss, start, steps):
    p = leaf(start)
    decays = {name: 0 for name in ("weight_decay", "lr_decay") if name in case.make(optim, [p]).defaults}
    optimizer = case.make(optim, [p], lr=lr, **decays)
    sign = -1.0 if case.options.get("maximize") else 1.0
    for _ in range(steps):
        optimizer.zero_grad()
        (loss(p) * sign).backward()
        optimizer.step()
    return p.tolist()


@each_case
def test_parabola(case):
    """The minimum of a parabola is reached; with `maximize`, the maximum of its negative."""
    found = solve(case, case.parabola, lambda p: ((p - minigrad.tensor([3.0, -2.0], dtype=np.float64)) ** 2).sum(), [0.0, 0.0], 600)
    np.testing.assert_allclose(found, [3.0, -2.0], atol=0.02)


@each_case
def test_rosenbrock(case):
    """Rosenbrock's curved valley is followed to its end at (1, 1)."""

    def rosenbrock(p):
        return (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2

    np.testing.assert_allclose(solve(case, case.valley, rosenbrock, [0.5, 1.0], 1500), [1.0, 1.0], atol=0.1)


@pytest.mark.skipif("native" not in kernels.available(), reason="built without C kernels")
@each_case
def test_kernel_with_the_checked_gradient(case):
    """A C step with the gradient of backward() is a NumPy step with the gradient of finite differences."""

    def loss(p):
        return (p.exp() * minigrad.arange(1, 6).double() - (p * 2).tanh()).sum()

    stepped = []
    for name in ("native", "numpy"):
        with kernels.use(name):
            p = leaf([0.3, -0.7, 1.1, -0.2, 0.5])
            optimizer = case.make(optim, [p])
            for _ in range(3):
                optimizer.zero_grad()
                if name == "native":
                    loss(p).backward()
                else:
                    give(p, finite_difference(loss, p.detach()))
                optimizer.step()
            stepped.append(p.tolist())
    np.testing.assert_allclose(stepped[0], stepped[1], rtol=1e-7, atol=1e-9)


def finite_difference(loss, p, eps=1e-6):
    shifts = minigrad.from_numpy(np.eye(len(p.array)) * eps)
    return [(loss(p + shift) - loss(p - shift)).item() / (2 * eps) for shift in shifts]


# What may change between two steps


def test_parameter_without_gradient(backend):
    """A parameter without gradient is left alone, state included, and starts at step 1 when it gets one."""
    p, q = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    optimizer = optim.AdamW([p, q], lr=0.1)
    give(p, [1.0, 1.0])
    optimizer.step()
    assert [3.0, 4.0] == q.tolist()
    assert q not in optimizer.state
    follow(optimizer, q, CASES[12].start(np.array([3.0, 4.0]), lr=0.1), gradients((2,), 3))
    assert [4, 3] == [optimizer.state[x]["step"] for x in (p, q)]
    kept, before = p.tolist(), optimizer.state[p]["exp_avg"].tolist()
    optimizer.zero_grad()
    give(q, [1.0, 1.0])
    optimizer.step()
    assert (kept, before) == (p.tolist(), optimizer.state[p]["exp_avg"].tolist())


def test_zero_gradient_is_a_gradient():
    """A gradient of zeros still moves a parameter by its momentum."""
    p = leaf([1.0])
    optimizer = optim.SGD([p], lr=1.0, momentum=0.5)
    give(p, [1.0])
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)
    optimizer.step()
    assert [-0.5] == p.tolist()


@each_family
def test_replaced_arrays(case, backend):
    """New memory behind a parameter or a gradient is noticed; the old is not written any more."""
    values, grads = np.array([1.0, -2.0, 3.0]), gradients((3,), 6)
    p = leaf(values)
    optimizer, steps = case.make(optim, [p]), case.start(values)
    follow(optimizer, p, steps, grads[:2])
    old, kept = p.array, p.array.copy()
    p.data = minigrad.from_numpy(p.array.copy())
    follow(optimizer, p, steps, grads[2:4])
    np.testing.assert_array_equal(old, kept)
    follow(optimizer, p, steps, grads[4:])


def test_replaced_state(backend):
    """State that the user replaces is the state from then on."""
    p = leaf([1.0])
    optimizer = optim.SGD([p], lr=1.0, momentum=0.5)
    for _ in range(2):
        give(p, [1.0])
        optimizer.step()
    optimizer.state[p]["momentum_buffer"] = minigrad.tensor([8.0], dtype=np.float64)
    optimizer.step()
    assert [-1.5 - (0.5 * 8 + 1)] == p.tolist()
    assert [5.0] == optimizer.state[p]["momentum_buffer"].tolist()


def test_active_kernels_are_called(monkeypatch):
    """The chosen kernels run, once for all parameters that can go together."""
    calls, kernel = [], kernels.active.sgd

    def spy(parameters, *args, **options):
        calls.append(len(parameters.arrays))
        return kernel(parameters, *args, **options)

    monkeypatch.setattr(kernels.active, "sgd", spy)
    params = [leaf([1.0]) for _ in range(5)] + [leaf([1.0], np.float32)]
    for p in params:
        give(p, [1.0])
    optim.SGD(params, lr=1.0).step()
    assert [5, 1] == calls


@each_family
def test_frozen_for_a_while(case, backend):
    """A parameter that is frozen between two steps stays, and goes on where it stopped."""
    values, grads = np.array([1.0, -2.0, 3.0]), gradients((3,), 4)
    p, other = leaf(values), leaf(values)
    optimizer, steps = case.make(optim, [p, other]), case.start(values)
    give(other, grads[0])
    follow(optimizer, p, steps, grads[:2])
    p.requires_grad_(False)
    frozen, moving = p.tolist(), other.tolist()
    optimizer.step()
    assert frozen == p.tolist()
    assert moving != other.tolist()
    p.requires_grad_()
    follow(optimizer, p, steps, grads[2:])


def test_other_parameters(backend):
    """Parameters put in the place of others, or added, are the ones that move."""
    first, second, third = leaf([1.0]), leaf([1.0]), leaf([1.0], np.float32)
    optimizer = optim.SGD([first], lr=0.5, momentum=0.9)
    for p in (first, second, third):
        give(p, [1.0])
    optimizer.step()
    optimizer.step()
    optimizer.param_groups[0]["params"][0] = second
    optimizer.step()
    np.testing.assert_allclose([first.item(), second.item()], [-0.45, 0.5])
    optimizer.add_param_group({"params": third, "lr": 0.25})
    optimizer.step()
    np.testing.assert_allclose([first.item(), second.item(), third.item()], [-0.45, -0.45, 0.75])


@pytest.mark.parametrize(
    ("id", "before", "after"),
    [
        ("SGD", {"momentum": 0}, {"momentum": 0.9}), ("SGD", {"momentum": 0.9, "dampening": 0.5}, {"momentum": 0}),
        ("SGD", {"momentum": 0.9}, {"nesterov": True}), ("RMSprop", {"momentum": 0}, {"momentum": 0.9}),
        ("RMSprop", {"momentum": 0.9}, {"momentum": 0}), ("Adam", {}, {"betas": (0.5, 0.9), "weight_decay": 0.1}),
        ("Adam", {"amsgrad": True}, {"amsgrad": False}), ("AdamW", {}, {"maximize": True, "eps": 0.1}),
        ("Adagrad", {}, {"lr_decay": 0.5}),
    ],
)  # fmt: skip
def test_changed_hyperparameters(id, before, after, backend):
    """A hyperparameter changed between two steps holds from the next step on; so does the learning rate."""
    case = next(case for case in CASES if case.id == id)
    values, grads = np.array([1.0, -2.0, 3.0]), gradients((3,), 6)
    p = leaf(values)
    options = {"lr": 0.01, **before}
    optimizer, steps = case.make(optim, [p], **options), case.start(values, **options)
    follow(optimizer, p, steps, grads[:2])
    optimizer.param_groups[0].update(lr=0.005, **after)
    vars(steps.options).update(lr=0.005, **after)
    follow(optimizer, p, steps, grads[2:])


@each_family
def test_switched_kernels(case):
    """The kernels may be chosen anew between two steps."""
    values, grads = gradients((33,), 1)[0], gradients((33,), 6)
    p = leaf(values)
    optimizer, steps = case.make(optim, [p]), case.start(values)
    for name in kernels.available() * 2:
        with kernels.use(name):
            follow(optimizer, p, steps, grads[:2])


# What a parameter may be


@each_family
def test_many_parameters_in_groups(case, backend):
    """Parameters of all sizes and dtypes in groups with their own learning rates each follow their recurrence."""
    shapes = [(3,), (), (0, 4), (2, 5), (1,)]
    groups = [
        {"params": [leaf(gradients(shape, 1)[0], dtype) for shape in shapes for dtype in (np.float32, np.float64)], "lr": lr}
        for lr in (0.02, 0.003)
    ]
    optimizer = case.make(optim, groups)
    steps = {p: case.start(p.detach().numpy(), lr=group["lr"]) for group in optimizer.param_groups for p in group["params"]}
    for i in range(4):
        grads = {p: gradients(p.shape, 4)[i] for p in steps}
        for p, gradient in grads.items():
            give(p, gradient)
        optimizer.step()
        for p, gradient in grads.items():
            np.testing.assert_allclose(p.detach().numpy(), steps[p].send(gradient), **TOLERANCE[np.float32])


@pytest.mark.parametrize(
    "view", [lambda a: a.T, lambda a: a[:, ::2], lambda a: a[::-1]], ids=["transposed", "strided", "reversed"]
)
@each_family
def test_layout(case, view, backend):
    """A parameter that is not contiguous is updated where it lies, and nothing beside it."""
    memory = np.arange(24.0).reshape(4, 6) / 10
    inside = np.zeros((4, 6), bool)
    view(inside)[...] = True
    p = minigrad.from_numpy(view(memory)).requires_grad_()
    values, before = p.array.copy(), memory.copy()
    follow(case.make(optim, [p]), p, case.start(values), gradients(p.shape, 3))
    assert np.shares_memory(memory, p.array)
    np.testing.assert_array_equal(memory[~inside], before[~inside])


def test_gradient_layout(backend):
    """A gradient that is not contiguous is read in its own order."""
    p = leaf(np.zeros((2, 3)))
    p.grad = minigrad.from_numpy(np.arange(6.0).reshape(3, 2).T)
    optim.SGD([p], lr=1.0).step()
    assert [[0.0, -2.0, -4.0], [-1.0, -3.0, -5.0]] == p.tolist()


def test_in_place_write_is_noticed():
    """backward() refuses a graph recorded before a step, which changed the parameter it needs."""
    p = leaf([1.0, 2.0])
    loss = (p * p).sum()
    give(p, [1.0, 1.0])
    optim.SGD([p], lr=0.1).step()
    with pytest.raises(RuntimeError, match="in-place"):
        loss.backward()


def test_closure():
    """A closure runs once per step, with gradients on even under no_grad(), and its loss is returned."""
    p, calls = leaf([2.0]), []
    optimizer = optim.SGD([p], lr=0.25)

    def closure():
        calls.append(minigrad.is_grad_enabled())
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with minigrad.no_grad():
        assert 4.0 == optimizer.step(closure).item()
    assert [True] == calls
    assert [1.0] == p.tolist()
    assert optimizer.step() is None
