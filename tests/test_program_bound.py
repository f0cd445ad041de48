"""`jit`: lines of a program that are one call in C, with places of their own. The same bits, and nobody's array overwritten."""

import threading
import time
import warnings

import numpy as np
import pytest
from jitted import data, is_program

import minigrad
from minigrad import bound, kernels, nn, optim
from minigrad.nn import functional as F
from minigrad.ops import elementwise
from minigrad.program import FIRST_RUNS

extension = pytest.importorskip("minigrad.kernels.native.extension", reason="the C kernels are not built")

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


@pytest.fixture(autouse=True)
def in_c():
    with kernels.use("native"):
        yield


def bound_lines(jitted):
    """The lines of the last program that became calls in C."""
    program = list(jitted.programs.values())[-1]
    return [line for line, now in zip(program.lines, program.latest[0]) if line != now]


def bits(tensor):
    return tensor.detach().numpy().tobytes()


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


@pytest.mark.parametrize("seed", range(60))
def test_random_trainings(seed):
    """Values, gradients and parameters have the same bits in each step, and what was kept of earlier ones keeps its own."""
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
    assert bound_lines(jitted)


def small_step(rows=32):
    minigrad.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 3))
    optimizer = optim.Adam(model.parameters(), lr=0.01)

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return model, step, data(rows, 2), data(rows, classes=3)


def test_what_is_bound():
    """All of a small step but what looks at Python's objects; also small products, which NumPy does as ever."""
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


def test_a_saved_gradient_that_is_passed_on_only_at_times():
    """The rule of a loss gives what it saved where the upstream gradient is 1, else a product."""
    p, q = (data(8, 3, seed=1).requires_grad_() for _ in range(2))

    def step(p, target, scale):
        optim.SGD([p], lr=0.1).zero_grad()
        (F.mse_loss(p, target) * scale).backward()

    optimizer = optim.SGD([q], lr=0.1)

    @minigrad.jit
    def jitted(target, scale):
        optimizer.zero_grad()
        (F.mse_loss(q, target) * scale).backward()

    kept = []
    for i, scale in enumerate((2.0, 2.0, 3.0, 1.0, 1.0, 4.0, 1.0)):
        arguments = data(8, 3, seed=i), minigrad.tensor(scale)
        step(p, *arguments)
        jitted(*arguments)
        assert bits(p.grad) == bits(q.grad)
        assert all(bits(tensor) == before for tensor, before in kept)
        kept.append((q.grad, bits(q.grad)))
    assert bound_lines(jitted)


