"""A function at one set of values: its results, its gradients in both precisions, and how far rounding moves these."""

from contextlib import contextmanager, suppress

import numpy as np

from .differences import Origin
from .subject import REFUSALS, copied, doubled

FLOAT64 = np.finfo(np.float64).eps
ROUNDS = 6
DIGITS = 64  # roundings by which every gradient may be off


class Point:
    """`values` are the arrays of the subject's holders, `analytic` the gradients there for these `upstream` ones.

    With `in_float64`, differences are taken of float64 copies, and `double` are the gradients there, None if the
    function's own rule refuses them. `rounding` and `double_rounding` tell how exact either is.
    """

    def __init__(self, subject, values, upstream, analytic, eps, in_float64):
        self.subject, self.values, self.upstream, self.analytic = subject, values, upstream, analytic
        self.eps, self.in_float64, self.double = eps, in_float64, None
        self.position = {id(holder): i for i, holder in enumerate(subject.holders)}
        own = [np.finfo(g.dtype).eps for g in analytic]  # a rule may be less exact than its function
        self.rounding = Rounding(subject, self.original, upstream, analytic, max(eps, *own))

    def original(self, holder):
        """A copy of the values."""
        return self.values[self.position[id(holder)]].copy()

    @contextmanager
    def visited(self):
        """The subject is here, with arrays that may be moved."""
        make = doubled if self.in_float64 else copied
        with self.subject.moved(self.original), self.subject.moved(make):
            weights = np.concatenate([v.ravel() for v in self.upstream]).astype(np.float64)
            vector = self.subject.vector()
            if vector is None or not np.isfinite(vector).all():
                raise ValueError("the function is not defined here")
            self.origin = Origin(vector, weights, FLOAT64 if self.in_float64 else self.eps)
            if self.in_float64:
                self.differentiate_in_float64()
            yield self

    def differentiate_in_float64(self):
        upstream = [v.astype(np.float64) for v in self.upstream]
        with suppress(Exception):  # whatever a rule says to a dtype it was not written for
            found = self.subject.gradients(upstream)
            if all(g.shape == a.shape and g.dtype == np.float64 for g, a in zip(found, self.analytic)):
                arrays = {id(h): h.array.copy() for h in self.subject.holders}
                there = lambda holder: arrays[id(holder)].copy()
                self.double, self.double_rounding = found, Rounding(self.subject, there, upstream, found, FLOAT64)


class Rounding:
    """How far rounding moves a gradient, element by element: what changes when all that it is computed from moves
    at random by a few roundings.
    """

    def __init__(self, subject, values, upstream, gradients, eps):
        self.subject, self.values, self.upstream, self.gradients, self.eps = subject, values, upstream, gradients, eps
        self.found, self.rng = None, np.random.default_rng(1)

    def of(self, k):
        if self.found is None:
            checked, rounds = [id(holder) for _, holder in self.subject.variables], []
            values = lambda h: self.shaken(self.values(h)) if id(h) in checked else self.values(h)
            for _ in range(ROUNDS):
                with suppress(*REFUSALS), self.subject.moved(values):
                    rounds.append(self.subject.gradients([self.shaken(v) for v in self.upstream]))
            self.found = [self.spread(exact, [found[i] for found in rounds]) for i, exact in enumerate(self.gradients)]
        return self.found[k]

    def spread(self, exact, others):
        """How far the gradients at the shaken values are from their median.

        The one at x itself has no say, nor have others that are the same while most are not: a rule may treat x
        alone, or all ties, in another way than their neighbours, and that is no rounding.
        """
        others = np.array([g for g in others if g.shape == exact.shape], np.float64).reshape(-1, *exact.shape)
        others[~np.isfinite(others)] = np.nan
        if not len(others):
            return np.zeros(exact.shape)
        middle = np.sort(others, axis=0)[len(others) // 2]  # NaN comes last
        near = lambda values: np.abs(values - exact) <= DIGITS * self.eps * np.abs(exact)
        apart = np.where(near(others) & ~near(middle), 0, np.abs(others - middle))
        return np.fmax.reduce(np.nan_to_num(apart), axis=0)

    def shaken(self, array):
        by = self.rng.integers(1, 5, array.shape) * self.rng.choice([-1, 1], array.shape)
        return array * (1 + self.eps * by).astype(array.dtype)
