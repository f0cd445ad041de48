"""What can be measured: one line per kernel, and how a size becomes shapes."""

import fnmatch
import re
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np

LARGEST = 1 << 24  # elements that a size named by where it lives may have
CLASSES = 100  # in a row, where a loss over rows is given a plain number of elements


@dataclass(frozen=True)
class Kernel:
    """A line of the table.

    `function` is what the public API calls it; `draws` says how its input and target are drawn; `torch` holds
    what PyTorch is asked for beside `options`; `runs` are the functions of minigrad.kernels behind it. `updated`,
    `read` and `written` count the arrays, all of the size of the input, that must cross the memory bus both ways,
    inwards and outwards; `products` the matrix products, where these take the time.
    """

    name: str
    family: str
    function: str
    formula: str
    runs: tuple = ()
    draws: tuple = ()
    options: dict = field(default_factory=dict)
    torch: dict = field(default_factory=dict)
    updated: int = 0
    read: int = 0
    written: int = 0
    products: int = 0

    @property
    def arrays(self):
        """Those counts in words."""
        counts = {"updated": self.updated, "read": self.read, "written": self.written}
        return ", ".join(f"{count} {what}" for what, count in counts.items() if count)

    def bytes_per_element(self, dtype):
        """What must move per element: an updated array counts twice."""
        return (2 * self.updated + self.read + self.written) * np.dtype(dtype).itemsize


class Family(NamedTuple):
    """What kernels have in common: the call that is timed, its sizes by default, and with --all if those differ."""

    call: str
    sizes: str
    all_sizes: str = ""


FAMILIES = {
    "loss": Family(
        "x.grad = None; nn.functional.<name>(x, t).backward()",
        "640,L2,memory", "640,10240,163840,2621440,16777216",
    ),
    "loss over rows": Family(
        "x.grad = None; nn.functional.<name>(x, t).backward() for x of (rows, classes)",
        "64x10,1024x10,4096x1000", "64x10,1024x10,4096x1000,2048x8000",
    ),
    "optimizer": Family(
        "optimizer.step() for an MLP's parameters, or for one tensor, or K tensors of MxN (KxMxN)",
        "784-128-10,memory", "784-128-10,100x64x64,4096x4096",
    ),
    "activation": Family(
        "x.grad = None; nn.functional.<name>(x).backward(upstream)",
        "640,64x512,memory", "640,64x512,262144,2621440,16777216",
    ),
    "linear": Family(
        "x, W, b: .grad = None; nn.functional.linear(x, W, b).backward(upstream); rows x inputs x outputs",
        "64x784x128,128x784x512,128x512x512,256x3072x1024",
    ),
    "engine": Family("forward and backward, recorded and walked; no kernel", "4x4"),
    "step": Family(
        "zero_grad, forward, cross-entropy, backward, Adam; layers@batch",
        "2-16-16-2@32,784-128-10@64,784-512-512-10@128,3072-1024-1024-10@256",
    ),
}  # fmt: skip


def _loss(name, formula, target="normal", input="normal"):
    return Kernel(name, "loss", name, formula, (name,), (input, target), read=2, written=1)


def _row_loss(name, formula, target, function=None):
    read = 1 if target == "classes" else 2  # class indices are counted apart: one per row
    return Kernel(name, "loss over rows", function or name, formula, (name,), ("normal", target), read=read, written=1)


def _optimizer(name, function, formula, updated, fused=True, **options):
    torch = {"fused": True} if fused else {}
    runs = (function.lower(),)
    return Kernel(name, "optimizer", function, formula, runs, (), options, torch, updated=updated, read=1)


KERNELS = {
    kernel.name: kernel
    for kernel in (
        _loss("mse_loss", "(x - t)^2"),
        _loss("l1_loss", "|x - t|"),
        _loss("smooth_l1_loss", "d^2/2 where d = |x - t| < 1, else d - 1/2"),
        _loss("huber_loss", "d^2/2 where d = |x - t| < 1, else d - 1/2"),
        _loss("binary_cross_entropy", "-(t log x + (1 - t) log(1 - x))", "uniform", "uniform"),
        _loss("binary_cross_entropy_with_logits", "-(t log s + (1 - t) log(1 - s)), s = sigmoid(x)", "uniform"),
        _row_loss("cross_entropy", "-log softmax(x)[t]", "classes"),
        _row_loss("cross_entropy_probabilities", "-sum t log softmax(x)", "probabilities", "cross_entropy"),
        _row_loss("multi_margin_loss", "sum over j != t of max(0, 1 - x[t] + x[j]) / classes (hinge)", "classes"),
        _optimizer("sgd", "SGD", "p -= lr g", 1, lr=1e-3),
        _optimizer("sgd_momentum", "SGD", "b = 0.9 b + g, p -= lr b", 2, lr=1e-3, momentum=0.9),
        _optimizer("adagrad", "Adagrad", "s += g^2, p -= lr g / (sqrt s + eps)", 2),
        _optimizer("rmsprop", "RMSprop", "v = a v + (1 - a) g^2, p -= lr g / (sqrt v + eps)", 2, fused=False),
        _optimizer("adam", "Adam", "m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, p -= lr m' / (sqrt v' + eps)", 3),
        _optimizer("adam_amsgrad", "Adam", "as adam, with the largest v so far in the last formula", 4, amsgrad=True),
        _optimizer("adamw", "AdamW", "p *= 1 - lr decay, then as adam", 3),
        Kernel("relu", "activation", "relu", "max(x, 0)", ("relu", "relu_backward"), read=3, written=2),
        Kernel("linear", "linear", "linear", "x W^T + b", ("matmul", "sum_rows"), products=3),
        Kernel("chain", "engine", "matmul", "sum of W0 @ W1 @ ... @ W20"),
        Kernel("training_step", "step", "", "Adam on the cross-entropy of an MLP with ReLU"),
        Kernel("training_step_jit", "step", "", "the same, with minigrad's step as one program (minigrad.jit)"),
    )
}


