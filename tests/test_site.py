"The site: what becomes of a chapter. Its pages in a real browser: `browser.py`."

import json
import re
import shutil
from html.parser import HTMLParser

import pytest
from conftest import CHECKOUT, TinyBook

from poc_book.batch import fresh
from poc_book.settings import open_book

pytestmark = pytest.mark.slow

pytest.importorskip("sphinx", reason="no Sphinx: install the extra [site]")

from poc_book.site import write_page  # noqa: E402


@pytest.fixture
def tiny(made: TinyBook) -> TinyBook:
    "The finished tiny book with all that a site needs."
    for name in ("site", "frames", "quarto"):
        shutil.copy(CHECKOUT / "poc_book" / f"{name}.py", made.root / "poc_book")
    shutil.copytree(CHECKOUT / "docs", made.root / "docs")
    shutil.copytree(CHECKOUT / "poc_book" / "data", made.root / "poc_book" / "data")
    (made.root / "README.md").write_text("# Tiny\n## What to expect\nSeconds.\n")
    contents = {
        "website": {
            "title": "Tiny",
            "description": "Two chapters.",
            "sidebar": {
                "contents": [
                    "index.ipynb",
                    {"section": "Lines", "contents": ["01_line.ipynb", "02_square.ipynb"]},
                ]
            },
        }
    }
    (made.root / "_quarto.yml").write_text(json.dumps(contents))
    text = "Read [the line](01_line.ipynb), equation (1.1) of Chapter 1, and `curve.value(1)`."
    write(made, "index", "# Tiny\n> A book.", text)
    for name in ("01_line", "02_square"):
        formula = f"$$y=x\\tag{{{int(name[:2])}.1}}$$"
        title = dict(
            cell_type="markdown",
            id="title",
            metadata={},
            source=f"# {name}\n> A chapter.\n\n{formula}",
        )
        path = made.root / "nbs" / f"{name}.ipynb"
        notebook = json.loads(path.read_text())
        aside = dict(
            cell_type="code",
            id="aside",
            metadata={},
            outputs=[],
            execution_count=None,
            source="import sys\nprint('said', 'of itself')\nprint('noise', 'of a run', "
            "file=sys.stderr)\nchapter.margin('One', 1.0, 2.0)",
        )
        path.write_text(json.dumps(notebook | {"cells": [title, *notebook["cells"], aside]}))
    return made


def write(book: TinyBook, name: str, *texts: str) -> None:
    cells = [
        dict(cell_type="markdown", id=f"m{i}", metadata={}, source=text)
        for i, text in enumerate(texts)
    ]
    (book.root / "nbs" / f"{name}.ipynb").write_text(
        json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5))
    )


def test_a_site_from_one_command_and_a_broken_link_that_leaves_it_standing(tiny):
    made = tiny.run("site", "--profile", "smoke")
    assert made.returncode == 0, made.stderr
    site = tiny.home / "site"
    page = (site / "01_line.html").read_text()
    assert (
        'alt="A line."' in page
        and "redraw:" in page
        and "from poc_book.curve import value" in re.sub("<[^>]*>", "", page)
    )
    assert "said of itself" in page and "noise of a run" not in page
    words = lambda page: re.sub(r"\s+", " ", re.sub("<[^>]*>", "", page))
    caption = r"Values \(y\) at steps."  # and no dollars
    assert f"Figure 1.1. {caption}" in words(page)
    assert f"Figure 2.1. {caption}" in words((site / "gallery.html").read_text())
    for kind in ("svg", "nc", "json"):
        assert f'href="files/01_line/line.{kind}"' in page
    assert (site / "files/01_line/line.nc").read_bytes() == (
        tiny.home / "01_line" / "line.nc"
    ).read_bytes()
    first = (site / "index.html").read_text()
    assert "Tiny" in first and "Seconds." in (site / "expect.html").read_text()
    assert 'id="eq-1.1"' in page and 'id="eq-1.1"' not in (site / "02_square.html").read_text()
    for link in ("01_line.html#eq-1.1", "01_line.html", "api/curve.html#poc_book.curve.value"):
        assert f'<a class="reference internal" href="{link}">' in first
    assert "- [02_square](02_square.html): A chapter." in (site / "llms.txt").read_text()

    path = tiny.root / "nbs" / "01_line.ipynb"
    path.write_text(path.read_text().replace("A chapter.", "A line, and what it is."))
    assert fresh(open_book(tiny.root), "smoke", "01_line")  # prose runs nothing
    numbers = {("01_line", "line"): "Figure 1.1"}
    place = tiny.root / "page"
    now = write_page(open_book(tiny.root), "smoke", "01_line", place, numbers)["cells"]
    assert "what it is" in str(now[0]) and "said of itself" in str(now[-1])

    old = (site / "index.html").read_bytes()
    write(tiny, "index", "# Tiny\n> A book.", "Read [nothing](03_none.ipynb).")
    (tiny.home / ".partial-site-killed" / "pages").mkdir(parents=True)
    (tiny.home / ".partial-site-killed" / ".lock").touch()
    broken = tiny.run("site", "--profile", "smoke")
    assert broken.returncode == 1 and "03_none.ipynb" in broken.stderr
    assert (site / "index.html").read_bytes() == old
    assert not list(tiny.home.glob(".partial-*"))


