"""Whole training steps of small networks, minigrad beside PyTorch.

A step is zero_grad, forward, cross-entropy, backward, and Adam (PyTorch's with `fused=True`). Each
framework runs in a process of its own, so that their thread pools do not fight; the processes take
turns, and all start from the same weights and data. Before anything is timed, their losses over ten
steps must agree.
"""

import importlib.util
import json
import statistics
import subprocess
import sys
import time

import numpy as np

# Layer sizes and batch.
CASES = {
    "2-16-16-2, batch 32": ((2, 16, 16, 2), 32),
    "784-128-10, batch 64": ((784, 128, 10), 64),
    "784-512-512-10, batch 128": ((784, 512, 512, 10), 128),
    "3072-1024-1024-10, batch 256": ((3072, 1024, 1024, 10), 256),
}
FRAMEWORKS = ("minigrad", "torch")


def numbers(sizes, batch):
    """Weights, biases, inputs and classes: the same for every framework."""
    rng = np.random.default_rng(0)
    weights = [rng.uniform(-1, 1, (n, m)).astype(np.float32) / np.sqrt(m) for m, n in zip(sizes, sizes[1:])]
    biases = [np.zeros(n, np.float32) for n in sizes[1:]]
    return weights, biases, rng.standard_normal((batch, sizes[0])).astype(np.float32), rng.integers(sizes[-1], size=batch)


def make_step(framework, sizes, batch):
    """A function that does one training step and returns the loss. The two APIs are the same."""
    weights, biases, inputs, classes = numbers(sizes, batch)
    if framework == "torch":
        import torch as library

        fused = {"fused": True}
    else:
        import minigrad as library

        fused = {}
    nn = library.nn
    layers = []
    for weight, bias in zip(weights, biases):
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        with library.no_grad():
            layer.weight.copy_(library.from_numpy(weight))
            layer.bias.copy_(library.from_numpy(bias))
        layers += [layer, nn.ReLU()]
    model = nn.Sequential(*layers[:-1])
    optimizer = library.optim.Adam(model.parameters(), lr=1e-3, **fused)
    criterion = nn.CrossEntropyLoss()
    x, y = library.from_numpy(inputs), library.from_numpy(classes)

    def step():
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def worker(framework):
    """Serve requests from standard input: a case to prepare, or a number of seconds to run for."""
    step = None
    for line in sys.stdin:
        request = json.loads(line)
        if "case" in request:
            step = make_step(framework, *CASES[request["case"]])
            answer = [step().item() for _ in range(10)]
        else:
            answer, end = [], time.perf_counter() + request["seconds"]
            while (start := time.perf_counter()) < end or len(answer) < 5:
                step()
                answer.append(time.perf_counter() - start)
        print(json.dumps(answer), flush=True)


class Framework:
    """A worker process."""

    def __init__(self, name):
        command = [sys.executable, "-c", f"from minigrad.bench.steps import worker; worker({name!r})"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **request):
        print(json.dumps(request), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("bench: a worker process ended; its error stands above")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure(rounds, seconds, progress):
    """Yield a row per case: the medians of each framework in seconds, and the ratio of each round."""
    names = [name for name in FRAMEWORKS if importlib.util.find_spec(name)]
    frameworks = {name: Framework(name) for name in names}
    try:
        for case in CASES:
            losses = {name: framework.ask(case=case) for name, framework in frameworks.items()}
            for name, values in losses.items():
                np.testing.assert_allclose(values, losses["minigrad"], rtol=1e-4, atol=1e-5, err_msg=f"{name} and minigrad disagree")
            for framework in frameworks.values():
                framework.ask(seconds=seconds)  # warm up
            medians = {name: [] for name in names}
            for turn in range(rounds):
                for name in names if turn % 2 else reversed(names):
                    medians[name].append(statistics.median(frameworks[name].ask(seconds=seconds)))
                progress()
            yield case, medians
    finally:
        for framework in frameworks.values():
            framework.close()
