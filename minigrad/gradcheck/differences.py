"""Derivatives from values alone: differences over a sweep of steps, extrapolated, each with an estimate of its error.

A line is t -> f(x + t u), for one element of x or for a direction u. Its slope at 0 is found in two ways:
cheaply from two values at one step, or from a sweep of steps, each a quarter of the one before.
Extrapolation removes the leading powers of the step from the differences (L. F. Richardson 1911); of all
extrapolated values that is taken which differs least from its neighbours in the sweep (as C. Ridders 1982 does),
because a step too large shows the curvature and a step too small the rounding, and both show as differences.
"""

from dataclasses import dataclass

import numpy as np

RATIO = 4.0


class Line:
    """t -> f(x + t u), where `where` are the moved elements of a holder's array, and `ahead` is u there."""

    def __init__(self, subject, holder, where, ahead=1.0):
        self.subject, self.holder, self.where, self.ahead = subject, holder, where, ahead

    def at(self, t):
        """(the t that was reached, all results as a vector or None)."""
        array = self.holder.array
        self.subject.evaluations += 1
        kept = array[self.where].copy()
        array[self.where] = kept + t * self.ahead
        try:
            reached = t if self.where is ... else float(array[self.where]) - float(kept)
            return reached, self.subject.vector()
        finally:
            array[self.where] = kept


@dataclass
class Slope:
    """A derivative by central differences, and between which slopes it lies if there is a kink."""

    value: float
    error: float
    step: float
    low: float = np.nan
    high: float = np.nan
    is_kink: bool = False
    side_error: float = np.inf
    still: tuple = (0.0, 0.0)  # steps to the two sides over which f does not change at all
    results: float = 0.0  # the sizes of the results that move, weighted by the upstream gradients
    typical: float = np.inf  # the part of rounding in the error, if roundings are independent


class Origin:
    """f(x), the upstream gradient as one vector, and the rounding of results, relative."""

    def __init__(self, vector, weights, eps):
        self.vector, self.weights, self.eps = vector, weights, eps
        self.size = np.abs(weights)
        self.hides = eps * float(np.abs(vector) @ self.size)  # a change, in all results
        # Below it numbers have fewer digits.
        self.tiny = float(np.finfo(np.float32 if eps == np.finfo(np.float32).eps else np.float64).tiny)


def quick(line, origin, h, loss):
    """The slope from f(x + h) and f(x - h) alone, `loss` its relative error; None where f refuses these arguments."""
    (t, above), (b, below) = line.at(h), line.at(-h)
    if above is None or below is None or not t * b < 0:
        return None
    moves = np.flatnonzero((above != origin.vector) | (below != origin.vector))  # the others have no say
    above, below, here = above[moves], below[moves], origin.vector[moves]
    weights, size = origin.weights[moves], origin.size[moves]
    rise = above - below
    value = float(rise @ weights) / (t - b)
    # A second difference shrinks faster than h where f is smooth, and no faster where slopes differ by side.
    bend = float(np.abs(above + below - 2 * here) @ size) / h
    largest = np.maximum(np.maximum(np.abs(above), np.abs(below)), origin.tiny) * size
    results = float(largest.sum())
    noise = origin.eps * results / h
    is_kink = bend > 100 * noise + 0.01 * float(np.abs(rise) @ size) / h
    found = Slope(value, noise + loss * abs(value), h, is_kink=is_kink, results=results)
    found.typical = origin.eps * float(np.sqrt((largest**2).sum())) / h
    return found if np.isfinite(value) else None


