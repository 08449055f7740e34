"""What prose names by number exists, once and in order: equations, chapters, works. How it becomes a
link is seen in `test_site.py` and `browser.py`."""

import re
import sys
from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from conftest import CHECKOUT

from poc_book.checks import read_cells

pytest.importorskip("sphinx", reason="no Sphinx: install the extra [site]")
from pybtex.database import parse_file

sys.path.insert(0, str(CHECKOUT / "docs"))
import _links

WEBSITE = yaml.safe_load((CHECKOUT / "_quarto.yml").read_text())["website"]
FIRST, *SECTIONS = WEBSITE["sidebar"]["contents"]
ORDER = [FIRST, *(name for section in SECTIONS for name in section["contents"])]
NOTEBOOKS = [CHECKOUT / "nbs" / Path(name).name for name in ORDER]
PROSE = {
    notebook.stem: "\n\n".join(
        cell["source"] for cell in read_cells(notebook) if cell["type"] == "markdown"
    )
    for notebook in NOTEBOOKS
} | {"glossary": (CHECKOUT / "docs/glossary.md").read_text()}
CODE = {path.stem: path.read_text() for path in (CHECKOUT / "poc_book").glob("*.py")}
TAGS = {name: _links.TAG.findall(text) for name, text in PROSE.items()}
KNOWN = {tag for tags in TAGS.values() for tag in tags}


def test_equations_are_numbered_in_order_by_chapter():
    numbers = defaultdict(list)
    for name, tags in TAGS.items():
        for tag in tags:
            chapter, number = map(int, tag.split("."))
            assert chapter == int(name[:2]), (name, tag)
            numbers[chapter].append(number)
    assert len(KNOWN) > 15
    assert all(found == [*range(1, len(found) + 1)] for found in numbers.values()), numbers


def test_an_equation_has_a_number_where_it_is_used_again_and_only_there():
    prose = re.sub(r"(\$+).*?\1", "", "\n".join(PROSE.values()), flags=re.S)
    named = set(re.findall(r"\((\d+\.\d+)\)", prose))
    named |= set(re.findall(r"equation\s+\((\d+\.\d+)\)", "\n".join(CODE.values())))
    assert named == KNOWN


def test_every_chapter_that_is_named_exists():
    known = _links.chapters(CHECKOUT / "_quarto.yml")
    for name, text in PROSE.items():
        named = re.findall(r"[Cc]hapters? (\d+)(?: and (\d+))?", text)
        numbers = {number for pair in named for number in pair if number}
        assert {f"Chapter {number}" for number in numbers} <= known.keys(), name


def test_every_work_that_is_cited_has_an_entry():
    works = _links.works(parse_file(CHECKOUT / "poc_book/data/references.bib").entries)
    cited = _links.pattern(works)
    assert cited.sub("", "(Baik, Ben Arous and Péché\n2005) and Nitanda (2024)") == "() and "
    for name, text in PROSE.items():
        left = cited.sub("", text).replace("COLT 2025", "")
        assert re.findall(r"\b(?:[A-Z][\w-]+|others|al\.),?\s\(?(?:19|20)\d\d\b.*", left) == [], (
            name
        )
