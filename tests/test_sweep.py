"Sweeps: one run against the library, the labels of a merge, what is refused, what runs again."

import re

import jax
import numpy as np
import pytest
import xarray as xr
from conftest import CHECKOUT, TinyBook

from poc_book.batch import drop_damaged
from poc_book.checks import BadInput
from poc_book.finite_width import flow
from poc_book.mean_field import solve
from poc_book.problems import he
from poc_book.results import load, save
from poc_book.settings import SWEEP, open_book, sweep_runs
from poc_book.sphere import uniform
from poc_book.sweep import DIMS, merge, run_one

pytestmark = pytest.mark.slow

TIMES = [0.0, 0.5, 1.0]


def test_one_run_is_the_flow_and_its_limit():
    problem, run = he(4, 6), run_one("he4", 6, 12, 5, TIMES)
    w0 = uniform(jax.random.key(5), 12, 6)
    network, limit = flow(problem, w0, TIMES), solve(problem, TIMES)
    apart = np.asarray(network.points - limit.transport(w0))
    errors = [limit.function_error(t, problem.measure(w)) for t, w in zip(TIMES, network.points)]
    for name, expected in (
        ("risk", network.risk),
        ("mean_field_risk", limit.risk),
        ("function_error", errors),
        ("mean_field_risk_error", limit.risk_error),
        ("coupling_error", (apart**2).sum(-1).mean(-1)),
    ):
        assert np.allclose(run[name].squeeze(), expected, rtol=1e-6, atol=1e-12), name
    assert run.coupling_error[..., -1] > 1e-5 and run.sizes == dict(zip(DIMS, (1, 1, 1, 1, 3)))


def stand_in(problem: str, dim: int, width: int, seed: int, times=TIMES) -> xr.Dataset:
    "A run without the work: its value says which one it is."
    value = 1000.0 * len(problem) + 100 * dim + width + seed + np.array(times)
    labels = {"problem": [problem], "dim": [dim], "width": [width], "seed": [seed], "time": times}
    return xr.Dataset({"risk": (DIMS, value[None, None, None, None])}, labels)


GRID = [(p, d, m, s) for p in ("he4", "circle") for d in (8, 16) for m in (128, 32) for s in (1, 0)]


@pytest.fixture
def paths(tmp_path):
    return [save(stand_in(*one), tmp_path / "{}_{}_{}_{}.nc".format(*one)) for one in GRID]


def test_a_merge_labels_every_value(paths):
    merged = merge(paths)
    assert tuple(merged.risk.dims) == DIMS and merged.sizes == dict(zip(DIMS, (2, 2, 2, 2, 3)))
    for p, d, m, s in GRID:
        values = merged.risk.sel(problem=p, dim=d, width=m, seed=s).values
        assert np.array_equal(values, stand_in(p, d, m, s).risk.values.ravel())


