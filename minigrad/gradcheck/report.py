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
    order: float = np.nan  # of the Taylor remainder along a random direction
    curve: tuple = ((), ())  # steps and remainders along it
    missed_directions: int = 0
    resolution: float = 0.0  # an error of one element larger than this is seen by every direction

    def __post_init__(self):
        blank = np.full(self.values.shape, np.nan)
        self.numeric, self.error, self.bound, self.steps = (blank.copy() for _ in range(4))
        self.wrong = np.zeros(self.values.shape, bool)

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
    def undecided(self):
        """How many differences are so inexact that an error of 1 % of the typical element would not be seen."""
        values = np.where(self.measured, np.nan_to_num(self.numeric), 0)
        typical = np.sqrt(np.mean(values**2)) if values.size else 0.0
        coarse = self.bound > 0.01 * np.maximum(np.abs(values), typical)
        return int((self.measured & coarse & (self.bound > 0) & ~self.wrong).sum())


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
            error = f"error about {self.error_estimate:.1g} of the largest derivative"
            lines.append(f"  {self.coverage}; {self.method}, {error}")
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
    count = int(part.measured.sum())
    wrong = f"{int(part.wrong.sum())} of {count}"
    if not count:
        return (part.name, str(part.analytic.shape), str(part.dtype), wrong, "", "", "", "", number(part.order, ".2f"))
    at = part.worst
    return (
        part.name, str(part.analytic.shape), str(part.dtype), wrong, str(list(at)), number(part.analytic[at], ".8g"),
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
