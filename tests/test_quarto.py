"""What can be said of Quarto's site without Quarto: its file, what nbdev and the book's filter hand
to it, and the folder that it renders."""

import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import yaml
from conftest import CHECKOUT
from fastcore.nbio import read_nb
from IPython.core.formatters import DisplayFormatter
from IPython.display import Image
from nbdev.processors import FilterDefaults

from poc_book import quarto
from poc_book.checks import BadInput

NOTEBOOKS = sorted(p.stem for p in (CHECKOUT / "nbs").glob("*.ipynb"))
KNOWN = {  # the keys of Quarto's reference for websites that this file may use
    "": {"project", "execute", "ipynb-filters", "website", "format"},
    "project": {"type", "output-dir", "render"},
    "execute": {"enabled"},
    "website": {"title", "description", "sidebar"},
    "website.sidebar": {"style", "contents"},
    "format": {"html"},
    "format.html": {"theme", "toc", "html-math-method"},
}
OPTIONS = {"code-fold", "code-summary", "fig-alt", "fig-cap"}  # of a cell


def read(name: str) -> dict:
    return json.loads((CHECKOUT / "nbs" / f"{name}.ipynb").read_text())


def codes(cells) -> list[str]:
    return ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]


def test_the_file_uses_documented_keys_and_lists_every_notebook_once():
    text = (CHECKOUT / "_quarto.yml").read_text()
    site = yaml.safe_load(text)
    for path, known in KNOWN.items():
        node = site
        for key in filter(None, path.split(".")):
            node = node[key]
        assert set(node) <= known, path
    assert site["project"]["type"] == "website" and site["project"]["render"] == ["nbs/*.ipynb"]
    assert site["ipynb-filters"] == ["poc_book/quarto.py"]
    assert sorted(re.findall(r"- nbs/(\w+)\.ipynb", text)) == NOTEBOOKS


@pytest.fixture(scope="module")
def processed():
    "Every notebook as nbdev hands it to Quarto; a warning is an error."
    here = os.getcwd()
    os.chdir(CHECKOUT)  # nbdev looks for its settings from there
    try:
        found = {name: read_nb(CHECKOUT / "nbs" / f"{name}.ipynb") for name in NOTEBOOKS}
        with warnings.catch_warnings(action="error"):
            for notebook in found.values():
                FilterDefaults()(notebook)
    finally:
        os.chdir(here)
    return found


def test_a_title_and_one_line_head_every_notebook(processed):
    for name, notebook in processed.items():
        first = "".join(read(name)["cells"][0]["source"])
        assert re.fullmatch(r"# .+\n> .{1,120}", first), name
        head = yaml.safe_load(notebook.cells[0].source.strip().strip("-"))
        own = quarto.filtered(read(name))["cells"][0]
        assert head.items() >= yaml.safe_load("".join(own["source"][1:-1])).items(), name
        assert f"# {head['title']}\n> {head['description']}" == first, name
    files = [
        yaml.safe_load(p.cells[0].source.strip().strip("-"))["output-file"]
        for p in processed.values()
    ]
    assert len({*files}) == len(files)


def test_code_is_shown_with_options_of_quarto_and_no_other_directive(processed):
    for name, notebook in processed.items():
        shown = codes(notebook.cells)
        assert shown == codes(quarto.filtered(read(name))["cells"]), name
        for code in shown:
            lines = re.findall(r"^#\s*\|(.*)", code, re.M)
            assert (yaml.safe_load("\n".join(lines)) or {}).keys() <= OPTIONS, (name, lines)
        exported = [c for c in codes(read(name)["cells"]) if re.match(r"#\s*\|\s*export", c)]
        missing = [c for c in exported if not any(c.split("\n", 1)[1] in code for code in shown)]
        assert not missing, name
        assert "from fastcore.test import" not in "\n".join(shown), name  # hidden everywhere


def test_every_link_leads_to_a_notebook(processed):
    for name, notebook in processed.items():
        prose = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
        links = re.findall(r"[^`]\[[^\]]*\]\(([^)\s]+)\)", re.sub(r"`[^`]*`|\$[^$]*\$", "", prose))
        inside = [link for link in links if not link.startswith("https://")]
        assert {*inside} <= {f"{other}.ipynb" for other in NOTEBOOKS}, name


