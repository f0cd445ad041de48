"""Optimizers compared, step by step, with the recurrence they claim, and a name for what a wrong one does instead."""

import itertools
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np

from .. import kernels
from ..kernels.parallel import SMALLEST_SPLIT
from ..tensor import wrap
from .arguments import validate
from .options import make, search
from .recurrences import NEUTRAL, VARIANTS, claimed_by
from .report import GradcheckError

# ---- following the optimizer and the recurrence over the same gradients ----

_SHAPES = (
    (), (1,), (0,), (0, 3), (2,), (3,), (4,), (7,), (8,), (9,), (15,), (16,), (17,), (33,), (1030,), (4, 1, 5), (3, 5),
)  # fmt: skip
_LARGE = (SMALLEST_SPLIT + 23,)  # whose update threads share, also that of SGD
_WIDTHS = (2, 4, 8, 16)  # of vectors


class _Problem:
    """Starting values and gradients of very different scales; half way a scheduler halves lr."""

    def __init__(self, dtype, steps, large=False):
        rng = np.random.default_rng(steps)
        self.dtype = np.dtype(dtype)
        self.shapes = (*_SHAPES[:-1], _LARGE, _SHAPES[-1]) if large else _SHAPES

        def spread(shape, low, high):
            return np.asarray(rng.standard_normal(shape) * 10 ** rng.uniform(low, high, shape), self.dtype)

        self.start = [spread(shape, -1, 1) for shape in self.shapes]
        self.start[-1] = np.asfortranarray(self.start[-1])  # kernels in C want contiguous memory
        scales = [np.asarray(10 ** rng.uniform(-9, 4, shape), self.dtype) for shape in self.shapes]
        normal = rng.standard_normal
        self.gradients = [[np.asarray(scale * normal(scale.shape), self.dtype) for scale in scales] for _ in range(steps)]
        self.gradients[2][8] = self.gradients[3][4] = None  # without a gradient a parameter is left alone
        self.gradients[2][5] = np.zeros_like(self.gradients[2][5])

    def steps(self, lr):
        """(lr, gradients) of each step."""
        for t, gradients in enumerate(self.gradients):
            yield lr if t < len(self.gradients) // 2 else lr / 2, gradients

    def predict(self, step, options, path):
        """Where each step should lead from where the path was, and one rounding of the way travelled, step by step.

        A recurrence on a way of its own would, where weight decay feeds errors back, soon be elsewhere altogether.
        """
        states, counts = [{} for _ in self.shapes], [0] * len(self.shapes)
        o, limits = SimpleNamespace(**options), np.finfo(self.dtype)
        travelled = np.abs(path[0])
        yield path[0], limits.eps * travelled + limits.tiny
        for here, (o.lr, gradients) in zip(path, self.steps(options["lr"])):
            values = self.split(here)
            for i, g in enumerate(gradients):
                if g is not None:
                    counts[i] += 1
                    values[i] = _stepped(step, values[i], g.astype(np.float64), states[i], o, counts[i])
            there = _row(values)
            # The path may be that of a wrong optimizer, which is where the recurrence alone had not come.
            travelled = np.maximum(travelled, np.abs(here)) + np.abs(there - here)
            yield there, limits.eps * travelled + limits.tiny

    def follow(self, factory, options, backend, lead=None):
        """(optimizer, its first hyper-parameters, path, what it did that no optimizer may, or None).

        With a path to follow, each step starts from there.
        """
        parameters = [wrap(p.copy(order="K")).requires_grad_() for p in self.start]
        fault, path = None, [_row(self.start)]
        with kernels.use(backend):
            optimizer = make(factory, options, parameters)
            group = optimizer.param_groups[0]
            first = {name: value for name, value in group.items() if name != "params"}
            for t, (group["lr"], gradients) in enumerate(self.steps(group["lr"])):
                for p, g in zip(parameters, gradients):
                    p.grad = None if g is None else wrap(g.copy())
                if lead is not None:
                    for p, value in zip(parameters, self.split(lead[t])):
                        p.detach().numpy()[...] = value
                optimizer.step()
                for p, g in zip(parameters, gradients):
                    if p.dtype != self.dtype:
                        fault = f"dtype changed to {p.dtype}"
                    elif g is not None and (p.grad is None or not np.array_equal(p.grad.array, g)):
                        fault = "gradient written"
                path.append(_row([p.detach().numpy() for p in parameters]))
                if fault:
                    path += path[-1:] * (len(self.gradients) + 1 - len(path))
                    break
        return optimizer, first, np.array(path), fault

    def split(self, row):
        """The parameters whose elements stand in a row."""
        parts = np.split(row, np.cumsum([p.size for p in self.start])[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, self.shapes)]


