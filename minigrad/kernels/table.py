"""Arrays that an optimizer updates in place, step after step."""

import numpy as np

WRITABLE = 0x1 | 0x100 | 0x400  # NumPy's flags for C-contiguous, aligned and writable


class Table:
    """A tuple of arrays of one dtype, whose checks and addresses are worked out once.

    Args:
        arrays: float32 or float64 arrays, C-contiguous and writable. The arrays must stay what they are:
            make a new Table when one is replaced.
        name: what messages call it.

    Raises:
        TypeError: for another dtype, or for two dtypes.
        ValueError: for an array that cannot be written in place, or that shares memory with another.
    """

    __slots__ = ("addresses", "arrays", "counts", "dtype", "shapes", "size", "update")

    def __init__(self, arrays, name="Table()"):
        self.arrays = tuple(arrays)
        self.dtype = self.arrays[0].dtype if self.arrays else np.dtype(np.float32)
        self.shapes = [array.shape for array in self.arrays]
        self.size = sum(array.size for array in self.arrays)
        self.addresses = self.counts = self.update = None  # the C side's, see native/optimizers.py
        if self.dtype not in (np.float32, np.float64):
            raise TypeError(f"{name}: array 0 is {self.dtype}, expected float32 or float64")
        for position, array in enumerate(self.arrays):
            if array.dtype != self.dtype:
                raise TypeError(f"{name}: array {position} is {array.dtype}, expected {self.dtype} as array 0 is")
            if array.flags.num & WRITABLE != WRITABLE:
                raise ValueError(f"{name}: array {position} is not C-contiguous, aligned and writable")
        starts = sorted((array.__array_interface__["data"][0], i) for i, array in enumerate(self.arrays) if array.size)
        for (start, first), (after, second) in zip(starts, starts[1:]):
            if start + self.arrays[first].nbytes > after:
                raise ValueError(f"{name}: arrays {min(first, second)} and {max(first, second)} share memory")
