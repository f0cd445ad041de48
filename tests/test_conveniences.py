"""Names that PyTorch scripts use in passing."""

import numpy as np
import pytest

import minigrad
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.autograd import gradcheck, gradgradcheck
from minigrad.utils.data import DataLoader, Subset, TensorDataset, random_split


def test_the_device_idiom_runs():
    """A script that chooses a device chooses the CPU; another one is refused."""
    device = minigrad.device("cuda" if minigrad.cuda.is_available() else "cpu")
    model = nn.Linear(2, 1).to(device).cpu()
    x = minigrad.ones(1, 2).to(device)
    assert model(x).device == x.device == "cpu"
    with pytest.raises(RuntimeError, match="only device"):
        minigrad.device("cuda")


def test_dtypes_have_short_names():
    """float, double, int and long are those of PyTorch."""
    names = [minigrad.float, minigrad.double, minigrad.int, minigrad.long]
    assert names == [minigrad.float32, minigrad.float64, minigrad.int32, minigrad.int64]


@pytest.mark.parametrize("p", [1, 2, 3, float("inf")])
@pytest.mark.parametrize(("dim", "keepdim"), [(None, False), (1, False), (0, True)])
def test_norm(p, dim, keepdim):
    """As np.linalg.norm, with a checked gradient."""
    x = minigrad.randn(3, 4, dtype=minigrad.float64, requires_grad=True)
    flat = x.array.reshape(-1) if dim is None else x.array
    expected = np.linalg.norm(flat, p, axis=dim, keepdims=keepdim)
    np.testing.assert_allclose(x.norm(p, dim, keepdim).detach().numpy(), expected, rtol=1e-12)
    assert gradcheck(lambda x: x.norm(p, dim, keepdim), x)
    if p == 2:
        assert gradgradcheck(lambda x: x.norm(p, dim, keepdim), x)


def test_the_slope_of_a_norm_of_zero_is_zero():
    """Not NaN, as the root alone would give."""
    x = minigrad.zeros(3, requires_grad=True)
    x.norm().backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("options", [{}, {"ignore_index": 1}, {"weight": minigrad.tensor([1.0, 2.0, 0.5])}])
def test_nll_loss_after_log_softmax_is_cross_entropy(reduction, options):
    """For rows, and for more axes."""
    for shape, target in (((4, 3), (4,)), ((3,), ()), ((2, 3, 5), (2, 5))):
        x, y = minigrad.randn(shape), minigrad.randint(3, target)
        dim = 0 if len(shape) == 1 else 1
        found = F.nll_loss(F.log_softmax(x, dim), y, reduction=reduction, **options)
        expected = F.cross_entropy(x, y, reduction=reduction, **options)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)
    with pytest.raises(IndexError, match="nll_loss.*target\\[0\\] is 7.*0 to 2"):
        nn.NLLLoss()(minigrad.zeros(1, 3), minigrad.tensor([7]))


def test_float_classes_are_told_from_probabilities():
    """The message for the most common mistake names both ways out."""
    with pytest.raises(ValueError, match=r"int64.*\.long\(\).*probabilities.*\(3, 4\)"):
        F.cross_entropy(minigrad.zeros(3, 4), minigrad.tensor([0.0, 1.0, 2.0]))


@pytest.mark.parametrize("norm_type", [1.0, 2.0, float("inf")])
def test_clip_grad_norm(norm_type):
    """All gradients together have the norm that was asked for, and their direction."""
    p, q = minigrad.zeros(2, requires_grad=True), minigrad.zeros(1, requires_grad=True)
    p.grad, q.grad = minigrad.tensor([3.0, 0.0]), minigrad.tensor([4.0])
    before = np.linalg.norm([3.0, 0.0, 4.0], norm_type)
    assert nn.utils.clip_grad_norm_([p, q], 1.0, norm_type).item() == pytest.approx(before)
    np.testing.assert_allclose([*p.grad.tolist(), *q.grad.tolist()], np.array([3.0, 0.0, 4.0]) / before, rtol=1e-5)
    nn.utils.clip_grad_norm_([p, q], 10.0)
    np.testing.assert_allclose(q.grad.item(), 4 / before, rtol=1e-5)
    nn.utils.clip_grad_value_([p, q], 0.1)
    assert max(p.grad.max().item(), q.grad.item()) == pytest.approx(0.1)


def test_random_split_covers_each_sample_once():
    """In parts of the lengths given, from which whole batches are taken by one index."""
    data = TensorDataset(minigrad.arange(10), minigrad.arange(10) * 2)
    parts = random_split(data, [7, 3], generator=minigrad.Generator(0))
    seen = [x for part in parts for xs, ys in DataLoader(part, batch_size=4, num_workers=0) for x in xs.tolist()]
    assert [len(part) for part in parts] == [7, 3] and sorted(seen) == list(range(10))
    assert [t.tolist() for t in Subset(data, [4, 2])[[0, 1]]] == [[4, 2], [8, 4]]
    with pytest.raises(ValueError, match="add up to 10"):
        random_split(data, [7, 7])


def test_small_names():
    """square, view_as, expand_as, NumPy integers as sizes and dims."""
    x = minigrad.tensor([1.0, 2.0, 3.0, 4.0])
    assert x.square().tolist() == [1.0, 4.0, 9.0, 16.0]
    assert x.view_as(minigrad.zeros(2, 2)).shape == (2, 2)
    assert minigrad.ones(1).expand_as(x).shape == (4,)
    assert nn.Linear(np.int64(4), 2)(x).shape == (2,)
    assert minigrad.ones(2, 3).sum(dim=np.int64(1)).shape == (2,)
    assert minigrad.max(x, minigrad.tensor(2.5)).tolist() == [2.5, 2.5, 3.0, 4.0]
    assert len(nn.ModuleList().extend([nn.ReLU(), nn.Tanh()])) == 2
    assert nn.Parameter(x).any() and not (x == 0).all()
    with minigrad.no_grad():
        assert nn.Parameter(x).numpy() is x.array
