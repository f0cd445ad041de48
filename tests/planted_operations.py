"""Operations in plain NumPy, each with its right derivative rule: what tests/planted.py puts bugs into.

`forward(*arrays)` gives the value; `rule(u, y, *arrays)` the gradient of sum(u * y) by each array, u the upstream
gradient and y the value.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Operation:
    name: str
    forward: Callable
    rule: Callable
    inputs: tuple


# ---- inputs ----


def normal(*shape):
    return np.random.default_rng(sum(shape) + len(shape)).standard_normal(shape)


def positive(*shape):
    return np.random.default_rng(sum(shape)).uniform(0.5, 2, shape)


def apart(*shape):
    """Values of both signs, all at least 0.05 from 0 and from each other."""
    size = int(np.prod(shape))
    values = np.random.default_rng(size).permutation(np.linspace(-1.9, 2, size))
    return (values + 0.1 * (np.abs(values) < 0.05)).reshape(shape)


# ---- operations and their right rules ----

OPERATIONS = {}


def operation(name, forward, rule, *inputs):
    """Add an operation to the table."""
    OPERATIONS[name] = Operation(name, forward, rule, inputs)


def as_float(condition, x):
    return condition.astype(x.dtype)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def one_hot(x):
    """Row i belongs to class 2 i + 1, modulo the classes."""
    return np.eye(x.shape[1], dtype=x.dtype)[(2 * np.arange(len(x)) + 1) % x.shape[1]]


def margins(x):
    """How far each score is inside the margin of 1; the right class's own is left out."""
    t = one_hot(x)
    return (1 + x - (x * t).sum(1, keepdims=True)) * (1 - t)


def hinge_slope(x):
    violated = as_float(margins(x) > 0, x)
    return violated - one_hot(x) * violated.sum(1, keepdims=True)


def standardized(x):
    return (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)


def standardized_rule(u, y, x):
    return (u - u.mean(-1, keepdims=True) - y * (u * y).mean(-1, keepdims=True)) / x.std(-1, keepdims=True)


def layer_norm_rule(u, _y, x, weight, _bias):
    z = standardized(x)
    return standardized_rule(u * weight, z, x), (u * z).sum(0), u.sum(0)


def scattered(u, x, rows):
    """The gradient of x[rows]: repeated rows add up."""
    g = np.zeros_like(x)
    np.add.at(g, rows, u)
    return g


def at_largest(x):
    """1 at the largest element of each row, the first of equals."""
    return np.eye(x.shape[1], dtype=x.dtype)[x.argmax(1)]


ROWS = np.array([2, 0, 3, 2])
SHIFT, FACTOR = normal(3, 4), positive(3, 4)  # constants that some operations close over


def like(constant, x):
    return constant.astype(x.dtype)


# one input, elementwise
operation("square", lambda x: x * x, lambda u, y, x: 2 * u * x, normal(3, 4))
operation("cube", lambda x: x * x * x, lambda u, y, x: 3 * u * x * x, normal(3, 4))
operation("exp", np.exp, lambda u, y, x: u * y, normal(3, 4))
operation("log", np.log, lambda u, y, x: u / x, positive(3, 4))
operation("sqrt", np.sqrt, lambda u, y, x: u / (2 * y), positive(3, 4))
operation("reciprocal", lambda x: 1 / x, lambda u, y, x: -u * y * y, positive(3, 4))
operation("sin", np.sin, lambda u, y, x: u * np.cos(x), normal(3, 4))
operation("tanh", np.tanh, lambda u, y, x: u * (1 - y * y), normal(3, 4))
operation("sigmoid", lambda x: 1 / (1 + np.exp(-x)), lambda u, y, x: u * y * (1 - y), normal(3, 4))
operation("softplus", lambda x: np.logaddexp(x, x.dtype.type(0)), lambda u, y, x: u / (1 + np.exp(-x)), normal(3, 4))
operation("arctan", np.arctan, lambda u, y, x: u / (1 + x * x), normal(3, 4))
operation("pow", lambda x: x**2.5, lambda u, y, x: 2.5 * u * x**1.5, positive(3, 4))
operation("relu", lambda x: np.maximum(x, 0), lambda u, y, x: u * (x > 0), apart(3, 4))
operation("abs", np.abs, lambda u, y, x: u * np.sign(x), apart(3, 4))
operation("clip", lambda x: np.clip(x, -1, 1), lambda u, y, x: u * (np.abs(x) < 1), 0.93 * apart(3, 4))
operation("where", lambda x: np.where(like(SHIFT, x) > 0, x * x, 3 * x),
          lambda u, y, x: u * np.where(SHIFT > 0, 2 * x, 3), normal(3, 4))  # fmt: skip
# two inputs
operation("add broadcast", lambda a, b: a + b, lambda u, y, a, b: (u, u.sum(0)), normal(3, 4), normal(4))
operation("mul", lambda a, b: a * b, lambda u, y, a, b: (u * b, u * a), normal(3, 4), positive(3, 4))
operation("mul broadcast", lambda a, b: a * b, lambda u, y, a, b: (u * b, (u * a).sum(0)), normal(3, 4), positive(4))
operation("mul column", lambda a, b: a * b, lambda u, y, a, b: ((u * b).sum(1, keepdims=True), (u * a).sum(0)),
          positive(3, 1), normal(4))  # fmt: skip
