"""Imports run down the floors of the house, and nothing heavy comes with `import minigrad`."""

import ast
import subprocess
import sys
from pathlib import Path

import minigrad

ROOT = Path(minigrad.__file__).parent

# A module may import what stands on a lower floor, or within its own entry on its own floor.
FLOORS = [
    ("kernels", "graph", "dtypes", "cuda"),
    ("tensor", "random"),
    ("primitive",),
    ("ops", "function", "gradcheck"),
    ("autograd", "watch"),
    ("nn", "optim", "utils", "serialization", "bound"),
    ("program",),
    ("bench", "__init__"),
]
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}
TOP = len(FLOORS) - 1


def imports(path):
    """(line, dotted name inside minigrad, or the name of the outside module) for each import in the file."""
    package = ("minigrad", *path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = list(package[: len(package) - node.level + 1]) if node.level else []
            base = ".".join(parts + ([node.module] if node.module else []))
            for alias in node.names:
                inner = ROOT.joinpath(*base.split(".")[1:], alias.name)
                is_module = base.startswith("minigrad") and (inner.is_dir() or inner.with_suffix(".py").exists())
                yield node.lineno, f"{base}.{alias.name}" if is_module else base


def entry(dotted):
    """The part of the house that a module inside minigrad belongs to."""
    return (dotted.split(".") + ["__init__"])[1]


def test_imports_run_down():
    """No module imports from above its floor, nor from a neighbour."""
    broken = []
    for path in sorted(ROOT.rglob("*.py")):
        relative = path.relative_to(ROOT)
        importer = relative.with_suffix("").parts[0]
        if importer == "__main__" or FLOOR.get(importer) == TOP:
            continue
        assert importer in FLOOR, f"minigrad/{relative} stands on no floor: add it to FLOORS"
        for line, name in imports(path):
            imported = entry(name)
            if name.split(".")[0] != "minigrad" or imported == importer:
                continue
            if not FLOOR[imported] < FLOOR[importer]:
                broken.append(f"minigrad/{relative}:{line} imports {name}")
    assert [] == broken


def test_the_walk_knows_no_tensor():
    """graph.py is about nodes and arrays: it imports nothing of minigrad, and not NumPy either."""
    assert all(name in {*sys.stdlib_module_names, "numpy"} for _, name in imports(ROOT / "graph.py"))


def test_import_is_light():
    """`import minigrad` loads nothing third-party beyond NumPy and cffi."""
    program = """if True:
        import sys
        import numpy, numpy.random
        numpys = set(sys.modules)
        import minigrad
        roots = {name.split(".")[0] for name in set(sys.modules) - numpys}
        print(*sorted(roots - set(sys.stdlib_module_names)))
    """
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set() == set(found.stdout.split()) - {"numpy", "minigrad", "_cffi_backend", "cffi"}


def test_every_import_has_a_place():
    """Outside the standard library, only what pyproject.toml names is imported, and extras only inside functions."""
    allowed = {"numpy", "minigrad", "cffi", "_cffi_backend", *sys.stdlib_module_names}
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            else:
                continue
            found += [f"{path.relative_to(ROOT)}:{node.lineno} {n}" for n in names if n.split(".")[0] not in allowed]
    assert [] == found
