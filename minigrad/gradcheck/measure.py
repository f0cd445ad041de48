"""The numeric gradient of one variable, element by element or along random directions, beside the analytic one.

What decides is the order of the Taylor remainder f(x + t u) - f(x) - t g.u = t (slope - g.u) + O(t^2): 2 if g is
right, 1 if not. Extrapolation takes the sweep of remainders apart into its powers of t; the first coefficient,
slope - g.u, comes with an error, the change from one step to the next. Beyond `SAFETY` errors it is the same at
both steps to 1/8, so between them the remainder falls with an order of 1 within 0.1; below, it falls faster or is
rounding. The plain order is in the report, and says the same (tests/test_gradcheck_verdict.py).
"""

import time

import numpy as np

from .differences import Line, Sweep, quick
from .point import DIGITS
from .report import Checked, Kink, State

MANY = 64  # after so many that are certainly wrong, the cheap differences suffice for the rest
FEW = 4  # where time is short
DIRECTIONS, BLOCKS = 4, 32  # of all elements, and of parts at least
FINE = 1e-5  # a relative error with which cheap differences are as good as a sweep
SAFETY = 8  # an estimate of an error may be too small by this factor


class Measurement:
    """Compares the gradient for variable k with differences of the subject, which is at `point`."""

    def __init__(self, point, k, rng):
        self.point, self.k, self.rng = point, k, rng
        self.subject, self.origin = point.subject, point.origin
        name, self.holder = self.subject.variables[k]
        analytic, x = point.analytic[k], self.holder.array
        self.finite = np.isfinite(x)
        magnitude = np.abs(x[self.finite]).astype(np.float64)
        self.rms = float(np.sqrt(np.mean(magnitude**2))) if magnitude.any() else 1.0
        if not 0 < self.rms < np.inf:  # squares under- or overflow
            self.rms = float(magnitude.max())
        self.scale = np.where(self.finite, np.maximum(np.abs(x), 0.1 * self.rms), 0).astype(np.float64)
        self.widest = float(magnitude.max(initial=0))
        self.span = max(1.0, 1.0 / self.rms)  # functions have features of size |x|, or of size 1
        self.found = Checked(name, analytic.dtype, analytic.astype(np.float64), x.copy())
        self.top = max(0.5, 4 * self.widest)  # the largest step of an element
        self.found.rounding = SAFETY * self.origin.hides
        self.found.hidden = self.found.rounding / self.top
        # The rule as it runs in the precision of the differences; only in float32 it is another one than `analytic`.
        self.rule = self.found.analytic if point.double is None else point.double[k]
        self.kinks, self.exact = {}, np.zeros(x.shape, bool)
        self.step = self.origin.eps ** (1 / 3) * min(1.0, 32 / self.rms)  # what suits central differences in general,
        self.loss = 10 * self.origin.eps ** (2 / 3)  # relative to the scale, and to the slope
        self.relative = 3 * self.origin.eps ** (2 / 3)  # less than this is not seen by any difference
        own = np.finfo(analytic.dtype if point.double is None else np.float64).eps  # of the rule,
        self.digit = DIGITS * max(self.origin.eps, own)  # and its roundings, relative, at least
        self.coarse = self.digit if own > self.origin.eps else 0.0  # a float32 gradient of a float64 function

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
            top, unit = self.top, min(1.0, size)
        bottom = self.origin.eps**0.5 * unit
        sweep = Sweep(line, self.origin, top, bottom)
        slope = sweep.slope()
        is_everywhere = np.isfinite(sweep.above).all() and np.isfinite(sweep.below).all()
        if not is_everywhere and not slope.error <= 0.01 * abs(slope.value):
            deeper = Sweep(line, self.origin, bottom, 1e-9 * bottom)
            if deeper.slope().error < slope.error:
                return deeper, deeper.slope()
        return sweep, slope

    def taylor(self):
        """A sweep along a random direction: the order of the remainder, and the step that suits this function."""
        u = self.direction()
        sweep, slope = self.sweep(Line(self.subject, self.holder, ..., u))
        terms = (self.rule * u)[u != 0]
        self.found.order = sweep.order(terms.sum(), self.digit * np.abs(terms).sum(), 100 * self.shift(u))
        self.found.curve = sweep.remainder(terms.sum())
        if slope.error <= 1e-3 * abs(slope.value):
            self.step, self.loss = sweep.plain(slope, 30 * self.origin.eps ** (1 / 3) * self.span)
        return u, sweep, slope

    def shift(self, u):
        """What the rounding of x + t u changes in f, typically."""
        x = np.where(self.finite & (u != 0), self.holder.array, 0)
        return self.origin.eps * float(np.sqrt(((self.rule * x)[u != 0] ** 2).sum()))

    def compared(self, u, sweep=None, slope=None):
        """(how far the two slopes along u are apart, in units of the bound, and the bound)."""
        if sweep is None:
            sweep, slope = self.sweep(Line(self.subject, self.holder, ..., u))
        terms = (self.rule * u)[u != 0]
        analytic, rounding = float(terms.sum()), self.digit * float(np.sqrt((terms**2).sum()))
        bound = SAFETY * (slope.error + self.shift(u) / slope.step) + rounding + self.relative * abs(slope.value)
        if abs(analytic - slope.value) <= bound:
            return 0.0, bound
        slope = sweep.sides(slope)
        if not np.isfinite(slope.value) and np.isfinite(analytic):
            return 0.0, np.inf  # not defined along u, which says nothing
        low, high = (slope.low, slope.high) if slope.is_kink else (slope.value, slope.value)
        rounding = float(np.sqrt(((self.rounding.of(self.k) * u)[u != 0] ** 2).sum()))
        bound += SAFETY * max(0.0, rounding - (high - low))
        slack = bound + (SAFETY * slope.side_error if slope.is_kink else 0.0)
        off = max(low - analytic, analytic - high)
        if off <= slack or analytic == 0 and max(slope.still) > 0:
            return 0.0, bound
        return off / bound if bound else np.inf, bound

    def directions(self, first, tick):
        """Compare along random directions. Returns one along which the two disagree, None if there is none."""
        self.found.seen = np.full(self.scale.shape, np.inf)
        for line in [first, *((self.direction(),) for _ in range(DIRECTIONS - 1))]:
            tick()
            if self.is_guilty(*line):  # one is enough
                return line[0]
        return None

    def is_guilty(self, u, *swept):
        """Whether the two disagree along u; if not, `seen` says what they would have shown."""
        off, bound = self.compared(u, *swept)
        self.found.directions += 1
        self.found.missed_directions += not off <= 1
        self.show(u, bound)
        return not off <= 1

    def doubt_zeros(self):
        """Compare elements that pass because f stands still, though their slope is not 0, along a random direction."""
        found = self.found
        zeros = (found.state == State.RIGHT) & (self.rule == 0) & (np.abs(found.numeric) > SAFETY * found.error)
        if zeros.any() and not found.wrong.any():
            x = np.abs(self.holder.array).astype(np.float64)
            u = np.where(zeros, self.rng.uniform(0.5, 1.5, x.shape) * np.where(x > 0, x, self.rms), 0.0)
            self.is_guilty(u)

    def show(self, u, bound):
        """Along u, a single element that is off by more than 2 bound / |u| would have been seen."""
        if self.found.seen is not None and bound < np.inf:
            moved = u != 0
            self.found.seen[moved] = np.minimum(self.found.seen[moved], 2 * bound / np.abs(u[moved]))

    def blocks(self, seconds, tick):
        """Compare along random directions of a part of the elements each, in which less rounding hides less.

        Those of a part are about as large as each other, as a small one does not show beside large ones. Returns a
        direction along which the two disagree, None if there is none.
        """
        x = np.abs(np.where(self.finite, self.holder.array, 0)).astype(np.float64).ravel()
        order = np.argsort(x)
        order = order[self.finite.ravel()[order]]
        start = time.perf_counter()
        self.disagreement(self.direction())
        count = int(seconds / (2 * (time.perf_counter() - start)))  # for two of them, as some need a closer look
        parts = np.array_split(order, min(max(count, BLOCKS), len(order) or 1))
        for i in self.rng.permutation(len(parts)):
            part = parts[i]
            if not part.size:
                continue
            tick()
            size = np.maximum(x[part], 0.1 * np.sqrt(np.mean(x[part] ** 2)) or self.rms)
            u = np.zeros(x.size)
            u[part] = self.rng.uniform(0.5, 1.5, part.size) * self.rng.choice([-1, 1], part.size) * size
            u = u.reshape(self.scale.shape)
            slope = quick(Line(self.subject, self.holder, ..., u), self.origin, self.step, self.loss)
            terms = self.rule.ravel()[part] * u.ravel()[part]
            # Roundings and terms of random signs; where they are not, the sweep allows for more.
            bound = np.inf if slope is None else 4 * slope.typical + SAFETY * max(self.loss, self.digit) * float(
                np.sqrt((terms**2).sum()))  # fmt: skip
            if slope is not None and abs(terms.sum() - slope.value) <= bound:
                self.show(u, bound)
            elif time.perf_counter() - start < 2 * seconds and self.is_guilty(u):
                return u
        return None

    def float32_faults(self, count=8):
        """Flat indices of elements whose float32 gradient is furthest from the float64 one beyond what it may be."""
        if self.point.double is None:
            return []
        apart = np.abs(self.found.analytic - self.rule)
        beyond = apart - self.digits(np.abs(self.rule))
        if not (beyond <= 0).all():
            beyond -= SAFETY * self.point.rounding.of(self.k)
        beyond = np.nan_to_num(beyond, nan=np.inf).ravel()
        worst = np.argsort(beyond)[::-1][:count]
        return worst[beyond[worst] > 0]

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
        return np.inf if slope is None else abs(float((self.rule * u)[u != 0].sum()) - slope.value)

    # Element by element

    def elements(self, flat, deadline, tick):
        """Compare the elements with these flat indices."""
        found, doubtful, passed = self.found, [], []
        flat = [i for i in flat if self.finite.flat[i]]
        exact = self.complex_step(flat, deadline) if self.subject.allows_complex else None
        for position, i in enumerate(flat):
            at = np.unravel_index(i, found.analytic.shape)
            step = self.step * self.scale[at]
            slope = quick(Line(self.subject, self.holder, at), self.origin, step, self.loss)
            tick()
            if slope is not None and exact is not None:
                close = 10 * slope.error + 3 * np.sqrt(self.origin.eps) * abs(slope.value)
                if abs(exact[position] - slope.value) <= close and not slope.is_kink:
                    slope.value, self.exact[at] = exact[position], True
                    slope.error = 4 * self.origin.eps * abs(slope.value)
            if slope is not None:
                self.judge(at, slope)
            off = np.nan if slope is None else abs(found.analytic[at] - slope.value) / (found.bound[at] or 1)
            if slope is None or slope.error > 1e-3 * abs(slope.value) or slope.is_kink or found.wrong[at]:
                doubtful.append((off, at))
            elif slope.error > FINE * abs(slope.value):
                passed.append((off, at))
        self.settle(doubtful, deadline)
        soon = time.perf_counter() + 0.02 * (deadline - time.perf_counter())
        for _, at in sorted(passed, key=lambda pair: -pair[0])[:MANY]:
            if time.perf_counter() < soon:
                self.look_closely(at)
        if found.wrong.any():  # the remainder is shown where it is worst, else along a direction
            found.order, found.curve = found.remainders.get(found.worst, (found.order, found.curve))

    def settle(self, doubtful, deadline):
        """Look again, with a sweep of steps, at elements that the cheap differences do not confirm."""
        doubtful.sort(key=lambda pair: -np.nan_to_num(pair[0], nan=np.inf))
        certain, start = 0, time.perf_counter()
        for count, (_, at) in enumerate(doubtful):
            now = time.perf_counter()
            if certain >= MANY or certain >= FEW and now - start > 0.1 * (deadline - start):
                break
            if count >= MANY and now > deadline:  # leave out what is not known
                self.found.decide(at, State.UNSEEN)
                continue
            self.look_closely(at)
            certain += bool(self.found.wrong[at])

    def look_closely(self, at):
        """Compare one element with a sweep of steps."""
        found, g, x = self.found, self.rule[at], abs(float(self.holder.array[at]))
        sweep, slope = self.sweep(Line(self.subject, self.holder, at), x or self.rms)
        slope = sweep.sides(slope)
        if self.exact[at] and not slope.is_kink:
            slope.value, slope.error = found.numeric[at], found.error[at]
        self.exact[at] &= not slope.is_kink
        self.judge(at, slope, settled=True)
        found.unsure[at] = found.wrong[at] and self.is_unsure(g, x, sweep, slope)
        found.rough += bool(found.wrong[at] and sweep.fits_large_steps(g))
        found.remainders[at] = sweep.order(g, self.digit * abs(g)), sweep.remainder(g)

    def is_unsure(self, g, x, sweep, slope):
        """Whether g is refuted by steps larger than x alone, or may come from results in which it would not show."""
        if abs(g - slope.value) <= self.found.hidden:
            return True
        value, error = sweep.within(0.25 * x) if slope.step > 0.25 * x else (slope.value, 0.0)
        return not abs(g - value) > SAFETY * error

    def judge(self, at, slope, settled=False):
        """The one place where an element is decided: by its slope, its gradient, and how exact these are.

        Sweeps of steps are `settled`; the cheap differences before them get no allowance for what they may mistake.
        """
        found, rule, analytic = self.found, self.rule[at], self.found.analytic[at]
        is_kink = slope.is_kink and slope.side_error < np.inf
        low, high = (slope.low, slope.high) if is_kink else (slope.value, slope.value)
        size, tiny = max(abs(low), abs(high)), float(np.finfo(found.dtype).tiny)

        def rounding(gradients):  # none of it is the jump of the rule at a kink
            return SAFETY * max(0.0, float(gradients.of(self.k)[at]) - (high - low))

        bound = SAFETY * slope.error + (self.relative + self.coarse) * abs(slope.value) + tiny
        if settled and not abs(rule - slope.value) <= bound:
            bound += rounding(self.rounding) + self.without_moving(slope)
        apart, allowed = abs(analytic - rule), self.digits(abs(rule))
        if settled and not apart <= allowed:  # what float32 differences would not see, either
            noise = self.point.eps * max(slope.results, tiny) / slope.step
            allowed += rounding(self.point.rounding) + SAFETY * noise
        slack = SAFETY * slope.side_error + (self.relative + self.coarse) * size + allowed
        is_close = abs(rule - slope.value) <= bound and apart <= allowed
        is_still = rule == 0 and max(slope.still) > 0 and apart <= allowed
        if is_kink and (is_close or is_still or low - slack <= analytic <= high + slack):
            state = State.KINK
        elif is_close or is_still:
            state = State.RIGHT
        elif np.isfinite(analytic) and not (is_kink or np.isfinite(slope.value) and np.isfinite(slope.error)):
            state = State.UNDEFINED
        else:
            state = State.WRONG
        # At a kink that slope between the two is meant which is nearest to the analytic one.
        numeric = np.clip(analytic, low, high) if state == State.KINK else slope.value
        bound += allowed + (high - low)
        found.decide(at, state, numeric=numeric, error=slope.error, steps=slope.step, bound=bound)
        self.kinks.pop(at, None)
        if state == State.KINK:
            self.kinks[at] = Kink(found.name, tuple(map(int, at)), low, high, float(analytic))

    def digits(self, size):
        """How far a float32 gradient of this size may be from the float64 one at least."""
        if self.point.double is None:
            return 0.0 * size
        return DIGITS * self.point.eps * size + float(np.finfo(self.found.dtype).tiny)

    @property
    def rounding(self):
        """How far rounding moves the rule."""
        point = self.point
        return point.rounding if point.double is None else point.double_rounding

    def without_moving(self, slope):
        """Where no step moves any result, the slope may be anything that is too small for that."""
        if min(slope.still) > 0 and not slope.value:
            size = max(slope.results, float(self.origin.size.sum()))  # of results, or of what cancels in them
            return 4 * self.origin.eps * size / min(slope.still)
        return 0.0

    def complex_step(self, flat, deadline):
        """Im f(x + i h) / h for a tiny h (Lyness and Moler 1967): no difference, so no rounding. None if impossible.

        It is wrong without notice where f is not analytic, as abs is not: `elements` compares it.
        """
        values = np.full(len(flat), np.nan)
        soon = time.perf_counter() + 0.1 * (deadline - time.perf_counter())
        change = lambda holder: holder.array.astype(complex) if holder is self.holder else holder.array
        with self.subject.moved(change):
            array = self.holder.array
            for position, i in enumerate(flat):
                if time.perf_counter() > soon:
                    break
                at = np.unravel_index(i, array.shape)
                kept, step = array[at].copy(), 1e-20 * self.scale[at]
                array[at] = kept + 1j * step
                imaginary = self.subject.imaginary()
                self.subject.evaluations += 1
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
            bound = atol + rtol * abs(numeric)
            state = State.RIGHT if abs(found.analytic[at] - numeric) <= bound else State.WRONG
            found.decide(at, state, numeric=numeric, error=0.0, steps=eps, bound=bound)
