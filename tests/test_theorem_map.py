"""The theorem map points to cells and tests that exist, reads what these cells record and nothing
else, and misses no result.

Read from the sources: nothing is computed."""

import ast
import json
import re
from collections import Counter
from functools import cache

from conftest import CHECKOUT

from poc_book.settings import open_book
from poc_book.sources import needs

REQUIRED = (
    "Lemma 1",
    "Lemma 5",
    "Equation (3)",
    "J_max, two ways",
    "J_avg, two ways",
    "LSC, He_4",
    "Theorem 9, dimension",
    "Inequality (8)",
    "Definition 11",
    "Lemma 12",
    "Lemmas 13-15, interaction",
    "Lemmas 13-15, local",
    "Lemmas 13-15, source",
    "Lemma 49",
    "Lemma 50",
    "Remark 17",
    "Remark 18",
    "Section B.3, unconstrained",
    "Balanced Interaction Lemma",
    "Negative example",
    "Proposition 47",
    "Figure 2",
)
MUST_FAIL = {
    "Average stability, he2",
    "Average stability, staircase",
    "D along a path, six teachers",
    "LSC, Circle",
    "LSC, Misspecified",
    "Remark 17",
    "Section B.3, unconstrained",
    "Follow-up, second condition",
}


@cache
def calls(name: str) -> list[tuple[str, ast.Call]]:
    "(cell, call) of every call in a notebook."
    cells = json.loads((CHECKOUT / "nbs" / f"{name}.ipynb").read_text())["cells"]
    trees = [(c["id"], ast.parse("".join(c["source"]))) for c in cells if c["cell_type"] == "code"]
    return [
        (cell, node)
        for cell, tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    ]


def map_rows() -> list[tuple[str, ...]]:
    "(name, says, cell, test) of every row, without a test where it has none."
    found = [call for _, call in calls("theorem_map") if getattr(call.func, "id", "") == "row"]
    return [tuple(map(ast.literal_eval, call.args)) for call in found]


def margins(name: str) -> list[tuple[str, ast.Call]]:
    "(cell, call) of every result that a notebook records."
    return [
        (cell, call) for cell, call in calls(name) if ast.unparse(call.func) == "chapter.margin"
    ]


def recorded() -> Counter:
    "(result, chapter#cell) of all chapters."
    names = {page.notebook.stem for page in open_book(CHECKOUT).chapters.values()}
    return Counter(
        (ast.literal_eval(call.args[0]), f"{name}#{cell}")
        for name in names
        for cell, call in margins(name)
    )


def test_every_row_is_recorded_by_its_cell_and_every_record_has_a_row():
    rows = Counter((name, cell) for name, _, cell, *_ in map_rows())
    assert len(rows) > 30 and set(rows.values()) == {1}
    assert recorded() == rows


def test_every_unit_test_named_exists():
    for name, _, _, *test in map_rows():
        if not test:
            continue
        module, _, function = test[0].partition("::")
        source = (CHECKOUT / "tests" / f"{module}.py").read_text()
        assert re.search(rf"^def {function}\(", source, re.MULTILINE), (name, test)


def test_the_map_runs_after_the_chapters_it_reads():
    chapters = {cell.partition("#")[0] for _, _, cell, *_ in map_rows()} - {"theorem_map"}
    assert set(needs(open_book(CHECKOUT), "theorem_map")) == chapters


def test_no_result_is_missing():
    names = {name for name, *_ in map_rows()}
    assert names.issuperset(REQUIRED)


def test_what_must_fail_is_recorded_as_failing():
    chapters = {cell.partition("#")[0] for _, _, cell, *_ in map_rows()}
    found = [call for name in chapters for _, call in margins(name)]
    fails = {
        ast.literal_eval(call.args[0])
        for call in found
        if len(call.args) > 3 and "fails" in ast.unparse(call.args[3])
    }
    assert fails == MUST_FAIL
