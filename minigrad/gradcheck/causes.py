"""Why a gradient is wrong: one short test per cause, on the two gradients and on other gradients like them.

A test is given a `Case`, one input whose gradient is wrong, and returns details, or None. It knows one way in
which a right gradient turns into a wrong one, and fits if that gives every element of the wrong one within the
bounds. Several may fit; `CAUSES` ranks them, and the first that fits all wrong inputs is the cause.
"""

import itertools
import re
import traceback
from functools import cached_property
from pathlib import Path

import numpy as np

from .differences import Line

ELEMENTS, CELLS, SECONDS = 256, 4_000_000, 0.5  # of the Jacobian that the tests look at, and for each
ROUNDINGS = 64  # by which a rule may be off where its rounding was not measured, beside its largest element


class Case:
    """One input with a wrong gradient: `a` analytic and `n` numeric, 1-d, over all elements.

    `measured` are the flat indices of those that were compared, `sample` of so many of them, wrong ones first, as
    new differences can be taken for. `seen` is over how many the last explanation was looked at.
    """

    def __init__(self, check, k, found):
        self.check, self.k, self.found, self.name = check, k, found, found.name
        self.shape, self.holder = found.analytic.shape, check.subject.variables[k][1]
        self.measured, self.seen = np.flatnonzero(found.measured), 0
        limit = int(max(8, min(ELEMENTS, CELLS / max(1, check.origin.vector.size), SECONDS / (4 * check.cost + 1e-9))))
        wrong_first = np.argsort(~found.wrong.ravel()[self.measured], kind="stable")
        self.sample = np.sort(self.measured[wrong_first[:limit]])
        self.a, self.n, self.bound, self.wrong, self.elsewhere = (
            x.ravel() for x in (found.analytic, found.numeric, found.bound, found.wrong, found.elsewhere)
        )
        # Where so many are wrong that some had no sweep of steps, their bounds leave out the rounding of the rule.
        rough = [i for i in np.flatnonzero(self.wrong) if np.unravel_index(i, self.shape) not in found.remainders]
        self.bound = self.bound.copy()
        self.bound[rough] += ROUNDINGS * check.eps * np.abs(self.a[np.isfinite(self.a)]).max(initial=0)

    def explains(self, candidate, everywhere=False):
        """Whether the analytic gradient is `candidate`, element by element, and not only by both being 0.

        One that holds `everywhere` follows from the numeric gradient itself. It is given for all that was measured,
        also at another point; others are new differences for the sample, with errors of their own.
        """
        at = self.measured if everywhere else self.sample
        a, n, bound = self.a[at], self.n[at], self.bound[at]
        gap = np.fmax(np.abs(a - n), np.abs(candidate - n))
        allowed = bound + 1e-3 * np.fmin(gap, np.abs(candidate)) if everywhere else 4 * bound + 1e-3 * gap
        counts = everywhere | ~self.elsewhere[at]
        fits = np.abs(a - candidate) <= allowed
        self.seen = len(at)
        return bool(fits[counts].all() and (counts & self.wrong[at] & (np.abs(candidate) > 2 * allowed)).any())

    def is_that_of(self, k, place):
        """Whether element i of the gradient is what element place[i] of that for variable k should be."""
        other = self.check.report.checked[k]
        known = np.where(other.elsewhere, np.nan, other.numeric).ravel()
        if not np.isnan(known[place[self.measured]]).any():
            return self.explains(known[place[self.measured]], everywhere=True)
        candidate = known[place[self.sample]]
        new = np.isnan(candidate)
        if new.any():
            candidate[new] = self.rows(place[self.sample][new], k) @ self.check.origin.weights
        return self.explains(candidate)

    @property
    def telling(self):
        """Which right elements would not look right anyway, for a derivative of 0."""
        found = self.found
        size = np.maximum(np.abs(found.analytic), np.abs(np.nan_to_num(found.numeric)))
        return found.measured & ~found.wrong & (size > found.bound)

    @cached_property
    def jacobian(self):
        """The derivative of every result by every element of the sample."""
        return self.rows(self.sample, self.k)

    def rows(self, flat, k):
        """The derivatives of every result by these elements of variable k, NaN where the function refuses a step."""
        subject, rows = self.check.subject, []
        holder, steps = subject.variables[k][1], self.check.report.checked[k].steps
        for i in flat:
            at = np.unravel_index(i, holder.array.shape)
            step = steps[at] if steps[at] > 0 else np.nanmedian(self.found.steps)
            line = Line(subject, holder, at)
            (t1, p1), (b1, m1), (t2, p2), (b2, m2) = (line.at(t) for t in (step, -step, step / 2, -step / 2))
            if any(y is None for y in (p1, m1, p2, m2)) or not t2 * b2 < 0:
                rows.append(np.full(self.check.origin.vector.shape, np.nan))
            else:
                rows.append((4 * (p2 - m2) / (t2 - b2) - (p1 - m1) / (t1 - b1)) / 3)
        return np.array(rows)

    def numeric(self, upstream):
        """The numeric gradient for other upstream gradients, one per output."""
        return self.jacobian @ np.concatenate([np.ravel(v) for v in upstream]).astype(np.float64)

    def moved(self, change):
        """The numeric gradient where the inputs have other values; None if the function refuses them."""
        subject, weights = self.check.subject, self.check.origin.weights
        with subject.moved(change):
            if subject.vector() is None:
                return None
            rows = self.rows(self.sample, self.k)
        return None if np.isnan(rows).any() else rows @ weights

    def dimensions(self):
        """Sizes that a factor may come from, with names for them; the first name of a size counts."""
        shapes = [(f"output {i}", y.shape) for i, y in enumerate(self.check.outputs)]
        shapes = [(name, holder.array.shape) for name, holder in self.check.subject.variables] + shapes
        named = [(size, f"the batch size of {name}" if i == 0 and len(shape) > 1 else f"the size of axis {i} of {name}")
                 for name, shape in shapes for i, size in enumerate(shape)]  # fmt: skip
        named += [(int(np.prod(shape)), f"the number of elements of {name}") for name, shape in shapes]
        return {size: name for size, name in reversed(named) if size > 1}


