"""`jit`: the program computes what the function computes, and is made of nothing that may change."""

import collections
import copy
import functools
import gc
import math
import pickle
import re
import subprocess
import sys
import threading
import tracemalloc
import warnings

import numpy as np
import pytest

import minigrad
from minigrad import nn, optim
from minigrad.program import Program
from minigrad.nn import functional as F

RNG = np.random.default_rng(0)


def is_program(jitted):
    """Whether the last call's kind has become a program."""
    return bool(jitted.programs) and isinstance(list(jitted.programs.values())[-1], Program)


def data(*shape, classes=None, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    if classes:
        return minigrad.from_numpy(rng.integers(classes, size=shape))
    return minigrad.from_numpy(rng.standard_normal(shape).astype(dtype))


# ---- the same results ----

MODELS = {
    "linear": lambda: nn.Linear(5, 3),
    "relu": lambda: nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3)),
    "smooth": lambda: nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 8), nn.Sigmoid(), nn.Linear(8, 3)),
    "softmax": lambda: nn.Sequential(nn.Linear(5, 8), nn.Softmax(1), nn.Linear(8, 3), nn.LogSoftmax(1)),
    "dropout": lambda: nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.3), nn.Linear(8, 3)),
    "no bias": lambda: nn.Sequential(nn.Linear(5, 8, bias=False), nn.ReLU(), nn.Linear(8, 3, bias=False)),
    "large": lambda: nn.Sequential(nn.Linear(5, 700), nn.ReLU(), nn.Linear(700, 3)),
}
LOSSES = {
    "cross_entropy": lambda out, y: F.cross_entropy(out, y),
    "smoothed": lambda out, y: F.cross_entropy(out, y, label_smoothing=0.1, reduction="sum"),
    "hinge": lambda out, y: F.multi_margin_loss(out, y, p=2),
    "mse": lambda out, y: F.mse_loss(out, F.one_hot(y, 3).float()),
    "rows": lambda out, y: (F.cross_entropy(out, y, reduction="none") * minigrad.arange(1, 17).float()).mean(),
    "logits": lambda out, y: F.binary_cross_entropy_with_logits(out, F.one_hot(y, 3).float()) * 3.0,
    "plain": lambda out, y: -(out.log_softmax(1) * F.one_hot(y, 3)).sum() / len(y),
}
OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adagrad": lambda p: optim.Adagrad(p, lr=0.1),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.01, centered=True),
    "adam": lambda p: optim.Adam(p, lr=0.01, amsgrad=True),
    "adamw": lambda p: optim.AdamW(p, lr=0.01),
}


def train(wrapped, model, loss_of, optimizer, steps=7, clip=False):
    """The losses and the parameters after some steps on batches that differ."""
    minigrad.manual_seed(1)
    model = MODELS[model]()
    optimizer = OPTIMIZERS[optimizer](model.parameters())
    scheduler = optim.lr_scheduler.StepLR(optimizer, 2, gamma=0.5)

    def step(x, y):
        optimizer.zero_grad()
        loss = LOSSES[loss_of](model(x), y)
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        scheduler.step()
        return loss

    step = wrapped(step)
    losses = [step(data(16, 5, seed=i), data(16, classes=3, seed=i)).item() for i in range(steps)]
    if wrapped is minigrad.jit:
        assert is_program(step)
    return [*losses, *(p.detach().numpy() for p in model.parameters())]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("loss", LOSSES)
def test_training_has_the_same_bits(model, loss):
    for found, expected in zip(train(minigrad.jit, model, loss, "adam"), train(lambda f: f, model, loss, "adam")):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("clip", [False, True])
def test_optimizers_and_clipping(optimizer, clip):
    plain = train(lambda f: f, "smooth", "mse", optimizer, clip=clip)
    for found, expected in zip(train(minigrad.jit, "smooth", "mse", optimizer, clip=clip), plain):
        np.testing.assert_array_equal(found, expected)


