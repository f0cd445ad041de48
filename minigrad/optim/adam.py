"""Adam and AdamW."""

from .optimizer import Optimizer


class Adam(Optimizer):
    """Momentum and a learning rate per parameter, from running means of the gradient and its square.

        g <- grad + weight_decay p              (grad negated first if `maximize`)
        m <- beta1 m + (1 - beta1) g
        v <- beta2 v + (1 - beta2) g^2
        p <- p - lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)

    m and v start at 0; t counts the steps from 1. With `amsgrad` the largest v so far takes the place of
    v in the last line. Weight decay is added to the gradient; `AdamW` decouples it.

    Raises ValueError for a beta outside [0, 1), or a negative lr, eps or weight_decay.

    Reference: Kingma and Ba 2015, algorithm 1; Reddi, Kale and Kumar 2018, algorithm 2, with the
    maximum taken before the bias correction, as in PyTorch.

    Example:
        >>> import minigrad
        >>> w = minigrad.tensor(4.0, requires_grad=True)
        >>> (3 * w).backward()
        >>> minigrad.optim.Adam([w], lr=0.1).step()  # the first step is lr times the sign of the gradient
        >>> w
        tensor(3.9000, requires_grad=True)
    """

    function = "adam"

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False, *, maximize=False
    ):
        defaults = dict(
            lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize
        )
        super().__init__(params, defaults)

    def check(self, group):
        self.require(group, lr=0, eps=0, weight_decay=0)
        if len(group["betas"]) != 2:
            raise ValueError(f"{self._name}: betas must be two numbers, got {group['betas']}")
        for i, beta in enumerate(group["betas"]):
            if not 0 <= beta < 1:
                raise ValueError(f"{self._name}: betas[{i}] must be in [0, 1), got {beta}")

    def initial_state(self, group):
        kept = {"exp_avg": 0.0, "exp_avg_sq": 0.0}
        if group["amsgrad"]:
            kept["max_exp_avg_sq"] = 0.0
        return kept

    def update(self, kernel, group, step, fresh, parameters, gradients, exp_avg, exp_avg_sq, max_exp_avg_sq=None):
        beta1, beta2 = group["betas"]
        getattr(kernel, self.function)(
            parameters, gradients, exp_avg, exp_avg_sq, max_exp_avg_sq,
            lr=group["lr"], beta1=beta1, beta2=beta2, eps=group["eps"], weight_decay=group["weight_decay"],
            maximize=group["maximize"], step=step,
        )  # fmt: skip


class AdamW(Adam):
    """Adam with decoupled weight decay: p <- (1 - lr weight_decay) p before the step, g is the bare gradient.

    Arguments, state and errors are those of `Adam`; only the default of weight_decay differs.

    Reference: Loshchilov and Hutter 2019, algorithm 2, the decay multiplied by the learning rate as in
    PyTorch.

    Example:
        >>> import minigrad
        >>> w = minigrad.tensor(4.0, requires_grad=True)
        >>> (3 * w).backward()
        >>> minigrad.optim.AdamW([w], lr=0.1, weight_decay=0.5).step()  # (1 - 0.05) 4 - 0.1
        >>> w
        tensor(3.7000, requires_grad=True)
    """

    function = "adamw"

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, *, maximize=False
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
