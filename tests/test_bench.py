"""`python -m minigrad.bench`: what it offers, what it refuses, what it says of what it measured."""

import csv
import importlib
import inspect
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import minigrad
from minigrad.bench import calls, compare, machine, plot, report, rows, workers
from minigrad.kernels import reference

bench = importlib.import_module("minigrad.bench.__main__")

ROOT = Path(minigrad.__file__).parent.parent
COMMAND = [sys.executable, "-m", "minigrad.bench"]
QUICK = ["--turns", "5", "--seconds", "0.002", "--baselines", "reference"]
CACHES = {"L1": 32 << 10, "L2": 1 << 20, "L3": 16 << 20}

needs_scipy = pytest.mark.skipif(find_spec("scipy") is None, reason="SciPy is not installed (pip install scipy)")
needs_matplotlib = pytest.mark.skipif(
    find_spec("matplotlib") is None, reason="matplotlib is not installed (pip install matplotlib)"
)


def run(*arguments, **variables):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run([*COMMAND, *arguments], env=environment, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A run of one kernel of each family: what it printed, and the files it wrote."""
    folder = tmp_path_factory.mktemp("bench")
    found = run(
        "mse_loss", "cross_entropy", "adam", "relu", "linear", "chain", "training_step",
        "--sizes", "640,64x10,32x64x48,4x4,2-16-16-2@32",
        *QUICK, "--json", str(folder / "new.json"), "--csv", str(folder / "new.csv"),
    )  # fmt: skip
    assert (found.returncode, found.stderr) == (0, "")  # no word on standard error, as it is no terminal
    return found.stdout, folder


# What can be measured


def test_every_kernel_has_a_row():
    """A new kernel without a row fails here."""
    kernels = {name for name, _ in inspect.getmembers(reference, inspect.isfunction) if not name.startswith("_")}
    assert len(kernels) >= 20
    of_no_call = {"exp", "log", "log1p", "log1p_near_0", "make_stream", "instruction_set", "recording"}
    assert kernels - of_no_call == {name for kernel in rows.KERNELS.values() for name in kernel.runs}


@pytest.mark.parametrize("name", [name for name, kernel in rows.KERNELS.items() if kernel.runs])
def test_a_row_runs_the_kernels_that_it_names(name, monkeypatch):
    """At sizes beyond those that NumPy does sooner."""

    class Spy:
        """The kernels in use, and which of them were asked for."""

        def __init__(self, kernels):
            self.kernels, self.asked = kernels, set()

        def __getattr__(self, name):
            self.asked.add(name)
            return getattr(self.kernels, name)

    spy = Spy(minigrad.kernels.active)
    monkeypatch.setattr(minigrad.kernels, "active", spy)
    for row in rows.make_rows([rows.KERNELS[name]], ["20000", "64x128x128"], ["float32"], CACHES):
        calls.build("minigrad", row, 0).run()
    assert spy.asked == set(rows.KERNELS[name].runs)


def test_list_explains_each_kernel(capsys):
    """Its formula, and what must move per element where that is what limits it."""
    assert bench.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = {line.split()[0]: (line, after) for line, after in zip(lines, lines[1:]) if line.startswith("  ")}
    for name, kernel in rows.KERNELS.items():
        assert kernel.formula in listed[name][0]
        assert ("bytes per element" in listed[name][1]) == bool(kernel.read)


@pytest.mark.parametrize("name", [name for name, kernel in rows.KERNELS.items() if kernel.family != "step"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_row_builds_and_agrees_with_the_reference(name, dtype):
    """What is timed computes what the reference computes, and works on as many elements as the row says."""
    sizes = ["40", "4x4", "3x4x4", "5-4-3"]
    for row in rows.make_rows([rows.KERNELS[name]], sizes, [dtype], CACHES):
        ours = calls.build("minigrad", row, 0).results()
        with minigrad.kernels.use("numpy"):
            theirs = calls.build("minigrad", row, 0).results()
        assert workers.disagreement({"minigrad": ours, "reference": theirs}, dtype) is None
        assert all(array.dtype == dtype for array in ours.values())
        changed = [array.size for what, array in ours.items() if what != "value"]
        assert sum(changed) == row.elements if rows.KERNELS[name].family != "engine" else len(changed) == 21


def test_sizes_by_where_they_live():
    """Half of a cache, or far beyond the last one, and never more than 16 million elements."""
    adam = rows.KERNELS["adam"]
    found = rows.make_rows([adam], ["L1", "L2", "L3", "memory"], ["float32"], CACHES)
    assert [CACHES[level] / 2 - row.bytes < 28 for level, row in zip(CACHES, found)] == [True] * 3
    assert 8 * CACHES["L3"] - found[3].bytes < 28
    (largest,) = rows.make_rows([adam], ["memory"], ["float32"], {"L3": 480 << 20})
    assert largest.elements == 1 << 24
    assert machine.levels()["L3"] <= 32 << 20


def test_bytes_that_must_move():
    """Cross-entropy reads the logits and one index per row, and writes the gradient; Adam updates three arrays.

    A linear layer has three products, of as many multiplications and additions each.
    """
    (entropy,) = rows.make_rows([rows.KERNELS["cross_entropy"]], ["64x10"], ["float64"], CACHES)
    (adam,) = rows.make_rows([rows.KERNELS["adam"]], ["784-128-10"], ["float32"], CACHES)
    assert entropy.bytes == 2 * 640 * 8 + 64 * 8
    assert adam.bytes == 7 * 4 * (784 * 128 + 128 + 128 * 10 + 10)
    (linear,) = rows.make_rows([rows.KERNELS["linear"]], ["64x784x128"], ["float32"], CACHES)
    assert (linear.bytes, linear.operations) == (0, 3 * 2 * 64 * 784 * 128)
    assert entropy.operations == adam.operations == 0


def test_the_streaming_loop_moves_what_the_kernel_moves(monkeypatch):
    """Every array is touched once per call, as the table says."""
    kernels, passed = minigrad.kernels.active, []

    def make_stream(*arrays, past_caches):
        stream = kernels.make_stream(*arrays, past_caches=past_caches)
        return lambda: (passed.append(arrays), stream())

    monkeypatch.setattr(minigrad.kernels, "active", SimpleNamespace(make_stream=make_stream))
    for kernel in rows.KERNELS.values():
        if kernel.read:
            (row,) = rows.make_rows([kernel], ["64x10"], ["float32"], CACHES)
            call = calls.build("stream", row, 0)
            share = row.bytes / (kernel.bytes_per_element("float32") * 640)
            assert call.seconds(1.0) == pytest.approx(share, rel=0.01)
            passed.clear()
            call.run()
            touched = [
                (sum(each is not None for each, *_ in passed), "written"),
                (sum(len(each) for _, each, *_ in passed), "updated"),
                (sum(len(each) for _, _, *each in passed), "read"),
            ]
            assert touched == [(getattr(kernel, how), how) for _, how in touched]
            found = [each for array, more, *others in passed for each in (array, *more, *others) if each is not None]
            assert {each.size for each in found} == {640}
            assert len({each.ctypes.data for each in found}) == len(found)


# What it says


def test_a_run_prints_what_it_measured_and_where(tiny):
    """Context, a row per kernel, and a summary per family."""
    text, folder = tiny
    for word in ("CPU", "caches", "instruction set", "compiler", "threads", "NumPy", "load", "GB/s", "reference /"):
        assert word in text
    printed = {tuple(line.split()[:2]) for line in text.splitlines()}
    for size in ("640", "64x10"):
        assert {("mse_loss", size), ("adam", size)} <= printed
    assert {("cross_entropy", "64x10"), ("chain", "4x4"), ("training_step", "2-16-16-2@32")} <= printed
    (linear,) = [line for line in text.splitlines() if line.split()[:2] == ["linear", "32x64x48"]]
    assert "GFLOP/s" in linear and "GB/s" not in linear
    assert text.count("geometric mean") == len(rows.FAMILIES)


def test_the_files_hold_what_was_measured(tiny):
    """JSON has the times of every turn, and what follows from them; CSV the same rows."""
    _, folder = tiny
    found = json.loads((folder / "new.json").read_text())["rows"]
    with open(folder / "new.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [facts["kernel"] for facts in found] == [line["kernel"] for line in table]
    for facts, line in zip(found, table):
        medians = {name: np.median(times) for name, times in facts["seconds"].items()}
        assert {len(times) for times in facts["seconds"].values()} == {5}
        assert facts["median"] == medians["minigrad"] == float(line["median"])
        assert facts["ratios"]["reference"]["ratio"] == pytest.approx(medians["reference"] / medians["minigrad"])
        if facts["bytes"]:
            assert facts["GB/s"] == pytest.approx(facts["bytes"] / facts["median"] / 1e9)
            assert facts["of limit"] == pytest.approx(medians["limit"] / medians["minigrad"])
        if facts["operations"]:
            assert facts["GFLOP/s"] == pytest.approx(facts["operations"] / facts["median"] / 1e9)
        assert (facts["failures"], line["failures"]) == ([], "")


def test_unstable_times_are_marked():
    """By the share of the median over which the middle half spreads."""
    assert not report.is_unstable([1.0, 1.01, 1.02, 1.03, 9.0])
    assert report.is_unstable([1.0, 1.0, 1.1, 1.2, 1.2])


@needs_scipy
def test_the_interval_of_a_ratio_holds_it():
    """95 of 100 intervals hold the true ratio, give or take; pairs that vary together give a narrow one."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(100):
        theirs, ours = np.exp(0.1 * rng.standard_normal((2, 15)))
        found = report.ratio(list(2 * theirs), list(ours))
        hits += found["low"] <= 2 <= found["high"]
    assert 88 <= hits <= 100
    weather = np.exp(rng.standard_normal(15))
    found = report.ratio(list(2 * weather), list(weather))
    assert found == pytest.approx({"ratio": 2, "low": 2, "high": 2})

# Failures


def test_a_wrong_kernel_is_never_timed(tmp_path):
    """A gradient twice too large is found in the process that would be timed; the row and the exit code say so."""
    (tmp_path / "sitecustomize.py").write_text(
        "import minigrad.kernels.native as native\n"
        "right = native.mse_loss\n"
        "def wrong(*arrays, **options):\n"
        "    value, gradient = right(*arrays, **options)\n"
        "    return value, gradient * 2\n"
        "native.mse_loss = wrong\n"
    )
    if "native" not in minigrad.kernels.available():
        pytest.skip("the C kernels are not built")
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    found = run("mse_loss", "l1_loss", "--sizes", "64", *QUICK, "--json", str(tmp_path / "new.json"), PYTHONPATH=path)
    assert found.returncode == 1
    assert "not timed. minigrad: gradient differs by" in found.stdout
    wrong, right = json.loads((tmp_path / "new.json").read_text())["rows"]
    assert ("seconds" in wrong, "median" in wrong) == (False, False)
    assert right["median"] > 0


def test_a_failure_shows_in_the_exit_code_and_ctrl_c_keeps_what_was_measured(tiny, monkeypatch, tmp_path, capsys):
    """1 where somebody failed; 130 after Ctrl-C, with the files of the rows so far."""
    _, folder = tiny
    row = json.loads((folder / "new.json").read_text())["rows"][0]

    def interrupted(options, records):
        records.append(row)
        raise KeyboardInterrupt

    failed = {**row, "failures": ["torch: RuntimeError"]}
    monkeypatch.setattr(bench, "run", lambda options, records: records.append(failed))
    assert bench.main(["mse_loss", "--sizes", "640"]) == 1
    monkeypatch.setattr(bench, "run", interrupted)
    assert bench.main(["mse_loss", "--sizes", "640", "--json", str(tmp_path / "part.json")]) == 130
    assert json.loads((tmp_path / "part.json").read_text())["rows"] == [row]
    capsys.readouterr()


# Old results


def records(speed, turns=9):
    rng = np.random.default_rng(int(10 * speed))
    times = list(speed * 1e-5 * (1 + 0.01 * rng.standard_normal(turns)))
    key = {"size": "640", "dtype": "float32", "threads": 2, "instruction set": "v4"}
    steady = {**key, "kernel": "l1_loss", "seconds": {"minigrad": [1e-5] * turns}}
    return [{**key, "kernel": "mse_loss", "seconds": {"minigrad": times}}, steady]


@needs_scipy
@pytest.mark.parametrize(
    ("speed", "verdict"), [(0.5, "faster"), (2.0, "slower"), (1.0, "not significant"), (1.03, "not significant")]
)
def test_compare(speed, verdict):
    """Twice the time is slower, half of it faster; what is sure but small does not count."""
    old = {tuple(facts[name] for name in compare.KEY): facts for facts in records(0.999)}
    (changed, steady) = compare.compare(old, records(speed))
    assert changed[1:] == (pytest.approx(1 / speed, rel=0.02), verdict)
    assert steady[2] == "not significant"


@needs_scipy
@pytest.mark.parametrize(("factor", "code"), [(0.001, 1), (1000, 0)])
def test_fail_on_regression(tiny, tmp_path, monkeypatch, capsys, factor, code):
    """The exit code is 1 only if a row became slower."""
    _, folder = tiny
    found = json.loads((folder / "new.json").read_text())
    now = found["rows"][0]
    monkeypatch.setattr(bench, "run", lambda options, records: records.append(now))
    before = {**now, "seconds": {"minigrad": [factor * t for t in now["seconds"]["minigrad"]]}}
    (tmp_path / "old.json").write_text(json.dumps({**found, "rows": [before]}))
    assert bench.main(["--compare", str(tmp_path / "old.json"), "--fail-on-regression"]) == code
    text = capsys.readouterr().out
    assert f"1000 times {'slower' if code else 'faster'}" in text
    assert "0 not significant; 0 not in both" in text


@needs_matplotlib
def test_the_pictures_are_drawn(tiny, tmp_path):
    """From any records, also where only a step or nothing was timed."""
    _, folder = tiny
    found = json.loads((folder / "new.json").read_text())
    for name, chosen in (("all", found["rows"]), ("step", found["rows"][-1:])):
        plot.draw(tmp_path / f"{name}.png", found["context"], chosen)
        for picture in (f"{name}.png", f"{name}-times.png"):
            assert (tmp_path / picture).read_bytes()[:4] == b"\x89PNG"
    plot.draw(tmp_path / "none.png", found["context"], [{"kernel": "adam", "failures": ["torch: value is missing"]}])
    assert not (tmp_path / "none.png").exists()


# Bad usage


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["adma"], "no kernel is called 'adma'; there are mse_loss, "),
        (["--sizes", "L5"], "'L5' is no size; write L1, "),
        (["--sizes", "64x0"], "'64x0' is no size: every number must be at least 1"),
        (["adam", "--sizes", "2-16-16-2@32"], "none of adam can have the size 2-16-16-2@32"),
        (["--dtypes", "float16"], "'float16' is not one of float32, float64"),
        (["--threads", "0"], "'0' is not a positive int"),
        (["--turns", "many"], "'many' is not a positive int"),
        (["--seconds", "nan"], "'nan' is not a positive float"),
        (["--instruction-set", "v9"], "'v9' is not one of"),
        (["--baselines", "tensorflow"], "'tensorflow' is not one of reference, torch, jax"),
        (["--fail-on-regression"], "--fail-on-regression needs --compare OLD.json"),
        (["--json", "/no/such/folder/file.json"], "No such file or directory"),
        (["--frobnicate"], "unrecognized arguments: --frobnicate"),
    ],
)
def test_bad_usage_is_one_line(arguments, message, capsys):
    """Refused at once, with exit code 2 and what would be right."""
    with pytest.raises(SystemExit) as stop:
        bench.main(arguments)
    text = capsys.readouterr()
    assert (stop.value.code, text.out) == (2, "")
    assert message in text.err.splitlines()[-1]
    assert len(text.err.splitlines()) == 2  # with the line of usage


