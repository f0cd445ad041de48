"""One table of planted derivative rules: right ones, wrong ones with the cause a checker should name, and kinks.

A row is plain NumPy, an operation of tests/planted_operations.py. A wrong row is an operation, its right rule, and one
bug put into it. `examples/gradcheckers.py` hands the same rows to other people's checkers.
"""

from dataclasses import dataclass, replace

import numpy as np

from planted_operations import OPERATIONS, Operation, apart, layer_norm_rule, like, normal, positive, softmax

import minigrad

DTYPES = ("float64", "float32")


@dataclass(frozen=True, eq=False)
class Planted:
    """A row. `expected` is "right", "kink", or the key of the cause of a wrong rule."""

    id: str
    expected: str
    operation: Operation
    dtype: str = "float64"
    scale: float = 1.0
    strict: bool = True  # refuses any other dtype

    @property
    def is_wrong(self):
        return self.expected not in ("right", "kink")

    def inputs(self):
        """Fresh arrays, the same each time."""
        return [np.array(np.multiply(x, self.scale), self.dtype, order="K") for x in self.operation.inputs]

    def forward(self, *arrays):
        """The value, in the dtype of the row as a function of that dtype would return it."""
        y = np.array(self.operation.forward(*arrays))
        assert y.dtype == self.dtype or not self.strict, f"{self.id}: forward gives {y.dtype}"
        return y

    def rule(self, u, y, *arrays):
        """The gradients, one per array."""
        found = self.operation.rule(u, y, *arrays)
        found = found if isinstance(found, tuple) else (found,)
        return tuple(np.array(np.broadcast_to(g, x.shape), x.dtype) for g, x in zip(found, arrays, strict=True))


# ---- bugs: each makes a wrong rule of a right one ----


def gradient(change, argument=0):
    """The gradient of one argument is changed."""

    def bug(rule):
        def wrong(u, y, *arrays):
            found = rule(u, y, *arrays)
            found = list(found) if isinstance(found, tuple) else [found]
            found[argument] = change(found[argument])
            return tuple(found)

        return wrong

    return bug


def upstream(change):
    """The rule is given another upstream gradient."""
    return lambda rule: lambda u, y, *arrays: rule(change(u), y, *arrays)


def instead(rule):
    """Another rule."""
    return lambda _: rule


def times(factor, where=..., argument=0):
    """The gradient, or a part of it, is `factor` times what it should be."""

    def change(g):
        g = np.array(g)
        g[where] *= factor
        return g

    return gradient(change, argument)


def becomes(value, where=...):
    def change(g):
        g = np.array(g)
        g[where] = value
        return g

    return gradient(change)


def only_at(value, slope):
    """The rule is wrong where the first input is exactly this; right a rounding away from it."""

    def bug(rule):
        def wrong(u, y, *arrays):
            found = rule(u, y, *arrays)
            first, *others = found if isinstance(found, tuple) else (found,)
            return np.where(arrays[0] == value, slope * u, first), *others

        return wrong

    return bug


def shaken(g):
    return g * (1 + 1e-3 * np.random.default_rng().standard_normal(np.shape(g))).astype(g.dtype)


def writes(rule):
    """The rule is right, and leaves its first input changed."""

    def wrong(u, y, *arrays):
        found = rule(u, y, *arrays)
        arrays[0][...] *= 2
        return found

    return wrong


negated, doubled, halved, transposed = times(-1), times(2), times(0.5), gradient(np.transpose)
ones, first = upstream(np.ones_like), upstream(lambda u: np.full_like(u, u.flat[0]))


def swapped(rule):
    return lambda *arrays: rule(*arrays)[::-1]


def softmax_in_place(x):
    x -= x.max(-1, keepdims=True)
    return softmax(x)


def relu_in_place(x):
    np.maximum(x, 0, out=x)
    return x.copy()


def dropped_out(x):
    return x * (np.random.default_rng().random(x.shape) < 0.5)


