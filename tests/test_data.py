"""Datasets and loaders: every sample once, in a reproducible order, by one index per batch."""

import numpy as np
import pytest

import minigrad
from minigrad.utils.data import DataLoader, Dataset, TensorDataset


def numbers(count):
    return TensorDataset(minigrad.arange(count), minigrad.arange(count) * 10)


def order(loader):
    """The samples of one pass, batch by batch."""
    return [batch[0].tolist() for batch in loader]


class Squares(Dataset):
    """Samples made one at a time, by a function of the index."""

    def __init__(self, sample, count=5):
        self.sample, self.count = sample, count

    def __getitem__(self, index):
        assert type(index) is int
        return self.sample(index)

    def __len__(self):
        return self.count


@pytest.mark.parametrize(
    ("count", "size", "drop_last", "expected"),
    [
        (5, 2, False, [[0, 1], [2, 3], [4]]), (5, 2, True, [[0, 1], [2, 3]]), (4, 2, True, [[0, 1], [2, 3]]),
        (3, 5, False, [[0, 1, 2]]), (3, 5, True, []), (0, 2, False, []), (2, 1, False, [[0], [1]]),
    ],
)  # fmt: skip
def test_batches(count, size, drop_last, expected):
    """Batches come in order, the last one smaller or left out, and len() counts them."""
    loader = DataLoader(numbers(count), batch_size=size, drop_last=drop_last)
    assert expected == order(loader) == order(loader)
    assert len(expected) == len(loader)
    for first, second in loader:
        assert (first * 10).tolist() == second.tolist()


@pytest.mark.parametrize("count", [1, 7, 100])
def test_shuffle(count):
    """A shuffled pass holds each sample once, with its row of every tensor, in a new order each time."""
    loader = DataLoader(numbers(count), batch_size=3, shuffle=True, seed=1)
    first, second = sum(order(loader), []), sum(order(loader), [])
    assert list(range(count)) == sorted(first) == sorted(second)
    assert count < 7 or first != second != list(range(count))
    assert all((x * 10).tolist() == y.tolist() for x, y in loader)


def test_reproducible():
    """A seed, a generator and manual_seed() each fix the order."""

    def by_global_seed(seed):
        minigrad.manual_seed(seed)
        return DataLoader(numbers(20), 4, shuffle=True)

    makers = (
        lambda seed: DataLoader(numbers(20), 4, shuffle=True, seed=seed),
        lambda seed: DataLoader(numbers(20), 4, shuffle=True, generator=minigrad.Generator(seed)),
        by_global_seed,
    )
    for make in makers:
        assert order(make(3)) == order(make(3)) != order(make(4))
    state = minigrad.random.default_generator.get_state()
    order(makers[0](3))
    assert state == minigrad.random.default_generator.get_state()


def test_one_index_per_batch(monkeypatch):
    """A batch of a TensorDataset takes one indexing call per tensor, whatever its size."""
    calls, getitem = [], minigrad.Tensor.__getitem__

    def spy(tensor, index):
        calls.append(len(index))
        return getitem(tensor, index)

    monkeypatch.setattr(minigrad.Tensor, "__getitem__", spy)
    assert 3 == len(list(DataLoader(numbers(10), batch_size=4)))
    assert [4, 4, 4, 4, 2, 2] == calls


def test_batch_is_a_copy():
    """Writing to a batch leaves the data as it is."""
    data = numbers(4)
    for batch, _ in DataLoader(data, batch_size=4):
        batch.fill_(9)
    assert [0, 1, 2, 3] == data.tensors[0].tolist()


def test_tensor_dataset():
    """A TensorDataset gives a tuple of rows for an index, a slice, a list or an array."""
    data = numbers(4)
    assert 4 == len(data)
    assert [2, 20] == [row.item() for row in data[2]]
    for index in ([1, 3], np.array([1, 3]), slice(1, None, 2)):
        assert [[1, 3], [10, 30]] == [rows.tolist() for rows in data[index]]


COLLATED = [
    (lambda i: (minigrad.tensor([i, i * i]), i), lambda b: [b[0].tolist(), b[1].tolist()], [[[0, 0], [1, 1]], [0, 1]]),
    (lambda i: {"x": np.full(2, i), "y": i / 2}, lambda b: {k: v.tolist() for k, v in b.items()}, {"x": [[0, 0], [1, 1]], "y": [0, 0.5]}),
    (lambda i: [(i, i + 1), str(i)], lambda b: [b[0][0].tolist(), b[0][1].tolist(), b[1]], [[0, 1], [1, 2], ["0", "1"]]),
    (lambda i: i % 2 == 0, lambda b: (b.dtype, b.tolist()), (np.dtype(bool), [True, False])),
    (lambda i: np.float64(i), lambda b: (b.dtype, b.tolist()), (np.dtype(np.float64), [0.0, 1.0])),
    (lambda i: float(i), lambda b: (b.dtype, b.tolist()), (np.dtype(np.float32), [0.0, 1.0])),
]  # fmt: skip


@pytest.mark.parametrize(("sample", "read", "expected"), COLLATED, ids=range(len(COLLATED)))
def test_collate(sample, read, expected):
    """Samples of another dataset are stacked: tensors, arrays, numbers, and tuples and dictionaries of those."""
    batch = next(iter(DataLoader(Squares(sample), batch_size=2)))
    assert expected == read(batch)


def test_collate_fn_and_plain_sequences():
    """A collate function receives the samples of each batch; a list will do as a dataset."""
    loader = DataLoader(["a", "bb", "ccc"], batch_size=2, collate_fn="+".join)
    assert ["a+bb", "ccc"] == list(loader)
    assert [0, 1, 2, 3, 4] == sorted(sum(DataLoader(Squares(lambda i: i), 2, shuffle=True, seed=0, collate_fn=list), []))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: TensorDataset(), ValueError, "at least one tensor"),
        (lambda: TensorDataset(minigrad.ones(2), [1, 2]), TypeError, "argument 1 must be a tensor, got list"),
        (lambda: TensorDataset(minigrad.ones(2), minigrad.ones(3)), ValueError, r"argument 1 has shape \(3,\).*\(2,\)"),
        (lambda: TensorDataset(minigrad.tensor(1.0)), ValueError, r"argument 0 has shape \(\)"),
        (lambda: DataLoader(numbers(2), batch_size=0), ValueError, "batch_size must be a positive integer, got 0"),
        (lambda: DataLoader(numbers(2), batch_size=2.0), ValueError, "batch_size .* got 2.0"),
        (lambda: DataLoader(numbers(2), batch_size=True), ValueError, "batch_size .* got True"),
        (lambda: DataLoader(numbers(2), generator=minigrad.Generator(), seed=1), ValueError, "not both"),
        (lambda: Dataset()[0], NotImplementedError, "Dataset defines no __getitem__"),
        (lambda: len(Dataset()), NotImplementedError, "Dataset defines no __len__"),
        (lambda: minigrad.manual_seed(-1), ValueError, "non-negative integer, got -1"),
    ],
)  # fmt: skip
def test_refused(call, error, message):
    """A refusal names what came and what was expected."""
    with pytest.raises(error, match=message):
        call()
