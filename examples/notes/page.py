"""Where a section writes: what it says goes to the terminal at once, and into one HTML page with the pictures inside."""

import argparse
import base64
import html
import inspect
import re
import shutil
import sys
import textwrap
import time
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

STYLE = Path(__file__).with_name("page.css")


class Page:
    """One section's text, code, tables and pictures.

    Args:
        title: the section's heading.
        output: the folder that takes the pictures.
        data: a folder to look in for the data sets that are not shipped, or None.
        quiet: print nothing (a progress bar has the terminal).
    """

    def __init__(self, title, output, data=None, quiet=False):
        self.title, self.output, self.data = title, Path(output), data
        self.anchor = re.sub(r"\W+", "-", title.lower()).strip("-")
        self.parts, self.pictures = [], []
        self._width = min(shutil.get_terminal_size().columns, 100)
        self._print = (lambda *_: None) if quiet else print
        self._print(f"{title}\n{'=' * len(title)}\n")

    def text(self, paragraph):
        """A paragraph. Words between backticks are code."""
        paragraph = " ".join(paragraph.split())
        self._print(textwrap.fill(paragraph, self._width), end="\n\n")
        self.parts.append(f"<p>{re.sub('`([^`]+)`', r'<code>\1</code>', html.escape(paragraph))}</p>")

    def code(self, function):
        """The source of a function (or a string of code), for the page alone: on the terminal the reader has the file."""
        source = function if isinstance(function, str) else inspect.getsource(function)
        self.parts.append(f"<pre><code>{html.escape(textwrap.dedent(source).strip())}</code></pre>")

    def output_of(self, lines):
        """What a program printed, as it stands."""
        self._print("\n".join(lines), end="\n\n")
        self.parts.append(f'<pre class="output">{html.escape(chr(10).join(lines))}</pre>')

    def table(self, header, rows):
        """A table of values that are already text; columns after the first stand right."""
        widths = [max(map(len, column)) for column in zip(header, *rows)]
        for row in (header, *rows):
            first, *rest = (f"{value:{'<' if i == 0 else '>'}{widths[i]}}" for i, value in enumerate(row))
            self._print("  ".join((first, *rest)).rstrip())
        self._print("")
        cells = lambda row, tag: "".join(f"<{tag}>{html.escape(value)}</{tag}>" for value in row)  # noqa: E731
        body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
        self.parts.append(f"<table><thead><tr>{cells(header, 'th')}</tr></thead><tbody>{body}</tbody></table>")

    def picture(self, name, draw, caption, size=(8, 4)):
        """Save what `draw(figure)` draws on a matplotlib figure as `name`.png; without matplotlib, say so."""
        if find_spec("matplotlib") is None:
            self._print(f"(no picture {name}.png: matplotlib is not installed)\n")
            return
        from matplotlib.figure import Figure

        figure = Figure(figsize=size, layout="constrained")  # made by hand, not by pyplot, it needs no screen
        draw(figure)
        for axes in figure.axes:
            axes.spines[["top", "right"]].set_visible(False)
        image = BytesIO()
        figure.savefig(image, dpi=130, format="png")
        self.output.mkdir(parents=True, exist_ok=True)
        path = self.output / f"{name}.png"
        path.write_bytes(image.getvalue())
        self.pictures.append(path)
        self._print(f"[{path}] {caption}\n")
        encoded = base64.b64encode(image.getvalue()).decode()
        self.parts.append(
            f'<figure><img alt="{html.escape(caption)}" src="data:image/png;base64,{encoded}">'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        )

    def html(self):
        """This section of the page."""
        return f'<section id="{self.anchor}"><h2>{html.escape(self.title)}</h2>{"".join(self.parts)}</section>'


def document(title, introduction, pages):
    """One self-contained HTML document: nothing in it is loaded from elsewhere."""
    links = "".join(f'<li><a href="#{page.anchor}">{html.escape(page.title)}</a></li>' for page in pages)
    sections = "".join(page.html() for page in pages)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE.read_text()}</style></head><body>'
        f"<nav><ol>{links}</ol></nav><main><h1>{html.escape(title)}</h1><p>{html.escape(introduction)}</p>{sections}</main>"
        "</body></html>\n"
    )


def add_options(parser):
    """The options that every section has."""
    parser.add_argument("--output", type=Path, default=Path("notes-output"), help="folder for the results (%(default)s)")
    parser.add_argument(
        "--data", type=Path, metavar="FOLDER", help="where CIFAR-10 (binary version) and MNIST (idx.gz) lie, at any depth"
    )


def alone(title, show):
    """Run one section as a program."""
    parser = argparse.ArgumentParser(description=title)
    add_options(parser)
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # each line is seen at once, also in a pipe
    start = time.perf_counter()
    show(Page(title, options.output, options.data))
    print(f"({time.perf_counter() - start:.1f} s)")
