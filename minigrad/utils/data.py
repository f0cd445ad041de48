"""Datasets and mini-batches."""

import numpy as np

from ..random import Generator, default_generator
from ..tensor import Tensor, wrap


class Dataset:
    """What a DataLoader draws from: define `__len__`, and `__getitem__` for one index.

    Example:
        >>> import minigrad
        >>> class Squares(minigrad.utils.data.Dataset):
        ...     def __getitem__(self, index):
        ...         return float(index * index)
        ...     def __len__(self):
        ...         return 4
        >>> list(minigrad.utils.data.DataLoader(Squares(), batch_size=2))
        [tensor([0., 1.]), tensor([4., 9.])]
    """

    def __getitem__(self, index):
        raise NotImplementedError(f"{type(self).__name__} defines no __getitem__()")

    def __len__(self):
        raise NotImplementedError(f"{type(self).__name__} defines no __len__()")


class TensorDataset(Dataset):
    """Tensors of equal length; sample i is the tuple of their rows i.

    Example:
        >>> import minigrad
        >>> data = minigrad.utils.data.TensorDataset(minigrad.arange(4), minigrad.arange(4) * 10)
        >>> data[[1, 3]]
        (tensor([1, 3]), tensor([10, 30]))
    """

    def __init__(self, *tensors):
        if not tensors:
            raise ValueError("TensorDataset: expected at least one tensor, got none")
        for i, tensor in enumerate(tensors):
            if not isinstance(tensor, Tensor):
                raise TypeError(f"TensorDataset: argument {i} must be a tensor, got {type(tensor).__name__}")
            if tensor.ndim == 0 or len(tensor) != len(tensors[0]):
                raise ValueError(
                    f"TensorDataset: argument {i} has shape {tensor.shape}, expected the length of the first, {tensors[0].shape}"
                )
        self.tensors = tensors

    def __getitem__(self, index):
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self):
        return len(self.tensors[0])


class Subset(Dataset):
    """The samples of a dataset at some indices."""

    def __init__(self, dataset, indices):
        self.dataset, self.indices = dataset, np.asarray(indices, np.int64)

    def __getitem__(self, index):
        return self.dataset[self.indices[index]]

    def __len__(self):
        return len(self.indices)


def random_split(dataset, lengths, generator=None):
    """Split a dataset at random into parts of the given lengths.

    Raises ValueError unless the lengths add up to that of the dataset.

    Example:
        >>> import minigrad
        >>> data = minigrad.utils.data.TensorDataset(minigrad.arange(10))
        >>> [len(part) for part in minigrad.utils.data.random_split(data, [7, 3])]
        [7, 3]
    """
    if sum(lengths) != len(dataset):
        raise ValueError(f"random_split(): lengths {list(lengths)} must add up to {len(dataset)}, the length of the dataset")
    order = (generator or default_generator).numpy.permutation(len(dataset))
    ends = np.cumsum(lengths)
    return [Subset(dataset, order[end - n : end]) for end, n in zip(ends, lengths)]


class DataLoader:
    """Mini-batches of a dataset, in order or shuffled anew for each pass.

    Args:
        dataset: a Dataset, or anything with a length and an index.
        batch_size: samples in a batch.
        shuffle: draw a random order for each pass.
        drop_last: leave out a last batch that is smaller.
        generator: a `minigrad.Generator` to shuffle with; by default that of `manual_seed`.
        seed: instead of a generator, the seed of a new one.
        collate_fn: makes a batch of a list of samples; only for a dataset that is not a TensorDataset.

    A batch of a TensorDataset is made by one fancy index per tensor, never element by element.

    Example:
        >>> import minigrad
        >>> data = minigrad.utils.data.TensorDataset(minigrad.arange(5))
        >>> [len(batch) for (batch,) in minigrad.utils.data.DataLoader(data, batch_size=2)]
        [2, 2, 1]
    """

    def __init__(
        self, dataset, batch_size=1, shuffle=False, *, drop_last=False, generator=None, seed=None, collate_fn=None,
        num_workers=0, pin_memory=False,
    ):  # fmt: skip
        if num_workers or pin_memory:
            raise ValueError("DataLoader: num_workers must be 0 and pin_memory False; batches are made in this process")
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"DataLoader: batch_size must be a positive integer, got {batch_size!r}")
        if generator is not None and seed is not None:
            raise ValueError("DataLoader: give a generator or a seed, not both")
        self.dataset, self.batch_size, self.shuffle, self.drop_last = dataset, batch_size, shuffle, drop_last
        self.generator = Generator(seed) if seed is not None else generator
        self.collate_fn = collate_fn or collate

    def __len__(self):
        """The number of batches in a pass."""
        full, rest = divmod(len(self.dataset), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self):
        count = len(self.dataset)
        order = (self.generator or default_generator).numpy.permutation(count) if self.shuffle else np.arange(count)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            index = order[start : start + self.batch_size]
            if takes_arrays(self.dataset):
                yield list(self.dataset[index])
            else:
                yield self.collate_fn([self.dataset[int(i)] for i in index])


def takes_arrays(dataset):
    """Whether a whole batch can be had by one index: tensors, or a subset of such."""
    return takes_arrays(dataset.dataset) if isinstance(dataset, Subset) else isinstance(dataset, TensorDataset)


def collate(samples):
    """Stack samples along a new first axis: tensors, arrays and numbers, or tuples and dictionaries of those.

    Python floats become float32 tensors, integers int64, bools bool; arrays and NumPy numbers keep their
    dtype. Tuples and lists give a list with one batch per place, dictionaries a dictionary. Other samples,
    such as strings, stay a list. The batch is outside the graph. Raises ValueError when shapes differ.

    Example:
        >>> import minigrad
        >>> minigrad.utils.data.collate([(1.0, 2), (3.0, 4)])
        [tensor([1., 3.]), tensor([2, 4])]
    """
    first = samples[0]
    if isinstance(first, dict):
        return {key: collate([sample[key] for sample in samples]) for key in first}
    if isinstance(first, (tuple, list)):
        return [collate(list(column)) for column in zip(*samples)]
    if isinstance(first, Tensor):
        return wrap(np.stack([sample.array for sample in samples]))
    if isinstance(first, (np.ndarray, np.generic)):
        return wrap(np.stack(samples))
    return Tensor(samples) if isinstance(first, (bool, int, float)) else samples
