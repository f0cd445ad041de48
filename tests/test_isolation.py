"""What belongs to the user, to the graph and to the walk stays apart; what is refused changes nothing."""

import threading

import numpy as np
import pytest

import minigrad
import minigrad.nn.functional as F
from minigrad import nn, optim
from minigrad.autograd import Function, grad


class Spoils(Function):
    """Writes to the gradient it is given."""

    @staticmethod
    def forward(ctx, x):
        return x * 1

    @staticmethod
    def backward(ctx, upstream):
        upstream.mul_(2)
        return upstream


class Twice(Function):
    """Returns one result two times."""

    @staticmethod
    def forward(ctx, x):
        y = x * 2
        return y, y

    @staticmethod
    def backward(ctx, first, second):
        return (first + second) * 2


def leaf(*values):
    return minigrad.tensor(values, requires_grad=True)


def test_the_first_upstream_gradient_cannot_be_spoiled():
    """The 1 that every backward() of a single value starts from is read-only."""
    x = minigrad.tensor(3.0, requires_grad=True)
    (g,) = grad(x + 1.0, x, create_graph=True)
    with pytest.raises(RuntimeError, match="read-only"):
        g.mul_(5)
    (x * 2).backward()
    assert x.grad.item() == 2


def test_a_function_cannot_write_to_the_gradient_it_is_given():
    """Others may be given the same memory."""
    x, z = leaf(1.0, 2.0), leaf(1.0, 2.0)
    upstream = minigrad.ones(2)
    with pytest.raises(RuntimeError, match="read-only"):
        (Spoils.apply(x) + z).backward(upstream)
    assert upstream.tolist() == [1.0, 1.0]


def test_results_of_a_function_do_not_share_memory():
    """A write to one would not be seen in the graph of the other."""
    a, b = Twice.apply(leaf(1.0))
    assert not np.shares_memory(a.array, b.array)


def test_upstream_gradient_is_not_taken_for_the_gradient():
    """backward(v) of a leaf copies v."""
    x, v = leaf(1.0, 2.0), minigrad.ones(2)
    x.backward(v)
    assert x.grad.tolist() == [1.0, 1.0] and not np.shares_memory(x.grad.array, v.array)


def test_a_kept_gradient_is_not_that_of_another():
    """retain_grad() of a value, and the leaf that its gradient is handed on to, hold memory of their own."""
    x = leaf(1.0, 2.0)
    y = x + 0.0
    y.retain_grad()
    (y * 3).sum().backward()
    assert not np.shares_memory(x.grad.array, y.grad.array)


def test_gradients_are_in_c_order():
    """Whatever the layout of what they were computed from."""
    x = leaf(*np.ones((2, 3), np.float32))
    (x.T * minigrad.ones(3, 2)).T.exp().sum().backward()
    assert x.grad.is_contiguous()


def test_freezing_between_forward_and_backward_loses_nothing():
    """A leaf that is frozen and thawed is the same leaf, and keeps its gradient."""
    x = leaf(1.0, 1.0)
    y = (x * 2).sum()
    x.requires_grad_(False)
    x.requires_grad_(True)
    y.backward()
    assert x.grad.tolist() == [2.0, 2.0]
    x.requires_grad_(False)
    assert x.grad.tolist() == [2.0, 2.0]
    optim.SGD([x], lr=1.0).zero_grad()
    x.requires_grad_(True)
    assert x.grad is None


def test_a_leaf_that_is_a_view_stays_a_leaf():
    """Asking a view for its gradient cuts it from its base; asking the base leaves older views alone."""
    flat = minigrad.zeros(4)
    a, older = flat[:2], flat[2:]
    a.requires_grad_()
    a.sum().backward()
    flat[3:] = leaf(1.0) * 2
    assert a.is_leaf and a.grad.tolist() == [1.0, 1.0]
    base = minigrad.zeros(4)
    older = base[:2]
    base.requires_grad_()
    assert not older.requires_grad


@pytest.mark.parametrize("write", [lambda y: y.mul_(3), lambda y: y.__setitem__(0, minigrad.tensor(5.0))])
def test_a_kept_gradient_survives_a_write(write):
    """retain_grad() holds for the tensor, also when it gets a new value."""
    y = leaf(1.0, 2.0) * 1
    y.retain_grad()
    write(y)
    y.sum().backward()
    assert y.grad.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("which", ["input", "target", "weight"])
