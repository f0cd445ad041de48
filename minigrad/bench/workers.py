"""Who is measured: each framework in a process of its own, so that thread pools do not fight; they take turns."""

import importlib.util
import os
import pickle
import statistics
import subprocess
import sys
import time
import timeit
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field

import numpy as np

from .. import kernels
from . import calls
from .rows import Row

# Who can take part: the library that runs, and what its process finds in its environment.
PARTICIPANTS = {
    "minigrad": ("minigrad", {}),
    "limit": ("stream", {}),
    "reference": ("minigrad", {"MINIGRAD_KERNELS": "numpy"}),
    "torch": ("torch", {}),
    "jax": ("jax", {}),
    "busy": ("minigrad", {}),  # while another process spins
}
NEEDS = {"torch": ("torch",), "jax": ("jax", "optax")}
SAMPLE = 1e-3  # seconds that a sample takes at least: calls faster than that are timed by the dozen
WARM_UP = 0.2  # the share of a turn before it, in which caches fill
PAUSE, LONGEST_REST = 0.005, 0.5  # seconds
TOLERANCE = 1000  # roundings of the largest number, by which results may differ

THREADS = ("MINIGRAD_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "PJRT_NPROC")


def installed(participant):
    """Whether the packages are there that a participant needs."""
    return all(importlib.util.find_spec(name) for name in NEEDS.get(participant, ()))


def environment(threads=None, instruction_set=None):
    """The variables by which a number of threads and an instruction set are chosen, in every framework."""
    chosen = {} if threads is None else dict.fromkeys(THREADS, str(threads))
    return chosen if instruction_set is None else {**chosen, "MINIGRAD_INSTRUCTION_SET": instruction_set}


# ---- in the worker ----


def rest():
    """Wait until the threads of this process sleep: OpenBLAS's spin for 0.1 s on a core that the next in turn needs."""
    for _ in range(round(LONGEST_REST / PAUSE)):
        used = time.process_time()
        time.sleep(PAUSE)
        if time.process_time() - used < PAUSE / 10:
            return


@contextmanager
def spinning_neighbour():
    """Another process that keeps a core busy, for as long as it is wanted and this process lives."""
    spin = "import os, sys\nwhile os.getppid() == int(sys.argv[1]): pass"
    process = subprocess.Popen([sys.executable, "-c", spin, str(os.getpid())])
    try:
        time.sleep(0.05)  # it starts
        yield
    finally:
        process.kill()
        process.wait()


class Bench:
    """What a worker does when asked."""

    def __init__(self, participant):
        self.library = PARTICIPANTS[participant][0]
        self.neighbour = spinning_neighbour if participant == "busy" else nullcontext
        self.call = None

    def build(self, row, smallest):
        """Get ready to run a row; what it computes, as a dictionary of arrays."""
        self.call = None  # what the last row kept goes first
        self.call = calls.build(self.library, row, smallest)
        results = {name: array.copy() for name, array in self.call.results().items()}  # the timing goes on with them
        self.timer = timeit.Timer(self.call.run)
        fastest = self.timer.timeit(1)
        if fastest < SAMPLE:  # the first may have been slower than it will be
            fastest = min(self.timer.repeat(3, 1))
        self.number = max(1, round(SAMPLE / fastest))
        rest()
        return results

    def samples(self, sample, seconds):
        """What `sample()` gives, again and again for that long; not from the warm-up, unless one call fills it all."""
        found = []
        with self.neighbour():
            start = time.perf_counter()
            while (passed := time.perf_counter() - start) < (1 + WARM_UP) * seconds:
                one = sample()
                if passed >= WARM_UP * seconds or not found:
                    found.append(one)
        rest()
        return found[1:] or found

    def turn(self, seconds):
        """The median time of a call, in seconds, over a turn of that length."""
        times = self.samples(lambda: self.timer.timeit(self.number) / self.number, seconds)
        return self.call.seconds(statistics.median(times))

    def phases(self, seconds):
        """The same of each phase of the call, by name; nothing if it has none."""
        if self.call.phases is None:
            return {}
        found = self.samples(self.call.phases(), seconds)
        return {phase: statistics.median(times[phase] for times in found) for phase in found[0]}

    def config(self):
        """How minigrad's kernels run here."""
        return kernels.config()


def serve(participant):
    """Answer pickled requests from standard input until it ends."""
    answers, sys.stdout = sys.stdout.buffer, sys.stderr  # nobody else may write between the answers
    bench = Bench(participant)
    while True:
        try:
            request, *arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = getattr(bench, request)(*arguments)
        except Exception as error:
            answer = WorkerError(f"{participant}: {type(error).__name__}: {error}")
        try:
            pickle.dump(answer, answers)
            answers.flush()
        except BrokenPipeError:  # the parent is gone
            os._exit(1)


# ---- in the parent ----


class WorkerError(RuntimeError):
    """A participant failed, or its process is gone."""


# Ctrl-C is for the parent, who then ends the workers.
PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
from minigrad.bench.workers import serve
serve({!r})
"""


class Worker:
    """A participant's process."""

    def __init__(self, participant, variables):
        self.participant = participant
        command = [sys.executable, "-c", PROGRAM.format(participant)]
        variables = {**os.environ, **variables, **PARTICIPANTS[participant][1]}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=variables)

    def ask(self, *request):
        """Send a request, the name of a method of `Bench` and its arguments, and wait for the answer."""
        try:
            pickle.dump(request, self.process.stdin)
            self.process.stdin.flush()
            answer = pickle.load(self.process.stdout)
        except (BrokenPipeError, EOFError, pickle.UnpicklingError):
            code = self.process.wait()
            raise WorkerError(f"{self.participant}: its process ended with code {code} during {request[0]}") from None
        if isinstance(answer, WorkerError):
            raise answer
        return answer

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        with suppress(BrokenPipeError):  # a request may still wait in it
            self.process.stdin.close()