# (cause, operation, bug, scale); all in both dtypes
WRONG = [
    ("wrong sign", "exp", negated, 1),
    ("wrong sign", "div", times(-1, argument=1), 1),
    ("wrong sign", "matmul", times(-1, argument=1), 1e6),
    ("wrong sign", "sum rows", negated, 1e-9),
    ("wrong sign", "softmax", negated, 1),
    ("wrong sign", "cross_entropy mean", negated, 1),
    ("wrong sign", "reciprocal", negated, 1e-9),
    ("wrong sign", "mse none", times(-1, argument=1), 1),
    ("constant factor", "square", halved, 1),
    ("constant factor", "square", halved, 1e-9),  # a gradient of 1e-9: under every absolute tolerance
    ("constant factor", "cube", times(2 / 3), 1e6),
    ("constant factor", "mean", times(12), 1),  # the 1/N is missing
    ("constant factor", "mean rows", times(4), 1e-9),
    ("constant factor", "sum", times(1 / 12), 1),
    ("constant factor", "cross_entropy mean", times(5), 1),  # the batch size is missing
    ("constant factor", "mse mean", halved, 1),
    ("constant factor", "hinge mean", times(5), 1),
    ("constant factor", "exp", times(1.01), 1),
    ("constant factor", "matmul", times(1.01, argument=1), 1),
    ("constant factor", "mul", times(1.01), 1e6),
    ("constant factor", "layer_norm", times(3, argument=1), 1),
    ("constant factor", "sqrt", doubled, 1e-9),
    ("constant factor", "pow", times(0.4), 1),
    ("transposed", "matmul square", transposed, 1),
    ("transposed", "matmul square", gradient(np.transpose, 1), 1e6),
    ("transposed", "transpose square", transposed, 1e-9),
    ("transposed", "bilinear", gradient(np.transpose, 1), 1),
    ("swapped arguments", "mul", swapped, 1),
    ("swapped arguments", "mul", swapped, 1e-9),
    ("swapped arguments", "div", swapped, 1),
    ("swapped arguments", "matmul square", swapped, 1),
    ("swapped arguments", "maximum", swapped, 1e6),
    ("forgotten sum", "add broadcast", instead(lambda u, y, a, b: (u, u[0])), 1),
    ("forgotten sum", "add broadcast", instead(lambda u, y, a, b: (u, u[-1])), 1e-9),
    ("forgotten sum", "mul broadcast", instead(lambda u, y, a, b: (u * b, (u * a)[0])), 1e6),
    ("forgotten sum", "mul column", instead(lambda u, y, a, b: ((u * b)[:, :1], (u * a).sum(0))), 1),
    ("forgotten sum", "affine", instead(lambda u, y, x, w, b: (u @ w.T, x.T @ u, u[0])), 1),
    ("forgotten sum", "layer_norm", instead(lambda u, y, x, w, b: (*layer_norm_rule(u, y, x, w, b)[:2], u[0])), 1),
    ("upstream ignored", "exp", ones, 1),
    ("upstream ignored", "matmul", ones, 1e6),
    ("upstream ignored", "cross_entropy mean", ones, 1),
    ("upstream ignored", "cross_entropy none", ones, 1),
    ("upstream ignored", "mean", ones, 1e-9),
    ("upstream ignored", "norm", ones, 1),
    ("upstream ignored", "transpose", ones, 1e-9),
    ("only the first upstream value", "square", first, 1),
    ("only the first upstream value", "sum rows", first, 1e6),
    ("only the first upstream value", "cross_entropy none", first, 1),
    ("only the first upstream value", "hinge none", first, 1),
    ("only the first upstream value", "bce logits", first, 1),
    ("only the first upstream value", "mul", first, 1e-9),
    ("zero", "log", becomes(0), 1),
    ("zero", "mul", becomes(0), 1e-9),
    ("zero", "gather", becomes(0), 1),
    ("zero", "logsumexp", becomes(0), 1),
    ("zero", "mean", becomes(0), 1e-9),
    ("not finite", "tanh", becomes(np.nan, (1, 2)), 1),
    ("not finite", "softmax", becomes(np.nan), 1),
    ("not finite", "sqrt", becomes(np.inf, (0, 3)), 1e-9),
    ("not finite", "norm", becomes(-np.inf), 1e6),
    ("one element", "sin", becomes(0, (1, 2)), 1),
    ("one element", "square", times(2, (2, 3)), 1e-9),
    ("one element", "matmul", times(-1, (0, 1)), 1e6),
    ("one element", "cross_entropy none", times(1.1, (4, 2)), 1),
    ("one element", "take", instead(lambda u, y, x: like(np.bincount([2, 0, 3], [u[3], u[1], u[2]], 5), x)), 1),
    ("one region", "line of 19", becomes(0, slice(16, None)), 1),  # the tail after whole vectors
    ("one region", "line of 19", times(1.5, slice(8, 13)), 1e-9),
    ("one region", "exp", times(-1, np.s_[-1]), 1),
    ("one region", "cube", times(3, np.s_[:, 1]), 1e-9),
    ("one region", "gather", becomes(0, np.s_[2]), 1),
    ("unknown", "tanh", instead(lambda u, y, x: u * (1 - y)), 1),
    ("unknown", "sigmoid", instead(lambda u, y, x: u * y), 1),
    ("unknown", "softmax", instead(lambda u, y, x: u * y), 1),
    ("unknown", "log_softmax", instead(lambda u, y, x: u - np.exp(y)), 1),
    ("unknown", "exp", instead(lambda u, y, x: u * x), 1),
    ("unknown", "log", instead(lambda u, y, x: u / y), 1),
    ("unknown", "arctan", instead(lambda u, y, x: u / (1 + x)), 1),
    ("unknown", "pow", instead(lambda u, y, x: u * y * np.log(x)), 1),
    ("unknown", "variance", instead(lambda u, y, x: 2 * u * x / x.size), 1),
    ("unknown", "standardize", instead(lambda u, y, x: u / x.std(-1, keepdims=True)), 1),
    ("unknown", "cumsum", instead(lambda u, y, x: u.cumsum()), 1e6),
    ("unknown", "max rows", instead(lambda u, y, x: u[:, None] * np.ones_like(x)), 1),
    ("unknown", "reshape", instead(lambda u, y, x: u.ravel()[::-1].reshape(x.shape)), 1e-9),
    ("not deterministic", "mul", gradient(shaken), 1),
    ("not deterministic", "softmax", gradient(shaken), 1),
    ("not deterministic", "affine", gradient(shaken, 1), 1e-9),
    ("input written", "square", writes, 1),
    ("input written", "matmul", writes, 1e6),
    ("input written", "layer_norm", writes, 1),
]  # fmt: skip


