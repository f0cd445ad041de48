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
    """Pairs (name, declaration), from kernels.template.h, once for each precision and level."""
    template = re.sub(r"/\*.*?\*/", "", (HERE / "kernels.template.h").read_text(encoding="utf-8"), flags=re.S)
    for precision, real in (("f32", "float"), ("f64", "double")):
        for level in LEVELS:
            named = re.sub(r"\bKERNEL\((\w+)\)", rf"\1_{precision}_{level}", template)
            for declaration in re.sub(r"\bREAL\b", real, named).split(";")[:-1]:
                declaration = " ".join(declaration.split())
                yield re.search(r"(\w+)\(", declaration)[1], declaration


# A kernel has a twin that takes a team in place of begin and end, and shares the call: what Python sees.
ARGUMENTS = """
typedef struct {{ {fields} }} {name}_arguments;
static size_t {name}_slice(size_t begin, size_t end, const void *arguments)
{{
    const {name}_arguments *a = arguments;
    {result}{name}(begin, end, {values});
    return {code};
}}
"""
SHARED = """
static {signature}
{{
    const {name}_arguments arguments = {{ {names} }};
    return team_run(team, {name}_slice, &arguments, count, length);
}}
"""
# Where there are sums of blocks, the twin adds them up, in order: `total` is their sum, over the divisor of a loss.
# A loss with block = 0 writes its `values` instead. Returns NO_MEMORY where there is none for the sums.
SUMMED = """
static {signature}
{{
    double few[FEW_BLOCKS], *block_sums = NULL, sum = 0;
    const size_t blocks = block ? (count + block - 1) / block : 0;{mean}
    if (block && !(block_sums = blocks > FEW_BLOCKS ? malloc(blocks * sizeof *block_sums) : few)) return NO_MEMORY;
    const {name}_arguments arguments = {{ {names} }};
    const size_t code = team_run(team, {name}_slice, &arguments, count, length);
    if (block && !code) {{
        for (size_t i = 0; i < blocks; i++) sum += block_sums[i];
        *total = {total};
    }}
    if (block_sums != few) free(block_sums);
    return code;
}}
"""

# The mean of cross-entropy is over the weights of the targets, which are added up first.
MEAN = """
    if (divisor == 0) {{
        if ({name}_shared(team, count, length, block, &divisor, target, weight, classes, ignore_index))
            return NO_MEMORY;
        divisor = divisor == 0 ? NAN : divisor;
    }}"""


def shared(name, declaration):
    """(declaration, definition) of a kernel's twin."""
    result, parameters = re.fullmatch(rf"(\w+) {name}\(size_t begin, size_t end, (.*)\)", declaration).groups()
    parameters = [parameter.replace("restrict ", "") for parameter in parameters.split(", ")]
    names = [re.search(r"\w+$", parameter)[0] for parameter in parameters]
    visible, template, total, mean = parameters, SHARED, "", ""
    if names[0] == "block_sums":
        is_loss = names[1] == "values"
        real = parameters[1].split()[0] if is_loss else "double"
        visible, template = ["size_t block", f"{real} *total", *parameters[1:]], SUMMED
        total = f"({real})(sum / divisor)" if is_loss else "sum"
        if is_loss and "ignore_index" in names:
            mean = MEAN.format(name=name.replace("cross_entropy", "target_weights"))
    signature = f"size_t {name}_shared(team *team, size_t count, size_t length, {', '.join(visible)})"
    definition = (ARGUMENTS + template).format(
        name=name, signature=signature, names=", ".join(names), values=", ".join(f"a->{each}" for each in names),
        fields=" ".join(f"{parameter};" for parameter in parameters), total=total, mean=mean,
        result="" if result == "void" else "const size_t code = ", code="0" if result == "void" else "code",
    )  # fmt: skip
    return signature, definition


TEAM = """
typedef struct { size_t serving; ...; } team;
int team_is_wanted(const team *team, int is_long);
void team_serve(team *team, size_t seat, size_t patience);
"""
MACHINE = """
int highest_level_built(void);
int highest_level_supported(void);
const char *build_compiler(void);
"""
CONSTANTS = """
#define BLOCK ...
#define ROW_BLOCK ...
#define SHORT_ROW ...
#define TURNED ...
#define PIECE ...
#define NO_MEMORY ...
static char *const BUILD_FLAGS;
"""

seen, source = [], []
for name, declaration in declarations():
    source.append(f"{declaration};\n")
    if "(size_t begin, size_t end, " in declaration:
        declaration, definition = shared(name, declaration)
        source.append(definition)
    seen.append(f"{declaration};\n")

ffi = FFI()
ffi.cdef(MACHINE + CONSTANTS + TEAM + "".join(seen))
ffi.set_source(
    "minigrad.kernels._native",
    "#include <math.h>\n#include <stdint.h>\n#include <stdlib.h>\n"
    '#include "blocks.h"\n#include "team.h"\n'
    f'static char *const BUILD_FLAGS = "{" ".join(FLAGS)}";\n' + MACHINE + "".join(source),
    sources=[f"csrc/{name}" for name in ("kernels_f32.c", "kernels_f64.c", "levels.c", "team.c")],
    include_dirs=["csrc"],
    depends=sorted(f"csrc/{path.relative_to(HERE).as_posix()}" for path in HERE.rglob("*.[ch]")),
    extra_compile_args=FLAGS,
    extra_link_args=LINK_FLAGS,
    py_limited_api=True,
)
