"""The team of threads under ThreadSanitizer: no thread looks at a call that is over, no slice is lost or done twice."""

import os
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SOURCES = HERE.parents[1] / "csrc"
FLAGS = ("-std=gnu11", "-O2", "-g", "-fsanitize=thread", "-pthread")


def test_no_races(tmp_path):
    compiler = shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("no compiler here")
    program = tmp_path / "team_races"
    files = [f"-I{SOURCES}", str(HERE / "team_races.c"), str(SOURCES / "team.c"), "-o", str(program)]
    alone = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}  # no other sanitizer
    run = partial(subprocess.run, capture_output=True, text=True, timeout=300, env=alone)
    built = run([compiler, *FLAGS, *files])
    if built.returncode and "tsan" in built.stderr:
        pytest.skip("the compiler has no ThreadSanitizer")
    assert built.returncode == 0, built.stderr
    # ThreadSanitizer wants its addresses where no randomised layout puts something else.
    prefix = ["setarch", "-R"] if shutil.which("setarch") else []
    done = run([*prefix, str(program)])
    if "unexpected memory mapping" in done.stderr or "personality" in done.stderr:
        pytest.skip("ThreadSanitizer does not run with this machine's address layout")
    assert done.returncode == 0, done.stdout + done.stderr