def _named(label, operation, **changes):
    return replace(OPERATIONS[operation], name=label, **changes)


# Bugs of the forward pass
WRONG_FORWARD = [
    ("input written", _named("softmax in place", "softmax", forward=softmax_in_place)),
    ("input written", _named("relu in place", "relu", forward=relu_in_place)),
    ("not deterministic", _named("dropout without a seed", "square", forward=dropped_out,
                                 rule=lambda u, y, x: u * (y != 0))),
]  # fmt: skip


# Wrong exactly at x: at values where others would be allowed, or where a difference happens to be 0
WRONG_AT = [
    ("one element", _named("relu6 at 6", "clip", forward=lambda x: np.clip(x, 0, 6), inputs=[[6.0, 0.3, 8.0]],
                           rule=lambda u, y, x: u * np.where(x == 6, 5, (x > 0) & (x < 6)))),
    ("one element", _named("l1 loss of equals, 3", "mse none", forward=lambda x, t: np.abs(x - t),
                           inputs=[[1.0, 2.0, -1.0], [1.0, 0.5, 4.0]],
                           rule=lambda u, y, x, t: (u * np.where(x == t, 3, np.sign(x - t)), u * np.sign(t - x)))),
    ("one element", _named("a square at equals", "mse none", inputs=[[1.0, 2.0, -1.0], [1.0, 0.5, 4.0]],
                           forward=lambda x, t: (x - t) ** 2 + x,
                           rule=lambda u, y, x, t: (u * np.where(x == t, 0, 2 * (x - t) + 1), 2 * u * (t - x)))),
    ("zero", _named("modulo 1", "square", forward=lambda x: x % 1, rule=lambda u, y, x: 0 * x, inputs=[[0.25]])),
    ("one element", _named("cosh at 1", "exp", forward=np.cosh, rule=lambda u, y, x: u * np.sinh(x) * (x != 1),
                           inputs=[[1.0, 2.0]])),
]  # fmt: skip


