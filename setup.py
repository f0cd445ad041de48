"""What pyproject.toml cannot say: the C kernels, or their deliberate absence."""

import os
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


if os.environ.get("MINIGRAD_NO_KERNELS") == "1":
    setup()
else:
    setup(
        cffi_modules=["csrc/build_kernels.py:ffi"],
        cmdclass={"build_ext": BuildKernels},
        options={"bdist_wheel": {"py_limited_api": "cp311"}},
    )
