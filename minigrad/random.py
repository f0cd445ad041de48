"""The source of random numbers: NumPy's PCG64, seeded by `manual_seed`."""

import numpy as np


class Generator:
    """A stream of random numbers of its own.

    Example:
        >>> import minigrad
        >>> a = minigrad.rand(2, generator=minigrad.Generator().manual_seed(1))
        >>> b = minigrad.rand(2, generator=minigrad.Generator().manual_seed(1))
        >>> bool((a == b).all())
        True
    """

    def __init__(self, seed=None):
        self.manual_seed(np.random.SeedSequence().entropy if seed is None else seed)

    def manual_seed(self, seed):
        """Start the stream again from `seed`, a non-negative integer. Returns the generator."""
        if not isinstance(seed, (int, np.integer)) or seed < 0:
            raise ValueError(f"manual_seed(): expected a non-negative integer, got {seed!r}")
        self.seed, self.numpy = int(seed), np.random.Generator(np.random.PCG64(seed))
        return self

    def initial_seed(self):
        return self.seed

    def get_state(self):
        """The state as a plain dictionary, for a checkpoint."""
        return self.numpy.bit_generator.state

    def set_state(self, state):
        self.numpy.bit_generator.state = state


default_generator = Generator()


def manual_seed(seed):
    """Seed the random numbers of minigrad. Returns the default generator."""
    return default_generator.manual_seed(seed)


def stream(generator=None):
    """The NumPy generator to draw from."""
    return (generator or default_generator).numpy