# ---- right, but awkward ----

# Homogeneous operations and some others, at scales where an absolute tolerance or a fixed step fails.
SCALES = {
    1e-9: ("square", "mul", "matmul", "div", "sqrt", "reciprocal", "sum", "mean", "norm", "max rows", "relu", "exp",
           "softmax", "standardize", "gather"),
    1e6: ("square", "cube", "mul", "matmul", "div", "log", "sqrt", "reciprocal", "mean", "norm", "variance", "abs",
          "cumsum", "huber", "add broadcast"),
}  # fmt: skip

MIXED = np.array([1e-9, -3e-5, 1.0, 7e2, -2e6])
NEAR = np.array([1e-9, -1e-9, 1e-6, -1e-4, 1e-2])  # beside a kink at 0


def _awkward(label, operation, *inputs, **changes):
    return _named(f"{operation}, {label}", operation, inputs=inputs, **changes)


AWKWARD = [
    _awkward("mixed scales", "square", MIXED),
    _awkward("mixed scales", "mul", MIXED, MIXED[::-1]),
    _awkward("mixed scales", "div", MIXED, MIXED[::-1]),
    _awkward("mixed scales", "norm", MIXED),
    _awkward("mixed scales", "sum", MIXED),
    _awkward("zeros", "exp", np.zeros(3)),
    _awkward("zeros", "tanh", np.zeros((2, 2))),
    _awkward("zeros", "softmax", np.zeros((2, 3))),
    _awkward("some zeros", "square", np.array([0.0, 1.0, 0.0, -2.0])),
    _awkward("some zeros", "mul", np.array([0.0, 1.0, 0.0]), np.array([3.0, 0.0, 0.0])),
    _awkward("empty", "square", np.zeros((0, 3))),
    _awkward("0-d", "exp", np.array(0.7)),
    _awkward("all negative", "relu", -positive(3, 4)),  # all gradients exactly 0
    _awkward("beyond the bounds", "clip", 3 * np.sign(normal(3, 4))),
    _awkward("steps", "square", 0.93 * apart(5), forward=np.floor, rule=lambda u, y, x: 0 * x),
    _awkward("times 0", "square", normal(5), forward=lambda x: 0 * x, rule=lambda u, y, x: 0 * u),
    _awkward("x - x", "square", normal(5), forward=lambda x: x - x, rule=lambda u, y, x: 0 * u),
    _awkward("saturated", "tanh", np.array([12.0, -15.0, 0.3])),
    _awkward("saturated", "sigmoid", np.array([25.0, -25.0, 0.3])),
    _awkward("steep", "exp", np.array([20.0, -20.0, 40.0])),
    _awkward("large logits", "softmax", 30 * normal(3, 4)),
    _awkward("large logits", "log_softmax", 30 * normal(3, 4)),
    _awkward("a confident batch", "cross_entropy mean", 8 * normal(5, 3)),
    _awkward("small beside the mean", "variance", 1000 + normal(3, 4)),
    _awkward("small beside the mean", "standardize", 100 + normal(3, 5)),
    _awkward("cancelling", "sum", np.array([1e6, 3.0, -1e6, 1e-3])),
    _awkward("fast", "sin", 100 * normal(5)),
    _awkward("near 0", "log", np.array([1e-6, 1e-3, 1.0])),
    _awkward("near 0", "reciprocal", np.array([1e-4, -1e-2, 1.0])),
    _awkward("1,000 terms", "sum", normal(1000)),
    _awkward("1,000 terms", "norm", normal(1000)),
    _awkward("beside the kink", "relu", NEAR),
    _awkward("beside the kink", "abs", NEAR),
    _awkward("at the joint", "huber", np.array([1.0, -1.0, 0.0])),  # smooth there
    _awkward("far from square", "matmul", normal(1, 60), normal(60, 1)),
    _awkward("reversed memory", "cumsum", normal(7)[::-1]),
]

