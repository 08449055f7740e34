"Results from one machine to another: what is taken, what is not, and that nothing is lost."

import json
import re
import shutil
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from conftest import TinyBook
from test_batch import stale
from test_paper import packed

import poc_book
from poc_book import archives as boxes
from poc_book import batch, sources
from poc_book.archives import left_by, pack, take_in, unpacked
from poc_book.batch import provenance, seal
from poc_book.checks import BadInput, versions
from poc_book.results import git_commit, load
from poc_book.settings import open_book

pytestmark = pytest.mark.slow


@pytest.fixture
def archives(made: TinyBook, tmp_path: Path, monkeypatch) -> Path:
    "Both chapters of a book and a kept result, packed by a machine with another JAX."
    opened = open_book(made.root)
    with monkeypatch.context() as there:
        for module in (sources, batch):
            there.setattr(module, "versions", lambda: versions() | {"jax": "0.0"})
        for chapter in opened.chapters:
            folder = made.home / chapter
            for old in folder.glob(".made-of-*"):
                old.unlink()
            (folder / "provenance.json").unlink()
            seal(folder, provenance(opened, "smoke", chapter))
    kept = made.root / "results" / "smoke" / "line.nc"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"new")
    for paths in (*(left_by(opened, "smoke", c, "made") for c in opened.chapters), [kept]):
        assert pack(tmp_path / "out", "smoke", made.root, paths)
    shutil.rmtree(made.home)
    shutil.rmtree(kept.parent)
    return tmp_path / "out"


def test_what_another_machine_made_is_taken_with_its_provenance(made: TinyBook, archives, capsys):
    kept = made.root / "results" / "smoke" / "line.nc"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"old")
    assert take_in(made.root, "smoke", archives) == 0
    assert stale(made) == set() and load(made.home / "01_line" / "line.nc").sizes["x"] == 3
    record = json.loads((made.home / "01_line" / "provenance.json").read_text())
    assert record["versions"]["jax"] == "0.0"
    assert kept.read_bytes() == b"new" and kept.with_name("line.before.nc").read_bytes() == b"old"
    assert "line.before.nc is what it replaces" in capsys.readouterr().out

    assert take_in(made.root, "smoke", archives) == 0  # again: nothing changes
    assert kept.with_name("line.before.nc").read_bytes() == b"old"
    kept.write_bytes(b"third")
    assert take_in(made.root, "smoke", archives) == 1 and kept.read_bytes() == b"third"


def test_what_is_made_of_other_code_or_is_not_whole_is_not_taken(made: TinyBook, archives, capsys):
    made.module("curve", "def value(i): return 2 * i\n")
    assert take_in(made.root, "smoke", archives) == 1
    assert stale(made) == {"01_line"}
    assert re.search("^01_line +not taken: made of other code", capsys.readouterr().out, re.M)

    made.module("curve", "def value(i): return i\n")
    (damaged,) = archives.iterdir()
    with zipfile.ZipFile(damaged, "a") as archive:
        archive.writestr("build/smoke/01_line/line.nc", b"damaged")
    assert take_in(made.root, "smoke", archives) == 1
    assert stale(made) == {"01_line"}
    assert re.search("^01_line +not taken: not whole", capsys.readouterr().out, re.M)


@pytest.mark.parametrize("name", ["../x", "build/smoke/../x", "build/paper/x/y", "/x", "x"])
def test_an_archive_writes_below_its_profile_only(book: TinyBook, tmp_path: Path, name):
    with zipfile.ZipFile(tmp_path / "smoke-1.zip", "w") as archive:
        archive.writestr(name, b"out of place")
    with pytest.raises(BadInput, match="below build or results/smoke"):
        take_in(book.root, "smoke", tmp_path)
    assert not [*tmp_path.rglob("x")]


def test_what_is_no_archive_is_refused_in_one_line(book: TinyBook, tmp_path, monkeypatch, capsys):
    take = ("paper", "--profile", "smoke", "--take", str(tmp_path))
    assert "a folder with smoke-1.zip" in book.refused(monkeypatch, capsys, *take)
    (tmp_path / "smoke-1.zip").write_bytes(b"no archive")
    assert "a whole one" in book.refused(monkeypatch, capsys, *take)


def test_a_damaged_archive_is_refused_in_one_line_wherever_it_is_damaged(tmp_path: Path):
    file, archive = tmp_path / "results/smoke/a.nc", tmp_path / "out" / "smoke-1.zip"
    file.parent.mkdir(parents=True)
    file.write_bytes(bytes(range(100)) * 3)
    assert pack(archive.parent, "smoke", tmp_path, [file])
    whole = archive.read_bytes()
    for at in range(len(whole)):
        archive.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
        with suppress(BadInput):
            unpacked([archive], "smoke")


def test_archives_obey_their_limits(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(boxes, "LIMIT", 3000)
    files = []
    for i in range(6):
        files.append(tmp_path / f"{i}.nc")
        files[-1].write_bytes(np.random.default_rng(i).bytes(1200))
    out = tmp_path / "out"
    assert all(pack(out, "paper", tmp_path, [path]) for path in files)
    assert len([*out.iterdir()]) == 3 and packed(out) == {path.name for path in files}
    assert not any(path.stat().st_size > 3000 for path in out.iterdir())
    assert not pack(out, "paper", tmp_path, files)  # too large for any
    assert pack(out, "paper", tmp_path, files[:2]) and not pack(out, "paper", tmp_path, files[:2])
    assert len([*out.iterdir()]) == 4


def test_a_copy_without_git_is_told_its_commit(book: TinyBook, monkeypatch):
    monkeypatch.setattr(poc_book, "__file__", str(book.root / "poc_book" / "__init__.py"))
    assert git_commit() == ("unknown", False)
    monkeypatch.setenv("POC_BOOK_COMMIT", "0123abcd-dirty")
    assert git_commit() == ("0123abcd", True)
