"""What a check found: true when the gradient is right, readable as a table, and drawn by `plot`."""

from dataclasses import dataclass, field
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


@dataclass
class Checked:
    """One input or parameter, element by element.

    `analytic` and `numeric` are the gradients, `error` is that of the numeric one as estimated, `bound` how far
    the two may be apart, `steps` are those of the differences. NaN stands where nothing was measured.
    """

    name: str
    dtype: np.dtype
    analytic: np.ndarray
    values: np.ndarray  # of the input itself
    order: float = np.nan  # of the Taylor remainder at the worst element if one is wrong, else along a direction
    curve: tuple = ((), ())  # its steps and remainders
    directions: int = 0  # that were compared,
    missed_directions: int = 0  # and in how many the gradients disagree
    hidden: float = 0.0  # a derivative that would not move any result
    came: tuple | None = None  # the shape of an analytic gradient that is not the input's
    resolution: float = 0.0  # an error of one element larger than this is seen by every direction

    def __post_init__(self):
        self.remainders = {}  # the same two, element by element, where a sweep of steps was taken
        blank = np.full(self.values.shape, np.nan)
        self.numeric, self.error, self.bound, self.steps = (blank.copy() for _ in range(4))
        # `unsure` is what large steps say and small ones do not show, `elsewhere` what was compared at another point.
        self.wrong, self.unsure, self.elsewhere = (np.zeros(self.values.shape, bool) for _ in range(3))

    @property
    def measured(self):
        return ~np.isnan(self.numeric)

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
        ratio = np.where(self.wrong, np.inf, self.distance)
        if self.wrong.any():  # of those that are wrong, the largest error
            ratio = np.where(self.wrong, np.nan_to_num(np.abs(self.analytic - self.numeric), nan=np.inf), -1)
        return tuple(map(int, np.unravel_index(np.argmax(ratio), ratio.shape)))

    @property
    def unclear(self):
        """Which differences are so inexact that an error of 1 % of the element would not be seen.

        Also where both gradients are 0 because, perhaps, the element is too small beside others to show.
        """
        analytic = np.abs(np.nan_to_num(self.analytic))
        size = np.maximum(analytic, np.abs(np.nan_to_num(self.numeric)))
        x = np.abs(np.where(np.isfinite(self.values), self.values, 0))
        small = (x > 0) & ((x < 1e-3 * x.max(initial=0)) | (self.hidden > 0.01 * analytic.max(initial=0)))
        return self.measured & ~self.wrong & ~self.elsewhere & np.where(size > 0, self.bound > 0.01 * size, small)

    def replace(self, other, flat):
        """Take over what was found for these elements at another point, unless nothing is seen there, either."""
        for i in flat:
            if other.wrong.flat[i] or other.measured.flat[i] and not other.unclear.flat[i]:
                self.elsewhere.flat[i], self.wrong.flat[i] = True, other.wrong.flat[i]
                for name in ("analytic", "numeric", "error", "bound", "steps"):
                    getattr(self, name).flat[i] = getattr(other, name).flat[i]
            else:
                self.leave_open([i])

    def leave_open(self, flat):
        """No verdict on what only large steps refute."""
        flat = [i for i in flat if self.unsure.flat[i]]
        self.wrong.flat[flat], self.bound.flat[flat] = False, np.inf


@dataclass
class GradcheckReport:
    """The result of `gradcheck`: true in a condition exactly when the gradient is right.

    Attributes:
        cause, cause_key: the likely cause of a wrong gradient, with and without details; None if right.
        kinks: the elements at which the function has a kink, each with the slopes to both sides.
        method: how the numeric derivatives were found.
        error_estimate: their largest estimated error, relative to the largest derivative of their input.
        coverage: which elements were compared and, if not all, what can have been missed.
        checked: per input and parameter the gradients, element by element.
        seconds, evaluations: what the check took.
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
