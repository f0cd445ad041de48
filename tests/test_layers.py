"""The layers: values, derivatives, starting values, and what they refuse."""

import math

import numpy as np
import pytest

import minigrad
from minigrad import autograd, nn
from minigrad.nn import functional as F
from minigrad.nn import init


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(4,), (2, 4), (2, 3, 4), (0, 4), (1, 1, 1, 4)], ids=str)
def test_linear(shape, bias):
    """Linear maps the last axis, x W^T + b, for input of any number of axes, and so do its derivatives."""
    layer = nn.Linear(4, 3, bias=bias, dtype=np.float64)
    x = minigrad.randn(*shape, dtype=np.float64, requires_grad=True)
    weight = layer.weight.detach().numpy()
    expected = np.einsum("...i,oi->...o", x.array, weight) + (layer.bias.detach().numpy() if bias else 0)
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-12, atol=1e-12)
    inputs = [x, *layer.parameters()]
    assert autograd.gradcheck(F.linear, inputs)
    assert autograd.gradgradcheck(F.linear, inputs)


def test_linear_start():
    """Weights and biases start uniform on [-1/sqrt(in), 1/sqrt(in)), whatever came before."""
    minigrad.manual_seed(1)
    layer = nn.Linear(100, 200)
    for tensor in (layer.weight, layer.bias):
        found = tensor.detach().numpy()
        assert 0.097 < np.abs(found).max() <= 0.1
        assert abs(found.std() - 0.1 / math.sqrt(3)) < 0.005
    minigrad.manual_seed(1)
    assert layer.weight.tolist() == nn.Linear(100, 200).weight.tolist()
    assert (2, 0) == nn.Linear(0, 2).weight.shape
    assert [[0.0, 0.0]] == nn.Linear(0, 2, bias=False)(minigrad.zeros(1, 0)).tolist()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.Linear(2, 3)(minigrad.ones(4, 3)), RuntimeError, r"linear\(\): .*input float32 \(4, 3\), weight float32 \(3, 2\)"),
        (lambda: nn.Linear(2, 3)(minigrad.ones(4, 2).double()), RuntimeError, r"one dtype.*input float64"),
        (lambda: nn.Linear(2, 3)(minigrad.ones(())), RuntimeError, r"input float32 \(\)"),
        (lambda: nn.Linear(2, 3)([1.0, 2.0]), RuntimeError, "input list"),
        (lambda: F.linear(minigrad.ones(2), minigrad.ones(3, 2), minigrad.ones(2)), RuntimeError, r"bias float32 \(2,\)"),
        (lambda: nn.Linear(-1, 2), ValueError, "in_features must be a non-negative integer, got -1"),
        (lambda: nn.Linear(2, 1.5), ValueError, "out_features .* got 1.5"),
        (lambda: nn.Dropout(1.5), ValueError, "Dropout: p must be between 0 and 1, got 1.5"),
        (lambda: F.dropout(minigrad.ones(1), p=-0.1), ValueError, r"dropout\(\): p .* got -0.1"),
        (lambda: F.one_hot(minigrad.tensor([0, 3]), 3), ValueError, "integers from 0 to 2"),
        (lambda: init.kaiming_normal_(minigrad.ones(3)), ValueError, r"two axes .* got shape \(3,\)"),
        (lambda: init.kaiming_normal_(minigrad.ones(3, 2), mode="fan"), ValueError, "mode must be .* got 'fan'"),
        (lambda: init.calculate_gain("gelu"), ValueError, "nonlinearity must be one of .* got 'gelu'"),
    ],
)  # fmt: skip
def test_refused(call, error, message):
    """A refusal names the function, what came and what was expected."""
    with pytest.raises(error, match=message):
        call()


ACTIVATIONS = [
    (nn.ReLU(), lambda x: np.maximum(x, 0)), (nn.Tanh(), np.tanh), (nn.Sigmoid(), lambda x: 1 / (1 + np.exp(-x))),
    (nn.Identity(), lambda x: x), (nn.Flatten(), lambda x: x.reshape(2, -1)), (nn.Flatten(0, 1), lambda x: x.reshape(6, -1)),
    (nn.Softmax(dim=1), lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True)),
    (nn.LogSoftmax(dim=-1), lambda x: x - np.log(np.exp(x).sum(-1, keepdims=True))),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "formula"), ACTIVATIONS, ids=lambda value: repr(value) if isinstance(value, nn.Module) else "")
def test_layer(layer, formula):
    """A layer without parameters is its formula, with its derivative."""
    minigrad.manual_seed(2)
    x = minigrad.randn(2, 3, 4, dtype=np.float64, requires_grad=True)
    np.testing.assert_allclose(layer(x).detach().numpy(), formula(x.array), rtol=1e-12)
    assert autograd.gradcheck(layer, x)


