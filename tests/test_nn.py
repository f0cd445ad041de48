"""Modules: what they hold, save, copy and print; the layers and their starting values."""

import copy
import math
import pickle
from textwrap import dedent

import numpy as np
import pytest

import minigrad
from minigrad import autograd, nn
from minigrad.nn import functional as F
from minigrad.nn import init


class Scaled(nn.Module):
    """A model with a parameter, two buffers, a list, a module used twice, and a tied weight."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(minigrad.ones(1))
        self.register_buffer("mean", minigrad.zeros(2))
        self.register_buffer("scratch", minigrad.zeros(3), persistent=False)
        self.register_buffer("nothing", None)
        self.body = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        self.heads = nn.ModuleList([nn.Linear(2, 2, bias=False), nn.Linear(2, 1)])
        self.again = self.body
        self.heads[0].weight = self.body[0].weight
        self.name = "not a module"

    def forward(self, x):
        return self.heads[1](self.heads[0](self.again(self.body(x - self.mean)))) * self.scale

    def extra_repr(self):
        return "scale=1"


NAMES = ["scale", "body.0.weight", "body.0.bias", "heads.1.weight", "heads.1.bias"]


@pytest.fixture
def model():
    minigrad.manual_seed(0)
    return Scaled()


def values(model):
    return {name: tensor.tolist() for name, tensor in model.state_dict().items()}


# What a module holds


def test_names(model):
    """Parameters, buffers and modules have dotted names, and what is shared is listed once."""
    assert NAMES == [name for name, _ in model.named_parameters()]
    assert 5 == len(list(model.parameters()))
    assert ["mean", "scratch"] == [name for name, _ in model.named_buffers()]
    assert ["", "body", "body.0", "body.1", "heads", "heads.0", "heads.1"] == [name for name, _ in model.named_modules()]
    assert ["body", "heads", "again"] == [name for name, _ in model.named_children()]


def test_reassigned_attributes(model):
    """What is assigned, replaced or deleted is what the module holds."""
    model.body = nn.Tanh()
    del model.again
    model.heads[0].weight = nn.Parameter(minigrad.zeros(2, 2))
    model.register_parameter("extra", nn.Parameter(minigrad.ones(2)))
    assert ["scale", "extra", "heads.0.weight", "heads.1.weight", "heads.1.bias"] == [n for n, _ in model.named_parameters()]


def test_train_and_eval(model):
    """train() and eval() reach every module."""
    assert all(module.training for module in model.modules())
    assert not any(module.training for module in model.eval().modules())
    assert all(module.training for module in model.train().modules())


def test_requires_grad_and_zero_grad(model):
    """requires_grad_() freezes and thaws all parameters; zero_grad() forgets the gradients or fills them."""
    assert not model.requires_grad_(False)(minigrad.ones(1, 2)).requires_grad
    model.requires_grad_()(minigrad.ones(1, 2)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    model.zero_grad(set_to_none=False)
    assert [0.0] * 5 == [p.grad.abs().sum().item() for p in model.parameters()]
    model.zero_grad()
    assert [None] * 5 == [p.grad for p in model.parameters()]


def test_apply(model):
    """apply() calls a function on the children first and on the module itself last, and returns it."""
    seen = []
    assert model is model.apply(seen.append)
    assert model is seen[-1]
    assert seen.index(model.body[0]) < seen.index(model.body)


def test_to(model):
    """double() and float() convert parameters, gradients and floating-point buffers in place; tied weights stay tied."""
    model.register_buffer("count", minigrad.tensor(3))
    model(minigrad.ones(1, 2)).sum().backward()
    parameters = list(model.parameters())
    assert model is model.double() is model.to("cpu")
    assert all(old is new for old, new in zip(parameters, model.parameters(), strict=True))
    assert {np.dtype(np.float64)} == {t.dtype for p in parameters for t in (p, p.grad)}
    assert [np.float64, np.float64, np.int64] == [buffer.dtype for buffer in model.buffers()]
    assert model.body[0].weight is model.heads[0].weight
    assert np.float64 == model(minigrad.ones(1, 2, dtype=np.float64)).dtype
    assert {np.dtype(np.float32)} == {p.dtype for p in model.float().parameters()}
    with pytest.raises(TypeError):
        model.to("cuda")


def test_forward_is_needed():
    """A module without forward() says so by its name."""
    with pytest.raises(NotImplementedError, match=r"Module defines no forward\(\)"):
        nn.Module()(1)
    with pytest.raises(TypeError, match=r"Parameter: expected a tensor, got list"):
        nn.Parameter([1.0])


# Saving and copying


def test_state_dict(model):
    """A state holds each persistent tensor under all its names, outside the graph and in the module's memory."""
    state = model.state_dict()
    expected = ["scale", "mean", "body.0.weight", "body.0.bias", "heads.0.weight", "heads.1.weight", "heads.1.bias"]
    assert [*expected, "again.0.weight", "again.0.bias"] == list(state)
    assert not any(tensor.requires_grad for tensor in state.values())
    assert np.shares_memory(state["scale"].array, model.scale.array)