class Sweep:
    """The values of a line at steps +-t, t from `top` down to `bottom`."""

    def __init__(self, line, origin, top, bottom):
        span = (np.log(top) - np.log(bottom)) / np.log(RATIO)
        count = max(4, 1 + int(np.ceil(span))) if np.isfinite(span) else 4  # at the ends of the range of numbers
        f, sides = origin.vector, []
        moves, defined = np.zeros(f.shape, bool), np.zeros(f.shape, bool)
        for sign in (1, -1):
            values = [line.at(sign * t) for t in top * RATIO ** -np.arange(count, dtype=float)]
            values = [(t, y) if y is not None and t * sign > 0 else (np.nan, None) for t, y in values]
            for _, y in values:
                if y is not None:
                    moves |= (y != f) & np.isfinite(y)
                    defined |= np.isfinite(y)
            sides.append(values)
        moves |= ~defined  # the other results have no say
        blank = np.full(np.count_nonzero(moves), np.nan)
        (self.ahead, self.above), (self.behind, self.below) = (
            (np.array([t for t, _ in values]), np.array([blank if y is None else y[moves] for _, y in values]))
            for values in sides
        )
        self.value, self.weights = f[moves], origin.weights[moves]
        largest = np.maximum(np.maximum(np.abs(self.above), np.abs(self.below)), np.abs(self.value))
        self.results = np.maximum(largest, origin.tiny) @ np.abs(self.weights)
        if not moves.any():  # a change may be too small to show in any result
            self.results = self.results + origin.hides / origin.eps
        self.noise = origin.eps * self.results
        self.steps = self.ahead

    def rounding(self):
        """The rounding of f as it shows at the smallest steps, where it may be of numbers larger than the results."""
        bend = (self.above + self.below - 2 * self.value) @ self.weights
        left = bend[:-2] - 20 * bend[1:-1] + 64 * bend[2:]  # what is not in proportion to t or t^2
        left = np.abs(left[-2:])
        return left[np.isfinite(left)].max(initial=0) / 30

    def slope(self):
        """The slope at 0, from both sides together."""
        self.central = (self.above - self.below) @ self.weights / (self.ahead - self.behind)
        value, error, best = settle(self.central[:, None], 2, np.maximum(self.noise, self.rounding()), self.steps)
        slope = Slope(float(value[0]), error, self.steps[best])
        slope.results = self.results[best]
        fine = (self.noise / self.steps <= 0.01 * abs(slope.value)) | (slope.value == 0)
        slope.still = [self.still(y, fine) for y in (self.above, self.below)]
        return slope

    def still(self, values, fine):
        """The largest step up to which no step that would show a change changes anything.

        A larger one says nothing: x^2 is the same at 1 and at -1.
        """
        unchanged = (values == self.value).all(1) | ~fine
        near = np.logical_and.accumulate(unchanged[::-1])[::-1]
        return self.steps[near & fine].max(initial=0)

    def fits_large_steps(self, analytic):
        """Whether this is the slope as some neighbouring steps show it, though none of the smallest does."""
        fits = np.abs(self.central - analytic) <= 0.01 * abs(analytic)
        return bool((fits[2:] & fits[1:-1] & fits[:-2]).any() and not fits[-3:].any())

    def within(self, size):
        """(slope, its error) as steps up to this size alone show it."""
        near = self.steps <= size
        if near.sum() < 3:
            return np.nan, np.inf
        noise = np.maximum(self.noise, self.rounding())
        value, error, _ = settle(self.central[near][:, None], 2, noise[near], self.steps[near])
        return float(value[0]), error

    def plain(self, slope, limit):
        """The step, at most `limit`, at which the plain central difference is best, and its relative error there."""
        off = np.abs(self.central - slope.value)
        off = np.fmax(off[1:], off[:-1]) + slope.error  # at two steps, as one alone may be right by chance
        k = int(np.argmin(np.where(np.isfinite(off) & (self.steps[1:] <= limit), off, np.inf)))
        return self.steps[k + 1], 4 * off[k] / abs(slope.value)

    def sides(self, found):
        """Add to a slope what the differences to each side alone say: the range of slopes if there is a kink."""
        noise, sides = self.noise / self.steps, []
        for reached, values in ((self.ahead, self.above), (self.behind, self.below)):
            slopes = (values - self.value) / reached[:, None] * self.weights
            sides.append(settle(slopes, 1, self.noise, self.steps))
        faint = self.faint(noise)
        known = [(slopes, error) for slopes, error, _ in sides if error <= 0.1 * np.abs(slopes).sum() + faint]
        if known:
            found.low = float(np.min([slopes for slopes, _ in known], axis=0).sum())
            found.high = float(np.max([slopes for slopes, _ in known], axis=0).sum())
            found.side_error = max(error for _, error in known)
            gap = found.high - found.low - 10 * found.side_error
            found.is_kink = gap > 1e-4 * max(abs(found.low), abs(found.high)) or len(known) == 1 and self.ends_here()
            middle, apart = (found.low + found.high) / 2, found.high - found.low + found.side_error
            if not found.is_kink and abs(found.value - middle) > 3 * (apart + found.error):
                # A kink nearby: only close to x do both sides agree, and a central difference may never do.
                found.value, found.error = middle, apart if len(known) == 2 else abs(found.value - middle)
        return found

    def ends_here(self):
        """Whether f jumps at x, or is not defined on one side: then only the slope to the other side counts."""
        for values in (self.above, self.below):
            far, near = np.abs(values[[-3, -1]] - self.value) @ np.abs(self.weights)
            if not np.isfinite(near) or near > max(0.5 * far, 100 * self.noise[-1]):
                return True
        return False

    @staticmethod
    def faint(noise):
        """What rounding alone may leave of a slope of 0 at the largest steps."""
        return 100 * float(noise[np.isfinite(noise)].min(initial=np.inf)) if np.isfinite(noise).any() else 0.0

    def remainder(self, analytic):
        """|f(x + t u) - f(x) - t g.u| against t: it falls with t^2 if g is the gradient, with t if it is not."""
        return self.steps, np.abs((self.above - self.value) @ self.weights - self.steps * analytic)

    def order(self, analytic, rounding, shift=0.0):
        """The power of t with which the remainder falls at the small end of what rounding leaves visible.

        NaN if too few steps show it, or if it is gone where one in proportion to t^2 would show: f is linear there.
        `rounding` is that of the slope `analytic`, `shift` what the rounding of x + t u may change.
        """
        steps, remainder = self.remainder(analytic)
        floor = 100 * np.maximum(self.noise, self.rounding()) + rounding * steps + shift
        visible = remainder > floor
        last = np.flatnonzero(visible)[-1:]
        gone = last[last + 1 < len(steps)] + 1
        if (remainder[gone - 1] / RATIO**2 > 2 * floor[gone]).any():
            return np.nan
        pairs = visible[1:] & visible[:-1] & (steps[1:] < 0.1 * steps[0])
        with np.errstate(all="ignore"):
            powers = (np.log(remainder[:-1] / remainder[1:]) / np.log(steps[:-1] / steps[1:]))[pairs]
        return float(np.median(powers[-3:])) if len(powers) else np.nan


