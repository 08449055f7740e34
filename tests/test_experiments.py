"The pages of the paper's experiments against references of their own, and runs that are killed."

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from conftest import CHECKOUT
from scipy import stats

import poc_book.experiments as experiments
import poc_book.finite_width as finite_width
from poc_book.checks import BadInput
from poc_book.cli import main
from poc_book.experiments import (
    ALONE,
    MEASURES,
    ORDER_RUNS,
    PROTOCOLS,
    Protocol,
    by_chance,
    distances,
    error_budget,
    flow_risk,
    half_steps,
    initial_error,
    kept,
    rate,
    shifts,
)
from poc_book.finite_width import (
    check_memory,
    corrected,
    free_memory,
    identity,
    metrics,
    published,
    recall,
    required_memory,
    setup,
    sgd,
)
from poc_book.model import Atoms, Gaussian, Hermite, Problem, Sample, SoftPlus
from poc_book.problems import PROBLEMS, Labels, he, misspecified, xor
from poc_book.results import save
from poc_book.settings import PROBLEMS as PAGES
from poc_book.settings import open_book, select

pytestmark = pytest.mark.slow

RUN = dict(
    key=jax.random.key(3),
    widths=[4, 8],
    reference_width=16,
    samples=512,
    batch=64,
    step=0.05,
    time=1.0,
    records=3,
    test=256,
    repeats=2,
)


def test_every_problem_has_a_page_with_the_paper_s_sizes():
    assert set(PAGES) == set(PROBLEMS) == set(PROTOCOLS)
    book = open_book(CHECKOUT)
    assert select(book.chapters, "10_experiments") == [f"10_experiments_{p}" for p in PAGES]
    for name, p in PROTOCOLS.items():
        given = book.profiles["paper"][f"10_experiments_{name}"]
        assert (given["dim"], given["step"], given["time"], given["widths"]) == (
            p.dim,
            p.step,
            p.time,
            list(p.widths),
        )
        assert (given["samples"], given["batch"], given["repeats"], given["reference_width"]) == (
            2**16,
            2**13,
            3,
            2**17,
        )
        reader = book.profiles["reader"][f"10_experiments_{name}"]
        assert (reader["dim"], reader["time"], reader["samples"]) == (p.dim, p.time, 2**16)


def paper_runs(kind: str) -> dict[str, xr.Dataset]:
    "The kept results of a kind, by problem, each of the paper's sizes."
    found = {name: one for name in PROTOCOLS if (one := kept(name, kind)) is not None}
    for name, one in found.items():
        p, about = PROTOCOLS[name], one.attrs
        assert (about["problem"], about["dim"], about["step"]) == (name, p.dim, p.step)
        assert (float(one.time[-1]), about["samples"], about["batch"]) == (p.time, 2**16, 2**13)
    return found


def test_the_kept_runs_are_the_paper_s_the_drawn_ones_of_all_problems():
    drawn, swept = paper_runs("drawn"), paper_runs("run")
    assert drawn.keys() == PROTOCOLS.keys()
    for order, runs in (("drawn", drawn), ("swept", swept)):
        for name, run in runs.items():
            assert run.attrs["order"] == order and run.sizes["seed"] == 3
            assert tuple(run.width.values) == PROTOCOLS[name].widths
            assert run.attrs["reference_width"] == 2**17
            assert json.loads(run.attrs["device"])["platform"] == "gpu"
            first = corrected(run).scaled_function_error.isel(time=0).mean()
            expected = initial_error(PROBLEMS[name]())
            assert float(first / expected) == pytest.approx(1, abs=0.1), name


def test_the_kept_repeats_differ_from_the_drawn_run_in_their_key_alone():
    runs = paper_runs("again")
    assert runs.keys() == {"he4", "circle"}
    for name, run in runs.items():
        one = kept(name, "drawn")
        assert run.attrs["order"] == one.attrs["order"] == "drawn"
        assert run.attrs["reference_width"] == one.attrs["reference_width"]
        assert run.width.equals(one.width) and run.time.equals(one.time)
        assert not np.array_equal(run.attrs["key"], one.attrs["key"])
        assert json.loads(run.attrs["device"])["platform"] == "gpu" and run.sizes["seed"] >= 3