@pytest.mark.parametrize("through", ["tensors", "arrays", "file"])
def test_load_state_dict(model, through, tmp_path):
    """Loaded values are copied into the same parameters, from float64 too, and the next step sees them."""
    other, parameters = Scaled(), list(model.parameters())
    with minigrad.no_grad():
        other.scale.fill_(5.0)
    state = {name: tensor.double() for name, tensor in other.state_dict().items()}
    if through == "arrays":
        state = {name: tensor.numpy() for name, tensor in state.items()}
    if through == "file":
        minigrad.save(state, tmp_path / "model")
        state = minigrad.load(tmp_path / "model")
    assert ([], []) == model.load_state_dict(state)
    assert values(other) == values(model)
    assert all(old is new and old.dtype == np.float32 for old, new in zip(parameters, model.parameters(), strict=True))
    assert not np.shares_memory(state["scale"], model.scale.array)


def test_load_state_dict_not_strict(model):
    """Without `strict`, missing and unknown names are returned, and the rest is loaded."""
    missing, unexpected = model.load_state_dict({"scale": minigrad.full((1,), 7.0), "other": minigrad.ones(1)}, strict=False)
    assert ["other"] == unexpected
    assert "mean" in missing
    assert "scale" not in missing
    assert 7.0 == model.scale.item()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": None}, "missing: scale"), ({"other": minigrad.ones(1)}, "unexpected: other"),
        ({"mean": minigrad.zeros(3)}, r"mean has shape \(3,\), expected \(2,\)"),
        ({"heads.1.bias": minigrad.zeros(2)}, r"heads.1.bias has shape \(2,\), expected \(1,\)"),
        ({"heads.1.bias": "one"}, "heads.1.bias is a str, expected a tensor"),
    ],
)  # fmt: skip
def test_load_state_dict_refuses(model, change, message):
    """A state that does not fit is refused as a whole: nothing of it is loaded."""
    state = {name: tensor + 1 for name, tensor in model.state_dict().items()} | change
    state = {name: tensor for name, tensor in state.items() if tensor is not None}
    before = values(model)
    with pytest.raises(RuntimeError, match=rf"load_state_dict\(Scaled\): .*{message}"):
        model.load_state_dict(state)
    assert before == values(model)


