"""The library alone: what it imports is what it declares, its commands say what they need, its
versions agree."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from conftest import CHECKOUT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import poc_book
from poc_book import diagnose as card
from poc_book.cli import main
from poc_book.sources import parsed

PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
MODULES = {p.stem: p.read_text() for p in (CHECKOUT / "poc_book").glob("[!_]*.py")}
ENGINE = {
    "archives",
    "batch",
    "chapter",
    "commands",
    "explore",
    "figures",
    "frames",
    "kept",
    "paper",
    "pdf",
    "reference",
    "settings",
    "site",
    "sources",
}  # what needs the extra [book] to be imported, or [site]
OWNERS = packages_distributions()


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(r).name) for r in requirements}


def imports(code: str, at_once: bool) -> set[str]:
    "The distributions that a module imports: as it is imported itself, or ever."
    todo, found = [parsed(code)], set()
    while todo:
        node = todo.pop()
        later = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for_types = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if at_once and (later or for_types):
            continue
        todo += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            found |= {a.name.partition(".")[0] for a in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.partition(".")[0])
    others = found - sys.stdlib_module_names - {"poc_book"}
    return {canonicalize_name(OWNERS[module][0]) for module in others}


def test_an_import_in_a_function_is_not_made_at_once():
    code = (
        "import jax\nif TYPE_CHECKING: import yaml\ndef f(): import PIL.Image\nclass A: import h5py"
    )
    assert imports(code, True) == {"jax", "h5py"}
    assert imports(code, False) == {"jax", "h5py", "pyyaml", "pillow"}


def test_the_library_declares_what_it_imports_and_nothing_else():
    base = names(PROJECT["dependencies"])
    library = set().union(*(imports(c, True) for name, c in MODULES.items() if name not in ENGINE))
    assert library <= base
    assert base - library == {"h5netcdf", "h5py"}  # through which xarray reads and writes
    assert 'engine="h5netcdf"' in MODULES["results"]


def test_the_extra_of_the_book_is_what_the_engine_imports_or_runs():
    base, book = names(PROJECT["dependencies"]), names(EXTRAS["book"])
    ever = set().union(*(imports(c, False) for c in MODULES.values()))
    printed = imports(MODULES["pdf"], False)
    assert printed - base - book <= names(EXTRAS["site"])
    ever -= printed - book
    assert not base & book and ever - base <= book
    assert book - ever == {"ipykernel", "snakemake"}  # programs of their own
    assert '"ipykernel_launcher"' in MODULES["warm_start"] and '"snakemake"' in MODULES["batch"]


PLACES = "Makefile CONTRIBUTING.md .ci/run docs/conf.py poc_book/site.py profiles/slurm/config.yaml"
AS = {
    "beautifulsoup4": "bs4",
    "pytest-xdist": "numprocesses",
    "setuptools": "no-build-isolation",
    "snakemake-executor-plugin-slurm": "executor: slurm",
}


@pytest.mark.parametrize("extra", sorted(EXTRAS.keys() - {"book"}))
def test_what_another_extra_declares_is_named_where_it_is_used(extra):
    files = [CHECKOUT / name for name in PLACES.split()]
    files += [p for p in (CHECKOUT / "tests").glob("*.py") if p.name != "test_package.py"]
    files += (CHECKOUT / "nbs").glob("*.ipynb")
    text = "\n".join(p.read_text() for p in files)
    text = re.sub("[-_.]", "-", text)
    assert [n for n in sorted(names(EXTRAS[extra])) if AS.get(n, n) not in text] == []


def test_the_library_is_imported_without_the_extra():
    "In a process that has none of its modules."
    book = names(EXTRAS["book"])
    absent = sorted(m for m, of in OWNERS.items() if {canonicalize_name(d) for d in of} & book)
    assert {"matplotlib", "IPython", "PIL", "yaml", "snakemake"} <= {*absent}
    program = f"import importlib, sys\nsys.modules.update(dict.fromkeys({absent}))\n" + "\n".join(
        f"importlib.import_module('poc_book.{name}')" for name in sorted(MODULES.keys() - ENGINE)
    )
    subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, check=True)


COMMANDS = (
    "figures",
    "sweep",
    "site",
    "pdf",
    "quarto",
    "profiles",
    "chapter 01_sphere",
    "orders he4",
    "paper",
    "run he4 8 16 0",
    "merge",
)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("missing", ["checkout", "extra"])
def test_what_needs_a_checkout_says_so(command, missing, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if missing == "checkout":
        monkeypatch.setattr(poc_book, "__file__", str(tmp_path / "poc_book" / "__init__.py"))
    else:
        monkeypatch.setitem(sys.modules, "papermill", None)
    assert main(command.split()) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and not [*tmp_path.iterdir()]
    assert "a checkout of the book" in said.err and command.split()[0] in said.err


def test_a_report_goes_to_the_working_directory(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(card, "diagnose", lambda problem, **_: problem)
    monkeypatch.setattr(card, "as_markdown", lambda report: "")
    monkeypatch.setattr(card, "save_report", lambda report, folder: [folder / report.name])
    monkeypatch.setattr(poc_book, "__file__", str(tmp_path / "poc_book" / "__init__.py"))
    for away in ([], ["--out", "elsewhere"]):
        assert main(["diagnose", "he4", "--dim", "8", *away]) == 0
    said = capsys.readouterr().out.splitlines()
    assert "diagnose/he4_d8/he4" in said and "elsewhere/he4" in said


def test_the_version_is_one(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0 and capsys.readouterr().out == f"poc-book {poc_book.__version__}\n"
    newest = re.search(r"^## (\S+)", (CHECKOUT / "CHANGELOG.md").read_text(), re.M)
    cited = re.search(r"^version: (\S+)", (CHECKOUT / "CITATION.cff").read_text(), re.M)
    assert newest[1] == cited[1] == poc_book.__version__


def test_the_pictures_of_the_readme_are_figures_of_the_book_in_their_own_words():
    readme = (CHECKOUT / "README.md").read_text()
    pictures = re.findall(r"!\[(.+)\]\((docs/_readme/\w+)\.png\)\n\n(.+) \(\[Chapter", readme)
    assert len(pictures) == 2
    for alt, place, caption in pictures:
        record = json.loads((CHECKOUT / f"{place}.json").read_text())
        assert (record["alt"], record["caption"], record["profile"]) == (alt, caption, "reader")
        assert (CHECKOUT / f"{place}.png").stat().st_size < 200_000