w, b, c = (minigrad.tensor(RNG.standard_normal(s), requires_grad=True) for s in [(4, 3), (3,), ()])
EXPRESSIONS = {
    "broadcast": lambda x: (x @ w + b * c).sum(),
    "used twice": lambda x: ((x @ w) * (x @ w) + w * w * b).mean() if x.shape[0] == 4 else (w * w * b + w).sum(),
    "scalars": lambda x: 2.0 / (1.0 + (x @ w) ** 2).sum() - c * 3 + c / 2,
    "numbers of no axes": lambda x: (c * c + c.exp()) * x.sum(),
    "a loss of no axes": lambda x: F.mse_loss(c * 2, x[0, 0] * 1) + F.l1_loss((c * w[0, 0]) ** 2, c.detach()),
    "slices": lambda x: (x[:, 1:] @ w[1:]).sum() + w[0, ::2].exp().sum() + w[..., None].mean(),
    "cat and stack": lambda x: (minigrad.cat([w, w * 2, b[None]]) ** 2).sum() + minigrad.stack([b, b * c]).tanh().sum(),
    "reductions": lambda x: w.var() + w.std(0).sum() + w.amax(1).sum() + w.logsumexp(0).sum() + w.norm(),
    "where": lambda x: minigrad.where(x @ w > 0, x @ w, c).sum() + minigrad.where(w > b, w, 0.0).sum(),
    "picked": lambda x: w[(x[:, 0] > 0).long()].sum() * c,
    "kinks": lambda x: (x @ w).abs().sum() + minigrad.maximum(w, b).sum() + w.clamp(-0.5, 0.5).sum(),
    "views": lambda x: (w.T.reshape(2, 6).permute(1, 0) * 2).expand(5, 6, 2).sum() + w.flatten().unsqueeze(0).squeeze().sum(),
    "made inside": lambda x: (w * minigrad.ones(4, 3, dtype=minigrad.float64) * minigrad.arange(3) + minigrad.eye(4, 3)).sum(),
    "upstream": lambda x: x @ w * b,
    "untracked": lambda x: ((x / 3 - x.mean()).flatten() * w[:, :1].flatten()[: 1] * (x > 0).flatten()).sum(),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions(name):
    """Values and gradients as without jit, added up over the calls."""
    f = EXPRESSIONS[name]

    def step(x):
        out = f(x)
        out.backward(None if out.ndim == 0 else minigrad.ones(*out.shape, dtype=out.dtype) * 0.5)
        return out, 1.5

    jitted = minigrad.jit(step)
    results = []
    for function in (step, jitted):
        for p in (w, b, c):
            p.grad = None
        values = [function(data(5, 4, dtype="float64", seed=i))[0].detach().numpy() for i in range(5)]
        results.append([*values, *(np.zeros(1) if p.grad is None else p.grad.numpy() for p in (w, b, c))])
    assert is_program(jitted), name
    for found, expected in zip(*results):
        np.testing.assert_array_equal(found, expected)


def test_inference():
    model = MODELS["smooth"]()
    predict = minigrad.jit(minigrad.no_grad(lambda x: (model(x), model(x).argmax(1))))
    for i in range(4):
        x = data(6, 5, seed=i)
        out, best = predict(x)
        np.testing.assert_array_equal(out.numpy(), model(x).detach().numpy())
        np.testing.assert_array_equal(best.numpy(), model(x).argmax(1).numpy())
    assert is_program(predict)


# ---- what may change between the calls ----


def counting_step():
    """A step, jitted, with its model and optimizer, and how often Python ran it."""
    minigrad.manual_seed(3)
    model = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 3))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    runs = []

    @minigrad.jit
    def step(x, y, scale=1.0):
        runs.append(1)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y) * scale
        loss.backward()
        optimizer.step()
        return loss

    return step, model, optimizer, runs


X, Y = data(8, 5), data(8, classes=3)


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


def test_primitives_get_arrays():
    """NumPy gives numbers, not arrays, of results without axes; what comes after them need not know."""
    fills = minigrad.primitive.Primitive(lambda x: np.full(2, x) if type(x) is np.ndarray else None, "fills")
    fills.vjps(lambda grad, _out, _x: grad.sum())
    p = minigrad.tensor(2.0, requires_grad=True)
    step = minigrad.jit(lambda: fills(p * p).sum().backward())
    for _ in range(4):
        step()
    assert is_program(step)
    assert 32.0 == p.grad.item()


