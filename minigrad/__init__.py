"""minigrad: reverse-mode automatic differentiation on NumPy, with C kernels for losses and optimizers."""

from . import autograd, cuda, kernels, nn, optim, utils
from .autograd import GradcheckError, enable_grad, gradcheck, gradgradcheck, is_grad_enabled, no_grad, set_grad_enabled
from .cuda import device
from .dtypes import bool_ as bool
from .dtypes import float32, float64, int32, int64, uint8
from .dtypes import float32 as float
from .dtypes import float64 as double
from .dtypes import int32 as int
from .dtypes import int64 as long
from .gradcheck import check_optimizer
from .kernels import get_num_threads, set_num_threads
from .ops import *
from .program import jit
from .random import Generator, manual_seed
from .serialization import load, save
from .tensor import Tensor

__version__ = "0.1.0"


def show_config():
    """Print what runs: kernels, instruction set, compiler, threads, NumPy and its BLAS."""
    import platform

    import numpy as np

    blas = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    lines = {
        "minigrad": __version__,
        **kernels.config(),
        "Python": platform.python_version(),
        "NumPy": f"{np.__version__}, BLAS {blas.get('name')} {blas.get('version')}",
    }
    for name, value in lines.items():
        print(f"{name:27} {', '.join(value) if isinstance(value, (list, tuple)) else value}")
