"""The recurrences of the known optimizers, and wrong ones to compare a wrong optimizer with.

A recurrence is `step(p, g, s, o, t)`: the parameter after step t (from 1), from the parameter, its gradient,
the state `s` (a dictionary, empty at first) and the options `o`. A wrong recurrence is the right one with one thing
changed; `VARIANTS` lists such changes by name, and the one that does what an optimizer did is the likely cause.
"""

import inspect
from types import SimpleNamespace

import numpy as np


def _descent(p, g, o):
    return (-g if o.maximize else g) + (0 if o.decoupled else o.weight_decay) * p


def _decayed(p, o):
    return p - (o.lr if o.decay_times_lr else 1) * o.weight_decay * p if o.decoupled else p


def _factors(o):
    """lr as a factor of the gradient, or of the velocity: only where lr changes does it matter which."""
    return (o.lr, 1) if o.lr_in_velocity else (1, o.lr)


def _root(v, o, correction=1):
    """sqrt(v / correction) + eps, and the places where eps does not belong."""
    power = 0.5 if o.root else 1
    if o.eps_place == "inside the root":
        return (v / correction + o.eps) ** power
    if o.eps_place == "before the bias correction":
        return (v**power + o.eps) / correction**power
    return (v / correction) ** power + o.eps


def _sgd(p, g, s, o, t):
    inner, outer = _factors(o)
    g = inner * _descent(p, g, o)
    if o.momentum:
        start = (1 - o.dampening) * g if o.dampen_first else g
        b = s["b"] = o.momentum * s["b"] + (1 - o.dampening) * g if "b" in s else start
        g = g + o.momentum * b if o.nesterov else b
    return _decayed(p, o) - outer * g


def _adagrad(p, g, s, o, t):
    g = _descent(p, g, o)
    s["sum"] = s.get("sum", o.initial_accumulator_value) + g * g
    return _decayed(p, o) - o.lr / (1 + (t - 1) * o.lr_decay) * g / _root(s["sum"], o)


def _rmsprop(p, g, s, o, t):
    g = _descent(p, g, o)
    v = s["v"] = o.alpha * s.get("v", 0) + (1 - o.alpha) * g * g
    a = s["a"] = o.alpha * s.get("a", 0) + (1 - o.alpha) * g
    inner, outer = _factors(o)
    g = inner * g / _root(v - a * a if o.centered else v, o)
    if o.momentum:
        g = s["b"] = o.momentum * s.get("b", 0) + g
    return _decayed(p, o) - outer * g


def _adam(p, g, s, o, t):
    g, (beta1, beta2) = _descent(p, g, o), o.betas
    m = s["m"] = beta1 * s.get("m", 0) + (1 - beta1) * g
    v = s["v"] = beta2 * s.get("v", 0) + (1 - beta2) * g * g
    if o.amsgrad:
        v = s["largest"] = np.maximum(s.get("largest", 0), v)
    first, second = 1 - beta1**t if o.corrects_first else 1, 1 - beta2**t if o.corrects_second else 1
    return _decayed(p, o) - o.lr * (m / first) / _root(v, o, second)


# What a recurrence reads where the optimizer has no such option; `VARIANTS` change these, too.
NEUTRAL = dict(
    weight_decay=0, maximize=False, momentum=0, dampening=0, nesterov=False, amsgrad=False, centered=False, lr_decay=0,
    initial_accumulator_value=0, eps=0, betas=(0, 0), alpha=0, decoupled=False, decay_times_lr=True, root=True,
    eps_place="outside", dampen_first=False, corrects_first=True, corrects_second=True, lr_in_velocity=False,
)  # fmt: skip
RECURRENCES = {
    "SGD": (_sgd, {}), "Adagrad": (_adagrad, {}), "RMSprop": (_rmsprop, {}), "AdamW": (_adam, {"decoupled": True}),
    "Adam": (_adam, {}),
}  # fmt: skip


def claimed_by(kind, recurrence):
    """(name, step, what it claims beside the options) for a class of optimizers; one's own recurrence has no name."""
    if callable(recurrence):
        return None, _from_generator(recurrence) if inspect.isgeneratorfunction(recurrence) else recurrence, {}
    known = (base.__name__ for base in kind.__mro__ if base.__name__ in RECURRENCES)
    name = next(known, None) if recurrence is None else recurrence
    if name not in RECURRENCES:
        raise ValueError(
            f"check_optimizer: no recurrence is known for {name or kind.__name__}. Pass recurrence=, a function "
            f"step(p, g, state, options, t), or one of {', '.join(map(repr, RECURRENCES))}"
        )
    return name, *RECURRENCES[name]


