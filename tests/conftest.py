"""What the whole test run says about itself."""

from importlib.util import find_spec


def pytest_report_header(config):
    if find_spec("torch") is None:
        return "PyTorch is not installed: the comparisons with it are skipped (pip install torch)"
    return None