def _stepped(step, p, g, state, o, t):
    """What a recurrence makes of p, if it is a parameter of this shape; ValueError if not."""
    with np.errstate(all="ignore"):
        new = step(p, g, state, o, t)
    if np.shape(new) == p.shape and np.asarray(new).dtype.kind in "fiu":
        return new
    got = f"shape {np.shape(new)}" if isinstance(new, (np.ndarray, float)) else type(new).__name__
    raise ValueError(
        f"check_optimizer: recurrence gave {got} after step {t} of a parameter of shape {p.shape}, expected the new "
        "parameter, an array of that shape"
    )


def _row(arrays):
    return np.concatenate([np.ravel(a) for a in arrays]).astype(np.float64)


def _roundings(path, expected, rounding):
    """How many roundings two paths are apart; NaN where one is not finite."""
    with np.errstate(all="ignore"):
        return np.where(path == expected, 0, np.abs(path - expected) / rounding)


def _most(t):
    """How many a right optimizer may be off in step t: each step rounds its state anew, and a few times."""
    return 8 + t


@dataclass
class Run:
    """One set of options, in one dtype, by one kind of kernels."""

    problem: _Problem
    step: object
    options: dict
    kernels: str
    lead: np.ndarray  # where each step starts
    path: np.ndarray  # where it leads
    expected: np.ndarray
    off: np.ndarray  # by how many roundings path and expected are apart
    fault: str | None

    def __post_init__(self):
        self.misses = ~(self.off <= _most(np.arange(len(self.off)))[:, None])
        self.wrong = self.misses.any(axis=0)  # the elements

    def __bool__(self):
        return self.fault is None and not self.wrong.any()

    def fitted(self):
        """The first lr, and by which factor the first step is too long."""
        with np.errstate(all="ignore"):
            ratio = (self.path[1] - self.path[0]) / (self.expected[1] - self.expected[0])
        ratio = ratio[self.wrong & np.isfinite(ratio)]
        return SimpleNamespace(lr=self.options["lr"], factor=float(np.median(ratio)) if ratio.size else 1.0)

    def is_explained_by(self, variant, where=...):
        """Whether the changed recurrence does what the optimizer did."""
        steps = self.problem.predict(VARIANTS[variant](self.step, self.fitted()), self.options, self.lead)
        return all(
            (_roundings(here, expected, rounding)[where] <= _most(t)).all()
            for t, (here, (expected, rounding)) in enumerate(zip(self.path, steps))
        )

    def place(self):
        """Which elements go wrong, in words."""
        parts = np.split(self.wrong, np.cumsum([p.size for p in self.problem.start])[:-1])
        parts = {i: part for i, part in enumerate(parts) if part.size}
        wrong = [i for i, part in parts.items() if part.any()]
        elements = self._elements(parts)
        if len(wrong) <= len(parts) // 2:
            only = f"in parameters of shape {', '.join(str(self.problem.shapes[i]) for i in wrong)} only"
            return f"{elements}, {only}" if elements else only
        if not elements and wrong == [i for i in parts if self.problem.start[i].flags.c_contiguous]:
            return "where memory is contiguous"
        return elements or f"in {self.wrong.sum()} of {self.wrong.size} elements"

    @staticmethod
    def _elements(parts):
        """Which elements go wrong in each parameter, in words; None if these are no particular ones."""
        for width in _WIDTHS:
            if not any(part[: part.size - part.size % width].any() for part in parts.values()):
                return f"in the elements left over by vectors of {width}"
        at = {tuple(np.flatnonzero(part)) for part in parts.values() if part.any()}
        last = {(part.size - 1,) for part in parts.values()}
        for where, name in ({(0,)}, "first"), (last, "last"):
            if at <= where:
                return f"in the {name} element"
        return None

    def __str__(self):
        options = ", ".join(f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in self.options.items()
                            if k not in NEUTRAL or v != NEUTRAL[k])  # fmt: skip
        start = f"{self.problem.dtype.name}, {self.kernels:6}  {options}"
        if self:
            return f"{start}: right, off by {self.off.max():.2g} roundings"
        if self.fault:
            return f"{start}: {self.fault}"
        step, element = np.argwhere(self.misses)[0]
        ends = np.cumsum([p.size for p in self.problem.start])
        i = int(np.searchsorted(ends, element, side="right"))
        index = np.unravel_index(element - (ends[i] - self.problem.start[i].size), self.problem.shapes[i])
        return (
            f"{start}: first wrong after step {step}, shape {self.problem.shapes[i]}, index {tuple(map(int, index))}: "
            f"{self.path[step, element]:.9g}, expected {self.expected[step, element]:.9g}"
        )


