"""Clipping gradients between backward() and the optimizer's step."""

import math

import numpy as np

from ..graph import repeated, touch
from ..tensor import Tensor, wrap


def _gradients(parameters):
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


@repeated
def clip_grad_norm_(parameters, max_norm, norm_type=2.0):
    """Scale all gradients together, in place, so that their common norm is at most `max_norm`.

    The norm is that of all gradients as one vector; `norm_type` may be inf. Returns it, as it was
    before. Reference: Pascanu, Mikolov and Bengio 2013, algorithm 1.

    Example:
        >>> import minigrad
        >>> w = minigrad.tensor([0.0, 0.0], requires_grad=True)
        >>> (w * minigrad.tensor([3.0, 4.0])).sum().backward()
        >>> minigrad.nn.utils.clip_grad_norm_([w], max_norm=1.0)
        tensor(5.)
        >>> w.grad
        tensor([0.6000, 0.8000])
    """
    gradients = _gradients(parameters)
    norms = [float(np.linalg.norm(g.array.reshape(-1), norm_type)) if g.numel() else 0.0 for g in gradients]
    total = float(np.linalg.norm(norms, norm_type)) if norms else 0.0
    scale = max_norm / (total + 1e-6)
    if scale < 1 or math.isnan(scale):
        for gradient in gradients:
            gradient.array *= gradient.dtype.type(scale)
            touch(gradient.array)
    return wrap(np.asarray(total, gradients[0].dtype if gradients else np.float32))


@repeated
def clip_grad_value_(parameters, clip_value):
    """Limit every element of all gradients to [-clip_value, clip_value], in place."""
    for gradient in _gradients(parameters):
        np.clip(gradient.array, -clip_value, clip_value, out=gradient.array)
        touch(gradient.array)
