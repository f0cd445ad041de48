"""`jit`: nothing of a program is used when what it was made of has changed."""

import copy
import functools
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
from jitted import X, Y, counting_step, is_program

import minigrad
from minigrad import nn, optim


def test_python_runs_twice():
    step, _, _, runs = counting_step()
    assert [False] * 6 == [step(X, Y).requires_grad for _ in range(6)]
    assert 2 == len(runs)


@pytest.mark.parametrize("change", ["shape", "dtype", "number", "by name", "strides", "mode", "grad mode", "frozen", "setting"])
def test_what_is_seen(change):
    """After such a change Python runs again, and nothing of the old program is used."""
    step, model, optimizer, runs = counting_step()
    for _ in range(3):
        step(X, Y)
    before = len(runs)
    if change == "shape":
        step(X[:3], Y[:3])
    elif change == "dtype":
        with pytest.raises(RuntimeError, match="linear"):
            step(X.double(), Y)
    elif change == "number":
        assert step(X, Y, 0.0).item() == 0
    elif change == "by name":
        step(X, Y, scale=1.0)
    elif change == "strides":
        step(minigrad.from_numpy(np.asfortranarray(X.numpy())), Y)
    elif change == "mode":
        model.eval()
        step(X, Y)
    elif change == "grad mode":
        with minigrad.no_grad(), pytest.raises(RuntimeError, match="does not require grad"):
            step(X, Y)
    elif change == "frozen":
        model[0].weight.requires_grad_(False)
        frozen = model[0].weight.numpy().copy()
        step(X, Y)
        np.testing.assert_array_equal(model[0].weight.numpy(), frozen)
    elif change == "setting":
        model[2].p = 0.0
        step(X, Y)
    assert len(runs) == before + 1


def test_what_is_read_anew():
    """Arrays of parameters, and learning rates, are those of the moment; for other kernels there is another program."""
    step, model, optimizer, runs = counting_step()
    model.eval()
    for _ in range(3):
        step(X, Y)
    weight = model[0].weight
    weight.data = minigrad.zeros(4, 5)
    model[0].bias.data = minigrad.zeros(4)
    model[3].bias.data = minigrad.zeros(3)
    optimizer.param_groups[0]["lr"] = 0.0
    assert step(X, Y).item() == pytest.approx(np.log(3))
    assert not weight.detach().numpy().any()
    assert 2 == len(runs)
    with minigrad.kernels.use("numpy"):
        assert step(X, Y).item() == pytest.approx(np.log(3))
    assert 2 + (minigrad.kernels.active_kernels() != "numpy") == len(runs)


def test_variables_around_it():
    """A function that reads a variable sees another object there; one that sets it runs as ever."""
    model, factor = nn.Linear(2, 1), 1.0

    @minigrad.jit
    def predict(x):
        with minigrad.no_grad():
            return model(x) * factor * FACTOR

    x = minigrad.ones(1, 2)
    global FACTOR
    for FACTOR in (1.0, 3.0):
        for factor in (1.0, 2.0):
            for model in (nn.Linear(2, 1), nn.Linear(2, 1)):
                for _ in range(4):
                    assert predict(x).item() == (model(x) * factor * FACTOR).item()
                assert is_program(predict)

FACTOR, count = 1.0, 0


def test_a_variable_that_it_sets():
    @minigrad.jit
    def step(x):
        global count
        count += 1
        return x * count

    with pytest.warns(RuntimeWarning, match="variables around it"):
        assert [1, 2, 3, 4] == [step(minigrad.ones(1)).item() for _ in range(4)]

RATE = 1.0


def helper(x):
    return x * RATE


AROUND = {
    "itself": lambda x: x * RATE,
    "behind no_grad": minigrad.no_grad(lambda x: x * RATE),
    "a partial": functools.partial(lambda y, x: x * y * RATE, 1.0),
    "a function inside": lambda x: (lambda z: z * RATE)(x),
    "a comprehension": lambda x: sum(x * RATE for _ in range(1)),
    "a helper": lambda x: helper(x),
    "a helper's helper": minigrad.no_grad(lambda x: [helper(x) for _ in range(1)][0]),
    "another jit": lambda x: jitted_helper(x),
    "another jit, of a scope around it": (lambda inner: lambda x: inner(x))(minigrad.jit(helper)),
}
jitted_helper = minigrad.jit(helper)