def settle(slopes, power, noise, steps):
    """The best of the slopes (one row per step) and their extrapolations: (row, error, index of its step).

    The error of a difference is a series in steps^power: 2 for central ones, 1 for one-sided ones. Each
    extrapolation removes a term. The estimated error is the distance to the neighbours, and the rounding.
    """
    rows, errors, places, noise = [], [], [], noise / steps
    for level in range(3):
        if level:
            shrink = RATIO ** (level * power)
            slopes = (shrink * slopes[1:] - slopes[:-1]) / (shrink - 1)
        if len(slopes) > 2:
            gaps = np.abs(np.diff(slopes, axis=0)).sum(1)
            rows.append(slopes[1:-1])
            errors.append(np.maximum(gaps[1:], gaps[:-1]) + noise[level:][1:-1])
            places.append(np.arange(1, len(slopes) - 1))
    rows, errors, places = map(np.concatenate, (rows, errors, places))
    keep = np.isfinite(errors)
    if not keep.any():
        return np.full(slopes.shape[1], np.nan), np.inf, 0
    rows, errors, places = rows[keep], errors[keep], places[keep]
    sizes = np.abs(rows).sum(1)
    best = int(np.argmin(errors))
    while True:  # a slope that smaller steps agree on, and larger ones do not, is the one at x
        apart = np.abs(rows - rows[best]).sum(1)
        nearer = (places > places[best]) & (errors <= 0.1 * sizes) & (apart > 10 * (errors + errors[best]))
        if not nearer.any():
            break
        best = int(np.argmin(np.where(nearer, errors, np.inf)))
    return rows[best], float(errors[best]), int(places[best])
