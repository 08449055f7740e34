"`make benchmark` at tiny sizes, and the page of what it measured."

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from conftest import CHECKOUT

from poc_book.batch import environment
from poc_book.checks import BadInput
from poc_book.settings import open_book
from poc_book.site import measured, speed_page

pytestmark = pytest.mark.slow


@pytest.fixture
def bench(tmp_path, monkeypatch):
    "The module benchmarks/run.py, writing into a folder of its own."
    spec = importlib.util.spec_from_file_location("run", CHECKOUT / "benchmarks" / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "benchmarks").mkdir()
    monkeypatch.setattr(module, "HERE", tmp_path / "benchmarks")
    return module


def table(page: str) -> list[list[str]]:
    "The rows of all tables of a page."
    return [
        line.strip("| ").split(" | ")
        for line in page.splitlines()
        if line.startswith("| ") and "CPU | GPU" not in line
    ]


@pytest.mark.parametrize("device", ["CPU", "GPU"])
def test_the_page_has_every_row_and_says_what_is_not_measured(device, tmp_path):
    (tmp_path / "benchmarks").mkdir()
    shutil.copy(CHECKOUT / "benchmarks" / f"{device.lower()}.json", tmp_path / "benchmarks")
    page = speed_page(tmp_path)
    ratios = json.loads((CHECKOUT / "benchmarks" / f"{device.lower()}.json").read_text())["ratios"]
    show = lambda value: "—" if value is None else f"{value:g}"
    known = [
        [row, show(v), "not yet measured"]
        for section in ratios.values()
        for row, v in section["rows"].items()
    ]
    if device == "GPU":
        known = [[row, missing, value] for row, value, missing in known]
    assert table(page) == known and len(known) > 20
    assert [title for title in ratios if f"\n## {title}\n" in page] == list(ratios)
    other = "CPU" if device == "GPU" else "GPU"
    assert page.count(f"- {other}: not yet measured\n") == len(ratios)


def test_the_page_says_which_run_a_section_is_of(tmp_path):
    (tmp_path / "benchmarks").mkdir()
    old = dict(about="Old.", rows={"a": 1.0, "b": 2.0})
    new = dict(
        about="New.",
        rows={"c": 3.0, "d": None},
        device="a CPU",
        date="2030-01-02",
        commit="commit abc",
        jax="9",
    )
    file = dict(device="an old CPU", date="2020-01-02", jax="8", ratios={"Old": old, "New": new})
    (tmp_path / "benchmarks" / "cpu.json").write_text(json.dumps(file))
    page = speed_page(tmp_path)
    assert "- CPU: an old CPU, 2020-01-02, assembled from several runs, JAX 8\n" in page
    assert "- CPU: a CPU, 2030-01-02, commit abc, JAX 9\n" in page
    assert ["d", "—", "not yet measured"] in table(page)


def test_a_section_is_written_anew_and_the_others_stay(bench, monkeypatch):
    def first():
        yield from (("a", 1.2345), ("b", None))

    def second():
        yield "c", 2.0

    first.__doc__, second.__doc__ = "One\n    thing.", "Another."
    monkeypatch.setattr(bench, "SECTIONS", dict(first=first, second=second))
    path = bench.HERE / f"{'gpu' if bench.GPU else 'cpu'}.json"
    before = dict(about="before", rows={"c": 5.0, "d": 6.0})
    path.write_text(
        json.dumps(dict(date="2020-01-02", device="old", ratios=dict(Second=before, Gone=before)))
    )
    with pytest.raises(BadInput, match="ONLY = 'third'"):
        bench.main(["third"])
    bench.main(["first"])
    found = measured(path)
    assert found["Second"] == before | dict(date="2020-01-02", device="old") and set(found) == {
        "First",
        "Second",
    }
    assert found["First"]["about"] == "One thing." and found["First"]["rows"] == {
        "a": 1.23,
        "b": None,
    }
    assert found["First"]["jax"] == jax.__version__ and re.match(
        r"commit \w+", found["First"]["commit"]
    )

    def cut():
        yield "c", 7.0
        raise KeyboardInterrupt

    cut.__doc__ = "Cut off."
    monkeypatch.setattr(bench, "SECTIONS", dict(first=first, second=cut))
    with pytest.raises(KeyboardInterrupt):
        bench.main(["second"])
    assert measured(path) == found  # a section is there whole or as it was
    monkeypatch.setattr(bench, "SECTIONS", dict(first=first, second=second))
    bench.main([])
    assert (
        measured(path)["Second"]["rows"] == {"c": 2.0}
        and measured(path)["Second"]["date"] > "2020-01-02"
    )


def test_a_step_is_timed_against_plain_loops(bench):
    "The section checks too that the plain loops take the same step."
    found = dict(bench.step_of_sgd_against_plain_loops(m=64, dim=8, batch=256))
    assert all(value > 0 for value in found.values())
    assert len(found) == 1 + (importlib.util.find_spec("torch") is not None)


@pytest.mark.parametrize(
    "top, samples, batch, least",
    [
        (64, 2**20, 8192, 0.7),  # samples fill it
        (32768, 8192, 512, 0.4),
    ],
)  # blocks of neurons: XLA holds one to three of them at once, as machine and moment have it
def test_a_run_takes_the_memory_it_says(bench, top, samples, batch, least):
    [(_, ratio)] = bench.memory_against_its_prediction([(top, samples, batch)])
    print(f"peak over prediction: {ratio:.2f}")
    assert (0 if bench.GPU else least) < ratio < 1.3


CACHED = """
import json
from collections import Counter
import jax
seen = Counter()
jax.monitoring.register_event_listener(lambda event, **_: seen.update([event.split("/")[-1]]))
from poc_book.finite_width import flow
from poc_book.problems import he
from poc_book.sphere import uniform
flow(he(4, 8), uniform(jax.random.key(0), 40, 8), [1.0])
print(json.dumps(seen))
"""


def test_a_second_process_compiles_nothing_anew(book, monkeypatch):
    """With the batch's environment; here what compiles quickly is kept as well, so that none is
    left."""
    names = (
        "JAX_COMPILATION_CACHE_DIR",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS",
        "EQX_ON_ERROR",
    )
    for name in names:
        monkeypatch.delenv(name, raising=False)
    own = environment(open_book(book.root), 1)
    assert Path(own[names[0]]).is_relative_to(book.root)
    own |= {names[1]: "0", "PYTHONPATH": str(CHECKOUT)}
    run = [sys.executable, "-c", CACHED]
    first, second = (
        json.loads(subprocess.check_output(run, env=own, cwd=CHECKOUT)) for _ in range(2)
    )
    print(first, second)
    assert first["cache_misses"] > 1 and "cache_misses" not in second
    assert second["cache_hits"] == second["compile_requests_use_cache"] >= first["cache_misses"]
