"""`jit`: lines of a program that are one call in C. They give the same bits, and only they are replaced."""

import threading
import time
import warnings

import numpy as np
import pytest
from jitted import bits, bound_lines, data, is_program, placed_lines, small_step

import minigrad
from minigrad import bound, kernels, nn, optim
from minigrad.nn import functional as F
from minigrad.ops import elementwise

pytest.importorskip("minigrad.kernels.native", reason="the C kernels are not built")
pytestmark = pytest.mark.usefixtures("in_c")

LOSSES = {
    "cross_entropy": (F.cross_entropy, "classes"),
    "multi_margin": (F.multi_margin_loss, "classes"),
    "mse": (F.mse_loss, "values"),
    "smooth_l1": (F.smooth_l1_loss, "values"),
    "binary": (F.binary_cross_entropy_with_logits, "probabilities"),
}

OPTIMIZERS = {
    "sgd": lambda parameters: optim.SGD(parameters, lr=0.001, momentum=0.9),
    "adam": lambda parameters: optim.Adam(parameters, lr=0.01),
    "rmsprop": lambda parameters: optim.RMSprop(parameters, lr=0.01),
    "adagrad": lambda parameters: optim.Adagrad(parameters, lr=0.05),
}


def random_training(rng):
    """A model at random, twice, with its step; a function that makes arguments; and whether gradients begin at zero."""
    sizes, rows = [int(size) for size in rng.integers(2, 33, rng.integers(2, 5))], int(rng.integers(1, 40))
    dtype, seed, biased = rng.choice(["float32", "float64"]), int(rng.integers(1000)), rng.random(4) < 0.7
    between = [[nn.ReLU, nn.Tanh, nn.Sigmoid][k] for k in rng.integers(0, 3, 4)]
    (loss, kind), optimizer = LOSSES[rng.choice(list(LOSSES))], OPTIMIZERS[rng.choice(list(OPTIMIZERS))]
    zero, more, reduction = rng.random() < 0.8, rng.random() < 0.5, rng.choice(["mean", "sum"])

    def training():
        minigrad.manual_seed(seed)
        layers = []
        for i, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
            layers += [nn.Linear(inputs, outputs, bias=bool(biased[i])), between[i]()]
        model = nn.Sequential(*layers[:-1]).to(getattr(minigrad, dtype))
        update = optimizer(model.parameters())

        def step(x, y):
            if zero:
                update.zero_grad()
            out = model(x)
            value = loss(out, y, reduction=str(reduction))
            value.backward()
            update.step()
            return (value, out.detach(), out.detach().T) if more else (value,)

        return list(model.parameters()), step

    def arguments():
        x = rng.standard_normal((rows, sizes[0])).astype(dtype)
        if kind == "classes":
            return x, rng.integers(sizes[-1], size=rows)
        return x, rng.random((rows, sizes[-1])).astype(dtype)

    return training(), training(), arguments, zero


WAYS = ["bound"] * 60 + ["placed"] * 30 + ["reference"] * 10


@pytest.mark.parametrize(("seed", "way"), list(enumerate(WAYS)))
def test_random_trainings(seed, way, monkeypatch):
    """Values, gradients and parameters have the same bits in each step, and what was kept of earlier ones keeps its own;
    also where no kernel has the bits of NumPy's products, or NumPy does all."""
    if way == "placed":
        monkeypatch.setattr(bound, "agree", lambda *_: False)
    if way == "reference":
        monkeypatch.setattr(kernels, "active", kernels.reference)
    rng = np.random.default_rng(seed)
    (parameters, step), (others, other), arguments, zero = random_training(rng)
    jitted, kept = minigrad.jit(other), []
    for call in range(8):
        x, y = arguments()
        expected, found = (f(*map(minigrad.from_numpy, (x, y))) for f in (step, jitted))
        gradients = [p.grad for p in others]
        for a, b in zip([*expected, *parameters, *[p.grad for p in parameters]], [*found, *others, *gradients], strict=True):
            assert bits(a) == bits(b)
        assert all(bits(tensor) == before for tensor, before in kept)
        if rng.random() < 0.6:
            kept += [(tensor, bits(tensor)) for tensor in found]
        if rng.random() < 0.6 and call < 7:
            views = [minigrad.from_numpy(g.detach().numpy()[..., :1]) for g in gradients]
            if zero:  # or the next step adds to the same arrays
                kept += [(tensor, bits(tensor)) for tensor in (*gradients, *views)]
        if rng.random() < 0.3:
            kept.clear()
    assert bool(bound_lines(jitted)) == (way != "reference")
    if way != "bound":
        assert placed_lines(jitted) and not any("linear" in line for line in bound_lines(jitted))


