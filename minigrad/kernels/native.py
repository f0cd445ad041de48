"""The compiled kernels. The only module that knows the extension: its argument orders, pointers and codes.

Everything C reads or writes is checked here for dtype, size and layout, so no call reaches outside an array.
"""

import math
import os
from functools import partial
from types import SimpleNamespace

import numpy as np

from . import checks, parallel, reference
from ._native import ffi, lib
from .buffers import LARGE, empty
from .table import Table

NULL, BLOCK, ROW_BLOCK, NO_MEMORY = ffi.NULL, lib.BLOCK, lib.ROW_BLOCK, lib.NO_MEMORY
READABLE = 0x1 | 0x100  # NumPy's flags for C-contiguous and aligned
READABLE_BY_COLUMNS = 0x2 | 0x100
VECTOR = 16  # slices of columns are whole vectors
STREAMED = 1 << 23  # bytes of a gradient that the caches cannot hold, beside what is read, until somebody looks at it
PRODUCT_WORK = 32  # multiplications that take as long as one element of another kernel
INT64 = np.dtype(np.int64)
FLOAT64 = np.dtype(np.float64)
INT64_ARRAY, SIZE_ARRAY = map(ffi.typeof, ("int64_t[]", "size_t[]"))
PRECISIONS = {np.dtype(np.float32): ("f32", "float"), FLOAT64: ("f64", "double")}
LEVELS = ("baseline", "v3", "v4")

from_buffer, new_team = ffi.from_buffer, partial(ffi.new, "team *")
_kernels = {}  # dtype -> its kernels at the chosen level
_instruction_set = None


def instruction_sets():
    """The levels that were built and that this machine has, slowest first."""
    return LEVELS[: 1 + min(lib.highest_level_built(), lib.highest_level_supported())]


def set_instruction_set(name):
    """Use the kernels of one level from now on."""
    global _instruction_set
    if name not in instruction_sets():
        raise ValueError(f"set_instruction_set(): {name!r} is not one of {', '.join(instruction_sets())}")
    for dtype, (precision, real) in PRECISIONS.items():
        ending = f"_{precision}_{name}"
        names = {name.removesuffix("_shared").removesuffix(ending): name for name in dir(lib) if ending in name}
        functions = {name: getattr(lib, full) for name, full in names.items()}
        types = {"array": ffi.typeof(f"{real}[]"), "pointers": ffi.typeof(f"{real} *[]")}
        _kernels[dtype] = SimpleNamespace(**functions, **types)
    _instruction_set = name


def config():
    """How the kernels were built and which of them run."""
    return {
        "instruction set": _instruction_set,
        "instruction sets available": instruction_sets(),
        "compiler": ffi.string(lib.build_compiler()).decode(),
        "compiler flags": ffi.string(lib.BUILD_FLAGS).decode(),
    }


set_instruction_set(os.environ.get("MINIGRAD_INSTRUCTION_SET") or instruction_sets()[-1])


def _run(kernel, count, block, work, *arguments):
    """Call a kernel on [0, count), shared by threads in slices that start at multiples of `block`; its code."""
    if work < parallel.SMALLEST_SPLIT or (length := parallel.slice_length(count, block, work)) >= count:
        return kernel(NULL, count, max(count, 1), *arguments)
    team = parallel.get_team(lib.team_serve, lib.team_is_resting, new_team).gather()
    return kernel(team, count, length, *arguments)


# ---- what C reads ----


def _readable(function, argument, array, ctype, dtype, shape):
    """The address of an array of this dtype and shape, or of a contiguous copy; NULL for None."""
    if array is None:
        return NULL
    if array.dtype is not dtype or array.shape != shape:
        checks.check_array(function, argument, array, dtype, shape)
    if array.flags.num & READABLE != READABLE:
        array = array.copy()
    return from_buffer(ctype, array)


# ---- elementary functions, for the tests ----


def _elementary(function, array):
    checks.check_float(function, "array", array)
    result, kernels = np.empty(array.shape, array.dtype), _kernels[array.dtype]
    address = _readable(function, "array", array, kernels.array, array.dtype, array.shape)
    _run(getattr(kernels, function), array.size, BLOCK, array.size, from_buffer(kernels.array, result), address)
    return result