def _edge(label, forward, slope, x):
    return _named(f"{label}, at its edge", "log", forward=forward, rule=lambda u, y, x: u * slope(x), inputs=[[x]])


# So close to where the function ends that few steps stay inside
EDGES = [
    _edge("log of 1 - x", lambda x: np.log(1 - x), lambda x: -1 / (1 - x), 1 - 1e-10),
    _edge("arcsin", np.arcsin, lambda x: 1 / np.sqrt((1 - x) * (1 + x)), 1 - 1e-9),
    _edge("arctanh", np.arctanh, lambda x: 1 / (1 - x) / (1 + x), 1 - 1e-12),
    _edge("log1p", np.log1p, lambda x: 1 / (1 + x), -1 + 1e-10),
    _edge("sqrt of x - 1", lambda x: np.sqrt(x - 1), lambda x: 0.5 / np.sqrt(x - 1), 1 + 1e-12),
    _edge("arccosh", np.arccosh, lambda x: 1 / np.sqrt((x - 1) * (x + 1)), 1 + 1e-10),
]
LAST = 1 - 2.0**-24  # the last float32 before 1
AWKWARD.append(
    _awkward("the last before 1", "log", [LAST, 0.5], forward=lambda x: np.log(1 - x),
             rule=lambda u, y, x: -u / (1 - x))
)  # fmt: skip

HILBERT = 1 / (np.arange(4)[:, None] + np.arange(4) + 1.0)  # its condition number is 15,514
RIGHT_FLOAT64 = [
    *EDGES,
    _awkward("ill-conditioned", "matmul", HILBERT, forward=np.linalg.inv, rule=lambda u, y, x: -y.T @ u @ y.T),
    _awkward("steep", "pow", positive(4), forward=lambda x: x**30, rule=lambda u, y, x: 30 * u * x**29),
    _awkward("1e-100", "square", 1e-100 * normal(4)),
]


# ---- kinks: any value between the two slopes is right ----