@pytest.mark.parametrize("name", AROUND)
def test_globals_are_seen(name):
    global RATE
    function = minigrad.jit(AROUND[name])
    for RATE in (1.0, 2.0, 3.0):
        for _ in range(4):
            assert [RATE] * 2 == function(minigrad.ones(2)).tolist()
        assert is_program(function)


def test_a_loop_variable_named_like_a_method():
    """`step` in `optimizer.step()` is no variable."""
    program = """if True:
        import minigrad
        p = minigrad.ones(2, requires_grad=True)
        optimizer = minigrad.optim.SGD([p], lr=0.1)
        runs = []
        @minigrad.jit
        def train(x):
            runs.append(1)
            optimizer.zero_grad()
            (p * x).sum().backward()
            optimizer.step()
        for step in range(600):
            train(minigrad.ones(2))
        assert 2 == len(runs), len(runs)
    """
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_variable_without_a_value():
    def outer(given):
        if given:
            extra = 1.0
        return minigrad.jit(lambda x: x + extra if given else x * 1)

    for given in (False, True):
        function = outer(given)
        for _ in range(4):
            assert [1.0 + given] == function(minigrad.ones(1)).tolist()


def test_modes_may_alternate():
    """Each mode has its program, which lasts."""
    runs, layer = [], nn.Dropout(0.5)

    @minigrad.jit
    def predict(x):
        runs.append(1)
        return layer(x) * 1

    for _ in range(10):
        layer.train()
        assert {0.0, 2.0} == set(predict(minigrad.ones(100)).tolist())
        layer.eval()
        assert {1.0} == set(predict(minigrad.ones(100)).tolist())
    assert 4 == len(runs)


def test_numbers_that_are_equal_but_not_the_same():
    scale = minigrad.jit(lambda x, factor: x * factor[0])
    x = minigrad.tensor([1, 2])
    for factor in ((2,), (2.0,), (True,)):
        for _ in range(3):
            assert (x * factor[0]).dtype == scale(x, factor).dtype
    signed = minigrad.jit(lambda x, zero: x * zero)
    for zero in (0.0, -0.0):
        for _ in range(3):
            assert math.copysign(1, zero) == math.copysign(1, signed(minigrad.ones(1), zero).item())

    class Equal:
        def __init__(self, factor):
            self.factor = factor

        def __eq__(self, other):
            return True

        def __hash__(self):
            return 0

    times = minigrad.jit(lambda x, equal: x * equal.factor)
    for equal in (Equal(2.0), Equal(3.0)):
        for _ in range(3):
            assert [equal.factor] == times(minigrad.ones(1), equal).tolist()


def test_a_parameter_group_that_is_added():
    p, q = minigrad.ones(1, requires_grad=True), minigrad.ones(1, requires_grad=True)
    optimizer = optim.SGD([p], lr=0.0)

    @minigrad.jit
    def step(x):
        optimizer.zero_grad()
        (p * x + q * x).sum().backward()
        optimizer.step()

    for _ in range(3):
        step(minigrad.ones(1))
    assert [3.0] == q.grad.tolist()
    optimizer.add_param_group({"params": [q]})
    for _ in range(3):
        step(minigrad.ones(1))
    assert [1.0] == q.grad.tolist()


class Falling(optim.SGD):
    def step(self, closure=None):
        for group in self.param_groups:
            group["lr"] *= 0.5
        return super().step(closure)


class Every:
    def step(self, closure=None):
        super().step(closure)
        for group in self.param_groups:
            group["lr"] *= 0.5


class Mixed(Every, optim.SGD):
    pass


@pytest.mark.parametrize("kind, expected", [(Falling, -0.96875), (Mixed, -1.9375)])
def test_methods_of_subclasses_and_mixins(kind, expected):
    p = minigrad.zeros(1, requires_grad=True)
    optimizer = kind([p], lr=1.0)

    @minigrad.jit
    def step(x):
        optimizer.zero_grad()
        (p * x).sum().backward()
        optimizer.step()

    for _ in range(5):
        step(minigrad.ones(1))
    assert is_program(step)
    assert [expected] == p.tolist()


