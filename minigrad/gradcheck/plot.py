"""The two pictures of a report: the error against the step, and the errors of the worst input in its shape."""

import numpy as np


def draw(report, path=None):
    """Draw both for the worst input of `report`; see `GradcheckReport.plot`."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plot: a picture needs Matplotlib: pip install matplotlib") from error

    parts = [part for part in report.checked if part.analytic.size]
    if not parts:
        why = "its inputs have no elements" if report else f"it ended before any difference was taken: {report.cause}"
        raise ValueError(f"plot: there is nothing to draw of the check of {report.name}: {why}")
    part = max(parts, key=lambda part: (part.is_wrong, part.distance.max()))
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    verdict = "the gradient is right" if report else report.cause
    figure.suptitle(f"{report.name}: {verdict}"[:110], fontsize=11)
    draw_remainder(left, part)
    draw_errors(figure, right, part)
    if path is not None:
        figure.savefig(path, dpi=130)
    return figure


def draw_remainder(axes, part):
    """The remainder of the first Taylor polynomial beside lines of slope 1 and 2."""
    steps, remainder = (np.asarray(values, float) for values in part.curve)
    seen = np.isfinite(remainder) & (remainder > 0) & (steps > 0)
    axes.set(xscale="log", yscale="log", xlabel="step t", ylabel="|f(x + t u) - f(x) - t g·u|")
    at_worst = part.wrong.any() and part.worst in part.remainders
    where = f"at {part.name}{list(part.worst)}" if at_worst else f"along a random direction, {part.name}"
    axes.set_title(f"Remainder {where}", fontsize=10)
    if not seen.any():
        axes.text(0.5, 0.5, "0 at every step", ha="center", transform=axes.transAxes)
        return
    steps, remainder = steps[seen], remainder[seen]
    axes.plot(steps, remainder, "o-", color="C0", label="remainder", zorder=3)
    for power, anchor, style, meaning in ((1, -1, "--", "a wrong gradient"), (2, 0, ":", "a right gradient")):
        line = remainder[anchor] * (steps / steps[anchor]) ** power
        shown = (line > remainder.min() / 30) & (line < remainder.max() * 30)
        axes.plot(steps[shown], line[shown], style, color="0.4", label=f"slope {power}: {meaning}")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def draw_errors(figure, axes, part):
    """|analytic - numeric| of every element, relative to the largest derivative; crosses mark what is wrong."""
    from matplotlib.colors import LogNorm

    with np.errstate(all="ignore"):
        scale = np.nan_to_num(np.abs(part.numeric)).max(initial=0) or 1.0
        error = folded(np.abs(part.analytic - part.numeric) / scale)
    error = np.where(np.isfinite(error) & (error < 1e-16), 1e-16, error)
    image = axes.imshow(
        np.ma.masked_invalid(error), norm=LogNorm(1e-16, 1), cmap="viridis", aspect="auto", interpolation="nearest"
    )
    axes.set_facecolor("0.85")  # elements that were not compared
    rows, columns = np.nonzero(folded(part.wrong))
    if 0 < len(rows) <= 500:
        axes.plot(columns, rows, "x", color="red", markersize=max(2, 60 / max(error.shape)), label="wrong")
        axes.legend(fontsize=8, loc="upper right")
    count = f"{int(part.wrong.sum()):,} of {int(part.measured.sum()):,} wrong"
    axes.set_title(f"Errors of {part.name}, shape {part.analytic.shape}: {count}", fontsize=10)
    axes.set(xlabel="last axis", ylabel="the other axes, folded" if part.analytic.ndim > 2 else "")
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    if part.analytic.ndim < 2:
        axes.set_yticks([])
    figure.colorbar(image, ax=axes, label="|analytic - numeric| / largest derivative")


def folded(array):
    """As a matrix: a vector is one row, and of more axes all but the last become rows."""
    return array.reshape(-1, array.shape[-1]) if array.ndim > 1 else array.reshape(1, -1)
