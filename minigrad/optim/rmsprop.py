"""RMSprop."""

from .optimizer import Optimizer


class RMSprop(Optimizer):
    """Gradients divided by a running root mean square of themselves.

        g <- grad + weight_decay p              (grad negated first if `maximize`)
        v <- alpha v + (1 - alpha) g^2
        with `centered`:  a <- alpha a + (1 - alpha) g,  and v - a^2 in place of v below
        without momentum: p <- p - lr g / (sqrt(v) + eps)
        with momentum:    b <- momentum b + g / (sqrt(v) + eps),  p <- p - lr b

    v, a and b start at 0; eps stands outside the root. Raises ValueError for a negative hyperparameter.

    Reference: Hinton, Srivastava and Swersky, lecture 6e, 2012; the centred form: Graves 2013, eq. 38
    to 41.

    Example:
        >>> import minigrad
        >>> w = minigrad.tensor(4.0, requires_grad=True)
        >>> (3 * w).backward()
        >>> minigrad.optim.RMSprop([w], lr=0.1, alpha=0.75).step()  # 4 - 0.1 * 3 / sqrt(0.25 * 9)
        >>> w
        tensor(3.8000, requires_grad=True)
    """

    def __init__(
        self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False, *, maximize=False
    ):
        defaults = dict(
            lr=lr, alpha=alpha, eps=eps, weight_decay=weight_decay, momentum=momentum, centered=centered, maximize=maximize
        )
        super().__init__(params, defaults)

    def check(self, group):
        self.require(group, lr=0, alpha=0, eps=0, weight_decay=0, momentum=0)

    def initial_state(self, group):
        kept = {"square_avg": 0.0}
        if group["centered"]:
            kept["grad_avg"] = 0.0
        if group["momentum"]:
            kept["momentum_buffer"] = 0.0
        return kept

    def update(
        self, kernel, group, step, fresh, parameters, gradients, square_avg, grad_avg=None, momentum_buffer=None
    ):
        kernel.rmsprop(
            parameters, gradients, square_avg, grad_avg, momentum_buffer,
            lr=group["lr"], alpha=group["alpha"], eps=group["eps"], weight_decay=group["weight_decay"],
            momentum=group["momentum"], maximize=group["maximize"],
        )  # fmt: skip
