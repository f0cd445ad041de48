"""`--plot`: two pictures. How much faster than a baseline each kernel is, with how near it comes to the memory's limit;
and time against size beside the baselines, in a file of its own.
"""

import statistics
from pathlib import Path

from . import machine

ENDINGS = (".png", ".svg", ".pdf")
COLUMNS = 5  # panels in a row
NAMES = {
    "minigrad": "minigrad", "torch": "PyTorch", "jax": "JAX", "reference": "the NumPy reference",
    "busy": "minigrad, busy neighbour", "limit": "streaming loop",
}  # fmt: skip
COLOURS = dict(zip(NAMES, ("tab:blue", "tab:orange", "tab:green", "tab:gray", "tab:red", "black")))
FAMILY_COLOURS = {
    "loss": "tab:blue", "loss over rows": "tab:cyan", "activation": "tab:purple", "optimizer": "tab:orange",
}  # fmt: skip
NAMED = ("linear", "engine", "step")  # families whose sizes have no natural order: each is a line of its own


def check_ending(path):
    """Refuse a file name that says no kind of picture."""
    if Path(path).suffix not in ENDINGS:
        raise ValueError(f"--plot {path}: the name must end in {', '.join(ENDINGS)}")


def curves(records):
    """Lists of timed rows that differ in size alone, by a name that says in what else they differ."""
    timed = [facts for facts in records if "seconds" in facts]
    varied = [key for key in ("dtype", "threads", "instruction set") if len({facts[key] for facts in timed}) > 1]
    found = {}
    for facts in timed:
        more = (f"{facts[key]} threads" if key == "threads" else facts[key] for key in varied)
        found.setdefault(", ".join([facts["kernel"], *more]), []).append(facts)
    return {name: sorted(rows, key=lambda facts: facts["elements"]) for name, rows in found.items()}


def _log_scale(axis, labels, close=False):
    """Ticks at the powers of ten, where they may stand close also at 2 and 5 if the axis is short; none between."""
    from matplotlib.ticker import LogLocator, NullLocator

    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if close and high < 1000 * low else (1,), numticks=12))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(labels)


# ---- the first picture ----


def _lines(kernels, baseline):
    """(family, label, rows) for each line of dots."""
    for name, rows in kernels.items():
        family, rows = rows[0]["family"], [facts for facts in rows if baseline in facts["ratios"]]
        if family in NAMED:
            for facts in rows:
                yield family, f"{name} {facts['size']}", [facts]
        elif rows:
            yield family, name, rows


