"""One table of optimizers: name, options, and the recurrence from the paper in plain float64 NumPy.

A recurrence is a generator: it is sent gradients and yields the parameter after each step, reading its
options `o` anew each time. The same rows run on PyTorch, where classes and options have the same
names. `parabola` and `valley` are the learning rates that solve (x - 3)^2 and Rosenbrock's valley.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

import minigrad


def descent(p, g, o):
    return (-g if o.maximize else g) + o.weight_decay * p


def sgd(p, o):
    velocity = None
    while True:
        g = descent(p, (yield p), o)
        if o.momentum:
            velocity = g if velocity is None else o.momentum * velocity + (1 - o.dampening) * g
            g = g + o.momentum * velocity if o.nesterov else velocity
        p = p - o.lr * g


def adam(p, o, decoupled=False):
    m = v = largest = np.zeros_like(p)
    t = 0
    while True:
        g, t = (yield p), t + 1
        if decoupled:
            p, g = p - o.lr * o.weight_decay * p, -g if o.maximize else g
        else:
            g = descent(p, g, o)
        m = o.betas[0] * m + (1 - o.betas[0]) * g
        v = o.betas[1] * v + (1 - o.betas[1]) * g**2
        largest = np.maximum(largest, v) if o.amsgrad else v
        m_hat, v_hat = m / (1 - o.betas[0] ** t), largest / (1 - o.betas[1] ** t)
        p = p - o.lr * m_hat / (np.sqrt(v_hat) + o.eps)


def adamw(p, o):
    return adam(p, o, decoupled=True)


def rmsprop(p, o):
    square = mean = velocity = np.zeros_like(p)
    while True:
        g = descent(p, (yield p), o)
        square = o.alpha * square + (1 - o.alpha) * g**2
        mean = o.alpha * mean + (1 - o.alpha) * g
        g = g / (np.sqrt(square - mean**2 if o.centered else square) + o.eps)
        if o.momentum:
            velocity = g = o.momentum * velocity + g
        p = p - o.lr * g


def adagrad(p, o):
    total, t = np.full_like(p, o.initial_accumulator_value), 0
    while True:
        g, t = descent(p, (yield p), o), t + 1
        total = total + g**2
        p = p - o.lr / (1 + (t - 1) * o.lr_decay) * g / (np.sqrt(total) + o.eps)


DEFAULTS = {
    sgd: dict(lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, maximize=False),
    adam: dict(lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False, maximize=False),
    adamw: dict(lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, maximize=False),
    rmsprop: dict(lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False, maximize=False),
    adagrad: dict(lr=1e-2, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10, maximize=False),
}


class Recurrence:
    """A recurrence ready for its first gradient, with options that may change on the way."""

    def __init__(self, formula, p, **options):
        self.options = SimpleNamespace(**{**DEFAULTS[formula], **options})
        self.steps = formula(np.array(p, np.float64), self.options)
        next(self.steps)

    def send(self, gradient):
        return self.steps.send(np.asarray(gradient, np.float64))


@dataclass(frozen=True)
class OptimizerCase:
    id: str
    name: str
    recurrence: Callable
    options: dict = field(default_factory=dict)
    parabola: float = 0.1
    valley: float = 0.1

    def make(self, optim, params, **changes):
        """The optimizer of `optim`, minigrad's or PyTorch's."""
        return getattr(optim, self.name)(params, **{**self.options, **changes})

    def start(self, p, **changes):
        """The recurrence, ready for the first gradient."""
        return Recurrence(self.recurrence, p, **{**self.options, **changes})


def _case(name, recurrence, label="", parabola=0.1, valley=None, **options):
    return OptimizerCase(f"{name}{label and '-'}{label}", name, recurrence, options, parabola, valley or parabola)


CASES = (
    _case("SGD", sgd, lr=0.05, valley=2e-3),
    _case("SGD", sgd, "momentum", lr=0.02, momentum=0.9, parabola=0.02, valley=2e-3),
    _case("SGD", sgd, "dampening", lr=0.05, momentum=0.8, dampening=0.3, parabola=0.05, valley=2e-3),
    _case("SGD", sgd, "nesterov", lr=0.02, momentum=0.9, nesterov=True, parabola=0.02, valley=1e-3),
    _case("SGD", sgd, "decay", lr=0.05, weight_decay=0.1, valley=2e-3),
    _case("SGD", sgd, "maximize", lr=0.05, momentum=0.5, weight_decay=0.1, maximize=True, valley=2e-3),
    _case("Adam", adam),
    _case("Adam", adam, "options", lr=0.02, betas=(0.7, 0.95), eps=1e-3, valley=3e-3),
    _case("Adam", adam, "decay", lr=0.01, weight_decay=0.1),
    _case("Adam", adam, "amsgrad", lr=0.03, betas=(0.8, 0.9), amsgrad=True, valley=0.3),
    _case("Adam", adam, "maximize", lr=0.01, weight_decay=0.1, amsgrad=True, maximize=True, valley=0.3),
    _case("Adam", adam, "beta0", lr=0.01, betas=(0.0, 0.9), valley=2e-3),
    _case("AdamW", adamw),
    _case("AdamW", adamw, "decay", lr=0.02, weight_decay=0.3),
    _case("AdamW", adamw, "amsgrad", lr=0.03, betas=(0.8, 0.9), amsgrad=True, maximize=True, valley=0.3),
    _case("RMSprop", rmsprop, valley=0.01),
    _case("RMSprop", rmsprop, "options", lr=0.02, alpha=0.9, eps=1e-3, weight_decay=0.1, valley=3e-3),
    _case("RMSprop", rmsprop, "momentum", lr=5e-3, momentum=0.8, parabola=0.01, valley=1e-3),
    _case("RMSprop", rmsprop, "centered", lr=5e-3, alpha=0.9, eps=1e-4, centered=True, parabola=0.01, valley=2e-3),
    _case("RMSprop", rmsprop, "all", lr=2e-3, eps=1e-4, momentum=0.7, centered=True, weight_decay=0.1, maximize=True,
          parabola=0.01, valley=2e-3),
    _case("Adagrad", adagrad, parabola=1.0, valley=0.3),
    _case("Adagrad", adagrad, "decay", lr=0.1, lr_decay=0.05, weight_decay=0.1, parabola=1.0, valley=0.3),
    _case("Adagrad", adagrad, "initial", lr=0.1, initial_accumulator_value=0.5, eps=1e-3, parabola=1.0, valley=0.3),
    _case("Adagrad", adagrad, "maximize", lr=0.1, maximize=True, parabola=1.0, valley=0.3),
)  # fmt: skip


# What the tests work on


def leaf(values, dtype=np.float64):
    return minigrad.tensor(values, dtype=dtype, requires_grad=True)


def gradients(shape, count=20):
    """`count` arrays, the same in every run."""
    return np.random.default_rng(sum(shape)).standard_normal((count, *shape))


def give(parameter, gradient):
    parameter.grad = minigrad.from_numpy(np.asarray(gradient, parameter.dtype))
