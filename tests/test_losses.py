"""The losses: values, derivatives of every order and argument, and what they refuse."""

import numpy as np
import pytest
from loss_cases import CASES, REDUCTIONS

import minigrad
from minigrad import autograd, kernels, nn
from minigrad.nn import functional as F

DTYPES = (np.float32, np.float64)
TOLERANCE = {np.float32: dict(rtol=1e-5, atol=1e-6), np.float64: dict(rtol=1e-12, atol=1e-13)}

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
each_reduction = pytest.mark.parametrize("reduction", REDUCTIONS)
each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=["float32", "float64"])


@pytest.fixture(params=kernels.available())
def backend(request):
    """Each kind of kernels in turn."""
    with kernels.use(request.param):
        yield request.param


def tensors(case, dtype=np.float64, grad=(0,)):
    """The arguments of a row; those whose position is in `grad`, and that are no integers, require grad."""
    made = [minigrad.from_numpy(array) for array in case.arrays(dtype)]
    for i, tensor in enumerate(made):
        if i in grad and tensor.is_floating_point():
            tensor.requires_grad_()
    return made


def upstream_of(loss, seed=0):
    return minigrad.from_numpy(np.asarray(np.random.default_rng(seed).standard_normal(loss.shape), loss.dtype))


def assert_equal(found, expected, dtype):
    assert expected.shape == found.shape
    assert dtype == found.dtype
    np.testing.assert_allclose(found.detach().numpy(), expected, **TOLERANCE[dtype])


@each_dtype
@each_reduction
@each_case
def test_value(case, reduction, dtype, backend):
    """The value is the definition's, in the input's dtype, with a gradient wanted or not, and writes no argument."""
    for grad in ((), (0,)):
        args = tensors(case, dtype, grad)
        before = [arg.array.copy() for arg in args]
        expected = case.expected(before, reduction)
        loss = case.call(F, *args, reduction=reduction)
        assert bool(grad) == loss.requires_grad
        assert_equal(loss, expected, dtype)
        if grad:
            loss.backward(upstream_of(loss))
        for arg, old in zip(args, before, strict=True):
            assert old.tobytes() == arg.array.tobytes()


@each_reduction
@each_case
def test_gradient(case, reduction, backend):
    """The gradient is the finite difference, for a random upstream gradient."""
    input, *others = tensors(case)
    assert autograd.gradcheck(lambda x: case.call(F, x, *others, reduction=reduction), input)


@each_reduction
@each_case
def test_gradient_of_every_argument(case, reduction):
    """Target, weight and pos_weight have gradients too, and asking for them does not change the value."""
    args = tensors(case, grad=range(4))
    plain = case.call(F, *[arg.detach() for arg in args], reduction=reduction)
    assert_equal(case.call(F, *args, reduction=reduction), plain.numpy(), np.float64)
    assert autograd.gradcheck(lambda *xs: case.call(F, *xs, reduction=reduction), args)


@each_reduction
@each_case
def test_second_derivative(case, reduction):
    """The gradient is differentiable by the input and the upstream gradient, where it is not constant."""
    input, *others = tensors(case)
    assert autograd.gradgradcheck(lambda x: case.call(F, x, *others, reduction=reduction), input)


@each_dtype
@each_reduction
@each_case
def test_recorded_gradient(case, reduction, dtype):
    """`create_graph` takes another way to the same gradient."""
    input, *others = tensors(case, dtype)
    found = []
    for create_graph in (False, True):
        loss = case.call(F, input, *others, reduction=reduction)
        found += autograd.grad(loss, input, upstream_of(loss), create_graph=create_graph)
    assert_equal(found[1], found[0].numpy(), dtype)


@each_reduction
@each_case
def test_float32_gradient(case, reduction, backend):
    """A float32 gradient is float32, and the float64 one up to rounding."""
    gradients = []
    for dtype in DTYPES:
        input, *others = [minigrad.from_numpy(a if a.dtype.kind == "i" else a.astype(dtype)) for a in case.arrays(np.float32)]
        loss = case.call(F, input.requires_grad_(), *others, reduction=reduction)
        loss.backward(minigrad.from_numpy(upstream_of(loss).array.astype(dtype)))
        gradients.append(input.grad)
    assert_equal(gradients[0], gradients[1].numpy().astype(np.float32), np.float32)


