"The batch engine on a tiny book: what runs again, what survives, what is refused."

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import CHECKOUT, DRAW, HEAD, TinyBook

from poc_book import cli, commands
from poc_book import sources as origins
from poc_book.batch import fresh, provenance, seal
from poc_book.chapter import Chapter
from poc_book.checks import declared, versions
from poc_book.results import data_hash, load
from poc_book.settings import open_book
from poc_book.sources import fingerprint, sources

pytestmark = pytest.mark.slow

FIGURES = ("figures", "--profile", "smoke")
SLOW = DRAW + "\nimport time; time.sleep(60)"
LIGHT = "# no figure: what a chapter imports to draw one takes longer than all the rest"


def stale(book: TinyBook) -> set[str]:
    opened = open_book(book.root)
    return {c for c in opened.chapters if not fresh(opened, "smoke", c)}


def whole(folder: Path) -> bool:
    "Whether a result has all files that it lists, each of them readable, and no other."
    record = json.loads((folder / "provenance.json").read_text())
    for path in folder.glob("*.nc"):
        load(path)
    here = {path.name for path in folder.iterdir()} - {"provenance.json", record["mark"]}
    return set(record["files"]) == here


def processes(book: TinyBook) -> list[int]:
    "The processes at work in the folder of a book."
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            inside = Path(os.readlink(process / "cwd")).is_relative_to(book.root)
        except OSError:
            continue
        if inside and " Z " not in (process / "stat").read_text():
            found.append(int(process.name))
    return found