# (label, operation, inputs, rule or None for the operation's own)
KINKS = [
    ("relu at 0", "relu", [[0.0, 1.0, -2.0, 0.0]], None),
    ("relu at 0, gradient 1", "relu", [[0.0, 1.0, -2.0]], lambda u, y, x: u * (x >= 0)),
    ("relu at 0, gradient 1/2", "relu", [[0.0, 1.0, -2.0]], lambda u, y, x: u * (np.sign(x) + 1) / 2),
    ("relu at 0, beside 1e6", "relu", [[0.0, 1e6, -1e-9]], None),
    ("abs at 0", "abs", [[0.0, 0.3, -4.0]], None),
    ("abs at 0, all", "abs", [[[0.0, 0.0], [0.0, 0.0]]], None),
    ("max of equals, the first", "max rows", [[[2.0, 2.0, 1.0], [0.5, 3.0, 3.0]]], None),
    ("max of equals, shared", "max rows", [[[2.0, 2.0, 1.0]]],
     lambda u, y, x: u[:, None] * (x == y[:, None]) / (x == y[:, None]).sum(1, keepdims=True)),
    ("maximum of equals, shared", "maximum", [[1.0, 2.0, 3.0], [1.0, 0.0, 3.0]],
     lambda u, y, a, b: (u * ((a > b) + 0.5 * (a == b)), u * ((b > a) + 0.5 * (a == b)))),
    ("maximum of equals, the first", "maximum", [[1.0, 2.0], [1.0, 0.0]],
     lambda u, y, a, b: (u * (a >= b), u * (b > a))),
    ("clip at its bounds", "clip", [[1.0, -1.0, 0.5, 3.0]], None),
    ("clip at its bounds, gradient 1", "clip", [[1.0, -1.0, 0.5]], lambda u, y, x: u * (np.abs(x) <= 1)),
    ("hinge at the margin", "hinge none", [[[1.0, 2.0, 0.0], [0.5, 0.25, -2.0]]], None),
    ("hinge at the margin, mean", "hinge mean", [[[1.0, 2.0, 0.0], [0.5, 0.25, -2.0]]], None),
    ("norm at 0", "norm", [[0.0, 0.0, 0.0]], lambda u, y, x: 0 * x),
    ("l1 loss of equals", "mse none", [[1.0, 2.0, -1.0], [1.0, 0.5, -1.0]],
     lambda u, y, x, t: (u * np.sign(x - t), u * np.sign(t - x))),
    ("leaky relu at 0", "relu", [[0.0, 2.0, -2.0]], lambda u, y, x: u * np.where(x > 0, 1, 0.01)),
    ("relu at 0, tiny", "relu", [[0.0, 1e-9, -2e-9]], None),
    ("clip at its bounds, gradient 0.4", "clip", [[1.0, 0.3, 2.0]],
     lambda u, y, x: u * np.where(np.abs(x) == 1, 0.4, np.abs(x) < 1)),
    ("relu6 at 6", "clip", [[6.0, 0.3, 8.0]], lambda u, y, x: u * ((x > 0) & (x < 6))),
    ("abs of x^2 - 4", "abs", [[2.0, 1.0, -2.0]], lambda u, y, x: u * 2 * x * np.sign(x * x - 4)),
]  # fmt: skip
KINK_FORWARD = {
    "l1 loss of equals": lambda x, t: np.abs(x - t),
    "relu6 at 6": lambda x: np.clip(x, 0, 6),
    "abs of x^2 - 4": lambda x: np.abs(x * x - 4),
    "leaky relu at 0": lambda x: np.where(x > 0, x, x * x.dtype.type(0.01)),
}

# ---- wrong at values that make it hard to see, or to name: (cause, what is hard, operation, inputs, bug) ----