@each_reduction
@each_case
def test_backward_twice(case, reduction):
    """A kept graph gives the same gradient again, and `.grad` is not the memory that the graph kept."""
    input, *others = tensors(case)
    loss = case.call(F, input, *others, reduction=reduction)
    upstream = minigrad.ones_like(loss)
    loss.backward(upstream, retain_graph=True)
    first = input.grad.numpy().copy()
    input.grad.fill_(7.0)
    input.grad = None
    loss.backward(upstream)
    np.testing.assert_array_equal(input.grad.numpy(), first)


@each_reduction
@each_case
def test_used_twice(case, reduction):
    """A loss that flows into two results receives the sum of both gradients."""
    input, *others = tensors(case)
    loss = case.call(F, input, *others, reduction=reduction)
    (single,) = autograd.grad(loss.sum(), input, retain_graph=True)
    (found,) = autograd.grad((loss * 3.0 + loss).sum(), input)
    np.testing.assert_allclose(found.numpy(), 4 * single.numpy(), rtol=1e-12)


@each_case
def test_no_gradient_is_computed_in_vain(case, monkeypatch):
    """The kernel is told to compute a gradient only where somebody can ask for it."""
    wanted, kernel = [], "cross_entropy_probabilities" if "probabilities" in case.id else case.function
    function = getattr(kernels.active, kernel)

    def spy(*arguments):
        wanted.append(arguments[-1])
        return function(*arguments)

    monkeypatch.setattr(kernels.active, kernel, spy)
    args = tensors(case)
    case.call(F, *args, reduction="mean")
    with minigrad.no_grad():
        assert not case.call(F, *args, reduction="mean").requires_grad
    case.call(F, *[arg.detach() for arg in args], reduction="mean")
    assert [True, False, False] == wanted


@pytest.mark.parametrize("layout", [lambda a: np.asfortranarray(a), lambda a: np.repeat(a, 2, 0)[::2]], ids=["F", "strided"])
@each_case
def test_layout(case, layout):
    """Where the numbers lie in memory changes neither value nor gradient."""
    found = []
    for place in (lambda a: a, layout):
        input, *others = [minigrad.from_numpy(place(a) if a.ndim else a) for a in case.arrays(np.float64)]
        loss = case.call(F, input.requires_grad_(), *others, reduction="none")
        loss.backward(upstream_of(loss))
        found.append((loss.detach().numpy(), input.grad.numpy()))
    np.testing.assert_array_equal(found[1][0], found[0][0])
    np.testing.assert_array_equal(found[1][1], found[0][1])


# Ends of the range


@pytest.mark.parametrize("grad", [False, True], ids=["kernel", "formula"])
@pytest.mark.parametrize(("reduction", "expected"), [("mean", np.nan), ("sum", 0.0), ("none", [0.0, 0.0])])
def test_all_targets_ignored(reduction, expected, grad, backend):
    """A mean over no target is NaN, a sum 0; no row receives a gradient."""
    input = minigrad.randn(2, 3, requires_grad=True)
    weight = minigrad.ones(3, requires_grad=grad)
    loss = F.cross_entropy(input, minigrad.tensor([-100, -100]), weight, reduction=reduction)
    np.testing.assert_array_equal(loss.detach().numpy(), expected)
    if reduction != "mean":
        loss.sum().backward()
        np.testing.assert_array_equal(input.grad.numpy(), np.zeros((2, 3)))


@pytest.mark.parametrize(("reduction", "expected"), [("mean", np.nan), ("sum", 0.0), ("none", [])])
@pytest.mark.parametrize("function", ["mse_loss", "cross_entropy", "multi_margin_loss"])
def test_empty_batch(function, reduction, expected, backend):
    """A batch of none has a mean of NaN and a sum of 0."""
    input, target = minigrad.zeros(0, 3), minigrad.zeros(0, dtype=minigrad.int64)
    args = (input[:, 0], input[:, 1]) if function == "mse_loss" else (input, target)
    loss = getattr(F, function)(*args, reduction=reduction)
    np.testing.assert_array_equal(loss.numpy(), np.array(expected, np.float32))


@pytest.mark.parametrize("create_graph", [False, True], ids=["kernel", "formula"])
def test_bce_at_the_ends(create_graph, backend):
    """Logarithms of 0 are cut off at -100; the slope is finite, as PyTorch's, also where it is recorded."""
    input = minigrad.tensor([0.0, 0.0, 1.0, 1.0], requires_grad=True, dtype=np.float64)
    target = minigrad.tensor([0.0, 1.0, 0.0, 1.0], dtype=np.float64)
    loss = F.binary_cross_entropy(input, target, reduction="none")
    assert [0.0, 100.0, 100.0, 0.0] == loss.tolist()
    (slope,) = autograd.grad(loss.sum(), input, create_graph=create_graph)
    np.testing.assert_allclose(slope.detach().numpy(), [0, -1e12, 1e12, 0])