def test_a_loss_notices_writes_to_its_arguments(which):
    """Backward refuses when an argument of a fused loss was changed after it."""
    given = {"input": minigrad.randn(3, 2), "target": minigrad.tensor([0, 1, 0]), "weight": minigrad.ones(2)}
    given["input"] = (given["input"].requires_grad_() * 1).clone()
    loss = F.cross_entropy(**given)
    with minigrad.no_grad():
        given[which].zero_()
    with pytest.raises(RuntimeError, match="cross_entropy.*in-place"):
        loss.backward()


def test_where_keeps_its_condition():
    """An array that is the condition may be changed afterwards."""
    mask, x = np.array([True, False]), leaf(1.0, 2.0)
    y = minigrad.where(mask, x, 0.0)
    mask[:] = [False, True]
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 0.0]


def test_new_data_drops_a_gradient_that_no_longer_fits():
    """Otherwise the next backward() would broadcast or mix dtypes."""
    x = leaf(1.0, 2.0)
    x.sum().backward()
    x.data = x.detach().double()
    assert x.grad is None
    with pytest.raises(TypeError, match="floating-point"):
        x.data = minigrad.tensor([1, 2])


def test_ignored_rows_do_not_touch_the_formula():
    """With a weight that requires grad, too, an ignored row adds nothing, whatever its logits are."""
    logits = minigrad.tensor([[0.0, 1.0], [-np.inf, 0.0]])
    weight = leaf(1.0, 1.0)
    loss = F.cross_entropy(logits, minigrad.tensor([1, -100]), weight)
    loss.backward()
    assert np.isfinite(loss.item()) and np.isfinite(weight.grad.array).all()


def test_a_refused_step_changes_nothing():
    """Not the parameters, the state, the count, nor what the next step does."""

    def steps(refused_first):
        p, q = leaf(1.0), leaf(1.0)
        optimizer = optim.SGD([{"params": [p]}, {"params": [q]}], lr=1.0, momentum=0.9, dampening=0.5)
        for parameter in (p, q):
            parameter.grad = minigrad.tensor([1.0])
        if refused_first:
            p.grad.data = minigrad.tensor([1.0], dtype=minigrad.float64)
            with pytest.raises(TypeError, match="gradients"):
                optimizer.step()
            assert p.tolist() == q.tolist() == [1.0] and optimizer.steps == 0
            p.grad = minigrad.tensor([1.0])
        optimizer.step()
        return p.tolist() + q.tolist()

    assert steps(True) == steps(False) == [0.0, 0.0]


def test_state_whose_array_is_replaced_is_used():
    """optimizer.state may be edited between steps."""
    p = leaf(0.0)
    optimizer = optim.SGD([p], lr=1.0, momentum=0.9)
    for _ in range(2):
        p.grad = minigrad.tensor([1.0])
        optimizer.step()
    optimizer.state[p]["momentum_buffer"].data = minigrad.tensor([0.0])
    before = p.item()
    optimizer.step()
    assert p.item() - before == pytest.approx(-1.0)


def test_parameters_that_share_memory_are_refused():
    """Two threads would update the same numbers."""
    memory = np.zeros(4, np.float32)
    p, q = (nn.Parameter(minigrad.from_numpy(memory[part])) for part in (slice(0, 3), slice(1, 4)))
    p.grad, q.grad = minigrad.ones(3), minigrad.ones(3)
    with pytest.raises(ValueError, match="0 and 1 share memory"):
        optim.SGD([p, q], lr=1.0).step()


def test_a_tensor_cannot_take_the_place_of_a_parameter():
    """It would silently no longer be trained."""
    layer = nn.Linear(2, 1)
    with pytest.raises(TypeError, match="weight is a Parameter"):
        layer.weight = minigrad.zeros(1, 2)
    layer.bias = None
    assert [name for name, _ in layer.named_parameters()] == ["weight"]