def exp(array):
    """The kernels' exp, elementwise, of numbers that are not positive."""
    return _elementary("exp", array)


def log(array):
    """The kernels' log, elementwise."""
    return _elementary("log", array)


def log1p(array):
    """The kernels' log(1 + x), elementwise."""
    return _elementary("log1p", array)


def log1p_near_0(array):
    """The same of numbers from -1/2 to 1."""
    return _elementary("log1p_near_0", array)


# ---- losses ----


def _reduced(kernel, ctype, count, block, input, value_shape, arguments, reduction, divisor, need_gradient):
    """Run a loss kernel over `count` elements or rows; (value, gradient, the kernel's code)."""
    dtype, size = input.dtype, input.size
    gradient, slopes = None, NULL
    if need_gradient:
        gradient = np.empty(input.shape, dtype) if input.nbytes < LARGE else empty(input.shape, dtype)
        slopes = from_buffer(ctype, gradient)
    if reduction == "none":
        value = np.empty(value_shape, dtype)
        code = _run(kernel, count, block, size, 0, NULL, from_buffer(ctype, value), slopes, *arguments, 1.0)
    else:
        value = np.empty((), dtype)
        code = _run(kernel, count, block, size, block, from_buffer(ctype, value), NULL, slopes, *arguments, divisor)
    if code == NO_MEMORY:
        raise MemoryError("no memory for the sums of a loss")
    return value, gradient, code


def _elementwise(function, input, target, weights, numbers, reduction, need_gradient):
    """A loss over elements; `weights` are pairs (argument, array or None) and `numbers` what C takes after them."""
    dtype, shape, count = input.dtype, input.shape, input.size
    if (kernels := _kernels.get(dtype)) is None:
        checks.check_float(function, "input", input)
    if reduction not in checks.REDUCTIONS:
        checks.check_reduction(function, reduction)
    ctype = kernels.array
    arguments = [
        _readable(function, "input", input, ctype, dtype, shape),
        _readable(function, "target", target, ctype, dtype, shape),
    ]
    for argument, array in weights:
        arguments.append(_readable(function, argument, array, ctype, dtype, shape))
    arguments += numbers
    divisor = count if reduction == "mean" else 1.0
    value, gradient, code = _reduced(
        getattr(kernels, function), ctype, count, BLOCK, input, shape, arguments, reduction, divisor, need_gradient
    )
    if code:
        raise checks.bad_probability(function, input, code - 1)
    return value, gradient


def mse_loss(input, target, *, reduction, need_gradient):
    """(value, gradient) of the squared error."""
    return _elementwise("mse_loss", input, target, (), (input.nbytes >= STREAMED,), reduction, need_gradient)


def l1_loss(input, target, *, reduction, need_gradient):
    """(value, gradient) of the absolute error."""
    return _elementwise("l1_loss", input, target, (), (input.nbytes >= STREAMED,), reduction, need_gradient)


def smooth_l1_loss(input, target, *, beta, reduction, need_gradient):
    """(value, gradient) of the absolute error, rounded off within `beta`."""
    numbers = beta, input.nbytes >= STREAMED
    return _elementwise("smooth_l1_loss", input, target, (), numbers, reduction, need_gradient)


def huber_loss(input, target, *, delta, reduction, need_gradient):
    """(value, gradient) of the squared error, straightened beyond `delta`."""
    numbers = delta, input.nbytes >= STREAMED
    return _elementwise("huber_loss", input, target, (), numbers, reduction, need_gradient)


def binary_cross_entropy(input, target, weight=None, *, reduction, need_gradient):
    """(value, gradient) of the cross-entropy between probabilities of two classes."""
    weights = (("weight", weight),)
    return _elementwise("binary_cross_entropy", input, target, weights, (), reduction, need_gradient)


def binary_cross_entropy_with_logits(input, target, weight=None, pos_weight=None, *, reduction, need_gradient):
    """(value, gradient) of the cross-entropy between sigmoid(input) and a probability."""
    weights = (("weight", weight), ("pos_weight", pos_weight))
    return _elementwise("binary_cross_entropy_with_logits", input, target, weights, (), reduction, need_gradient)


