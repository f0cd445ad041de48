"""`jit`: whose memory replaced lines read and write. Nobody's array is overwritten, and none is stale."""

import gc
import threading
import weakref

import numpy as np
import pytest
from jitted import bits, bound_lines, data, is_program, odd_arrays, placed_lines, small_step

import minigrad
from minigrad import bound, kernels, nn, optim
from minigrad.nn import functional as F
from minigrad.program import FIRST_RUNS

extension = pytest.importorskip("minigrad.kernels.native.extension", reason="the C kernels are not built")
pytestmark = pytest.mark.usefixtures("in_c")


def address(given):
    return int(extension.ffi.cast("intptr_t", given))


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


@pytest.mark.parametrize("way", ["bound", "placed"])
def test_threads_have_places_of_their_own(way, monkeypatch):
    if way == "placed":
        monkeypatch.setattr(bound, "agree", lambda *_: False)
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
    assert way == "bound" or placed_lines(jitted)


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


def test_large_results_do_not_stay():
    jitted, x = minigrad.jit(lambda x: x.relu().relu().sum()), data(1 << 14)
    for _ in range(4):
        jitted(x)
    assert is_program(jitted) and not bound_lines(jitted)


def test_a_program_that_is_dropped_frees_its_arrays_at_once():
    jitted, x = minigrad.jit(lambda x: (x.relu() * 2).relu().sum()), data(64)
    gc.collect()
    gc.disable()
    try:
        for _ in range(4):
            jitted(x)
        ((run, _),) = list(jitted.programs.values())[-1].free
        places = [weakref.ref(thing) for thing in run.__globals__.values() if isinstance(thing, np.ndarray)]
        assert places
        del run, jitted
        assert all(place() is None for place in places)
    finally:
        gc.enable()
