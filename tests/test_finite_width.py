"""Finite networks against references that share no code with them: SciPy, plain numpy loops, closed
forms."""

import csv
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import poc_book
from poc_book.checks import BadInput, NotResolved
from poc_book.finite_width import collapse, distance, draw, flow, published, setup, sgd, sgd_step
from poc_book.problems import PROBLEMS, he, misspecified, xor
from poc_book.sphere import uniform

KEY = jax.random.key(7)
RUN = dict(
    key=KEY,
    widths=[4, 8],
    reference_width=16,
    samples=512,
    batch=64,
    step=0.05,
    time=1.0,
    records=3,
    test=256,
)


@pytest.fixture(scope="module")
def run():
    return sgd(he(4, 8), **RUN, repeats=2)


def misspecified_velocity(t, flat):
    "Misspecified in 6 dimensions, neuron by neuron."
    w = flat.reshape(-1, 6)
    out = np.zeros_like(w)
    for i, u in enumerate(w):
        for v in w:
            out[i] -= (4 * (u @ v) ** 3 + 6 * (u @ v) ** 5) * v / len(w)
        out[i, 0] += 4 * 0.8 * u[0] ** 3 + 6 * 0.6 * u[0] ** 5
        out[i] -= (out[i] @ u) * u
    return out.ravel()


def test_flow_agrees_with_scipy():
    w0 = np.asarray(uniform(KEY, 7, 6))
    times = [0.0, 1.0, 3.0]
    known = solve_ivp(
        misspecified_velocity, (0, 3), w0.ravel(), "DOP853", times, rtol=1e-11, atol=1e-12
    ).y.T
    found = flow(misspecified(6), w0, times)
    gap = np.abs(found.points - known.reshape(3, 7, 6)).max()
    print(f"gap {gap:.1e}")
    assert gap < 1e-7
    w = known[-1].reshape(7, 6)
    s = w @ w.T
    loss = 1 - 2 * np.mean(0.8 * w[:, 0] ** 4 + 0.6 * w[:, 0] ** 6) + np.mean(s**4 + s**6)
    assert abs(float(found.risk[-1]) - loss) < 1e-7
    assert (
        found.points.dtype == jnp.float64
        and np.abs(np.linalg.norm(found.points, axis=-1) - 1).max() < 1e-14
    )
    np.testing.assert_allclose(found.points[0], w0, atol=1e-15)
    single = flow(misspecified(6), w0.astype(np.float32), times)
    assert (
        single.points.dtype == jnp.float32
        and np.abs(single.points[1] - known[1].reshape(7, 6)).max() < 1e-3
    )


def test_a_tolerance_out_of_reach_is_refused():
    with pytest.raises(NotResolved, match="tol"):
        flow(misspecified(6), uniform(KEY, 7, 6), [1e9], tol=1e-13)


def test_one_step_agrees_with_numpy():
    problem = xor(6)
    w, x = np.asarray(uniform(KEY, 4, 6)), np.asarray(problem.inputs.sample(KEY, 9))
    y, sign, z = x[:, :4].prod(1), (-1.0) ** np.arange(4), x @ w.T
    act, slope = np.logaddexp(0, 16 * z) / 16, 1 / (1 + np.exp(-16 * z))
    gap = 8 * (act * sign).mean(1) - y
    g = np.array(
        [[np.mean(gap * sign[i] * slope[:, i] * x[:, k]) for k in range(6)] for i in range(4)]
    )
    known = w - 2 * 0.03 * g
    known /= np.sqrt((known**2).sum(1, keepdims=True))
    error = np.abs(
        sgd_step(problem, jnp.asarray(w), jnp.asarray(x), jnp.asarray(y), 0.03) - known
    ).max()
    print(f"one step, error {error:.1e}")
    assert error < 1e-13