def _row_arguments(function, argument, input, target, target_dtype, weight, reduction):
    """The kernels, and the addresses of input, target and weight, of a loss over (rows, classes)."""
    dtype, shape = input.dtype, input.shape
    kernels = _kernels.get(dtype)
    if kernels is None or len(shape) != 2 or reduction not in checks.REDUCTIONS:
        checks.check_rows(function, argument, input)
        checks.check_reduction(function, reduction)
    logits = _readable(function, argument, input, kernels.array, dtype, shape)
    if target_dtype is INT64:
        labels = _readable(function, "target", target, INT64_ARRAY, INT64, shape[:1])
    else:
        labels = _readable(function, "target", target, kernels.array, dtype, shape)
    return kernels, [logits, labels, _readable(function, "weight", weight, kernels.array, dtype, shape[1:])]


def cross_entropy(logits, target, weight=None, *, ignore_index, label_smoothing, reduction, need_gradient):
    """(value, gradient) of the cross-entropy between softmax(logits) and a class index per row."""
    kernels, arguments = _row_arguments("cross_entropy", "logits", logits, target, INT64, weight, reduction)
    rows, classes = logits.shape
    divisor = 0.0 if reduction == "mean" else 1.0  # 0 stands for the sum of the targets' weights
    arguments += (classes, ignore_index, label_smoothing)
    value, gradient, code = _reduced(
        kernels.cross_entropy, kernels.array, rows, ROW_BLOCK, logits, (rows,), arguments, reduction, divisor,
        need_gradient,
    )
    if code:
        raise checks.bad_class("cross_entropy", target, code - 1, classes)
    return value, gradient


def cross_entropy_probabilities(logits, target, weight=None, *, label_smoothing, reduction, need_gradient):
    """(value, gradient) of the cross-entropy between softmax(logits) and class probabilities."""
    function = "cross_entropy_probabilities"
    kernels, arguments = _row_arguments(function, "logits", logits, target, None, weight, reduction)
    rows, classes = logits.shape
    arguments += (classes, label_smoothing)
    divisor = rows if reduction == "mean" else 1.0
    value, gradient, _ = _reduced(
        kernels.cross_entropy_probabilities, kernels.array, rows, ROW_BLOCK, logits, (rows,), arguments, reduction,
        divisor, need_gradient,
    )
    return value, gradient


def multi_margin_loss(scores, target, weight=None, *, p, margin, reduction, need_gradient):
    """(value, gradient) of the hinge loss over classes, to the power `p`."""
    function = "multi_margin_loss"
    kernels, arguments = _row_arguments(function, "scores", scores, target, INT64, weight, reduction)
    if p not in (1, 2):
        checks.check_power(function, p)
    rows, classes = scores.shape
    arguments += (classes, p, margin)
    divisor = rows if reduction == "mean" else 1.0
    value, gradient, code = _reduced(
        kernels.multi_margin_loss, kernels.array, rows, ROW_BLOCK, scores, (rows,), arguments, reduction, divisor,
        need_gradient,
    )
    if code:
        raise checks.bad_class(function, target, code - 1, classes)
    return value, gradient


# ---- layers ----


def relu(input):
    """max(input, 0)."""
    if input.dtype not in _kernels:
        return reference.relu(input)
    kernels, shape, size = _kernels[input.dtype], input.shape, input.size
    result = empty(shape, input.dtype)
    address = _readable("relu", "input", input, kernels.array, input.dtype, shape)
    _run(kernels.relu, size, BLOCK, size, from_buffer(kernels.array, result), address)
    return result


def relu_backward(upstream, result):
    """0 where `result`, what relu gave, is 0; else `upstream`."""
    if result.dtype not in _kernels:
        return reference.relu_backward(upstream, result)
    kernels, dtype, shape, size = _kernels[result.dtype], result.dtype, result.shape, result.size
    gradient = empty(shape, dtype)
    addresses = (
        _readable("relu_backward", "upstream", upstream, kernels.array, dtype, shape),
        _readable("relu_backward", "result", result, kernels.array, dtype, shape),
    )
    _run(kernels.relu_backward, size, BLOCK, size, from_buffer(kernels.array, gradient), *addresses)
    return gradient