# ---- one test per cause ----


def not_finite(case):
    bad = np.isfinite(case.found.values) & ~np.isfinite(case.found.analytic)
    if bad.any():
        at = tuple(map(int, np.argwhere(bad)[0]))
        count = f", {bad.sum()} elements in all" if bad.sum() > 1 else ""
        return f"{case.found.analytic[at]} at {case.name}{list(at)}{count}"


def zero(case):
    if np.nan_to_num(case.a).any():
        return None
    cut = "; nothing leads back to it: its values are detached, or used as NumPy's" if (
        case.name in case.check.subject.unconnected) else ""  # fmt: skip
    return f"the gradient for {case.name} is 0 everywhere{cut}"


def upstream_ignored(case):
    check = case.check
    if not check.subject.takes_upstream:
        return None
    other = [(v * check.rng.uniform(1.5, 2.5, v.shape)).astype(v.dtype) for v in check.upstream]
    with check.subject.moved(check.original):
        if np.array_equal(check.subject.gradients(other)[case.k], check.analytic[case.k], equal_nan=True):
            return f"the gradient for {case.name} is the same for every upstream gradient"
    if sum(v.size for v in other) > 1 and case.explains(case.numeric([np.ones_like(v) for v in other])):
        return f"the gradient for {case.name} is that for an upstream gradient of ones"


def only_first_upstream(case):
    upstream = case.check.upstream
    if sum(v.size for v in upstream) > 1 and all(v.size for v in upstream):
        if case.explains(case.numeric([np.full_like(v, v.flat[0]) for v in upstream])):
            return f"the gradient for {case.name} uses it for all"


def wrong_sign(case):
    if case.explains(-case.n[case.measured], everywhere=True):
        return f"the gradient for {case.name} is minus what it should be"


def swapped_arguments(case):
    for k, (name, holder) in enumerate(case.check.subject.variables):
        if k == case.k or holder.array.shape != case.shape:
            continue
        if case.is_that_of(k, np.arange(case.a.size)):
            return f"the gradient for {case.name} is that for {name}"
        exchanged = {id(case.holder): holder.array.copy(), id(holder): case.holder.array.copy()}
        numeric = case.moved(lambda h, exchanged=exchanged: exchanged.get(id(h), h.array))
        if numeric is not None and case.explains(numeric):
            return f"the gradient for {case.name} is right for {case.name} and {name} exchanged"


