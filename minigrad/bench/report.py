"""What the measured times say: medians, spread, bandwidth, ratios with their intervals; as a table, JSON and CSV.

The ratio to a baseline is its median time divided by minigrad's, so above 1 minigrad is faster. Its interval, 95 %, is
a bootstrap over the turns, each turn of the one taken together with the same turn of the other.
"""

import csv
import json
import statistics

import numpy as np

UNSTABLE = 0.1  # times are, if the middle half of the turns spreads over more than this share of the median
RESAMPLES = 2000


def _ratio_of_medians(theirs, ours, axis=-1):
    return np.median(theirs, axis=axis) / np.median(ours, axis=axis)


def ratio(theirs, ours):
    """{"ratio", "low", "high"} of two lists of times; without SciPy, or from one turn, no interval."""
    found = {"ratio": float(_ratio_of_medians(theirs, ours)), "low": None, "high": None}
    try:
        from scipy.stats import bootstrap
    except ImportError:
        return found
    if len(ours) > 1:
        interval = bootstrap(
            (theirs, ours), _ratio_of_medians, paired=True, vectorized=True, n_resamples=RESAMPLES,
            method="percentile", rng=0,
        ).confidence_interval  # fmt: skip
        found.update(low=float(interval.low), high=float(interval.high))
    return found


def quartiles(times):
    """The first, second and third; of one time, that."""
    return statistics.quantiles(times, method="inclusive") if len(times) > 1 else times * 3


def is_unstable(times):
    """Whether the turns differ more than a comparison should rest on."""
    low, median, high = quartiles(times)
    return (high - low) / median > UNSTABLE


def record(measured):
    """A measurement as a dictionary that JSON can hold: what was measured, what follows from it, and the raw times."""
    row, config = measured.row, measured.config
    facts = {
        "kernel": row.kernel.name, "family": row.kernel.family, "size": row.size, "dtype": row.dtype,
        "threads": config["threads"], "instruction set": config.get("instruction set"),
        "elements": row.elements, "arrays": row.kernel.arrays, "bytes": row.bytes, "operations": row.operations,
        "failures": measured.failures,
    }  # fmt: skip
    if not measured.seconds:
        return facts
    ours = measured.seconds["minigrad"]
    low, median, high = quartiles(ours)
    unstable = [name for name, times in measured.seconds.items() if is_unstable(times)]
    facts |= {"median": median, "quartiles": [low, high], "unstable": unstable}
    if row.bytes:
        facts["GB/s"] = row.bytes / median / 1e9
    if row.operations:
        facts["GFLOP/s"] = row.operations / median / 1e9
    if "limit" in measured.seconds:
        limit = statistics.median(measured.seconds["limit"])
        facts |= {"limit GB/s": row.bytes / limit / 1e9, "of limit": limit / median}
    others = [name for name in measured.seconds if name not in ("minigrad", "limit")]
    facts["ratios"] = {name: ratio(measured.seconds[name], ours) for name in others}
    if measured.phases:
        facts["phases"] = measured.phases
    return facts | {"seconds": measured.seconds}


# ---- the table ----


def digits(number):
    """Three digits, or all of those before the point.

    Example:
        >>> digits(1.234), digits(12.34), digits(1234.5)
        ('1.23', '12.3', '1234')
    """
    return f"{number:.{2 if number < 9.995 else 1 if number < 99.95 else 0}f}"


def duration(seconds):
    """A time with its unit.

    Example:
        >>> duration(1.234e-5), duration(0.25)
        ('12.3 us', '250 ms')
    """
    for unit, scale in (("s", 1), ("ms", 1e3), ("us", 1e6)):
        if seconds * scale >= 1:
            break
    return f"{digits(seconds * scale)} {unit}"


def _ratio_text(found):
    if found is None:
        return ""
    interval = "" if found["low"] is None else f" ({digits(found['low'])} to {digits(found['high'])})"
    return digits(found["ratio"]) + interval


def header(baselines):
    """The line above the rows."""
    columns = "".join(f"{name + ' / minigrad':>23}" for name in baselines)
    return f"{'kernel':33}{'size':>24}  {'dtype':8}{'median':>9}{'quartiles':>20}{'speed':>14}{'limit':>7}{columns}"


def line(facts, baselines):
    """A row of the table, and below it the phases of a step."""
    text = f"{facts['kernel']:33}{facts['size']:>24}  {facts['dtype']:8}"
    failures = "; ".join(facts["failures"])
    if "seconds" not in facts:
        return f"{text}  not timed. {failures}"
    quartiles = " to ".join(map(duration, facts["quartiles"]))
    speed = next((f"{digits(facts[unit])} {unit}" for unit in ("GB/s", "GFLOP/s") if unit in facts), "")
    limit = f"{facts['of limit']:.0%}" if "of limit" in facts else ""
    text += f"{duration(facts['median']):>9}{quartiles:>20}{speed:>14}{limit:>7}"
    text += "".join(f"{_ratio_text(facts['ratios'].get(name)):>23}" for name in baselines)
    text += f"  unstable: {', '.join(facts['unstable'])}" if facts["unstable"] else ""
    text += f"  failed: {failures}" if failures else ""
    for name, times in facts.get("phases", {}).items():
        text += f"\n    {name:10}" + ", ".join(f"{phase} {duration(seconds)}" for phase, seconds in times.items())
    return text


def summary(records, baselines):
    """For each family and baseline the geometric mean of the ratios, and the worst row."""
    lines = []
    for family in dict.fromkeys(facts["family"] for facts in records):
        for name in baselines:
            rows = [facts for facts in records if facts["family"] == family and name in facts.get("ratios", ())]
            if rows:
                ratios = [facts["ratios"][name]["ratio"] for facts in rows]
                mean, worst = statistics.geometric_mean(ratios), rows[ratios.index(min(ratios))]
                unstable = sum(bool({"minigrad", name} & set(facts["unstable"])) for facts in rows)
                lines.append(
                    f"{family:16}{name + ' / minigrad':>22}: geometric mean {digits(mean)} over {len(ratios)} rows, "
                    f"worst {digits(min(ratios))} ({worst['kernel']} at {worst['size']}, {worst['dtype']})"
                    + f"; {unstable} unstable" * (unstable > 0)
                )
    return lines


# ---- files ----


def write_json(path, context, records):
    """All facts and raw times."""
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"context": context, "rows": records}, file, indent=1)


def write_csv(path, records):
    """A line per row; lists and dictionaries become columns of their own."""
    flat = []
    for facts in records:
        plain = {name: value for name, value in facts.items() if not isinstance(value, (list, dict))}
        if "quartiles" in facts:
            plain["first quartile"], plain["third quartile"] = facts["quartiles"]
            plain["unstable"] = " ".join(facts["unstable"])
        plain["failures"] = "; ".join(facts["failures"])
        for name, found in facts.get("ratios", {}).items():
            plain |= {f"{name} {key}": value for key, value in found.items()}
        flat.append(plain)
    columns = dict.fromkeys(name for plain in flat for name in plain)
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(flat)