def sum_rows(matrix):
    """The sum over the rows of a matrix."""
    if matrix.dtype not in _kernels:
        return reference.sum_rows(matrix)
    (rows, columns), kernels = matrix.shape, _kernels[matrix.dtype]
    sums = np.empty(columns, matrix.dtype)
    address = _readable("sum_rows", "matrix", matrix, kernels.array, matrix.dtype, matrix.shape)
    _run(kernels.sum_rows, columns, VECTOR, matrix.size, from_buffer(kernels.array, sums), rows, columns, address)
    return sums


def _matrix(ctype, matrix):
    """The address of a matrix in row or column order, or of a copy, and its two strides."""
    flags = matrix.flags.num
    if flags & READABLE == READABLE:
        return from_buffer(ctype, matrix), matrix.shape[1], 1
    if flags & READABLE_BY_COLUMNS == READABLE_BY_COLUMNS:
        return from_buffer(ctype, matrix.T), 1, matrix.shape[0]
    return _matrix(ctype, matrix.copy())


def matmul(left, right, bias=None):
    """left right (+ bias on each row), for matrices of one dtype. At the baseline, without fused multiply-adds, and for
    other dtypes it is NumPy's."""
    if left.ndim != 2 or right.ndim != 2:
        raise checks.not_matrices("matmul", left, right)
    if _instruction_set == "baseline" or left.dtype not in _kernels:
        return reference.matmul(left, right, bias)
    dtype, (rows, inner), columns = left.dtype, left.shape, right.shape[1]
    if right.dtype != dtype or right.shape[0] != inner:
        checks.check_array("matmul", "right", right, dtype, (inner, columns))
    kernels = _kernels[dtype]
    ctype = kernels.array
    result = empty((rows, columns), dtype)
    offset = _readable("matmul", "bias", bias, ctype, dtype, (columns,))
    (left, *left_strides), (right, *right_strides) = _matrix(ctype, left), _matrix(ctype, right)
    # Few slices, as each lays out its factors anew.
    slices = max(1, min(2 * parallel.get_num_threads(), columns // 64))
    block = -(-columns // (VECTOR * slices)) * VECTOR
    code = _run(
        kernels.matmul, columns, block, rows * inner * columns // PRODUCT_WORK, from_buffer(ctype, result),
        rows, inner, columns, left, *left_strides, right, *right_strides, offset,
    )  # fmt: skip
    if code:
        raise MemoryError("matmul(): no memory for copies of the factors")
    return result


# ---- optimizers ----


def _written(function, argument, arrays, parameters):
    """The addresses of state, once it is found to match the parameters."""
    table = arrays if isinstance(arrays, Table) else Table(arrays, f"{function}(): {argument}")
    checks.check_lists(function, parameters.arrays, {argument: table.arrays})
    _find_addresses(table)
    table.matched = parameters
    return table.addresses


def _find_addresses(table):
    """Fill in a table's addresses and counts; they are good while the table holds its arrays."""
    kernels = _kernels[table.dtype]
    table.addresses = ffi.new(kernels.pointers, [from_buffer(kernels.array, array) for array in table.arrays])
    table.counts = ffi.new(SIZE_ARRAY, [array.size for array in table.arrays])


def _update(function, parameters, gradients, states, *numbers):
    """One optimizer step; `states` maps the names of what is kept between steps to arrays or None, in C's order."""
    if not isinstance(parameters, Table):
        parameters = Table(parameters, f"{function}(): parameters")
    if parameters.addresses is None:
        _find_addresses(parameters)
    dtype = parameters.dtype
    kernels = _kernels[dtype]
    state_addresses = [
        NULL if table is None
        else table.addresses if isinstance(table, Table) and table.matched is parameters
        else _written(function, name, table, parameters)
        for name, table in states.items()
    ]

    if isinstance(gradients, Table):
        gradients = gradients.arrays
    shapes = [array.shape for array in gradients]
    if shapes != parameters.shapes or [array.dtype for array in gradients].count(dtype) != len(shapes):
        checks.check_lists(function, parameters.arrays, {"gradients": gradients})
    gradients = [array if array.flags.num & READABLE == READABLE else array.copy() for array in gradients]
    addresses = [from_buffer(kernels.array, array) for array in gradients]
    size = parameters.size
    _run(
        getattr(kernels, function), size, BLOCK, size, len(addresses), parameters.counts,
        parameters.addresses, *state_addresses, ffi.new(kernels.pointers, addresses), *numbers,
    )


def _sign(maximize):
    return -1.0 if maximize else 1.0


def sgd(
    parameters, gradients, momentum_buffers=None, *,
    lr, momentum, dampening, nesterov, weight_decay, maximize, first,
):
    """Stochastic gradient descent, in place. The first step with momentum starts the buffers at the gradient."""
    states = {"momentum_buffers": momentum_buffers}
    numbers = lr, momentum, dampening, weight_decay, _sign(maximize), bool(nesterov), bool(first)
    _update("sgd", parameters, gradients, states, *numbers)


def adagrad(parameters, gradients, sums, *, lr, lr_decay, weight_decay, eps, maximize, step):
    """Adagrad, in place; `step` counts from 1."""
    rate = lr / (1 + (step - 1) * lr_decay)
    _update("adagrad", parameters, gradients, {"sums": sums}, rate, weight_decay, eps, _sign(maximize))


def rmsprop(
    parameters, gradients, square_avgs, grad_avgs=None, momentum_buffers=None, *,
    lr, alpha, eps, weight_decay, momentum, maximize,
):
    """RMSprop, in place; centred if `grad_avgs` are given, with momentum if `momentum_buffers` are."""
    states = {"square_avgs": square_avgs, "grad_avgs": grad_avgs, "momentum_buffers": momentum_buffers}
    _update("rmsprop", parameters, gradients, states, lr, alpha, eps, weight_decay, momentum, _sign(maximize))


def adam(
    parameters, gradients, exp_avgs, exp_avg_sqs, max_exp_avg_sqs=None, *,
    lr, beta1, beta2, eps, weight_decay, maximize, step,
):
    """Adam, in place; `step` counts from 1. AMSGrad if `max_exp_avg_sqs` are given."""
    states = {"exp_avgs": exp_avgs, "exp_avg_sqs": exp_avg_sqs, "max_exp_avg_sqs": max_exp_avg_sqs}
    correction = math.sqrt(1 - beta2**step)
    numbers = lr * correction / (1 - beta1**step), beta1, beta2, eps * correction, weight_decay, _sign(maximize)
    _update("adam", parameters, gradients, states, *numbers)


def adamw(
    parameters, gradients, exp_avgs, exp_avg_sqs, max_exp_avg_sqs=None, *,
    lr, beta1, beta2, eps, weight_decay, maximize, step,
):
    """Adam with decoupled weight decay, in place; `step` counts from 1."""
    states = {"exp_avgs": exp_avgs, "exp_avg_sqs": exp_avg_sqs, "max_exp_avg_sqs": max_exp_avg_sqs}
    correction, decay = math.sqrt(1 - beta2**step), 1 - lr * weight_decay
    numbers = lr * correction / (1 - beta1**step), beta1, beta2, eps * correction, decay, _sign(maximize)
    _update("adamw", parameters, gradients, states, *numbers)


# ---- the machine's limit ----


def make_stream(written, updated, first, second=None, *, past_caches=False):
    """A call that sets written = first + second, or -first without `second`, and adds `first` to up to four arrays.

    `written` may be None; with `past_caches` it goes to memory directly, where the machine can. All arrays are checked
    here, once: the call costs as little as it can.
    """
    if len(updated) > 4:
        raise ValueError(f"make_stream(): {len(updated)} arrays to update, expected at most 4")
    checks.check_float("make_stream", "first", first)
    kernels, dtype, shape, size = _kernels[first.dtype], first.dtype, first.shape, first.size
    outputs = Table(updated if written is None else (*updated, written), "make_stream()")
    checks.check_lists("make_stream", [first] * len(outputs.arrays), {"arrays to change": outputs.arrays})
    _find_addresses(outputs)
    output = NULL if written is None else from_buffer(kernels.array, written)
    inputs = [
        _readable("make_stream", argument, array, kernels.array, dtype, shape)
        for argument, array in (("first", first), ("second", second))
    ]

    def stream():  # `outputs` holds the arrays that are written
        changed = outputs.addresses if updated else NULL
        _run(kernels.stream, size, BLOCK, size, output, len(updated), changed, *inputs, past_caches)

    return stream
