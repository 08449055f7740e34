"""The notebooks as one opens them: their parameters, what their cells import, a chapter without a
batch."""

import ast
import re
import shutil
import signal
import sys
import tomllib
from importlib.metadata import packages_distributions, requires

import nbformat
import pytest
from conftest import CHECKOUT
from nbclient import NotebookClient
from nbdev import test as nbdev
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from poc_book.chapter import Chapter
from poc_book.checks import BadInput, check_kinds, declared, read_cells
from poc_book.settings import find_chapters, open_book
from poc_book.sources import parsed

NOTEBOOKS = sorted((CHECKOUT / "nbs").glob("*.ipynb"))
CHAPTERS = sorted({page.notebook for page in find_chapters(CHECKOUT).values()})
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]


def codes(notebook, tag=None) -> list[str]:
    return [
        c["source"]
        for c in read_cells(notebook)
        if c["type"] == "code" and (tag is None or tag in c["tags"])
    ]


@pytest.mark.slow
@pytest.mark.parametrize("notebook", sorted({*NOTEBOOKS} - {*CHAPTERS}), ids=lambda p: p.stem)
def test_a_notebook_of_the_engine_runs(notebook, monkeypatch):
    """As `nbdev-test` does it, here where libraries are imported; chapters run at smoke size in a
    batch."""
    monkeypatch.delenv("POC_BOOK_TEMPLATE", raising=False)  # of the tiny books
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        assert nbdev.test_nb(notebook)[0]
    finally:
        signal.signal(signal.SIGINT, interrupt)


@pytest.mark.parametrize("notebook", CHAPTERS, ids=lambda p: p.stem)
def test_every_parameter_says_at_its_line_what_it_is(notebook):
    (code,) = codes(notebook, "parameters")
    said = dict(re.findall(r"^(\w+) = .*?  # (\S.{8,})$", code, re.M))
    assert said.keys() == declared(notebook).keys()


@pytest.mark.parametrize("notebook", CHAPTERS, ids=lambda p: p.stem)
def test_a_chapter_refuses_a_parameter_of_the_wrong_kind_by_its_name(notebook):
    "As `papermill -p widths 64` gives it."
    own = f'Chapter.of("{notebook.stem}", globals())'
    draws = "chapter." in "\n".join(codes(notebook))
    assert (own in "\n".join(codes(notebook))) == draws
    values = declared(notebook)
    for name in values.keys() - {"profile", "out"}:
        bad = 64 if isinstance(values[name], (list, str)) else "64"
        with pytest.raises(BadInput, match=f"^{name} = "):
            Chapter.of(notebook.stem, values | {name: bad})


def test_the_kinds_of_every_profile_are_those_of_the_defaults():
    book = open_book(CHECKOUT)
    for profile in book.profiles.values():
        for chapter, values in profile.items():
            check_kinds(book.chapters[chapter].notebook, values)


def names(requirements) -> set[str]:
    return {canonicalize_name(Requirement(r).name) for r in requirements}


def installed(wanted: set[str]) -> set[str]:
    "These distributions and all that they need."
    found, todo = set(), set(wanted)
    while todo:
        one = todo.pop()
        found.add(one)
        needed = [
            r
            for r in map(Requirement, requires(one) or [])
            if r.marker is None or r.marker.evaluate({"extra": ""})
        ]
        todo |= {canonicalize_name(r.name) for r in needed} - found
    return found


def pinned(text: str) -> set[str]:
    return names(line for line in text.splitlines() if line and line[0] != "#")


def test_what_the_cells_import_is_what_binder_installs_and_what_make_lab_has():
    nodes = [
        n
        for notebook in NOTEBOOKS
        if notebook.stem != "95_pdf"  # which needs Chromium, and the extra [site]
        for code in codes(notebook)
        for n in ast.walk(parsed(code))
    ]
    modules = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
    modules |= {n.module for n in nodes if isinstance(n, ast.ImportFrom) and not n.level}
    modules = {m.partition(".")[0] for m in modules} - sys.stdlib_module_names - {"poc_book"}
    owners = packages_distributions()
    needed = {canonicalize_name(owners[m][0]) for m in modules}

    lines = (CHECKOUT / ".binder" / "requirements.txt").read_text().splitlines()
    # a path from this file, and one from the book
    assert lines[:2] == [
        "--constraint ../constraints.txt",
        "--editable .[book]",
    ]
    own = names(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["book"])
    assert needed <= installed(own | names(lines[2:])) and needed <= installed(own | {"fastcore"})
    assert needed - installed(own) == {"fastcore"}
    lab = names(PROJECT["optional-dependencies"]["lab"])
    assert lab == {"fastcore", "jupyterlab"} and needed | lab <= pinned(
        (CHECKOUT / "constraints.txt").read_text()
    )


def test_only_make_lab_installs_jupyterlab():
    first, lab = (CHECKOUT / "constraints.txt").read_text().split("# only for `make lab`\n")
    assert "jupyterlab" in pinned(lab) and not {
        "jupyterlab",
        "jupyter-server",
        "notebook",
    } & pinned(first)
    for extra in ("book", "dev", "site", "cluster"):
        assert names(PROJECT["optional-dependencies"][extra]) <= pinned(first)
    both = pinned(first) & pinned(lab)  # for more systems there than here, and of one version
    versions = dict(re.findall(r"^(\S+?)==(\S+)", first, re.M))
    assert all(f"\n{name}=={versions[name]}" in f"\n{lab}" for name in both)


@pytest.mark.slow
def test_a_chapter_runs_from_its_first_cell_to_its_last_without_a_batch(tmp_path, monkeypatch):
    "The one that reads what others have found, in a book where nobody has run any."
    for folder in ("nbs", "poc_book"):
        shutil.copytree(CHECKOUT / folder, tmp_path / folder)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    before = sorted(tmp_path.rglob("*.[!p]*"))
    notebook = nbformat.read(tmp_path / "nbs" / "theorem_map.ipynb", 4)
    NotebookClient(
        notebook, kernel_name="python3", resources={"metadata": {"path": str(tmp_path / "nbs")}}
    ).execute()
    run = [c for c in notebook.cells if c.cell_type == "code" and c.source]
    assert all(
        c.execution_count for c in run
    ) and "06_coupling has not been run: make figures" in str(run)
    assert sorted(tmp_path.rglob("*.[!p]*")) == before  # nothing is written
