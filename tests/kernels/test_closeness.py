"""float32 losses lie at least as close to their float64 values as PyTorch's do, also on inputs chosen to hurt.

The inputs are float32 in all three computations, so the errors are those of the arithmetic alone; `pytest -s` prints
them, ours before PyTorch's. A value may be half a unit in the last place further off: the rounding of the result itself
falls now to one side and now to the other, for any program. A slope may be one unit further off, as it is
rounded once more: where PyTorch divides by the number of elements, the kernels multiply by its rounded reciprocal.
"""

import numpy as np
import pytest
from kernel_cases import float64

from minigrad.kernels import reference

torch = pytest.importorskip("torch", reason="PyTorch is not installed, so there is nothing to compare with")

SLACK = {"value": 0.5, "gradient": 1.0}  # units in the last place
INDEX_OPTIONS = {"ignore_index": -100, "label_smoothing": 0.0}

# ---- inputs: name -> (input, target) in float64; rounded to float32 before use ----


def normal(rng, n):
    return rng.normal(size=n), rng.normal(size=n)


def offset(rng, n):
    return 1e4 + rng.normal(size=n), 1e4 + rng.normal(size=n)


def all_equal(rng, n):
    return np.full(n, 0.3), np.full(n, 0.1)


def tiny(rng, n):
    return 1e-18 * rng.normal(size=n), 1e-18 * rng.normal(size=n)


def one_outlier(rng, n):
    x, y = normal(rng, n)
    x[n // 2] = 1e6
    return x, y


def many_magnitudes(rng, n):
    return rng.normal(size=n) * 10.0 ** rng.uniform(-8, 8, n), np.zeros(n)


DIFFERENCES = [normal, offset, all_equal, tiny, one_outlier, many_magnitudes]


def probabilities(rng, n):
    return rng.uniform(size=n), rng.uniform(size=n)


def near_0(rng, n):
    return 10 ** rng.uniform(-30, -1, n), rng.uniform(size=n)


def near_1(rng, n):
    return 1 - 10 ** rng.uniform(-7, -1, n), rng.uniform(size=n)


def right_and_sure(rng, n):
    y = rng.integers(0, 2, n).astype(float)
    return np.where(y == 1, 1 - 10 ** rng.uniform(-7, -3, n), 10 ** rng.uniform(-20, -3, n)), y


def exactly_0_and_1(rng, n):
    return rng.integers(0, 2, n).astype(float), rng.integers(0, 2, n).astype(float)


PROBABILITIES = [probabilities, near_0, near_1, right_and_sure, exactly_0_and_1]


def logits(rng, n):
    return rng.normal(size=n), rng.integers(0, 2, n).astype(float)


def logits_80(rng, n):
    return rng.choice([-80.0, 80.0], n) + rng.normal(size=n), rng.uniform(size=n)


def right_logits(rng, n):
    y = rng.integers(0, 2, n).astype(float)
    return (2 * y - 1) * rng.uniform(5, 80, n), y


def small_logits(rng, n):
    return 1e-6 * rng.normal(size=n), rng.uniform(size=n)


LOGITS = [logits, logits_80, right_logits, small_logits]


def rows(change, count, classes):
    """Logits of rows, changed, and their target classes."""

    def draw(rng):
        x, y = rng.normal(size=(count, classes)), rng.integers(0, classes, count)
        return change(x, y), y

    draw.__name__ = f"{change.__name__}-{count}x{classes}"
    return draw


def plain(x, y):
    return x


def offset_rows(x, y):
    return x + 1e4


def one_dominates(x, y):
    x[np.arange(len(x)), y] += 30
    return x


def another_dominates(x, y):
    x[np.arange(len(x)), (y + 1) % x.shape[1]] += 80
    return x


def all_equal_rows(x, y):
    return np.full(x.shape, 0.7)


def wide_rows(x, y):
    return 30 * x


CHANGES = [plain, offset_rows, one_dominates, another_dominates, all_equal_rows, wide_rows]
ROWS = [
    *(rows(change, *shape) for shape in ((256, 10), (64, 1000)) for change in CHANGES),
    rows(plain, 100_000, 10), rows(all_equal_rows, 2, 50_000), rows(one_dominates, 1000, 2),
]  # fmt: skip


ELEMENTS = {
    "mse_loss": (DIFFERENCES, {}),
    "l1_loss": (DIFFERENCES, {}),
    "smooth_l1_loss": (DIFFERENCES, {"beta": 0.7}),
    "huber_loss": (DIFFERENCES, {"delta": 0.7}),
    "binary_cross_entropy": (PROBABILITIES, {}),
    "binary_cross_entropy_with_logits": (LOGITS, {}),
}
CASES = {
    f"{kernel}-{draw.__name__}-{count}": (kernel, draw, options, (count,))
    for kernel, (draws, options) in ELEMENTS.items()
    for draw in draws
    for count in (1000, 1_000_000)
}
for _kernel, _options in {
    "cross_entropy": INDEX_OPTIONS,
    "cross_entropy_probabilities": {"label_smoothing": 0.1},
    "multi_margin_loss": {"p": 1, "margin": 1.0},
}.items():
    CASES |= {f"{_kernel}-{draw.__name__}": (_kernel, draw, _options, ()) for draw in ROWS}
CASES["cross_entropy-smoothed"] = ("cross_entropy", ROWS[6], {**INDEX_OPTIONS, "label_smoothing": 0.1}, ())
CASES["multi_margin_loss-squared"] = ("multi_margin_loss", ROWS[6], {"p": 2, "margin": 1.0}, ())


def by_torch(kernel, arrays, options):
    """PyTorch's float32 (value, gradient)."""
    input, target = map(torch.from_numpy, arrays)
    input.requires_grad_()
    name = kernel.removesuffix("_probabilities")
    value = getattr(torch.nn.functional, name)(input, target, **options)
    value.backward()
    return value.detach().numpy(), input.grad.numpy()


def units_off(result, exact):
    """The error of all elements together, in units in the last place.

    Not the largest of any element: where a slope passes through 0, that is a number drawn at random.
    """
    unit = np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)
    return float(np.sum(np.abs(result - exact)) / np.sum(unit))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_at_least_as_close(native, name, reduction):
    kernel, draw, options, size = CASES[name]
    input, target = draw(np.random.default_rng(0), *size)
    if kernel == "cross_entropy_probabilities":
        classes = input.shape[1]
        target = (np.arange(classes) == target[:, None]) * 0.9 + 0.1 / classes
    arrays = [input.astype(np.float32), target if target.dtype.kind == "i" else target.astype(np.float32)]
    options = {**options, "reduction": reduction}
    exact = getattr(reference, kernel)(*float64(arrays), **options, need_gradient=True)
    ours = getattr(native, kernel)(*arrays, **options, need_gradient=True)
    theirs = by_torch(kernel, arrays, options)
    errors = {what: (units_off(a, e), units_off(b, e)) for what, a, b, e in zip(SLACK, ours, theirs, exact)}
    print(f"{name:55} {reduction:5}", *(f"{what} {a:8.2f} {b:14.2f}" for what, (a, b) in errors.items()), sep="  ")
    for what, (ours_off, theirs_off) in errors.items():
        assert ours_off <= theirs_off + SLACK[what], what
