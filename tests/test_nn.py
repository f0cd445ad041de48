"""Modules: what they hold, save, copy and print."""

import copy
import pickle
from textwrap import dedent

import numpy as np
import pytest

import minigrad
from minigrad import nn
from minigrad.nn import functional as F


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