def test_names_that_python_could_not_read():
    odd = minigrad.primitive.Primitive(lambda x: x * 2.0).vjps(lambda grad, _out, _x: grad * 2.0)
    lamda = minigrad.primitive.Primitive(lambda x: x * 3.0, "lambda").vjps(lambda grad, _out, _x: grad * 3.0)
    p = minigrad.ones(2, requires_grad=True)
    step = minigrad.jit(lambda: lamda(odd(p)).sum().backward())
    for _ in range(4):
        step()
    assert is_program(step)
    assert [24.0, 24.0] == p.grad.tolist()


def test_gradients_add_up_without_zero_grad():
    p = minigrad.ones(3, requires_grad=True)
    step = minigrad.jit(lambda x: (p * x).sum().backward())
    for _ in range(5):
        assert step(minigrad.ones(3)) is None
    assert is_program(step)
    assert [5.0] * 3 == p.grad.tolist()


def test_leaves_do_not_share_a_gradient():
    p, q = minigrad.ones(2, requires_grad=True), minigrad.ones(2, requires_grad=True)
    step = minigrad.jit(lambda x: ((p + q) * x).sum().backward())
    for _ in range(4):
        step(minigrad.ones(2))
    assert is_program(step)
    assert [[4.0] * 2] * 2 == [p.grad.tolist(), q.grad.tolist()]


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


def test_wrong_input_is_refused_as_ever_and_forgotten():
    step, _, _, _ = counting_step()
    for _ in range(3):
        step(X, Y)
    with pytest.raises(IndexError, match="target"):
        step(X, minigrad.full((8,), 7))
    assert np.isfinite(step(X, Y).item())


