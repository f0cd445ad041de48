"""The whole check: is the function steady, do both gradients agree, and if not, why."""

import sys
import time
from contextlib import contextmanager, nullcontext, suppress

import numpy as np

from .. import random
from ..graph import set_grad_enabled
from . import causes
from .measure import Measurement
from .point import Point
from .report import GradcheckReport, State
from .subject import REFUSALS, Misuse, doubled

EVALUATIONS_PER_ELEMENT = 3
POINTS, ALIKE = 8, 30  # points at which a variable is looked at again, and how far sizes differ there
PATIENCE = 2.0  # seconds, after which a progress bar is welcome


class Fault(Exception):
    """A cause that ends the check at once."""


def check(subject, *, eps=None, atol=None, rtol=None, nondet_tol=0.0, fast_mode=False, seconds=10.0):
    """The report on `subject`; see `gradcheck` for the arguments."""
    check = Check(subject, nondet_tol, fast_mode, seconds)
    fixed = None
    if any(value is not None for value in (eps, atol, rtol)):  # PyTorch's test, with PyTorch's defaults
        fixed = [default if value is None else value for value, default in ((eps, 1e-6), (atol, 1e-5), (rtol, 1e-3))]
    with np.errstate(all="ignore"), set_grad_enabled(True), same_random_numbers():
        try:
            check.prepare()
            check.compare(fixed)
        except Fault as fault:
            check.report.cause, check.report.error = str(fault), fault.__cause__
        finally:
            check.restore()
    check.report.seconds, check.report.evaluations = time.perf_counter() - check.start, subject.evaluations
    return check.report


@contextmanager
def same_random_numbers():
    """Leave the global random numbers where they were."""
    ours, numpys = random.default_generator.get_state(), np.random.get_state()
    try:
        yield
    finally:
        random.default_generator.set_state(ours)
        np.random.set_state(numpys)


