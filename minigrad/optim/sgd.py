"""Stochastic gradient descent."""

from .optimizer import Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum or Nesterov momentum where asked for.

        g <- grad + weight_decay p              (grad negated first if `maximize`)
        b <- momentum b + (1 - dampening) g     (b = g in the first step)
        p <- p - lr b,  or with `nesterov`  p <- p - lr (g + momentum b)

    Args:
        lr: the learning rate, >= 0.
        momentum: how much of the last velocity is kept; 0 keeps none and no state.
        dampening, weight_decay, nesterov, maximize: as above.

    The learning rate stands outside b, so changing it rescales the accumulated velocity, too.

    Reference: Polyak 1964; Nesterov's form as in Sutskever et al. 2013, rewritten for the parameters
    at the look-ahead point.

    Example:
        >>> import minigrad
        >>> w = minigrad.tensor(4.0, requires_grad=True)
        >>> optimizer = minigrad.optim.SGD([w], lr=0.3)
        >>> for _ in range(2):
        ...     optimizer.zero_grad()
        ...     (w * w).backward()
        ...     optimizer.step()
        >>> w
        tensor(0.6400, requires_grad=True)
    """

    def __init__(self, params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, *, maximize=False):
        defaults = dict(
            lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov, maximize=maximize
        )
        super().__init__(params, defaults)

    def check(self, group):
        self.require(group, lr=0, momentum=0, weight_decay=0)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("SGD: nesterov needs momentum > 0 and dampening = 0")

    def initial_state(self, group):
        return {"momentum_buffer": 0.0} if group["momentum"] else {}

    def update(self, kernel, group, step, fresh, parameters, gradients, momentum_buffer=None):
        kernel.sgd(
            parameters, gradients, momentum_buffer,
            lr=group["lr"], momentum=group["momentum"], dampening=group["dampening"], nesterov=group["nesterov"],
            weight_decay=group["weight_decay"], maximize=group["maximize"], first=fresh,
        )  # fmt: skip