def test_huge_logits(backend):
    """Logits far apart neither overflow nor lose the loss."""
    x = minigrad.tensor([[1e4, 0.0], [-1e4, 0.0]], requires_grad=True)
    assert [0.0, 1e4] == F.cross_entropy(x, minigrad.tensor([0, 0]), reduction="none").tolist()
    y = minigrad.tensor([1e4, -1e4], requires_grad=True)
    loss = F.binary_cross_entropy_with_logits(y, minigrad.tensor([0.0, 1.0]), reduction="none")
    assert [1e4, 1e4] == loss.tolist()
    loss.sum().backward()
    assert [1.0, -1.0] == y.grad.tolist()


def test_kinks(backend):
    """At a kink the slope is 0 for l1, and that of the outer branch, which is the inner one's, for Huber's."""
    x, zero = minigrad.tensor([0.0, 1.0, -1.0], requires_grad=True), minigrad.zeros(3)
    for function, expected in ((F.l1_loss, [0, 1, -1]), (F.smooth_l1_loss, [0, 1, -1]), (F.huber_loss, [0, 1, -1])):
        (slope,) = autograd.grad(function(x, zero, reduction="sum"), x)
        assert expected == slope.tolist()


# Modules


MODULES = {
    "mse_loss": nn.MSELoss, "l1_loss": nn.L1Loss, "smooth_l1_loss": nn.SmoothL1Loss, "huber_loss": nn.HuberLoss,
    "binary_cross_entropy": nn.BCELoss, "binary_cross_entropy_with_logits": nn.BCEWithLogitsLoss,
    "cross_entropy": nn.CrossEntropyLoss, "multi_margin_loss": nn.MultiMarginLoss,
}  # fmt: skip


@each_reduction
@each_case
def test_module(case, reduction):
    """A loss module calls its function with the options it was made with; its weights are buffers."""
    input, target, *others = tensors(case, grad=())
    options = dict(zip(case.tensors, others, strict=True))
    module = MODULES[case.function](**options, **case.options, reduction=reduction)
    expected = case.call(F, input, target, *others, reduction=reduction)
    np.testing.assert_array_equal(module(input, target).numpy(), expected.numpy())
    assert list(options) == list(module.state_dict())
    assert f"{type(module).__name__}()" == repr(module)
    assert np.float32 == module.float()(input.float(), target.float() if target.is_floating_point() else target).dtype


# Refusals

