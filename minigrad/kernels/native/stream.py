"""The machine's limit, for the benchmark."""

from .. import checks
from ..table import Table
from .extension import BLOCK, NULL, from_buffer, kernels_of, readable, share
from .optimizers import find_addresses


def make_stream(written, updated, first, second=None, *, past_caches=False):
    """A call that sets written = first + second, or -first without `second`, and adds `first` to up to four arrays.

    `written` may be None; with `past_caches` it goes to memory directly, where the machine can. All arrays are checked
    here, once: the call costs as little as it can.
    """
    if len(updated) > 4:
        raise ValueError(f"make_stream(): {len(updated)} arrays to update, expected at most 4")
    checks.check_float("make_stream", "first", first)
    kernels, dtype, shape, size = kernels_of[first.dtype], first.dtype, first.shape, first.size
    outputs = Table(updated if written is None else (*updated, written), "make_stream()")
    checks.check_lists("make_stream", [first] * len(outputs.arrays), {"arrays to change": outputs.arrays})
    find_addresses(outputs)
    output = NULL if written is None else from_buffer(kernels.array, written)
    inputs = [
        readable("make_stream", argument, array, kernels.array, dtype, shape)
        for argument, array in (("first", first), ("second", second))
    ]

    def stream():  # `outputs` holds the arrays that are written
        changed = outputs.addresses if updated else NULL
        team, length = share(size, BLOCK, size)
        kernels.stream(team, size, length, output, len(updated), changed, *inputs, past_caches)

    return stream
