"""The streaming loop that the benchmark takes for the machine's limit."""

import weakref

import numpy as np
import pytest
from kernel_cases import DTYPES

from minigrad.kernels import reference


@pytest.mark.parametrize("dtype", DTYPES, ids=["f32", "f64"])
@pytest.mark.parametrize("updates", range(5))
@pytest.mark.parametrize("reads", [1, 2])
@pytest.mark.parametrize("past_caches", [False, True])
def test_bits(native, threads, dtype, updates, reads, past_caches):
    """The reference's, for any length and place in memory, at every level and number of threads."""

    def results(kernels):
        rng, found = np.random.default_rng(0), []
        for count, shift in ((0, 0), (1, 1), (7, 3), (1003, 1), (100_003, 2)):
            draw = lambda: rng.random(count + shift).astype(dtype)[shift:]
            written, updated, read = draw(), [draw() for _ in range(updates)], [draw() for _ in range(reads)]
            for output in (written, None):
                kernels.make_stream(output, updated, *read, past_caches=past_caches)()
            found += [written.tobytes(), *(array.tobytes() for array in updated)]
        return found

    expected = results(reference)
    for level in native.instruction_sets():
        native.set_instruction_set(level)
        for number in (1, 2, 3, 8):
            threads(number)
            assert results(native) == expected


def test_the_call_holds_its_arrays(native):
    """What C writes to must not be freed before the call is."""
    arrays = [np.ones(8, np.float32) for _ in range(4)]
    stream = native.make_stream(arrays[0], [arrays[1]], *arrays[2:])
    alive = [weakref.ref(array) for array in arrays]
    del arrays
    assert all(array() is not None for array in alive)
    stream()


def test_refusals(native):
    """What C could not bear is refused before it is called."""
    x, other = np.ones(8, np.float32), np.ones(8, np.float32)
    for arguments, error in [
        ((other, [np.ones(8, np.float32) for _ in range(5)], x), ValueError),
        ((np.ones(7, np.float32), [], x), ValueError),
        ((np.ones(8), [], x), TypeError),
        ((other, [other], x), ValueError),
        ((other, [], x, np.ones(9, np.float32)), ValueError),
        ((None, [], np.ones(8, np.int64)), TypeError),
    ]:
        with pytest.raises(error, match=r"make_stream\(\)"):
            native.make_stream(*arguments)
