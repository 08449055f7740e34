"""After a batch at smoke size: no chapter compiles more programs than `benchmarks/chapters.json` says.

Counted are the programs that a chapter's process asks for, also those it finds in the kept cache: one for each compiled function
and each shape it is called with. A chapter that needs more has most likely met a new shape, or works eagerly on small arrays."""
import json

import pytest
from conftest import CHECKOUT

STATED = json.loads((CHECKOUT / "benchmarks" / "chapters.json").read_text())["smoke"]


def test_every_chapter_has_a_number(): assert STATED.keys() == {p.parent.name for p in made()}


def made(): return sorted((CHECKOUT / "build" / "smoke").glob("*/provenance.json"))


@pytest.mark.parametrize("chapter", STATED)
def test_a_chapter_compiles_no_more_programs_than_stated(chapter):
    work = json.loads((CHECKOUT / "build" / "smoke" / chapter / "provenance.json").read_text())["work"]
    print(f"{chapter}: {work['programs']} programs of {STATED[chapter]['programs']}")
    assert 0 <= work["programs"] <= STATED[chapter]["programs"]
