"""Run every section of the notes and write one page with all their figures and pictures.

    python -m examples.notes                     with the data that comes with it
    python -m examples.notes --data FOLDER       with CIFAR-10 and MNIST from FOLDER
"""

import argparse
import sys
import time
from contextlib import nullcontext, suppress
from importlib import import_module

from . import SECTIONS
from .page import Page, add_options, document


def main():
    parser = argparse.ArgumentParser(prog="python -m examples.notes", description="Run every section of the notes.")
    add_options(parser)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    pages, seconds = [], []
    with progress_bar() as bar:
        for name in SECTIONS:
            if bar is not None:
                bar.set_description(name)
            section = import_module(f"{__package__}.{name}")
            start = time.perf_counter()
            pages.append(Page(section.TITLE, options.output, options.data, quiet=True))
            section.show(pages[-1])
            seconds.append(time.perf_counter() - start)
            if bar is not None:
                bar.update()
    path = options.output / "notes.html"
    path.write_text(document("Loss and optimization: the notes come alive", __doc__.splitlines()[0], pages), "utf-8")
    for name, taken in zip(SECTIONS, seconds):
        print(f"{taken:6.1f} s  {name}")
    print(f"{sum(seconds):6.1f} s  in all\n{path}")


def progress_bar():
    """A tqdm bar on a terminal; silent elsewhere, or without tqdm."""
    if sys.stderr.isatty():
        with suppress(ImportError):
            from tqdm import tqdm

            return tqdm(total=len(SECTIONS), leave=False)
    return nullcontext()


if __name__ == "__main__":
    main()
