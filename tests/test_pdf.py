"The book on paper: its order, its links. That nothing is cut of it: `browser.py`."

import pytest

from poc_book.checks import BadInput

for name in ("bs4", "playwright", "pypdf"):
    pytest.importorskip(name, reason=f"no {name}: install the extra [site]")

from pypdf import PdfWriter  # noqa: E402
from pypdf.annotations import Link  # noqa: E402

from poc_book.pdf import _soup, article, contents, lead, press  # noqa: E402

SIDEBAR = """<div class="sidebar-tree">
<p class="caption">Lines</p><ul><li><a class="reference" href="01_line.html">The line</a></li></ul>
<p class="caption">The engine</p><ul><li><a class="reference" href="92_batch.html">Batch</a></li></ul>
<p class="caption">Reference</p><ul><li><a class="reference" href="runs.html">Runs</a></li>
<li><a class="reference" href="glossary.html">Symbols</a></li></ul></div>"""


def test_the_engine_stays_out_and_the_symbols_stay(tmp_path):
    (tmp_path / "index.html").write_text(SIDEBAR)
    assert contents(tmp_path) == {
        "": {"index": "The book"},
        "Lines": {"01_line": "The line"},
        "Reference": {"glossary": "Symbols"},
    }


def test_a_fold_is_printed_open_with_the_picture_that_a_browser_fetches_late(tmp_path):
    fold = '<details class="paper"><summary>A</summary><img src="a.webp" loading="lazy"></details>'
    (tmp_path / "a.html").write_text(f"<article>{fold}</article>")
    printed = article(_soup(tmp_path / "a.html"), "a", set())
    assert '<details class="paper" open="">' in printed and '<img src="a.webp"/>' in printed


@pytest.mark.parametrize("online", [None, "https://book.test/"])
def test_a_link_leads_within_the_book_online_or_nowhere(online):
    pages = PdfWriter()
    page = pages.add_blank_page(100, 100)
    pages.add_named_destination("/01_line--law", 0)
    for path in ("http://book.invalid/01_line.html#law", "http://book.invalid/api/x.html"):
        pages.add_annotation(page, Link(rect=(0, 0, 9, 9), url=path))
    pages.add_annotation(page, Link(rect=(0, 0, 9, 9), url="https://far.test/"))
    lead(pages, online)
    links = [one.get_object() for one in page["/Annots"]]
    away = [str(link["/A"]["/URI"]) for link in links if "/A" in link]
    assert sum("/Dest" in link for link in links) == 1
    assert away == (["https://book.test/api/x.html"] if online else []) + ["https://far.test/"]


def test_no_chromium_is_refused_in_a_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    with pytest.raises(BadInput, match=r"^Chromium = 'none here': one that runs, named chromium"):
        with press(tmp_path):
            raise AssertionError("it ran")