operation("div", lambda a, b: a / b, lambda u, y, a, b: (u / b, -u * y / b), normal(3, 4), positive(3, 4))
operation("maximum", np.maximum, lambda u, y, a, b: (u * (a > b), u * (b > a)), apart(3, 4), apart(3, 4)[::-1, ::-1])
operation("matmul", lambda a, b: a @ b, lambda u, y, a, b: (u @ b.T, a.T @ u), normal(3, 4), normal(4, 2))
operation("matmul square", lambda a, b: a @ b, lambda u, y, a, b: (u @ b.T, a.T @ u), normal(3, 3), positive(3, 3))
operation("bilinear", lambda x, a, z: x @ a @ z, lambda u, y, x, a, z: (u * a @ z, u * np.outer(x, z), u * x @ a),
          normal(4), normal(4, 4), positive(4))  # fmt: skip
operation("affine", lambda x, w, b: x @ w + b, lambda u, y, x, w, b: (u @ w.T, x.T @ u, u.sum(0)),
          normal(5, 3), normal(3, 2), normal(2))  # fmt: skip
# sums and norms
operation("sum", np.sum, lambda u, y, x: u * np.ones_like(x), normal(3, 4))
operation("sum of cubes", lambda x: (x * x * x).sum(), lambda u, y, x: 3 * u * x * x, normal(3, 4))
operation("sum rows", lambda x: x.sum(1), lambda u, y, x: u[:, None] * np.ones_like(x), normal(3, 4))
operation("mean", np.mean, lambda u, y, x: u * np.ones_like(x) / x.size, normal(3, 4))
operation("mean rows", lambda x: x.mean(1), lambda u, y, x: u[:, None] * np.ones_like(x) / 4, normal(3, 4))
operation("variance", np.var, lambda u, y, x: u * 2 * (x - x.mean()) / x.size, normal(3, 4))
operation("norm", lambda x: np.sqrt((x * x).sum()), lambda u, y, x: u * x / y, normal(3, 4))
operation("logsumexp", lambda x: np.log(np.exp(x).sum(1)), lambda u, y, x: u[:, None] * softmax(x), normal(3, 4))
operation("max rows", lambda x: x.max(1), lambda u, y, x: u[:, None] * at_largest(x), apart(3, 4))
operation("prod", np.prod, lambda u, y, x: u * y / x, positive(6))
operation("cumsum", np.cumsum, lambda u, y, x: u[::-1].cumsum()[::-1], normal(7))
# rearrangements
operation("gather", lambda x: x[ROWS], lambda u, y, x: scattered(u, x, ROWS), normal(4, 3))
operation("take", lambda x: x[ROWS], lambda u, y, x: scattered(u, x, ROWS), normal(5))
operation("transpose", lambda x: x.T * like(FACTOR.T, x), lambda u, y, x: (u * like(FACTOR.T, u)).T, normal(3, 4))
operation("transpose square", lambda x: x.T * like(FACTOR[:, :3], x), lambda u, y, x: (u * like(FACTOR[:, :3], u)).T,
          normal(3, 3))  # fmt: skip
operation("reshape", lambda x: x.reshape(2, 6), lambda u, y, x: u.reshape(x.shape), normal(3, 4))
operation("line of 19", lambda x: np.sin(3 * x), lambda u, y, x: 3 * u * np.cos(3 * x), 0.1 * normal(19))
# networks and losses
operation("softmax", softmax, lambda u, y, x: y * (u - (u * y).sum(-1, keepdims=True)), normal(3, 4))
operation("log_softmax", log_softmax, lambda u, y, x: u - np.exp(y) * u.sum(-1, keepdims=True), normal(3, 4))
operation("standardize", standardized, standardized_rule, normal(3, 5))
operation("layer_norm", lambda x, w, b: standardized(x) * w + b, layer_norm_rule, normal(3, 5), positive(5), normal(5))
operation("cross_entropy none", lambda x: -(one_hot(x) * log_softmax(x)).sum(1),
          lambda u, y, x: u[:, None] * (softmax(x) - one_hot(x)), normal(5, 3))  # fmt: skip
operation("cross_entropy mean", lambda x: -(one_hot(x) * log_softmax(x)).sum(1).mean(),
          lambda u, y, x: u * (softmax(x) - one_hot(x)) / len(x), normal(5, 3))  # fmt: skip
operation("mse none", lambda x, t: (x - t) ** 2, lambda u, y, x, t: (2 * u * (x - t), 2 * u * (t - x)),
          normal(4, 3), normal(4, 3)[::-1])  # fmt: skip
operation("mse mean", lambda x: ((x - like(SHIFT, x)) ** 2).mean(),
          lambda u, y, x: 2 * u * (x - SHIFT) / x.size, 2 * normal(3, 4)[::-1])  # fmt: skip
operation("bce logits", lambda x: np.logaddexp(x, x.dtype.type(0)) - x * (SHIFT > 0),
          lambda u, y, x: u * (1 / (1 + np.exp(-x)) - (SHIFT > 0)), normal(3, 4)[::-1])  # fmt: skip
operation("hinge none", lambda x: np.maximum(margins(x), 0).sum(1), lambda u, y, x: u[:, None] * hinge_slope(x),
          apart(5, 3))  # fmt: skip
operation("hinge mean", lambda x: np.maximum(margins(x), 0).sum(1).mean(), lambda u, y, x: u * hinge_slope(x) / len(x),
          apart(5, 3))  # fmt: skip
operation("huber", lambda x: np.where(np.abs(x) < 1, x * x / 2, np.abs(x) - x.dtype.type(0.5)),
          lambda u, y, x: u * np.clip(x, -1, 1), apart(3, 4))  # fmt: skip
