"""Each optimizer kernel: C against NumPy over several steps and many tensors, and what it reads and writes."""

import platform

import numpy as np
import pytest
from kernel_cases import DTYPES, OPTIMIZERS, assert_close, optimizer_steps

from minigrad.kernels import Table, reference

each_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["f32", "f64"])

SHAPES = [(), (0,), (1,), (2, 3), (7,), (8,), (9,), (63,), (64,), (65,), (5000,), (17, 300)]


def problem(dtype, shapes=SHAPES, steps=4, seed=0):
    """Parameters, and gradients of each step."""
    rng = np.random.default_rng(seed)
    draw = lambda: [np.asarray(rng.normal(size=shape)).astype(dtype) for shape in shapes]
    return draw(), [draw() for _ in range(steps)]


@each_optimizer
@each_dtype
def test_native_equals_reference(native, name, dtype):
    parameters, gradients = problem(dtype)
    expected = [p.astype(np.float64) for p in parameters]
    states = optimizer_steps(native, name, parameters, gradients)
    wide_gradients = [[g.astype(np.float64) for g in gs] for gs in gradients]
    expected_states = optimizer_steps(reference, name, expected, wide_gradients)
    for position, (actual, wanted) in enumerate(zip(parameters, expected)):
        assert_close(actual, wanted, ulps=100, what=position)
    for arrays, wanted_arrays in zip(states, expected_states):
        for actual, wanted in zip(arrays or (), wanted_arrays or ()):
            assert_close(actual, wanted, ulps=100)


@each_optimizer
@each_dtype
def test_reference_keeps_float32_and_takes_strided_arrays(name, dtype):
    parameters, gradients = problem(dtype)
    strided = []
    for p in parameters:
        strided.append(np.zeros([2 * n for n in p.shape], dtype)[(*(slice(None, None, 2) for _ in p.shape), ...)])
        strided[-1][...] = p
    optimizer_steps(reference, name, parameters, gradients)
    optimizer_steps(reference, name, strided, gradients)
    for view, p in zip(strided, parameters):
        assert view.dtype == p.dtype == dtype
        np.testing.assert_array_equal(p, view)


@each_optimizer
def test_a_table_is_a_list(native, name):
    parameters, gradients = problem(np.float32)
    listed = [p.copy() for p in parameters]
    optimizer_steps(native, name, listed, gradients)
    for module in (native, reference):
        table = Table([p.copy() for p in parameters])
        kernel, present, options = OPTIMIZERS[name]
        states = [Table(np.zeros_like(p) for p in parameters) if there else None for there in present]
        for step, gs in enumerate(gradients, start=1):
            count = {"first": step == 1} if kernel == "sgd" else {} if kernel == "rmsprop" else {"step": step}
            getattr(module, kernel)(table, Table(gs), *states, **options, **count)
        for actual, wanted in zip(table.arrays, listed):
            assert_close(actual, wanted.astype(np.float64), ulps=100)


@each_optimizer
@each_dtype
def test_writes_stay_inside_and_gradients_stay_as_they_are(native, name, dtype, guarded):
    plain, gradients = problem(dtype, [(n,) for n in (*range(10), 15, 16, 17, 31, 33, 63, 64, 65, 127, 128, 129, 4097, 4211)], steps=2)

    def place(array):
        inside = guarded(array.shape, array.dtype)
        inside[...] = array
        return inside

    parameters = [place(p) for p in plain]
    before = [g.tobytes() for gs in gradients for g in gs]
    optimizer_steps(native, name, parameters, gradients, make_state=lambda p: place(np.zeros_like(p)))
    assert before == [g.tobytes() for gs in gradients for g in gs]
    optimizer_steps(native, name, plain, gradients)
    for inside, p in zip(parameters, plain):
        np.testing.assert_array_equal(p, inside)


@each_optimizer
def test_gradients_of_any_layout(native, name):
    parameters, gradients = problem(np.float32)
    copies = [p.copy() for p in parameters]
    optimizer_steps(native, name, parameters, gradients)
    turned = [[np.asfortranarray(g[::-1])[::-1] if g.ndim else g for g in gs] for gs in gradients]
    optimizer_steps(native, name, copies, turned)
    for a, b in zip(parameters, copies):
        np.testing.assert_array_equal(a, b)


def test_gradients_that_come_again(native):
    """Their addresses are kept for as long as all of them are the same arrays."""
    rng = np.random.default_rng(0)
    draw = lambda: rng.normal(size=(5, 4)).astype(np.float32)
    a, b, c, turned = draw(), draw(), draw(), np.asfortranarray(draw())
    options = dict(lr=0.1, momentum=0.0, dampening=0.0, nesterov=False, weight_decay=0.0, maximize=False, first=False)
    parameters = Table([draw(), draw()])
    expected = [p.copy() for p in parameters.arrays]
    rounds = [(a, b)] * 3 + [(a, c)] * 2 + [(a, turned)] * 3 + [(b, a)] * 3 + [(turned, a)] * 3 + [(b, a), (a, b)]
    for gradients in rounds:
        native.sgd(parameters, list(gradients), **options)
        reference.sgd(expected, list(gradients), **options)
        turned += 1
        for p, wanted in zip(parameters.arrays, expected):
            np.testing.assert_array_equal(p, wanted)
    for wrong in ([a], [a, b, c], [a, b.astype(np.float64)], [a, b[:3]]):
        native.sgd(parameters, [a, b], **options)
        native.sgd(parameters, [a, b], **options)
        with pytest.raises((TypeError, ValueError), match="gradients"):
            native.sgd(parameters, wrong, **options)