def test_the_kept_runs_in_both_orders_differ_in_the_order_alone():
    runs = paper_runs("orders")
    assert runs.keys() == ORDER_RUNS.keys()
    for name, (m, M) in ORDER_RUNS.items():
        run = runs[name]
        assert run.order.values.tolist() == ["drawn", "swept"] and run.sizes["seed"] == 3
        assert run.width.values.tolist() == [m] and run.attrs["reference_width"] == M
        start = run.population_risk.isel(time=0, width=0)
        # the same neurons in both orders, others by seed
        assert np.array_equal(*start.values) and np.unique(start).size == 3
        np.testing.assert_allclose(run.half_risk[0], start.sel(order="swept")[0], rtol=1e-5)
    alone, beside = kept("misspecified", "alone"), kept("misspecified", "orders")
    assert (
        alone.sizes["seed"] == ALONE
        and alone.reference_width == alone.width[0]
        and alone.time.equals(beside.time)
    )
    # the same neurons on the same samples, until steps overshoot
    early = dict(seed=beside.seed, time=alone.time[:2])
    np.testing.assert_allclose(
        alone.population_risk.sel(early), beside.population_risk.sel(early), rtol=1e-3
    )
    key = jax.random.wrap_key_data(np.asarray(json.loads(alone.key), np.uint32))
    _, (_, y), *_ = setup(
        PROBLEMS["misspecified"](), jax.random.fold_in(key, 4), 2, 2**16, 1, jnp.float32
    )
    assert float(alone.largest_label[4]) == pytest.approx(np.abs(y).max())


def test_the_command_keeps_both_orders(tmp_path, monkeypatch, capsys):
    assert (
        main(["orders", "xor4"]) == 2
        and capsys.readouterr().err == "poc-book: problem = 'xor4': one of he4, misspecified\n"
    )
    small = dict(
        SAMPLES=256,
        BATCH=64,
        ORDER_RUNS={"he4": (8, 16)},
        PROTOCOLS={"he4": Protocol(3, 32, 0.05, 1.5, (8,))},
    )
    for name, value in small.items():
        monkeypatch.setattr(experiments, name, value)
    monkeypatch.setattr(
        experiments,
        "kept_path",
        lambda problem, kind="run": tmp_path / "results" / f"{problem}_{kind}.nc",
    )
    monkeypatch.setattr("poc_book.__file__", str(tmp_path / "poc_book" / "__init__.py"))
    for folder in ("nbs", "results"):
        (tmp_path / folder).mkdir()
    assert main(["orders", "he4"]) == 0
    run = kept("he4", "orders")
    one = sgd(
        he(4, 32),
        key=jax.random.key(0),
        widths=[8],
        reference_width=16,
        samples=256,
        batch=64,
        step=0.05,
        time=1.5,
        records=31,
        repeats=3,
        order="swept",
    )
    assert run.risk.sel(order="swept", drop=True).drop_attrs().equals(one.risk)
    assert (tmp_path / "build" / "checkpoints" / "orders_he4" / "swept.npz").is_file()


