"""One table of operations: what each is called with, what it must give, and where it is smooth.

A row's `call(m, *args)` takes the library as `m`, so that the same row runs on PyTorch; its
`reference` says the same in float64 NumPy by another formula. A new operation is a new row.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import minigrad


def real(rng, shape):
    return rng.standard_normal(shape)


def positive(rng, shape):
    return rng.uniform(0.5, 2.0, shape)


def probability(rng, shape):
    return rng.uniform(0.1, 0.9, shape)


def nonzero(rng, shape):
    return rng.uniform(0.5, 2.0, shape) * rng.choice([-1.0, 1.0], shape)


def distinct(rng, shape):
    """Values at least 0.1 apart, so that a maximum stays the maximum."""
    return rng.permutation(np.prod(shape, dtype=int)).reshape(shape) * 0.1 - 0.3


ONE = tuple((shape,) for shape in [(), (0,), (1,), (3,), (2, 3), (7,), (17,)])
TWO = tuple((s, s) for (s,) in ONE) + (
    ((3,), (2, 3)), ((2, 3), (3,)), ((2, 1), (1, 3)), ((), (3,)), ((2, 3), ()), ((0,), (1,)), ((2, 1, 3), (4, 1)),
)  # fmt: skip
FULL = tuple((shape,) for shape in [(), (1,), (3,), (2, 3), (7,), (17,)])
MATRIX = (((2, 3),), ((3, 1),), ((0, 3),), ((2, 3, 4),))
FULL_MATRIX = (((2, 3),), ((3, 4),), ((2, 3, 4),))
CUBE = (((2, 3, 4),), ((1, 3, 2),))


@dataclass(frozen=True)
class Case:
    id: str
    call: Callable
    reference: Callable
    domains: tuple = (real,)
    shapes: tuple = ONE
    torch: Callable | None = None  # where PyTorch spells it differently

    def arrays(self, shapes, dtype):
        """The arguments for `shapes`, the same in every run."""
        rng = np.random.default_rng(sum(map(ord, self.id)))
        return [np.asarray(domain(rng, shape), dtype) for domain, shape in zip(self.domains, shapes, strict=True)]


def leaf(array):
    """A tensor around `array`, in its memory layout, that wants a gradient."""
    return minigrad.from_numpy(array).requires_grad_()


def spaced(array):
    """Every other element of a larger array."""
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


def offset(array):
    """One element into a buffer."""
    buffer = np.zeros(array.size + 1, array.dtype)
    buffer[1:] = array.ravel()
    return buffer[1:].reshape(array.shape)


# The same values elsewhere in memory.
LAYOUTS = {
    "transposed": lambda array: np.asfortranarray(array),
    "strided": spaced,
    "reversed": lambda array: array[..., ::-1].copy()[..., ::-1],
    "offset": offset,
}


def name_of(shapes):
    """(2, 3), () -> 2x3,scalar"""
    return ",".join("x".join(map(str, shape)) or "scalar" for shape in shapes)


def _spread(x, axis=None, keepdims=False, correction=1):
    """The variance, as the mean square minus the squared mean."""
    n = x.size if axis is None else np.prod([x.shape[a] for a in np.atleast_1d(axis)])
    mean = x.mean(axis=axis, keepdims=keepdims)
    return ((x * x).mean(axis=axis, keepdims=keepdims) - mean * mean) * (n / (n - correction))


def _soft(x, axis):
    return np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True)


EVEN = np.array([True, False, True])
PICKS = np.array([[2, 0], [1, 1]])

ARITHMETIC = (
    Case("add", lambda m, x, y: x + y, lambda x, y: -(-x - y), (real, real), TWO),
    Case("add-number", lambda m, x: 2.5 + x, lambda x: x - -2.5),
    Case("sub", lambda m, x, y: x - y, lambda x, y: -y + x, (real, real), TWO),
    Case("sub-number", lambda m, x: 2.5 - x, lambda x: -x + 2.5),
    Case("mul", lambda m, x, y: x * y, lambda x, y: ((x + y) ** 2 - (x - y) ** 2) / 4, (real, real), TWO),
    Case("mul-itself", lambda m, x: x * x, lambda x: x**2),
    Case("div", lambda m, x, y: x / y, lambda x, y: x * y**-1.0, (real, nonzero), TWO),
    Case("div-number", lambda m, x: 2.5 / x, lambda x: 2.5 * x**-1.0, (nonzero,)),
    Case("neg", lambda m, x: -x, lambda x: 0 - x),
    Case("pow", lambda m, x, y: x**y, lambda x, y: np.exp(y * np.log(x)), (positive, real), TWO),
    Case("pow-2", lambda m, x: x**2, lambda x: x * x),
    Case("pow-3", lambda m, x: x**3, lambda x: x * x * x),
    Case("pow-half", lambda m, x: x**0.5, np.sqrt, (positive,)),
    Case("pow-negative", lambda m, x: x**-1.5, lambda x: 1 / (x * np.sqrt(x)), (positive,)),
    Case("pow-zero", lambda m, x: x**0, np.ones_like),
    Case("pow-of-number", lambda m, x: 2.0**x, lambda x: np.exp(x * np.log(2.0))),
    Case("remainder", lambda m, x, y: x % y, lambda x, y: x - y * np.floor(x / y), (real, nonzero), TWO),
    Case("floor", lambda m, x: m.floor(x), lambda x: x - x % 1),
    Case("ceil", lambda m, x: m.ceil(x), lambda x: x + -x % 1),
    Case("round", lambda m, x: m.round(x), lambda x: x + 0.5 - (x + 0.5) % 1),
    Case("sign", lambda m, x: m.sign(x), lambda x: (x > 0) * 1.0 - (x < 0)),
    Case("abs", lambda m, x: abs(x), lambda x: np.sqrt(x * x)),
)  # fmt: skip

EXPONENTIALS = (
    Case("exp", lambda m, x: m.exp(x), lambda x: 2 ** (x / np.log(2))),
    Case("expm1", lambda m, x: m.expm1(x), lambda x: 2 * np.exp(x / 2) * np.sinh(x / 2)),
    Case("log", lambda m, x: m.log(x), lambda x: np.log2(x) * np.log(2), (positive,)),
    Case("log1p", lambda m, x: m.log1p(x), lambda x: np.log(1 + x), (positive,)),
    Case("sqrt", lambda m, x: m.sqrt(x), lambda x: x**0.5, (positive,)),
    Case("sin", lambda m, x: m.sin(x), lambda x: np.exp(1j * x).imag),
    Case("cos", lambda m, x: m.cos(x), lambda x: np.exp(1j * x).real),
    Case("tanh", lambda m, x: m.tanh(x), lambda x: np.sinh(x) / np.cosh(x)),
    Case("sigmoid", lambda m, x: m.sigmoid(x), lambda x: 1 / (1 + np.exp(-x))),
    Case("softplus", lambda m, x: minigrad.ops.elementwise.softplus(x), lambda x: np.log(1 + np.exp(x)),
         torch=lambda m, x: m.nn.functional.softplus(x)),
    Case("relu", lambda m, x: m.relu(x), lambda x: (x + abs(x)) / 2),
)  # fmt: skip

CHOICES = (
    Case("maximum", lambda m, x, y: m.maximum(x, y), lambda x, y: (x + y + abs(x - y)) / 2, (real, real), TWO),
    Case("minimum", lambda m, x, y: m.minimum(x, y), lambda x, y: (x + y - abs(x - y)) / 2, (real, real), TWO),
    Case("clamp", lambda m, x: m.clamp(x, -0.5, 0.5), lambda x: (abs(x + 0.5) - abs(x - 0.5)) / 2),
    Case("clamp-min", lambda m, x: m.clamp(x, min=0.25), lambda x: (x + 0.25 + abs(x - 0.25)) / 2),
    Case("clamp-max", lambda m, x: m.clamp(x, max=0.25), lambda x: (x + 0.25 - abs(x - 0.25)) / 2),
    Case("clamp-tensors", lambda m, x, y: m.clamp(x, min=-y, max=y), lambda x, y: (abs(x + y) - abs(x - y)) / 2,
         (real, positive), (((3,), (3,)), ((2, 3), (3,)), ((), ()))),
    Case("where", lambda m, x, y: m.where(x > y, x * 2, y), lambda x, y: (x > y) * x * 2 + (x <= y) * y,
         (real, real), TWO),
    Case("where-number", lambda m, x: m.where(x > 0, x, -1.0), lambda x: (x > 0) * x - (x <= 0)),
)  # fmt: skip

REDUCTIONS = (
    Case("sum", lambda m, x: x.sum(), lambda x: x.reshape(-1) @ np.ones(x.size), shapes=ONE + MATRIX),
    Case("sum-0", lambda m, x: x.sum(dim=0), lambda x: np.einsum("i...->...", x), shapes=MATRIX),
    Case("sum-last-keep", lambda m, x: x.sum(dim=-1, keepdim=True), lambda x: np.einsum("...i->...", x)[..., None],
         shapes=MATRIX),
    Case("sum-two", lambda m, x: x.sum(dim=(0, -1)), lambda x: np.einsum("ijk->j", x), shapes=CUBE),
    Case("mean", lambda m, x: x.mean(), lambda x: np.average(x), shapes=FULL),
    Case("mean-1", lambda m, x: x.mean(1), lambda x: np.average(x, axis=1), shapes=FULL_MATRIX),
    Case("mean-two-keep", lambda m, x: x.mean((1, 2), keepdim=True),
         lambda x: np.average(x.reshape(len(x), -1), axis=1)[:, None, None], shapes=CUBE),
    Case("var", lambda m, x: x.var(), _spread, shapes=FULL[2:]),
    Case("var-biased", lambda m, x: x.var(correction=0), lambda x: _spread(x, correction=0), shapes=FULL),
    Case("var-last", lambda m, x: x.var(-1, keepdim=True), lambda x: _spread(x, -1, True), shapes=FULL_MATRIX),
    Case("std", lambda m, x: x.std(), lambda x: _spread(x) ** 0.5, shapes=FULL[2:]),
    Case("std-0", lambda m, x: x.std(0, unbiased=False), lambda x: _spread(x, 0, correction=0) ** 0.5,
         shapes=FULL_MATRIX),
    Case("amax", lambda m, x: x.amax(), lambda x: np.sort(x, axis=None)[-1], (distinct,), FULL),
    Case("amax-0", lambda m, x: x.amax(0), lambda x: np.sort(x, axis=0)[-1], (distinct,), FULL_MATRIX),
    Case("amin-two-keep", lambda m, x: x.amin((0, 2), keepdim=True),
         lambda x: np.sort(np.moveaxis(x, 1, 0).reshape(x.shape[1], -1))[:, 0][None, :, None], (distinct,), CUBE),
    Case("max", lambda m, x: x.max(), lambda x: np.sort(x, axis=None)[-1], (distinct,), FULL),
    Case("max-dim", lambda m, x: x.max(-1).values, lambda x: np.sort(x)[..., -1], (distinct,), FULL_MATRIX),
    Case("min-dim-keep", lambda m, x: x.min(dim=0, keepdim=True)[0], lambda x: np.sort(x, axis=0)[:1],
         (distinct,), FULL_MATRIX),
    Case("logsumexp", lambda m, x: m.logsumexp(x, 0), lambda x: np.log(np.exp(x).sum(axis=0)), shapes=FULL[1:]),
    Case("logsumexp-two-keep", lambda m, x: m.logsumexp(x, (0, 2), keepdim=True),
         lambda x: np.log(np.exp(x).sum(axis=(0, 2), keepdims=True)), shapes=CUBE),
    Case("softmax", lambda m, x: m.softmax(x, -1), lambda x: _soft(x, -1), shapes=FULL[1:]),
    Case("softmax-0", lambda m, x: m.softmax(x, 0), lambda x: _soft(x, 0), shapes=FULL_MATRIX),
    Case("log_softmax", lambda m, x: m.log_softmax(x, -1), lambda x: np.log(_soft(x, -1)), shapes=FULL[1:]),
    Case("log_softmax-1", lambda m, x: m.log_softmax(x, 1), lambda x: np.log(_soft(x, 1)), shapes=FULL_MATRIX),
)  # fmt: skip

SHAPING = (
    Case("reshape", lambda m, x: x.reshape(3, -1), lambda x: np.stack(np.split(x.ravel(), 3)),
         shapes=(((2, 3),), ((6,),), ((2, 3, 4),))),
    Case("flatten", lambda m, x: m.flatten(x, 1), lambda x: np.array([row.ravel() for row in x]), shapes=CUBE),
    Case("permute", lambda m, x: x.permute(2, 0, 1), lambda x: np.einsum("ijk->kij", x), shapes=CUBE),
    Case("transpose", lambda m, x: x.transpose(0, -1), lambda x: np.swapaxes(x, 0, -1), shapes=MATRIX),
    Case("t", lambda m, x: x.t(), lambda x: np.einsum("ij->ji", x), shapes=(((2, 3),), ((0, 2),))),
    Case("mT", lambda m, x: x.mT, lambda x: np.einsum("...ij->...ji", x), shapes=MATRIX),
    Case("movedim", lambda m, x: m.movedim(x, 0, -1), lambda x: np.moveaxis(x, 0, -1), shapes=CUBE),
    Case("squeeze", lambda m, x: x.squeeze(), np.squeeze, shapes=(((1, 3, 1),), ((1,),), ((2,),))),
    Case("squeeze-dim", lambda m, x: x.squeeze(-1), lambda x: x[..., 0], shapes=(((2, 3, 1),),)),
    Case("unsqueeze", lambda m, x: x.unsqueeze(-1), lambda x: x[..., None], shapes=ONE),
    Case("expand", lambda m, x: x.expand(4, -1, 3), lambda x: x * np.ones((4, 1, 3)),
         shapes=(((2, 1),), ((1, 2, 3),), ((2, 3),))),
    Case("cat", lambda m, x, y: m.cat([x, y, x], 0), lambda x, y: np.array([*x, *y, *x]).reshape(-1, *x.shape[1:]),
         (real, real), (((2, 3), (1, 3)), ((3,), (2,)), ((0, 2), (1, 2)))),
    Case("cat-last", lambda m, x, y: m.cat((x, y), -1), lambda x, y: np.moveaxis(np.array([*x.T, *y.T]), 0, -1),
         (real, real), (((2, 3), (2, 1)),)),
    Case("stack", lambda m, x, y: m.stack([x, y], 1), lambda x, y: np.array([*zip(x, y)]),
         (real, real), (((3,), (3,)), ((2, 3), (2, 3)))),
    Case("split", lambda m, x: x.split(2)[1] * x.split([2, 1])[1], lambda x: x[2:3] ** 2, shapes=(((3,),), ((3, 2),))),
    Case("unbind", lambda m, x: x.unbind(1)[0], lambda x: x.T[0], shapes=(((2, 3),),)),
    Case("clone", lambda m, x: x.clone(), lambda x: x),
)  # fmt: skip

INDEXING = (
    Case("index-integer", lambda m, x: x[1], lambda x: x.take(1, axis=0), shapes=(((3,),), ((2, 3),))),
    Case("index-slice", lambda m, x: x[..., 1::2], lambda x: x.take(range(1, x.shape[-1], 2), axis=-1),
         shapes=(((7,),), ((2, 3),))),
    Case("index-list", lambda m, x: x[[2, 0, 2]], lambda x: np.array([x[2], x[0], x[2]]), shapes=(((3,),), ((3, 2),))),
    Case("index-mask", lambda m, x: x[m.tensor([True, False, True])], lambda x: x.compress(EVEN, axis=0),
         shapes=(((3,),), ((3, 2),))),
    Case("gather", lambda m, x: m.gather(x, 1, m.tensor(PICKS)), lambda x: np.take_along_axis(x, PICKS, 1),
         shapes=(((2, 3),),)),
    Case("write", lambda m, x, y: _write(x, y), lambda x, y: np.array([x[0], y, x[2]]),
         (real, real), (((3,), ()), ((3, 2), (2,)))),
)  # fmt: skip

PRODUCTS = (
    Case("matmul", lambda m, x, y: x @ y, lambda x, y: (x[..., :, :, None] * y[..., None, :, :]).sum(-2), (real, real),
         (((2, 3), (3, 4)), ((1, 1), (1, 1)), ((2, 0), (0, 3)), ((5, 2, 3), (5, 3, 2)), ((5, 2, 2), (5, 2, 2)), ((2, 3), (5, 3, 2)),
          ((2, 1, 2, 3), (4, 3, 2)))),
    Case("matmul-large", lambda m, x, y: minigrad.ops.linear_algebra._large_matmul(x, y), lambda x, y: x @ y, (real, real),
         (((2, 3), (3, 4)),), torch=lambda m, x, y: x @ y),
    Case("matmul-vector", lambda m, x, y: x @ y, lambda x, y: (x * y).sum(-1), (real, real),
         (((3,), (3,)), ((2, 3), (3,)), ((4, 2, 3), (3,)), ((0,), (0,)))),
    Case("vector-matmul", lambda m, x, y: m.matmul(x, y), lambda x, y: (x[:, None] * y).sum(-2), (real, real),
         (((3,), (3, 2)), ((3,), (4, 3, 2)))),
    Case("log_loss", lambda m, p, t: minigrad.ops.losses.log_loss(p, t),
         lambda p, t: -(t * np.log(p) + (1 - t) * np.log(1 - p)), (probability, probability), TWO[:7],
         torch=lambda m, p, t: m.nn.functional.binary_cross_entropy(p, t, reduction="none")),
    Case("mm", lambda m, x, y: m.mm(x, y), lambda x, y: np.einsum("ij,jk->ik", x, y),
         (real, real), (((2, 3), (3, 4)), ((0, 3), (3, 2)))),
    Case("mv", lambda m, x, y: m.mv(x, y), lambda x, y: np.einsum("ij,j->i", x, y), (real, real), (((2, 3), (3,)),)),
    Case("dot", lambda m, x, y: m.dot(x, y), lambda x, y: np.sum(x * y), (real, real), (((3,), (3,)),)),
    Case("outer", lambda m, x, y: m.outer(x, y), lambda x, y: np.multiply.outer(x, y), (real, real), (((2,), (3,)),)),
    Case("linear", lambda m, x, w, b: minigrad.ops.linear_algebra.linear(x, w, b),
         lambda x, w, b: np.einsum("...i,oi->...o", x, w) + b, (real, real, real),
         (((2, 3), (4, 3), (4,)), ((3,), (4, 3), (4,)), ((2, 5, 3), (4, 3), (4,))),
         torch=lambda m, x, w, b: m.nn.functional.linear(x, w, b)),
    Case("linear-large", lambda m, x, w, b: minigrad.ops.linear_algebra._large_linear(x, w, b),
         lambda x, w, b: np.einsum("ni,oi->no", x, w) + b, (real, real, real), (((2, 3), (4, 3), (4,)),),
         torch=lambda m, x, w, b: m.nn.functional.linear(x, w, b)),
    Case("linear-no-bias", lambda m, x, w: minigrad.ops.linear_algebra.linear(x, w),
         lambda x, w: np.einsum("...i,oi->...o", x, w), (real, real), (((2, 3), (4, 3)),),
         torch=lambda m, x, w: m.nn.functional.linear(x, w)),
)  # fmt: skip


def _write(x, y):
    x = x * 1
    x[1] = y
    return x


CASES = ARITHMETIC + EXPONENTIALS + CHOICES + REDUCTIONS + SHAPING + INDEXING + PRODUCTS
PLACES = [(case, shapes) for case in CASES for shapes in case.shapes]
PLACE_IDS = [f"{case.id}-{name_of(shapes)}" for case, shapes in PLACES]