X, T = minigrad.zeros(2, 3), minigrad.tensor([0, 1])
DOUBLE, TWO = minigrad.zeros(2, 3, dtype=np.float64), minigrad.ones(2)
REFUSED = [
    (IndexError, "cross_entropy", (X, minigrad.tensor([0, 3])), {}, r"target\[1\] is 3, expected .* 0 to 2"),
    (IndexError, "cross_entropy", (X, minigrad.tensor([-1, 0])), {}, r"target\[0\] is -1"),
    (IndexError, "multi_margin_loss", (X, minigrad.tensor([-100, 0])), {}, r"target\[0\] is -100"),
    (ValueError, "mse_loss", (minigrad.zeros(4, 1), minigrad.zeros(4)), {}, r"target .*\(4,\), expected \(4, 1\)"),
    (ValueError, "l1_loss", (X, minigrad.zeros(3)), {}, r"target .*\(3,\), expected \(2, 3\)"),
    (ValueError, "binary_cross_entropy", (X, TWO), {}, r"target .*\(2,\), expected \(2, 3\)"),
    (ValueError, "cross_entropy", (X, minigrad.tensor([0])), {}, r"target has shape \(1,\), expected \(2,\)"),
    (ValueError, "cross_entropy", (X, T.unsqueeze(1)), {}, r"target has shape \(2, 1\), expected \(2,\)"),
    (ValueError, "cross_entropy", (minigrad.zeros(2, 3, 4), T), {}, r"target has shape \(2,\), expected \(2, 4\)"),
    (ValueError, "cross_entropy", (X, TWO), {}, r"target is float32 of shape \(2,\)"),
    (ValueError, "cross_entropy", (minigrad.zeros(()), T[0]), {}, "input .*single number"),
    (ValueError, "cross_entropy", (X, T), {"weight": TWO}, r"weight has shape \(2,\), expected \(3,\)"),
    (ValueError, "cross_entropy", (X, X), {"weight": TWO}, r"weight has shape \(2,\), expected \(3,\)"),
    (ValueError, "multi_margin_loss", (X, T), {"weight": TWO}, r"weight has shape \(2,\), expected \(3,\)"),
    (ValueError, "multi_margin_loss", (minigrad.zeros(2, 3, 1), T), {}, r"scores has shape \(2, 3, 1\), expected two axes"),
    (ValueError, "binary_cross_entropy", (X, X), {"weight": TWO}, r"weight of shape \(2,\) .*\(2, 3\)"),
    (TypeError, "mse_loss", (X, DOUBLE), {}, "target is float64, expected float32"),
    (TypeError, "mse_loss", (T, T), {}, "input is int64, expected float32 or float64"),
    (TypeError, "mse_loss", (X, X.numpy()), {}, "target must be a tensor, got ndarray"),
    (TypeError, "mse_loss", (1.0, X), {}, "input must be a tensor, got float"),
    (TypeError, "cross_entropy", (X, T), {"weight": [1.0] * 3}, "weight must be a tensor, got list"),
    (TypeError, "cross_entropy", (X, None), {}, "target must be a tensor, got NoneType"),
    (TypeError, "cross_entropy", (X, T.to(np.int32)), {}, "target is int32, expected .*int64"),
    (TypeError, "cross_entropy", (X, T), {"weight": DOUBLE[0]}, "weight is float64, expected float32"),
    (TypeError, "multi_margin_loss", (X, TWO), {}, "target is float32, expected .*int64"),
    (RuntimeError, "binary_cross_entropy", (X + 1.5, X), {}, r"input\[0, 0\] is 1.5"),
    (RuntimeError, "binary_cross_entropy", (X * np.nan, X), {}, r"input\[0, 0\] is nan"),
    (ValueError, "mse_loss", (X, X), {"reduction": "average"}, "reduction is 'average', expected 'mean', 'sum' or 'none'"),
    (ValueError, "cross_entropy", (X, T), {"reduction": None}, "reduction is None"),
    (ValueError, "multi_margin_loss", (X, T), {"p": 3}, "p is 3, expected 1 or 2"),
    (RuntimeError, "smooth_l1_loss", (X, X), {"beta": -1.0}, "beta must be >= 0, got -1.0"),
    (RuntimeError, "huber_loss", (X, X), {"delta": 0.0}, "delta must be > 0, got 0.0"),
    (RuntimeError, "huber_loss", (X, X), {"delta": np.nan}, "delta must be > 0, got nan"),
    (RuntimeError, "cross_entropy", (X, T), {"label_smoothing": 1.5}, "label_smoothing must be .* 1, got 1.5"),
    (RuntimeError, "cross_entropy", (X, X), {"ignore_index": 1}, "ignore_index .* class indices .*got 1"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "function", "args", "options", "message"), REFUSED, ids=[f"{row[1]}-{i}" for i, row in enumerate(REFUSED)]
)
def test_refused(error, function, args, options, message, backend):
    """A refusal names the function, what came and what was expected, and writes nothing."""
    before = [arg.array.copy() for arg in args if isinstance(arg, minigrad.Tensor)]
    with pytest.raises(error, match=rf"{function}\w*\(\): {message}"):
        getattr(F, function)(*args, **options)
    after = [arg.array for arg in args if isinstance(arg, minigrad.Tensor)]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(new, old)


@pytest.mark.parametrize(("function", "target"), [("cross_entropy", [0, -1]), ("cross_entropy", [0, 3]), ("multi_margin_loss", [-1, 0])])
def test_refused_where_the_formula_runs(function, target):
    """What the kernel refuses is refused where a gradient for the weight is wanted, too."""
    weight = minigrad.ones(3, requires_grad=True)
    with pytest.raises(IndexError, match=rf"{function}\(\): target"):
        getattr(F, function)(X, minigrad.tensor(target), weight=weight)


def test_probability_refused_where_the_formula_runs():
    """A probability outside [0, 1] is refused where a gradient for the target is wanted, too."""
    with pytest.raises(RuntimeError, match="is 1.5"):
        F.binary_cross_entropy(X + 1.5, minigrad.zeros(2, 3, requires_grad=True))