@pytest.mark.parametrize("state", [{}, {"state": {}, "param_groups": [{"params": [0], "lr": -1.0}]}])
def test_an_optimizer_refuses_a_state_that_does_not_fit(state):
    """Before it takes over any of it."""
    optimizer = optim.SGD([leaf(1.0)], lr=0.5)
    with pytest.raises(ValueError, match="SGD"):
        optimizer.load_state_dict(state)
    with pytest.raises(ValueError, match="another optimizer"):
        optimizer.load_state_dict(optim.Adam([leaf(1.0)]).state_dict())
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_the_number_of_threads_may_change_while_kernels_run():
    """A call in one thread finishes whatever another one sets."""
    from minigrad.kernels import parallel

    errors, end = [], threading.Event()

    def work():
        x = np.ones(200_000, np.float32)
        try:
            while not end.is_set():
                minigrad.kernels.active.mse_loss(x, x, reduction="sum", need_gradient=True)
        except Exception as error:
            errors.append(error)

    threads, limits = minigrad.get_num_threads(), (parallel.SMALLEST_SPLIT, parallel.LONG)
    parallel.SMALLEST_SPLIT = parallel.LONG = 0
    worker = threading.Thread(target=work)
    worker.start()
    try:
        for i in range(300):
            minigrad.set_num_threads(1 + i % 3)
    finally:
        end.set()
        worker.join()
        parallel.SMALLEST_SPLIT, parallel.LONG = limits
        minigrad.set_num_threads(threads)
    assert errors == []


def test_large_gradients_are_recycled_only_when_nobody_holds_them():
    """A freed gradient's memory is used again; one that is held, also through a view, never is."""
    from minigrad.kernels import buffers

    shape, dtype = (buffers.LARGE // 4,), np.dtype(np.float32)
    first = buffers.empty(shape, dtype)
    address = first.ctypes.data
    second = buffers.empty(shape, dtype)
    assert not np.shares_memory(first, second)
    view = first[1:]
    del first
    assert not np.shares_memory(buffers.empty(shape, dtype), view)
    del view
    assert address in {array.ctypes.data for array in [buffers.empty(shape, dtype) for _ in range(3)]}


def test_memory_that_waits_for_its_next_use_is_limited(monkeypatch):
    """What was made first is let go first, and there is an end to it."""
    from minigrad.kernels import buffers

    for name, value in (("KEPT", 4 * buffers.LARGE), ("_blocks", {}), ("_kept", 0)):
        monkeypatch.setattr(buffers, name, value)
    size, dtype = buffers.LARGE, np.dtype(np.uint8)
    made = [buffers.empty((bytes,), dtype) for bytes in (size, size, 2 * size, size)]
    assert [made[2].base] == buffers._blocks[2 * size]
    assert [made[3].base] == buffers._blocks[size][-1:]
    assert buffers._kept == sum(size * len(blocks) for size, blocks in buffers._blocks.items()) <= buffers.KEPT
    made.append(buffers.empty((4 * size,), dtype))
    assert {4 * size: [made[-1].base]} == {size: blocks for size, blocks in buffers._blocks.items() if blocks}


def test_memory_serves_arrays_of_other_shapes():
    """A smaller batch finds the memory of the one before, where it is of about its size."""
    from minigrad.kernels import buffers

    rows = 2 * buffers.LARGE // 64
    first = buffers.empty((rows, 8), np.dtype(np.float64))
    address = first.ctypes.data
    del first
    second = buffers.empty((2 * rows - 100, 8), np.dtype(np.float32))
    assert second.ctypes.data == address
    second[...] = 0


@pytest.mark.skipif("native" not in minigrad.kernels.available(), reason="built without C kernels")
def test_large_gradient_is_kept_as_the_kernel_gave_it(monkeypatch):
    """It is the only holder of its memory, and so it is not copied."""
    from minigrad.kernels import active, buffers

    given, kernel = [], active.mse_loss

    def spy(*args, **options):
        given.append(kernel(*args, **options))
        return given[-1]

    monkeypatch.setattr(active, "mse_loss", spy)
    x = minigrad.zeros(buffers.LARGE, requires_grad=True)
    F.mse_loss(x, minigrad.ones(buffers.LARGE)).backward()
    assert x.grad.array is given[0][1]
    assert x.grad.array.ctypes.data % 64 == 0
