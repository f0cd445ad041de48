"""The refusals of both kernel modules: the function, the argument, what came and what was expected."""

import numpy as np

REDUCTIONS = ("mean", "sum", "none")


def check_array(function, argument, array, dtype, shape):
    """Refuse an array of another dtype or shape."""
    if array.dtype != dtype:
        raise TypeError(f"{function}(): {argument} is {array.dtype}, expected {np.dtype(dtype)}. Use .to(dtype)")
    if array.shape != shape:
        raise ValueError(
            f"{function}(): {argument} has shape {array.shape}, expected {shape}; nothing is broadcast. Use reshape()"
        )


def check_float(function, argument, array):
    """Refuse all dtypes but the two that have kernels."""
    if array.dtype not in (np.float32, np.float64):
        raise TypeError(f"{function}(): {argument} is {array.dtype}, expected float32 or float64")


def check_rows(function, argument, array):
    """Refuse what is not (rows, classes)."""
    check_float(function, argument, array)
    if array.ndim != 2:
        raise ValueError(f"{function}(): {argument} has shape {array.shape}, expected two axes (rows, classes)")


def check_reduction(function, reduction):
    """Refuse an unknown reduction."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"{function}(): reduction is {reduction!r}, expected 'mean', 'sum' or 'none'")


def check_power(function, p):
    """Refuse a power that has no kernel."""
    if p not in (1, 2):
        raise ValueError(f"{function}(): p is {p!r}, expected 1 or 2")


def bad_probability(function, input, position):
    """The error for an input outside [0, 1] at a flat position."""
    place = tuple(int(i) for i in np.unravel_index(position, input.shape))
    return RuntimeError(
        f"{function}(): input{list(place)} is {input[place]}, expected a probability in [0, 1]; "
        f"for logits there is binary_cross_entropy_with_logits()"
    )


def bad_class(function, target, row, classes):
    """The error for a target that is no class."""
    return IndexError(f"{function}(): target[{row}] is {target[row]}, expected a class from 0 to {classes - 1}")


def not_matrices(function, left, right):
    """The error for factors that are not matrices."""
    return ValueError(f"{function}(): the factors have shapes {left.shape} and {right.shape}, expected two axes each")


def check_lists(function, parameters, others):
    """Refuse lists of arrays that do not match the parameters' one by one; `others` maps names to lists."""
    for name, arrays in others.items():
        if arrays is None:
            continue
        if len(arrays) != len(parameters):
            raise ValueError(f"{function}(): {len(arrays)} {name}, expected {len(parameters)}, one per parameter")
        for position, (array, parameter) in enumerate(zip(arrays, parameters)):
            check_array(function, f"{name}[{position}]", array, parameter.dtype, parameter.shape)