def test_a_run_has_a_curve_for_each_seed_and_width_and_starts_at_the_reference(run):
    assert (
        run.risk.sizes
        == run.scaled_function_error.sizes
        == run.scaled_coupling_error.sizes
        == dict(seed=2, width=2, time=3)
    )
    assert list(run.width.values) == [4, 8] and np.allclose(run.time, [0, 0.5, 1])
    assert np.all(run.scaled_coupling_error[..., 0] == 0) and np.all(
        run.scaled_coupling_error[..., 1:] > 0
    )
    assert not np.allclose(run.risk[0], run.risk[1])
    assert (
        run.attrs["samples"] == 512
        and run.attrs["reference_width"] == 16
        and run.attrs["step"] == 0.05
    )


def test_sgd_is_reproducible_and_nested(run):
    again = sgd(he(4, 8), **{**RUN, "widths": [8, 16]}, repeats=1)
    for name in ("risk", "scaled_coupling_error", "population_risk"):
        np.testing.assert_allclose(
            again[name].sel(width=8), run[name].sel(width=8)[:1], rtol=1e-4, atol=1e-6
        )
    assert np.all(again.scaled_coupling_error.sel(width=16) == 0)
    np.testing.assert_allclose(again.risk.sel(width=16), again.reference_risk)


@pytest.mark.parametrize(
    "change, field",
    [
        (dict(widths=[]), "widths"),
        (dict(widths=[8, 4]), "widths"),
        (dict(widths=[4, 4]), "widths"),
        (dict(widths=[4.5]), "widths"),
        (dict(widths=[4, 32]), "widths"),
        (dict(widths=4), "widths"),
        (dict(reference_width=0), "reference_width"),
        (dict(samples=63), "samples"),
        (dict(samples=1e3), "samples"),
        (dict(batch=0), "batch"),
        (dict(step=0.0), "step"),
        (dict(step=float("nan")), "step"),
        (dict(time=1.02), "time"),
        (dict(time=-1.0), "time"),
        (dict(records=1), "records"),
        (dict(test=0), "test"),
        (dict(repeats=0), "repeats"),
        (dict(key=0), "key"),
        (dict(key=jax.random.PRNGKey(0)), "key"),
    ],
)
def test_bad_sizes_of_a_run_are_refused_in_one_line_that_names_them(change, field):
    with pytest.raises(BadInput, match=f"^{field} = ") as error:
        sgd(he(4, 8), **{**RUN, **change})
    assert "\n" not in str(error.value)


def test_signed_networks_must_be_even():
    with pytest.raises(BadInput, match="widths = 5: an even"):
        sgd(xor(6), **{**RUN, "widths": [5]})


def test_a_run_that_breaks_down_names_its_time():
    with pytest.raises(NotResolved, match="published time 5e"):
        sgd(he(4, 8), **{**RUN, "step": 1e30, "time": 1e31})


@pytest.mark.parametrize("order", ["drawn", "swept"])
def test_training_agrees_with_a_numpy_loop_in_both_orders(order):
    key = jax.random.fold_in(KEY, 0)
    *drawn, batches = setup(he(4, 8), key, 16, 512, 256, jnp.float64)
    w, (x, y), (seen, labels) = jax.tree.map(np.asarray, drawn)
    value, slope = (
        np.polynomial.hermite_e.HermiteE(c) / 24**0.5 for c in ([0, 0, 0, 0, 1], [0, 0, 0, 4])
    )
    risks = []
    for k in range(21):
        if k % 10 == 0:
            risks.append(np.mean((value(seen @ w.T).mean(1) - labels) ** 2))
        rows = np.arange(64) + 64 * (k % 8)  # eight pieces, again and again
        if order == "drawn":
            rows = np.asarray(jax.random.randint(jax.random.fold_in(batches, k), (64,), 0, 512))
        z = x[rows] @ w.T
        w = w - 2 * 0.05 / 64 * ((value(z).mean(1) - y[rows])[:, None] * slope(z)).T @ x[rows]
        w /= np.linalg.norm(w, axis=1, keepdims=True)
    run = sgd(he(4, 8), **{**RUN, "widths": [16]}, dtype="float64", order=order)
    np.testing.assert_allclose(run.risk[0, 0], risks, rtol=1e-9)
    assert run.attrs["order"] == order


