"""`python -m minigrad.bench --steps`: how long a training step takes, beside PyTorch where it is installed."""

import argparse
import contextlib
import json
import os
import statistics
import sys

from .. import show_config
from . import steps


def progress_bar(total):
    """A tqdm bar on a terminal; silent elsewhere, or without tqdm."""
    if sys.stderr.isatty():
        with contextlib.suppress(ImportError):
            from tqdm import tqdm

            return tqdm(total=total, leave=False)
    return contextlib.nullcontext()


def main():
    parser = argparse.ArgumentParser(prog="python -m minigrad.bench", description=__doc__)
    parser.add_argument("--steps", action="store_true", required=True, help="time whole training steps")
    parser.add_argument("--rounds", type=int, default=15, help="how often the frameworks take turns (%(default)s)")
    parser.add_argument("--seconds", type=float, default=0.3, help="length of a turn (%(default)s s)")
    parser.add_argument("--json", metavar="FILE", help="also write all medians to FILE")
    options = parser.parse_args()
    if options.rounds < 1 or not options.seconds > 0:
        parser.error("--rounds must be at least 1 and --seconds more than 0")
    if options.json:
        open(options.json, "a").close()  # a bad path is to be known before the run, not after

    show_config()
    print(f"load average {os.getloadavg()[0]:.1f}; medians of {options.rounds} turns of {options.seconds} s each\n")
    print(f"{'step':30}{'minigrad':>12}{'PyTorch':>12}{'ratio':>8}   spread of the ratio")
    results = {}
    with progress_bar(options.rounds * len(steps.CASES)) as bar:
        for case, medians in steps.measure(options.rounds, options.seconds, bar.update if bar else lambda: None):
            results[case] = medians
            ours = statistics.median(medians["minigrad"])
            row = f"{case:30}{ours * 1e6:9.1f} us"
            if "torch" in medians:
                ratios = sorted(theirs / mine for theirs, mine in zip(medians["torch"], medians["minigrad"]))
                theirs = statistics.median(medians["torch"])
                row += f"{theirs * 1e6:9.1f} us{theirs / ours:7.2f}x   {ratios[0]:.2f} to {ratios[-1]:.2f}"
            print(row, flush=True)
    if "torch" not in medians:
        print("\nPyTorch is not installed here, so there is nothing to compare with.")
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)


if __name__ == "__main__":
    main()
