"""The notes as a whole: every section runs, alone and in one go, and the page holds them all."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from examples.notes import SECTIONS  # noqa: E402
from examples.notes.page import Page, document  # noqa: E402

ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"}
BARE = "import sys; sys.modules['matplotlib'] = sys.modules['tqdm'] = None"
# The summary trains hundreds of networks; here each is smaller and sees the images once. Elsewhere fewer seeds.
SHORT = """
from examples.notes import analytic_gradient, random_search, summary
analytic_gradient.SEEDS = random_search.SEEDS = range(2)
whole = summary.small_task
summary.small_task = lambda data: whole(data)._replace(hidden=8, epochs=1, seeds=(0, 1), tuning_seeds=(5,))
"""


def run(folder, module, *options, before=""):
    """Run a module in `folder`. It succeeds and shows nothing on stderr: no warning, and no progress bar in a pipe."""
    script = f"import runpy, sys; {before}\nrunpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *map(str, options)],
        cwd=folder, env=ENVIRONMENT, capture_output=True, encoding="utf-8", timeout=300,
    )  # fmt: skip
    noise = [line for line in result.stderr.splitlines() if "font cache" not in line]  # matplotlib's, in its first run
    assert (result.returncode, noise) == (0, [])
    return result.stdout


class Outline(HTMLParser):
    """What a page holds: its headings, anchors, links, images, and every address that a browser would fetch."""

    def __init__(self, text):
        super().__init__()
        self.headings, self.anchors, self.links, self.images, self.fetched, self.within = [], [], [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes, self.within = dict(attributes), tag
        if tag == "section":
            self.anchors.append(attributes["id"])
        if tag == "a":
            self.links.append(attributes["href"])
        if tag == "img":
            self.images.append(attributes)
        if tag in ("link", "script", "iframe"):
            self.fetched.append(tag)
        addresses = [value for name, value in attributes.items() if name in ("src", "srcset")]
        self.fetched += [address for address in addresses if not address.startswith("data:")]

    def handle_data(self, data):
        if self.within == "h2":
            self.headings.append(data)
        if self.within == "style":
            self.fetched += re.findall("@import|url", data)

    def handle_endtag(self, tag):
        self.within = None


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The output of one run over all sections, and where it left its files."""
    folder = tmp_path_factory.mktemp("notes")
    return run(folder, "examples.notes", before=SHORT), folder / "notes-output"


@pytest.mark.parametrize("name", SECTIONS)
def test_every_section_has_what_the_run_needs(name):
    section = import_module(f"examples.notes.{name}")
    assert section.__doc__ and section.TITLE and callable(section.show)
    assert (ROOT / "examples" / "notes" / f"{name}.py").read_text().endswith(
        'if __name__ == "__main__":\n    alone(TITLE, show)\n'
    )


def test_the_run_goes_through_all_sections_and_says_how_long_each_took(whole):
    lines = whole[0].splitlines()
    assert [re.fullmatch(r" *\d+\.\d s  (\w+)", line)[1] for line in lines[: len(SECTIONS)]] == list(SECTIONS)
    assert re.fullmatch(r" *\d+\.\d s  in all", lines[-2]) and lines[-1] == str(Path("notes-output", "notes.html"))


def test_the_page_has_every_section_and_fetches_nothing(whole):
    text = (whole[1] / "notes.html").read_text(encoding="utf-8")
    outline = Outline(text)
    assert outline.headings == [import_module(f"examples.notes.{name}").TITLE for name in SECTIONS]
    assert outline.links == [f"#{anchor}" for anchor in outline.anchors] and len(set(outline.anchors)) == len(SECTIONS)
    assert outline.fetched == []
    for name in SECTIONS:
        assert f"python -m examples.notes.{name}<" in text
    sections = text.split("<section ")[1:]
    assert all("<p>" in section and "<table>" in section for section in sections)


def test_every_section_has_a_picture_where_matplotlib_is(whole):
    sections = (whole[1] / "notes.html").read_text(encoding="utf-8").split("<section ")[1:]
    if find_spec("matplotlib") is None:
        assert "<img" not in "".join(sections)
        return
    assert all('<img alt="' in section and 'src="data:image/png;base64,iVBOR' in section for section in sections)
    pictures = list(whole[1].glob("*.png"))
    assert len(pictures) >= len(SECTIONS) and len(pictures) == "".join(sections).count("<img")


def test_missing_data_is_said_with_how_to_get_it(whole):
    text = (whole[1] / "notes.html").read_text(encoding="utf-8")
    assert "No CIFAR-10 was given" in text and "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz" in text
    assert "No MNIST was given" in text and "https://github.com/cvdfoundation/mnist" in text


def test_a_section_runs_alone_without_matplotlib_and_tqdm(tmp_path):
    printed = run(tmp_path, "examples.notes.losses_for_classification", "--output", "a/b", before=BARE)
    assert printed.startswith("Losses for classification\n=====")
    assert "no picture classification-losses.png: matplotlib is missing" in printed
    assert re.search(r"\(\d+\.\d s\)\n$", printed)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("module", ["examples.notes", "examples.notes.random_search"])
def test_a_folder_that_is_none_is_refused_at_once(module, tmp_path):
    command = [sys.executable, "-m", module, "--data", "nowhere"]
    result = subprocess.run(command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, encoding="utf-8")
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].endswith("argument --data: nowhere is not a folder")


# The page itself


def test_what_a_section_writes_is_escaped_and_printed(tmp_path, capsys):
    page = Page("A < B", tmp_path)
    page.text("If `a < b`   then\n   c & d.")
    page.formula("s_y = 1     if x_nc < 2", "t")
    page.table(["name", "value", "why"], [["a<b", "1", "good"], ["c", "-20", "much better"]])
    page.output_of(["<one>", "two"])
    page.code("    if a < b:\n        c()")
    assert page.html() == (
        '<section id="a-b"><h2>A &lt; B</h2><p>If <code>a &lt; b</code> then c &amp; d.</p>'
        '<table class="formula"><tr><td>s<sub>y</sub> = 1</td><td>if x<sub>nc</sub> &lt; 2</td></tr>'
        "<tr><td>t</td></tr></table>"
        '<div class="wide"><table><thead><tr><th class="words">name</th><th>value</th><th class="words">why</th></tr>'
        "</thead>"
        '<tbody><tr><td class="words">a&lt;b</td><td>1</td><td class="words">good</td></tr>'
        '<tr><td class="words">c</td><td>-20</td><td class="words">much better</td></tr></tbody></table></div>'
        '<pre class="output">&lt;one&gt;\ntwo</pre><pre><code>if a &lt; b:\n    c()</code></pre></section>'
    )
    assert capsys.readouterr().out == (
        "A < B\n=====\n\nIf `a < b` then c & d.\n\n    s_y = 1     if x_nc < 2\n    t\n\n"
        "name  value  why\na<b       1  good\nc       -20  much better\n\n<one>\ntwo\n\n"
    )


def test_a_quiet_page_prints_nothing(tmp_path, capsys):
    page = Page("Title", tmp_path, quiet=True)
    page.text("Words.")
    page.table(["a"], [["1"]])
    assert list(page.progress([1, 2])) == [1, 2]
    assert capsys.readouterr() == ("", "")
    assert document("T", "<p>I</p>", [page]).count("Words.") == 1
