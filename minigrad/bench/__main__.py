"""Measure the kernels beside the NumPy reference, PyTorch and the machine's own streaming speed.

Each row is a call of the public API. Before it is timed, its results are compared with those of every baseline.
Without arguments: all kernels, at a few sizes, in a couple of minutes.
"""

import argparse
import contextlib
import importlib.util
import itertools
import os
import sys
from functools import partial

from .. import kernels
from . import compare, machine, plot, report, rows, workers

INSTALL = "pip install 'minigrad[bench]'"


# Types for argparse


def comma_separated(convert):
    """Values with commas between them."""

    def read(text):
        try:
            return [convert(part) for part in text.split(",")]
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def one_of(*names):
    def check(text):
        if text not in names:
            raise ValueError(f"{text!r} is not one of {', '.join(names)}")
        return text

    return check


def positive(kind):
    def check(text):
        with contextlib.suppress(ValueError):
            if 0 < (value := kind(text)) < 1e6:
                return value
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive {kind.__name__}")

    return check


def size(text):
    rows.parse_size(text)
    return text


def parse(arguments):
    """The options; bad ones end the program with a line and exit code 2, before anything runs."""
    sets = kernels.instruction_sets()
    parser = argparse.ArgumentParser(
        prog="python -m minigrad.bench", usage="%(prog)s [KERNEL ...] [options]", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = parser.add_argument
    add("kernels", nargs="*", metavar="KERNEL", help="names or patterns, such as adam or '*_loss'")
    add("--list", action="store_true", help="explain each kernel: its formula, and the bytes that must move")
    add("--sizes", type=comma_separated(size), metavar="SIZE,...",
        help="L1, L2, L3 (half of that cache), memory (far beyond), numbers (640,1e6), shapes (64x10), an MLP's "
        "layers for optimizers (784-128-10), with its batch for steps (784-128-10@64)")
    add("--dtypes", type=comma_separated(one_of("float32", "float64")), default=["float32"], metavar="DTYPE,...",
        help="float32, float64 (float32)")
    add("--threads", type=comma_separated(positive(int)), default=[None], metavar="N,...",
        help="for every framework; by default its own choice")
    add("--instruction-set", type=comma_separated(one_of(*sets)), default=[None], metavar="NAME,...",
        help=f"of minigrad's kernels: {', '.join(sets)} (the last)")
    add("--baselines", type=comma_separated(one_of("reference", "torch", "jax")), metavar="NAME,...",
        help="torch, jax (those installed); the reference always runs")
    add("--all", action="store_true", help="all kernels at all sizes, and the steps")
    add("--steps", action="store_true", help="whole training steps, recorded and as a program")
    add("--busy", action="store_true", help="also time minigrad while another process keeps a core busy")
    add("--turns", type=positive(int), default=9, help="how often all take turns (%(default)s)")
    add("--seconds", type=positive(float), default=0.03, help="length of a turn (%(default)s s)")
    add("--json", metavar="FILE", help="write all results and times to FILE")
    add("--csv", metavar="FILE", help="write the results to FILE as a table")
    add("--plot", metavar="FILE",
        help="draw the ratios and the roofline to FILE (png, svg or pdf), and time against size to NAME-times")
    add("--compare", metavar="OLD.json", help="say which rows became faster or slower")
    add("--fail-on-regression", action="store_true", help="with --compare: exit code 1 if a row became slower")
    options = parser.parse_args(arguments)
    try:
        check(options)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    return options


def check(options):
    """Fill in what follows from other options. Raises ValueError, or OSError for a file that cannot be written."""
    patterns = options.kernels + ["training_step*"] * options.steps
    options.kernels = rows.choose(patterns or ["*"])
    if options.list:
        return
    if not patterns and not options.all:
        options.kernels = [kernel for kernel in options.kernels if kernel.family != "step"]
    options.rows = rows.make_rows(options.kernels, options.sizes, options.dtypes, machine.levels(), options.all)
    wanted = options.baselines or [name for name in ("torch", "jax") if workers.installed(name)]
    if missing := [name for name in wanted if not workers.installed(name)]:
        raise ValueError(f"{missing[0]} is not installed: pip install {' '.join(workers.NEEDS[missing[0]])}")
    baselines = ["reference", *(name for name in wanted if name != "reference")] + ["busy"] * options.busy
    options.baselines = [name for name in baselines if any(workers.takes_part(name, row) for row in options.rows)]
    if options.fail_on_regression and not options.compare:
        raise ValueError("--fail-on-regression needs --compare OLD.json")
    for option, package in (("compare", "scipy"), ("plot", "matplotlib")):
        if getattr(options, option) and importlib.util.find_spec(package) is None:
            raise ValueError(f"--{option} needs {package}: {INSTALL}")
    if options.compare:
        options.old_context, options.old = compare.read(options.compare)
    if options.plot:
        plot.check_ending(options.plot)
    for path in filter(None, (options.json, options.csv, options.plot)):
        open(path, "a").close()  # a bad path is to be known before the run, not after


def print_list(chosen):
    """What can be measured."""
    for name, family in rows.FAMILIES.items():
        members = [kernel for kernel in chosen if kernel.family == name]
        if not members:
            continue
        print(f"{name}: {family.call}\n    sizes: {family.sizes}")
        if family.all_sizes:
            print(f"    with --all: {family.all_sizes}")
        for kernel in members:
            print(f"  {kernel.name:34}{kernel.formula}")
            if kernel.arrays:
                single, double = map(kernel.bytes_per_element, ("float32", "float64"))
                print(f"{'':36}{kernel.arrays}: {single} bytes per element in float32, {double} in float64")
        print()


def progress_bar(total):
    """A tqdm bar on a terminal; silent elsewhere, or without tqdm."""
    if sys.stderr.isatty():
        with contextlib.suppress(ImportError):
            from tqdm import tqdm

            return tqdm(total=total, unit="turn", leave=False)
    return contextlib.nullcontext()


def run(options, records):
    """Measure all rows, printing each and adding it to `records` as it is done."""
    settings = list(itertools.product(options.threads, options.instruction_set))
    participants = ["minigrad", "limit", *options.baselines]
    smallest = machine.levels()["L1"] // 2
    with progress_bar(len(settings) * len(options.rows) * options.turns) as bar:
        say, progress = (bar.write, bar.update) if bar else (partial(print, flush=True), lambda turns: None)
        for threads, instruction_set in settings:
            if (threads, instruction_set) != (None, None):
                say(f"\nthreads {threads or 'by default'}, instruction set {instruction_set or 'by default'}")
            say(report.header(options.baselines))
            how = options.turns, options.seconds, smallest
            with workers.Workers(workers.environment(threads, instruction_set)) as processes:
                for measured in workers.measure(options.rows, participants, processes, *how, progress):
                    records.append(report.record(measured))
                    say(report.line(records[-1], options.baselines))


def print_comparison(options, context, records):
    """Each row beside what it was; how many became slower."""
    print(f"\nagainst {options.compare}, {options.old_context['date']}")
    if options.old_context["CPU"] != context["CPU"]:
        print(f"which was measured on another machine: {options.old_context['CPU']}")
    found = list(compare.compare(options.old, records))
    for facts, speedup, verdict in found:
        how = f"{report.digits(max(speedup, 1 / speedup))} times " * (verdict != "not significant") + verdict
        print(f"{facts['kernel']:33}{facts['size']:>24}  {facts['dtype']:8}  {how}")
    verdicts = [verdict for _, _, verdict in found]
    counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in ("faster", "slower", "not significant"))
    print(f"{counts}; {len(records) - len(found)} not in both")
    return verdicts.count("slower")


def main(arguments=None):
    options = parse(arguments)
    if options.list:
        print_list(options.kernels)
        return 0
    context = machine.context([name for name in options.baselines if name in workers.NEEDS])
    print("\n".join(f"{name:10}{value}" for name, value in context.items()))
    print(f"medians of {options.turns} turns of {options.seconds} s each; a ratio above 1: minigrad is faster")
    if importlib.util.find_spec("scipy") is None:
        print(f"without SciPy the ratios have no confidence interval: {INSTALL}")
    print()

    records, interrupted = [], False
    try:
        run(options, records)
    except KeyboardInterrupt:  # what was measured is kept
        interrupted = True

    print("\n" + "\n".join(report.summary(records, options.baselines)))
    slower = print_comparison(options, context, records) if options.compare else 0
    if options.json:
        report.write_json(options.json, context, records)
    if options.csv:
        report.write_csv(options.csv, records)
    if options.plot:
        plot.draw(options.plot, context, records)
    if interrupted:
        return 130
    failed = any(facts["failures"] for facts in records)
    return 1 if failed or options.fail_on_regression and slower else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # nobody reads any longer, as after `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except workers.WorkerError as error:
        sys.exit(f"bench: {error}")