def test_what_is_bound():
    """All of a small step but what looks at Python's objects, and products that no kernel has the bits of."""
    _, step, x, y = small_step()
    jitted = minigrad.jit(step)
    for _ in range(3):
        jitted(x, y)
    called = " ".join(bound_lines(jitted))
    if kernels.config()["instruction set"] == "baseline":
        assert "relu" in called and "cross_entropy" in called and "linear(" not in called
    else:
        assert all(name in called for name in ("linear(", "relu(", "cross_entropy(", "relu_rule0(", "linear_rule1("))
    assert "matmul" not in jitted.source  # it shows what is computed


def test_a_kernel_that_refuses_says_so_as_ever():
    model, step, x, y = small_step()
    jitted = minigrad.jit(step)
    for _ in range(4):
        jitted(x, y)
    bad = minigrad.from_numpy(np.where(np.arange(32) == 5, 3, 0))
    with pytest.raises(IndexError) as plain:
        step(x, bad)
    for _ in range(2):
        with pytest.raises(IndexError) as found:
            jitted(x, bad)
        assert str(found.value) == str(plain.value)
    before = bits(model[0].weight)
    assert np.isfinite(jitted(x, y).item()) and bits(model[0].weight) != before


def test_the_choice_of_kernels_and_threads_is_followed(monkeypatch):
    _, step, x, y = small_step()
    jitted, config = minigrad.jit(step), kernels.config()
    try:
        for name in kernels.instruction_sets():
            kernels.set_instruction_set(name)
            for _ in range(4):
                jitted(x, y)
            program = list(jitted.programs.values())[-1]
            assert f"_{name}_" in " ".join(program.latest[0])
        with kernels.use("numpy"):
            for _ in range(4):
                jitted(x, y)
            assert not bound_lines(jitted)
    finally:
        kernels.set_instruction_set(config["instruction set"])
        minigrad.set_num_threads(config["threads"])


def test_calls_of_other_threads_are_not_taken_for_its_own():
    x, stop = data(64), threading.Event()

    def other():
        while not stop.is_set():
            x.relu()

    thread = threading.Thread(target=other)
    thread.start()
    try:
        with kernels.active.recording() as calls:
            time.sleep(0.05)
        assert calls == []
    finally:
        stop.set()
        thread.join()
    with kernels.active.recording() as calls, kernels.active.recording() as inner:
        x.relu()
    assert len(calls) == 1 and inner is None


def test_work_beside_the_call_is_seen(monkeypatch):
    """A line that changes what the kernel wrote, or leaves something out, is not bound."""

    def relu_and_more(x):
        out = kernels.active.relu(x)
        out += 1
        return out

    monkeypatch.setattr(elementwise.relu, "forward", relu_and_more)
    x = data(64)
    jitted = minigrad.jit(lambda x: x.relu())
    for _ in range(4):
        assert bits(jitted(x)) == bits(x.relu())
    assert is_program(jitted) and not bound_lines(jitted)


@pytest.mark.parametrize("shape", [(7, 5), (33, 3), (16, 40), (5, 64)])
def test_a_product_with_itself(shape):
    """NumPy has a function of its own for it."""
    turned, square = minigrad.jit(lambda x: x @ x.mT), minigrad.jit(lambda x: x @ x)
    for seed in range(20):
        x = data(*shape, seed=seed)
        assert bits(turned(x)) == bits(x @ x.mT)
        corner = x[: min(shape), : min(shape)]
        assert bits(square(corner)) == bits(corner @ corner)


@pytest.mark.parametrize("shape", [(3, 5, 2), (1, 7, 1), (4, 4, 4), (8, 130, 3), (0, 3, 2), (3, 0, 2), (2, 3, 0)])
def test_products_are_bound_only_to_the_same_bits(shape):
    rows, inner, columns = shape
    weight = data(inner, columns, seed=1)
    jitted = minigrad.jit(lambda x: x @ weight)
    for seed in range(50):
        x = data(rows, inner, seed=seed)
        assert bits(jitted(x)) == bits(x @ weight)


def test_products_of_arrays_with_gaps():
    """Reversed, or spread over far more memory than they hold: no trial may write there."""
    spread = minigrad.from_numpy(np.ones((16, 5000), np.float32)[:, ::1000])
    reverse = minigrad.from_numpy(data(16, 5).numpy()[::-1])
    for x, y in ((spread, data(5, 4)), (reverse, data(5, 4)), (data(4, 16), spread)):
        jitted = minigrad.jit(lambda x, y: x @ y)
        for _ in range(4):
            assert bits(jitted(x, y)) == bits(x @ y)


