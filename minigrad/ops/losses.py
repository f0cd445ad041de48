"""The losses: one fused kernel each, and the formula it computes, written with primitives.

The kernel returns the value and, where one is wanted, the gradient for `input`, from one trip over
memory; backward only multiplies by what flows in. The formula serves where that is not enough: when
the backward pass is itself differentiated, and when another argument than `input` requires grad.
"""

import numpy as np

from .. import kernels
from ..graph import Node, grad_mode
from ..primitive import NO_OPTIONS, primitive
from ..tensor import Tensor, current_node, gradients, wrap
from .elementwise import abs, clamp, log, relu, softplus, where
from .indexing import getitem
from .reductions import log_softmax


class FusedLoss:
    """The loss whose kernel is called like `formula`: computes value and gradient, and records one node.

    Arguments go by position. Those before the slash are tensors, or None; the others reach the kernel as they are.
    """

    saves, reads_result = True, False  # saves the gradient

    def __init__(self, formula):
        self.formula, self.__name__ = formula, formula.__name__
        self.tensors = formula.__code__.co_posonlyargcount
        self.others = (None,) * (formula.__code__.co_argcount - 1)  # the parents of all but `input`
        self.rules, self.reads = (self.backward,), (tuple(range(self.tensors)),)  # as backward of backward does

    @property
    def forward(self):
        """(value, gradient) of arrays, by the kernels in use."""
        return getattr(kernels.active, self.__name__)

    def apply(self, *args):
        """The loss as a tensor."""
        arrays, tracked = [], 0
        for arg in args[: self.tensors]:
            if isinstance(arg, Tensor):
                arrays.append(arg.array)
                if arg.node is not None or arg.view_of is not None:
                    tracked += 1
            elif arg is None and len(arrays) > 1:
                arrays.append(None)
            else:
                self.refuse(arg, len(arrays))
        arrays += args[self.tensors :]
        node = current_node(args[0]) if tracked and grad_mode.enabled else None
        value, gradient = self.forward(*arrays, node is not None)
        if tracked > (node is not None) and grad_mode.enabled:
            if any(arg is not None and arg.requires_grad for arg in args[1 : self.tensors]):
                with np.errstate(all="ignore"):
                    return self.formula(*args)  # the kernel has refused what does not fit
        if node is not None:
            node = Node(self, (node, *self.others), arrays, gradient, NO_OPTIONS)
        out = wrap(value, node)
        if grad_mode.watcher is not None:
            grad_mode.watcher.call(self, args, arrays, {"need_gradient": node is not None}, value, out)
        return out

    def refuse(self, arg, position):
        argument = self.formula.__code__.co_varnames[position]
        raise TypeError(f"{self.__name__}(): {argument} must be a tensor, got {type(arg).__name__}")

    def backward(self, grad, gradient, input, *others):
        if isinstance(grad, Tensor):
            with np.errstate(all="ignore"):  # NaN is the answer where a mean has no elements
                loss = self.formula(input, *others)
                return gradients([loss], [input], [grad], create_graph=True)[0]
        if grad.ndim == 0:
            return gradient if grad.item() == 1 else gradient * grad
        return gradient * grad.reshape(grad.shape + (1,) * (gradient.ndim - grad.ndim))


fused = FusedLoss  # reads better over a formula


def _reduced(loss, reduction, total_weight=None):
    if reduction == "none":
        return loss
    total = loss.sum()
    if reduction == "sum":
        return total
    return total / (loss.numel() if total_weight is None else total_weight)


@fused
def mse_loss(input, target, /, reduction):
    difference = input - target
    return _reduced(difference * difference, reduction)


@fused
def l1_loss(input, target, /, reduction):
    return _reduced(abs(input - target), reduction)


@fused
def smooth_l1_loss(input, target, /, beta, reduction):
    size = abs(input - target)
    if beta == 0:
        return _reduced(size, reduction)
    return _reduced(where(size < beta, size * size * (0.5 / beta), size - 0.5 * beta), reduction)


@fused
def huber_loss(input, target, /, delta, reduction):
    size = abs(input - target)
    return _reduced(where(size < delta, size * size * 0.5, (size - 0.5 * delta) * delta), reduction)


def _cut_off_log(x):
    """max(log x, -100); the inner bound lies below e^-100."""
    return clamp(log(clamp(x, min=1e-45)), min=-100.0)


# A primitive, because its slope in p at 0 and 1 is not that of the cut-off logarithm but PyTorch's, as the kernel's.
log_loss = primitive(lambda p, t: -(t * _cut_off_log(p) + (1.0 - t) * _cut_off_log(1.0 - p)), "log_loss", promotes="same")
log_loss.vjps(
    lambda grad, _out, p, t: grad * (p - t) / clamp(p * (1.0 - p), min=1e-12),
    lambda grad, _out, p, _t: grad * (_cut_off_log(1.0 - p) - _cut_off_log(p)),
)


@fused
def binary_cross_entropy(input, target, weight, /, reduction):
    loss = log_loss(input, target)
    return _reduced(loss if weight is None else loss * weight, reduction)


@fused
def binary_cross_entropy_with_logits(input, target, weight, pos_weight, /, reduction):
    positive = 1.0 if pos_weight is None else 1.0 + (pos_weight - 1.0) * target
    loss = (1.0 - target) * input + positive * softplus(-input)
    return _reduced(loss if weight is None else loss * weight, reduction)


def _numbers(x):
    return x.array if isinstance(x, Tensor) else x


def _of_targets(logp, target, weight, ignore_index):
    """Of each row: -logp[target] times the weight of that class, the weight, and whether it counts."""
    counts = target != ignore_index
    kept, target = counts.astype(logp.dtype), np.where(counts, target, 0)
    row_weight = kept if weight is None else getitem(weight, index=(target,)) * kept
    return where(counts, -getitem(logp, index=(np.arange(len(target)), target)), 0.0) * row_weight, row_weight, counts


def negative_log_likelihood(logp, target, weight, ignore_index, reduction):
    """The loss on log-probabilities, without a kernel."""
    loss, row_weight, _ = _of_targets(logp, target, weight, ignore_index)
    with np.errstate(all="ignore"):
        return _reduced(loss, reduction, row_weight.sum())


@fused
def cross_entropy(input, target, weight, /, ignore_index, label_smoothing, reduction):
    logp = log_softmax(input, 1)
    loss, row_weight, counts = _of_targets(logp, _numbers(target), weight, ignore_index)
    if label_smoothing:
        smooth = where(counts, -(logp if weight is None else logp * weight).sum(1), 0.0)
        loss = (1.0 - label_smoothing) * loss + (label_smoothing / input.shape[1]) * smooth
    return _reduced(loss, reduction, row_weight.sum())


@fused
def cross_entropy_probabilities(input, target, weight, /, label_smoothing, reduction):
    if label_smoothing:
        target = target * (1.0 - label_smoothing) + label_smoothing / input.shape[1]
    products = log_softmax(input, 1) * target
    return _reduced(-(products if weight is None else products * weight).sum(1), reduction)


@fused
def multi_margin_loss(input, target, weight, /, p, margin, reduction):
    target = _numbers(target)
    rows = np.arange(len(target))
    excess = relu(input - getitem(input, index=(rows, target)).unsqueeze(1) + margin)
    others = np.ones(input.shape, input.dtype)
    others[rows, target] = 0
    loss = ((excess if p == 1 else excess * excess) * others).sum(1) / input.shape[1]
    return _reduced(loss if weight is None else loss * getitem(weight, index=(target,)), reduction)