def test_a_step_in_half_precision_is_that_of_numpy():
    "One step on numbers of NumPy's own half precision, and one whose gradient overflows."
    problem, rng = misspecified(6), np.random.default_rng(0)
    w, x = rng.normal(size=(4, 6)).astype(np.float32), rng.normal(size=(32, 6)).astype(np.float32)
    w /= np.linalg.norm(w, axis=1, keepdims=True)
    y = np.asarray(problem.teacher(x), np.float32)
    h = lambda v: np.asarray(v).astype(np.float16).astype(np.float32)
    sizes = [1 / 24**0.5, 1 / 720**0.5]
    f = lambda c: np.polynomial.hermite_e.HermiteE(c)
    value = f([0, 0, 0, 0, sizes[0], 0, sizes[1]])
    z = h(h(w) @ h(x).T)
    gap = h(8.0 * 2 / 32 * h(h(h(value(z)).mean(0)) - h(y)))
    pull = h(h(gap * h(value.deriv()(z)) / 4) @ h(x))
    known = w - 0.01 * 4 / 8 * pull
    known /= np.linalg.norm(known, axis=1, keepdims=True)
    state = lambda scale: (w, jnp.float32(scale), jnp.int32(0), jnp.float32(0))
    step = lambda scale: half_steps(
        problem, state(scale), x, y, np.asarray(0), np.asarray(1), 32, np.float32(0.01)
    )
    moved, scale, skipped, _ = step(8.0)
    off = np.abs(moved - known).max()
    print(f"one step in half precision: {off:.1e}, moved by {np.abs(known - w).max():.1e}")
    assert off < 1e-5 and (float(scale), int(skipped)) == (8.0, 0)
    stayed, scale, skipped, largest = step(2.0**20)
    assert (
        np.array_equal(stayed, w)
        and (float(scale), int(skipped)) == (2.0**19, 1)
        and float(largest) == 0
    )


def test_the_kept_error_budgets_are_of_the_paper_s_sizes():
    budgets = paper_runs("budget")
    assert budgets
    profile = open_book(CHECKOUT).profiles["paper"]
    for name, budget in budgets.items():
        moved = shifts(budget)["median"]
        swept = budget.attrs["order"] == "swept"  # made by the profile
        width = profile[f"10_experiments_{name}"]["budget_width"] if swept else 4096
        assert budget.attrs["width"] == width
        assert ("other order" in budget.change) == swept
        # the small network is the same
        assert float(moved.sel(change="twice M", panel="risk")) <= (1e-5 if swept else 0)
        assert 0 < float(moved.sel(change="half the step", panel="risk")) < 1


def as_published(name: str, **factors: list[float]) -> xr.Dataset:
    "The published curves as if `sgd` had made them, each repeat with a factor of its own."
    curves = published(name).fillna(1.0)
    given = {n: ("seed", factors.get(n, factors["risk"])) for n in curves}
    run = xr.Dataset({n: curves[n] * xr.DataArray(f[1], dims="seed") for n, f in given.items()})
    seeds = dict(seed=range(len(factors["risk"])))
    return run.transpose("seed", "width", "time").assign_coords(seeds).assign_attrs(curves.attrs)


def test_distances_from_the_published_curves_are_those_of_known_factors():
    "Every point of a panel off by the same factor; then a risk that is off at its start alone."
    run = as_published("he4", risk=[1.2], scaled_coupling_error=[0.7], scaled_function_error=[1.5])
    known = dict(
        risk=0.2, risk_over_start=0.0, scaled_function_error=0.5, scaled_coupling_error=0.3
    )
    found = distances(run)
    assert found.measure.values.tolist() == list(MEASURES) == list(known)
    np.testing.assert_allclose(found, list(known.values()), atol=1e-12)
    run.risk[..., 0] *= 2
    late = distances(run)
    np.testing.assert_allclose(late.sel(measure="risk_over_start"), 0.5, atol=1e-12)
    np.testing.assert_allclose(late.sel(measure="risk"), 0.2, atol=1e-12)


def test_what_chance_does_is_the_spread_of_means_of_three():
    "Repeats with independent factors: against the known deviation between two such means."
    rng = np.random.default_rng(0)
    for n in (3, 12):
        squares = []
        for _ in range(60):
            run = as_published("xor4", risk=(1 + 0.02 * rng.normal(size=n)).tolist())
            chance = by_chance(run).sel(measure=["risk", "scaled_coupling_error"])
            squares.append(np.square(chance.values))
        found, known = np.sqrt(np.mean(squares)), 0.02 * np.sqrt(1 / 3 + 1 / n)
        print(f"{n} repeats: {found:.4f}, known {known:.4f}")
        assert found == pytest.approx(known, rel=0.25)
    with pytest.raises(BadInput, match="at least 2 repeats"):
        by_chance(as_published("xor4", risk=[1.0]))