class Workers(dict):
    """The participants' processes, started when first asked for, and ended with the `with` block or by `drop`."""

    def __init__(self, variables):
        super().__init__()
        self.variables = variables

    def __missing__(self, participant):
        self[participant] = Worker(participant, self.variables)
        return self[participant]

    def drop(self, participant):
        """End a process; the next that is asked of this participant starts a new one."""
        self.pop(participant).close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for participant in list(self):
            self.drop(participant)


def disagreement(results, dtype):
    """Who computed something else than the reference, in a sentence; None if all agree."""
    wanted, bound = results["reference"], TOLERANCE * np.finfo(dtype).eps
    for participant, found in results.items():
        if participant == "limit":
            continue  # it computes nothing
        for name, expected in wanted.items():
            if name not in found or found[name].shape != expected.shape:
                return f"{participant}: {name} is missing or of another shape"
            error, largest = np.max(np.abs(found[name] - expected)), np.max(np.abs(expected))
            if not error <= bound * largest:
                return f"{participant}: {name} differs by {error:.3g} from a reference of up to {largest:.3g}"
    return None


@dataclass
class Measurement:
    """A row, who failed in it and how, and for each other participant the median time of a call in each turn, and of
    each phase of a step.

    Nobody is timed if they disagree, or if minigrad or the reference failed.
    """

    row: Row
    config: dict
    failures: list = field(default_factory=list)
    seconds: dict = field(default_factory=dict)
    phases: dict = field(default_factory=dict)


def takes_part(participant, row):
    """JAX runs whole steps alone, and the streaming loop stands beside what memory limits."""
    if participant == "jax":
        return row.kernel.family == "step"
    return participant != "limit" or row.bytes > 0


def measure(rows, participants, workers, turns, seconds, smallest, progress):
    """Yield a `Measurement` per row: built by all, compared, and only then timed, turn about."""
    config = workers["minigrad"].ask("config")
    for row in rows:
        measured = Measurement(row, config)
        names = [name for name in participants if takes_part(name, row)]

        def answers(names, *request):
            """Ask one after the other; (participant, answer) for those that do not fail."""
            for name in names:
                try:
                    yield name, workers[name].ask(*request)
                except WorkerError as error:
                    workers.drop(name)
                    measured.failures.append(str(error))

        results = dict(answers(names, "build", row, smallest))
        if results.keys() >= {"minigrad", "reference"} and (found := disagreement(results, row.dtype)):
            measured.failures.append(found)
        elif results.keys() >= {"minigrad", "reference"}:
            measured.seconds = {name: [] for name in results}
        del results  # they may be large
        for turn in range(turns):
            names = list(measured.seconds)
            for name, found in answers(names if turn % 2 else reversed(names), "turn", seconds):
                measured.seconds[name].append(found)
            complete = {name: times for name, times in measured.seconds.items() if len(times) > turn}
            measured.seconds = complete if "minigrad" in complete else {}
            progress(1)
        if row.kernel.family == "step":
            found = dict(answers(list(measured.seconds), "phases", seconds))
            measured.phases = {name: times for name, times in found.items() if times}
        yield measured