class Handlers(HTMLParser):
    "Everything in a page that a browser would run and that says `ran`."

    def __init__(self, text: str):
        super().__init__()
        self.found, self.inside = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.inside = tag
        self.found += [
            f"{k}={v}"
            for k, v in attrs
            if (k.startswith("on") or "javascript:" in (v or "")) and "ran(" in (v or "")
        ]

    def handle_data(self, data):
        if self.inside == "script" and "ran(" in data:
            self.found.append(data)


HOSTILE = r"""A line \" onload=\"ran()\" ' onload='ran()' <script>ran()</script> <img src=x onerror=ran()>"""


def test_a_site_published_by_github_opens_notebooks_elsewhere_and_runs_nothing_from_data(
    tiny, monkeypatch
):
    assert (
        len(
            Handlers(
                '<img onload="ran()"><script>ran()</script><a href="javascript:ran()">a</a>'
            ).found
        )
        == 3
    )
    path = tiny.root / "nbs" / "01_line.ipynb"
    notebook = json.loads(path.read_text())
    for cell in notebook["cells"]:
        cell["source"] = cell["source"].replace("A line.", HOSTILE).replace("at steps.", HOSTILE)
    path.write_text(json.dumps(notebook))
    monkeypatch.setenv("GITHUB_REPOSITORY", "somebody/book")
    assert tiny.run("site", "--profile", "smoke").returncode == 0
    for text in (p.read_text() for p in (tiny.home / "site").glob("*.html")):
        assert Handlers(text).found == []
    assert "ran()" in (tiny.home / "site" / "01_line.html").read_text()
    page = (tiny.home / "site" / "01_line.html").read_text()
    assert "mybinder.org/v2/gh/somebody/book/main?labpath=nbs/01_line.ipynb" in page
    assert "colab" not in page.lower()  # which has no step that installs the book
    address = "https://somebody.github.io/book/"
    assert f'<meta property="og:url" content="{address}01_line.html">' in page
    assert f"<loc>{address}02_square.html</loc>" in (tiny.home / "site/sitemap.xml").read_text()


