"""What a check found: true when the gradient is right, readable as a table, and drawn by `plot`."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import numpy as np


class GradcheckError(RuntimeError):
    """A gradient is wrong; `report` says where and, if it is known, why."""

    __module__ = "minigrad.gradcheck"

    def __init__(self, report):
        super().__init__(str(report))
        self.report = report


class Kink(NamedTuple):
    """An element where the slopes to the two sides differ; the analytic value lies between them."""

    name: str
    index: tuple
    low: float
    high: float
    analytic: float


class State(IntEnum):
    """What is known of an element."""

    UNSEEN = 0  # not compared
    RIGHT = 1
    KINK = 2  # right, at a kink
    WRONG = 3
    UNDEFINED = 4  # the function has no differences there that settle
    HIDDEN = 5  # refuted by steps larger than the value alone, and too small beside others to be seen by less


@dataclass
class Checked:
    """One input or parameter, element by element.

    `state` is the verdict, and `wrong` where it is WRONG. `analytic` and `numeric` are the gradients, `error` is that
    of the numeric one as estimated, `bound` how far the two may be apart, `steps` are those of the differences.
    """

    name: str
    dtype: np.dtype
    analytic: np.ndarray
    values: np.ndarray  # of the input itself
    order: float = np.nan  # of the Taylor remainder at the worst element if one is wrong, else along a direction
    curve: tuple = ((), ())  # its steps and remainders
    directions: int = 0  # that were compared,
    rough: int = 0  # elements whose gradient is wrong, but fits large steps
    missed_directions: int = 0  # and in how many the gradients disagree
    rounding: float = 0.0  # a change that would not move any result,
    hidden: float = 0.0  # and a derivative that would not
    came: tuple | None = None  # the shape of an analytic gradient that is not the input's
    seen: np.ndarray | None = None  # by how much a single element may be off without any direction showing it

    def __post_init__(self):
        self.remainders = {}  # the same two, element by element, where a sweep of steps was taken
        blank = np.full(self.values.shape, np.nan)
        self.numeric, self.error, self.bound, self.steps = (blank.copy() for _ in range(4))
        self.state = np.full(self.values.shape, State.UNSEEN, np.int8)
        # `unsure` is what large steps say and small ones do not show, `elsewhere` what was compared at another point.
        self.wrong, self.unsure, self.elsewhere = (np.zeros(self.values.shape, bool) for _ in range(3))

    def decide(self, at, state, **numbers):
        """Write down the verdict on an element, and its `numeric`, `error`, `bound` and `steps`."""
        self.state[at], self.wrong[at] = state, state == State.WRONG
        for name, value in numbers.items():
            getattr(self, name)[at] = value

    @property
    def measured(self):
        """Where there is a verdict."""
        return (self.state == State.RIGHT) | (self.state == State.KINK) | self.wrong

    @property
    def distance(self):
        """|analytic - numeric| beside what is allowed, infinite where a value is not finite."""
        with np.errstate(all="ignore"):
            ratio = np.where(self.analytic == self.numeric, 0.0, np.abs(self.analytic - self.numeric) / self.bound)
        return np.where(self.measured, np.where(np.isnan(ratio), np.inf, ratio), -1.0)

    @property
    def is_wrong(self):
        return bool(self.wrong.any()) or self.missed_directions > 0

    @property
    def worst(self):
        """The index of the worst element: a wrong one, if there is any."""
        if self.wrong.any():  # of those that are wrong, the largest error
            ratio = np.where(self.wrong, np.nan_to_num(np.abs(self.analytic - self.numeric), nan=np.inf), -1)
        else:
            ratio = self.distance
        return tuple(map(int, np.unravel_index(np.argmax(ratio), ratio.shape)))

    @property
    def unclear(self):
        """Which differences are so inexact that an error of 1 % of the element would not be seen.

        Also where both gradients are 0 because, perhaps, the element is too small beside others to show.
        """
        analytic = np.abs(np.nan_to_num(self.analytic))
        size = np.maximum(analytic, np.abs(np.nan_to_num(self.numeric)))
        x = np.abs(np.where(np.isfinite(self.values), self.values, 0))
        share = analytic * x  # of an element in the results
        drowns = np.mean(share[share > 0] < self.rounding) > 0.05 if share.any() else False  # then others may, too
        small = (x > 0) & (drowns | (x < 1e-3 * x.max(initial=0)) | (self.hidden > 0.01 * analytic.max(initial=0)))
        coarse = self.measured & ~self.wrong & ~self.elsewhere & np.where(size > 0, self.bound > 0.01 * size, small)
        return coarse | (self.state == State.HIDDEN)

    def replace(self, other, flat):
        """Take over what was found for these elements at another point, unless nothing is seen there, either."""
        for i in flat:
            at = np.unravel_index(i, self.state.shape)
            if other.measured[at] and not other.unclear[at]:
                names = ("analytic", "numeric", "error", "bound", "steps")
                self.decide(at, other.state[at], **{name: getattr(other, name)[at] for name in names})
                self.elsewhere[at] = True
            else:
                self.leave_open([i])

    def leave_open(self, flat):
        """No verdict on what only large steps refute."""
        for i in flat:
            if self.unsure.flat[i]:
                self.decide(np.unravel_index(i, self.state.shape), State.HIDDEN)


@dataclass
class GradcheckReport:
    """The result of `gradcheck`: true in a condition exactly when the gradient is right.

    Attributes:
        cause, cause_key: the likely cause of a wrong gradient, with and without details; None if right.
        kinks: the elements at which the function has a kink, each with the slopes to both sides.
        method: how the numeric derivatives were found.
        error_estimate: their largest estimated error, relative to the largest derivative of their input.
        coverage: which elements were compared.
        notes: what the verdict leaves open: errors that can have been missed, elements that are not decided.
        checked: per input and parameter the gradients, element by element.
        seconds, evaluations: what the check took, and how often it ran the function for differences.
        error: what the backward pass raised, if that ended the check.
    """

    name: str
    checked: list = field(default_factory=list)
    cause: str | None = None
    kinks: list = field(default_factory=list)
    method: str = ""
    error_estimate: float = 0.0
    coverage: str = ""
    notes: list = field(default_factory=list)
    seconds: float = 0.0
    evaluations: int = 0
    error: Exception | None = None

    def __bool__(self):
        return self.cause is None

    @property
    def cause_key(self):
        return None if self.cause is None else self.cause.partition(":")[0]

    def __str__(self):
        verdict = "the gradient is right" if self else f"the gradient is wrong. {self.cause}"
        lines = [f"{self.name}: {verdict}"]
        if self.checked:
            lines += table([HEADINGS, *map(row, self.checked)])
        for kink in self.kinks[:5]:
            slopes = f"slopes {kink.low:.6g} and {kink.high:.6g}, analytic {kink.analytic:.6g}"
            lines.append(f"  kink at {kink.name}{list(kink.index)}: {slopes}")
        if len(self.kinks) > 5:
            lines.append(f"  ... and {len(self.kinks) - 5} kinks more")
        lines += [f"  {note}" for note in self.notes]
        if self.method:
            error = f", error about {self.error_estimate:.1g} of the largest derivative" if self.error_estimate else ""
            lines.append(f"  {self.coverage}; {self.method}{error}")
        return "\n".join(lines)

    __repr__ = __str__

    def plot(self, path=None):
        """Draw the error against the step, and the worst input's errors in its shape. Returns the Matplotlib figure.

        Saved to `path`, if one is given. Needs Matplotlib: `pip install matplotlib`.
        """
        from .plot import draw

        return draw(self, path)


HEADINGS = ("", "shape", "dtype", "wrong", "worst", "analytic", "numeric", "bound", "order")


def row(part):
    head = (part.name, str(part.analytic.shape), str(part.dtype))
    if not part.measured.any():
        wrong = f"{part.missed_directions} of {part.directions} directions" if part.directions else "0 of 0"
        return (*head, wrong, "", "", "", "", number(part.order, ".2f"))
    at = part.worst
    analytic = number(part.analytic[at], ".8g") if part.came is None else f"shape {part.came}"
    return (
        *head, f"{int(part.wrong.sum())} of {int(part.measured.sum())}", str(list(at)), analytic,
        number(part.numeric[at], ".8g"), number(part.bound[at], ".1e"), number(part.order, ".2f"),
    )  # fmt: skip


def number(value, how):
    return "-" if np.isnan(value) and how == ".2f" else format(float(value), how)


def table(rows):
    """The rows as lines with aligned columns, the first to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        "  " + "  ".join([cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:]))]).rstrip()
        for cells in rows
    ]