def test_an_error_while_watched_ends_the_watching():
    @minigrad.jit
    def step(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        step(X)
    assert minigrad.graph.grad_mode.watcher is None


def test_within_another():
    p = minigrad.ones(3, requires_grad=True)
    inner = minigrad.jit(lambda x: (p * x).sum())
    outer = minigrad.jit(lambda x: inner(x).backward())
    for _ in range(4):
        outer(minigrad.ones(3))
    assert is_program(outer)
    assert [4.0] * 3 == p.grad.tolist()


def test_threads():
    """Calls from other threads are not written down."""
    inside, go = threading.Event(), threading.Event()
    p = minigrad.ones(3, requires_grad=True)

    @minigrad.jit
    def step(x):
        inside.set()
        go.wait(5)
        (p * x).sum().backward()

    def other():
        inside.wait(5)
        (minigrad.ones(2) * 3).sum().item()
        go.set()

    thread = threading.Thread(target=other)
    thread.start()
    for _ in range(3):
        step(minigrad.ones(3))
    thread.join()
    assert is_program(step)


def test_large_arrays_go_when_nothing_reads_them_any_more():
    def chain(x):
        for _ in range(30):
            x = x.tanh()
        return x.sum()

    jitted, x = minigrad.jit(chain), minigrad.ones(1 << 16)
    for _ in range(3):
        jitted(x)
    assert is_program(jitted)
    tracemalloc.start()
    jitted(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * x.array.nbytes


def test_memory_is_flat():
    step, _, _, _ = counting_step()
    for _ in range(3):
        step(X, Y)
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(200):
            step(X, Y)
        assert len(gc.get_objects()) <= before + 20
    finally:
        gc.enable()


# ---- what stands around it ----

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


def test_random_numbers_that_begin_anew():
    def draw(x):
        minigrad.manual_seed(0)
        return x + minigrad.rand(2)

    jitted = minigrad.jit(draw)
    for _ in range(4):
        assert draw(minigrad.ones(2)).tolist() == jitted(minigrad.ones(2)).tolist()
    assert is_program(jitted)


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


def test_methods_of_subclasses():
    class Falling(optim.SGD):
        def step(self, closure=None):
            for group in self.param_groups:
                group["lr"] *= 0.5
            return super().step(closure)

    p = minigrad.zeros(1, requires_grad=True)
    optimizer = Falling([p], lr=1.0)

    @minigrad.jit
    def step(x):
        optimizer.zero_grad()
        (p * x).sum().backward()
        optimizer.step()

    for _ in range(5):
        step(minigrad.ones(1))
    assert is_program(step)
    assert [-0.96875] == p.tolist()


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


def test_what_came_with_a_graph():
    """A loss computed before, as an argument or not, is used as ever."""
    p = minigrad.ones(2, requires_grad=True)
    losses = {}

    @minigrad.jit
    def of_argument(loss):
        (loss * loss).sum().backward()

    @minigrad.jit
    def of_dictionary():
        losses["loss"].backward()

    with pytest.warns(RuntimeWarning, match="argument requires grad"):
        for _ in range(3):
            of_argument(p * 1)
    with pytest.warns(RuntimeWarning, match="before the call"):
        for _ in range(3):
            losses["loss"] = (p * 3).sum()
            of_dictionary()
    assert [15.0] * 2 == p.grad.tolist()


def test_kinds_of_results():
    pair = collections.namedtuple("pair", "loss more")
    for result in (math.inf, (math.nan, -math.inf, None), "text", 1):
        function = minigrad.jit(lambda x, result=result: (x * 2, result))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(4):
                assert repr(result) == repr(function(minigrad.ones(1))[1])
    function = minigrad.jit(lambda x: pair(x * 2, 1))
    with pytest.warns(RuntimeWarning, match="returns pair"):
        for _ in range(4):
            assert [2.0] == function(minigrad.ones(1)).loss.tolist()


def jitted_at_the_top(x):
    return x * 2


jitted_at_the_top = minigrad.jit(jitted_at_the_top)


def test_copies():
    assert pickle.loads(pickle.dumps(jitted_at_the_top)) is jitted_at_the_top
    again = copy.deepcopy(jitted_at_the_top)
    assert [2.0] == again(minigrad.ones(1)).tolist()
    assert again is not jitted_at_the_top


def test_arguments_that_the_function_changes():
    def function(x):
        x.requires_grad_()
        (x * x).sum().backward()

    jitted = minigrad.jit(function)
    with pytest.warns(RuntimeWarning, match="requires grad"):
        for _ in range(3):
            x = minigrad.ones(1)
            jitted(x)
            assert [2.0] == x.grad.tolist()


def test_the_first_call_holds_no_arrays():
    jitted = minigrad.jit(lambda x, n: (x * n).exp().sum())
    x = minigrad.ones(1 << 16)
    tracemalloc.start()
    for n in range(15):
        jitted(x, n)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < x.array.nbytes


# ---- what cannot be a program ----

q = minigrad.ones(3, requires_grad=True)
model = nn.Linear(3, 3)
counter, sgd = iter(range(1000)), optim.SGD([q], lr=0.1)


class Square(minigrad.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        return grad * 2 * ctx.saved_tensors[0]


def with_attribute(x):
    model.last = x
    return x * 2


def manual_sgd(x):
    (q * x).sum().backward()
    with minigrad.no_grad():
        q.sub_(q.grad * 0.0)


def second_backward(x):
    loss = (q * x).sum()
    loss.backward(retain_graph=True)
    loss.backward()


def double(x):
    (slope,) = minigrad.autograd.grad((q * q * x).sum(), q, create_graph=True)
    slope.sum().backward()


REFUSED = {
    "values": (lambda x: x * x.sum().item(), "looks at values"),
    "a branch": (lambda x: x * 2 if x.sum() > 0 else x, "looks at values"),
    "printing": (lambda x: (f"{x.sum():.2f}", x * 2)[1], "looks at values"),
    "NumPy": (lambda x: x * np.exp(x.numpy()), "looks at values"),
    "NumPy behind its back": (lambda x: x * np.exp(x.array), "another"),
    "a mask": (lambda x: x[x > 0].sum() * 1, "by a mask"),
    "a mask of NumPy's": (lambda x: x[np.array([True, False, True])] * 1, "by a mask"),
    "a mode": (lambda x: (model.train(not model.training), x * 2)[1], "sets attributes of a module"),
    "in place": (lambda x: (x * 2).add_(1), "writes in place"),
    "another number each time": (lambda x: x * next(counter), "not do the same"),
    "another length each time": (lambda x: [x := x * 2 for _ in range(next(counter))] and x, "not do the same"),
    "an attribute": (with_attribute, "sets attributes"),
    ".grad": (manual_sgd, "reads .grad"),
    "grad = None": (lambda x: setattr(q, "grad", None), "sets .grad"),
    ".data": (lambda x: setattr(q, "data", minigrad.ones(3)), "sets .data"),
    "freezing": (lambda x: (q.requires_grad_(), x * 2)[1], "requires grad"),
    "a graph": (lambda x: q * x, "a tensor with a graph"),
    "two backwards": (second_backward, "keeps a graph"),
    "double backward": (double, "keeps a graph"),
    "a Function": (lambda x: Square.apply(q * x).sum().backward(), "Square, a Function"),
    "a learning rate": (lambda x: sgd.param_groups[0].__setitem__("lr", 0.1), "sets lr"),
    "one_hot of unknown width": (lambda x: F.one_hot((x > 0).long()).float() * 1, "Give num_classes"),
    "set_grad_enabled": (lambda x: (minigrad.set_grad_enabled(True), x * 2)[1], "set_grad_enabled"),
    "its argument": (lambda x: x, "did not compute"),
    "a view": (lambda x: x[1:], "a view"),
    "something else": (lambda x: {"x": x}, "returns dict"),
    "NumPy's result": (lambda x: minigrad.from_numpy(x.array * 2), "NumPy"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_a_program_runs_as_ever(name):
    function, reason = REFUSED[name]
    jitted = minigrad.jit(function)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for i in range(4):
            x = minigrad.tensor([1.0, -2.0, 3.0]) * (i + 1)
            result = jitted(x)
            if name in ("values", "NumPy", "NumPy behind its back", "a view", "in place", "a mask"):
                np.testing.assert_array_equal(result.numpy(), function(x).numpy())
    assert [RuntimeWarning] == [w.category for w in caught]
    assert __file__ == caught[0].filename
    assert re.search(reason, str(caught[0].message)), str(caught[0].message)


def test_an_argument_that_has_no_hash():
    function = minigrad.jit(lambda x, factors: x * factors[0])
    with pytest.warns(RuntimeWarning, match="may change unseen"):
        assert [2.0, 2.0] == function(minigrad.ones(2), [2]).tolist()
    assert [3.0, 3.0] == function(minigrad.ones(2), [3]).tolist()


def test_a_gradient_for_an_argument():
    function = minigrad.jit(lambda x: (x * x).sum().backward())
    first, second = minigrad.ones(2, requires_grad=True), minigrad.ones(2, requires_grad=True)
    with pytest.warns(RuntimeWarning, match="argument"):
        for x in (first, first, first, second):
            function(x)
    assert [[6.0, 6.0], [2.0, 2.0]] == [first.grad.tolist(), second.grad.tolist()]


def test_what_was_computed_before():
    """Without recording it is a value as any other; with it, there is a graph that can be used once."""
    w = minigrad.ones(2, requires_grad=True)
    h = w * 2
    predict = minigrad.jit(minigrad.no_grad(lambda x: (h * x).sum()))
    assert [4.0] * 4 == [predict(minigrad.ones(2)).item() for _ in range(4)]
    assert is_program(predict)
    step = minigrad.jit(lambda x: (h * x).sum().backward())
    with pytest.warns(RuntimeWarning, match="computed from parameters before"):
        step(minigrad.ones(2))
    assert [2.0, 2.0] == w.grad.tolist()
    with pytest.raises(RuntimeError, match="already used"):
        step(minigrad.ones(2))


def test_a_method():
    class Trainer:
        def __init__(self, factor):
            self.p, self.factor = minigrad.full((2,), factor, requires_grad=True), factor

        @minigrad.jit
        def step(self, x):
            (self.p * x * self.factor).sum().backward()

    for trainer in (Trainer(2.0), Trainer(3.0)):
        for _ in range(4):
            trainer.step(minigrad.ones(2))
        assert is_program(Trainer.step)
        assert [4 * trainer.factor] * 2 == trainer.p.grad.tolist()


def test_few_programs_are_kept():
    double = minigrad.jit(lambda x, n: x * n)
    with pytest.warns(RuntimeWarning, match="20 calls in a row"):
        for n in range(200):
            double(X, n)
    assert len(double.programs) <= 64
    assert double.__name__ == "<lambda>"
    assert double.source is None