def test_a_merge_refuses_what_is_not_a_whole_grid(paths, tmp_path):
    def refused(files, words):
        with pytest.raises(BadInput, match=words) as error:
            merge(files)
        assert "\n" not in str(error.value)

    refused([], "at least one file")
    refused(paths[1:], "15 files': one for each of the 16 points")
    refused([*paths, paths[0]], "17 files")
    refused([*paths[1:], tmp_path / "absent.nc"], "an existing NetCDF file")
    refused(
        [*paths[1:], save(stand_in(*GRID[0], times=[0.0, 0.5]), tmp_path / "t.nc")],
        "a run at the times of he4_8_128_0.nc",
    )
    refused(
        [*paths[1:], save(xr.Dataset({"y": ("x", [1.0])}), tmp_path / "y.nc")], "one run of a sweep"
    )
    whole = paths[3].read_bytes()
    at = whole.index(load(paths[3]).risk.values.tobytes())
    for content in (
        b"",
        whole[: len(whole) // 2],
        whole[:-1],
        whole[:at] + b"\1\2\3" + whole[at + 3 :],
    ):
        paths[3].write_bytes(content)
        refused(paths, paths[3].name)


FAKE = """
def run_one(problem, dim, width, seed, times):
    require(width != 13, "width", width, "not 13")
    labels = dict(problem=[problem], dim=[dim], width=[width], seed=[seed], time=times)
    return xr.Dataset(dict(risk=(DIMS, np.full((1, 1, 1, 1, len(times)), float(width)))), labels)
"""
SMALL = "[smoke]\n[smoke:sweep]\nproblems = [he4]\nwidths = {}\nseeds = [0]\ntimes = {}\n"


@pytest.fixture
def sweep(book: TinyBook):
    "A tiny book whose runs cost nothing."
    real = (CHECKOUT / "poc_book" / "sweep.py").read_text()
    book.module("sweep", re.sub(r"from \.(coupling|problems|sphere) import .*", "", real) + FAKE)
    book.settings(SMALL.format([16, 32], [0.0, 1.0]))
    return book


def test_only_what_is_missing_or_out_of_date_runs(sweep: TinyBook):
    def run(widths, times=(0.0, 1.0)):
        "The end of a sweep, and which runs it made."
        sweep.settings(SMALL.format(list(widths), list(times)))
        written = lambda: {
            p.name: p.stat().st_mtime_ns for p in (sweep.home / "sweep").glob("*.nc")
        }
        before, end = written(), sweep.run("sweep", "--profile", "smoke")
        return end, [name for name, date in sorted(written().items()) if before.get(name) != date]

    bad, made = run([13, 16])
    assert (bad.returncode, bad.stdout, made) == (2, "", ["he4_d8_m16_s0.nc"]) and not (
        sweep.home / "sweep.nc"
    ).exists()
    assert bad.stderr == "he4_d8_m13_s0 failed with BadInput: width = 13: not 13\n"
    good, made = run([16, 32])
    assert made == ["he4_d8_m32_s0.nc"] and good.stdout.startswith(
        "build/smoke/sweep.nc: 2 runs, 1 of them new"
    ), good.stderr
    assert load(sweep.home / "sweep.nc").risk.sel(width=32).values.tolist() == [[[[32.0, 32.0]]]]
    merged = (sweep.home / "sweep.nc").read_bytes()
    again, made = run([16, 32])
    assert (again.stdout, made) == ("nothing to do: 2 runs up to date\n", []) and (
        sweep.home / "sweep.nc"
    ).read_bytes() == merged
    one = sweep.home / "sweep" / "he4_d8_m16_s0.nc"
    one.write_bytes(one.read_bytes()[:1000])
    damaged = sweep.run("merge", "--profile", "smoke")
    assert damaged.returncode == 2 and (sweep.home / "sweep.nc").read_bytes() == merged
    refused = "poc-book: run = 'he4_d8_m16_s0.nc': a whole NetCDF file (OSError while reading it)\n"
    assert (damaged.stdout, damaged.stderr) == ("", refused)
    # as a sweep does first, so that what is damaged is missing
    drop_damaged([one, sweep.home / "sweep.nc"])
    assert not one.exists() and (sweep.home / "sweep.nc").exists()
    (sweep.home / "sweep.nc").write_bytes(merged[:-1])
    drop_damaged([one, sweep.home / "sweep.nc"])
    assert not (sweep.home / "sweep.nc").exists()
    other, made = run([16, 32], [0.0, 2.0])  # the one is missing, the other has old times
    assert made == ["he4_d8_m16_s0.nc", "he4_d8_m32_s0.nc"], other.stderr
    assert load(sweep.home / "sweep.nc").time.values.tolist() == [0.0, 2.0]


@pytest.mark.parametrize(
    "arguments, settings, words",
    [
        (
            ("sweep", "--profile", "smoke"),
            "problems = [he5]",
            "problem of [smoke:sweep] in settings.ini = 'he5': one of circle, he4",
        ),
        (
            ("sweep", "--profile", "smoke"),
            "width = [16]",
            "'width': one of dims, problems, seeds, times, widths",
        ),
        (
            ("sweep", "--profile", "smoke"),
            "dims = [8.5]",
            "sweep dims in profile smoke = 8.5: a whole number",
        ),
        (("sweep", "--profile", "papr"), "", "profile = 'papr'"),
        (("run", "he4", "8", "m", "0"), "", "invalid int value"),
    ],
)
def test_bad_names_are_one_line(book: TinyBook, monkeypatch, capsys, arguments, settings, words):
    book.settings(f"[smoke]\n[smoke:sweep]\n{settings}\n")
    assert words in book.refused(monkeypatch, capsys, *arguments)


def test_the_grid_of_the_smoke_profile_is_the_default():
    book = open_book(CHECKOUT)
    assert book.sweeps["smoke"] == SWEEP and len(sweep_runs(book, "smoke")) == 4