def _from_generator(function):
    """A generator function as a step."""

    def step(p, g, s, o, t):
        if "steps" not in s:
            s["options"] = SimpleNamespace(**vars(o))
            s["steps"] = function(p, s["options"])
            next(s["steps"])
        vars(s["options"]).update(vars(o))
        try:
            return s["steps"].send(g)
        except StopIteration:
            return None

    return step


# ---- wrong recurrences, each the right one with one thing changed ----


def _having(**changes):
    """Other options; a function computes one from those that should hold."""

    def variant(step, _fit):
        def changed(p, g, s, o, t):
            new = {name: value(o) if callable(value) else value for name, value in changes.items()}
            return step(p, g, s, SimpleNamespace(**{**vars(o), **new}), t)

        return changed

    return variant


def _calling(call):
    """call(step, p, g, s, o, t) in place of step(p, g, s, o, t)."""
    return lambda step, _fit: lambda *arguments: call(step, *arguments)


def _previous(step, p, g, s, o, t):
    late, s["late"] = s.get("late", np.zeros_like(g)), g
    return step(p, late, s, o, t)


# A name, and the change: a function of the right step and of what was fitted. The first that explains all is named.
VARIANTS = {
    "never updated": _calling(lambda step, p, g, s, o, t: p),
    "first step only": _calling(lambda step, p, g, s, o, t: step(p, g, s, o, t) if t == 1 else p),
    "momentum ignored": _having(momentum=0),
    "dampening ignored": _having(dampening=0),
    "nesterov ignored": _having(nesterov=False),
    "amsgrad ignored": _having(amsgrad=False),
    "centered ignored": _having(centered=False),
    "lr_decay ignored": _having(lr_decay=0),
    "initial_accumulator_value ignored": _having(initial_accumulator_value=0),
    "maximize ignored": _having(maximize=False),
    "bias correction missing": _having(corrects_first=False, corrects_second=False),
    "bias correction missing in the first moment": _having(corrects_first=False),
    "bias correction missing in the second moment": _having(corrects_second=False),
    "eps missing": _having(eps=0),
    "eps inside the root": _having(eps_place="inside the root"),
    "eps added before the bias correction": _having(eps_place="before the bias correction"),
    "square root missing": _having(root=False),
    "weight decay missing": _having(weight_decay=0),
    "weight decay with the wrong sign": _having(weight_decay=lambda o: -o.weight_decay),
    "weight decay not multiplied by lr": _having(decay_times_lr=False),
    "weight decay decoupled, where it belongs to the gradient": _having(decoupled=True),
    "weight decay added to the gradient, where it should be decoupled": _having(decoupled=False),
    "first step dampened, too": _having(dampen_first=True),
    "nesterov, where it was not asked for": _having(nesterov=True),
    "lr inside the velocity": _having(lr_in_velocity=True),
    "alpha and 1 - alpha exchanged": _having(alpha=lambda o: 1 - o.alpha),
    "betas and 1 - betas exchanged": _having(betas=lambda o: tuple(1 - beta for beta in o.betas)),
    "betas swapped": _having(betas=lambda o: o.betas[::-1]),
    "state not updated": _calling(lambda step, p, g, s, o, t: step(p, g, {}, o, t)),
    "steps not counted, the count stays at 1": _calling(lambda step, p, g, s, o, t: step(p, g, s, o, 1)),
    "steps counted from 2": _calling(lambda step, p, g, s, o, t: step(p, g, s, o, t + 1)),
    "gradient of the previous step": _calling(_previous),
    "wrong sign of the step": _having(lr=lambda o: -o.lr),
    "wrong sign of the gradient": _having(maximize=lambda o: not o.maximize),
    "change of lr ignored": lambda step, fit: _having(lr=fit.lr)(step, fit),
    "lr ignored": lambda step, fit: _having(lr=fit.lr * fit.factor)(step, fit),
    "constant factor": lambda step, fit: _having(lr=lambda o: o.lr * fit.factor)(step, fit),
}
