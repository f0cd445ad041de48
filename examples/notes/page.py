"""Where a section writes: to the terminal at once, and into one HTML page with the pictures inside."""

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
CODE, SUBSCRIPT = re.compile("`([^`]+)`"), re.compile(r"_(\w+)")
# Okabe and Ito 2008: colours that nearly all eyes can tell apart
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")


class Page:
    """One section's text, code, tables and pictures.

    Args:
        title: the section's heading.
        output: the folder that takes the pictures.
        data: a folder to look in for the data sets that are not shipped, or None.
        quiet: print nothing (somebody else has the terminal).
    """

    def __init__(self, title, output, data=None, quiet=False):
        self.title, self.output, self.data = title, Path(output), data
        self.anchor = re.sub(r"\W+", "-", title.lower()).strip("-")
        self.parts, self.pictures, self.seconds = [], [], 0.0
        self._print = (lambda *_, **__: None) if quiet else print
        self._width = min(shutil.get_terminal_size().columns, 100)
        self._print(f"{title}\n{'=' * len(title)}\n")

    def text(self, paragraph):
        """A paragraph. Words between backticks are code."""
        paragraph = " ".join(paragraph.split())
        self._print(textwrap.fill(paragraph, self._width), end="\n\n")
        self.parts.append("<p>" + CODE.sub(r"<code>\1</code>", html.escape(paragraph)) + "</p>")

    def formula(self, *lines):
        """Formulas, one a line; three spaces or more begin a new column, an underscore a subscript."""
        self._print("\n".join("    " + line for line in lines), end="\n\n")
        lines = [SUBSCRIPT.sub(r"<sub>\1</sub>", html.escape(line)) for line in lines]
        rows = ("".join(f"<td>{part}</td>" for part in re.split(" {3,}", line)) for line in lines)
        self.parts.append(f'<table class="formula"><tr>{"</tr><tr>".join(rows)}</tr></table>')

    def code(self, function):
        """The source of a function, or a string of code, for the page alone: who runs the file has it."""
        source = function if isinstance(function, str) else inspect.getsource(function)
        self.parts.append(f"<pre><code>{html.escape(textwrap.dedent(source).strip())}</code></pre>")

    def output_of(self, lines):
        """What a program printed, as it stands."""
        self._print("\n".join(lines), end="\n\n")
        self.parts.append(f'<pre class="output">{html.escape(chr(10).join(lines))}</pre>')

    def table(self, header, rows):
        """A table of values that are already text; the first column and columns of words stand left, numbers right."""
        widths = [max(map(len, column)) for column in zip(header, *rows)]
        left = [i == 0 or are_words(column) for i, column in enumerate(zip(*rows))]
        for row in (header, *rows):
            cells = (f"{value:{'<' if left[i] else '>'}{widths[i]}}" for i, value in enumerate(row))
            self._print("  ".join(cells).rstrip())
        self._print("")

        def line(row, tag):
            opening = (f'<{tag} class="words">' if words else f"<{tag}>" for words in left)
            cells = "".join(f"{start}{html.escape(value)}</{tag}>" for start, value in zip(opening, row))
            return f"<tr>{cells}</tr>"

        head, body = line(header, "th"), "".join(line(row, "td") for row in rows)
        self.parts.append(f'<div class="wide"><table><thead>{head}</thead><tbody>{body}</tbody></table></div>')

    def picture(self, name, draw, caption, size=(8, 4)):
        """Save what `draw(figure)` draws on a matplotlib figure as `name`.png; without matplotlib, say so."""
        self.saved_picture(name, lambda path: path.write_bytes(drawn(draw, size)), caption)

    def saved_picture(self, name, save, caption):
        """The same with what `save(path)` writes."""
        if find_spec("matplotlib") is None:
            self._print(f"(no picture {name}.png: matplotlib is missing, pip install matplotlib)\n")
            return
        self.output.mkdir(parents=True, exist_ok=True)
        path = self.output / f"{name}.png"
        save(path)
        self.pictures.append(path)
        self._print(f"[{path}] {caption}\n")
        encoded = base64.b64encode(path.read_bytes()).decode()
        self.parts.append(
            f'<figure><img alt="{html.escape(caption)}" src="data:image/png;base64,{encoded}">'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        )

    def made_by(self, command, seconds):
        """Note, under the heading, what wrote this section and how long it took."""
        self.seconds = seconds
        self.parts.insert(0, f'<p class="made"><code>{html.escape(command)}</code> {seconds:.1f} s</p>')

    @staticmethod
    def progress(steps):
        """The same steps, with a tqdm bar on a terminal; nothing is shown elsewhere, or without tqdm."""
        if find_spec("tqdm") is None:
            return steps
        from tqdm import tqdm

        return tqdm(steps, leave=False, disable=None)

    def html(self):
        """This section of the page."""
        return f'<section id="{self.anchor}"><h2>{html.escape(self.title)}</h2>{"".join(self.parts)}</section>'


def are_words(column):
    """Whether most of the cells begin with a letter, other than inf and nan."""
    filled = [cell for cell in column if cell]
    return 2 * sum(cell[0].isalpha() and cell not in ("inf", "nan") for cell in filled) > len(filled)


def drawn(draw, size):
    """The PNG file of what `draw` draws on a matplotlib figure of `size` inches."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style = {
        "axes.prop_cycle": f"cycler('color', {COLOURS})",
        "axes.grid": True,
        "grid.alpha": 0.3,
        "axes.axisbelow": True,
        "legend.frameon": False,
        "image.cmap": "cividis",
    }
    with rc_context(style):
        figure = Figure(figsize=size, layout="constrained")  # made by hand, not by pyplot, it needs no screen
        draw(figure)
        for axes in figure.axes:
            axes.spines[["top", "right"]].set_visible(False)
        image = BytesIO()
        figure.savefig(image, dpi=140, format="png")
    from PIL import Image  # comes with matplotlib

    small = BytesIO()  # 96 colours: a quarter of the bytes, and no visible difference
    palette = Image.open(image).convert("RGB").quantize(96, method=Image.Quantize.FASTOCTREE)
    palette.save(small, format="png", optimize=True)
    return small.getvalue()


def document(title, introduction, pages):
    """One self-contained HTML document: nothing in it is loaded from elsewhere. The introduction is HTML."""
    links = "".join(f'<li><a href="#{page.anchor}">{html.escape(page.title)}</a></li>' for page in pages)
    sections = "".join(page.html() for page in pages)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE.read_text()}</style></head><body>'
        f"<nav><ol>{links}</ol></nav><main><h1>{html.escape(title)}</h1>{introduction}{sections}</main>"
        "</body></html>\n"
    )


def add_options(parser):
    """The options that every section has."""
    add = parser.add_argument
    add("--output", type=Path, default=Path("notes-output"), help="folder for the results (%(default)s)")
    add("--data", type=folder, metavar="FOLDER", help="where CIFAR-10 (binary) and MNIST (idx.gz) lie, at any depth")


def folder(text):
    path = Path(text).expanduser()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is not a folder")
    return path


def alone(title, show):
    """Run one section as a program."""
    parser = argparse.ArgumentParser(description=title)
    add_options(parser)
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # each line is seen at once, also in a pipe
    start = time.perf_counter()
    show(Page(title, options.output, options.data))
    print(f"({time.perf_counter() - start:.1f} s)")