@dataclass(frozen=True)
class Layers:
    """An MLP: its widths from input to output, and a batch or None."""

    widths: tuple
    batch: int | None


@dataclass(frozen=True)
class Row:
    """One measurement: a kernel on arrays of these shapes. `size` is what it is called."""

    kernel: Kernel
    size: str
    shapes: tuple
    dtype: str

    @property
    def elements(self):
        return sum(map(prod, self.shapes))

    @property
    def bytes(self):
        """What must move in one call; 0 where that is not what limits it."""
        indices = 8 * self.shapes[0][0] if "classes" in self.kernel.draws else 0
        return self.elements * self.kernel.bytes_per_element(self.dtype) + indices

    @property
    def operations(self):
        """Additions and multiplications of the matrix products in one call; 0 where they are not what limits it."""
        return 2 * self.kernel.products * self.shapes[0][0] * prod(self.shapes[1]) if self.kernel.products else 0


def parse_size(text):
    """A level's name, a number of elements, a shape, or `Layers`. Raises ValueError.

    Example:
        >>> parse_size("1e6"), parse_size("64x10"), parse_size("784-128-10@64")
        (1000000, (64, 10), Layers(widths=(784, 128, 10), batch=64))
    """
    if text in ("L1", "L2", "L3", "memory"):
        return text
    if re.fullmatch(r"\d+(-\d+)+(@\d+)?", text):
        widths, _, batch = text.partition("@")
        size = Layers(tuple(map(int, widths.split("-"))), int(batch) if batch else None)
        numbers = (*size.widths, 1 if size.batch is None else size.batch)
    elif re.fullmatch(r"\d+(x\d+)+", text):
        numbers = size = tuple(map(int, text.split("x")))
    elif re.fullmatch(r"\d+(\.\d+)?(e\d+)?", text):
        size = int(float(text))
        numbers = (size,)
    else:
        raise ValueError(f"{text!r} is no size; write L1, L2, L3, memory, 640, 1e6, 64x10, 784-128-10 or 784-128-10@64")
    if min(numbers) < 1:
        raise ValueError(f"{text!r} is no size: every number must be at least 1")
    return size


def shapes_of(family, size):
    """The shapes of the arrays that a kernel of this family works on at a parsed size; None if it does not fit."""
    match family, size:
        case "loss" | "activation" | "optimizer", int(count):
            return ((count,),)
        case "loss" | "activation", (_, *_):
            return (size,)
        case "loss over rows", int(count):
            return ((max(1, count // CLASSES), CLASSES),)
        case "optimizer", Layers(widths, None):
            return tuple(shape for n, m in zip(widths, widths[1:]) for shape in ((m, n), (m,)))
        case "optimizer", (count, rows, columns):
            return ((rows, columns),) * count
        case "loss over rows" | "optimizer", (_, _):
            return (size,)
        case "linear", (count, inputs, outputs):
            return (count, inputs), (outputs, inputs), (outputs,)
        case "engine", (rows, columns) if rows == columns:
            return (size,)
        case "step", Layers(widths, batch) if batch is not None:
            return ((batch, widths[0]),) + shapes_of("optimizer", Layers(widths, None))
    return None


def elements_in(level, caches, bytes_per_element):
    """How many elements fill half of a cache, or take eight times the largest one."""
    room = 8 * max(caches.values()) if level == "memory" else caches[level] // 2
    return min(room // bytes_per_element, LARGEST)


def choose(patterns):
    """The kernels whose names match one of the patterns. Raises ValueError for a pattern that matches none."""
    for pattern in patterns:
        if not fnmatch.filter(KERNELS, pattern):
            raise ValueError(f"no kernel is called {pattern!r}; there are {', '.join(KERNELS)}")
    return [kernel for name, kernel in KERNELS.items() if any(fnmatch.fnmatchcase(name, p) for p in patterns)]


def make_rows(kernels, sizes, dtypes, caches, everything=False):
    """The rows for each kernel, size and dtype; `sizes` is None for each family's own. Raises ValueError if none."""
    rows = {}
    for kernel, dtype in product(kernels, dtypes):
        family = FAMILIES[kernel.family]
        for text in sizes or (everything and family.all_sizes or family.sizes).split(","):
            size = parse_size(text)
            if isinstance(size, str):
                if not kernel.read:
                    continue
                size = elements_in(size, caches, kernel.bytes_per_element(dtype))
            shapes = shapes_of(kernel.family, size)
            if shapes is not None:
                label = "x".join(map(str, shapes[0])) if isinstance(size, int) else text
                rows[kernel.name, label, dtype] = Row(kernel, label, shapes, dtype)
    if not rows:
        raise ValueError(f"none of {', '.join(k.name for k in kernels)} can have the size {' or '.join(sizes)}")
    return list(rows.values())
