"""The tables that the kernel tests run through: a new kernel is a new row."""

import numpy as np

from minigrad.kernels import reference

DTYPES = (np.float32, np.float64)
REDUCTIONS = ("mean", "sum", "none")
COUNTS = [*range(10), *(n for power in (16, 32, 64, 128) for n in (power - 1, power, power + 1)), 100_003]


def normal(rng, dtype, shape):
    return rng.normal(size=shape).astype(dtype)


def probability(rng, dtype, shape):
    return rng.uniform(0.02, 0.98, shape).astype(dtype)


def positive(rng, dtype, shape):
    return rng.uniform(0.5, 2, shape).astype(dtype)


def log_sigmoid(x):
    return -np.logaddexp(0, -x)


# Losses over elements: name, kernel, kinds of its arrays, options, and the cost of one element in float64.
ELEMENTWISE = [
    ("mse", "mse_loss", (normal, normal), {}, lambda x, y: x * x - 2 * x * y + y * y),
    ("l1", "l1_loss", (normal, normal), {}, lambda x, y: np.maximum(x, y) - np.minimum(x, y)),
    *(
        (f"smooth_l1-{beta}", "smooth_l1_loss", (normal, normal), {"beta": beta},
         lambda x, y, b=beta: np.where(abs(x - y) < b, (x - y) ** 2 / max(2 * b, 1e-300), abs(x - y) - b / 2))
        for beta in (0.0, 0.5, 1.0)
    ),
    *(
        (f"huber-{delta}", "huber_loss", (normal, normal), {"delta": delta},
         lambda x, y, d=delta: np.where(abs(x - y) < d, (x - y) ** 2 / 2, d * abs(x - y) - d * d / 2))
        for delta in (0.5, 2.0)
    ),
    ("bce", "binary_cross_entropy", (probability, probability), {},
     lambda x, y: -(y * np.log(x) + (1 - y) * np.log(1 - x))),
    ("bce-weight", "binary_cross_entropy", (probability, probability, positive), {},
     lambda x, y, w: -w * (y * np.log(x) + (1 - y) * np.log(1 - x))),
    ("logits", "binary_cross_entropy_with_logits", (normal, probability), {},
     lambda x, y: -(y * log_sigmoid(x) + (1 - y) * log_sigmoid(-x))),
    ("logits-weight", "binary_cross_entropy_with_logits", (normal, probability, positive), {},
     lambda x, y, w: -w * (y * log_sigmoid(x) + (1 - y) * log_sigmoid(-x))),
    ("logits-both-weights", "binary_cross_entropy_with_logits", (normal, probability, positive, positive), {},
     lambda x, y, w, p: -w * (p * y * log_sigmoid(x) + (1 - y) * log_sigmoid(-x))),
]


def softmax_cost(x, t):
    return -(t * (x - np.log(np.exp(x).sum(axis=1, keepdims=True)))).sum(axis=1)


def smoothed(target, classes, e, ignore=-100):
    """Class indices as rows of probabilities; ignored rows as zeros."""
    rows = (1 - e) * (target[:, None] == np.arange(classes)) + e / max(classes, 1)
    return rows * (target != ignore)[:, None]


def hinge(x, y, w, p, margin):
    costs = [
        w[t] / len(row) * sum(max(0.0, margin - row[t] + other) ** p for c, other in enumerate(row) if c != t)
        for row, t in zip(x, y)
    ]
    return np.array(costs).reshape(len(x))


# Losses over rows: name, kernel, target's kind, with weight?, options, and the cost of each row in float64.
ROWS = []
for _weighted in (False, True):
    for _e in (0.0, 0.1):
        _suffix = f"{'-weight' if _weighted else ''}{'-smooth' if _e else ''}"
        ROWS.append((
            f"index{_suffix}", "cross_entropy", "index", _weighted, {"ignore_index": 1, "label_smoothing": _e},
            lambda x, y, w, e=_e: softmax_cost(x, w * smoothed(y, x.shape[1], e, ignore=1)
                                               if e else (w[y] * (y != 1))[:, None] * smoothed(y, x.shape[1], 0)),
        ))
        ROWS.append((
            f"probabilities{_suffix}", "cross_entropy_probabilities", "rows", _weighted, {"label_smoothing": _e},
            lambda x, y, w, e=_e: softmax_cost(x, w * ((1 - e) * y + e / max(x.shape[1], 1))),
        ))
    for _p, _margin in ((1, 1.0), (2, 0.5)):
        ROWS.append((
            f"margin-{_p}{'-weight' if _weighted else ''}", "multi_margin_loss", "index", _weighted,
            {"p": _p, "margin": _margin}, lambda x, y, w, p=_p, m=_margin: hinge(x, y, w, p, m),
        ))

LOSSES = [row[0] for row in ELEMENTWISE + ROWS]
ROW_LOSSES = [row[0] for row in ROWS]


