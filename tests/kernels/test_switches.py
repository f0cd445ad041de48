"""Which kernels run, on how many threads, and what is said when there are none."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from minigrad import kernels
from minigrad.kernels import parallel, reference

ROOT = Path(__file__).parents[2]


def python(code, **environment):
    """Run code in a fresh interpreter: (exit code, output, errors)."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MINIGRAD_")}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**clean, **environment}, cwd=ROOT, capture_output=True, text=True
    )
    return done.returncode, done.stdout.strip(), done.stderr


def test_use_as_context_and_as_call(native):
    before = kernels.active
    try:
        kernels.use("native")
        with kernels.use("numpy") as active:
            assert active is kernels.active is reference
        assert kernels.active is native
        kernels.use("numpy")
        assert kernels.active is reference
    finally:
        kernels.active = before


def test_use_refuses_other_names():
    with pytest.raises(ValueError, match="'numpy' or 'native', not 'cuda'"):
        kernels.use("cuda")


def test_modules_have_the_same_kernels(native):
    def signatures(module):
        import inspect

        return {
            name: str(inspect.signature(function))
            for name, function in vars(module).items()
            if inspect.isfunction(function) and name[0] != "_" and "reduction" in inspect.signature(function).parameters
            or name in ("sgd", "adagrad", "rmsprop", "adam", "adamw")
        }

    assert signatures(native) == signatures(reference)
    assert len(signatures(native)) == 14


def test_instruction_set_can_be_forced(native):
    assert native.instruction_sets()[0] == "baseline"
    for name in kernels.instruction_sets():
        kernels.set_instruction_set(name)
        assert kernels.config()["instruction set"] == name
    with pytest.raises(ValueError, match="'v9' is not one of baseline"):
        kernels.set_instruction_set("v9")


SHOW = "import json, minigrad.kernels as k; print(json.dumps(k.config()))"


def test_environment_chooses(native):
    code, output, _ = python(SHOW, MINIGRAD_KERNELS="numpy", MINIGRAD_NUM_THREADS="3")
    assert code == 0 and json.loads(output)["kernels"] == "numpy" and json.loads(output)["threads"] == 3
    code, output, _ = python(SHOW, MINIGRAD_INSTRUCTION_SET="baseline")
    assert code == 0 and json.loads(output)["instruction set"] == "baseline"


@pytest.mark.parametrize("variable", ["MINIGRAD_KERNELS", "MINIGRAD_NUM_THREADS", "MINIGRAD_INSTRUCTION_SET"])
def test_environment_is_checked(native, variable):
    code, _, errors = python(SHOW, **{variable: "many"})
    assert code != 0 and "ValueError" in errors and "'many'" in errors


MISSING = "import sys; sys.modules['minigrad.kernels._native'] = None\n"


@pytest.mark.skipif("native" not in kernels.available(), reason="a build without kernels is silent about them")
def test_missing_extension_warns_once():
    code, output, errors = python(MISSING + SHOW)
    assert code == 0 and json.loads(output)["kernels"] == "numpy"
    assert errors.count("RuntimeWarning") == 1 and "pip install" in errors


def test_missing_extension_is_silent_when_numpy_was_asked_for():
    code, _, errors = python(MISSING + SHOW, MINIGRAD_KERNELS="numpy")
    assert code == 0 and errors == ""


def test_missing_extension_is_an_error_when_native_was_asked_for():
    code, _, errors = python(MISSING + SHOW, MINIGRAD_KERNELS="native")
    assert code != 0 and "ImportError" in errors and "pip install" in errors


@pytest.mark.parametrize("number", [0, -1, 1.5, True, "2"])
def test_number_of_threads_is_checked(number):
    with pytest.raises(ValueError, match="at least 1"):
        kernels.set_num_threads(number)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forked_child_has_threads_of_its_own(native):
    """The parent's pool does not exist in the child, which must neither hang nor compute otherwise."""
    code, output, errors = python(
        "import os, numpy as np\n"
        "from minigrad import kernels\n"
        "kernels.parallel.SMALLEST_SPLIT = kernels.parallel.LONG = 0; kernels.set_num_threads(2)\n"
        "x = np.linspace(0, 1, 100_003)\n"
        "loss = lambda: kernels.active.mse_loss(x, x * x, reduction='mean', need_gradient=True)[0].tobytes()\n"
        "expected = loss()\n"
        "child = os.fork()\n"
        "if child == 0: os._exit(0 if loss() == expected else 1)\n"
        "print(os.waitpid(child, 0)[1])\n"
    )
    assert (code, output) == (0, "0"), errors


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forked_child_does_not_wait_for_threads_it_lacks():
    """Another thread of the parent may hold a lock at the moment of the fork; in the child nobody would release it."""
    code, output, errors = python(
        "import os, signal, numpy as np\n"
        "from minigrad.kernels import buffers, parallel\n"
        "buffers._lock.acquire(); parallel._making.acquire()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    signal.alarm(20)\n"
        "    buffers.empty((1 << 20,), np.dtype(float)); parallel.set_num_threads(2)\n"
        "    os._exit(0)\n"
        "print(os.waitpid(child, 0)[1])\n"
        "parallel._making.release()\n"
    )
    assert (code, output) == (0, "0"), errors