def test_the_filter_runs_as_a_program_with_the_standard_library_alone():
    names = {p.stem for p in (CHECKOUT / "poc_book").glob("*.py")}
    assert names & sys.stdlib_module_names == {
        "site"
    }  # beside the filter, on the path of its imports
    text = (CHECKOUT / "nbs" / "02_pairs.ipynb").read_text()
    command = [sys.executable, "-S", CHECKOUT / "poc_book" / "quarto.py"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == quarto.filtered(json.loads(text)) and not done.stderr


def test_outputs_have_words_and_no_scripts_from_elsewhere():
    picture, meta = DisplayFormatter().format(Image(b"\x89PNG", format="png", alt="It's a line."))
    shown = lambda meta=(), **data: dict(output_type="display_data", data=data, metadata=dict(meta))
    outputs = [
        dict(output_type="stream", name="stderr", text="noise"),
        dict(output_type="stream", name="stdout", text=["one\n", "two\n"]),
        shown(meta, **picture),
        shown(**{"text/markdown": ["Falls like $1/m$.", "\n\n<details>", "commit</details>"]}),
        dict(output_type="stream", name="stdout", text="three\n"),
        shown(**{"text/html": ["<b>", "x</b>"]}),
        shown(**{"text/markdown": "[A](01_x.html#c)"}),
    ]
    cell = dict(cell_type="code", id="c", source="f()", metadata={}, outputs=outputs)
    (cell,) = quarto.readable([cell])
    options = yaml.safe_load(cell["source"].replace("#| ", "").removesuffix("f()"))
    assert options == {
        "fig-alt": ["", "It's a line.", "", "", ""],
        "fig-cap": ["Falls like $1/m$.", "", "", ""],
    }
    printed, *others = cell["outputs"]
    assert printed["text"] == "one\ntwo\nthree\n"
    assert [one["data"] for one in others] == [
        picture,
        {"text/markdown": "<details>commit</details>"},
        {"text/markdown": "```{=html}\n<b>x</b>\n```\n"},
        {"text/markdown": "[A](01_x.ipynb#c)"},
    ]


def sources(book) -> list[Path]:
    "The files of a checkout, without results and what Python keeps of modules."
    ours = (path for path in book.root.rglob("*") if not {"build", "__pycache__"} & {*path.parts})
    return sorted(ours)


def test_one_command_prepares_what_was_executed_and_calls_quarto(made, tmp_path):
    write = lambda name, text: (made.root / name).write_text(text)
    for name in ("figures", "quarto", "site", "frames"):
        write(f"poc_book/{name}.py", (CHECKOUT / "poc_book" / f"{name}.py").read_text())
    write("pyproject.toml", (CHECKOUT / "pyproject.toml").read_text())
    for name in ("01_line", "02_square"):
        notebook = json.loads((made.root / "nbs" / f"{name}.ipynb").read_text())
        title = dict(cell_type="markdown", id="title", metadata={}, source=f"# {name}\n> Lines.")
        write(f"nbs/{name}.ipynb", json.dumps(notebook | {"cells": [title, *notebook["cells"]]}))
    write("nbs/index.ipynb", json.dumps({**notebook, "cells": [title]}))
    contents = [
        "nbs/index.ipynb",
        dict(section="A", contents=["nbs/01_line.ipynb", "nbs/02_square.ipynb"]),
    ]
    project = dict(
        project=dict(render=["nbs/*.ipynb"]), website=dict(sidebar=dict(contents=contents))
    )
    write("_quarto.yml", yaml.safe_dump(project | {"ipynb-filters": ["poc_book/quarto.py"]}))
    before = sources(made)

    stub = tmp_path / "quarto"
    stub.write_text("#!/bin/sh\necho $1 in $(pwd -P)\nexit 3\n")
    stub.chmod(0o755)
    called = made.start("quarto", "--profile", "smoke", PATH=f"{tmp_path}:/usr/bin:/bin")
    out, err = called.communicate(timeout=300)
    folder = made.home / "quarto" / "_proc"
    assert called.returncode == 3 and out.splitlines()[-1] == f"render in {folder.resolve()}", err
    assert sources(made) == before
    code = codes(json.loads((folder / "01_line.ipynb").read_text())["cells"])
    assert all(c.startswith("#| code-fold: true\n") for c in code)
    assert '\n#| fig-alt: ["A line.", ""]\n#| fig-cap: ["**Figure 1.1.** ' in code[-1]
    assert "steps = 3" in code[0] and "\nseed = 0" in code[1]
    listed = yaml.safe_load((folder / "_quarto.yml").read_text())
    assert "ipynb-filters" not in listed
    assert listed["website"]["sidebar"]["contents"][0] == "index.ipynb"


def test_without_quarto_one_line_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BadInput, match=r"^quarto = None: Quarto on the PATH"):
        quarto.render(tmp_path)


def test_prose_uses_no_construct_of_one_renderer_only():
    """Quarto's divs and callouts, MyST's directives and roles: JupyterLab would show all of them as
    they are. Old names of fonts in mathematics: Pandoc makes no MathML of them."""
    only = re.compile(
        r"^:::|^```\{|\{(?:ref|eq|cite|doc|term)\}`|\[@\w|@(?:eq|fig|thm|sec)-|\\rm\b", re.M
    )
    for name in NOTEBOOKS:
        found = [
            m[0]
            for c in read(name)["cells"]
            if c["cell_type"] == "markdown"
            for m in only.finditer("".join(c["source"]))
        ]
        assert not found, (name, found)
