"""Optimizers that are planted for check_optimizer to find, each with the cause that it must name."""

import numpy as np

import minigrad
from minigrad import optim

# ---- minigrad's own, tampered with ----


def tampered(kind, **changes):
    """`kind` that reads some options as others; `step` is the step count."""

    class Tampered(kind):
        def update(self, kernel, group, step, *arrays, **state):
            count = changes.get("step", lambda t: t)(step)
            read = {**group, **{name: value for name, value in changes.items() if name != "step"}}
            super().update(kernel, read, count, *arrays, **state)

    return Tampered


def around(kind, change):
    """`kind` whose step is followed by change(values before, values after, t), the values that it shall have."""

    class Around(kind):
        def step(self):
            parameters = self.param_groups[0]["params"]
            before = [p.detach().clone().numpy() for p in parameters]
            super().step()
            for old, p in zip(before, parameters):
                after = p.detach().numpy()
                after[...] = change(old, after.copy(), self.steps)

    return Around


class Forgetful(optim.Adam):
    def step(self):
        for state in self.state.values():
            state["exp_avg"].zero_(), state["exp_avg_sq"].zero_()
        super().step()


class Late(optim.SGD):
    def step(self):
        parameters = self.param_groups[0]["params"]
        new = [p.grad for p in parameters]
        for i, p in enumerate(parameters):
            if p.grad is not None:
                p.grad, old = self.__dict__.get(i, minigrad.zeros_like(p)), p.grad
                self.__dict__[i] = old
        super().step()
        for p, g in zip(parameters, new):
            p.grad = g


class Deaf(optim.SGD):
    """Reads lr once."""

    def step(self):
        kept = self.__dict__.setdefault("kept", self.param_groups[0]["lr"])
        now, self.param_groups[0]["lr"] = self.param_groups[0]["lr"], kept
        super().step()
        self.param_groups[0]["lr"] = now


class Greedy(optim.SGD):
    """Adds weight decay to p.grad itself."""

    def step(self):
        for p in self.param_groups[0]["params"]:
            if p.grad is not None:
                p.grad.mul_(2)
        super().step()


class Widening(optim.SGD):
    def step(self):
        super().step()
        for p in self.param_groups[0]["params"]:
            p.data = p.data.double()


def only(where, change):
    """`change` at some places of the flat parameter, chosen by its size."""

    def changed(old, new, t):
        flat, wrong = new.reshape(-1), np.asarray(change(old, new, t)).reshape(-1)
        chosen = where(flat.size)
        flat[chosen] = wrong[chosen]
        return flat.reshape(new.shape)

    return changed


def kept(old, new, t):
    return old


def back(old, new, t):
    return 2 * old - new


TAMPERED = [
    ("never updated", around(optim.SGD, kept), {}),
    ("first step only", around(optim.Adam, lambda old, new, t: new if t == 1 else old), {}),
    ("wrong sign of the step", around(optim.AdamW, back), {}),
    ("wrong sign of the gradient", tampered(optim.RMSprop, maximize=True), {"weight_decay": 0.1}),
    ("constant factor 2", around(optim.SGD, lambda old, new, t: 2 * new - old), {"momentum": 0.9}),
    ("constant factor 1.01", around(optim.Adam, lambda old, new, t: old + 1.01 * (new - old)), {}),
    ("lr ignored", tampered(optim.Adagrad, lr=1.0), {}),
    ("lr ignored", tampered(optim.Adam, lr=1e-3), {"lr": 0.02}),
    ("change of lr ignored", Deaf, {"lr": 0.02}),
    ("nesterov, where it was not asked for", tampered(optim.SGD, nesterov=True), {"momentum": 0.9}),
    ("alpha and 1 - alpha exchanged", tampered(optim.RMSprop, alpha=0.1), {"alpha": 0.9}),
    ("betas and 1 - betas exchanged", tampered(optim.Adam, betas=(0.1, 0.01)), {"betas": (0.9, 0.99)}),
    ("gradient of the previous step", Late, {}),
    ("gradient written", Greedy, {}),
    ("state not updated", Forgetful, {}),
    ("steps not counted", tampered(optim.Adam, step=lambda t: 1), {}),
    ("steps counted from 2", tampered(optim.AdamW, step=lambda t: t + 1), {}),
    ("bias correction missing", tampered(optim.Adam, step=lambda t: 10**9), {}),
    ("betas swapped", tampered(optim.Adam, betas=(0.999, 0.9)), {}),
    ("eps missing", tampered(optim.RMSprop, eps=0), {}),
    ("weight decay missing", tampered(optim.AdamW, weight_decay=0), {}),
    ("weight decay with the wrong sign", tampered(optim.SGD, weight_decay=-0.1), {"weight_decay": 0.1}),
    ("momentum ignored", tampered(optim.SGD, momentum=0), {"momentum": 0.9}),
    ("dampening ignored", tampered(optim.SGD, dampening=0), {"momentum": 0.9, "dampening": 0.5}),
    ("nesterov ignored", tampered(optim.SGD, nesterov=False), {"momentum": 0.9, "nesterov": True}),
    ("maximize ignored", tampered(optim.Adagrad, maximize=False), {"maximize": True}),
    ("lr_decay ignored", tampered(optim.Adagrad, lr_decay=0), {"lr_decay": 0.1}),
    ("never updated, in the elements left over by vectors of 4",
     around(optim.Adam, only(lambda n: slice(n - n % 4, n), kept)), {}),
    ("constant factor 2, in the elements left over by vectors of 8",
     around(optim.SGD, only(lambda n: slice(n - n % 8, n), lambda old, new, t: 2 * new - old)), {}),
    ("never updated, in the first element", around(optim.AdamW, only(lambda n: slice(0, 1), kept)), {}),
    ("wrong sign of the step, in the last element", around(optim.Adagrad, only(lambda n: slice(n - 1, n), back)), {}),
    ("never updated, in parameters of shape (33,) only",
     around(optim.RMSprop, only(lambda n: slice(0, n if n == 33 else 0), kept)), {}),
    ("unknown", around(optim.SGD, lambda old, new, t: new + 1e-3 * np.sin(old)), {}),
    ("dtype changed to float64", Widening, {}),
    ("not finite", around(optim.SGD, lambda old, new, t: new / (t != 3)), {}),
]  # fmt: skip