def test_the_order_of_batches_is_checked_and_part_of_a_run(tmp_path):
    for change in (
        dict(order="shuffled"),
        dict(order="swept", samples=None),
        dict(order="swept", samples=500),
    ):
        with pytest.raises(BadInput, match=f"^order = '{change['order']}': ") as error:
            sgd(he(4, 8), **{**RUN, **change})
        assert "\n" not in str(error.value)
    path = tmp_path / "run.npz"
    drawn, swept = (
        sgd(he(4, 8), **RUN, order=order, checkpoint=path) for order in ("drawn", "swept")
    )
    # the checkpoint of one is not the other's
    assert not np.allclose(drawn.risk[..., -1], swept.risk[..., -1])
    assert swept.identical(sgd(he(4, 8), **RUN, order="swept")) and drawn.identical(
        sgd(he(4, 8), **RUN)
    )


def test_published_curves_are_the_file():
    text = (Path(poc_book.__file__).parent / "data" / "published.csv").read_text().splitlines()
    rows = list(csv.DictReader(line for line in text if not line.startswith("#")))
    for name in PROBLEMS:
        curves, off_axis = published(name), name in ("xor4", "staircase")
        assert (
            set(curves) == {"risk", "scaled_function_error", "scaled_coupling_error"}
            and curves.sizes["time"] == 41
        )
        mine = [r for r in rows if r["problem"] == name]
        for r in mine[::17]:
            value = float(curves[r["quantity"]].sel(width=int(r["width"]), time=float(r["time"])))
            clipped = (
                off_axis and r["quantity"] == "scaled_function_error" and float(r["time"]) == 0
            )
            assert np.isnan(value) if clipped else value == float(r["value"])
        assert sum(int(v.notnull().sum()) for v in curves.values()) == len(mine) - 4 * off_axis
    with pytest.raises(BadInput, match="he6"):
        published("he6")


def test_distance_sees_each_panel_and_the_reference_width():
    curves = published("he4")
    other = curves.copy(deep=True)
    # the same errors against a reference of 2^20 neurons
    share = (1 - curves.width / 2**20) / (1 - curves.width / 2**17)
    other["scaled_function_error"] *= share * 1.2
    other["scaled_coupling_error"] *= share
    other.attrs["reference_width"] = 2**20
    found = distance(other, curves)
    np.testing.assert_allclose([found[n] for n in sorted(found)], [0, 0, 0.2], atol=1e-9)
    flat = collapse(
        curves.assign(scaled_function_error=curves.scaled_function_error[:, :1])
    ).scaled_function_error
    assert abs(float(flat[0]) - 1) < 0.02


def test_the_risk_on_what_was_seen_stands_beside_that_on_what_was_not():
    few = sgd(
        he(4, 8),
        **{**RUN, "widths": [64], "reference_width": 64, "samples": 64, "time": 20.0, "test": 2048},
    )
    seen, fresh = few.training_risk.values[0, 0], few.risk.values[0, 0]
    # 64 labels are learned by heart
    assert few.training_risk.dims == few.risk.dims and seen[-1] < 0.5 * fresh[-1]
    assert "training_risk" not in sgd(
        he(4, 8), **{**RUN, "samples": None, "time": 0.1, "records": 2}
    )
    _, training, _, _ = jax.random.split(jax.random.fold_in(KEY, 0), 4)
    x, y = draw(he(4, 8), training, 64, jnp.float32)
    w = setup(he(4, 8), jax.random.fold_in(KEY, 0), 64, None, 8, jnp.float32)[0]
    assert seen[0] == pytest.approx(
        np.mean((he(4, 8).output(he(4, 8).measure(w), x) - y) ** 2), rel=1e-4
    )