class Check:
    def __init__(self, subject, nondet_tol, fast_mode, seconds):
        self.subject, self.nondet_tol, self.fast_mode, self.seconds = subject, nondet_tol, fast_mode, seconds
        self.start = time.perf_counter()
        self.rng = np.random.default_rng(0)
        self.kept = [holder.array.copy() for holder in subject.holders]
        self.position = {id(holder): i for i, holder in enumerate(subject.holders)}
        self.report = GradcheckReport(subject.name)
        subject.evaluations = 0

    def original(self, holder):
        """A copy of the caller's values."""
        return self.kept[self.position[id(holder)]].copy()

    # Before any difference is taken

    def prepare(self):
        """Run the function and its gradient twice, and the gradient with upstreams of every kind."""
        subject = self.subject
        times = [time.perf_counter()]
        self.outputs = [np.array(y) for y in subject.outputs()]
        times.append(time.perf_counter())
        self.refuse_written("the forward pass")
        again = subject.outputs()
        times.append(time.perf_counter())
        self.cost = min(np.diff(times))
        for i, (first, second) in enumerate(zip(self.outputs, again)):
            if first.shape != np.shape(second) or not np.array_equal(first, second, equal_nan=True):
                raise Fault(f"not deterministic: two forward passes gave different values of output {i}")
        for i, y in enumerate(self.outputs):
            if not np.isfinite(y).all():
                raise Fault(f"not finite: the function itself gives {first_bad(y)} of output {i}")
        self.upstream = self.draw()
        self.analytic = self.gradient(self.upstream)
        for (name, _), first, second in zip(subject.variables, self.analytic, subject.gradients(self.upstream)):
            apart = np.abs(first - second)[~(np.isnan(first) & np.isnan(second)) & (first != second)]
            if apart.size and not apart.max() <= self.nondet_tol:
                raise Fault(f"not deterministic: two backward passes for {name} differ by up to {apart.max():.3g}")

    def draw(self):
        if not self.subject.takes_upstream:
            return [np.ones(y.shape, y.dtype) for y in self.outputs]
        return random_upstream(self.outputs)

    def gradient(self, upstream):
        """The gradients, whose errors and wrong shapes are causes; inputs and upstream must not change."""
        before = [v.copy() for v in upstream]
        try:
            found = self.subject.gradients(upstream)
        except Misuse:
            raise
        except (ValueError, RuntimeError, TypeError) as error:
            raise Fault(causes.of_error(error)) from error
        self.refuse_written("the backward pass")
        if any(not np.array_equal(v, old, equal_nan=True) for v, old in zip(upstream, before)):
            raise Fault("input written: the upstream gradient was written to by the backward pass")
        return found

    def refuse_written(self, when):
        for name, holder, old in zip(self.subject.names, self.subject.holders, self.kept):
            if not np.array_equal(holder.array, old, equal_nan=holder.array.dtype.kind == "f"):
                raise Fault(f"input written: {name} was changed by {when}")

    def restore(self):
        for holder, old in zip(self.subject.holders, self.kept):
            if not np.array_equal(holder.array, old, equal_nan=old.dtype.kind == "f"):
                np.copyto(holder.array, old)

    def upstream_fault(self):
        """What goes wrong with upstream gradients that are 0, or that lie in memory in another way; None if nothing."""
        if not self.subject.takes_upstream:
            return None
        zeros = self.gradient([np.zeros_like(v) for v in self.upstream])
        for (name, holder), g in zip(self.subject.variables, zeros):
            if g.shape == holder.array.shape and g[np.isfinite(holder.array)].any():  # 0 times NaN is NaN
                return f"upstream ignored: the gradient for {name} is not 0 where the upstream gradient is"
        spaced = [np.repeat(v[..., None], 2, -1)[..., 0] for v in self.upstream]
        equal = [np.full(v.shape, 0.75, v.dtype) for v in self.upstream]
        stretched = [np.broadcast_to(np.asarray(0.75, v.dtype), v.shape) for v in self.upstream]
        for kind, changed, expected in (
            ("that is not contiguous", spaced, self.analytic),
            ("of stride 0", stretched, self.gradient(equal)),
        ):
            try:
                found = self.gradient(changed)
            except Fault as fault:
                return f"upstream layout: with an upstream gradient {kind}: {fault}"
            for (name, _), g, e in zip(self.subject.variables, found, expected):
                if np.any(np.abs(g - e) > 3 * np.sqrt(self.eps) * np.abs(e).max(initial=0)):
                    return f"upstream layout: another gradient for {name} with an upstream gradient {kind}"
        return None

    # Analytic against numeric

    def compare(self, fixed):
        subject, report = self.subject, self.report
        self.eps = max(np.finfo(a.dtype).eps for a in (*self.outputs, *(h.array for _, h in subject.variables)))
        shape_fault = self.shape_fault()
        self.in_float64 = not fixed and self.agrees_in_float64()
        total = sum(holder.array.size for _, holder in subject.variables)
        affordable = total * EVALUATIONS_PER_ELEMENT * self.cost <= self.seconds
        every = bool(fixed) or affordable and not self.fast_mode
        with self.point(self.kept, self.analytic).visited() as here:
            self.origin = here.origin
            parts = [Measurement(here, k, self.rng) for k in range(len(subject.variables))]
            report.checked = [part.found for part in parts]
            if shape_fault:
                report.checked[shape_fault[0]].came = shape_fault[1].shape
            with progress(total if every else None, self.cost * EVALUATIONS_PER_ELEMENT) as tick:
                for part in parts:
                    if part.found.analytic.size:
                        self.measure(part, every, fixed, tick)
            if not fixed and not shape_fault and subject.is_anywhere:
                self.look_where_all_are_alike(parts)
            report.kinks = [kink for part in parts for _, kink in sorted(part.kinks.items())]
            self.describe(parts, every, fixed)
            fault = shape_fault and causes.of_shape(self, *shape_fault)
            if not fault and any(part.is_wrong for part in report.checked):
                fault = causes.find(self, report.checked)
        report.cause = fault or self.upstream_fault()

    def point(self, values, analytic):
        return Point(self.subject, values, self.upstream, analytic, self.eps, self.in_float64)

    def measure(self, part, every, fixed, tick):
        size = part.found.analytic.size
        deadline = time.perf_counter() + self.seconds
        if fixed:
            return part.fixed(range(size), *fixed, tick)
        first = part.taylor()
        if every:
            part.elements(range(size), deadline, tick)
            return part.doubt_zeros()
        guilty = part.directions(first, tick)
        share = self.seconds / 8 / len(self.subject.variables)
        affordable = int(share / (EVALUATIONS_PER_ELEMENT * self.cost + 1e-9))
        if guilty is None and not self.fast_mode:
            guilty = part.blocks(share, tick)
        some = self.rng.permutation(size)[: 0 if self.fast_mode and guilty is None else min(max(affordable, 8), 256)]
        part.elements([*some, *part.float32_faults()], deadline, tick)
        if guilty is not None and not part.found.wrong.any():
            part.elements(part.locate(guilty), deadline, tick)

    def look_where_all_are_alike(self, parts):
        """Elements that drown in the rounding of others are compared at points where all are about as large.

        The sum of x^3 at [1e-9, 1e6] is 1e18, whatever the first element does; at [1e-9, 2e-9] it is not.
        """
        for k, part in enumerate(parts):
            sizes = np.abs(self.kept[self.position[id(self.subject.variables[k][1])]]).ravel()
            undecided = part.found.unclear | part.found.unsure | (part.found.state == State.UNDEFINED)
            drowned = np.flatnonzero(undecided.ravel() & (sizes > 0))
            drowned = drowned[np.argsort(sizes[drowned])]
            for _ in range(POINTS):
                if not drowned.size:
                    break
                size = float(sizes[drowned[0]])
                alike = sizes[drowned] <= ALIKE * size
                self.look_again(k, part, drowned[alike], size)
                drowned = drowned[~alike]

    def look_again(self, k, part, group, size):
        """Compare these elements of variable k where those of other sizes are replaced by some of this size."""
        checked = [id(holder) for _, holder in self.subject.variables]

        def alike(holder, x):
            if id(holder) not in checked:
                return x
            far = (x != 0) & ((np.abs(x) > ALIKE * size) | (np.abs(x) < size / ALIKE))
            return np.where(far, np.sign(x) * size * self.rng.uniform(1, ALIKE, x.shape), x).astype(x.dtype)

        values = [alike(holder, x) for holder, x in zip(self.subject.holders, self.kept)]
        if all(np.array_equal(x, old, equal_nan=x.dtype.kind == "f") for x, old in zip(values, self.kept)):
            return
        arrays = {id(holder): x for holder, x in zip(self.subject.holders, values)}
        try:
            with self.subject.moved(lambda holder: arrays[id(holder)].copy()):
                analytic = self.subject.gradients(self.upstream)
            with self.point(values, analytic).visited() as there:
                again = Measurement(there, k, self.rng)
                again.elements(group, time.perf_counter() + self.seconds / 8, lambda: None)
            part.found.replace(again.found, group)
        except REFUSALS:
            part.found.leave_open(group)

    def shape_fault(self):
        """(variable, gradient) if a gradient has another shape than its variable; zeros take its place."""
        for k, (_, holder) in enumerate(self.subject.variables):
            if self.analytic[k].shape != holder.array.shape:
                wrong, self.analytic[k] = self.analytic[k], np.zeros(holder.array.shape, holder.array.dtype)
                return k, wrong
        return None

    def agrees_in_float64(self):
        """Whether the function can be run on float64 copies, and has the same value there."""
        if self.eps == np.finfo(np.float64).eps:
            return False
        with self.subject.moved(doubled), suppress(Exception):
            outputs = self.subject.outputs()
            return all(
                y.dtype == np.float64
                and np.abs(y - old).max(initial=0) <= 1e-3 * np.abs(old).max(initial=np.finfo(np.float32).tiny)
                for y, old in zip(outputs, self.outputs, strict=True)
            )
        return False

    def describe(self, parts, every, fixed):
        """The report's words on what was done."""
        report, total = self.report, sum(part.found.state.size for part in parts)
        undefined = sum((part.found.state == State.UNDEFINED).sum() for part in parts)
        count = sum((part.found.state != State.UNSEEN).sum() for part in parts) - undefined
        exact = sum(part.exact.sum() for part in parts)
        if fixed:
            report.method = f"central differences of step {fixed[0]:g}, as PyTorch's"
        else:
            report.method = "central differences with extrapolation"
            if exact:
                others = f" for {exact} elements, else {report.method}" if exact < count else ""
                report.method = f"complex step{others}"
        if self.in_float64:
            report.method += ", of a float64 copy"
        report.coverage = f"{'all ' if count == total else f'{count:,} of '}{total:,} elements compared"
        if not every:
            report.coverage = f"random directions, and {count:,} of {total:,} elements one by one"
            if not any(part.found.is_wrong for part in parts):
                report.notes.append(chance_of_a_miss([part.found for part in parts]))
        for count, text in (
            (sum(part.found.elsewhere.sum() for part in parts), "compared where all are about as large"),
            (sum(part.found.unclear.sum() for part in parts), "so small beside the rounding that 1 % would not show"),
            (
                sum(part.found.rough for part in parts),
                "wrong, but fit larger steps: does the function round inside, or is it a step function?",
            ),
            (undefined, "not decided, as the function is not defined close by, or no step suits it"),
        ):
            if count:
                report.notes.append(f"elements that are {text}: {count:,}")
        report.error_estimate = max((relative_error(part.found) for part in parts), default=0.0)


