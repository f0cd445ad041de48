"""Learning rates that change while training. Call `step()` once per epoch, after the optimizer's."""

import math
import warnings

from ..graph import RepeatedMethods, tell_watcher
from .optimizer import Optimizer


class LRScheduler(RepeatedMethods):
    """The base of the schedulers by epoch: a subclass gives the rates of the groups for `self.last_epoch`.

    Args:
        optimizer: its groups' "lr" is what changes; "initial_lr" keeps the rate of epoch 0.
        last_epoch: the epoch to go on from; -1 starts anew.

    Raises:
        TypeError: for what is not an optimizer.
        KeyError: when `last_epoch` is given and a group has no "initial_lr".
    """

    not_saved = ("optimizer",)

    repeated_methods = ("step",)

    def __init__(self, optimizer, last_epoch=-1):
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(self).__name__}: expected an optimizer, got {type(optimizer).__name__}")
        self.optimizer, self.last_epoch = optimizer, last_epoch
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(f"{type(self).__name__}: group {i} needs 'initial_lr' to go on from epoch {last_epoch}")
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.steps_seen = None
        self._advance()

    def get_lr(self):
        """The rates of the epoch `self.last_epoch`, one per group: what a subclass defines."""
        raise NotImplementedError

    def get_last_lr(self):
        """The rates in force, one per group."""
        tell_watcher("it reads a learning rate")
        return self._last_lr

    def step(self):
        """Go on to the next epoch."""
        if self.steps_seen is None and self.optimizer.steps == 0:
            warnings.warn(
                "scheduler.step() was called before optimizer.step(), so the first rate is skipped. "
                "Call optimizer.step() first",
                stacklevel=3,  # `repeated` stands between
            )
        self.steps_seen = self.optimizer.steps
        self._advance()

    def _advance(self):
        self.last_epoch += 1
        self._set(self.get_lr())

    def _set(self, rates):
        for group, rate in zip(self.optimizer.param_groups, rates):
            group["lr"] = rate
        self._last_lr = list(rates)

    def state_dict(self):
        """Everything but the optimizer, for `minigrad.save`."""
        return {name: value for name, value in vars(self).items() if name not in self.not_saved}

    def load_state_dict(self, state_dict):
        """Take over what `state_dict` returned."""
        vars(self).update(state_dict)


class StepLR(LRScheduler):
    """Multiply the rate by `gamma` every `step_size` epochs: lr gamma^floor(epoch / step_size).

    Raises ValueError when `step_size` is not a positive integer.

    Example:
        >>> import minigrad
        >>> optimizer = minigrad.optim.SGD([minigrad.zeros(1, requires_grad=True)], lr=1.0)
        >>> scheduler = minigrad.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
        >>> for _ in range(4):
        ...     optimizer.step()
        ...     scheduler.step()
        >>> scheduler.get_last_lr()
        [0.25]
    """

    def __init__(self, optimizer, step_size, gamma=0.1, last_epoch=-1):
        if not isinstance(step_size, int) or step_size < 1:
            raise ValueError(f"StepLR: step_size must be a positive integer, got {step_size!r}")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        due = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return [group["lr"] * (self.gamma if due else 1) for group in self.optimizer.param_groups]


class ExponentialLR(LRScheduler):
    """Multiply the rate by `gamma` every epoch: lr gamma^epoch.

    Example:
        >>> import minigrad
        >>> optimizer = minigrad.optim.SGD([minigrad.zeros(1, requires_grad=True)], lr=1.0)
        >>> scheduler = minigrad.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
        >>> for _ in range(3):
        ...     optimizer.step()
        ...     scheduler.step()
        >>> scheduler.get_last_lr()
        [0.125]
    """

    def __init__(self, optimizer, gamma, last_epoch=-1):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        factor = self.gamma if self.last_epoch > 0 else 1
        return [group["lr"] * factor for group in self.optimizer.param_groups]


class ReduceLROnPlateau(LRScheduler):
    """Multiply the rate by `factor` once a metric has not improved for more than `patience` epochs.

    Args:
        mode: "min" if smaller is better, else "max".
        threshold: how much better counts: relative to the best, best (1 -+ threshold), in
            `threshold_mode` "rel", or absolute, best -+ threshold, in "abs".
        cooldown: epochs after a change in which nothing is counted.
        min_lr: a floor, for all groups or one each.
        eps: smaller changes are not made.

    As in PyTorch, "rel" with a negative best accepts slightly worse values; use "abs" there. A metric
    of NaN is never better.

    Raises:
        TypeError: for what is not an optimizer.
        ValueError: for a factor of 1 or more, an unknown mode, or a number of `min_lr` that does not fit.

    Example:
        >>> import minigrad
        >>> optimizer = minigrad.optim.SGD([minigrad.zeros(1, requires_grad=True)], lr=1.0)
        >>> scheduler = minigrad.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
        >>> for loss in (2.0, 1.0, 1.0, 1.0):  # the fourth is the second without improvement
        ...     scheduler.step(loss)
        >>> scheduler.get_last_lr()
        [0.5]
    """

    def __init__(
        self, optimizer, mode="min", factor=0.1, patience=10, threshold=1e-4, threshold_mode="rel", cooldown=0,
        min_lr=0, eps=1e-8,
    ):  # fmt: skip
        name = type(self).__name__
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{name}: expected an optimizer, got {type(optimizer).__name__}")
        if not factor < 1:
            raise ValueError(f"{name}: factor must be < 1, got {factor}")
        if mode not in ("min", "max"):
            raise ValueError(f"{name}: mode must be 'min' or 'max', got {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"{name}: threshold_mode must be 'rel' or 'abs', got {threshold_mode!r}")
        groups = optimizer.param_groups
        self.min_lr = list(min_lr) if isinstance(min_lr, tuple) else min_lr
        self._floors(groups)
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown, self.eps = threshold, threshold_mode, cooldown, eps
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = self.last_epoch = 0
        self._last_lr = [group["lr"] for group in groups]

    def is_better(self, metric):
        """Whether `metric` improves on the best so far by more than the threshold."""
        margin = self.threshold if self.mode == "max" else -self.threshold
        bound = self.best * (1 + margin) if self.threshold_mode == "rel" else self.best + margin
        return metric > bound if self.mode == "max" else metric < bound

    def step(self, metrics):
        """Report the metric of an epoch, a number or a tensor of one value."""
        metric = float(metrics)
        self.last_epoch += 1
        if self.is_better(metric):
            self.best, self.num_bad_epochs = metric, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def _floors(self, groups):
        floors = self.min_lr if isinstance(self.min_lr, list) else [self.min_lr] * len(groups)
        if len(floors) != len(groups):
            raise ValueError(
                f"{type(self).__name__}: got {len(floors)} values of min_lr for {len(groups)} parameter groups"
            )
        return floors

    def _reduce(self):
        groups = self.optimizer.param_groups
        for group, floor in zip(groups, self._floors(groups)):
            rate = max(group["lr"] * self.factor, floor)
            if group["lr"] - rate > self.eps:
                group["lr"] = rate
