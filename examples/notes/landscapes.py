"""Three small loss functions to walk on, the walk, and the map with its paths.

Every function takes numbers, arrays or tensors, for it is built with + and * alone.
"""

import numpy as np

import minigrad

STEEP = 100  # the ravine is this much more curved across than along
RAVINE_START = (-10.0, 1.0)  # where both directions have the same share in the loss
COLOURS = ("C1", "C0", "C2", "C3")


def ravine(x, y):
    """A long valley along x with steep walls in y; the minimum, 0, lies at (0, 0)."""
    return (x * x + STEEP * y * y) / 2


def two_valleys(x):
    """A shallow valley at 2 (loss 4/3), a ridge at 1 and a deep valley at -2: the slope is (x + 2) (x - 1) (x - 2)."""
    return x * x * x * x / 4 - x * x * x / 3 - 2 * x * x + 4 * x


def saddle(x, y):
    """Up in x, down in y: flat at (0, 0), which is no minimum; those, -1/4, lie at (0, -1) and (0, 1)."""
    return x * x / 2 - y * y / 2 + y * y * y * y / 4


def gradient(function, point):
    """The gradient of `function` at `point`, by backward()."""
    place = [minigrad.tensor(value, dtype=minigrad.float64, requires_grad=True) for value in point]
    function(*place).backward()
    return np.array([value.grad.item() for value in place])


def descend(function, start, steps, make_optimizer):
    """The places, (steps + 1, coordinates), that an optimizer of minigrad visits from `start`.

    `make_optimizer` gets the list of parameters and returns the optimizer.
    """
    place = [minigrad.tensor(value, dtype=minigrad.float64, requires_grad=True) for value in start]
    optimizer = make_optimizer(place)
    visited = [start]
    for _ in range(steps):
        optimizer.zero_grad()
        function(*place).backward()
        optimizer.step()
        visited.append([value.item() for value in place])
    return np.array(visited, dtype=float)


def losses(function, path):
    """The loss at each place of a path."""
    return function(*path.T)


def steps_until(values, bound):
    """After how many steps all further values stay below `bound`; None if the last one does not."""
    above = np.flatnonzero(~(values < bound))
    settled = int(above[-1]) + 1 if len(above) else 0
    return settled if settled < len(values) else None


def sign_changes(values):
    """How often the values of a sequence change sign."""
    signs = np.sign(values)
    return int(np.sum(signs[1:] * signs[:-1] < 0))


def draw_paths(axes, function, paths, xlim, ylim, levels, minimum=(0, 0), colours=COLOURS):
    """A map of `function` with height lines, and paths on it: {label: places}."""
    x, y = np.meshgrid(np.linspace(*xlim, 200), np.linspace(*ylim, 200))
    axes.contour(x, y, function(x, y), levels, colors="#b8c0cc", linewidths=0.8)
    for (label, path), colour in zip(paths.items(), colours):
        axes.plot(*path.T, "o-", color=colour, markersize=3, linewidth=1.2, label=label)
    axes.plot(*minimum, "*", color="black", markersize=11)
    axes.set(xlim=xlim, ylim=ylim, xlabel="x", ylabel="y")
    axes.grid(False)


def draw_ravine(axes, paths, colours=COLOURS):
    """The ravine with paths that begin at its start."""
    draw_paths(axes, ravine, paths, (-11, 4), (-1.6, 1.6), [0.5, 3, 10, 25, 50, 90, 140], colours=colours)


def draw_two_valleys(axes, paths, above=0.4):
    """The curve of `two_valleys` with the balls of each path on it, each path a little higher than the one before."""
    x = np.linspace(-3.05, 3.05, 300)
    axes.plot(x, two_valleys(x), color="#8a94a6", linewidth=1.5)
    for i, ((label, path), colour) in enumerate(zip(paths.items(), COLOURS)):
        axes.plot(
            path[:, 0],
            two_valleys(path[:, 0]) + i * above,
            "o-",
            color=colour,
            markersize=3,
            linewidth=0.8,
            label=label,
        )
    axes.set(xlabel="x", ylabel="loss")
