"""How a row becomes a call, the same in every framework: minigrad's and PyTorch's names are one.

A builder takes a library and a row and returns the call to time, and a function that gives the results to compare.
All draw their numbers from the same seed.
"""

import importlib
import timeit
from typing import Callable, NamedTuple

import numpy as np

from .. import kernels
from .steps import build_step, build_step_jax


class Call(NamedTuple):
    """What is timed, what it computed, how the time of one call follows from what the clock says, and what
    makes a call that returns its phases."""

    run: Callable
    results: Callable
    seconds: Callable = float
    phases: Callable | None = None


def _draw(kind, rng, shape, dtype):
    if kind == "normal":
        return rng.standard_normal(shape, dtype)
    if kind == "classes":
        return rng.integers(shape[1], size=shape[0])
    uniform = rng.random(shape, dtype) * dtype.type(0.98) + dtype.type(0.01)  # away from the poles of log
    return uniform if kind == "uniform" else uniform / uniform.sum(axis=1, keepdims=True)


def build_loss(library, row):
    """Forward and backward of a loss."""
    rng, dtype, shape = np.random.default_rng(0), np.dtype(row.dtype), row.shapes[0]
    input, target = (library.from_numpy(_draw(kind, rng, shape, dtype)) for kind in row.kernel.draws)
    input.requires_grad_()
    loss = getattr(library.nn.functional, row.kernel.function)

    def run():
        input.grad = None
        value = loss(input, target)
        value.backward()
        return value

    return Call(run, lambda: {"value": run().detach().numpy(), "gradient": input.grad.numpy()})


def build_optimizer(library, row):
    """A step of an optimizer; the gradients stay what they are."""
    rng, dtype = np.random.default_rng(0), np.dtype(row.dtype)
    parameters = []
    for shape in row.shapes:
        parameter = library.from_numpy(rng.standard_normal(shape, dtype)).requires_grad_()
        parameter.grad = library.from_numpy(rng.standard_normal(shape, dtype))
        parameters.append(parameter)
    more = row.kernel.torch if library.__name__ == "torch" else {}
    optimizer = getattr(library.optim, row.kernel.function)(parameters, **row.kernel.options, **more)

    def results():
        for _ in range(3):
            optimizer.step()
        return {f"parameter {i}": p.detach().numpy() for i, p in enumerate(parameters)}

    return Call(optimizer.step, results)


def build_layer(library, row):
    """Forward and backward of a layer, from a random upstream gradient; the first shape is the input's."""
    rng, dtype, shapes = np.random.default_rng(0), np.dtype(row.dtype), row.shapes
    inputs = [library.from_numpy(_draw("normal", rng, shape, dtype)).requires_grad_() for shape in shapes]
    layer = getattr(library.nn.functional, row.kernel.function)
    upstream = library.from_numpy(_draw("normal", rng, tuple(layer(*inputs).shape), dtype))

    def run():
        for each in inputs:
            each.grad = None
        value = layer(*inputs)
        value.backward(upstream)
        return value

    def results():
        value = run().detach().numpy()
        return {"value": value, **{f"gradient {i}": each.grad.numpy() for i, each in enumerate(inputs)}}

    return Call(run, results)


def build_chain(library, row):
    """Twenty chained matrix products, all factors trained."""
    rng, shape = np.random.default_rng(0), row.shapes[0]
    noise = rng.standard_normal((21, *shape)) / (2 * shape[0])
    factors = [library.from_numpy((np.eye(*shape) + n).astype(row.dtype)).requires_grad_() for n in noise]

    def run():
        product = factors[0]
        product.grad = None
        for factor in factors[1:]:
            factor.grad = None
            product = product @ factor
        value = product.sum()
        value.backward()
        return value

    def results():
        value = run().detach().numpy()
        return {"value": value, **{f"gradient {i}": f.grad.numpy() for i, f in enumerate(factors)}}

    return Call(run, results)


def build_stream(row, smallest):
    """The kernels' `stream`: as many arrays updated, read and written as the row must, with next to no arithmetic.

    What is written goes through the caches or around them, whichever is faster here. For a small row, `smallest` bytes
    are streamed in its place, and the time of a call on nothing is taken off: it is the memory that is measured.
    """
    kernel, dtype = row.kernel, np.dtype(row.dtype)
    count = max(row.elements, smallest // kernel.bytes_per_element(dtype))
    updated = [np.ones(count, dtype) for _ in range(kernel.updated)]
    read = [np.full(count, 1e-6, dtype) for _ in range(kernel.read)]
    written = [np.ones(count, dtype) for _ in range(kernel.written)]
    # Each written array comes of one that is read, and the last of all that are left.
    calls = [(array, [], *read[i : i + 1]) for i, array in enumerate(written[:-1])]
    calls.append((written[-1] if written else None, updated, *read[max(kernel.written - 1, 0) :]))

    def way(part, past_caches):
        """The calls on a part of every array, one after the other."""
        cut = [(None if array is None else array[part], [u[part] for u in more], *(x[part] for x in others))
               for array, more, *others in calls]  # fmt: skip
        streams = [kernels.active.make_stream(*arrays, past_caches=past_caches) for arrays in cut]
        return streams[0] if len(streams) == 1 else lambda: [stream() for stream in streams]

    ways = [way(slice(None), around) for around in ((False, True) if written else (False,))]
    number = 1 + (1 << 22) // (count * kernel.bytes_per_element(dtype))  # or the call is what is timed
    run = min(ways, key=lambda run: min(timeit.repeat(run, number=number, repeat=5)))
    nothing = min(timeit.repeat(way(slice(0), False), number=1000, repeat=20)) / 1000
    share = row.bytes / (count * kernel.bytes_per_element(dtype))
    return Call(run, dict, lambda seconds: max(seconds - nothing, seconds / 10) * share)


def build_whole_step(library, row):
    """A training step."""
    run, results, phases = build_step(library, row)
    return Call(run, results, phases=phases)


BUILDERS = {
    "loss": build_loss,
    "loss over rows": build_loss,
    "optimizer": build_optimizer,
    "activation": build_layer,
    "linear": build_layer,
    "engine": build_chain,
    "step": build_whole_step,
}


def build(library, row, smallest):
    """The `Call` of a row in "minigrad", "torch", "jax", or as a bare "stream"."""
    if library == "stream":
        return build_stream(row, smallest)
    if library == "jax":
        return Call(*build_step_jax(row))
    return BUILDERS[row.kernel.family](importlib.import_module(library), row)
