from .dtypes import float32, float64, int64, int32, uint8
from .dtypes import bool_ as bool
from .tensor import Tensor
from .ops import *
from .random import Generator, manual_seed
from . import autograd
from .autograd import enable_grad, gradcheck, is_grad_enabled, no_grad, set_grad_enabled