class OptimizerReport:
    """What `check_optimizer` found: true if right; `cause` names what is wrong, `runs` holds everything.

    `tried` are the values of each option, `untried` the options that were left out, by the reason.
    """

    def __init__(self, name, runs, rows, untried):
        self.name, self.runs, self.untried = name, runs, untried
        self.tried = {}
        for option, value in itertools.chain.from_iterable(row.items() for row in rows):
            values = self.tried.setdefault(option, [])
            values += [value] if value not in values else []
        self.wrong = [run for run in runs if not run]
        self.cause = self._cause() if self.wrong else None

    def __bool__(self):
        return not self.wrong

    @property
    def error_estimate(self):
        """The largest distance from the recurrence, in roundings of the way that a parameter travelled."""
        return max(run.off.max() for run in self.runs)

    def _cause(self):
        """The first variant that explains most of the wrong runs, and where only some go wrong, which."""
        if faults := [run.fault for run in self.wrong if run.fault]:
            return faults[0]
        if any(not np.isfinite(run.path).all() for run in self.wrong):
            return "not finite"
        run = self.wrong[0]
        place, suspects = "", [v for v in VARIANTS if run.is_explained_by(v)]
        if not suspects:
            place, suspects = run.place(), [v for v in VARIANTS if run.is_explained_by(v, run.wrong)]
        some = self.wrong[:: max(1, len(self.wrong) // 8)]
        explained = {v: sum(r.is_explained_by(v, r.wrong if place else ...) for r in some) for v in suspects}
        best = max(explained, key=explained.get, default="unknown")
        if best == "constant factor":
            best = f"constant factor {run.fitted().factor:.6g}"
        broken = {run.kernels for run in self.wrong}
        alone = f"in the {broken.pop()} kernels only" if len(broken) < len({run.kernels for run in self.runs}) else ""
        return ", ".join(part for part in (best, place, alone) if part)

    def __str__(self):
        shown = self.wrong or self.runs
        verdict = f"wrong: {self.cause}" if self.wrong else f"right, off by at most {self.error_estimate:.2g} roundings"
        first, tried = self.runs[0].problem, [f"{k} {', '.join(map(str, v))}" for k, v in self.tried.items()]
        lines = [
            f"{self.name}: {verdict}",
            f"{len(self.runs) - len(self.wrong)} of {len(self.runs)} runs right, each {len(first.gradients)} steps of "
            f"{len(first.start)} parameters of up to {max(p.size for p in first.start):,} elements",
            f"options tried: {'; '.join(tried) or 'as factory has them'}",
            *(f"not tried: {', '.join(what)}: {why}" for why, what in self.untried.items()),
        ]
        more = [f"... and {len(shown) - 10} more"] if len(shown) > 10 else []
        return "\n  ".join([*lines, *map(str, shown[:10]), *more])


def check_optimizer(
    factory, recurrence=None, *, options=None, steps=20, dtypes=("float64", "float32"), raise_exception=True
):
    """Compare an optimizer, step by step, with the recurrence it claims.

    It updates parameters of many shapes (0-d, empty, around the widths of vectors, not contiguous) by gradients from
    1e-9 to 1e4, one missing and one zero on the way; half way lr is halved. With the first and the last options there
    is one more, so large that threads share its update. What goes wrong only in larger ones, or after `steps`, is not
    seen. The kernels in C lead, those in NumPy take each step from the same place, and so does the recurrence in
    float64. Right is, for both kernels,

        |p - recurrence| <= (8 + t) u (|p at the start| + the way travelled in t steps)

    with u the spacing of the dtype at 1.

    Args:
        factory: called with a list of parameters and options as keywords, gives an optimizer; so a class does.
        recurrence: `step(p, g, state, options, t)`, which gives the parameter after step t (from 1) and may keep
            arrays in the dictionary `state`; or a generator function `steps(p, options)` that yields p, is sent
            gradients and goes its own way; or one of "SGD", "Adagrad", "RMSprop", "Adam", "AdamW". By default the name
            of the class, or of a base class, says which.
        options: a list of dictionaries, keywords for factory. By default a few values of every option that the named
            recurrence has, in all combinations that factory takes; the report says which, and what was left out.
        steps: how many, 4 or more.
        dtypes: of the parameters.
        raise_exception: raise if wrong; else return the report, which is then false.

    Returns a report that is true if the optimizer is right. Its `cause` says what a wrong one does instead.

    Raises:
        GradcheckError: with the report, if the optimizer is wrong.
        TypeError, ValueError: for an argument that cannot be, an optimizer of unknown recurrence, or options that
            factory does not take.

    Example:
        >>> import minigrad
        >>> print(minigrad.check_optimizer(lambda params: minigrad.optim.SGD(params, lr=0.1), dtypes=["float64"]))
        SGD: right, off by at most ... roundings
          ...
        >>> class Hasty(minigrad.optim.SGD):
        ...     def step(self):
        ...         super().step()
        ...         super().step()
        >>> minigrad.check_optimizer(Hasty, options=[{"lr": 0.1}], raise_exception=False).cause
        'constant factor 2'
    """
    validate("check_optimizer", locals())
    __tracebackhide__ = True  # pytest then shows the line of the test
    rows, untried = (options, {}) if options is not None else search(factory, recurrence)
    _, step, claims = claimed_by(type(make(factory, rows[0])), recurrence)
    runs, problems = [], {(dtype, large): _Problem(dtype, steps, large) for dtype in dtypes for large in (False, True)}
    for (i, row), dtype in itertools.product(enumerate(rows), dtypes):
        problem, lead = problems[dtype, i in (0, len(rows) - 1)], None
        for backend in reversed(kernels.available()):  # those in C lead
            optimizer, group, path, fault = problem.follow(factory, row, backend, lead)
            if lead is None:
                # What was asked for, not what the optimizer says it took.
                claimed, lead = {**NEUTRAL, **group, **row, **claims}, path
                expected, rounding = map(np.array, zip(*problem.predict(step, claimed, lead)))
            off = _roundings(path, expected, rounding)
            runs.append(Run(problem, step, claimed, backend, lead, path, expected, off, fault))
    report = OptimizerReport(type(optimizer).__name__, runs, rows, untried)
    if report.wrong and raise_exception:
        raise GradcheckError(report)
    return report
