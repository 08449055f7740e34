"What can be said of the Quarto site without Quarto: its file, and what nbdev hands to it."

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
import yaml
from conftest import CHECKOUT

pytestmark = pytest.mark.slow

NOTEBOOKS = sorted(p.stem for p in (CHECKOUT / "nbs").glob("*.ipynb"))
SOME = NOTEBOOKS[::4]  # cells of all kinds
KNOWN = {  # the keys of Quarto's reference for websites that this file may use
    "": {"project", "website", "format"},
    "project": {"type", "output-dir"},
    "website": {"title", "description", "sidebar"},
    "website.sidebar": {"style", "contents"},
    "format": {"html"},
    "format.html": {"theme", "toc", "code-fold"},
}


def test_the_file_uses_documented_keys_and_lists_every_notebook_once():
    site = yaml.safe_load((CHECKOUT / "_quarto.yml").read_text())
    for path, known in KNOWN.items():
        node = site
        for key in filter(None, path.split(".")):
            node = node[key]
        assert set(node) <= known, path
    assert (
        site["project"]["type"] == "website"
        and (CHECKOUT / "nbs" / "_quarto.yml").resolve() == CHECKOUT / "_quarto.yml"
    )
    listed = re.findall(r"- (\w+)\.ipynb", (CHECKOUT / "_quarto.yml").read_text())
    assert sorted(listed) == NOTEBOOKS


@pytest.fixture(scope="module")
def processed(tmp_path_factory):
    "The first and every fourth notebook as nbdev hands them to Quarto: half a second each."
    root = tmp_path_factory.mktemp("quarto")
    shutil.copytree(
        CHECKOUT / "poc_book", root / "poc_book", ignore=shutil.ignore_patterns("__pycache__")
    )
    others = [f"{name}.ipynb" for name in NOTEBOOKS if name not in SOME]
    shutil.copytree(CHECKOUT / "nbs", root / "nbs", ignore=shutil.ignore_patterns(*others))
    for name in ("pyproject.toml", "_quarto.yml", "README.md"):
        shutil.copy(CHECKOUT / name, root)
    command = "from nbdev.serve import proc_nbs; print(proc_nbs(n_workers=2, force=True))"
    here = os.environ | {"PYTHONPATH": str(root)}
    made = subprocess.run(
        [sys.executable, "-c", command], cwd=root / "nbs", env=here, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr[-2000:]
    return {p.stem: json.loads(p.read_text()) for p in (root / "_proc").rglob("*.ipynb")}


def test_nbdev_prepares_notebooks(processed):
    assert sorted(processed) == SOME
    for name, notebook in processed.items():
        code = "\n".join(
            "".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"
        )
        assert not re.search(r"^#\s*\|\s*(export|hide|default_exp)", code, re.M), name
        # that cell is hidden in every notebook
        assert "from fastcore.test import" not in code, name


def test_prose_uses_no_construct_of_one_renderer_only():
    """Quarto's divs and callouts, MyST's directives and roles: JupyterLab would show all of them as
    they are."""
    only = re.compile(r"^:::|^```\{|\{(?:ref|eq|cite|doc|term)\}`|\[@\w|@(?:eq|fig|thm|sec)-", re.M)
    for name in NOTEBOOKS:
        cells = json.loads((CHECKOUT / "nbs" / f"{name}.ipynb").read_text())["cells"]
        found = [
            m[0]
            for c in cells
            if c["cell_type"] == "markdown"
            for m in only.finditer("".join(c["source"]))
        ]
        assert not found, (name, found)