BESIDE = [1e-9, 1.0, 1e6]
ROW = [[0.3, 1.0, 2.0, 1.5], [1.0, 0.6, 0.4, 3.0], [-1.0, 2.0, -0.5, 0.7]]  # of which relu zeroes a part
PLAIN = [0.5, -1.0, 2.0]
WRONG_THERE = [
    ("wrong sign", "at 0", "abs", [[0.0, 0.3, -4.0]], negated),
    ("constant factor", "at 0", "relu", [[0.0, 1.0, -2.0, 3.0]], doubled),
    ("one element", "at 0", "relu", [[0.0, 1.0, -2.0, 3.0]], becomes(1.5, 0)),
    ("one element", "at 0", "abs", [[0.0, 1.0, -2.0, 3.0]], becomes(-3, 0)),
    ("wrong sign", "1e-9 beside 1e6", "cube", [BESIDE], negated),
    ("constant factor", "1e-9 beside 1e6", "sum of cubes", [BESIDE], times(1.01)),
    *(("one element", f"1e-9 beside 1e6, {factor} at {at}", name, [BESIDE], times(factor, at))
      for name in ("square", "cube", "sum of cubes") for at, factor in ((0, 2), (0, 0), (0, 1.05), (1, -1), (2, 0.5))),
    ("one element", "1e-9 beside 1e6", "mul", [BESIDE, BESIDE[::-1]], times(2, 0)),
    ("one element", "under a threshold", "relu", [[0.05, -1.0, 1.0]], instead(lambda u, y, x: u * (x > 0.1))),
    ("one region", "under a threshold", "relu", [[0.05, 0.02, -1, 1, 2]], instead(lambda u, y, x: u * (x > 0.1))),
    ("one region", "last row with zeros", "relu", [ROW], becomes(0, -1)),
    ("one region", "last row with zeros, twice as much", "relu", [ROW], times(2, -1)),
    ("one region", "last column with zeros", "relu", [np.transpose(ROW)], becomes(0, np.s_[:, -1])),
    ("one region", "last row", "hinge none", [apart(5, 3)], becomes(0, -1)),
    ("one region", "last row", "hinge mean", [apart(5, 3)], becomes(0, -1)),
    *(("one element", f"{factor} times", name, [PLAIN], times(factor, at))
      for name in ("exp", "sin", "square") for at, factor in ((2, 1.001), (2, 2), (0, 0), (1, -1), (1, 0.5))),
    *(("constant factor", "1.0005", name, OPERATIONS[name].inputs, times(1.0005)) for name in ("exp", "mul", "matmul")),
    *(("one element", f"an even function at {x}, 0", "square", [x], becomes(0, 0))
      for x in ([1.0, 2.0], [0.25, 0.5], [2.0, 4.0], [1.0, 8.0])),
    ("zero", "at 1/16", "square", [[0.0625]], becomes(0)),
    *(("one element", f"{slope} at 1 alone", name, [[1.0, 0.3, 2.0]], only_at(1, slope))
      for name, slope in (("cube", 0), ("cube", 1), ("cube", 5), ("log", 0), ("reciprocal", 2), ("clip", 5))),
    *(("wrong sign", "kinks close by", name, [0.03 * normal(5, 3)], negated) for name in ("max rows", "hinge mean")),
]  # fmt: skip


# ---- all rows ----


def _rows():
    for dtype in DTYPES:
        end = f", {dtype}"
        for cause, name, bug, scale in WRONG:
            right = OPERATIONS[name]
            yield Planted(f"{cause}: {name}, {scale:g}{end}", cause, replace(right, rule=bug(right.rule)), dtype, scale)
        for cause, broken in (*WRONG_FORWARD, *WRONG_AT):
            yield Planted(f"{cause}: {broken.name}{end}", cause, broken, dtype)
        for cause, where, name, inputs, bug in WRONG_THERE:
            broken = replace(OPERATIONS[name], rule=bug(OPERATIONS[name].rule), inputs=inputs)
            yield Planted(f"{cause}: {name}, {where}{end}", cause, broken, dtype)
        for right in (*OPERATIONS.values(), *AWKWARD, *(RIGHT_FLOAT64 if dtype == "float64" else ())):
            yield Planted(f"right: {right.name}{end}", "right", right, dtype)
        for scale, names in SCALES.items():
            for name in names:
                yield Planted(f"right: {name}, {scale:g}{end}", "right", OPERATIONS[name], dtype, scale)
        for label, name, inputs, rule in KINKS:
            own = OPERATIONS[name]
            kinked = Operation(label, KINK_FORWARD.get(label, own.forward), rule or own.rule, inputs)
            yield Planted(f"kink: {label}{end}", "kink", kinked, dtype)


CASES = tuple(_rows())
assert len({case.id for case in CASES}) == len(CASES)


def as_minigrad(case):
    """(function, tensors): the row as a user of minigrad would have written it."""

    class Rule(minigrad.autograd.Function):
        @staticmethod
        def forward(ctx, *tensors):
            y = minigrad.from_numpy(case.forward(*(t.detach().numpy() for t in tensors)))
            ctx.save_for_backward(y, *tensors)
            return y

        @staticmethod
        def backward(ctx, upstream):
            y, *arrays = (t.detach().numpy() for t in ctx.saved_tensors)
            return tuple(minigrad.from_numpy(g) for g in case.rule(upstream.numpy(), y, *arrays))

    Rule.__name__ = case.operation.name
    return Rule.apply, tuple(minigrad.from_numpy(x).requires_grad_() for x in case.inputs())
