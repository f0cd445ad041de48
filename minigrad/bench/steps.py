"""Whole training steps of small networks: zero_grad, forward, cross-entropy, backward, Adam."""

import itertools
import time
from functools import partial

import numpy as np

STEPS_COMPARED = 10
PHASES = ("zero_grad", "forward", "loss", "backward", "optimizer")


def numbers(row):
    """Weights, biases, inputs and classes: the same for every framework."""
    (batch, _), *shapes = row.shapes
    rng, dtype = np.random.default_rng(0), np.dtype(row.dtype)
    layers = []
    for shape in shapes[::2]:
        weight = rng.uniform(-1, 1, shape) / np.sqrt(shape[1])
        layers.append((weight.astype(dtype), np.zeros(shape[0], dtype)))
    inputs = rng.standard_normal((batch, shapes[0][1])).astype(dtype)
    return layers, inputs, rng.integers(shapes[-1][0], size=batch)


def build_step(library, row):
    """In minigrad, or in PyTorch with the fused optimizer.

    Returns the step, the losses of the first ten, and what makes a step that returns the seconds of each of its phases;
    in place of phases a program has lines.
    """
    weights, inputs, classes = numbers(row)
    nn, layers = library.nn, []
    for weight, bias in weights:
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        layer.weight = nn.Parameter(library.from_numpy(weight))
        layer.bias = nn.Parameter(library.from_numpy(bias))
        layers += [layer, nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    fused = {"fused": True} if library.__name__ == "torch" else {}
    optimizer = library.optim.Adam(model.parameters(), lr=1e-3, **fused)
    criterion = nn.CrossEntropyLoss()
    x, y = library.from_numpy(inputs), library.from_numpy(classes)

    def step(x, y):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    def timed():
        times = [time.perf_counter()]
        optimizer.zero_grad()
        times.append(time.perf_counter())
        outputs = model(x)
        times.append(time.perf_counter())
        loss = criterion(outputs, y)
        times.append(time.perf_counter())
        loss.backward()
        times.append(time.perf_counter())
        optimizer.step()
        times.append(time.perf_counter())
        return differences(PHASES, times)

    run, phases = partial(step, x, y), lambda: timed
    if row.kernel.name == "training_step_jit" and library.__name__ == "minigrad":
        jitted = library.jit(step)
        run, phases = partial(jitted, x, y), partial(timed_lines, jitted, x.numpy(), y.numpy())
    return run, lambda: {"losses": np.array([run().item() for _ in range(STEPS_COMPARED)])}, phases


def differences(names, times):
    """Seconds by name, from what the clock said before each and after the last."""
    return {name: after - before for name, (before, after) in zip(names, itertools.pairwise(times))}


def timed_lines(jitted, *arrays):
    """What runs the program and returns the seconds that each line takes, by what it calls."""
    (program,) = jitted.programs.values()
    names, run = [line.split("(")[0] for line in program.lines[1:-1]], program.timed(time.perf_counter)
    return lambda: differences(names, run(*arrays))


def build_step_jax(row):
    """In JAX: one compiled function for the whole step, with optax's Adam; the old weights' memory is reused."""
    import jax
    import optax

    jax.config.update("jax_enable_x64", row.dtype == "float64")
    weights, inputs, classes = numbers(row)
    optimizer = optax.adam(1e-3)

    def loss_of(layers, x, y):
        for i, (weight, bias) in enumerate(layers):
            x = (jax.nn.relu(x) if i else x) @ weight.T + bias
        return optax.softmax_cross_entropy_with_integer_labels(x, y).mean()

    def update(layers, state, x, y):
        loss, gradients = jax.value_and_grad(loss_of)(layers, x, y)
        changes, state = optimizer.update(gradients, state)
        return optax.apply_updates(layers, changes), state, loss

    compiled = jax.jit(update, donate_argnums=(0, 1))
    layers, x, y = jax.tree.map(jax.numpy.asarray, (weights, inputs, classes))
    state = optimizer.init(layers)

    def step():
        nonlocal layers, state
        layers, state, loss = jax.block_until_ready(compiled(layers, state, x, y))
        return loss

    return step, lambda: {"losses": np.array([float(step()) for _ in range(STEPS_COMPARED)])}