def test_dropout():
    """Dropout zeroes a share p and scales the rest, in value and gradient; in evaluation it does nothing."""
    minigrad.manual_seed(3)
    x = minigrad.ones(400, 250, requires_grad=True)
    layer = nn.Dropout(0.2)
    y = layer(x)
    assert {0.0, 1.25} == set(np.unique(y.detach().numpy()).tolist())
    assert abs(y.mean().item() - 1) < 0.01
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())
    assert y.tolist() != layer(x).tolist()
    assert x is layer.eval()(x) is F.dropout(x, 0.0) is F.dropout(x, training=False)
    assert 0.0 == F.dropout(x, 1.0).abs().sum().item()
    assert np.float64 == F.dropout(x.double(), 0.5).dtype
    draws = [F.dropout(x, generator=minigrad.Generator(7)).tolist() for _ in range(2)]
    assert draws[0] == draws[1]


def test_one_hot():
    """one_hot() puts a 1 at each class, for any shape of target."""
    assert [[[1, 0, 0], [0, 0, 1]]] == F.one_hot(minigrad.tensor([[0, 2]])).tolist()
    assert (2, 5) == F.one_hot(minigrad.tensor([0, 2]), 5).shape


INIT = [
    (init.uniform_, {"a": -1.0, "b": 3.0}, 1.0, 4 / math.sqrt(12), 3.0),
    (init.normal_, {"mean": 2.0, "std": 0.5}, 2.0, 0.5, None),
    (init.xavier_uniform_, {"gain": 2.0}, 0.0, 2 * math.sqrt(2 / 500), 2 * math.sqrt(6 / 500)),
    (init.xavier_normal_, {}, 0.0, math.sqrt(2 / 500), None),
    (init.kaiming_uniform_, {"nonlinearity": "relu"}, 0.0, math.sqrt(2 / 300), math.sqrt(6 / 300)),
    (init.kaiming_uniform_, {"a": math.sqrt(5)}, 0.0, 1 / math.sqrt(3 * 300), 1 / math.sqrt(300)),
    (init.kaiming_normal_, {"mode": "fan_out", "nonlinearity": "tanh"}, 0.0, 5 / 3 / math.sqrt(200), None),
    (init.constant_, {"val": 4.0}, 4.0, 0.0, 4.0), (init.ones_, {}, 1.0, 0.0, 1.0), (init.zeros_, {}, 0.0, 0.0, 0.0),
]  # fmt: skip


@pytest.mark.parametrize(("function", "options", "mean", "std", "bound"), INIT, ids=lambda v: getattr(v, "__name__", ""))
def test_init(function, options, mean, std, bound):
    """Starting values have the stated mean, deviation and bound, and are written outside the graph."""
    minigrad.manual_seed(4)
    weight = nn.Parameter(minigrad.empty(200, 300))
    assert weight is function(weight, **options)
    assert weight.is_leaf
    assert weight.requires_grad
    found = weight.detach().numpy()
    assert abs(found.mean() - mean) < 0.01 * (std or 1) + 5 * std / math.sqrt(found.size)
    assert abs(found.std() - std) < 0.02 * std + 1e-7
    if bound is not None:
        assert found.max() <= bound + 1e-6
        assert found.max() > bound - 0.01 * std - 1e-6


def test_gains():
    """The gains are those of the literature."""
    gains = {"linear": 1, "sigmoid": 1, "tanh": 5 / 3, "relu": math.sqrt(2), "leaky_relu": math.sqrt(2 / 1.0001), "selu": 0.75}
    np.testing.assert_allclose([init.calculate_gain(name) for name in gains], list(gains.values()))
    np.testing.assert_allclose(init.calculate_gain("leaky_relu", 0.2), math.sqrt(2 / 1.04))
    assert (12, 20) == init.fans(minigrad.ones(5, 3, 2, 2))


def test_inplace_layers_write_into_their_argument():
    """ReLU and Dropout with inplace=True change the tensor they are given, and keep the right gradient."""
    x = minigrad.tensor([-1.0, 2.0], requires_grad=True)
    y = x * 3
    z = nn.ReLU(inplace=True)(y)
    assert z is y
    z.sum().backward()
    assert x.grad.tolist() == [0.0, 3.0]
    y = minigrad.ones(4)
    assert nn.Dropout(1.0, inplace=True)(y) is y
    assert y.tolist() == [0.0] * 4
    assert [repr(nn.ReLU(inplace=True)), repr(nn.Dropout(0.2))] == ["ReLU(inplace=True)", "Dropout(p=0.2, inplace=False)"]
