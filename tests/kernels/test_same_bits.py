"""Neither the instruction set nor the number of threads nor the machine changes a bit.

bits.json holds a digest of every kernel's results. Where kernels are to round otherwise from now on, run
`python tests/kernels/test_same_bits.py`, which writes it anew.
"""

import json
from hashlib import sha256
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from kernel_cases import DTYPES, LOSSES, OPTIMIZERS, ROW_LOSSES, loss_case, optimizer_steps

FROZEN = Path(__file__).with_name("bits.json")
THREADS = (1, 2, 3, 8)


class SteadyDraws:
    """A generator whose numbers no version of NumPy changes, as it may those of np.random.Generator."""

    def __init__(self):
        self.bits = np.random.PCG64(0)

    def uniform(self, low, high, size):
        return low + (high - low) * ((self.bits.random_raw(size) >> np.uint64(11)) * 2.0**-53)

    def normal(self, size):  # but for its shape, which is not what counts here
        return self.uniform(-3, 3, size)

    def integers(self, low, high, size):
        return self.uniform(low, high, size).astype(np.int64)

    def dirichlet(self, alpha, size):
        return self.uniform(0, 2 / len(alpha), (size, len(alpha)))


def loss_results(native, name, dtype, reduction):
    """Of one call, all of which is far for one thread (csrc/blocks.h), but not its part when there are more; for losses
    over rows, of short, longer and long rows, which are worked through in different ways."""
    for shape in ((1003, 33), (303, 101), (103, 1001)) if name in ROW_LOSSES else ((180_003,),):
        kernel, arrays, options, _ = loss_case(name, dtype, shape, SteadyDraws())
        yield from getattr(native, kernel)(*arrays, **options, reduction=reduction, need_gradient=True)


def optimizer_results(native, name, dtype):
    rng = SteadyDraws()
    draw = lambda: [rng.normal(size=n).astype(dtype) for n in (5, 9000, 0, 2049, 4096, 1, 270_001)]  # far, as above
    parameters = draw()
    optimizer_steps(native, name, parameters, [draw() for _ in range(3)])
    return parameters


def layer_results(native, name, dtype):
    """Products are by the sets with fused multiply-adds alone."""
    rng = SteadyDraws()
    if name == "matmul":
        for shape, *turned in product([(70, 300, 200), (300, 40, 130)], (False, True), (False, True)):
            rows, inner, columns = shape
            factors = [rng.normal(size=size).astype(dtype) for size in ((rows, inner), (inner, columns), (columns,))]
            left, right = (np.asfortranarray(factor) if turn else factor for factor, turn in zip(factors, turned))
            yield native.matmul(left, right, factors[2])
        return
    x, upstream = (rng.normal(size=(203, 1501)).astype(dtype) for _ in range(2))
    x[0, :3] = [np.nan, -0.0, np.inf]
    yield getattr(native, name)(*((upstream, native.relu(x)) if name == "relu_backward" else (x,)))


def elementary_results(native, name, dtype):
    bits = np.random.PCG64(0).random_raw(250_000 * np.dtype(dtype).itemsize // 2)
    result = getattr(native, name)(bits.view(dtype))  # of any bit pattern
    result[np.isnan(result)] = np.nan  # which NaN is not promised
    yield result


RESULTS = {
    **{(name, reduction): loss_results for name, reduction in product(LOSSES, ("mean", "none"))},
    **{(name,): optimizer_results for name in OPTIMIZERS},
    **{(name,): layer_results for name in ("relu", "relu_backward", "sum_rows", "matmul")},
    **{(name,): elementary_results for name in ("exp", "log", "log1p", "log1p_near_0")},
}


def digest(native, name, dtype):
    first, *options = name
    bits = b"".join(result.tobytes() for result in RESULTS[name](native, first, dtype, *options))
    return sha256(bits).hexdigest()[:16]


def key(name, dtype):
    return " ".join([*name, np.dtype(dtype).name])


@pytest.mark.parametrize("name", RESULTS, ids="-".join)
@pytest.mark.parametrize("dtype", DTYPES, ids=["f32", "f64"])
def test_bits(native, name, dtype, threads):
    frozen = json.loads(FROZEN.read_text())
    assert list(frozen) == [key(*row) for row in product(RESULTS, DTYPES)], "write bits.json anew, as said above"
    levels = [level for level in native.instruction_sets() if name != ("matmul",) or level != "baseline"]
    if not levels:
        pytest.skip("no instruction set here has fused multiply-adds")
    seen = {}
    for level, number in product(levels, THREADS):
        native.set_instruction_set(level)
        threads(number)
        seen[level, number] = digest(native, name, dtype)
    assert seen == dict.fromkeys(seen, frozen[key(name, dtype)])


if __name__ == "__main__":
    from minigrad.kernels import native

    native.set_instruction_set(native.instruction_sets()[-1])
    if native.instruction_set() == "baseline":
        raise SystemExit("The digests of products need fused multiply-adds, which this machine has not.")
    bits = {key(name, dtype): digest(native, name, dtype) for name, dtype in product(RESULTS, DTYPES)}
    FROZEN.write_text(json.dumps(bits, indent=1) + "\n")
