"""Check a gradient from the command line: python -m minigrad.gradcheck module:function

The function takes no arguments and returns what `gradcheck` is to be called with: (fn, inputs), or
(fn, inputs, grad) for NumPy functions with a hand-written gradient. A file `loss.py` in this directory:

    import numpy as np

    def check_square():
        return lambda x: np.sum(x * x), np.arange(3.0), lambda x: 2 * x

is checked by `python -m minigrad.gradcheck loss:check_square`. The exit status is 0 for a right gradient,
1 for a wrong one, 2 if there is nothing to check.
"""

import argparse
import importlib
import os
import sys

from . import gradcheck, gradgradcheck


def main(arguments=None):
    summary, _, rest = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m minigrad.gradcheck", description=summary, epilog=rest,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("target", metavar="module:function", help="it gives (fn, inputs) or (fn, inputs, grad)")
    parser.add_argument("--plot", metavar="FILE", help="draw error against step, and the worst input's errors")
    parser.add_argument("--gradgrad", action="store_true", help="check second derivatives")
    options = parser.parse_args(arguments)

    fn, inputs, *grad = load(options.target, parser)
    if options.gradgrad and grad:
        parser.error("--gradgrad needs a function of minigrad's tensors, not one with its own gradient")
    check = gradgradcheck if options.gradgrad else gradcheck
    try:
        report = check(fn, inputs, raise_exception=False, **({"grad": grad[0]} if grad else {}))
    except (TypeError, ValueError) as error:
        parser.error(str(error))
    print(report)
    if options.plot:
        report.plot(options.plot)
    return 0 if report else 1


def load(target, parser):
    """What the named function returns; `parser.error` if that is no (fn, inputs) or (fn, inputs, grad)."""
    module, colon, name = target.partition(":")
    if not (module and colon and name):
        parser.error(f"expected module:function, got {target!r}")
    sys.path.insert(0, os.getcwd())
    try:
        provide = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        parser.error(str(error))
    case = provide() if callable(provide) else provide
    if not (isinstance(case, tuple) and len(case) in (2, 3) and callable(case[0])):
        parser.error(f"{target} gave {type(case).__name__}, expected a tuple (fn, inputs) or (fn, inputs, grad)")
    return case


if __name__ == "__main__":
    sys.exit(main())
