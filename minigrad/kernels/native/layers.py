"""Products of matrices, ReLU, and sums of rows."""

import numpy as np

from .. import checks, parallel, reference
from ..buffers import empty, empty_like
from .extension import BLOCK, address, from_buffer, instruction_set, kernels_of, readable, share

VECTOR = 16  # slices of columns are whole vectors
PRODUCT_WORK = 16  # multiplications that take as long as a squared error


def relu(input):
    """max(input, 0)."""
    if (kernels := kernels_of.get(input.dtype)) is None:
        return reference.relu(input)
    ctype, size, result = kernels.array, input.size, empty_like(input)
    team, length = share(size, BLOCK, size * 3 // 4)  # of the work of a squared error
    kernels.relu(team, size, length, from_buffer(ctype, result), address(ctype, input))
    return result


def relu_backward(upstream, result):
    """0 where `result`, what relu gave, is 0; else `upstream`."""
    if (kernels := kernels_of.get(result.dtype)) is None:
        return reference.relu_backward(upstream, result)
    ctype, size, gradient = kernels.array, result.size, empty_like(result)
    slopes = readable("relu_backward", "upstream", upstream, ctype, result.dtype, result.shape)
    team, length = share(size, BLOCK, size * 3 // 4)
    kernels.relu_backward(team, size, length, from_buffer(ctype, gradient), slopes, address(ctype, result))
    return gradient


def sum_rows(matrix):
    """The sum over the rows of a matrix."""
    if (kernels := kernels_of.get(matrix.dtype)) is None:
        return reference.sum_rows(matrix)
    (rows, columns), ctype = matrix.shape, kernels.array
    sums = np.empty(columns, matrix.dtype)
    team, length = share(columns, VECTOR, matrix.size // 2)
    kernels.sum_rows(team, columns, length, from_buffer(ctype, sums), rows, columns, address(ctype, matrix))
    return sums


def _matrix(ctype, matrix):
    """The address of a matrix in row or column order, or of a copy, and its two strides."""
    if matrix.flags.f_contiguous and not matrix.flags.c_contiguous:
        return address(ctype, matrix.T), 1, matrix.shape[0]
    return address(ctype, matrix), matrix.shape[1], 1


def matmul(left, right, bias=None):
    """left right (+ bias on each row), for matrices of one dtype. At the baseline, without fused multiply-adds, and for
    other dtypes it is NumPy's."""
    if left.ndim != 2 or right.ndim != 2:
        raise checks.not_matrices("matmul", left, right)
    if instruction_set() == "baseline" or left.dtype not in kernels_of:
        return reference.matmul(left, right, bias)
    dtype, (rows, inner), columns = left.dtype, left.shape, right.shape[1]
    if right.dtype != dtype or right.shape[0] != inner:
        checks.check_array("matmul", "right", right, dtype, (inner, columns))
    kernels = kernels_of[dtype]
    ctype = kernels.array
    result = empty((rows, columns), dtype)
    offset = readable("matmul", "bias", bias, ctype, dtype, (columns,))
    (left, *left_strides), (right, *right_strides) = _matrix(ctype, left), _matrix(ctype, right)
    # Few slices, as each lays out its factors anew; but up to one for each thread, if they are a vector wide.
    threads = parallel.get_num_threads()
    slices = max(1, min(2 * threads, columns // 64), min(threads, columns // VECTOR))
    block = -(-columns // (VECTOR * slices)) * VECTOR
    team, length = share(columns, block, rows * inner * columns // PRODUCT_WORK)
    code = kernels.matmul(
        team, columns, length, from_buffer(ctype, result), rows, inner, columns,
        left, *left_strides, right, *right_strides, offset,
    )  # fmt: skip
    if code:
        raise MemoryError("matmul(): no memory for copies of the factors")
    return result
