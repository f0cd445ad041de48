"""What the whole test run says about itself, and the kernels that a test asks for."""

from importlib.util import find_spec

import pytest

from minigrad import kernels


def pytest_report_header(config):
    if find_spec("torch") is None:
        return "PyTorch is not installed: the comparisons with it are skipped (pip install torch)"
    return None


@pytest.fixture
def in_c():
    """The kernels in C, whatever was chosen."""
    with kernels.use("native"):
        yield
