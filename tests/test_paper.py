"A profile made until a deadline, whatever happens to it."

import json
import runpy
import time
import zipfile
from pathlib import Path

import pytest
from conftest import CHECKOUT, HEAD, TinyBook
from test_batch import LIGHT, processes, stale, until

from poc_book import paper
from poc_book.paper import make_paper
from poc_book.settings import open_book

pytestmark = pytest.mark.slow

MODEL = runpy.run_path(str(CHECKOUT / "benchmarks" / "paper.py"))

PAPER = ("paper", "--profile", "smoke", "--seconds")
LONG = "import time; time.sleep(60)"
# as an experiment does: what is kept goes to results at once, and to a checkpoint
EXPERIMENT = """
import time
from pathlib import Path
from poc_book.chapter import Chapter
chapter = Chapter.of("03_run", globals())
mark = chapter.checkpoint("run")
kept = Path("../results/smoke/run.nc")
kept.parent.mkdir(parents=True, exist_ok=True)
print("goes on" if mark.exists() else "starts")
if not mark.exists():
    mark.write_text("half way")
    kept.write_text("one")
    time.sleep(60)
"""


def expects(book: TinyBook, **seconds: float) -> None:
    (book.root / "benchmarks").mkdir(exist_ok=True)
    table = {"smoke": {name: {"seconds": value} for name, value in seconds.items()}}
    (book.root / "benchmarks" / "chapters.json").write_text(json.dumps(table))


def states(said: str) -> dict[str, str]:
    "The table at the end, by chapter."
    rows = said.partition("chapter  ")[2].splitlines()[1:-1]
    return {row[:28].strip(): row[28:39].strip() for row in rows}


def packed(out: Path) -> set[str]:
    return {n for path in out.glob("*.zip") for n in zipfile.ZipFile(path).namelist()}


def test_it_stops_at_the_deadline_goes_on_and_repeats_nothing(made: TinyBook):
    made.notebook("03_run", HEAD, EXPERIMENT)
    made.notebook("05_long", HEAD, LIGHT)
    expects(made, **{"03_run": 1, "05_long": 900})
    before = made.files()
    out, seconds = made.root / "out", 12
    begun = time.monotonic()
    first = made.run(*PAPER, str(seconds), "--out", str(out))
    assert first.returncode == 0 and time.monotonic() - begun < seconds, first.stderr
    kept = {"02_square": "kept", "01_line": "kept"}
    assert states(first.stdout) == kept | {"03_run": "cut", "05_long": "not begun"}
    assert "2 of 4 chapters are up to date" in first.stdout and made.files() == before
    assert packed(out) == {"results/smoke/run.nc"}  # kept at once, as its run was whole

    second = made.run(*PAPER, "300")
    assert second.returncode == 0 and stale(made) == {"05_long"}, second.stderr
    assert states(second.stdout) == kept | {"03_run": "made", "05_long": "not begun"}
    assert "goes on" in (made.home / "03_run" / "03_run.ipynb").read_text()
    assert made.files() == before


def test_a_kill_loses_nothing_whole_and_a_failure_stops_no_other(book: TinyBook):
    book.notebook("01_line", HEAD, LONG)
    book.notebook("02_square", HEAD, LIGHT)
    book.notebook("04_wrong", HEAD, "1 / 0")
    out = book.root / "out"
    batch = book.start(*PAPER, "300", "--out", str(out))
    made = {"build/smoke/02_square/provenance.json", "build/smoke/failed/04_wrong.ipynb"}
    assert until(lambda: made <= packed(out))
    batch.kill()
    batch.wait()
    names = packed(out)
    assert {n.split("/")[2] for n in names} == {"02_square", "failed"}
    assert "build/smoke/failed/04_wrong.ipynb" in names and stale(book) == {"01_line", "04_wrong"}
    assert until(lambda: not processes(book), 20)

    book.notebook("01_line", HEAD, LIGHT)
    again = book.run(*PAPER, "300")
    found = {"04_wrong": "failed", "02_square": "kept", "01_line": "made"}
    assert again.returncode == 1 and states(again.stdout) == found, again.stderr
    assert "with ZeroDivisionError: division by zero" in again.stdout
    assert not list(book.home.glob(".partial-*"))


def test_experiments_follow_each_other_beside_the_others(book: TinyBook, monkeypatch, capsys):
    wait = "import time\nfrom pathlib import Path\nwhile not Path('go').exists(): time.sleep(0.1)"
    after = (
        "from pathlib import Path\nassert (Path(out).parents[1] / '10_experiments_he4').exists()"
    )
    experiment = "# chapter.checkpoint"
    book.notebook("10_experiments_he4", HEAD, wait, experiment)
    book.notebook("10_experiments_xor4", HEAD, after, experiment)
    book.notebook("01_line", HEAD, "from pathlib import Path\nPath('go').touch()")
    (book.root / "nbs" / "02_square.ipynb").unlink()
    monkeypatch.setattr(paper, "lanes", lambda: 2)
    assert make_paper(book.root, "smoke", 300.0) == 0
    assert set(states(capsys.readouterr().out).values()) == {"made"} and stale(book) == set()


def test_what_needs_a_gpu_waits_for_one(book: TinyBook, monkeypatch, capsys):
    (book.root / "benchmarks").mkdir()
    table = {"smoke": {"01_line": {"seconds": 1, "on": "gpu"}}}
    (book.root / "benchmarks" / "chapters.json").write_text(json.dumps(table))
    for found in (None, "nvidia-smi"):  # a driver is no GPU that JAX would use
        monkeypatch.setattr(paper.shutil, "which", lambda name, found=found: found)
        assert make_paper(book.root, "smoke", 300.0) == 0
        said = capsys.readouterr().out
        assert states(said)["01_line"] == "not begun" and "it needs a GPU" in said


def test_the_deadline_is_ahead(book: TinyBook, monkeypatch, capsys):
    bad = book.refused(monkeypatch, capsys, *PAPER, "-3")
    assert bad == "poc-book: seconds = -3.0: a finite number > 0\n"


def test_every_chapter_has_an_estimate_for_the_sizes_it_has():
    known = json.loads((CHECKOUT / "benchmarks" / "chapters.json").read_text())["paper"]
    assert known == MODEL["table"](open_book(CHECKOUT)), "run benchmarks/paper.py"
    assert min(row["seconds"] for row in known.values()) >= MODEL["START"]


def test_the_estimate_of_a_run_is_near_what_was_measured():
    """On an H200, seconds of three repeats with factors of 24 bits, beside another run: between
    kept results of two leases."""
    book = open_book(CHECKOUT)
    for problem, measured in dict(misspecified=54, circle=102, random66=142, xor4=165).items():
        p = book.profiles["paper"][f"10_experiments_{problem}"]
        together = [MODEL["together"](p["dim"], problem == "xor4", split) for split in (2, 3)]
        run = dict(MODEL["estimate"](book, f"10_experiments_{problem}"))["run"]
        assert 0.6 < 2 * run * together[1] / together[0] / measured < 1.6, problem


def test_the_plan_fits_into_twelve_minutes():
    assert max(MODEL["side_by_side"](open_book(CHECKOUT), 8)) < 720
