"""The gradient checker over minigrad itself, with no argument given: operations, losses, modules, kernels."""

import numpy as np
import pytest
from loss_cases import CASES as LOSSES
from loss_cases import REDUCTIONS

import minigrad
from minigrad import gradcheck, kernels, nn
from minigrad.nn import functional as F
from minigrad.ops import linear_algebra

from .cases import CASES, PLACE_IDS, PLACES, leaf


@pytest.mark.parametrize(("case", "shapes"), PLACES, ids=PLACE_IDS)
def test_operation(case, shapes):
    """Every rule is right in float32, at every shape."""
    report = gradcheck(lambda *xs: case.call(minigrad, *xs), [leaf(x) for x in case.arrays(shapes, np.float32)])
    assert [part.dtype for part in report.checked] == [np.float32] * len(shapes)


@pytest.mark.parametrize("backend", kernels.available())
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("case", LOSSES, ids=lambda case: case.id)
def test_loss(case, reduction, backend):
    """Every loss is right in float32 with every reduction, in C and in NumPy."""
    input, *others = [minigrad.from_numpy(array) for array in case.arrays(np.float32)]
    with kernels.use(backend):
        assert gradcheck(lambda x: case.call(F, x, *others, reduction=reduction), input.requires_grad_())


def loss_modules():
    """(module, input, target) for each loss module and reduction."""
    rng = np.random.default_rng(0)
    scores, labels = rng.standard_normal((4, 3)), rng.integers(0, 3, 4)
    values, probabilities = rng.standard_normal((4, 3)), rng.uniform(0.1, 0.9, (4, 3))
    arguments = {
        nn.MSELoss: (scores, values), nn.L1Loss: (scores, values), nn.SmoothL1Loss: (scores, values),
        nn.HuberLoss: (scores, values), nn.BCELoss: (probabilities, probabilities.T.reshape(4, 3)),
        nn.BCEWithLogitsLoss: (scores, probabilities), nn.CrossEntropyLoss: (scores, labels),
        nn.NLLLoss: (scores, labels), nn.MultiMarginLoss: (scores, labels),
    }  # fmt: skip
    return [(kind(reduction=reduction), *arguments[kind]) for kind in arguments for reduction in REDUCTIONS]


LOSS_MODULES = loss_modules()


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize(
    ("module", "input", "target"), LOSS_MODULES, ids=[f"{type(m).__name__}-{m.reduction}" for m, _, _ in LOSS_MODULES]
)
def test_loss_module(module, input, target, dtype):
    """Every loss module, with its targets where they can have a gradient."""
    target = minigrad.from_numpy(target if target.dtype.kind == "i" else target.astype(dtype))
    assert gradcheck(module, (leaf(input.astype(dtype)), target))


MODULES = {
    "linear": lambda: nn.Linear(3, 2),
    "linear without bias": lambda: nn.Linear(3, 2, bias=False),
    "network": lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4), nn.Tanh(), nn.LogSoftmax(1)),
    "softmax": lambda: nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 2), nn.Softmax(1)),
    "dropout at rest": lambda: nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Flatten(), nn.Identity()).eval(),
    "parts": lambda: nn.Sequential(*nn.ModuleList([nn.Linear(3, 3), nn.Linear(3, 3)])),
}  # fmt: skip


@pytest.mark.parametrize("double", [False, True], ids=["float32", "float64"])
@pytest.mark.parametrize("make", MODULES.values(), ids=MODULES)
def test_module(make, double):
    """Every layer, for its input and all its parameters, which the report names."""
    minigrad.manual_seed(4)
    module, x = make(), minigrad.randn(5, 3, requires_grad=True)
    if double:
        module, x = module.double(), minigrad.randn(5, 3, dtype=minigrad.float64, requires_grad=True)
    report = gradcheck(module, x)
    assert [part.name for part in report.checked] == ["input 0", *(name for name, _ in module.named_parameters())]
    assert minigrad.gradgradcheck(module, x)


KERNELS = {
    "matmul": lambda x, w, b: x @ w,
    "relu_backward": lambda x, w, b: minigrad.relu(x),
    "sum_rows": lambda x, w, b: F.linear(x, w, b),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("backend", kernels.available())
@pytest.mark.parametrize("name", KERNELS)
def test_kernel(name, backend, dtype, monkeypatch):
    """The kernels of products, relu and sums of rows, which small arrays do without: right, and found out if not."""
    for threshold in ("SMALL_PRODUCT", "SMALL_SUM"):
        monkeypatch.setattr(linear_algebra, threshold, 0)
    rng = np.random.default_rng(6)
    inputs = [leaf(rng.standard_normal(shape).astype(dtype)) for shape in ((5, 3), (3, 3), (3,))]
    with kernels.use(backend):
        right = getattr(kernels.active, name)
        assert gradcheck(KERNELS[name], inputs)
        assert minigrad.gradgradcheck(KERNELS[name], inputs)

        def wrong(*arguments):
            result = right(*arguments)
            result.reshape(-1)[0] += 0.1
            return result

        monkeypatch.setattr(kernels.active, name, wrong)
        assert not gradcheck(KERNELS[name], inputs, raise_exception=False)


def test_every_layer_and_loss_is_checked():
    """A module that is added to nn is added here, too."""
    seen = {type(m) for make in MODULES.values() for m in make().modules()} | {type(m) for m, _, _ in LOSS_MODULES}
    kinds = {kind for kind in vars(nn).values() if isinstance(kind, type) and issubclass(kind, nn.Module)}
    assert {nn.Module, nn.ModuleList} == kinds - seen
    assert CASES
