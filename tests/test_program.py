"""`jit`: a program computes what the function computes, bit by bit."""

import collections
import gc
import itertools
import math
import threading
import tracemalloc
import warnings

import numpy as np
import pytest
from jitted import X, Y, counting_step, data, is_program

import minigrad
from minigrad import nn, optim
from minigrad.nn import functional as F

RNG = np.random.default_rng(0)

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


def test_random_numbers_that_begin_anew():
    def draw(x):
        minigrad.manual_seed(0)
        return x + minigrad.rand(2)

    jitted = minigrad.jit(draw)
    for _ in range(4):
        assert draw(minigrad.ones(2)).tolist() == jitted(minigrad.ones(2)).tolist()
    assert is_program(jitted)


def test_within_another():
    p = minigrad.ones(3, requires_grad=True)
    inner = minigrad.jit(lambda x: (p * x).sum())
    outer = minigrad.jit(lambda x: inner(x).backward())
    for _ in range(4):
        outer(minigrad.ones(3))
    assert is_program(outer)
    assert [4.0] * 3 == p.grad.tolist()


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


def test_the_first_call_holds_no_arrays():
    jitted = minigrad.jit(lambda x, n: (x * n).exp().sum())
    x = minigrad.ones(1 << 16)
    tracemalloc.start()
    for n in range(15):
        jitted(x, n)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < x.array.nbytes


def test_lines_are_timed():
    step, _, _, _ = counting_step()
    for _ in range(4):
        kept = step(X, Y)
    before, (program,) = kept.item(), step.programs.values()
    timed = program.timed(itertools.count().__next__)
    lines = len(program.lines) - 2  # but the head and the return
    first = timed(X.array, Y.array)
    assert list(range(lines + 1)) == first
    assert lines + 1 == timed(X.array, Y.array)[0]
    assert list(range(lines + 1)) == first and before == kept.item()