def test_a_page_shows_its_figures_at_the_papers_sizes_and_says_what_was_not_run(tiny):
    tiny.settings("[smoke]\nseed = 0\n[paper]\nseed = 0\n[paper:01_line]\nsteps = 5\n")
    kept = tiny.root / "results" / "paper"
    assert tiny.run("paper", "--seconds", "300").returncode == 0
    (kept / "02_square").rename(tiny.root / "aside")
    assert tiny.run("site", "--profile", "smoke").returncode == 0

    site, record = tiny.home / "site", json.loads((kept / "01_line" / "line.json").read_text())
    cpu, commit, date = record["device"]["cpu"], record["commit"][:9], record["created"]
    page, other, runs = ((site / f"{n}.html").read_text() for n in ("01_line", "02_square", "runs"))
    said = f"At the paper's sizes: CPU {cpu}, commit {commit}, {date[:10]}"
    fold = re.search(r'<details class="paper"><summary>(.*?)</summary>(.*?)</details>', page, re.S)
    assert fold[1] == said and "<code>steps = 5</code>." in fold[2]
    assert "Figure 1.1 at the paper's sizes." in fold[2] and 'alt="A line."' in fold[2]
    picture = re.search(r'<img src="(.*?)".* width="(\d+)" height="(\d+)" loading="lazy"', fold[2])
    assert (kept / "01_line" / "line.webp").read_bytes() == (site / picture[1]).read_bytes()
    own = re.search(r'<img src="files/01_line/line.svg".* width="(\d+)" height="(\d+)"', page)
    assert picture.groups()[1:] == own.groups()
    for kind in ("nc", "json"):
        assert f'href="files/01_line/paper/line.{kind}"' in fold[2]
        assert (site / f"files/01_line/paper/line.{kind}").is_file()
    words = lambda page: re.sub(r"\s+", " ", re.sub("<[^>]*>", "", page))
    assert f"sizes: run on CPU {cpu} ·" in words(page)
    assert "not run at the paper’s sizes ·" in words(other) and 'class="paper"' not in other
    row = f"01_line up to date {{}} {{}} CPU {cpu} {date[:16].replace('T', ' ')} {commit} "
    seconds, mib = re.search(re.escape(row).replace(r"\{\}", r"(\d+)"), words(runs)).groups()
    assert int(seconds) < 300 and int(mib) > 10
    assert "02_square not run - - - - -" in words(runs)

    (tiny.root / "aside").rename(kept / "02_square")
    opened, square = open_book(tiny.root), {("02_square", "square"): "Figure 2.1"}
    same = str(write_page(opened, "smoke", "02_square", tiny.root / "same", square))
    assert "sizes: [run](runs.md) on CPU" in same and 'class="paper"' not in same  # the same data

    tiny.module("curve", "def value(i): return 2 * i\n")
    numbers = {("01_line", "line"): "Figure 1.1"}
    now = str(write_page(opened, "smoke", "01_line", tiny.root / "page", numbers))
    assert f"{said}, by other code or sizes" in now.replace("\\'", "'")
    assert "[run](runs.md) by other code or sizes on CPU" in now
    now = str(write_page(opened, "paper", "01_line", tiny.root / "large", numbers))
    assert 'class="paper"' not in now and "at profile paper" in now and "paper's sizes" not in now


def test_a_page_of_an_experiment_shows_its_run_at_the_papers_sizes(tiny):
    head = "profile = 'smoke'\nout = None\nproblem = 'he4'\nsize = 1"
    tiny.notebook("03_each", head, "print(problem)")
    for problem in ("he4", "circle", "xor4"):
        made = tiny.run("figures", "--profile", "smoke", "--only", f"03_each_{problem}")
        assert made.returncode == 0, made.stderr
    path = tiny.root / "nbs" / "03_each.ipynb"
    notebook = json.loads(path.read_text())
    title = dict(cell_type="markdown", id="title", metadata={}, source="# Each\n> One.")
    path.write_text(json.dumps(notebook | {"cells": [title, *notebook["cells"]]}))
    kept = tiny.root / "results" / "paper"
    kept.mkdir(parents=True)
    for name in ("he4", "circle_drawn", "xor4_budget"):
        (kept / f"{name}.nc").touch()
    shown, absent = "a run at the paper's sizes is on this page", "not run at the paper's sizes"
    for problem, said in dict(he4=shown, circle=shown, xor4=absent).items():
        name = f"03_each_{problem}"
        page = write_page(open_book(tiny.root), "smoke", name, tiny.root / name, {})
        assert f" ·\n{said} ·\n" in page.cells[1].source


def test_a_site_of_an_unknown_profile_is_refused_in_one_line(book):
    for name in ("site", "frames"):
        shutil.copy(CHECKOUT / "poc_book" / f"{name}.py", book.root / "poc_book")
    refused = book.run("site", "--profile", "huge")
    assert (
        refused.returncode == 2
        and refused.stderr.count("\n") == 1
        and "profile = 'huge'" in refused.stderr
    )
