"""`--compare OLD.json`: which rows are faster or slower than they were, and which differ by chance or by too little.

The turns of both runs are compared by the Mann-Whitney U test, the p-values of all rows together adjusted for their
number (Benjamini and Hochberg 1995), and a difference counts where it is also larger than `EFFECT`. Below seven turns
or so chance can never be ruled out in a table of many rows.
"""

import json
import statistics

LEVEL = 0.01  # of the adjusted p-value
EFFECT = 0.05  # the smallest change of the median that counts
KEY = ("kernel", "size", "dtype", "threads", "instruction set")


def read(path):
    """The context and the rows by `KEY` of a file that --json wrote. Raises ValueError for another file."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        context = {name: found["context"][name] for name in ("CPU", "date")}
        return context, {tuple(facts[name] for name in KEY): facts for facts in found["rows"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no file that --json wrote ({type(error).__name__}: {error})") from None


def compare(old, new):
    """Yield (row, old median / new median, verdict) for each row that both have timed."""
    from scipy.stats import false_discovery_control, mannwhitneyu

    both = []
    for facts in new:
        before = old.get(tuple(facts[name] for name in KEY))
        if before and "seconds" in before and "seconds" in facts:
            both.append((facts, before["seconds"]["minigrad"], facts["seconds"]["minigrad"]))
    if not both:
        return
    chances = false_discovery_control([mannwhitneyu(before, now).pvalue for _, before, now in both])
    for (facts, before, now), chance in zip(both, chances):
        speedup = statistics.median(before) / statistics.median(now)
        counts = chance < LEVEL and max(speedup, 1 / speedup) > 1 + EFFECT
        yield facts, speedup, ("faster" if speedup > 1 else "slower") if counts else "not significant"
