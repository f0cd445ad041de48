"""Adagrad."""

from .optimizer import Optimizer


class Adagrad(Optimizer):
    """A learning rate per parameter, that shrinks with the sum of its squared gradients.

        g <- grad + weight_decay p              (grad negated first if `maximize`)
        s <- s + g^2                            (s starts at `initial_accumulator_value`)
        p <- p - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps)

    t counts the steps from 1. Raises ValueError for a negative hyperparameter.

    This is the diagonal form. Reference: Duchi, Hazan and Singer 2011, section 1.1.

    Example:
        >>> import minigrad
        >>> w = minigrad.tensor(4.0, requires_grad=True)
        >>> optimizer = minigrad.optim.Adagrad([w], lr=1.0)
        >>> for _ in range(2):
        ...     optimizer.zero_grad()
        ...     (3 * w).backward()
        ...     optimizer.step()
        >>> w  # 4 - 3 / sqrt(9) - 3 / sqrt(18)
        tensor(2.2929, requires_grad=True)
    """

    def __init__(
        self, params, lr=1e-2, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10, *, maximize=False
    ):
        defaults = dict(
            lr=lr, lr_decay=lr_decay, weight_decay=weight_decay, initial_accumulator_value=initial_accumulator_value,
            eps=eps, maximize=maximize,
        )  # fmt: skip
        super().__init__(params, defaults)

    def check(self, group):
        self.require(group, lr=0, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=0)

    def initial_state(self, group):
        return {"sum": group["initial_accumulator_value"]}

    def update(self, kernel, group, step, fresh, parameters, gradients, sum):
        kernel.adagrad(
            parameters, gradients, sum,
            lr=group["lr"], lr_decay=group["lr_decay"], weight_decay=group["weight_decay"], eps=group["eps"],
            maximize=group["maximize"], step=step,
        )  # fmt: skip