def test_other_files_are_refused(tmp_path, capsys):
    """What --json did not write, and a picture of no known kind."""
    (tmp_path / "old.json").write_text("[]")
    cases = []
    if find_spec("scipy"):
        cases.append((["--compare", str(tmp_path / "old.json")], "old.json is no file that --json wrote"))
    if find_spec("matplotlib"):
        cases.append((["--plot", "picture.doc"], "--plot picture.doc: the name must end in .png, .svg, .pdf"))
    else:
        cases.append((["--plot", "picture.png"], "--plot needs matplotlib: pip install"))
    for arguments, message in cases:
        with pytest.raises(SystemExit) as stop:
            bench.main(arguments)
        assert stop.value.code == 2
        assert message in capsys.readouterr().err


def test_the_others_agree_where_they_are_installed():
    """PyTorch and JAX compute the same losses from the same numbers, so the comparison is of equals."""
    others = [name for name in workers.NEEDS if workers.installed(name)]
    if not others:
        pytest.skip("neither PyTorch nor JAX is installed (pip install torch, or jax and optax)")
    chosen = [rows.KERNELS["training_step"]]
    (row,) = rows.make_rows(chosen, ["2-16-16-2@32"], ["float32"], CACHES)
    results = {name: calls.build(name, row, 0).results() for name in ["minigrad", *others]}
    results["reference"] = results.pop("minigrad")
    assert workers.disagreement(results, row.dtype) is None