class Killed(Exception):
    pass


def test_a_killed_run_continues_to_the_same_bits(tmp_path, monkeypatch):
    problem = he(4, 8)
    whole = sgd(problem, **RUN)
    xr.testing.assert_identical(whole, sgd(problem, **RUN))
    monkeypatch.setattr(finite_width, "PATIENCE", -1.0)
    monkeypatch.setattr(finite_width, "WORK", 1.0)  # a checkpoint after every step
    path, write = tmp_path / "run.npz", finite_width.keep
    for last in (1, 7, 12, 9):
        calls = iter(range(last + 1))

        def dying(*args, calls=calls):
            write(*args)
            if next(calls, None) is None:
                raise Killed

        monkeypatch.setattr(finite_width, "keep", dying)
        with pytest.raises(Killed):
            sgd(problem, **RUN, checkpoint=path)
    monkeypatch.setattr(finite_width, "keep", write)
    assert recall(path, "another run") == ([], 0, None)
    fewer = sgd(problem, **{**RUN, "repeats": 1}, checkpoint=path)
    xr.testing.assert_identical(fewer, whole.isel(seed=[0]))
    xr.testing.assert_identical(sgd(problem, **RUN, checkpoint=path), whole)
    xr.testing.assert_identical(sgd(problem, **RUN, checkpoint=path), whole)  # nothing left to do
    path.write_bytes(path.read_bytes()[:200])
    xr.testing.assert_identical(sgd(problem, **RUN, checkpoint=path), whole)


def test_training_is_compiled_once_for_all_repeats():
    traced = []

    def activation(z):
        traced.append(z.shape)
        return SoftPlus(16.0)(z)

    problem = Problem(xor(6).inputs, activation, xor(6).teacher, 8.0, True, "counted")
    sgd(problem, **{**RUN, "repeats": 1})
    once = len(traced)
    sgd(problem, **{**RUN, "repeats": 3, "key": jax.random.key(9)})
    assert once > 0 and len(traced) == once


def test_double_precision_runs_the_same_draws():
    single, double = sgd(he(4, 8), **RUN), sgd(he(4, 8), **RUN, dtype="float64")
    gap = float(np.abs(single.population_risk - double.population_risk).max())
    print(f"single against double precision: {gap:.1e}")
    assert 0 < gap < 1e-4 and (double.attrs["dtype"], single.attrs["dtype"]) == (
        "float64",
        "float32",
    )
    with pytest.raises(BadInput, match="dtype = 'float16'"):
        sgd(he(4, 8), **RUN, dtype="float16")


def test_a_run_that_does_not_fit_is_refused_before_it_starts():
    assert free_memory() > 2**20
    with pytest.raises(BadInput, match=r"^memory = .* GiB"):
        check_memory(2 * free_memory() + 2**40)
    with pytest.raises(BadInput, match=r"^memory = "):
        sgd(he(4, 1000), **{**RUN, "samples": 2**31 - 1})
    pairs = 4 * 2**34  # one array of 2^17 x 2^17 in single precision
    assert (
        required_memory(he(4, 32), [2**k for k in range(12, 18)], 2**16, 8192, 8192, "float32")
        < pairs / 50
    )


def test_a_run_says_what_memory_it_needs_before_it_starts(capsys, monkeypatch):
    def start(*_):
        raise Killed

    monkeypatch.setattr(finite_width, "train_once", start)
    with pytest.raises(Killed):
        sgd(he(4, 8), **{**RUN, "samples": 2**22})
    needed = required_memory(he(4, 8), [4, 8, 16], 2**22, 64, 256, "float32")
    out, said = capsys.readouterr()
    assert out == "" and f"about {needed / 2**30:.2f} GiB" in said and needed > 2**28


