"One chapter of the book itself, executed by the batch at smoke size in a copy of this checkout."
import shutil
from pathlib import Path

from conftest import CHECKOUT, TinyBook

from poc_book.batch import open_book
from poc_book.results import load


def test_a_chapter_of_the_book_end_to_end(tmp_path: Path):
    for folder in ("nbs", "poc_book"): shutil.copytree(CHECKOUT / folder, tmp_path / folder)
    for name in ("settings.ini", "Snakefile"): shutil.copy(CHECKOUT / name, tmp_path)
    copy = object.__new__(TinyBook)
    copy.root, copy.home = tmp_path, tmp_path / "build" / "smoke"
    chapter = next(iter(c for c in open_book(tmp_path).chapters if c.startswith("01_")))
    made = copy.run("figures", "--profile", "smoke", "--only", chapter)
    assert made.returncode == 0, made.stderr
    figures = [line.split()[0] for line in made.stdout.splitlines() if ".svg" in line]
    assert figures
    for figure in figures: assert load((tmp_path / figure).with_suffix(".nc")).attrs["chapter"] == chapter
