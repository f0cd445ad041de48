"""What the documents say is true: their examples run, and public names are documented."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import minigrad

README = Path(__file__).parent.parent / "README.md"
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
MODULES = sorted(
    module.name for module in pkgutil.walk_packages(minigrad.__path__, "minigrad.") if "_native" not in module.name
)


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_docstring_examples_print_what_they_say(name):
    """Every example in a docstring runs and prints what stands there."""
    if name == "minigrad.kernels.native" and "native" not in minigrad.kernels.available():
        pytest.skip("the C kernels are not built")
    results = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert results.failed == 0


def test_the_readme_prints_what_it_says():
    """The README's examples run and print what stands there."""
    assert doctest.testfile(str(README), module_relative=False, optionflags=FLAGS).failed == 0


def test_the_readme_has_its_two_lines():
    """One line to paste runs the main job, one the tests."""
    lines = [line for line in README.read_text().splitlines() if line.startswith("python3 -m venv .venv && ")]
    assert len(lines) == 2
    assert [("digits.py" in line, "pytest" in line) for line in lines] == [(True, False), (False, True)]


@pytest.mark.parametrize("module", [minigrad, minigrad.nn, minigrad.nn.functional, minigrad.optim, minigrad.autograd])
def test_public_names_have_docstrings(module):
    """Whatever a user can call says what it does."""
    names = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    objects = {name: getattr(module, name) for name in names}
    missing = [
        name
        for name, value in objects.items()
        if callable(value) and not (value.__doc__ or "").strip() and not isinstance(value, minigrad.primitive.Primitive)
    ]
    assert missing == []
