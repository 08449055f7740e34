"""The package as others get it. Not collected by default: `pytest tests/wheel.py` (a minute; it
installs what the library needs, from wherever pip gets packages here).

The sdist holds the whole checkout and can test itself; the wheel made from it works in an empty
folder, in an environment with what it declares and nothing else."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from conftest import CHECKOUT
from test_package import COMMANDS

from poc_book.batch import compiler
from poc_book.results import load

QUICK = ("test_package.py", "test_security.py", "test_notebooks.py", "test_sphere.py")


def run(*command: str | Path, folder: Path, code: int = 0, **environment: str) -> str:
    "What a command prints in `folder`, where nothing but itself leads to this checkout."
    own = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", *compiler(CHECKOUT))}
    done = subprocess.run(
        command, cwd=folder, env=own | environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def tracked(tmp_path_factory) -> Path:
    "The files of this checkout that are in git, as they are now."
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("no git here, or no clone: nothing says what the sdist should hold")
    folder = tmp_path_factory.mktemp("tracked")
    for name in listed.stdout.rstrip("\0").split("\0"):
        if (CHECKOUT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def made(tracked, tmp_path_factory) -> Path:
    "A folder with the sdist, and the wheel made from it."
    folder = tmp_path_factory.mktemp("made")
    said = run(
        sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ".", folder=tracked
    )
    assert "Package would be ignored" not in said
    if place := os.environ.get("POC_BOOK_DIST"):  # what is tried here is what is published
        shutil.copytree(folder, CHECKOUT / place)
    return folder


@pytest.fixture(scope="module")
def alone(made, tmp_path_factory) -> Path:
    "The programs of an environment with the wheel and what it needs, in the pinned versions."
    home = tmp_path_factory.mktemp("alone")
    run(sys.executable, "-m", "venv", "--without-pip", home, folder=made)
    (wheel,) = made.glob("*.whl")
    asked = ("install", "--constraint", CHECKOUT / "constraints.txt", wheel)
    python = home / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")  # as in the Makefile: pip where uv cannot
    try:
        run(uv, "pip", asked[0], "--python", python, *asked[1:], folder=made)
    except (AssertionError, OSError):
        run(sys.executable, "-m", "pip", "--python", python, *asked, folder=made)
    return python.parent


def test_the_sdist_holds_the_checkout(tracked, made, tmp_path):
    (sdist,) = made.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (home,) = tmp_path.iterdir()
    held = {p.relative_to(home) for p in home.rglob("*") if p.is_file()}
    wanted = {p.relative_to(tracked) for p in tracked.rglob("*") if p.is_file()}
    wanted = {p for p in wanted if p.parts[0] not in ("build", "poc_book.egg-info")}
    assert wanted <= held
    made_by_setuptools = {p for p in held - wanted if p.parts[0] != "poc_book.egg-info"}
    assert made_by_setuptools == {Path("PKG-INFO"), Path("setup.cfg")}

    tests = [f"tests/{name}" for name in QUICK]
    pytest_ = (sys.executable, "-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider")
    said = run(*pytest_, *tests, folder=home)
    assert " passed" in said and " failed" not in said
    where = "import poc_book; print(poc_book.__file__)"
    assert run(sys.executable, "-c", where, folder=home).startswith(str(home))


def test_the_library_is_all_that_is_installed(alone, tmp_path):
    listing = (
        "from importlib.metadata import distributions as d; print({x.name.lower() for x in d()})"
    )
    found = run(alone / "python", "-c", listing, folder=tmp_path)
    assert "'poc-book'" in found.replace("_", "-")
    for name in ("snakemake", "papermill", "matplotlib", "ipython", "pyyaml", "pytest", "sphinx"):
        assert f"'{name}'" not in found
    typed = "from importlib.resources import files; print(files('poc_book').joinpath('py.typed').is_file())"
    assert run(alone / "python", "-c", typed, folder=tmp_path) == "True\n"


def test_the_limit_in_an_empty_folder(alone, tmp_path):
    program = (
        "from poc_book import mean_field, problems\n"
        "print(*mean_field.solve(problems.he(4, dim=32), times=[0, 1]).risk)"
    )
    start, later = map(float, run(alone / "python", "-c", program, folder=tmp_path).split())
    assert 0 < later < start <= 1 and not [*tmp_path.iterdir()]


def test_a_report_in_an_empty_folder(alone, tmp_path):
    "Without matplotlib, and so without a figure, which it says."
    said = run(alone / "poc-book", "diagnose", "he4", "--dim", "8", folder=tmp_path)
    home = tmp_path / "diagnose" / "he4_d8"
    assert {p.name for p in home.iterdir()} == {"report.md", "report.json", "report.nc"}
    assert [*tmp_path.iterdir()] == [home.parent] and "matplotlib is not installed" in said
    card = json.loads((home / "report.json").read_text())
    assert card["findings"]["information exponent"]["value"] == 4
    assert load(home / "report.nc").sizes["width"] == 3


def test_all_other_commands_ask_for_a_checkout(alone, tmp_path):
    program = (
        "import sys\nfrom poc_book.cli import main\n"
        f"print([main(command.split()) for command in {COMMANDS}])"
    )
    said = run(alone / "python", "-c", program, folder=tmp_path)
    assert said.count("needs a checkout of the book") == len(COMMANDS)
    assert str([2] * len(COMMANDS)) in said and not [*tmp_path.iterdir()]
    run(alone / "poc-book", "figures", folder=tmp_path, code=2)
    assert run(alone / "poc-book", "--version", folder=tmp_path).startswith("poc-book ")
