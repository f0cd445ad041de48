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
import traceback
from contextlib import contextmanager
from importlib.util import find_spec

from . import gradcheck, gradgradcheck
from .subject import takes


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
    if options.plot and find_spec("matplotlib") is None:
        parser.error("--plot needs Matplotlib: pip install matplotlib")

    fn, inputs, *grad = load(options.target, parser)
    if options.gradgrad and grad:
        parser.error("--gradgrad needs a function of minigrad's tensors, not one with its own gradient")
    check = gradgradcheck if options.gradgrad else gradcheck
    with refusing(options.target, parser):
        report = check(fn, inputs, raise_exception=False, **({"grad": grad[0]} if grad else {}))
    print(report)
    if options.plot:
        try:
            report.plot(options.plot)
        except (ValueError, OSError) as error:
            print(f"no picture: {error}", file=sys.stderr)
            return 2 if report else 1
    return 0 if report else 1


def load(target, parser):
    """What the named function returns; `parser.error` if that is no (fn, inputs) or (fn, inputs, grad)."""
    module, colon, name = target.partition(":")
    if not (module and colon and name):
        parser.error(f"expected module:function, got {target!r}")
    sys.path.insert(0, os.getcwd())
    with refusing(target, parser):
        case = getattr(importlib.import_module(module), name)
    if callable(case):
        if not takes(case, 0):
            parser.error(f"{target} takes arguments. Name a function that takes none and returns ({name}, inputs)")
        with refusing(target, parser):
            case = case()
    if not (isinstance(case, (tuple, list)) and len(case) in (2, 3)):
        got = f"{type(case).__name__} of {len(case)}" if hasattr(case, "__len__") else type(case).__name__
        parser.error(f"{target} gave {got}, expected a tuple (fn, inputs) or (fn, inputs, grad)")
    return case


@contextmanager
def refusing(target, parser):
    """Exceptions of the code that is checked, or over it, in one line, with the last place in this directory."""
    try:
        yield
    except Exception as error:
        here, ours = os.path.join(os.getcwd(), ""), os.path.join(os.path.dirname(os.path.dirname(__file__)), "")
        lines = [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__)]
        places = [f", in {name.removeprefix(here)}, line {line}" for name, line in lines
                  if name.startswith(here) and not name.startswith(ours)]  # fmt: skip
        parser.error(f"{target}: {type(error).__name__}: {error}{''.join(places[-1:])}")


if __name__ == "__main__":
    sys.exit(main())
