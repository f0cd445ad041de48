"""The numeric gradient of one variable, element by element or along random directions, beside the analytic one."""

import time

import numpy as np

from .differences import Line, Sweep, quick
from .report import Checked, Kink

MANY = 64  # after so many that are certainly wrong, the cheap differences suffice for the rest
DIRECTIONS = 4


class Measurement:
    """Compares `analytic` with differences of the subject, whose arrays are copies that may be moved.

    `origin` is f there, `eps` the rounding of the analytic gradient, `spread()` how far that moves when
    the arguments move by their rounding, and `double` the same gradient in float64, if there is one.
    """

    def __init__(self, subject, name, holder, analytic, double, origin, eps, spread, rng):
        self.subject, self.holder, self.origin, self.rng = subject, holder, origin, rng
        self.double, self.eps, self.spread = double, eps, spread
        x = holder.array
        self.finite = np.isfinite(x)
        magnitude = np.abs(x[self.finite]).astype(np.float64)
        self.rms = float(np.sqrt(np.mean(magnitude**2))) if magnitude.any() else 1.0
        if not 0 < self.rms < np.inf:  # squares under- or overflow
            self.rms = float(magnitude.max())
        self.scale = np.where(self.finite, np.maximum(np.abs(x), 0.1 * self.rms), 0).astype(np.float64)
        self.widest = float(magnitude.max(initial=0))
        self.span = max(1.0, 1.0 / self.rms)  # functions have features of size |x|, or of size 1
        self.largest = float(np.abs(analytic[np.isfinite(analytic)]).max(initial=0))
        self.found = Checked(name, analytic.dtype, analytic.astype(np.float64), x.copy())
        self.kinks, self.exact = {}, np.zeros(x.shape, bool)
        self.step = origin.eps ** (1 / 3) * min(1.0, 32 / self.rms)  # what suits central differences in general,
        self.loss = 10 * origin.eps ** (2 / 3)  # relative to the scale, and to the slope

    # Along directions

    def direction(self):
        """Random, of either sign and between 0.5 and 1.5 times the scale."""
        shape = self.scale.shape
        return self.rng.uniform(0.5, 1.5, shape) * self.rng.choice([-1.0, 1.0], shape) * self.scale

    def sweep(self, line, size=None):
        """(Sweep, Slope) of a line along a direction, or of an element whose value is of this size.

        The steps reach from where every result moves down to half the digits of the value, and further where
        the function is too wild or not defined.
        """
        if size is None:
            top, unit = 0.5 * self.span, min(1.0, 1.0 / self.rms)
        else:
            top, unit = max(0.5, 4 * self.widest), min(1.0, size)
        bottom = self.origin.eps**0.4 * unit
        sweep = Sweep(line, self.origin, top, bottom)
        slope = sweep.slope()
        if slope.error > 0.01 * abs(slope.value) and not np.isfinite(sweep.above).all():
            deeper = Sweep(line, self.origin, bottom, 1e-9 * bottom)
            if deeper.slope().error < slope.error:
                return deeper, deeper.slope()
        return sweep, slope

    def taylor(self):
        """A sweep along a random direction: the order of the remainder, and the step that suits this function."""
        u = self.direction()
        sweep, slope = self.sweep(Line(self.subject, self.holder, ..., u))
        terms = (self.found.analytic * u)[u != 0]
        self.found.order = sweep.order(terms.sum(), 64 * self.eps * np.abs(terms).sum())
        self.found.curve = sweep.remainder(terms.sum())
        if slope.error <= 1e-3 * abs(slope.value):
            self.step, self.loss = sweep.plain(slope, 30 * self.origin.eps ** (1 / 3) * self.span)
        return u, sweep, slope

    def compared(self, u, sweep=None, slope=None):
        """(how far the two slopes along u are apart, in units of the bound, and the bound)."""
        if sweep is None:
            sweep, slope = self.sweep(Line(self.subject, self.holder, ..., u))
        analytic, rounding = self.along(u)
        bound = 8 * slope.error + rounding + 3 * np.sqrt(np.finfo(np.float64).eps) * abs(slope.value)
        off = abs(analytic - slope.value)
        if off <= bound:
            return 0.0, bound
        if self.double is None:
            spread = np.minimum(self.spread(), np.sqrt(self.eps) * self.largest)
            bound += 8 * float(np.sqrt(((spread * u)[u != 0] ** 2).sum()))
        slope = sweep.sides(slope)
        slack = bound + 8 * slope.side_error
        if slope.is_kink and slope.low - slack <= analytic <= slope.high + slack:
            return 0.0, bound
        return off / bound if bound else np.inf, bound

    def along(self, u):
        """The analytic slope along u, in float64 if the rule can be run there, and the rounding of its sum."""
        g, eps = (self.found.analytic, self.eps) if self.double is None else (self.double, np.finfo(np.float64).eps)
        terms = (g * u)[u != 0]
        return float(terms.sum()), 64 * eps * float(np.sqrt((terms**2).sum()))

    def directions(self, first, tick):
        """Compare along random directions. Returns one along which the two disagree, None if there is none."""
        guilty, smallest = None, self.scale[self.finite].min(initial=np.inf)
        for line in [first, *((self.direction(),) for _ in range(DIRECTIONS - 1))]:
            u, (off, bound) = line[0], self.compared(*line)
            tick()
            if not off <= 1:
                self.found.missed_directions += 1
                guilty = u
            self.found.resolution = max(self.found.resolution, 2 * bound / smallest)
        return guilty

    def roundings(self):
        """Flat indices of elements whose float32 gradient is further from the float64 one than rounding explains."""
        if self.double is None:
            return []
        limit = np.sqrt(self.eps) * self.largest
        off = np.abs(self.found.analytic - self.double)
        return np.flatnonzero(~(off <= 8 * np.minimum(self.spread(), limit) + limit))

    def locate(self, u, count=3):
        """Flat indices of elements at fault: halve the direction and go on with the half that is worse."""
        found, alive = [], np.flatnonzero(u)
        for _ in range(count):
            part = alive
            if not self.compared(self.only(u, part))[0] > 1:
                break
            while len(part) > 1:
                halves = part[: len(part) // 2], part[len(part) // 2 :]
                part = max(halves, key=lambda half: self.disagreement(self.only(u, half)))
            found.append(int(part[0]))
            alive = alive[alive != part[0]]
        return found

    @staticmethod
    def only(u, part):
        """The direction u, restricted to the elements `part`."""
        kept = np.zeros(u.size)
        kept[part] = u.ravel()[part]
        return kept.reshape(u.shape)

    def disagreement(self, u):
        slope = quick(Line(self.subject, self.holder, ..., u), self.origin, self.step, self.loss)
        return np.inf if slope is None else abs(self.along(u)[0] - slope.value)

    # Element by element

    def elements(self, flat, deadline, tick):
        """Compare the elements with these flat indices."""
        found, doubtful = self.found, []
        flat = [i for i in flat if self.finite.flat[i]]
        exact = self.complex_step(flat) if self.subject.allows_complex else None
        for position, i in enumerate(flat):
            at = np.unravel_index(i, found.analytic.shape)
            step = self.step * self.scale[at]
            slope = quick(Line(self.subject, self.holder, at), self.origin, step, self.loss)
            tick()
            if slope is not None and exact is not None:
                close = 10 * slope.error + 3 * np.sqrt(self.origin.eps) * abs(slope.value)
                if abs(exact[position] - slope.value) <= close and not slope.is_kink:
                    slope.value, self.exact[at] = exact[position], True
            if slope is not None:
                self.note(at, slope)
            coarse = slope is None or slope.error > 1e-3 * abs(slope.value) and slope.error > 1e-6 * self.largest
            if coarse or slope.is_kink or found.wrong[at]:
                off = np.nan if slope is None else abs(found.analytic[at] - slope.value) / (found.bound[at] or 1)
                doubtful.append((off, at))
        self.settle(doubtful, deadline)

    def settle(self, doubtful, deadline):
        """Look again, with a sweep of steps, at elements that the cheap differences do not confirm."""
        doubtful.sort(key=lambda pair: -np.nan_to_num(pair[0], nan=np.inf))
        certain = 0
        for count, (_, at) in enumerate(doubtful):
            if certain >= MANY:
                break
            if count >= MANY and time.perf_counter() > deadline:  # leave out what is not known
                self.found.numeric[at], self.found.wrong[at] = np.nan, False
                continue
            x = abs(float(self.holder.array[at]))
            sweep, slope = self.sweep(Line(self.subject, self.holder, at), x or self.rms)
            slope = sweep.sides(slope)
            if not self.exact[at] or slope.is_kink:
                self.exact[at] = False
                self.note(at, slope)
            certain += bool(self.found.wrong[at])

    def note(self, at, slope):
        """Write down one element: its numeric derivative, the bound, and the verdict."""
        found = self.found
        analytic = found.analytic[at]
        relative = 3 * np.sqrt(self.eps)
        bound = 8 * slope.error + relative * abs(slope.value) + float(np.finfo(found.dtype).tiny)
        if not abs(analytic - slope.value) <= bound:
            bound += self.rounding(at, slope)
        found.numeric[at], found.bound[at], found.steps[at] = slope.value, bound, slope.step
        found.error[at] = 4 * self.origin.eps * abs(slope.value) if self.exact[at] else slope.error
        right = abs(analytic - slope.value) <= bound or analytic == 0 and max(slope.still) > 0
        self.kinks.pop(at, None)
        if slope.is_kink and slope.side_error < np.inf:
            slack = 8 * slope.side_error + relative * max(abs(slope.low), abs(slope.high))
            if right or slope.low - slack <= analytic <= slope.high + slack:
                right = True
                found.numeric[at] = np.clip(analytic, slope.low, slope.high)  # the one between them that is meant
                self.kinks[at] = Kink(found.name, tuple(map(int, at)), slope.low, slope.high, float(analytic))
        found.wrong[at] = not right

    def rounding(self, at, slope):
        """How far rounding may move the analytic value of one element: never so far that it hides a wrong rule."""
        spread, limit = self.spread()[at], np.sqrt(self.eps) * self.largest
        x = abs(float(self.holder.array[at])) or self.scale[at]
        # Where no step moves any result, the slope may be anything that is too small for that.
        hidden = 0.0
        if min(slope.still) > 0 and not slope.value:
            hidden = 4 * self.origin.eps * float(self.origin.size.sum()) / min(slope.still)
        if self.double is None:
            return 8 * min(spread, limit) + 4 * self.eps * self.largest + hidden
        off = abs(self.double[at] - slope.value)  # the same rule in float64 says whether it is rounding at all
        limit += 8 * self.eps * (slope.results / x + slope.weight)
        return 8 * spread + limit + hidden if off <= 8 * slope.error + 1e-6 * abs(slope.value) + hidden else 0.0

    def complex_step(self, flat):
        """Im f(x + i h) / h for a tiny h (Lyness and Moler 1967): no difference, so no rounding. None if impossible.

        It is wrong without notice where f is not analytic, as abs is not: `elements` compares it.
        """
        values = np.zeros(len(flat))
        change = lambda holder: holder.array.astype(complex) if holder is self.holder else holder.array
        with self.subject.moved(change):
            array = self.holder.array
            for position, i in enumerate(flat):
                at = np.unravel_index(i, array.shape)
                kept, step = array[at].copy(), 1e-20 * self.scale[at]
                array[at] = kept + 1j * step
                imaginary = self.subject.imaginary()
                array[at] = kept
                if imaginary is None:
                    return None
                values[position] = imaginary @ self.origin.weights / step
        return values

    def fixed(self, flat, eps, atol, rtol, tick):
        """PyTorch's test: one central difference of step `eps`, and |analytic - numeric| <= atol + rtol |numeric|."""
        found, origin = self.found, self.origin
        for i in flat:
            at = np.unravel_index(i, found.analytic.shape)
            line = Line(self.subject, self.holder, at)
            (_, above), (_, below) = line.at(eps), line.at(-eps)
            tick()
            refused = above is None or below is None
            numeric = np.nan if refused else float((above - below) @ origin.weights) / (2 * eps)
            found.numeric[at], found.steps[at], found.error[at] = numeric, eps, 0.0
            found.bound[at] = atol + rtol * abs(numeric)
            found.wrong[at] = not abs(found.analytic[at] - numeric) <= found.bound[at]
