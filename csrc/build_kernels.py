"""Describes the extension `minigrad.kernels._native` to cffi. Runs at build time only."""

import os
import re
import sys
from pathlib import Path

from cffi import FFI

HERE = Path(__file__).resolve().parent
LEVELS = ("baseline", "v3", "v4")

FLAGS = [
    "-O3",
    "-std=c11",
    "-fno-math-errno",  # or sqrt is not vectorised
    "-fno-trapping-math",  # or no loop with a condition is
    "-ffp-contract=off",  # or levels with fused multiply-add would differ in their last bits
    "-fvisibility=hidden",
]
LINK_FLAGS = []

if os.environ.get("MINIGRAD_SANITIZE") == "1":
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
    FLAGS += [*sanitizers, "-g", "-fno-omit-frame-pointer"]
    LINK_FLAGS += sanitizers
if sys.platform == "win32":  # flags are for GCC and Clang
    FLAGS, LINK_FLAGS = ["/O2", "/fp:precise", "/std:c11"], []


def declarations():
    """The declarations of kernels.template.h, once for each precision and level."""
    template = (HERE / "kernels.template.h").read_text(encoding="utf-8")
    copies = []
    for precision, real in (("f32", "float"), ("f64", "double")):
        for level in LEVELS:
            named = re.sub(r"\bKERNEL\((\w+)\)", rf"\1_{precision}_{level}", template)
            copies.append(re.sub(r"\bREAL\b", real, named))
    return "".join(copies)


MACHINE = """
int highest_level_built(void);
int highest_level_supported(void);
const char *build_compiler(void);
"""
CONSTANTS = """
#define BLOCK ...
#define ROW_BLOCK ...
static char *const BUILD_FLAGS;
"""

ffi = FFI()
ffi.cdef(MACHINE + CONSTANTS + declarations())
ffi.set_source(
    "minigrad.kernels._native",
    "#include <stdint.h>\n"
    '#include "blocks.h"\n'
    f'static char *const BUILD_FLAGS = "{" ".join(FLAGS)}";\n' + MACHINE + declarations(),
    sources=[f"csrc/{name}" for name in ("kernels_f32.c", "kernels_f64.c", "levels.c")],
    include_dirs=["csrc"],
    depends=sorted(f"csrc/{path.relative_to(HERE).as_posix()}" for path in HERE.rglob("*.[ch]")),
    extra_compile_args=FLAGS,
    extra_link_args=LINK_FLAGS,
    py_limited_api=True,
)