def test_two_tensors_around_one_array():
    p = minigrad.ones(2, requires_grad=True)
    frozen = p.detach()
    distance = minigrad.jit(lambda x: ((p - frozen) * x).sum().backward())
    with pytest.warns(RuntimeWarning, match="share one array"):
        for _ in range(3):
            distance(minigrad.ones(2))
    decay = minigrad.jit(lambda x: (p * p.detach() * x).sum().backward())  # made in each call: no matter
    for _ in range(3):
        decay(minigrad.ones(2))
    assert is_program(decay)


def test_a_view_of_what_came_to_require_grad():
    """A view made before has a node only once its base has one."""
    p, base = minigrad.full((2,), 3.0, requires_grad=True), minigrad.ones(2)
    view = base[:]

    @minigrad.jit
    def step(x):
        with minigrad.enable_grad():
            loss = (view * x).sum() + (p * 0).sum()
        loss.backward()

    for _ in range(3):
        step(minigrad.ones(2))
    assert is_program(step)
    base.mul_(p)
    with pytest.warns(RuntimeWarning, match="computed from parameters before"):
        step(minigrad.ones(2))
    assert [1.0, 1.0] == p.grad.tolist()


def test_an_argument_given_twice_is_two():
    p = minigrad.ones(2, requires_grad=True)

    @minigrad.jit
    def step(x, y):
        p.requires_grad  # noqa: B018
        (p * x - y).sum().backward()
        return (x * 2 - y).sum()

    a, b = minigrad.tensor([1.0, 2.0]), minigrad.tensor([10.0, 20.0])
    assert [3.0, 3.0] == [step(a, a).item() for _ in range(2)]
    assert is_program(step)
    assert -24.0 == step(a, b).item()


def jitted_at_the_top(x):
    return x * 2

jitted_at_the_top = minigrad.jit(jitted_at_the_top)


def test_copies():
    assert pickle.loads(pickle.dumps(jitted_at_the_top)) is jitted_at_the_top
    again = copy.deepcopy(jitted_at_the_top)
    assert [2.0] == again(minigrad.ones(1)).tolist()
    assert again is not jitted_at_the_top


def test_few_programs_are_kept():
    double = minigrad.jit(lambda x, n: x * n)
    with pytest.warns(RuntimeWarning, match="20 calls in a row"):
        for n in range(200):
            double(X, n)
    assert len(double.programs) <= 64
    assert double.__name__ == "<lambda>"
    assert double.source is None


def test_modes_of_many_modules_do_not_cancel():
    for _ in range(30):
        model = nn.Sequential(*(nn.Dropout(0.5) for _ in range(3)))
        predict = minigrad.jit(lambda x, model=model: model(x) * 1)
        for _ in range(3):
            predict(minigrad.ones(50))
        model.eval()
        assert {1.0} == set(predict(minigrad.ones(50)).tolist())


def test_what_raised_once_raises_again():
    weight, bias = minigrad.ones(3, 2), minigrad.ones(3)
    linear = minigrad.jit(lambda x: nn.functional.linear(x, weight, bias))
    for _ in range(3):
        linear(minigrad.ones(1, 2))
    bias.data = minigrad.ones(1)
    for _ in range(3):
        with pytest.raises(RuntimeError, match="linear"):
            linear(minigrad.ones(1, 2))


def test_strides_of_what_it_reads():
    """A copy here is a view there."""
    weight = minigrad.from_numpy(np.asfortranarray(np.ones((2, 3), np.float32)))
    flat = minigrad.jit(lambda: weight.reshape(-1))
    for _ in range(3):
        flat()
    assert is_program(flat)
    weight.data = minigrad.ones(2, 3)
    with pytest.warns(RuntimeWarning, match="view"):
        flat()


def scaled(function):
    @functools.wraps(function)
    def wrapper(x):
        return function(x) * RATE

    return wrapper


class Scaled(nn.Module):
    def forward(self, x):
        return x * RATE


@pytest.mark.parametrize("function", [scaled(lambda x: x * 1), Scaled()], ids=["decorated", "module"])
def test_globals_of_decorators_and_modules_are_seen(function):
    global RATE
    jitted = minigrad.jit(function)
    for RATE in (1.0, 2.0):
        for _ in range(4):
            assert [RATE] * 2 == jitted(minigrad.ones(2)).tolist()
        assert is_program(jitted)