def test_only_large_work_is_cut(monkeypatch):
    """Small work stays on the calling thread, large work is cut at multiples of the block."""
    monkeypatch.setattr(parallel, "_threads", 2)
    assert parallel.slice_length(10_000, 100, parallel.SMALLEST_SPLIT - 1) == 10_000
    assert parallel.slice_length(10_000, 100, parallel.SMALLEST_SPLIT) == 1200
    assert parallel.slice_length(500, 100, parallel.SMALLEST_SPLIT) == 100
    assert parallel.slice_length(100, 100, parallel.SMALLEST_SPLIT) == 100
    assert parallel.slice_length(0, 100, 0) == 1
    monkeypatch.setattr(parallel, "_threads", 1)
    assert parallel.slice_length(10_000, 100, parallel.SMALLEST_SPLIT) == 10_000


def test_where_calls_are_cut(native, threads, monkeypatch):
    """Losses where their sums of blocks begin, short rows where others are turned with them, updates at whole lines."""
    threads(2)
    seen, lines = [], native.extension.PIECE
    monkeypatch.setattr(native.losses, "share", lambda *given: seen.append(given) or (native.extension.NULL, given[0]))
    monkeypatch.setattr(native.optimizers, "share", native.losses.share)
    draw = np.random.default_rng(0)
    for shape in ((1000, 10), (1000, 65)):
        scores, classes = draw.normal(size=shape), np.zeros(shape[0], np.int64)
        native.multi_margin_loss(scores, classes, p=1, margin=1.0, need_gradient=True)
    native.mse_loss(scores, scores)
    options = dict(momentum=0, dampening=0, nesterov=False, weight_decay=0, maximize=False, first=True)
    native.sgd(kernels.Table([scores]), [scores.copy()], lr=0.1, **options)
    work = lambda size, rows: native.extension.MORE * size + native.extension.ROW * rows
    assert seen == [
        (1000, native.extension.TURNED, work(10_000, 1000)),
        (1000, native.extension.ROW_BLOCK, work(65_000, 1000)),
        (65_000, native.extension.BLOCK, 65_000),
        (65_000, lines, 65_000),
    ]
    assert lines * 4 % 64 == 0


def test_a_team_shares_the_work_and_goes_to_sleep(native, threads):
    """Every thread of the team takes slices while there are some, and leaves C when there are none for a while."""
    threads(3)
    x = np.ones(1_000_000, np.float32)
    deadline, seen = time.monotonic() + 30, 0
    while seen < 2 and time.monotonic() < deadline:
        native.mse_loss(x, x, reduction="sum", need_gradient=True)
        seen = max(seen, parallel._team.state.serving)
    assert seen == 2
    while parallel._team.state.serving and time.monotonic() < deadline:
        time.sleep(0.01)
    assert parallel._team.state.serving == 0


def test_one_call_wakes_the_whole_team():
    """Also those of its threads that have not begun to listen yet."""
    everybody = threading.Barrier(5)
    serve = lambda state, seat, patience: everybody.wait(20)
    team = parallel.Team(serve, lambda state, is_long: is_long, SimpleNamespace(serving=0), 4)
    try:
        team.gather(parallel.LONG)
        everybody.wait(20)  # raises if they do not come together
    finally:
        team.end()


@pytest.mark.parametrize("serving", [0, 1])
def test_threads_are_woken_if_some_sleep_and_they_are_wanted(serving):
    """As C says, which is told whether the call is long."""
    team = parallel.Team(lambda *_: None, lambda state, is_long: is_long, SimpleNamespace(serving=serving), 1)
    woken = []
    for work in (parallel.LONG - 1, parallel.LONG):
        before = team.calls
        assert team.gather(work) is team.state
        woken.append(team.calls > before)
    team.end()
    assert woken == [False, serving == 0]


def test_where_no_thread_can_be_started_the_caller_does_all(native, threads, monkeypatch):
    """As under a limit of the system, or, from Python 3.12 on, in a function registered with atexit."""

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    threads(3)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    x = np.arange(100_000.0)
    assert native.mse_loss(x, x + 1, reduction="mean", need_gradient=False)[0] == 1


def test_a_team_being_made_does_not_outlive_a_change_of_its_size(native, threads, monkeypatch):
    threads(2)
    make, making, changed = parallel.Team, threading.Event(), threading.Event()

    def make_slowly(*arguments):
        making.set()
        changed.wait(0.2)  # the change must not come to an end before the team is there
        return make(*arguments)

    monkeypatch.setattr(parallel, "Team", make_slowly)
    lib, new_team = native.extension.lib, native.extension.new_team
    get_team = lambda: parallel.get_team(lib.team_serve, lib.team_is_wanted, new_team)
    maker = threading.Thread(target=get_team)
    maker.start()
    making.wait()
    kernels.set_num_threads(4)
    changed.set()
    maker.join()
    assert len(get_team().threads) == 3


def test_calls_of_many_threads_at_once(native, threads):
    """The team serves one call at a time; the others do not wait for it, and all are right."""
    threads(2)
    x = np.random.default_rng(0).normal(size=300_000)
    expected, wrong = native.mse_loss(x, x * x, reduction="sum", need_gradient=True)[1].tobytes(), []

    def work():
        for _ in range(50):
            if native.mse_loss(x, x * x, reduction="sum", need_gradient=True)[1].tobytes() != expected:
                wrong.append(1)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


def test_config_says_what_runs(native):
    config = kernels.config()
    assert config["kernels"] in ("numpy", "native") and config["threads"] == kernels.get_num_threads()
    assert "-ffp-contract=off" in config["compiler flags"]
    assert np.isin("baseline", config["instruction sets available"])
