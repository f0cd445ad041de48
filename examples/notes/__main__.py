"""Run every section of the notes and write one page with all their text, figures and pictures.

    python -m examples.notes                     with the data that comes with it
    python -m examples.notes --data FOLDER       with CIFAR-10 and MNIST from FOLDER
"""

import argparse
import platform
import sys
import time
from importlib import import_module

import numpy as np

import minigrad

from . import SECTIONS
from .page import Page, add_options, document

TITLE = "Neural nets: loss and optimization"
INTRODUCTION = """<p>The lecture notes of that name, come alive: each section below is a short program that has just
run. Its text, figures and pictures are what it wrote; the program that it names runs alone, too, and is made to be read
and changed. No figure is copied from a table: run it again and it is computed again.</p>"""


def main():
    parser = argparse.ArgumentParser(prog="python -m examples.notes", description="Run every section of the notes.")
    add_options(parser)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    sys.stdout.reconfigure(line_buffering=True)
    pages, bar = [], Page.progress(SECTIONS)
    for name in bar:
        say = print
        if bar is not SECTIONS:
            bar.set_description(name)
            say = bar.write
        section = import_module(f"{__package__}.{name}")
        page = Page(section.TITLE, options.output, options.data, quiet=True)
        start = time.perf_counter()
        section.show(page)
        page.made_by(f"python -m {__package__}.{name}", time.perf_counter() - start)
        say(f"{page.seconds:6.1f} s  {name}")
        pages.append(page)
    total = sum(page.seconds for page in pages)
    path = options.output / "notes.html"
    path.write_text(document(TITLE, INTRODUCTION + made_with(total), pages), encoding="utf-8")
    print(f"{total:6.1f} s  in all\n{path}")


def made_with(seconds):
    """What ran, for the head of the page."""
    ours = f"minigrad {minigrad.__version__} with {minigrad.kernels.active_kernels()} kernels"
    others = f"NumPy {np.__version__}, Python {platform.python_version()}, {platform.machine()}"
    return f'<p class="made">{ours}, {others}; {seconds:.0f} s in all.</p>'


if __name__ == "__main__":
    main()