def random_upstream(outputs):
    """Random upstream gradients, none close to 0; of several outputs, a small one weighs as much as a large one."""
    rng, found = np.random.default_rng(len(outputs)), []
    sizes = [float(np.abs(y).max(initial=0)) if len(outputs) > 1 else 0.0 for y in outputs]
    for y, size in zip(outputs, sizes):
        size = max(size, 1e-9 * max(sizes))  # below that it is rounding
        unit = 2.0 ** -np.round(np.log2(size)) if 0 < size < np.inf else 1.0
        found.append((unit * rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1, 1], y.shape)).astype(y.dtype))
    return found


def chance_of_a_miss(parts):
    """What directions do not show of a single wrong element, if all that are not 0 are as likely to be wrong."""
    seen, size, measured = (
        np.concatenate([x.ravel() for x in each])
        for each in zip(*((p.seen, np.abs(p.analytic), p.measured) for p in parts if p.seen is not None))
    )
    norm, counts = np.sqrt((size**2).sum()), (size > 0) & np.isfinite(size)
    missed = np.mean((seen > size)[counts] & ~measured[counts]) if counts.any() else 0.0
    return (
        f"a single element that is off by its own size is missed with a chance of {100 * missed:.2g} %, and no "
        f"direction misses a single element that is off by more than {seen.max(initial=0):.1e}; the gradient's norm "
        f"is {norm:.2e}"
    )


def relative_error(part):
    known = part.measured & np.isfinite(part.numeric) & np.isfinite(part.error)
    largest = np.abs(part.numeric[known]).max(initial=0)
    return float(part.error[known].max(initial=0) / largest) if largest else 0.0


def first_bad(array):
    at = tuple(map(int, np.argwhere(~np.isfinite(array))[0]))
    return f"{array[at]} at {list(at)}"


def progress(total, cost):
    """A function to call once per element; it moves a tqdm bar on a terminal if the work takes seconds."""
    if sys.stderr.isatty() and (total is None or total * cost >= PATIENCE):
        with suppress(ImportError):
            from tqdm import tqdm

            bar = tqdm(total=total, desc="gradcheck", unit="element", leave=False)
            return bar_ticks(bar)
    return nullcontext(lambda: None)


@contextmanager
def bar_ticks(bar):
    with bar:
        yield bar.update
