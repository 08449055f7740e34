"""The exact 1/m law against networks at cases shown nowhere in the book, against brute force, and
its limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from poc_book import fluctuations, mean_field, problems
from poc_book.checks import BadInput
from poc_book.finite_width import flow
from poc_book.fluctuations import (
    extrapolate,
    fluctuate,
    function_error_law,
    infinite_dimension_law,
    risk_correction,
    shadows,
    simulate_sizes,
)
from poc_book.model import Measure, static_error
from poc_book.sphere import normalise, uniform

pytestmark = pytest.mark.slow


WIDTHS, DRAWS = (48, 192), (240, 60)


@pytest.fixture(scope="module")
def simulated():
    "A limit shown nowhere in the book and networks of two widths, which take the same steps."
    limit = mean_field.solve(problems.he(2, 9), [0.4, 2.0])
    return limit, simulate_sizes(limit, list(zip(DRAWS, WIDTHS)), 5)


def test_the_law_is_what_networks_tend_to(simulated):
    "The intercept in 1/m of networks of two widths, within 3.5 of its standard errors."
    limit, networks = simulated
    law = function_error_law(limit.problem, limit.times)
    found = extrapolate(WIDTHS, [m * x.function_error for m, x in zip(WIDTHS, networks)])
    assert np.all(found.leading_error < 0.1 * law)
    assert np.all(np.abs(found.leading - law) < 3.5 * found.leading_error), (law, found)


def test_simulated_networks_are_those_of_chapter_5(simulated):
    limit, networks = simulated
    w0 = uniform(jax.random.fold_in(jax.random.key(5), 48), 240 * 48, 9)[48:96]
    risk = np.asarray(flow(limit.problem, w0, limit.times).risk)
    assert networks[0].risk_gap[:, 1] + limit.risk == pytest.approx(risk, rel=1e-6)


def test_the_influence_of_a_neuron_is_a_derivative():
    """Brute force in all d dimensions: one of m neurons, moved to a chosen start, changes the risk
    by influence / m.

    The mean field is replaced by a cloud of neurons, whose own influence is subtracted."""
    problem, times = problems.he(4, 6), [1.0, 3.0]
    limit = mean_field.solve(problem, times)
    found = fluctuate(limit)
    cloud = uniform(jax.random.key(3), 512, 6)
    # the cloud's own: zero for the limit, not for a sample
    base = found.influence_of(np.abs(cloud[:, 0])).mean(1)
    for overlap in (0.2, 0.6):
        rest = np.eye(6)[1]
        neuron = overlap * np.eye(6)[0] + np.sqrt(1 - overlap**2) * rest
        risks = [weighted_risk(problem, cloud, neuron, eps, times) for eps in (2e-3, -2e-3)]
        slope = (risks[0] - risks[1]) / 4e-3
        own = found.influence_of(overlap)
        assert np.allclose(slope, own - base, rtol=0.15, atol=0.05), (overlap, slope, own - base)


def weighted_risk(problem, cloud, neuron, eps, times):
    "The risk at `times` of the cloud with weight 1 - eps and one neuron with weight eps, by SciPy."
    from scipy.integrate import solve_ivp

    m, d = cloud.shape
    weights = jnp.append(jnp.full(m, (1 - eps) / m), eps)

    @jax.jit
    def velocity(w):
        return problem.velocity(w, Measure(w, weights))

    start = np.vstack([np.asarray(cloud), neuron])
    rate = lambda t, y: np.asarray(velocity(jnp.asarray(y.reshape(m + 1, d)))).ravel()
    run = solve_ivp(rate, (0, times[-1]), start.ravel(), t_eval=times, rtol=1e-8, atol=1e-10)
    rows = [normalise(jnp.asarray(y.reshape(m + 1, d))) for y in run.y.T]
    return np.array([float(problem.risk(Measure(w, weights))) for w in rows])


def test_the_law_starts_at_the_static_error_and_stays_below():
    problem = problems.he(6, 7)
    found = fluctuate(mean_field.solve(problem, [0.0, 0.5, 2.0]))
    assert (
        found.law[0] == pytest.approx(static_error(problem, 1), rel=1e-5) and found.coupling[0] == 0
    )
    assert np.all(found.law[1:] < found.static[1:])
    assert risk_correction(mean_field.solve(problem, [0.0]))[0] == pytest.approx(
        static_error(problem, 1), rel=1e-5
    )


def test_the_law_of_he4_has_the_values_of_its_prototype():
    law = function_error_law(problems.he(4, 16), [10 / 3, 10.0, 20.0, 40.0])
    assert law == pytest.approx([0.6913, 0.4627, 0.3347, 0.2274], abs=1e-4)


@pytest.mark.parametrize("problem", [problems.he(2, 5), problems.circle(7)])
def test_shadows_are_carried_by_the_limit(problem):
    limit, w0 = (
        mean_field.solve(problem, [0.0, 0.7, 15.0], tol=1e-6),
        uniform(jax.random.key(4), 3000, problem.dim),
    )
    assert np.abs(shadows(limit, np.asarray(w0)) - np.asarray(limit.transport(w0))).max() < 1e-5


def test_cells_and_panels_that_keep_pace_against_equal_ones(monkeypatch):
    "Late, when neurons are slow and a step of their clock is many of its first steps."
    limit = mean_field.solve(problems.he(4, 8), [1.0, 60.0], 1e-7)
    found, plain = fluctuate(limit), fluctuations.fronts
    assert plain(limit.limit, 8, limit.times)[1, 1] > 5  # at the last time
    monkeypatch.setattr(fluctuations, "pace", lambda exact: np.ones_like)
    monkeypatch.setattr(fluctuations, "fronts", lambda *given: plain(*given) * (1, 0) + (0, 1))
    equal = fluctuate(limit)
    off = max(
        np.abs(a / b - 1).max()
        for a, b in ((found.law, equal.law), (found.coupling[1:], equal.coupling[1:]))
    )
    print(f"law and coupling off by {off:.1e}; {len(found.start)} for {len(equal.start)} sources")
    assert off < 2e-4


def test_high_dimension_approaches_its_limit():
    from poc_book.single_index import time_to_risk

    gaps = []
    for d in (16, 64):
        problem = problems.he(4, d)
        law = float(function_error_law(problem, [time_to_risk(problem, 0.7)])[0])
        gaps.append(1 - law / infinite_dimension_law(4, 0.7))
    assert gaps[0] > 3 * gaps[1] > 0, gaps


@pytest.mark.parametrize(
    "call, field",
    [
        (lambda: function_error_law(problems.he(4, 6), [1.0], tol=0.0), "tol = 0.0"),
        (lambda: function_error_law(problems.he(4, 6), []), "times"),
        (lambda: infinite_dimension_law(2, 0.5), "degree = 2"),
        (lambda: infinite_dimension_law(4, 1.5), "risk = 1.5"),
        (lambda: extrapolate([8], [np.ones((1, 2))]), "widths"),
        (lambda: extrapolate([8, 16], [np.ones((1, 1)), np.ones((1, 2))]), "samples"),
        (lambda: extrapolate([8, 16], 1.0), "samples = 1.0: a list"),
        (lambda: extrapolate([8, 16], np.ones((2, 1, 2))), "samples = .*standard errors"),
        (
            lambda: extrapolate([4e307, 8e307], 1e9 * np.array([[[1.0, 2.0]], [[1.0, 3.0]]])),
            "widths = .*a finite line",
        ),
        (lambda: infinite_dimension_law(4, 1e-13), "risk = 1e-13"),
        (
            lambda: fluctuate(mean_field.solve(problems.he4(4), [0.0, 1.0]), ratio=1.0),
            "ratio = 1.0: ",
        ),
        (
            lambda: fluctuate(mean_field.solve(problems.he4(4), [0.0, 1.0]), step=1e-4),
            "step = 0.0001",
        ),
        (
            lambda: fluctuate(mean_field.solve(problems.random_teachers(6), [0.5], particles=64)),
            "problem = ",
        ),
    ],
)
def test_bad_input_is_named(call, field):
    with pytest.raises(BadInput, match=field):
        call()


def test_the_degree_of_a_problem_is_its_largest():
    assert fluctuations.degree(problems.misspecified(6)) == 6


@pytest.mark.parametrize("k", [4, 6, 8, 10])
def test_the_law_over_the_root_of_a_small_risk(k):
    """Brute force: the influence of a grid of starts from its definition, with u = C^(-a) and
    cumulative sums in log C."""
    a, C = 1 / (k - 2), np.exp(np.linspace(-40, 0, 20001))
    u = 1e-4 * C**-a  # the share that waits; at the last clock, 1, it is 1e-4 (up to where it is 1)
    C, u = C[u < 1], u[u < 1]
    S, rise = 1 - u, np.gradient(1 - u, C)
    whole = lambda f: np.append(0, np.cumsum((f[1:] + f[:-1]) / 2 * np.diff(C)))
    # chi = 1 - S after an arrival, -S before
    before, after = (
        whole(-S / u**2),
        whole((1 - S) / u**2),
    )
    arrived = u[-1] - rise[-1] * u[-1] * (before + after[-1] - after)
    waits = -S[-1] - rise[-1] * u[-1] * before[-1]
    V = np.sum((arrived[1:] ** 2 + arrived[:-1] ** 2) / 2 * np.diff(S)) + u[-1] * waits**2 + u[-1]
    print(f"k = {k}: {V / u[-1]:.4f}, limit {fluctuations.small_risk_ratio(k):.4f}")
    assert abs(V / u[-1] / fluctuations.small_risk_ratio(k) - 1) < 5e-3
    with pytest.raises(BadInput, match="degree"):
        fluctuations.small_risk_ratio(k + 1)
