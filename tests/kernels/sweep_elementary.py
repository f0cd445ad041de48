"""The largest errors of exp, log, log1p and log1p_near_0, over every float32 and over every exponent of float64.

    python tests/kernels/sweep_elementary.py

takes half an hour. test_elementary.py does the same for a sample; the figures stand in csrc/kernels.template.h.
"""

import sys

import numpy as np

# What each computes, and for which numbers; NaN is everybody's.
FUNCTIONS = {
    "exp": (np.exp, -np.inf, 0),
    "log": (np.log, -np.inf, np.inf),
    "log1p": (np.log1p, -np.inf, np.inf),
    "log1p_near_0": (np.log1p, -0.5, 1),
}
WIDER = {np.float32: np.float64, np.float64: np.longdouble}
AT_A_TIME = 1 << 20


def largest_error(native, function, x):
    """(error, argument): in units of the exact result's last place. Results that are not finite must be equal."""
    exact_function, lowest, highest = FUNCTIONS[function]
    x = x[~(x < lowest) & ~(x > highest)]
    with np.errstate(all="ignore"):
        exact = exact_function(x.astype(WIDER[x.dtype.type]))
        rounded = exact.astype(x.dtype)
    result = getattr(native, function)(x)
    finite = np.isfinite(rounded) & np.isfinite(result)
    edge = ~finite & (np.isinf(rounded) ^ np.isinf(result))  # one unit beyond the largest number is infinity
    np.testing.assert_array_equal(result[~finite & ~edge], rounded[~finite & ~edge])
    assert (np.abs(np.where(np.isinf(rounded), result, rounded)[edge]) >= np.finfo(x.dtype).max * (1 - 1e-6)).all()
    x, result, exact, rounded = x[finite], result[finite], exact[finite], rounded[finite]
    if x.size == 0:
        return 0.0, np.nan
    errors = np.abs(result.astype(exact.dtype) - exact) / np.spacing(np.abs(rounded)).astype(exact.dtype)
    worst = np.argmax(errors)
    return float(errors[worst]), float(x[worst])


def every_float32():
    """All 2^32 bit patterns: both zeros, denormals, infinities and each NaN among them."""
    for start in range(0, 1 << 32, AT_A_TIME):
        yield np.arange(start, start + AT_A_TIME, dtype=np.uint64).astype(np.uint32).view(np.float32)


def every_exponent_of_float64(per_exponent=1 << 13):
    """For each sign and exponent both ends of the mantissa and others at random."""
    rng = np.random.default_rng(0)
    together = AT_A_TIME // per_exponent
    for first in range(0, 1 << 12, together):
        high = np.arange(first, first + together, dtype=np.uint64)[:, None] << np.uint64(52)
        mantissas = rng.integers(0, 1 << 52, (together, per_exponent), np.uint64)
        mantissas[:, :4] = 0, 1, (1 << 52) - 2, (1 << 52) - 1
        yield (high | mantissas).ravel().view(np.float64)


def where_float64_errs_most():
    """Where a sweep of exponents is thin: where exp is neither 0 nor infinity, and where log is near 0."""
    rng = np.random.default_rng(1)
    for _ in range(64):
        yield rng.uniform(-746, 710, AT_A_TIME)
        yield rng.uniform(-0.5, 1, AT_A_TIME)
        yield 2 ** rng.uniform(-0.5, 0.5, AT_A_TIME)
        yield 1 + rng.uniform(-1, 1, AT_A_TIME) * 2.0 ** rng.uniform(-52, 0, AT_A_TIME)


SWEEPS = (every_float32, every_exponent_of_float64, where_float64_errs_most)


def with_bar(chunks):
    """The chunks, counted by tqdm on a terminal; silently elsewhere, or without tqdm."""
    try:
        from tqdm import tqdm
    except ImportError:
        return chunks
    return tqdm(chunks, unit=" x 2^20", leave=False, disable=None)


def main():
    from minigrad.kernels import native

    if np.finfo(np.longdouble).nmant < 63:
        sys.exit("sweep_elementary: long double is no wider than double here, so there is nothing to measure with")
    print(f"{'sweep':28}{'function':10}{'largest error':>15}  at")
    for sweep in SWEEPS:
        worst = dict.fromkeys(FUNCTIONS, (0.0, np.nan))
        for x in with_bar(sweep()):
            for function in FUNCTIONS:
                worst[function] = max(worst[function], largest_error(native, function, x), key=lambda pair: pair[0])
        for function, (error, argument) in worst.items():
            print(f"{sweep.__name__:28}{function:10}{error:11.4f} ulp  {argument!r} = {argument.hex()}", flush=True)


if __name__ == "__main__":
    main()
