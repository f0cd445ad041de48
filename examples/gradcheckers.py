"""Gradient checkers on the same planted rules: minigrad's, PyTorch's, JAX's, HIPS autograd's, PyTensor's.

    python examples/gradcheckers.py

Every row of tests/planted.py, a derivative rule in plain NumPy that is right, wrong, or at a kink, is handed to each
checker that is installed, as a user of that library would write it, and checked with the library's defaults.
Those that are missing are named and left out: pip install torch jax autograd pytensor.
"""

import sys
import time
import warnings
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import planted

import minigrad

# A checker is a function of a row. It returns (accepted, cause); a checker that raises has not accepted.


def check_minigrad(case):
    function, tensors = planted.as_minigrad(case)
    report = minigrad.gradcheck(function, tensors, raise_exception=False)
    return bool(report), report.cause_key


def check_torch(case):
    import torch

    class Rule(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *tensors):
            y = torch.from_numpy(case.forward(*(t.detach().numpy() for t in tensors)))
            ctx.save_for_backward(y, *tensors)
            return y

        @staticmethod
        def backward(ctx, upstream):
            y, *arrays = (t.detach().numpy() for t in ctx.saved_tensors)
            return tuple(torch.from_numpy(g) for g in case.rule(upstream.numpy(), y, *arrays))

    inputs = [torch.from_numpy(x.copy()).requires_grad_() for x in case.inputs()]
    return torch.autograd.gradcheck(Rule.apply, inputs), None


def check_jax(case):
    import jax
    from jax.test_util import check_grads

    jax.config.update("jax_enable_x64", True)
    arrays = case.inputs()
    value = jax.ShapeDtypeStruct(case.forward(*case.inputs()).shape, case.dtype)
    slopes = tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in arrays)

    def copies(function):  # JAX's arrays must not be written
        return lambda *given: function(*(np.array(x) for x in given))

    def forward(*given):
        return jax.pure_callback(copies(case.forward), value, *given)

    rule = jax.custom_vjp(forward)
    rule.defvjp(
        lambda *given: (forward(*given), given),
        lambda given, u: jax.pure_callback(copies(case.rule), slopes, u, forward(*given), *given),
    )
    check_grads(rule, arrays, order=1, modes=["rev"])
    return True, None


def check_autograd(case):
    from autograd.extend import defvjp, primitive
    from autograd.test_util import check_grads

    def slope(i):
        return lambda y, *arrays: lambda u: case.rule(u, y, *arrays)[i]

    arrays = case.inputs()
    rule = primitive(case.forward)
    defvjp(rule, *(slope(i) for i in range(len(arrays))))
    check_grads(rule, modes=["rev"], order=1)(*arrays)
    return True, None


def check_pytensor(case):
    import pytensor
    from pytensor.gradient import verify_grad
    from pytensor.graph.basic import Apply
    from pytensor.graph.op import Op
    from pytensor.tensor import as_tensor_variable, tensor

    pytensor.config.cxx = ""
    arrays = case.inputs()

    class Computed(Op):
        def __init__(self, function, shapes):
            self.function, self.shapes = function, shapes

        def make_node(self, *inputs):
            results = [tensor(dtype=case.dtype, shape=shape) for shape in self.shapes]
            return Apply(self, [as_tensor_variable(x) for x in inputs], results)

        def perform(self, node, inputs, outputs):
            for output, value in zip(outputs, self.function(*inputs)):
                output[0] = value

        def pullback(self, inputs, outputs, upstream):
            return Computed(case.rule, [x.shape for x in arrays])(*upstream, *outputs, *inputs, return_list=True)

    rule = Computed(lambda *given: (case.forward(*given),), [case.forward(*case.inputs()).shape])
    in_python = pytensor.compile.mode.Mode(linker="py", optimizer=None)
    verify_grad(rule, arrays, rng=np.random.default_rng(0), mode=in_python)
    return True, None


CHECKERS = {  # by the name of the package
    "minigrad": check_minigrad, "torch": check_torch, "jax": check_jax, "autograd": check_autograd,
    "pytensor": check_pytensor,
}  # fmt: skip
HEADS = ("checker", "wrong rules caught", "causes named", "false alarms, float64", "false alarms, float32",
         "kinks accepted", "time")  # fmt: skip


def can_express(name, case):
    """JAX hands a rule copies of its inputs: it cannot write to them."""
    return not (name == "jax" and case.expected == "input written")


def judge(name, check, cases):
    """The cells of one checker's line."""
    cases = [case for case in cases if can_express(name, case)]
    accepted, named = {}, 0
    start = time.perf_counter()
    for case in with_progress(cases, name):
        try:
            accepted[case], cause = check(case)
        except Exception:  # each library has errors of its own
            accepted[case], cause = False, None
        named += case.is_wrong and not accepted[case] and cause == case.expected != "unknown"
    seconds = time.perf_counter() - start

    def count(rows, value):
        return f"{sum(accepted[case] is value for case in rows):,} of {len(rows):,}"

    wrong = [case for case in cases if case.is_wrong]
    nameable = [case for case in wrong if case.expected != "unknown"]
    right = {dtype: [c for c in cases if c.expected == "right" and c.dtype == dtype] for dtype in planted.DTYPES}
    kinks = [case for case in cases if case.expected == "kink"]
    alarms = [count(rows, False) for rows in right.values()]
    return [count(wrong, False), f"{named} of {len(nameable)}", *alarms, count(kinks, True), f"{seconds:.1f} s"]


def with_progress(cases, name):
    """A bar on a terminal, if tqdm is installed."""
    if not (sys.stderr.isatty() and find_spec("tqdm")):
        return cases
    from tqdm import tqdm

    return tqdm(cases, desc=name, leave=False)


def print_line(cells):
    print("|", " | ".join(cells), "|", flush=True)


def main():
    print_line(HEADS)
    print_line(["---"] * len(HEADS))
    for name, check in CHECKERS.items():
        if find_spec(name) is None:
            print(f"{name} is not installed and left out: pip install {name}", file=sys.stderr)
            continue
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            judge(name, check, planted.CASES[:1])  # the imports are not timed
            label = name if name == "minigrad" else f"{name} {version(name)}"
            print_line([label, *judge(name, check, planted.CASES)])


if __name__ == "__main__":
    main()
