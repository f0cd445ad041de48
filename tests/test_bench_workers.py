"""The bench's processes: who is timed, what happens when one is wrong or lost, and that none is left."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import minigrad
from minigrad.bench import calls, report, rows, workers

ROOT = Path(minigrad.__file__).parent.parent
COMMAND = [sys.executable, "-m", "minigrad.bench"]
CACHES = {"L1": 32 << 10, "L2": 1 << 20, "L3": 16 << 20}


class Scripted:
    """A worker that has computed `results` and writes down what it is asked for."""

    def __init__(self, **results):
        self.results, self.asked = results, []

    def ask(self, request, *arguments):
        self.asked.append(request)
        return {"config": {"threads": 1}, "build": self.results, "turn": 1e-3}[request]


@pytest.mark.parametrize(("value", "turns"), [(1.0, 3), (2.0, 0)])
def test_turns_are_taken_only_after_agreement(value, turns):
    """One wrong participant, and nobody is timed."""
    chosen = rows.make_rows([rows.KERNELS["mse_loss"]], ["64"], ["float32"], CACHES)
    crew = {name: Scripted(value=np.array(1.0)) for name in ("minigrad", "limit", "reference")}
    crew["minigrad"].results["value"] *= value
    counted = []
    (measured,) = workers.measure(chosen, list(crew), crew, 3, 0.01, 0, counted.append)
    assert [worker.asked.count("turn") for worker in crew.values()] == [turns] * 3
    assert (measured.failures == [], sum(counted)) == (turns > 0, 3)


def test_disagreement():
    """Beyond the dtype's rounding, NaN, a missing result and another shape are all found."""
    right = {"value": np.array(2.0), "gradient": np.array([1.0, -3.0])}
    assert workers.disagreement({"reference": right, "limit": {}, "torch": right}, "float64") is None
    for change in ({"gradient": np.array([1.0, -3.1])}, {"value": np.array(np.nan)}, {"gradient": np.ones(3)}):
        found = workers.disagreement({"reference": right, "torch": {**right, **change}}, "float64")
        assert found.startswith(f"torch: {next(iter(change))} ")
    assert "missing" in workers.disagreement({"reference": right, "torch": {"value": right["value"]}}, "float64")
    near = {**right, "gradient": np.array([1.0, -3.0001])}
    assert workers.disagreement({"reference": right, "torch": near}, "float32") is None
    assert workers.disagreement({"reference": right, "torch": near}, "float64") is not None


def test_what_is_compared_is_what_was_computed():
    """Not what the timed calls made of it: an optimizer's go on with the same parameters."""
    (row,) = rows.make_rows([rows.KERNELS["sgd"]], ["40"], ["float32"], CACHES)
    found, expected = workers.Bench("minigrad").build(row, 0), calls.build("minigrad", row, 0).results()
    assert found.keys() == expected.keys()
    assert all((found[name] == expected[name]).all() for name in expected)


def test_the_next_in_turn_waits_until_threads_sleep():
    """NumPy's BLAS keeps a core busy for a while after its last product."""
    end = time.monotonic() + 0.1

    def spin():
        while time.monotonic() < end:
            pass

    thread = threading.Thread(target=spin)
    thread.start()
    workers.rest()
    assert not thread.is_alive()
    start = time.monotonic()
    workers.rest()
    assert time.monotonic() - start < workers.LONGEST_REST / 2
    thread.join()


def test_a_lost_worker_is_named():
    """One that was killed does not leave the parent waiting."""
    with workers.Workers({}) as processes:
        assert processes["minigrad"].ask("config")["threads"] >= 1
        processes["minigrad"].process.kill()
        with pytest.raises(workers.WorkerError, match="minigrad: its process ended with code -9 during config"):
            processes["minigrad"].ask("config")


@pytest.mark.parametrize("request_that_fails", ["build", "turn"])
@pytest.mark.parametrize(("who", "goes_on"), [("torch", True), ("limit", True), ("minigrad", False)])
def test_a_participant_that_fails_is_left_out(request_that_fails, who, goes_on):
    """The row says so and has the others' times; without minigrad it has none. The next row is whole again."""

    class Crew(dict):
        dropped = []

        def drop(self, name):
            self.dropped.append(name)

    class Failing(Scripted):
        def ask(self, request, *arguments):
            if request == request_that_fails and request not in self.asked:
                self.asked.append(request)
                raise workers.WorkerError(f"{who}: MemoryError: no room")
            return super().ask(request, *arguments)

    chosen = rows.make_rows([rows.KERNELS["mse_loss"]], ["64", "640"], ["float32"], CACHES)
    names = ["minigrad", "limit", "reference", "torch"]
    crew = Crew({name: (Failing if name == who else Scripted)(value=np.array(1.0)) for name in names})
    first, second = workers.measure(chosen, names, crew, 4, 0.01, 0, lambda turns: None)
    assert (crew.dropped, first.failures, second.failures) == ([who], [f"{who}: MemoryError: no room"], [])
    assert first.seconds == ({name: [1e-3] * 4 for name in names if name != who} if goes_on else {})
    assert second.seconds == {name: [1e-3] * 4 for name in names}
    facts = report.record(first)
    assert "MemoryError: no room" in report.line(facts, ["reference", "torch"])
    assert ("of limit" in facts) == (goes_on and who != "limit")


def test_a_dropped_worker_comes_back():
    """In a new process."""
    with workers.Workers({}) as processes:
        first = processes["minigrad"].process
        processes["minigrad"].process.kill()
        processes.drop("minigrad")
        assert processes["minigrad"].process.pid != first.pid
        assert processes["minigrad"].ask("config")["threads"] >= 1


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to see other processes")
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left(end):
    """Neither Ctrl-C nor a kill of the parent leaves a worker, or the neighbour that keeps a core busy."""
    command = [*COMMAND, "mse_loss", "--sizes", "640", "--busy", "--baselines", "reference", "--turns", "9999"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "BENCH_TEST": f"{os.getpid()} {end}"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # A shell that starts the tests in the background has SIGINT ignored, and children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    parent = subprocess.Popen(command, env=environment, **pipes, start_new_session=True)
    signal.signal(signal.SIGINT, before)

    def alive():
        """The processes that inherited the mark."""
        found = set()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if f"BENCH_TEST={os.getpid()} {end}".encode() in (folder / "environ").read_bytes():
                    found.add(int(folder.name))
            except OSError:
                pass
        return found

    def wait_until(condition):
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, alive()
            time.sleep(0.02)

    try:
        wait_until(lambda: len(alive()) == 6)  # the parent, four workers and the neighbour
        if end == signal.SIGINT:
            os.killpg(parent.pid, end)  # a terminal sends it to all
        else:
            parent.send_signal(end)
        assert parent.communicate(timeout=20)[1] == b""
        assert parent.returncode == (130 if end == signal.SIGINT else -9)
        wait_until(lambda: not alive())
    finally:
        parent.kill()  # should the test have failed
