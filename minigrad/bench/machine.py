"""The machine that the figures come from: its caches, and what to say beside every result."""

import os
import platform
import time
from importlib import metadata
from pathlib import Path

import numpy as np

from .. import __version__, kernels

USUAL = {"L1": 32 << 10, "L2": 1 << 20, "L3": 16 << 20}  # where the machine does not say
SHARED = 32 << 20  # of the last cache a virtual machine sees all, and shares it with strangers: no more is counted on


def caches():
    """Bytes of each data cache as the first CPU sees it, by level.

    Example:
        >>> sorted(caches())
        ['L1', 'L2', 'L3']
    """
    found = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        if (index / "type").read_text().strip() != "Instruction":
            size = (index / "size").read_text().strip()
            found["L" + (index / "level").read_text().strip()] = int(size.removesuffix("K")) << 10
    return {level: found.get(level, usual) for level, usual in USUAL.items()}


def levels():
    """The caches as far as they can be counted on."""
    found = caches()
    return {**found, "L3": min(found["L3"], SHARED)}


def _cpu():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {os.cpu_count()} CPUs"


def _load():
    """How busy the machine has been for a minute, and a warning where that spoils the figures."""
    if not hasattr(os, "getloadavg"):
        return "unknown"
    load = os.getloadavg()[0]
    return f"{load:.1f}" + ": OTHERS ARE WORKING HERE, measure again when they rest" * (load > os.cpu_count() / 2)


def context(frameworks=()):
    """What runs and where, as a dictionary of text; `frameworks` are packages to name with their versions."""
    config = kernels.config()
    blas = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    sizes = ", ".join(f"{level} {size >> 10} KiB" for level, size in caches().items())
    return {
        "CPU": _cpu(),
        "caches": sizes,
        "kernels": f"{config['kernels']}, instruction set {config.get('instruction set', 'none')}",
        "compiler": f"{config.get('compiler', 'none')} {config.get('compiler flags', '')}".strip(),
        "threads": str(config["threads"]),
        "versions": ", ".join(
            [f"minigrad {__version__}", f"Python {platform.python_version()}"]
            + [f"NumPy {np.__version__} with {blas.get('name')} {blas.get('version')}"]
            + [f"{name} {metadata.version(name)}" for name in frameworks]
        ),
        "load": _load(),
        "date": time.strftime("%Y-%m-%d %H:%M"),
    }