def until(condition, seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_first_run_makes_every_figure_and_names_it(finished: TinyBook):
    assert finished.first.returncode == 0, finished.first.stderr
    for path in ("01_line/line", "02_square/square"):
        assert (
            len(
                re.findall(
                    rf"^build/smoke/{path}\.svg  \d+\.\d s(?:, for now in .*)?$",
                    finished.first.stdout,
                    re.M,
                )
            )
            == 1
        )
        for kind in ("svg", "png", "nc", "json"):
            assert (finished.home / f"{path}.{kind}").stat().st_size > 0
    assert (finished.home / "01_line" / "01_line.ipynb").exists()
    assert not list(finished.home.glob(".partial-*"))


def test_provenance_tells_where_a_figure_came_from(finished: TinyBook):
    record = json.loads((finished.home / "01_line" / "line.json").read_text())
    data = load(finished.home / "01_line" / "line.nc")
    assert (
        record["parameters"] == {"seed": 0, "steps": 3}
        and record["profile"] == "smoke"
        and record["seed"] == 0
    )
    assert record["data_sha256"] == data_hash(data) == data.attrs["data_sha256"]
    assert (
        record["commit"] == "unknown" and {"python", "jax", "poc_book"} <= record["versions"].keys()
    )
    assert record["redraw"] == "make figures ONLY=01_line PROFILE=smoke"
    sealed = json.loads((finished.home / "01_line" / "provenance.json").read_text())
    assert (
        sealed["versions"] == versions()
        and sealed["versions"].items() <= record["versions"].items()
    )
    assert (finished.home / "01_line" / sealed["mark"]).stat().st_size == 0
    assert list(sealed["sources"]) == [
        "nbs/01_line.ipynb",
        "poc_book/chapter.py",
        "poc_book/checks.py",
        "poc_book/curve.py",
        "poc_book/figures.py",
        "poc_book/results.py",
    ]


def test_executed_notebook_names_no_machine_path(finished: TinyBook):
    text = (finished.home / "01_line" / "01_line.ipynb").read_text()
    assert str(finished.root) not in text and ".partial-" not in text
    assert 'out = \\"../build/smoke/01_line\\"' in text


def test_second_run_does_nothing(made: TinyBook):
    before = made.files()
    again = made.run(*FIGURES)
    assert (again.returncode, again.stdout, again.stderr) == (
        0,
        "nothing to do: 2 chapters up to date\n",
        "",
    )
    assert made.files() == before


def edit(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    "change, expected",
    [
        (lambda b: b.settings("[smoke]\nseed = 0\n[smoke:01_line]\nsteps = 5\n"), {"01_line"}),
        (lambda b: b.settings("[smoke]\nseed = 7\n"), {"01_line", "02_square"}),
        (lambda b: b.settings("# another comment\n[smoke]\nseed = 0\n[reader]\nseed = 9\n"), set()),
        (lambda b: b.module("curve", "def value(i): return 2 * i\n"), {"01_line"}),
        (lambda b: b.module("unused", "x = 1\n"), set()),
        (lambda b: edit(b.root / "nbs/02_square.ipynb", "i * i", "i ** 3"), {"02_square"}),
        (
            lambda b: edit(
                b.root / "nbs/02_square.ipynb", '"execution_count": null', '"execution_count": 3'
            ),
            set(),
        ),
        (lambda b: os.utime(b.root / "nbs/02_square.ipynb"), set()),
        (lambda b: edit(b.root / "nbs/02_square.ipynb", "i * i", "(i *\\n  i)  # a square"), set()),
        (lambda b: edit(b.root / "poc_book/checks.py", "class BadInput", "class  BadInput"), set()),
        (
            lambda b: edit(b.root / "poc_book/checks.py", "An input outside", "Any input outside"),
            set(),
        ),
        (
            lambda b: edit(b.root / "poc_book/checks.py", "a Jupyter notebook", "a notebook"),
            {"01_line", "02_square"},
        ),
        (lambda b: (b.home / "01_line/line.png").unlink(), {"01_line"}),
        (lambda b: (b.home / "01_line/line.nc").write_bytes(b"damaged"), {"01_line"}),
        (lambda b: (b.home / "02_square/provenance.json").unlink(), {"02_square"}),
    ],
)
def test_only_what_depends_on_a_change_is_stale(made: TinyBook, change, expected: set[str]):
    assert stale(made) == set()
    change(made)
    assert stale(made) == expected


def test_another_version_of_a_library_makes_every_chapter_stale(made: TinyBook, monkeypatch):
    assert stale(made) == set() and {"jax", "jaxlib", "diffrax", "numpy"} <= versions().keys()
    for name in versions():
        with monkeypatch.context() as other:
            other.setattr(origins, "versions", lambda name=name: versions() | {name: "0.0"})
            assert stale(made) == {"01_line", "02_square"}
    assert stale(made) == set()


def test_a_data_file_that_a_chapter_names_is_a_dependency(made: TinyBook):
    (made.root / "nbs" / "curves.csv").write_text("1,2\n")
    made.module("curve", "path = 'curves.csv'\ndef value(i): return i\n")
    assert stale(made) == {"01_line"}
    (made.home / "01_line" / "provenance.json").unlink()
    # as a run would
    seal(made.home / "01_line", provenance(open_book(made.root), "smoke", "01_line"))
    assert stale(made) == set()
    (made.root / "nbs" / "curves.csv").write_text("1,3\n")
    assert stale(made) == {"01_line"}


def test_a_touched_parameter_reruns_its_chapter_alone(made: TinyBook):
    before = made.files()
    made.settings("[smoke]\nseed = 0\n[smoke:01_line]\nsteps = 5\n")
    again = made.run(*FIGURES)
    assert again.returncode == 0 and "1 figures, 1 of 1 chapters" in again.stdout, again.stderr
    after = made.files()
    changed = {name for name in after if after[name] != before.get(name)}
    assert {name.split("/")[0] for name in changed} == {"01_line"}
    assert load(made.home / "01_line" / "line.nc").sizes["x"] == 5
    assert made.run(*FIGURES).stdout.startswith("nothing to do")


@pytest.mark.parametrize(
    "arguments, settings, words",
    [
        (("--profile", "papr"), None, "profile = 'papr': one of reader, smoke"),
        (
            ("--profile", "smoke", "--only", "03_lost"),
            None,
            "chapter = '03_lost': one of 01_line, 02_square",
        ),
        (("--profile", "smoke"), "[smoke]\nsede = 0\n", "'sede': one of seed, steps"),
        (
            ("--profile", "smoke"),
            "[smoke]\n[smoke:01_line]\nstep = 1\n",
            "'step': one of seed, steps",
        ),
        (
            ("--profile", "smoke"),
            "[smoke]\nsteps = .nan\n",
            "steps in profile smoke = nan: a whole number",
        ),
        (
            ("--profile", "smoke"),
            "[smoke]\nsteps = many\n",
            "steps in profile smoke = 'many': a whole number",
        ),
        (
            ("--profile", "smoke"),
            "[smoke]\n[paper:01_line]\nsteps = 1\n",
            "profile of [paper:01_line] in settings.ini",
        ),
        (("--profile", "smoke"), "[smoke\n", "settings = 'settings.ini'"),
        (("--size", "big"), None, "unrecognized arguments: --size big"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    book: TinyBook, monkeypatch, capsys, arguments, settings, words
):
    if settings:
        book.settings(settings)
    assert words in book.refused(monkeypatch, capsys, "figures", *arguments)


def test_bad_input_is_one_line_of_a_process(book: TinyBook):
    bad = book.run("figures", "--profile", "papr")
    assert (bad.returncode, bad.stdout, bad.stderr) == (
        2,
        "",
        "poc-book: profile = 'papr': one of reader, smoke\n",
    )
    assert not (book.root / "build").exists()


def test_failing_chapters_keep_their_old_results_and_stop_no_other(made: TinyBook):
    errors = {
        "01_line": ("1 / 0", "ZeroDivisionError: division by zero"),
        "03_claim": ("assert steps == 4", "AssertionError: assert steps == 4"),
        "04_input": (
            "from poc_book import checks\nchecks.check_integer('dim', 2, 3)",
            "BadInput: dim = 2: an integer >= 3",
        ),
        "05_death": ("import os\nos._exit(1)", "DeadKernelError: Kernel died"),
    }
    before = made.files("01_line")
    for name, (code, _) in errors.items():
        made.notebook(name, HEAD, LIGHT, LIGHT, code)
    made.notebook("02_square", HEAD, LIGHT)
    run = made.run(*FIGURES)
    assert run.returncode == 1 and "0 figures, 1 of 5 chapters" in run.stdout
    for name, (_, error) in errors.items():
        (message,) = [x for x in run.stderr.splitlines() if x.startswith(f"{name} failed")]
        assert error in message and f"build/smoke/failed/{name}.ipynb" in message
        assert "Dead" in error or "cell [5]" in message
        assert (made.home / "failed" / f"{name}.ipynb").exists()
    assert made.files("01_line") == before
    assert stale(made) == set(errors) and not list(made.home.glob(".partial-*"))


def test_one_chapter_alone_and_its_kernel_spoken_to_through_files(book: TinyBook):
    """Not through ports: a kernel whose port another process has taken hangs, alive, for as long as
    one waits for it."""
    seen = """
import json
from pathlib import Path
from ipykernel import get_connection_file
told = json.load(open(get_connection_file()))
assert told["transport"] == "ipc"
Path("kernel").write_text(told["ip"])"""
    book.notebook("02_square", HEAD, seen)
    run = book.run(*FIGURES, "--only", "02_square")
    assert run.returncode == 0 and "1 of 1 chapters" in run.stdout, run.stderr
    assert not Path((book.root / "nbs" / "kernel").read_text()).parent.exists()
    assert not (book.home / "01_line").exists()


def test_non_finite_data_fails_its_chapter(made: TinyBook):
    made.module("curve", "def value(i): return float('nan')\n")
    run = made.run(*FIGURES)
    assert (
        run.returncode == 2
        and "NotResolved: data.y = 'array with 3 non-finite entries'" in run.stderr
    )
    assert "line.nc" in {p.name for p in (made.home / "01_line").iterdir()}


def test_a_second_batch_is_refused_and_the_first_goes_on(made: TinyBook):
    gate = "import time\nfrom pathlib import Path\nwhile not Path('go').exists(): time.sleep(0.1)"
    made.notebook("02_square", HEAD, gate)
    first = made.start(*FIGURES)
    try:
        assert until(lambda: list(made.home.glob(".partial-*")))
        second = made.run(*FIGURES)  # the first cannot end before its gate is opened
        assert (
            second.returncode == 2
            and "one at a time" in second.stderr
            and second.stderr.count("\n") == 1
        )
    finally:
        (made.root / "nbs" / "go").touch()
    assert first.wait(timeout=120) == 0 and stale(made) == set()


def test_a_figure_is_announced_while_its_chapter_runs_and_a_kill_then_leaves_whole_files(
    made: TinyBook,
):
    before = made.files("01_line")
    made.notebook(
        "01_line",
        HEAD,
        "from poc_book.curve import value",
        SLOW.format(name="01_line", figure="line"),
    )
    made.settings("[smoke]\nseed = 0\n[smoke:01_line]\nsteps = 4\n")
    batch = made.start(*FIGURES, PYTHONUNBUFFERED="")
    announced = r"(\S+)  \d+\.\d s, for now in (\S+)\n"
    place, folder = re.fullmatch(announced, batch.stdout.readline()).groups()
    assert (
        place == "build/smoke/01_line/line.svg"
        and (made.root / folder / "line.svg").stat().st_size > 0
    )
    batch.send_signal(signal.SIGKILL)
    batch.wait()
    assert made.files("01_line") == before
    assert until(lambda: not processes(made), 20), "orphans of the killed batch"
    made.notebook(
        "01_line",
        HEAD,
        "from poc_book.curve import value",
        DRAW.format(name="01_line", figure="line"),
    )
    assert made.run(*FIGURES).returncode == 0
    assert stale(made) == set() and not list(made.home.glob(".partial-*"))
    assert load(made.home / "01_line" / "line.nc").sizes["x"] == 4


def test_killed_at_any_moment(made: TinyBook):
    "Thoroughly in `faults.py`."
    for chapter in ("01_line", "02_square"):
        made.notebook(chapter, HEAD, LIGHT)
    for seed, delay in enumerate((0.5, 3, 4), start=10):
        made.settings(f"[smoke]\nseed = {seed}\n")
        batch = made.start(*FIGURES)
        time.sleep(delay)
        batch.send_signal(signal.SIGKILL)
        batch.wait()
        for chapter in ("01_line", "02_square"):
            assert whole(made.home / chapter)
    assert made.run(*FIGURES).returncode == 0 and stale(made) == set()


def test_a_batch_ends_with_the_process_it_serves(made: TinyBook):
    made.notebook("01_line", HEAD, "import time; time.sleep(60)")
    master = subprocess.Popen(["sleep", "600"])
    batch = made.start(*FIGURES, POC_BOOK_PARENT=str(master.pid))
    assert until(lambda: list(made.home.glob(".partial-*")))
    master.kill()
    master.wait()
    assert batch.wait(timeout=10) != 0
    assert until(lambda: not processes(made), 20)


def test_more_than_two_chapters_fork_their_kernels_from_a_template_that_ends_with_the_batch(
    book: TinyBook, monkeypatch
):
    monkeypatch.delenv("POC_BOOK_TEMPLATE")
    book.notebook("01_line", HEAD, "import sys; assert 'jax' in sys.modules")
    book.notebook(
        "02_square",
        HEAD,
        "import os; assert os.environ['POC_BOOK_REDRAW'].endswith('02_square PROFILE=smoke')",
    )
    book.notebook("03_value", HEAD, "from poc_book.curve import value\nassert value(2) == 2")
    run = book.run(*FIGURES)
    assert run.returncode == 0 and stale(book) == set(), run.stderr
    assert until(lambda: not processes(book), 20)

    book.settings("[smoke]\nseed = 1\n")
    batch = book.start(*FIGURES)
    template = lambda: [
        pid
        for pid in processes(book)
        if b"import serve" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    assert until(template)
    batch.kill()
    batch.wait()
    assert until(lambda: not processes(book), 20)


def test_the_longest_chapters_start_first(book: TinyBook):
    seconds = {"01_line": 3, "02_square": 200, "03_cube": 100}
    kept = {"smoke": {name: {"seconds": value} for name, value in seconds.items()}}
    (book.root / "benchmarks").mkdir()
    (book.root / "benchmarks" / "chapters.json").write_text(json.dumps(kept))
    for name in seconds:
        book.notebook(name, HEAD, "import time; print('began', time.time())")
    run = book.run(*FIGURES)
    assert run.returncode == 0, run.stderr
    made = {name: (book.home / name / f"{name}.ipynb").read_text() for name in seconds}
    began = {name: float(re.search(r"began ([\d.]+)", text)[1]) for name, text in made.items()}
    # of the other two, on two cores, either may be the first
    assert max(began, key=began.get) == "01_line"


def test_profiles_lists_every_parameter(book: TinyBook):
    text = book.run("profiles").stdout
    lines = [line.split() for line in text.splitlines()]
    assert lines == [
        ["smoke"],
        ["01_line", "seed=0", "steps=3"],
        ["02_square", "seed=0", "steps=3"],
        ["reader"],
        ["01_line", "seed=1", "steps=4"],
        ["02_square", "seed=1", "steps=3"],
    ]


def test_defaults_of_every_chapter_are_the_smoke_profile():
    book = open_book(CHECKOUT)
    for chapter, parameters in book.profiles["smoke"].items():
        given = {"profile": "smoke", "out": None} | (
            {"problem": "he4"} if "problem" in parameters else {}
        )
        assert parameters | given == declared(book.chapters[chapter].notebook), chapter


CHECKPOINT = """
from pathlib import Path
mark = Path(out).parents[1] / "checkpoints" / "01_line" / "run.npz"  # as Chapter.checkpoint says
print("continues" if mark.exists() else "starts anew")
if not mark.exists():
    mark.write_bytes(b"half way")
    raise RuntimeError("killed")
"""


def test_resume_continues_and_a_fresh_start_sets_a_checkpoint_aside(book: TinyBook):
    book.notebook("01_line", HEAD, CHECKPOINT)
    only = (*FIGURES, "--only", "01_line")
    first = book.run(*only)
    assert first.returncode == 1 and "killed" in first.stderr
    kept = Chapter("01_line", "smoke", book.home / ".partial-x" / "01_line", {}).checkpoint("run")
    assert (
        kept == book.home / "checkpoints" / "01_line" / "run.npz"
        and kept.read_bytes() == b"half way"
    )
    kept.write_bytes(b"hours of work")
    # without --resume it starts anew, and what was there is not lost
    assert book.run(*only).returncode == 1
    assert kept.read_bytes() == b"half way"
    assert (
        book.home / "checkpoints" / "01_line.before" / "run.npz"
    ).read_bytes() == b"hours of work"
    # does not cost the checkpoint: its content says what it is for
    book.notebook("01_line", HEAD, CHECKPOINT, "# another word")
    assert book.run(*only, "--resume").returncode == 0
    assert "continues" in (book.home / "01_line" / "01_line.ipynb").read_text()
    assert not any((book.home / "checkpoints").glob("01_line*"))
    assert fresh(open_book(book.root), "smoke", "01_line")


def test_a_notebook_with_a_problem_is_a_chapter_for_each(book: TinyBook):
    head = "profile = 'smoke'\nout = None\nproblem = 'he4'\nsize = 1"
    book.notebook("03_each", head, "print(problem, size)")
    book.settings("[smoke]\n[smoke:03_each]\nsize = 2\n[smoke:03_each_xor4]\nsize = 3\n")
    made = book.run(*FIGURES, "--only", "03_each_xor4")
    assert made.returncode == 0 and "1 of 1 chapters" in made.stdout, made.stderr
    assert "xor4 3\\n" in (book.home / "03_each_xor4" / "03_each_xor4.ipynb").read_text()

    opened = open_book(book.root)
    pages = {name for name in opened.chapters if name.startswith("03_each_")}
    assert len(pages) == 6 and opened.profiles["smoke"]["03_each_he4"] == dict(
        problem="he4", size=2
    )
    before = {name: fingerprint(opened, "smoke", name) for name in pages}
    kept = book.root / "results" / "paper" / "xor4.nc"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"new")
    changed = {name for name in pages if fingerprint(opened, "smoke", name) != before[name]}
    assert changed == {"03_each_xor4"}  # its page shows what is kept

    before |= {name: fingerprint(opened, "smoke", name) for name in pages}
    for kind in ("drawn", "budget", "again", "orders", "alone"):
        (kept.parent / f"circle_{kind}.nc").write_bytes(b"new")
        after = {name: fingerprint(opened, "smoke", name) for name in pages}
        assert {name for name in pages if after[name] != before[name]} == {"03_each_circle"}
        before = after
    kinds = ("again", "alone", "budget", "drawn", "orders")
    assert list(sources(opened, "03_each_circle"))[-5:] == [
        f"results/paper/circle_{k}.nc" for k in kinds
    ]


@pytest.mark.parametrize("only, settings", [("03_each_he5", ""), ("03_each", "problem = xor4")])
def test_a_problem_is_not_a_parameter(book: TinyBook, monkeypatch, capsys, only, settings):
    book.notebook(
        "03_each",
        "profile = 'smoke'\nout = None\nproblem = 'he4'\nsize = 1",
        "print(problem, size)",
    )
    book.settings(f"[smoke]\n[smoke:03_each]\n{settings}\n")
    book.refused(monkeypatch, capsys, *FIGURES, "--only", only)


CHECK = DRAW.format(name="01_line", figure="line") + '\nchapter.margin("One", value(1), 1.5)'
READ = """
import json
from pathlib import Path
rows = ["01_line#c2"]
found = json.loads((Path(out).parents[1] / "01_line" / "margins.json").read_text())
print("achieved", found["One"]["achieved"])
"""


@pytest.fixture
def reading(book: TinyBook) -> TinyBook:
    "A book whose third chapter reads what the first has checked."
    book.notebook("01_line", HEAD, "from poc_book.curve import value", CHECK)
    book.notebook("03_map", HEAD, READ)
    return book


def test_a_chapter_that_reads_another_is_made_after_it(reading: TinyBook):
    only = (*FIGURES, "--only", "03_map")
    first = reading.run(*only)
    assert first.returncode == 0 and "1 figures, 2 of 2 chapters" in first.stdout, first.stderr
    assert "achieved 1.0" in (reading.home / "03_map" / "03_map.ipynb").read_text()
    assert reading.run(*only).stdout == "nothing to do: 2 chapters up to date\n"

    # the results count, not what Snakemake remembers of them
    shutil.rmtree(reading.root / "build" / ".snakemake")
    before = reading.files("01_line")
    reading.notebook("03_map", HEAD, READ, "# another word")
    assert "1 of 1 chapters" in reading.run(*only).stdout
    assert reading.files("01_line") == before


def test_a_chapter_that_reads_another_is_stale_with_it(reading: TinyBook):
    assert reading.run(*FIGURES).returncode == 0
    reading.module("curve", "def value(i): return 1.25 * i\n")
    assert stale(reading) == {"01_line", "03_map"}
    assert reading.run(*FIGURES, "--only", "01_line").returncode == 0
    assert stale(reading) == {"03_map"}
    assert "1 of 1 chapters" in reading.run(*FIGURES).stdout
    assert "achieved 1.25" in (reading.home / "03_map" / "03_map.ipynb").read_text()

    reading.module("curve", "def value(i): return 2 * i\n")
    failed = reading.run(*FIGURES)
    assert failed.returncode == 1
    error = "AssertionError: One: achieved 2, allowed 1.5, expected: holds"
    assert re.search(f"^01_line failed .*{error}", failed.stderr, re.M)
    assert "03_map not run: it reads what 01_line found\n" in failed.stderr


def test_snakemake_by_itself_makes_the_same_and_does_nothing_twice(reading: TinyBook):
    command = [sys.executable, "-m", "snakemake", "all", "--cores", "2", "--directory", "build"]
    environment = os.environ | {"PYTHONPATH": str(reading.root)}

    def snakemake(*config: str) -> str:
        words = [*command, "--config", "profile=smoke", *config]
        here = dict(cwd=reading.root, env=environment, timeout=300)
        run = subprocess.run(words, capture_output=True, text=True, **here)
        assert run.returncode == 0, run.stderr
        return run.stderr

    assert "2 of 2 steps" in snakemake("only=01_line")
    assert "3 of 3 steps" in snakemake()
    assert stale(reading) == set() and "Nothing to be done" in snakemake()
    assert reading.run(*FIGURES).stdout == "nothing to do: 3 chapters up to date\n"
    reading.module("curve", "def value(i):\n    'Of a line.'\n    return i  # itself\n")
    assert "Nothing to be done" in snakemake()
    reading.module("curve", "def value(i): return 1 * i\n")
    assert stale(reading) == {"01_line", "03_map"} and "3 of 3 steps" in snakemake()


def test_settings_may_begin_with_a_byte_order_mark(book: TinyBook):
    plain = open_book(book.root).profiles
    (book.root / "settings.ini").write_text(
        "\ufeff" + (book.root / "settings.ini").read_text(), encoding="utf-8"
    )
    assert open_book(book.root).profiles == plain


def test_a_system_error_without_a_number_says_what_it_is(monkeypatch, capsys):
    def gone(root):
        raise OSError("the disk is gone")

    monkeypatch.setattr(commands, "open_book", gone)
    assert cli.main(["profiles"]) == 2 and capsys.readouterr().err == "poc-book: the disk is gone\n"


def test_a_book_in_a_folder_with_braces(tmp_path):
    """To Snakemake a word in braces is a wildcard; so is the path of Python, which is in the book's
    folder too."""
    book = TinyBook(tmp_path / "a{b}c {profile}")
    (book.root / ".venv").symlink_to(sys.prefix)
    environment = os.environ | {"PYTHONPATH": str(book.root)}
    command = [book.root / ".venv" / "bin" / "python", "-m", "poc_book", *FIGURES]
    for words in ("2 figures, 2 of 2 chapters", "nothing to do"):
        run = subprocess.run(
            command, cwd=book.root, env=environment, capture_output=True, text=True, timeout=300
        )
        assert run.returncode == 0 and words in run.stdout, run.stderr


def papermill(book: TinyBook, *parameters: str) -> tuple[subprocess.CompletedProcess, str]:
    "The first chapter as run by papermill's own command, and what it then holds."
    command = [
        sys.executable,
        "-m",
        "papermill",
        "01_line.ipynb",
        "out.ipynb",
        "--kernel",
        "python3",
        "--language",
        "python",
    ]
    environment = os.environ | {"PYTHONPATH": str(book.root)}
    run = subprocess.run(
        [*command, *parameters],
        cwd=book.root / "nbs",
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
    )
    return run, (book.root / "nbs" / "out.ipynb").read_text()


def test_a_figure_with_parameters_of_its_own_names_no_command_that_would_draw_another(
    book: TinyBook,
):
    run, text = papermill(book, "-p", "steps", "5")
    assert run.returncode == 0 and "steps=5" in text and "redraw" not in text, run.stderr


def test_a_parameter_of_the_wrong_kind_is_named_by_a_notebook_that_papermill_runs(book: TinyBook):
    run, _ = papermill(book, "-p", "steps", "many")
    assert (
        run.returncode
        and run.stderr.strip().splitlines()[-1] == "BadInput: steps = 'many': a number"
    )


def test_a_number_for_a_list_is_one_line_of_the_command(book: TinyBook, monkeypatch, capsys):
    book.notebook("01_line", HEAD + "\nwidths = [1, 2]", "print(widths)")
    book.settings("[smoke]\n[smoke:01_line]\nwidths = 64\n")
    said = book.refused(monkeypatch, capsys, *FIGURES)
    assert said == "poc-book: 01_line widths in profile smoke = 64: a list that is not empty\n"