def test_the_histogram_is_that_of_numpy():
    w = np.random.default_rng(0).normal(size=(16, 8))
    w /= np.linalg.norm(w, axis=1, keepdims=True)
    v = np.roll(w, 1, axis=0)[:8]
    x = jnp.asarray(np.random.default_rng(1).normal(size=(256, 8)))
    found = metrics(he(4, 8), [jnp.asarray(v), jnp.asarray(w)], x, jnp.zeros(256))[
        "coupling_histogram"
    ]
    sizes = 8**0.5 * np.linalg.norm(v - w[:8], axis=1)
    known = np.histogram(sizes, finite_width.EDGES)[0] / 8
    np.testing.assert_allclose(found[0], known, atol=1e-12)
    assert float(found[1][0]) == 1  # the reference is not away from itself


@pytest.mark.parametrize("name, dim", [("staircase", 5), ("misspecified", 9)])
def test_the_initial_error_is_the_mean_over_networks(name, dim):
    problem, values = PROBLEMS[name](dim=dim), []
    rng = np.random.default_rng(5)
    for _ in range(300):
        w = rng.normal(size=(32, dim))
        w /= np.linalg.norm(w, axis=1, keepdims=True)
        values.append(
            8
            / (1 - 8 / 32)
            * float(
                problem.function_error(
                    problem.measure(jnp.asarray(w[:8])), problem.measure(jnp.asarray(w))
                )
            )
        )
    pull = (np.mean(values) - initial_error(problem)) / (np.std(values) / np.sqrt(300))
    print(f"{name}: {pull:.1f} standard errors")
    assert abs(pull) < 4


def test_initial_error_needs_inputs_of_one_length():
    problem = Problem(he(4, 8).inputs, SoftPlus(16.0), lambda x: x[:, 0])
    with pytest.raises(BadInput, match="inputs of one length"):
        initial_error(problem)


def test_the_interval_of_a_rate_is_that_of_scipy():
    rng = np.random.default_rng(2)
    errors = xr.DataArray(
        np.exp(rng.normal(size=(5, 4))),
        dict(seed=range(5), width=[8, 16, 32, 64]),
        ("seed", "width"),
    )
    slopes = [
        stats.linregress(np.log(errors.width), np.log(row)).slope - 1 for row in errors.values
    ]
    low, high = stats.t.interval(0.95, 4, np.mean(slopes), stats.sem(slopes))
    np.testing.assert_allclose(rate(errors), (np.mean(slopes), low, high), rtol=1e-10)


def test_small_steps_follow_the_flow_beside_a_budget():
    "With the neurons and test inputs of the run, at its start to rounding."
    key, one = (
        jax.random.key(0),
        dict(
            widths=[8], reference_width=8, samples=None, batch=4096, step=0.02, time=0.4, records=3
        ),
    )
    run = sgd(he(4, 8), key=key, **one, test=8192)
    off = np.abs(run.risk.values[0, 0] / flow_risk(he(4, 8), key, 8, run.time.values, 8192) - 1)
    assert off[0] < 1e-5 and off.max() < 0.3


def test_what_decides_the_bits_is_part_of_a_checkpoint():
    """Problems of one name and size with another teacher or activation are other runs; the same one
    made anew is not."""

    def named(activation, weights):
        return Problem(
            Gaussian(8), activation, Atoms(np.eye(2, 8), weights, Hermite(4, 1.0)), name="same"
        )

    one, same, teacher, link = (
        identity(named(Hermite(4, c), [0.5, weight]), {})
        for c, weight in ((1.0, 0.5), (1.0, 0.5), (1.0, 0.6), (2.0, 0.5))
    )
    assert one == same and len({one, teacher, link}) == 3
    about = json.loads(one)
    assert about["jax"] == jax.__version__ and "cpu" in about["device"]


