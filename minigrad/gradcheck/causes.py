"""Why a gradient is wrong: one short test per cause, on the two gradients and on other gradients like them.

A test is given a `Case`, one input whose gradient is wrong, and returns details, or None. It knows one way in
which a right gradient turns into a wrong one, and fits if that gives every element of the wrong one within the
bounds. Several may fit; `CAUSES` ranks them, and the first that fits all wrong inputs is the cause.
"""

import itertools
import re
from functools import cached_property

import numpy as np

from .differences import Line

ELEMENTS, CELLS, SECONDS = 256, 4_000_000, 0.5  # of the Jacobian that the tests look at, and for each


class Case:
    """One input with a wrong gradient: `a` analytic and `n` numeric, 1-d, over the elements that were measured."""

    def __init__(self, check, k, found):
        self.check, self.k, self.found, self.name = check, k, found, found.name
        self.shape, self.holder = found.analytic.shape, check.subject.variables[k][1]
        measured = np.flatnonzero(found.measured.ravel())
        limit = int(max(8, min(ELEMENTS, CELLS / max(1, check.origin.vector.size), SECONDS / (4 * check.cost + 1e-9))))
        wrong = [i for i in measured if found.wrong.flat[i]]
        right = [i for i in measured if not found.wrong.flat[i]]
        self.flat = np.sort((wrong + right)[:limit]).astype(int)
        self.a, self.n, self.bound, self.wrong, self.elsewhere = (
            x.ravel()[self.flat] for x in (found.analytic, found.numeric, found.bound, found.wrong, found.elsewhere)
        )

    def explains(self, candidate, everywhere=False):
        """Whether the analytic gradient is `candidate`, element by element, and not only by both being 0.

        One that holds `everywhere` follows from the numeric gradient itself, which at some elements is that at
        another point; others are new differences, with errors of their own.
        """
        gap = np.fmax(np.abs(self.a - self.n), np.abs(candidate - self.n))
        allowed = (1 if everywhere else 4) * self.bound + 1e-3 * gap
        counts = everywhere | ~self.elsewhere
        fits = np.abs(self.a - candidate) <= allowed
        return bool(fits[counts].all() and (counts & self.wrong & (np.abs(candidate) > 2 * allowed)).any())

    @property
    def telling(self):
        """Which right elements would not look right anyway, for a derivative of 0."""
        found = self.found
        size = np.maximum(np.abs(found.analytic), np.abs(np.nan_to_num(found.numeric)))
        return found.measured & ~found.wrong & (size > found.bound)

    @cached_property
    def jacobian(self):
        """The derivative of every result by every element of `flat`."""
        return self.rows(self.flat, self.holder)

    def rows(self, flat, holder):
        rows = []
        steps, scale = self.found.steps, np.nanmedian(self.found.steps)
        for i in flat:
            at = np.unravel_index(i, holder.array.shape)
            step = steps[at] if holder is self.holder and steps[at] > 0 else scale
            line = Line(self.check.subject, holder, at)
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
            rows = self.rows(self.flat, self.holder)
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
    bad = ~np.isfinite(case.found.analytic)
    if bad.any():
        at = tuple(map(int, np.argwhere(bad)[0]))
        count = f", {bad.sum()} elements in all" if bad.sum() > 1 else ""
        return f"{case.found.analytic[at]} at {case.name}{list(at)}{count}"


def zero(case):
    if case.a.any():
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
        if np.array_equal(check.subject.gradients(other)[case.k], check.analytic[case.k]):
            return f"the gradient for {case.name} is the same for every upstream gradient"
    if sum(v.size for v in other) > 1 and case.explains(case.numeric([np.ones_like(v) for v in other])):
        return f"the gradient for {case.name} is that for an upstream gradient of ones"


def only_first_upstream(case):
    upstream = case.check.upstream
    if sum(v.size for v in upstream) > 1 and all(v.size for v in upstream):
        if case.explains(case.numeric([np.full_like(v, v.flat[0]) for v in upstream])):
            return f"the gradient for {case.name} uses it for all"


def wrong_sign(case):
    if case.explains(-case.n, everywhere=True):
        return f"the gradient for {case.name} is minus what it should be"


def swapped_arguments(case):
    for k, (name, holder) in enumerate(case.check.subject.variables):
        if k == case.k or holder.array.shape != case.shape:
            continue
        if case.explains(case.check.report.checked[k].numeric.ravel()[case.flat]):
            return f"the gradient for {case.name} is that for {name}"
        exchanged = {id(case.holder): holder.array.copy(), id(holder): case.holder.array.copy()}
        numeric = case.moved(lambda h, exchanged=exchanged: exchanged.get(id(h), h.array))
        if numeric is not None and case.explains(numeric):
            return f"the gradient for {case.name} is right for {case.name} and {name} exchanged"


def transposed(case):
    if case.flat.size == np.prod(case.shape) and len(case.shape) > 1:
        n = case.n.reshape(case.shape)
        for i, j in itertools.combinations(range(n.ndim), 2):
            if case.explains(np.swapaxes(n, i, j).ravel()):
                return f"axes {i} and {j} of the gradient for {case.name} are exchanged"
    for name, holder in zip(case.check.subject.names, case.check.subject.holders):
        if holder.array.ndim == 2 and holder.array.shape[0] == holder.array.shape[1] > 1:
            turned = {id(holder): np.array(holder.array.T)}
            numeric = case.moved(lambda h, turned=turned: turned.get(id(h), h.array))
            if numeric is not None and case.explains(numeric):
                return f"the gradient for {case.name} is right for a transposed {name}"
    turned = [np.ascontiguousarray(v.T) if v.ndim == 2 else v for v in case.check.upstream]
    if case.check.subject.takes_upstream and [v.shape for v in turned] == [v.shape for v in case.check.upstream]:
        if any(v.ndim == 2 and v.size > 1 for v in turned) and case.explains(case.numeric(turned)):
            return f"the gradient for {case.name} is right for a transposed upstream gradient"


def forgotten_sum(case):
    upstream = case.check.upstream
    for i, v in enumerate(upstream):
        for axis, place in itertools.product(range(v.ndim), (0, -1)):
            if v.shape[axis] < 2:
                continue
            one = np.zeros_like(v)
            part = (slice(None),) * axis + (place,)
            one[part] = v[part]
            if case.explains(case.numeric([*upstream[:i], one, *upstream[i + 1 :]])):
                which = "last" if place else "first"
                return f"of axis {axis} of output {i}, the gradient for {case.name} has only the {which} term"


def constant_factor(case):
    heavy = np.where(case.bound > 0, np.abs(case.n) / case.bound, 0)
    at = int(np.argmax(heavy))
    factor = float(case.a[at] / case.n[at]) if heavy[at] > 1 else 0.0
    if not factor or not np.isfinite(factor) or not case.explains(factor * case.n, everywhere=True):
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
        return f"{case.name}[{', '.join(inside)}]; outside of it the gradient is right"
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
    """The likely cause: the first that fits every wrong input, else the first that fits the worst one."""
    cases = [Case(check, k, found) for k, found in enumerate(checked) if found.is_wrong and found.measured.any()]
    for case in cases:
        if any_not_finite := not_finite(case):
            return f"not finite: {any_not_finite}"
    fallback = None
    for key, test in CAUSES:
        details = [test(case) for case in cases]
        if cases and all(details):
            return f"{key}: {'; '.join(details)}"
        fallback = fallback or next((f"{key}: {detail}" for detail in details if detail), None)
    return fallback or "unknown: no simple cause found"


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
    text = f"the backward pass raised {type(error).__name__}: {error}"
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