def test_first_momentum_step_ignores_what_the_buffer_held(native):
    """The buffer starts at the gradient, undamped, even from uninitialised memory."""
    for module in (native, reference):
        p, g, buffer = np.zeros(40), np.ones(40), np.full(40, np.nan)
        module.sgd([p], [g], [buffer], lr=1.0, momentum=0.9, dampening=0.5, nesterov=False, weight_decay=0.0,
                   maximize=False, first=True)
        np.testing.assert_array_equal(np.ones(40), buffer)
        np.testing.assert_array_equal(-np.ones(40), p)


def test_infinite_parameter_without_decay_stays_infinite(native):
    """No weight decay means none: 0 * infinity must not enter the gradient."""
    for module in (native, reference):
        for name in OPTIMIZERS:
            if OPTIMIZERS[name][2]["weight_decay"] == 0:
                p = np.full(20, np.inf, np.float32)
                optimizer_steps(module, name, [p], [[np.ones(20, np.float32)]])
                assert (p == np.inf).all(), name


def test_amsgrad_keeps_nan(native):
    for module in (native, reference):
        p = np.zeros(20)
        optimizer_steps(module, "adam-amsgrad", [p], [[np.full(20, np.nan)], [np.ones(20)]])
        assert np.isnan(p).all()


def test_no_parameters_is_no_work(native):
    for module in (native, reference):
        for name in OPTIMIZERS:
            optimizer_steps(module, name, [], [[]])


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="denormals stay where this is not x86-64")
@each_dtype
def test_what_is_left_of_gradients_that_have_become_0_becomes_0(native, dtype, threads):
    """By rounding alone it would never: 0.9 times 4 denormal units are 4. Steps would take many times as long."""
    tiny, none = np.finfo(dtype).tiny, np.zeros(200_000, dtype)
    p, g, buffer = np.ones(200_000, dtype), none.copy(), np.full(200_000, tiny, dtype)
    for number in (1, 2):
        threads(number)
        buffer[:] = tiny
        native.sgd([p], [g], [buffer], lr=1.0, momentum=0.9, dampening=0.0, nesterov=False, weight_decay=0.0,
                   maximize=False, first=False)
        assert not buffer.any()
        assert p.tobytes() == np.ones_like(p).tobytes()
        assert native.l1_loss(none + tiny / 2, none, "none", False)[0].all()  # the threads still have denormals
        assert (np.full(100, tiny) * 0.5).all()


@pytest.mark.parametrize("lost", [False, True])
@each_dtype
def test_roots_of_denormals_count_where_eps_is_small(native, dtype, lost):
    eps = np.sqrt(np.finfo(dtype).tiny) / np.finfo(dtype).eps * (64 if lost else 0.01)
    for module in (native, reference):
        p, g, v = np.zeros(100, dtype), np.ones(100, dtype), np.full(100, np.finfo(dtype).tiny / 2, dtype)
        expected = -eps / (np.sqrt(v[0]) + dtype(eps))
        module.rmsprop([p], [g], [v], lr=eps, alpha=1.0, eps=eps, weight_decay=0.0, momentum=0.0, maximize=False)
        assert_close(p, np.full(100, expected), ulps=2)


@pytest.mark.parametrize("eps", [0.0, 1e-40, 1e-310])
@each_dtype
def test_small_eps(native, dtype, eps):
    """A parameter without gradients stays where it is, unless it is divided by 0."""
    for name in ("adagrad", "rmsprop", "adam", "adamw"):
        kernel, present, options = OPTIMIZERS[name]
        count = {} if name == "rmsprop" else {"step": 1}
        for level in native.instruction_sets():
            native.set_instruction_set(level)
            p, states = np.ones(100, dtype), [[np.zeros(100, dtype)] if there else None for there in present]
            options = {**options, "eps": eps, "weight_decay": 0.0}
            getattr(native, kernel)([p], [np.zeros(100, dtype)], *states, **options, **count)
            rounded = dtype(eps * 0.1 if name in ("adam", "adamw") else eps)  # sqrt(1 - beta2), in Adam's first step
            assert (np.isnan(p) if rounded == 0 else p == 1).all(), (name, level)


def reciprocals_of_spreads(native, squares, eps):
    """1 / (sqrt(v) + eps) for each v, as rmsprop finds it for gradients and rates of 1, from a parameter of 0."""
    p, v = np.zeros_like(squares), squares.copy()
    ones = np.ones_like(squares)
    native.rmsprop([p], [ones], [v], lr=1.0, alpha=1.0, eps=eps, weight_decay=0.0, momentum=0.0, maximize=False)
    return -p


def test_every_significand_has_its_reciprocal(native):
    """Where float32 is not divided but found by Newton's method, it is rounded once all the same."""
    spread = np.arange(1 << 23, 1 << 24, dtype=np.float32) / (1 << 23)  # the root of a square of these is exact
    for level in native.instruction_sets():
        native.set_instruction_set(level)
        np.testing.assert_array_equal(reciprocals_of_spreads(native, spread * spread, eps=1e-30), 1 / spread)


@pytest.mark.parametrize("eps", [0.0, 1e-40, 2.0**-101, 2.0**-100, 1e-8, 1.0, 2.0**100, 2.0**101, 2.0**127])
@each_dtype
def test_reciprocals_at_any_scale(native, dtype, eps):
    """Of infinity and NaN, too, and where eps is too small or too large for Newton's method."""
    bits = np.random.default_rng(0).integers(0, 256, 100_000 * np.dtype(dtype).itemsize, np.uint8)
    squares = np.append(np.abs(bits.view(dtype)), np.array([0, np.inf, np.nan], dtype))
    with np.errstate(all="ignore"):
        expected = 1 / (np.sqrt(squares) + dtype(eps))
    for level in native.instruction_sets():
        native.set_instruction_set(level)
        np.testing.assert_array_equal(reciprocals_of_spreads(native, squares, eps), expected)
