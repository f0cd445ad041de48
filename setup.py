"""What pyproject.toml cannot say: the C kernels, or their deliberate absence."""

import os
from concurrent.futures import ThreadPoolExecutor
from distutils.errors import CCompilerError, DistutilsError

from setuptools import setup
from setuptools.command.build_ext import build_ext

ADVICE = (
    "minigrad: the C kernels did not compile: install a C compiler and Python's headers "
    "(on Debian and Ubuntu: apt install gcc python3-dev), or set MINIGRAD_NO_KERNELS=1 for the pure NumPy build."
)


class BuildKernels(build_ext):
    def run(self):
        try:
            super().run()
        except (CCompilerError, DistutilsError, OSError) as error:
            raise SystemExit(f"{error}\n\n{ADVICE}") from None

    def build_extensions(self):
        """The sources are compiled side by side: nearly all of the time goes to two, the precisions."""
        if self.compiler.compiler_type == "msvc":  # it sets itself up in its first call
            return super().build_extensions()
        compile_in_turn = self.compiler.compile

        def compile_side_by_side(sources, **options):
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                lists = pool.map(lambda source: compile_in_turn([source], **options), sources)
                return [name for names in lists for name in names]

        self.compiler.compile = compile_side_by_side
        return super().build_extensions()


if os.environ.get("MINIGRAD_NO_KERNELS") == "1":
    setup()
else:
    setup(
        cffi_modules=["csrc/build_kernels.py:ffi"],
        cmdclass={"build_ext": BuildKernels},
        options={"bdist_wheel": {"py_limited_api": "cp311"}},
    )