def test_threads_have_places_of_their_own():
    layer = nn.Linear(4, 4)
    jitted = minigrad.jit(lambda x: layer(x).relu().sum(dim=1) * 2)
    inputs = [data(6, 4, seed=seed) for seed in range(4)]
    with minigrad.no_grad():
        expected = [bits(layer(x).relu().sum(dim=1) * 2) for x in inputs]
        for _ in range(3):
            jitted(inputs[0])
    wrong, start = [], threading.Barrier(4)

    def run(x, wanted):
        start.wait()
        with minigrad.no_grad():
            for _ in range(2000):
                if bits(jitted(x)) != wanted:
                    wrong.append(x)

    threads = [threading.Thread(target=run, args=pair) for pair in zip(inputs, expected)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert is_program(jitted) and bound_lines(jitted) and not wrong


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


def odd_arrays(array):
    """The same numbers: read-only, misaligned, in Fortran's order, and with gaps."""
    frozen = array.copy()
    frozen.flags.writeable = False
    shifted = np.empty(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    shifted[...] = array
    gaps = np.zeros((2 * len(array), *array.shape[1:]), array.dtype)[::2]
    gaps[...] = array
    return [frozen, shifted, np.asfortranarray(array), gaps, array]


def test_arguments_of_all_layouts():
    _, step, x, y = small_step()
    _, other, _, _ = small_step()
    jitted = minigrad.jit(other)
    for _ in range(4):
        for pair in zip(odd_arrays(x.numpy()), odd_arrays(y.numpy())):
            pair = [minigrad.from_numpy(array) for array in pair]
            assert bits(step(*pair)) == bits(jitted(*pair))


@pytest.mark.parametrize("calls", [6, 40])
def test_parameters_that_get_other_arrays(calls):
    model, step, x, y = small_step()
    twin, other, _, _ = small_step()
    jitted = minigrad.jit(other)
    for call in range(calls):
        if call > 2:
            numbers = data(16, 2, seed=call)
            for one in (model, twin):
                one[0].weight.data = numbers.clone()
        assert bits(step(x, y)) == bits(jitted(x, y))
    assert is_program(jitted) and list(jitted.programs.values())[-1].first_runs <= FIRST_RUNS


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


def address(given):
    return int(extension.ffi.cast("intptr_t", given))


def test_what_a_call_reads_anew():
    """A misaligned array is copied, a smaller one refused."""
    x = data(16)
    with kernels.active.recording() as calls:
        x.relu()
    read = calls[0].reader(calls[0].places.index((x.array.ctypes.data, x.array.nbytes)))
    assert address(read(x.array)) == x.array.ctypes.data
    shifted = odd_arrays(x.array)[1]
    assert not shifted.flags.aligned and address(read(shifted)) % x.array.itemsize == 0
    with pytest.raises(ValueError, match="too small"):
        read(x.array[:15])


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
        assert bits(square(x[: min(shape), : min(shape)])) == bits(x[: min(shape), : min(shape)] @ x[: min(shape), : min(shape)])


@pytest.mark.parametrize("shape", [(3, 5, 2), (1, 7, 1), (4, 4, 4), (8, 130, 3)])
def test_products_are_bound_only_to_the_same_bits(shape):
    rows, inner, columns = shape
    weight = data(inner, columns, seed=1)
    jitted = minigrad.jit(lambda x: x @ weight)
    for seed in range(50):
        x = data(rows, inner, seed=seed)
        assert bits(jitted(x)) == bits(x @ weight)


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
    assert agrees == bound.agree(first_order, "f({})", (((16, 3), np.dtype(np.float32), (12, 4)),))
    bound.agree.cache_clear()


def test_recycled():
    take = bound.recycled((3,), np.dtype(float), id)
    array, at = take()
    assert at == id(array)
    view = array[1:]
    assert take()[0] is not array  # it is held
    del array
    assert take()[0] is not view.base
    kept = id(take()[0])
    assert id(take()[0]) == kept


def resized(array):
    with pytest.raises(ValueError, match="does not own its data"):
        array.resize((8, 8), refcheck=False)


CHANGES = {
    "shape": lambda array: setattr(array, "shape", (-1,)),
    "dtype": lambda array: setattr(array, "dtype", np.int32),
    "flags": lambda array: array.setflags(write=False),
    "size": resized,
}


@pytest.mark.filterwarnings("ignore:Setting the (shape|dtype):DeprecationWarning")
@pytest.mark.parametrize("name", CHANGES)
def test_results_that_were_turned_into_something_else(name):
    """Who was given an array may change it and let it go: the next result is a new one."""
    jitted, x = minigrad.jit(lambda x: x.relu()), data(64, 64)
    for _ in range(4):
        jitted(x)
    array = jitted(x).numpy()
    CHANGES[name](array)
    del array
    again = jitted(x).numpy()
    assert ((64, 64), np.float32, True) == (again.shape, again.dtype, again.flags.writeable)
    assert again.tobytes() == x.relu().numpy().tobytes()


def test_one_array_under_two_names():
    """An argument that stands for two, or is what the function reads anyway, and then another."""
    y, w, other = data(8, 4), data(8, 4, seed=1), data(8, 4, seed=2)
    for function, same, different in (
        (F.mse_loss, (y, y), (y, other)),
        (lambda x: F.mse_loss(x, w), (w,), (other,)),
        (lambda x: F.mse_loss(x.relu(), w.relu()), (w,), (other,)),
    ):
        jitted = minigrad.jit(function)
        for _ in range(4):
            jitted(*same)
        for arguments in (different, same, different):
            assert bits(function(*arguments)) == bits(jitted(*arguments))


def test_a_saved_gradient_that_is_read_by_others_only_at_times():
    p, q = (data(8, 3, seed=1).requires_grad_() for _ in range(2))
    target = data(8, 2)

    jitted = minigrad.jit(lambda scale: step(q, scale))

    def step(p, scale):
        (F.mse_loss(F.linear(p, p[:2]).relu(), target) * scale).backward()

    for scale in (1.0, 1.0, 1.0, 1.0, 2.0, 3.0, 1.0, 2.0):
        p.grad = q.grad = None
        step(p, minigrad.tensor(scale))
        jitted(minigrad.tensor(scale))
        assert bits(p.grad) == bits(q.grad)
    assert bound_lines(jitted)


def test_lines_that_read_what_is_freed_under_another_name():
    layer, x, y = nn.Linear(3, 8), data(64, 40, 3), data(64, 40, 8)

    def step(x, y):
        layer.zero_grad()
        loss = F.mse_loss(layer(x).tanh(), y)
        loss.backward()
        return loss

    jitted = minigrad.jit(step)
    for _ in range(6):
        assert bits(step(x, y)) == bits(jitted(x, y))


@pytest.mark.parametrize("dtype", [minigrad.uint8, minigrad.bool, minigrad.int64])
def test_products_of_integers(dtype):
    a, b = data(3, 4).to(dtype), data(4, 2).to(dtype)
    jitted = minigrad.jit(lambda a, b: a @ b)
    for _ in range(4):
        assert bits(jitted(a, b)) == bits(a @ b)


def test_a_product_of_zero_and_infinity():
    jitted, weight = minigrad.jit(lambda x: x @ weight), minigrad.tensor([[float("inf"), 1.0, float("nan")]])
    for x in (1.0, 2.0, 3.0, 4.0, 0.0):
        with np.errstate(all="ignore"):
            assert bits(jitted(minigrad.tensor([[x]]))) == bits(minigrad.tensor([[x]]) @ weight)


@pytest.mark.parametrize("name", ["Look", "Program", "Locals", "Times", "Clock"])
def test_an_optimizer_of_any_name(name):
    p = minigrad.ones(3, requires_grad=True)
    optimizer = type(name, (optim.SGD,), {})([p], lr=0.5)

    @minigrad.jit
    def step(x):
        optimizer.zero_grad()
        (p * x).sum().backward()
        optimizer.step()

    for _ in range(4):
        step(minigrad.ones(3))
    assert is_program(step) and [-1.0] * 3 == p.tolist()


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


def test_large_results_do_not_stay():
    jitted, x = minigrad.jit(lambda x: x.relu().relu().sum()), data(1 << 14)
    for _ in range(4):
        jitted(x)
    assert is_program(jitted) and not bound_lines(jitted)


def test_no_warnings():
    _, step, x, y = small_step()
    jitted = minigrad.jit(step)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(4):
            jitted(x, y)
