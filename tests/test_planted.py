"""gradcheck on planted rules: every wrong one is caught and named, no right one is, and kinks are called kinks."""

import sys
from collections import Counter
from inspect import Parameter, Signature
from pathlib import Path

import planted
import pytest

from minigrad import gradcheck

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

import gradcheckers  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # rows at 0 and beyond the range on purpose


def of_kind(*kinds):
    rows = [case for case in planted.CASES if ("wrong" if case.is_wrong else case.expected) in kinds]
    return pytest.mark.parametrize("case", rows, ids=[case.id for case in rows])


def check(case):
    function, tensors = planted.as_minigrad(case)
    return gradcheck(function, tensors, raise_exception=False)


def check_arrays(case):
    """The same of plain NumPy functions."""
    inputs = case.inputs()

    def slope(*given):
        *arrays, upstream = given
        return case.rule(upstream, case.forward(*(x.copy() for x in arrays)), *arrays)

    names = [*(f"x{i}" for i in range(len(inputs))), "upstream"]  # a gradient may also take the inputs alone
    slope.__signature__ = Signature([Parameter(name, Parameter.POSITIONAL_ONLY) for name in names])
    return gradcheck(case.forward, tuple(inputs), grad=slope, raise_exception=False)


def test_the_table_is_as_large_as_it_says():
    """Enough rows of each kind in each dtype, and every cause in several operations."""
    count = Counter(("wrong" if case.is_wrong else case.expected, case.dtype) for case in planted.CASES)
    for dtype in planted.DTYPES:
        assert count["wrong", dtype] >= 140 and count["right", dtype] >= 120 and count["kink", dtype] >= 15
    operations = {}
    for case in planted.CASES:
        operations.setdefault(case.expected, set()).add(case.operation.name)
    assert set(operations) == {
        "right", "kink", "wrong sign", "constant factor", "transposed", "swapped arguments", "forgotten sum",
        "upstream ignored", "only the first upstream value", "zero", "not finite", "one element", "one region",
        "not deterministic", "input written", "unknown",
    }  # fmt: skip
    assert min(map(len, operations.values())) >= 3


@pytest.mark.parametrize("look", [check, check_arrays], ids=["tensors", "arrays"])
@of_kind("wrong")
def test_a_wrong_rule_is_caught_and_named(case, look):
    report = look(case)
    assert not report, f"passed\n{report}"
    assert report.cause_key == case.expected, str(report)
    assert report.cause.startswith(case.expected) or case.expected == "unknown"


@pytest.mark.parametrize("look", [check, check_arrays], ids=["tensors", "arrays"])
@of_kind("right")
def test_a_right_rule_passes(case, look):
    report = look(case)
    assert report, str(report)
    assert report.cause is None


@pytest.mark.parametrize("look", [check, check_arrays], ids=["tensors", "arrays"])
@of_kind("kink")
def test_a_kink_is_accepted_and_called_one(case, look):
    report = look(case)
    assert report, str(report)
    assert report.kinks, str(report)


# The comparison with other checkers


def test_the_comparison_counts_what_a_checker_says():
    """One that is always right, one that accepts everything, and one that raises at everything."""
    wrong, nameable, right, kinks = 314, 288, (131, 122), 42

    def accepts(case):
        return True, None

    def raises(case):
        raise ArithmeticError

    def knows(case):
        return not case.is_wrong, case.expected

    def line(check):
        return gradcheckers.judge("any", check, planted.CASES)[:-1]

    assert line(knows) == [
        f"{wrong} of {wrong}", f"{nameable} of {nameable}", *(f"0 of {n}" for n in right), f"{kinks} of {kinks}"
    ]  # fmt: skip
    assert line(accepts) == [f"0 of {wrong}", f"0 of {nameable}", *(f"0 of {n}" for n in right), f"{kinks} of {kinks}"]
    assert line(raises) == [
        f"{wrong} of {wrong}", f"0 of {nameable}", *(f"{n} of {n}" for n in right), f"0 of {kinks}"
    ]  # fmt: skip


@pytest.mark.parametrize("name", gradcheckers.CHECKERS)
def test_every_checker_that_is_installed_can_be_asked(name):
    """It accepts a right rule and refuses a wrong one, so its line in the table is its own verdict."""
    pytest.importorskip(name, reason=f"{name} is not installed")
    case = {case.id: case for case in planted.CASES}
    check = gradcheckers.CHECKERS[name]
    assert check(case["right: matmul, float64"])[0]
    cells = gradcheckers.judge(name, check, [case["wrong sign: matmul, 1e+06, float64"]])
    assert cells[0] == "1 of 1"
