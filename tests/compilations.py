"""After a batch at smoke size: no chapter compiles more programs than `benchmarks/chapters.json`
says.

Counted are the programs that a chapter's process asks for, also those it finds in the kept cache:
one for each compiled function and each shape it is called with. Stated is what was counted and a
seventh more, for other versions of JAX. A chapter that needs more has most likely met a new shape,
or works eagerly on small arrays."""

import json

import pytest
from conftest import CHECKOUT

STATED = json.loads((CHECKOUT / "benchmarks" / "chapters.json").read_text())["smoke"]


def test_every_chapter_has_a_number():
    assert STATED.keys() == {p.parent.name for p in made()}


def made():
    return sorted((CHECKOUT / "build" / "smoke").glob("*/provenance.json"))


@pytest.mark.parametrize("chapter", STATED)
def test_a_chapter_compiles_no_more_programs_than_stated(chapter):
    work = json.loads((CHECKOUT / "build" / "smoke" / chapter / "provenance.json").read_text())[
        "work"
    ]
    programs = work.get("programs", 0)  # none where a page draws what others have computed
    print(f"{chapter}: {programs} programs of {STATED[chapter]['programs']}")
    assert 0 <= programs <= STATED[chapter]["programs"]
