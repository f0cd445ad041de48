"""Random search: no gradient, only tries."""

from typing import NamedTuple

import numpy as np

from ..graph import no_grad
from ..random import Generator, default_generator
from ..tensor import Tensor


class Found(NamedTuple):
    """What a search found: the best candidate, its loss, and the best loss after each try, (tries,) float64."""

    best: Tensor
    loss: float
    history: np.ndarray


@no_grad()
def random_search(loss, draw, tries=1000, *, batch_size=1, seed=None):
    """Draw candidates at random and keep the one with the least loss.

        best = the candidate of least loss(candidate) among `tries` candidates, the first of equals

    Candidates are drawn and judged in stacks of `batch_size`, so that one call may judge many: products of large
    matrices take far less time than as many products of small ones. The candidates do not depend on `batch_size`
    as long as `draw` takes its numbers one after the other, as `minigrad.randn` does.

    Args:
        loss: function of a stack of candidates, (count, ...), that returns one loss each: (count,), a tensor or an
            array. NaN counts as worse than any number.
        draw: function draw(count, generator) that returns `count` candidates, a tensor (count, ...).
        tries: how many candidates to try, at least 1.
        batch_size: how many to draw and judge at once; the last stack may be smaller.
        seed: of the `minigrad.Generator` that `draw` receives; None takes the one of `manual_seed`.

    Returns:
        A named tuple (best, loss, history): the best candidate (...), its loss, and the best loss after each try.

    Raises:
        ValueError: when `tries`, `batch_size` or `seed` is out of range, when `draw` or `loss` returns another number
            of candidates or losses, and when no candidate has a loss below infinity.
        TypeError: when `draw` does not return a tensor.

    Reference: Brooks 1958, "A discussion of random methods for seeking maxima", the simple random method.

    Example:
        >>> import minigrad
        >>> found = minigrad.optim.random_search(
        ...     loss=lambda w: (w - 2) ** 2,
        ...     draw=lambda count, generator: 4 * minigrad.rand(count, generator=generator),
        ...     tries=100, seed=0)
        >>> found.best, len(found.history)
        (tensor(2.0145), 100)
    """
    for name, value in ("tries", tries), ("batch_size", batch_size):
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"random_search(): {name} must be a positive integer, got {value!r}")
    generator = default_generator if seed is None else Generator(seed)
    best, least, losses = None, np.inf, np.empty(tries)
    for start in range(0, tries, batch_size):
        count = min(batch_size, tries - start)
        candidates = draw(count, generator)
        if not isinstance(candidates, Tensor):
            raise TypeError(f"random_search(): draw must return a tensor, got {type(candidates).__name__}")
        if candidates.shape[:1] != (count,):
            raise ValueError(
                f"random_search(): draw returned the shape {candidates.shape}, expected ({count}, ...)"
            )
        judged = np.asarray(loss(candidates), float)
        if judged.shape != (count,):
            raise ValueError(
                f"random_search(): loss returned the shape {judged.shape}, expected one loss per candidate: ({count},)"
            )
        judged = losses[start : start + count] = np.where(np.isnan(judged), np.inf, judged)
        if judged.min() < least:
            best, least = candidates[judged.argmin()].clone(), float(judged.min())
    if best is None:
        raise ValueError(f"random_search(): none of the {tries} candidates has a loss below infinity")
    return Found(best, least, np.minimum.accumulate(losses))