def test_what_agreed_with_other_kernels_is_tried_again():
    """At the baseline a product is NumPy's own, which agrees with anything that it computes."""
    weight, before = data(130, 3, seed=1), kernels.config()["instruction set"]
    jitted = minigrad.jit(lambda x: x @ weight)
    try:
        for name in kernels.instruction_sets():
            kernels.set_instruction_set(name)
            for seed in range(20):
                x = data(8, 130, seed=seed)
                assert bits(jitted(x)) == bits(x @ weight)
    finally:
        kernels.set_instruction_set(before)


def first_order(values):
    a, b, c = values.T
    return (a + b) + c

ORDERS = {
    "same": (first_order, True),
    "other": (lambda values: values[:, 0] + (values[:, 1] + values[:, 2]), False),
    "infinities": (lambda values: np.where(np.isinf(first_order(values)), 0, first_order(values)), False),
    "zeros": (lambda values: first_order(values) + 0.0, False),
    "tiny": (lambda values: np.where(np.abs(first_order(values)) < 1e-20, 0, first_order(values)), False),
    "sign of nan": (lambda values: np.where(np.isnan(first_order(values)), -np.nan, first_order(values)), True),
}


@pytest.mark.parametrize("name", ORDERS)
def test_what_does_not_agree_is_found_out(name, monkeypatch):
    function, agrees = ORDERS[name]
    monkeypatch.setitem(bound.by_kernel, first_order, function)
    bound.agree.cache_clear()
    assert agrees == bound.agree(first_order, "f({})", (((16, 3), np.dtype(np.float32), "C"),), None)
    bound.agree.cache_clear()


@pytest.mark.parametrize("dtype", [minigrad.uint8, minigrad.bool, minigrad.int64])
def test_products_of_integers(dtype):
    a, b = data(3, 4).to(dtype), data(4, 2).to(dtype)
    jitted = minigrad.jit(lambda a, b: a @ b)
    for _ in range(4):
        assert bits(jitted(a, b)) == bits(a @ b)


def test_products_of_two_dtypes_that_are_one():
    """C has two names for 64 bits; NumPy takes them for equal, and writes to neither what is of the other."""
    jitted = minigrad.jit(lambda a, b: a @ b)
    for code in "llllqq":
        ones = minigrad.from_numpy(np.ones((3, 3), code))
        assert [[3] * 3] * 3 == jitted(ones, ones).tolist()


@pytest.mark.parametrize("columns", [1, 4])
def test_products_of_what_each_call_draws_anew(columns):
    weight = data(3, columns)
    jitted = minigrad.jit(lambda rows: minigrad.randn(rows, 3) @ weight)
    for seed in range(5):
        minigrad.manual_seed(seed)
        expected = minigrad.randn(2, 3) @ weight
        minigrad.manual_seed(seed)
        assert bits(jitted(2)) == bits(expected)
    assert is_program(jitted)


def test_a_product_of_zero_and_infinity():
    jitted, weight = minigrad.jit(lambda x: x @ weight), minigrad.tensor([[float("inf"), 1.0, float("nan")]])
    for x in (1.0, 2.0, 3.0, 4.0, 0.0):
        with np.errstate(all="ignore"):
            assert bits(jitted(minigrad.tensor([[x]]))) == bits(minigrad.tensor([[x]]) @ weight)


@pytest.mark.parametrize("name", ["Look", "Program", "Locals", "Times", "Clock", "Into", "_"])
def test_an_optimizer_of_any_name(name):
    p = minigrad.ones(3, 1, requires_grad=True)
    optimizer = type(name, (optim.SGD,), {})([p], lr=0.5)

    @minigrad.jit
    def step(x):
        optimizer.zero_grad()
        (x @ p).sum().backward()
        optimizer.step()

    for _ in range(4):
        step(minigrad.ones(1, 3))
    assert is_program(step) and [[-1.0]] * 3 == p.tolist()


def test_first_runs_that_fail_do_not_count():
    _, step, x, y = small_step()
    jitted, bad = minigrad.jit(step), minigrad.from_numpy(np.full(32, 7))
    for _ in range(2):
        jitted(x, y)
    for _ in range(30):
        with pytest.raises(IndexError):
            jitted(x, bad)
    jitted(x, y)
    assert bound_lines(jitted)


def test_no_warnings():
    _, step, x, y = small_step()
    jitted = minigrad.jit(step)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(4):
            jitted(x, y)
