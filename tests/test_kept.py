"What is kept at the paper's sizes: which files, when they are replaced, and that no chapter runs for them."

import json
import shutil
from pathlib import Path

import pytest
from conftest import HEAD, TinyBook
from PIL import Image
from test_paper import packed

from poc_book import kept as keeping
from poc_book.archives import take_in
from poc_book.kept import keep, kept
from poc_book.paper import make_paper
from poc_book.results import load
from poc_book.settings import open_book
from poc_book.sources import fingerprint

pytestmark = pytest.mark.slow

SIZES = "[smoke]\nseed = 0\n[reader]\nseed = 1\n[paper]\nseed = 0\n[paper:01_line]\nsteps = {}\n"
FILES = {"line.nc", "line.json", "line.webp", "provenance.json"}


def holds(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.iterdir()}


@pytest.fixture(scope="module")
def large(finished: TinyBook, tmp_path_factory) -> TinyBook:
    "The finished book, made at the paper's sizes too; not to be changed."
    root = tmp_path_factory.mktemp("large") / "book"
    shutil.copytree(finished.root, root)
    book = object.__new__(TinyBook)
    book.root, book.home = root, root / "build" / "smoke"
    book.settings(SIZES.format(5))
    done = book.run("paper", "--seconds", "300")
    assert done.returncode == 0, done.stderr
    return book


@pytest.fixture
def book(large: TinyBook, tmp_path: Path) -> TinyBook:
    shutil.copytree(large.root, tmp_path / "book")
    copy = object.__new__(TinyBook)
    copy.root, copy.home = tmp_path / "book", tmp_path / "book" / "build" / "smoke"
    return copy


def test_a_light_picture_data_and_the_run_are_kept_and_nothing_else(book: TinyBook):
    results, made = book.root / "results" / "paper", book.root / "build" / "paper" / "01_line"
    assert {path.name for path in results.iterdir()} == {"01_line", "02_square"}
    place = results / "01_line"
    assert {*holds(place)} == FILES and load(place / "line.nc").sizes["x"] == 5
    assert (place / "line.json").read_bytes() == (made / "line.json").read_bytes()
    with Image.open(place / "line.webp") as light, Image.open(made / "line.png") as png:
        few = light.convert("RGB").getcolors(256)
        assert light.size == png.size and few is not None and len(few) > 2
    run, sealed = (json.loads((p / "provenance.json").read_text()) for p in (place, made))
    assert {*run} == {"mark", "parameters", "versions", "seconds", "work", "files"}
    assert run["parameters"] == {"seed": 0, "steps": 5} and {*run["work"]} == {"memory", "device"}
    assert all(run[name] == sealed[name] for name in ("mark", "versions", "seconds"))


def test_no_other_profile_is_kept(book: TinyBook):
    shutil.rmtree(book.root / "results")
    keep(open_book(book.root), "smoke", "01_line")
    assert not (book.root / "results").exists()


@pytest.mark.parametrize("harm", ["absent", "one absent", "damaged", "no record"])
def test_what_is_not_whole_counts_as_not_run_and_is_kept_again(book: TinyBook, harm, capsys):
    opened, place = open_book(book.root), book.root / "results" / "paper" / "01_line"
    before, other = holds(place), holds(place.with_name("02_square"))
    assert kept(opened, "01_line").state == "up to date"
    if harm == "absent":
        shutil.rmtree(place)
    if harm == "one absent":
        (place / "line.webp").unlink()
    if harm == "damaged":
        (place / "line.nc").write_bytes(before["line.nc"][:-1])
    if harm == "no record":
        (place / "provenance.json").write_text("{")
    now = kept(opened, "01_line")
    assert (now.state, now.figures, now.figure) == ("not run", {}, None)

    assert make_paper(book.root, "paper", 300.0) == 0
    assert capsys.readouterr().out.count("       kept") == 2  # nothing ran
    assert holds(place) == before and holds(place.with_name("02_square")) == other
    assert kept(opened, "01_line").figures["line"]["parameters"]["steps"] == 5


def test_another_run_replaces_all_files_at_once_or_none(book: TinyBook, monkeypatch):
    place = book.root / "results" / "paper" / "01_line"
    (place / "gone.json").write_text("{}")  # of a figure that the chapter has no more
    before = holds(place)
    book.settings(SIZES.format(6))
    opened = open_book(book.root)
    assert kept(opened, "01_line").state == "by other code or sizes"  # it has other parameters
    assert kept(opened, "02_square").state == "up to date"

    with monkeypatch.context() as full:
        full.setattr(keeping, "light", lambda *_: (_ for _ in ()).throw(OSError("no space")))
        with pytest.raises(OSError, match="no space"):
            make_paper(book.root, "paper", 300.0)
    assert holds(place) == before and not [*place.parent.glob(".partial-*")]

    assert make_paper(book.root, "paper", 300.0) == 0
    assert {*holds(place)} == FILES and load(place / "line.nc").sizes["x"] == 6
    assert kept(opened, "01_line").state == "up to date"


def test_archives_carry_no_second_copy_and_what_they_bring_is_kept(book: TinyBook, tmp_path: Path):
    results, out = book.root / "results" / "paper", tmp_path / "out"
    before = {c: holds(results / c) for c in ("01_line", "02_square")}
    for folder in (results, book.root / "build" / "paper"):
        shutil.rmtree(folder)
    assert make_paper(book.root, "paper", 300.0, out) == 0
    assert not results.exists()
    assert {name.rpartition("/")[0] for name in packed(out)} == {
        f"build/paper/{chapter}" for chapter in before
    }
    for _ in range(2):  # the second time the chapters are up to date, and nothing is kept of them
        assert take_in(book.root, "paper", out) == 0
        now = {c: holds(results / c) for c in before}
        assert {c: {*files} for c, files in now.items()} == {
            c: {*files} for c, files in before.items()
        }
        assert now["01_line"]["line.nc"] != before["01_line"]["line.nc"]  # another date
        shutil.rmtree(results)


def test_a_kept_figure_is_no_data_of_a_chapter(book: TinyBook):
    """Also where the code names a file like it; a dataset of a profile is. Older code of one chapter
    leaves the others up to date."""
    names = "for name in ('line.nc', 'line.json'): print(name)"
    book.notebook("03_reads", HEAD, names)
    opened, place = open_book(book.root), book.root / "results" / "paper"
    marks = lambda: [fingerprint(opened, p, "03_reads") for p in ("smoke", "reader", "paper")]
    before = marks()
    (place / "01_line" / "line.nc").write_bytes(b"other")
    (place / "01_line" / "line.json").unlink()
    assert marks() == before
    (place / "line.nc").write_bytes(b"a dataset")
    after = marks()
    assert [new != old for new, old in zip(after, before)] == [True, True, False]  # its own not

    book.module("curve", "def value(i): return 2 * i\n")
    assert kept(opened, "02_square").state == "up to date"