def transposed(case):
    places = np.arange(case.a.size).reshape(case.shape)
    for i, j in itertools.combinations(range(len(case.shape)), 2):
        if case.is_that_of(case.k, np.swapaxes(places, i, j).ravel()):
            return f"axes {i} and {j} of the gradient for {case.name} are exchanged"
    for name, holder in zip(case.check.subject.names, case.check.subject.holders):
        if is_square(holder.array):
            other = {id(holder): np.array(np.swapaxes(holder.array, -1, -2))}
            numeric = case.moved(lambda h, other=other: other.get(id(h), h.array))
            if numeric is not None and case.explains(numeric):
                return f"the gradient for {case.name} is right for a transposed {name}"
    if case.check.subject.takes_upstream and any(map(is_square, case.check.upstream)):
        turned = [np.swapaxes(v, -1, -2) if is_square(v) else v for v in case.check.upstream]
        if case.explains(case.numeric(turned)):
            return f"the gradient for {case.name} is right for a transposed upstream gradient"


def is_square(array):
    """Whether an array is a matrix, or several, that keeps its shape when transposed."""
    return array.ndim > 1 and array.shape[-1] == array.shape[-2] > 1


def forgotten_sum(case):
    upstream = case.check.upstream
    for i, v in enumerate(upstream):
        long = [axis for axis, size in enumerate(v.shape) if size > 1]
        some = itertools.chain.from_iterable(itertools.combinations(long, count + 1) for count in range(len(long)))
        for axes, place in itertools.product(some, (0, -1)):
            one = np.zeros_like(v)
            part = tuple(place if axis in axes else slice(None) for axis in range(v.ndim))
            one[part] = v[part]
            if case.explains(case.numeric([*upstream[:i], one, *upstream[i + 1 :]])):
                of = f"{'axes' if len(axes) > 1 else 'axis'} {', '.join(map(str, axes))} of output {i}"
                return f"of {of}, the gradient for {case.name} has only the {'last' if place else 'first'} term"


def constant_factor(case):
    a, n, bound = (x[case.measured] for x in (case.a, case.n, case.bound))
    heavy = np.where(bound > 0, np.abs(n) / bound, 0)
    at = int(np.argmax(heavy))
    factor = float(a[at] / n[at]) if heavy[at] > 1 else 0.0
    if not factor or not np.isfinite(factor) or not case.explains(factor * n, everywhere=True):
        return None
    sure = (heavy > 100).sum() > 1  # a number that is fitted to one element explains nothing
    name = name_of_factor(factor, case.dimensions())
    return f"{name or format(factor, '.5g')}, the gradient for {case.name}" if sure or name else None


def name_of_factor(factor, sizes):
    """A simple fraction, or a size or its inverse, within 1e-4; None for another number."""
    for size, name in {2: None, **sizes}.items():
        for value, text in ((size, f"{size}"), (1 / size, f"1/{size}")):
            if abs(factor - value) <= 1e-4 * value:
                named = sizes.get(size) or name
                return f"{text}, {size} being {named}" if named and size > 2 else text
    for low in range(2, 10):
        high = round(factor * low)
        if high not in (0, low) and abs(factor - high / low) <= 1e-4 * factor:
            return f"{high}/{low}" if high % low else f"{high // low}"
    return None


def one_element(case):
    wrong = np.argwhere(case.found.wrong)
    if len(wrong) == 1 and case.found.measured.sum() > 1:
        return f"{case.name}{list(map(int, wrong[0]))}; the others that were compared are right"


def one_region(case):
    wrong, telling = case.found.wrong, case.telling
    if not telling.any() or not wrong.any():
        return None
    if box := smallest_box(wrong, telling):
        inside = [
            ":" if stop - start == size else str(start) if stop - start == 1 else f"{start}:{stop}"
            for (start, stop), size in zip(((part.start, part.stop) for part in box), wrong.shape)
        ]
        some = ", as far as it was compared," if len(case.measured) < case.a.size else ""
        return f"{case.name}[{', '.join(inside)}]; outside of it{some} the gradient is right"
    bad, good = case.found.values[wrong], case.found.values[telling]
    if bad.max() < good.min():
        return f"where {case.name} is below {number_between(bad.max(), good.min())}"
    if bad.min() > good.max():
        return f"where {case.name} is above {number_between(good.max(), bad.min())}"
    order = np.flatnonzero(wrong)
    if not telling.ravel()[order[0] : order[-1]].any():
        return f"elements {order[0]} to {order[-1]} of {case.name}, in memory's order; the others are right"


