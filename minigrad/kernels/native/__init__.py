"""The compiled kernels, with the functions of `reference`.

Everything C reads or writes is checked for dtype, size and layout, so no call reaches outside an array.
"""

from .elementary import exp, log, log1p, log1p_near_0
from .extension import config, instruction_set, instruction_sets, set_instruction_set
from .layers import matmul, relu, relu_backward, sum_rows
from .losses import (
    binary_cross_entropy, binary_cross_entropy_with_logits, cross_entropy, cross_entropy_probabilities, huber_loss,
    l1_loss, mse_loss, multi_margin_loss, smooth_l1_loss,
)
from .optimizers import adagrad, adam, adamw, rmsprop, sgd
from .recording import recording
from .stream import make_stream

__all__ = [
    "adagrad", "adam", "adamw", "binary_cross_entropy", "binary_cross_entropy_with_logits", "config", "cross_entropy",
    "cross_entropy_probabilities", "exp", "huber_loss", "instruction_set", "instruction_sets", "l1_loss", "log", "log1p",
    "log1p_near_0", "make_stream", "matmul", "mse_loss", "multi_margin_loss", "recording", "relu", "relu_backward",
    "rmsprop", "set_instruction_set", "sgd", "smooth_l1_loss", "sum_rows",
]