def test_load_state_dict_is_a_write():
    """backward() refuses a graph whose weights were loaded over."""
    layer = nn.Linear(2, 2)
    loss = layer(layer(minigrad.ones(1, 2))).sum()
    layer.load_state_dict({name: tensor * 2 for name, tensor in layer.state_dict().items()})
    with pytest.raises(RuntimeError, match="in-place"):
        loss.backward()


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deepcopy", "pickle"])
def test_duplicate(model, duplicate):
    """A copied model computes the same, trains by itself, and keeps what was shared within it shared."""
    x = minigrad.ones(1, 2)
    other = duplicate(model)
    assert model(x).tolist() == other(x).tolist()
    assert other.again is other.body
    assert other.heads[0].weight is other.body[0].weight
    assert NAMES == [name for name, p in other.named_parameters() if p.requires_grad and isinstance(p, nn.Parameter)]
    before = values(model)
    other(x).sum().backward()
    minigrad.optim.SGD(other.parameters(), lr=1.0).step()
    assert before == values(model)
    assert all(p.grad is None for p in model.parameters())


def test_copied_optimizer_goes_on(model):
    """A model and its optimizer copied together go on as the originals do."""
    optimizer = minigrad.optim.Adam(model.parameters())
    for _ in range(3):
        model(minigrad.ones(1, 2)).sum().backward()
        optimizer.step()
    other, other_optimizer = copy.deepcopy((model, optimizer))
    for m, o in ((model, optimizer), (other, other_optimizer)):
        m.zero_grad()
        m(minigrad.ones(1, 2)).sum().backward()
        o.step()
    assert values(model) == values(other)


# Printing and containers


def test_repr(model):
    """A module prints as PyTorch's does, children indented below what extra_repr() says."""
    expected = """\
        Scaled(
          scale=1
          (body): Sequential(
            (0): Linear(in_features=2, out_features=2, bias=True)
            (1): ReLU()
          )
          (heads): ModuleList(
            (0): Linear(in_features=2, out_features=2, bias=False)
            (1): Linear(in_features=2, out_features=1, bias=True)
          )
          (again): Sequential(
            (0): Linear(in_features=2, out_features=2, bias=True)
            (1): ReLU()
          )
        )"""
    assert dedent(expected) == repr(model)
    assert "Sequential()" == repr(nn.Sequential())
    assert "Flatten(start_dim=1, end_dim=-1) LogSoftmax(dim=1)" == f"{nn.Flatten()} {nn.LogSoftmax(1)}"
    assert "Parameter containing:\ntensor([1.], requires_grad=True)" == repr(nn.Parameter(minigrad.ones(1)))


def test_sequential():
    """A Sequential calls its modules in order, and can be indexed, sliced, extended, and given names."""
    first, second, third = nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1)
    net = nn.Sequential(first, second, third)
    assert (3, second, third) == (len(net), net[1], net[-1])
    assert [first, second, third] == list(net)
    x = minigrad.ones(4, 1)
    assert third(second(first(x))).tolist() == net(x).tolist()
    assert ["1", "2"] == [name for name, _ in net[1:].named_children()]
    assert isinstance(net[:0], nn.Sequential)
    assert x is net[:0](x)
    named = nn.Sequential({"hidden": first, "out": third})
    assert ["hidden.weight", "hidden.bias", "out.weight", "out.bias"] == list(named.state_dict())
    assert first is named.hidden
    assert ["0", "1", "2", "3"] == [name for name, _ in net.append(nn.Tanh()).named_children()]
    assert 6 == len(list(nn.Sequential(first, second, first, second, first, second)))
    with pytest.raises(IndexError):
        net[9]
    with pytest.raises(TypeError, match="Sequential: expected a Module, got Primitive"):
        nn.Sequential(first, F.relu)


def test_module_list():
    """A ModuleList counts, indexes, slices and iterates like a list, and its modules are found."""
    layers = nn.ModuleList(nn.Linear(i + 1, 1) for i in range(3))
    assert [1, 2, 3] == [layer.in_features for layer in layers]
    tail = layers[1:]
    assert isinstance(tail, nn.ModuleList)
    assert [layers[1], layers[2]] == list(tail)
    assert ["0.weight", "0.bias", "1.weight", "1.bias"] == list(tail.state_dict())
    with pytest.raises(TypeError, match="ModuleList: expected a Module, got int"):
        layers.append(3)


# Layers


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