def smallest_box(wrong, telling):
    """The slices around all that is wrong, over whole axes where that is no contradiction; None if there are none."""
    places = np.argwhere(wrong)
    box = [slice(int(low), int(high) + 1) for low, high in zip(places.min(0), places.max(0))]
    if telling[tuple(box)].any():
        return None
    for axis, size in reversed(list(enumerate(wrong.shape))):
        wider = [*box[:axis], slice(0, size), *box[axis + 1 :]]
        box = box if telling[tuple(wider)].any() else wider
    return box


def number_between(low, high):
    return "0" if low <= 0 <= high else f"{(float(low) + float(high)) / 2:.3g}"


# Ranked by how many values a cause may choose: none, one factor, one element, as many as there are elements.
CAUSES = (
    ("zero", zero),
    ("upstream ignored", upstream_ignored),
    ("wrong sign", wrong_sign),
    ("only the first upstream value", only_first_upstream),
    ("swapped arguments", swapped_arguments),
    ("transposed", transposed),
    ("forgotten sum", forgotten_sum),
    ("constant factor", constant_factor),
    ("one element", one_element),
    ("one region", one_region),
)


def find(check, checked):
    """The likely cause: the first that fits every wrong input, else the first that fits any of them."""
    cases = [Case(check, k, found) for k, found in enumerate(checked) if found.is_wrong and found.measured.any()]
    for case in cases:
        if any_not_finite := not_finite(case):
            return f"not finite: {any_not_finite}"
    fallback = None
    for key, test in CAUSES:
        details = [detail(test, case) for case in cases]
        if cases and all(details):
            return f"{key}: {'; '.join(details)}"
        fallback = fallback or next((f"{key}: {detail}" for detail in details if detail), None)
    return fallback or "unknown: no simple cause found"


def detail(test, case):
    """What a test says, and at how many elements, where they are not all; None if it does not fit."""
    case.seen = len(case.measured)
    said = test(case)
    return f"{said}, seen at {case.seen:,} of {case.a.size:,} elements" if said and case.seen < case.a.size else said


def of_shape(check, k, gradient):
    """The cause of a gradient whose shape is not its variable's."""
    name, holder = check.subject.variables[k]
    found, shape = check.report.checked[k], holder.array.shape
    says = f"the gradient for {name} has shape {gradient.shape}, expected {shape}"
    if gradient.ndim == 2 and gradient.T.shape == shape and right(gradient.T, found):
        return f"transposed: {says}"
    if gradient.size == found.analytic.size and right(gradient.reshape(shape), found):
        return f"shape: {says}; its values are right"
    ways = [axes for count in range(gradient.ndim) for axes in itertools.combinations(range(gradient.ndim), count + 1)]
    for axes in ways:
        summed = gradient.sum(axes)
        if summed.size == found.analytic.size and right(summed.reshape(shape), found):
            return f"forgotten sum: over axis {', '.join(map(str, axes))}; {says}"
    return f"shape: {says}"


def right(gradient, found):
    with np.errstate(all="ignore"):
        return bool(np.all((np.abs(gradient - found.numeric) <= 10 * found.bound)[found.measured]))


def of_error(error):
    """The cause behind an exception in the backward pass: mostly a gradient of the wrong shape."""
    text = f"the backward pass raised {type(error).__name__}: {error}{place_of(error)}"
    if "read-only" in str(error):
        return f"input written: the upstream gradient, or a saved value, is not the rule's own; {text}"
    shapes = [tuple(map(int, re.findall(r"\d+", text))) for text in re.findall(r"shape \(([\d, ]*)\)", str(error))]
    if len(shapes) < 2:
        return text if str(error).startswith("transposed") else f"unknown: {text}"
    came, expected = reversed(shapes[:2]) if "got shape" in str(error) else shapes[:2]
    if len(came) == 2 and came == expected[::-1]:
        return f"transposed: {text}"
    axes = iter(came)
    could_be_summed = np.prod(came) > np.prod(expected) and all(size in axes for size in expected if size > 1)
    return f"forgotten sum: {text}" if could_be_summed else f"shape: {text}"


def place_of(error):
    """Where an exception was raised, in words: the last line that is neither minigrad's nor NumPy's, if any is."""
    inner = {Path(__file__).parents[1], Path(np.__file__).parent}
    lines = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    places = [f", in {path.name}, line {line}" for path, line in lines if not inner & set(path.parents)]
    return places[-1] if places else ""