# ---- written from scratch ----


class Own:
    """An optimizer in plain NumPy, from a function of p, g, the state of p and the options, counted from 1."""

    def __init__(self, params, rule, **options):
        self.rule, self.param_groups, self.states = rule, [{"params": params, **options}], [{"t": 0} for _ in params]

    def step(self):
        for p, s in zip(self.param_groups[0]["params"], self.states):
            if p.grad is not None:
                s["t"] += 1
                p.data = minigrad.from_numpy(np.asarray(self.rule(p.data.numpy(), p.grad.numpy(), s, **self.options)))

    @property
    def options(self):
        return {name: value for name, value in self.param_groups[0].items() if name != "params"}


def moments(g, s, beta1=0.9, beta2=0.99):
    s["m"] = beta1 * s.get("m", 0) + (1 - beta1) * g
    s["v"] = beta2 * s.get("v", 0) + (1 - beta2) * g * g
    return s["m"] / (1 - beta1 ** s["t"]), s["v"] / (1 - beta2 ** s["t"])


def adam(place):
    def rule(p, g, s, lr, betas, eps, weight_decay=0):
        m, v = moments(g, s)
        if place == "inside":
            return p - lr * m / np.sqrt(v + eps)
        if place == "before":
            c = (1 - 0.99 ** s["t"]) ** 0.5
            return p - lr * m / ((np.sqrt(v) * c + eps) / c)
        if place == "no root":
            return p - lr * m / (v + eps)
        if place == "first moment":
            return p - lr * m * (1 - 0.9 ** s["t"]) / (np.sqrt(v) + eps)
        if place == "second moment":
            return p - lr * m / (np.sqrt(v * (1 - 0.99 ** s["t"])) + eps)
        if place == "decay without lr":
            return p - lr * m / (np.sqrt(v) + eps) - weight_decay * p
        return p - lr * m / (np.sqrt(v) + eps)

    return rule


ADAM = dict(lr=0.02, betas=(0.9, 0.99), eps=1e-6)


def momentum_sgd(p, g, s, lr, momentum, dampening):
    s["b"] = momentum * s.get("b", 0) + (1 - dampening) * g
    return p - lr * s["b"]


def velocity_of_steps(p, g, s, lr, momentum):
    s["v"] = momentum * s.get("v", 0) + lr * g
    return p - s["v"]


def rmsprop_velocity_of_steps(p, g, s, lr, alpha, eps, momentum):
    s["s"] = alpha * s.get("s", 0) + (1 - alpha) * g * g
    s["v"] = momentum * s.get("v", 0) + lr * g / (np.sqrt(s["s"]) + eps)
    return p - s["v"]


WRITTEN = [
    ("lr inside the velocity", "SGD", velocity_of_steps, dict(lr=0.1, momentum=0.9)),
    ("lr inside the velocity", "RMSprop", rmsprop_velocity_of_steps, dict(lr=0.1, alpha=0.9, eps=1e-6, momentum=0.7)),
    ("eps inside the root", "Adam", adam("inside"), ADAM),
    ("eps added before the bias correction", "Adam", adam("before"), ADAM),
    ("square root missing", "Adam", adam("no root"), ADAM | {"eps": 1e-3}),
    ("bias correction missing in the first moment", "Adam", adam("first moment"), ADAM),
    ("bias correction missing in the second moment", "Adam", adam("second moment"), ADAM),
    ("weight decay not multiplied by lr", "AdamW", adam("decay without lr"), ADAM | {"weight_decay": 0.1}),
    ("first step dampened, too", "SGD", momentum_sgd, dict(lr=0.1, momentum=0.9, dampening=0.3)),
]