def loss_case(name, dtype, shape, rng=None):
    """(kernel, arrays, options, float64 cost) of the row called `name`; shape is (rows, classes) for ROWS."""
    rng = rng or np.random.default_rng(0)
    for row in ELEMENTWISE:
        if row[0] == name:
            _, kernel, kinds, options, cost = row
            return kernel, [kind(rng, dtype, shape) for kind in kinds], dict(options), cost
    _, kernel, kind, weighted, options, cost = next(row for row in ROWS if row[0] == name)
    rows, classes = shape
    logits = normal(rng, dtype, shape)
    target = rng.integers(0, classes, rows) if kind == "index" else rng.dirichlet(np.ones(classes), rows).astype(dtype)
    weight = positive(rng, dtype, classes) if weighted else None
    return kernel, [logits, target, weight], dict(options), cost


def shapes_of(name):
    """The shapes to try: every count as a number of elements, or of rows and of classes."""
    if name not in ROW_LOSSES:
        return [(count,) for count in COUNTS] + [(), (3, 5)]
    counts = [count for count in COUNTS if count < 1000]
    few = [(70, classes) for classes in (2, 3, 4, 10, 64, 65)]  # short rows, and the first that is not
    return [(count, 5) for count in counts] + [(3, count) for count in counts if count > 1] + few + [(2003, 7), (2, 10_007)]


# Optimizers: name, kernel, number of states in order (1 present, 0 absent), options. Steps are counted by the test.
_SGD = {"lr": 0.1, "momentum": 0.0, "dampening": 0.0, "nesterov": False, "weight_decay": 0.0, "maximize": False}
_ADAGRAD = {"lr": 0.1, "lr_decay": 0.0, "weight_decay": 0.0, "eps": 1e-10, "maximize": False}
_RMSPROP = {"lr": 0.01, "alpha": 0.9, "eps": 1e-8, "weight_decay": 0.0, "momentum": 0.0, "maximize": False}
_ADAM = {"lr": 0.01, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.0, "maximize": False}
_L2_UP = {"weight_decay": 0.1, "maximize": True}
OPTIMIZERS = {
    "sgd": ("sgd", (0,), _SGD),
    "sgd-decay-maximize": ("sgd", (0,), {**_SGD, **_L2_UP}),
    "sgd-momentum": ("sgd", (1,), {**_SGD, "momentum": 0.9, "dampening": 0.3, **_L2_UP}),
    "sgd-nesterov": ("sgd", (1,), {**_SGD, "momentum": 0.9, "nesterov": True}),
    "adagrad": ("adagrad", (1,), _ADAGRAD),
    "adagrad-decay-maximize": ("adagrad", (1,), {**_ADAGRAD, "lr_decay": 0.1, **_L2_UP}),
    "rmsprop": ("rmsprop", (1, 0, 0), _RMSPROP),
    "rmsprop-centered": ("rmsprop", (1, 1, 0), {**_RMSPROP, "eps": 0.01, **_L2_UP}),
    "rmsprop-momentum": ("rmsprop", (1, 0, 1), {**_RMSPROP, "momentum": 0.9}),
    "rmsprop-both": ("rmsprop", (1, 1, 1), {**_RMSPROP, "eps": 0.01, "momentum": 0.5}),
    "adam": ("adam", (1, 1, 0), _ADAM),
    "adam-decay-maximize": ("adam", (1, 1, 0), {**_ADAM, **_L2_UP}),
    "adam-amsgrad": ("adam", (1, 1, 1), _ADAM),
    "adamw": ("adamw", (1, 1, 0), {**_ADAM, **_L2_UP}),
    "adamw-amsgrad": ("adamw", (1, 1, 1), {**_ADAM, "weight_decay": 0.01}),
}


def optimizer_steps(module, name, parameters, gradients_of_steps, make_state=np.zeros_like):
    """Take one step per list of gradients, in place; the states."""
    kernel, present, options = OPTIMIZERS[name]
    states = [[make_state(p) for p in parameters] if there else None for there in present]
    for step, gradients in enumerate(gradients_of_steps, start=1):
        count = {"first": step == 1} if kernel == "sgd" else {} if kernel == "rmsprop" else {"step": step}
        getattr(module, kernel)(parameters, gradients, *states, **options, **count)
    return states


def assert_close(actual, expected, ulps=40, what=""):
    """Every element within `ulps` units of the actual dtype, of its own size or of the largest element's tenth."""
    actual, expected = np.asarray(actual), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape, what
    if expected.size == 0:
        return
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(actual[~finite], expected[~finite].astype(actual.dtype), err_msg=str(what))
    largest = np.max(np.abs(expected[finite]), initial=1e-4)  # the floor is for sums that cancel to 0
    bound = ulps * np.finfo(actual.dtype).eps * (np.abs(expected) + 0.1 * largest)
    error = np.abs(actual[finite] - expected[finite])
    assert (error <= bound[finite]).all(), (what, error.max(), bound[finite][error.argmax()])


def float64(arrays):
    return [array.astype(np.float64) if array is not None and array.dtype.kind == "f" else array for array in arrays]


def expected_loss(name, dtype, shape, reduction):
    """The reference's (value, gradient) in float64, of the same numbers."""
    kernel, arrays, options, _ = loss_case(name, dtype, shape)
    return getattr(reference, kernel)(*float64(arrays), **options, reduction=reduction, need_gradient=True)