@pytest.mark.any_type
def test_numbers_of_numpy_are_numbers(tmp_path):
    given = {
        **RUN,
        "batch": np.int64(64),
        "samples": np.int32(512),
        "step": np.float64(0.05),
        "widths": np.array([4, 8]),
    }
    run = sgd(he(4, 8), **given, checkpoint=tmp_path / "run.npz")
    xr.testing.assert_identical(run, sgd(he(4, 8), **RUN))
    assert type(run.attrs["batch"]) is int and type(run.attrs["step"]) is float


def test_bad_sizes_of_rates_and_budgets_are_refused_before_anything_runs(monkeypatch):
    monkeypatch.setattr("poc_book.experiments.sgd", None)
    small = dict(
        key=jax.random.key(0),
        width=8,
        reference_width=16,
        samples=16384,
        batch=4096,
        step=0.02,
        time=0.4,
        records=3,
    )
    for field, value in (("width", 16), ("samples", 8192), ("records", 8)):
        with pytest.raises(BadInput, match=field):
            error_budget(he(4, 8), 8, **{**small, field: value})
    one = xr.DataArray(np.ones((1, 3)), dict(seed=[0], width=[4, 8, 16]), ("seed", "width"))
    for errors in (
        one,
        xr.concat([one, one], "seed").isel(width=[0]),
        0 * xr.concat([one, one], "seed"),
    ):
        with pytest.raises(BadInput, match="errors"):
            rate(errors)
    widest = xr.Dataset(coords=dict(width=[16]), attrs=dict(reference_width=16))
    with pytest.raises(BadInput, match="below the reference width"):
        corrected(widest)


def test_corrected_divides_the_bias_out():
    run = sgd(he(4, 8), **RUN)
    np.testing.assert_allclose(
        corrected(run).scaled_function_error.sel(width=8),
        2 * run.scaled_function_error.sel(width=8),
    )


def test_kept_results_are_read_or_reported_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("poc_book.__file__", str(tmp_path / "poc_book" / "__init__.py"))
    place = tmp_path / "results" / "paper"
    place.mkdir(parents=True)
    assert kept("he4") is None and kept("he4", "drawn") is None
    save(sgd(he(4, 8), **RUN, order="swept"), place / "he4.nc")
    about = kept("he4").attrs
    assert {"device", "commit", "created"} <= about.keys()
    assert "cpu" in json.loads(about["device"])["platform"]
    assert kept("he4").order == "swept" and kept("he4", "drawn") is None
    old = sgd(he(4, 8), **RUN)
    del old.attrs["order"]  # as in the days when there was one order
    save(old, place / "he4_drawn.nc")
    assert kept("he4", "drawn").order == "drawn" and kept("he4").order == "swept"
    (place / "he4.nc").write_bytes(b"damaged")
    with pytest.raises(BadInput, match="whole NetCDF"):
        kept("he4")
    with pytest.raises(BadInput, match="kind = 'sweep'"):
        kept("he4", "sweep")


@pytest.mark.parametrize("samples", [None, 64])
def test_labels_stay_with_their_inputs(samples):
    """A data set trains as the function that its labels are the values of, whole (batch = n) or in
    mini-batches."""
    x = np.random.default_rng(2).normal(size=(64, 6))
    known = lambda x: x[:, 0] * x[:, 1]
    run = dict(
        key=jax.random.key(3),
        widths=[8],
        reference_width=16,
        samples=samples,
        batch=64,
        step=0.1,
        time=2.0,
        test=64,
    )
    data, function = (
        sgd(Problem(Sample(x), SoftPlus(2.0), f, 1.0, True), **run)
        for f in (Labels(known(x)), known)
    )
    assert data.equals(function) and float(data.risk[0, 0, -1]) < 0.9 * float(data.risk[0, 0, 0])
