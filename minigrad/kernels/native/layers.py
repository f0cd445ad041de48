"""Products of matrices, ReLU, and sums of rows."""

import numpy as np

from .. import checks, parallel, reference
from ..buffers import empty
from .extension import BLOCK, READABLE, from_buffer, instruction_set, kernels_of, readable, run

READABLE_BY_COLUMNS = 0x2 | 0x100  # NumPy's flags for Fortran-contiguous and aligned
VECTOR = 16  # slices of columns are whole vectors
PRODUCT_WORK = 32  # multiplications that take as long as one element of another kernel


def relu(input):
    """max(input, 0)."""
    if input.dtype not in kernels_of:
        return reference.relu(input)
    kernels, shape, size = kernels_of[input.dtype], input.shape, input.size
    result = empty(shape, input.dtype)
    address = readable("relu", "input", input, kernels.array, input.dtype, shape)
    run(kernels.relu, size, BLOCK, size, from_buffer(kernels.array, result), address)
    return result


def relu_backward(upstream, result):
    """0 where `result`, what relu gave, is 0; else `upstream`."""
    if result.dtype not in kernels_of:
        return reference.relu_backward(upstream, result)
    kernels, dtype, shape, size = kernels_of[result.dtype], result.dtype, result.shape, result.size
    gradient = empty(shape, dtype)
    addresses = (
        readable("relu_backward", "upstream", upstream, kernels.array, dtype, shape),
        readable("relu_backward", "result", result, kernels.array, dtype, shape),
    )
    run(kernels.relu_backward, size, BLOCK, size, from_buffer(kernels.array, gradient), *addresses)
    return gradient


def sum_rows(matrix):
    """The sum over the rows of a matrix."""
    if matrix.dtype not in kernels_of:
        return reference.sum_rows(matrix)
    (rows, columns), kernels = matrix.shape, kernels_of[matrix.dtype]
    sums = np.empty(columns, matrix.dtype)
    address = readable("sum_rows", "matrix", matrix, kernels.array, matrix.dtype, matrix.shape)
    run(kernels.sum_rows, columns, VECTOR, matrix.size, from_buffer(kernels.array, sums), rows, columns, address)
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
    # Few slices, as each lays out its factors anew.
    slices = max(1, min(2 * parallel.get_num_threads(), columns // 64))
    block = -(-columns // (VECTOR * slices)) * VECTOR
    code = run(
        kernels.matmul, columns, block, rows * inner * columns // PRODUCT_WORK, from_buffer(ctype, result),
        rows, inner, columns, left, *left_strides, right, *right_strides, offset,
    )  # fmt: skip
    if code:
        raise MemoryError("matmul(): no memory for copies of the factors")
    return result