def draw_ratios(axes, kernels, baseline):
    """For each kernel and size a dot at the baseline's time / minigrad's, on its interval; each family's mean."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import EngFormatter

    families = {}
    for family, label, rows in _lines(kernels, baseline):
        families.setdefault(family, []).append((label, rows))
    elements = [facts["elements"] for lines in families.values() for _, rows in lines for facts in rows]
    shade = ScalarMappable(LogNorm(min(elements), 1 + max(elements)), "viridis_r")
    style = {"edgecolors": "0.3", "linewidths": 0.4, "zorder": 2}
    beside = {"color": "tab:red", "transform": axes.get_yaxis_transform(), "va": "center"}
    ticks, place, everything = {}, 0, []
    for lines in families.values():
        first, ratios = place, []
        for label, rows in lines:
            for facts in rows:
                found = facts["ratios"][baseline]
                if found["low"] is not None:
                    axes.plot([found["low"], found["high"]], [place, place], color="0.7", linewidth=1.5, zorder=1)
                axes.scatter(found["ratio"], place, s=24, color=shade.to_rgba(facts["elements"]), **style)
                ratios.append(found["ratio"])
            ticks[place] = label
            place += 1
        mean = statistics.geometric_mean(ratios)
        axes.plot([mean, mean], [first - 0.5, place - 0.5], color="tab:red", linewidth=1, zorder=0)
        axes.text(1.01, (first + place - 1) / 2, f"{mean:.1f}", **beside)
        place += 0.6
        everything += ratios
    axes.text(1.01, -0.8, "mean", **beside)
    low, high = min(everything) / 1.3, max(everything) * 1.3  # intervals may reach further
    axes.set(xscale="log", xlim=(min(low, 0.8), high), ylim=(place - 0.6, -1))
    axes.set_xlabel(f"{NAMES[baseline]}'s time / minigrad's")
    axes.set_title(f"Times faster than {NAMES[baseline]}", loc="left", fontweight="bold")
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.axvline(1, color="black", linewidth=1)
    axes.axvspan(axes.get_xlim()[0], 1, color="0.93", zorder=-1)
    _log_scale(axes.xaxis, "{x:g}", close=True)
    axes.grid(axis="x", alpha=0.3)
    axes.figure.colorbar(
        shade, ax=axes, label="elements", format=EngFormatter(sep=""),
        location="bottom", shrink=0.8, aspect=40, pad=0.02,
    )  # fmt: skip


def draw_roofline(axes, kernels):
    """Bandwidth against the bytes of a call; in grey what the streaming loops of the same shapes reach."""
    from matplotlib.ticker import EngFormatter

    limits, seen = {}, set()
    for rows in kernels.values():
        family = rows[0]["family"]
        label = None if family in seen else family
        seen.add(family)
        style = {"color": FAMILY_COLOURS[family], "label": label}
        axes.plot([f["bytes"] for f in rows], [f["GB/s"] for f in rows], "o-", markersize=3.5, linewidth=0.8, **style)
        for facts in rows:
            if "limit GB/s" in facts:
                limits.setdefault(facts["arrays"], []).append((facts["bytes"], facts["limit GB/s"]))
    for i, points in enumerate(limits.values()):
        label = None if i else NAMES["limit"]
        axes.plot(*zip(*sorted(points)), color="0.6", linewidth=4, alpha=0.4, zorder=0, label=label)
    axes.set(xscale="log", yscale="log", xlabel="bytes that one call must move", ylabel="GB/s")
    axes.set_title("Under the memory's roof", loc="left", fontweight="bold")
    low, high = axes.get_xlim()
    for level, size in machine.levels().items():
        if low < size < high:
            axes.axvline(size, color="black", alpha=0.25, linewidth=1)
            axes.text(size, 0.99, f"{level} ", transform=axes.get_xaxis_transform(), ha="right", va="top", alpha=0.6)
    _log_scale(axes.xaxis, EngFormatter(unit="B", sep=" "))
    _log_scale(axes.yaxis, "{x:g}", close=True)
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", frameon=False)


def draw_overview(path, context, kernels):
    """How much faster than PyTorch, or without it than the reference; and the roofline."""
    from matplotlib.figure import Figure

    baseline = next(name for name in ("torch", "reference", "jax", "busy") if any(
        name in facts["ratios"] for rows in kernels.values() for facts in rows
    ))  # fmt: skip
    roof = {name: rows for name, rows in kernels.items() if rows[0]["bytes"]}
    lines = sum(1 for _ in _lines(kernels, baseline))
    figure = Figure(figsize=(10, max(4, 2 + 0.2 * lines)), layout="constrained")
    axes = figure.subplots(1, 1 + bool(roof), squeeze=False)[0]
    draw_ratios(axes[0], kernels, baseline)
    if roof:
        draw_roofline(axes[1], roof)
    threads = " or ".join(sorted({str(facts["threads"]) for rows in kernels.values() for facts in rows}))
    figure.supxlabel(f"{context['CPU']}, {threads} threads; {context['versions']}", fontsize=7, color="0.4")
    figure.savefig(path, dpi=180)


# ---- the second picture ----


def draw_times(axes, title, rows):
    """Time against size for all that took part; sizes without a natural order of magnitude stand side by side."""
    from matplotlib.ticker import EngFormatter

    named = rows[0]["family"] in NAMED
    where = range(len(rows)) if named else [facts["elements"] for facts in rows]
    for participant in COLOURS:
        if all(participant in facts["seconds"] for facts in rows):
            times = [statistics.median(facts["seconds"][participant]) for facts in rows]
            style = {"color": COLOURS[participant], "label": NAMES[participant]}
            shape = "--" if participant == "limit" else "o-"
            axes.plot(where, times, shape, markersize=3, linewidth=1.2, **style)
    axes.set(xscale="linear" if named else "log", yscale="log")
    axes.set_title(title, fontsize=8)
    axes.tick_params(labelsize=7)
    if named:
        axes.set_xticks(where, [facts["size"] for facts in rows], rotation=20, ha="right")
        axes.margins(x=0.2)
    else:
        _log_scale(axes.xaxis, EngFormatter(sep=""))
    _log_scale(axes.yaxis, EngFormatter(unit="s", sep=" "), close=True)
    axes.grid(alpha=0.3)


def draw_all_times(path, kernels):
    """A panel of time against size per kernel."""
    from matplotlib.figure import Figure

    columns, lines = min(COLUMNS, len(kernels)), -(-len(kernels) // COLUMNS)
    figure = Figure(figsize=(max(8, 2.8 * columns), 1.5 + 2.3 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).flat
    for (name, rows), axes in zip(kernels.items(), panels):
        draw_times(axes, name, rows)
    for axes in panels:  # those left over
        axes.set_axis_off()
    handles = {label: line for axes in figure.axes for line, label in zip(*axes.get_legend_handles_labels())}
    figure.suptitle("Time of a call against its size")
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles), frameon=False)
    figure.savefig(path, dpi=120)


def draw(path, context, records):
    """Both pictures, the second as NAME-times beside the first; nothing where nothing was timed."""
    kernels = curves(records)
    if kernels:
        draw_overview(path, context, kernels)
        draw_all_times(Path(path).with_stem(f"{Path(path).stem}-times"), kernels)
