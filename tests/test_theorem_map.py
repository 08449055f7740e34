"The rows of the theorem map point to cells and tests that exist, and none of the results the book speaks of is missing."
import ast
import json
import re

from conftest import CHECKOUT

REQUIRED = (
    "Lemma 1", "Lemma 5", "Equation (3)", "J_max, two ways", "J_avg, two ways", "LSC, He_4", "Theorem 7",
    "Theorem 9, dimension", "Inequality (8)", "Definition 11", "Lemma 12", "Lemmas 13-15, interaction", "Lemmas 13-15, local",
    "Lemmas 13-15, source", "Lemma 49", "Lemma 50", "Remark 17", "Remark 18", "Section B.3, unconstrained",
    "Balanced Interaction Lemma", "Negative example", "Proposition 47", "Figure 2")


def cells(name):
    return json.loads((CHECKOUT / "nbs" / f"{name}.ipynb").read_text())["cells"]


def map_rows():
    "(name, cell, test) of every row, read from the source of the notebook."
    trees = [ast.parse("".join(c["source"])) for c in cells("theorem_map") if c["cell_type"] == "code"]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    marks = [d for f in calls for d in f.decorator_list if isinstance(d, ast.Call) and getattr(d.func, "id", "") == "row"]
    return [tuple(ast.literal_eval(d.args[i]) for i in (0, 2, 3)) for d in marks]


def test_every_row_points_to_a_cell_and_a_test_that_exist():
    rows = map_rows()
    assert len(rows) > 20
    for name, cell, test in rows:
        chapter, _, mark = cell.partition("#")
        assert mark == "row" or mark in {c["id"] for c in cells(chapter)}, (name, cell)
        if test == "this row": continue
        module, _, function = test.partition("::")
        assert re.search(rf"^def {function}\(", (CHECKOUT / "tests" / f"{module}.py").read_text(), re.MULTILINE), (name, test)


def test_no_result_is_missing():
    source = "".join("".join(c["source"]) for c in cells("theorem_map"))
    for name in REQUIRED: assert f'"{name}"' in source, name
