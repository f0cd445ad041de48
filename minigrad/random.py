"""The source of random numbers: NumPy's PCG64, seeded by `manual_seed`."""

import numpy as np

from .graph import repeated


class Generator:
    """A stream of random numbers of its own: NumPy's PCG64 (O'Neill 2014), seeded by `seed` or at random.

    Raises ValueError for a seed that is not a non-negative integer.

    Example:
        >>> import minigrad
        >>> a = minigrad.rand(2, generator=minigrad.Generator().manual_seed(1))
        >>> b = minigrad.rand(2, generator=minigrad.Generator().manual_seed(1))
        >>> bool((a == b).all())
        True
    """

    def __init__(self, seed=None):
        self.manual_seed(np.random.SeedSequence().entropy if seed is None else seed)

    @repeated
    def manual_seed(self, seed):
        """Start the stream again from `seed`, a non-negative integer. Returns the generator."""
        if not isinstance(seed, (int, np.integer)) or seed < 0:
            raise ValueError(f"manual_seed(): expected a non-negative integer, got {seed!r}")
        self.seed, self.numpy = int(seed), np.random.Generator(np.random.PCG64(seed))
        return self

    def initial_seed(self):
        """The seed that the stream started from."""
        return self.seed

    def get_state(self):
        """The state as a plain dictionary, for a checkpoint.

        Example:
            >>> import minigrad
            >>> generator = minigrad.Generator(seed=1)
            >>> state = generator.get_state()
            >>> a = minigrad.rand(2, generator=generator)
            >>> generator.set_state(state)
            >>> bool((a == minigrad.rand(2, generator=generator)).all())
            True
        """
        return self.numpy.bit_generator.state

    @repeated
    def set_state(self, state):
        """Go on from what `get_state` returned."""
        self.numpy.bit_generator.state = state


default_generator = Generator()


@repeated
def manual_seed(seed):
    """Seed the random numbers of minigrad. Returns the default generator.

    Raises ValueError for a seed that is not a non-negative integer.

    Example:
        >>> import minigrad
        >>> state = minigrad.random.default_generator.get_state()
        >>> minigrad.manual_seed(7).initial_seed()
        7
        >>> minigrad.random.default_generator.set_state(state)  # as before this example
    """
    return default_generator.manual_seed(seed)


def stream(generator=None):
    """The NumPy generator to draw from."""
    return (generator or default_generator).numpy
