"""Noisy neurons against Jacobi coefficients by SciPy, simulated networks, quadrature and closed
forms, at cases shown nowhere."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special

from poc_book import problems
from poc_book.checks import BadInput, NotResolved
from poc_book.langevin import (
    equilibrium_law,
    fixed_point,
    gibbs,
    infinite_dimension_bias,
    langevin,
    largest_noise,
    latitude_cells,
    noisy_networks,
    noisy_time_to_risk,
    reduced,
    spectral_gap,
    spread,
    spread_slope,
)
from poc_book.mean_field import radial, solve
from poc_book.single_index import time_to_risk

pytestmark = pytest.mark.slow

HE4 = problems.he(4, 6)


def jacobi_risk(problem, noise, times, size=40):
    """Risk at `times` from the density's coefficients in Jacobi polynomials of y, on which the
    Laplacian is diagonal."""
    r, d = radial(problem), problem.dim
    q = r.basis.shape[1]
    a, b, poly = (d - q) / 2 - 1, q / 2 - 1, np.polynomial.polynomial
    x, weight = special.roots_jacobi(2 * size, a, b)
    y, weight, k = (1 + x) / 2, weight / weight.sum(), np.arange(size)
    P = np.array([special.eval_jacobi(j, a, b, x) for j in k])
    slope = np.array(
        [0 * x] + [(j + a + b + 1) * special.eval_jacobi(j - 1, a + 1, b + 1, x) for j in k[1:]]
    )
    norm = np.sqrt(P**2 @ weight)[:, None]
    P, slope, G, F = P / norm, slope / norm, np.asarray(r.G), np.asarray(r.F)
    powers = y ** np.arange(F.size)[:, None]

    def rate(t, c):
        law = weight * (c @ P)
        push = poly.polyval(y, poly.polyder((powers @ law @ G - F) / r.scale))
        return -noise * 4 * k * (k + d / 2 - 1) * c - slope @ (law * push * 4 * y * (1 - y))

    run = integrate.solve_ivp(
        rate, (0, times[-1]), np.eye(size)[0], "BDF", times, rtol=1e-9, atol=1e-12
    )
    return np.array([float(r.risk(powers @ (weight * (c @ P)))) for c in run.y.T])


@pytest.mark.parametrize(
    "problem, noise",
    [(problems.he(4, 11), 0.07), (problems.he(2, 6), 0.2), (problems.circle(9), 0.05)],
    ids=lambda x: getattr(x, "name", str(x)),
)
def test_the_noisy_law_against_jacobi_coefficients(problem, noise):
    times = [0.3, 1.5, 6.0]
    law = langevin(problem, noise, times, 200)
    assert np.abs(law.risk - jacobi_risk(problem, noise, times)).max() < 3e-5
    assert np.all(np.diff(law.free_energy) < 0) and np.allclose(law.masses.sum(1), 1, atol=1e-9)


@pytest.mark.parametrize(
    "problem",
    [problems.he(2, 5), problems.misspecified(6), problems.circle(7)],
    ids=lambda x: x.name,
)
def test_the_solver_is_told_the_true_jacobian(problem):
    "Against differences of the rates, in a law off equilibrium."
    (r, q), rng = reduced(problem), np.random.default_rng(3)
    cells = latitude_cells(problem.dim, q, 60)
    p = gibbs(-cells.log_area) * (1 + 0.5 * rng.uniform(size=60))
    for noise in (3e-3, 0.2):
        along = p * rng.normal(size=60)
        ahead, behind = (spread(r, p + s * along, cells, noise) for s in (1e-6, -1e-6))
        told = spread_slope(r, p, cells, noise) @ along
        assert told == pytest.approx((ahead - behind) / 2e-6, abs=1e-6 * np.abs(told).max())


def test_without_noise_the_flow_comes_back_at_first_order_in_the_cells():
    problem, times = problems.he(4, 9), np.array([1.0, 4.0])
    exact = solve(problem, times).risk
    gaps = [
        np.abs(langevin(problem, 1e-5, times, n, tol=0.1).risk - exact).max() for n in (100, 400)
    ]
    assert gaps[1] < 0.35 * gaps[0] and gaps[1] < 0.01


def test_the_fixed_point_is_its_own_gibbs_law():
    "Moments by adaptive quadrature over the latitude, and where the dynamics ends."
    problem, noise = problems.misspecified(7), 0.05
    law, r = fixed_point(problem, noise), radial(problem)
    U = np.polynomial.polynomial.Polynomial(np.asarray((law.moments[0] @ r.G - r.F) / r.scale))
    weight = lambda t, i: (
        np.sin(t) ** (2 * i) * np.cos(t) ** 5 * np.exp(-(U(np.sin(t) ** 2) - U(0.0)) / noise)
    )
    whole = [integrate.quad(weight, 0, np.pi / 2, (i,))[0] for i in range(4)]
    assert law.moments[0] == pytest.approx(np.array(whole) / whole[0], abs=1e-6)
    assert langevin(problem, noise, [300.0], 400).risk[0] == pytest.approx(law.risk[0], abs=1e-4)


def test_spectral_gap_of_weak_fields_is_that_of_harmonics_and_hopping_is_slow():
    problem = problems.he(4, 10)
    strong = np.array([1.0, 0.1, 0.02])
    assert spectral_gap(problem, 1e4, strong) / 1e4 == pytest.approx(20, rel=1e-3)
    assert spectral_gap(problem, 1e4, strong, odd=True) / 1e4 == pytest.approx(9, rel=1e-3)
    M = fixed_point(problem, 0.01).moments[0]
    rates = [
        spectral_gap(problem, 0.01, M, odd=odd, cells=n)
        for odd in (False, True)
        for n in (800, 1600)
    ]
    assert rates[0] == pytest.approx(rates[1], rel=0.01) and rates[2] == pytest.approx(
        rates[3], rel=0.02
    )
    assert rates[2] < 1e-3 * rates[0]


def test_noisy_networks_end_at_the_equilibrium_law():
    "At a dimension and noise shown nowhere; the O(1/m) part is allowed for by 3 %."
    problem, times = problems.he(4, 6), np.array([15.0, 18.0, 21.0, 24.0])
    law, m = langevin(problem, 0.08, times, 200), 96
    scaled = (
        m * law.function_error(noisy_networks(problem, 0.08, m, 64, times, 0.04, seed=4))
    ).mean(0)
    answered, static = equilibrium_law(fixed_point(problem, 0.08))
    assert (
        abs(scaled.mean() - answered) < 4 * scaled.std() / 8 + 0.03 * answered
        and answered < 0.9 * static
    )


def test_a_noisy_network_of_no_force_diffuses():
    "Far from the teacher's scale noise alone acts: E (w.w_0) falls like exp(-(d - 1) noise t)."
    start, later = noisy_networks(HE4, 20.0, 96, 64, [0.0, 0.01], 2.5e-5, seed=1)
    assert np.mean(np.sum(start * later, -1)) == pytest.approx(np.exp(-5 * 20.0 * 0.01), abs=0.03)


def test_high_dimension_approaches_the_bias_of_infinite_and_noise_delays():
    d = 4000
    for k in (4, 6):
        for kappa in (0.1, 0.6 * largest_noise(k), 1.3 * largest_noise(k)):
            found = fixed_point(problems.he(k, d), kappa / d, 6000).risk[0]
            assert found == pytest.approx(infinite_dimension_bias(k, kappa), abs=2e-3)
    calm = time_to_risk(problems.he(4, 24), 0.6)
    times = [
        noisy_time_to_risk(problems.he(4, 24), noise, 0.6, cells=200)
        for noise in (24.0**-2, 0.01, 0.02)
    ]
    assert times[0] == pytest.approx(calm, rel=0.06) and times[2] > 1.2 * times[1] > 1.2 * times[0]
    law = langevin(problems.he(4, 24), 0.01, [times[1]], 200)
    assert law.risk[0] == pytest.approx(0.6, abs=1e-5)


@pytest.mark.parametrize(
    "call, field",
    [
        (lambda: langevin(problems.xor(6), 0.1, [1.0]), "one radius"),
        (lambda: langevin(HE4, 0.0, [1.0]), "noise = 0.0"),
        (lambda: langevin(HE4, 0.1, [-1.0]), "times"),
        (lambda: langevin(HE4, 0.1, [1.0], 9), "cells = 9"),
        (lambda: fixed_point(problems.random_teachers(8), 0.1), "one radius"),
        (lambda: infinite_dimension_bias(2, 0.1), "degree = 2"),
        (lambda: infinite_dimension_bias(4, -1.0), "kappa = -1.0"),
        (lambda: spectral_gap(problems.circle(6), 0.1, jnp.ones(3)), "circle"),
        (lambda: spectral_gap(HE4, 0.1, [1.0]), "M"),
        (lambda: spectral_gap(HE4, 9e307, [1.0, 0.25, 0.125]), "M = .*finite rates"),
        (lambda: noisy_networks(HE4, 0.1, 4, 1, [1.0], 2.0), "step = 2.0"),
        (lambda: noisy_networks(problems.xor(6), 0.1, 4, 1, [1.0], 0.1), "xor4"),
        (lambda: noisy_time_to_risk(problems.he(4, 8), 0.05, 0.05, cells=64), "risk = 0.05"),
    ],
)
def test_bad_input_is_named(call, field):
    with pytest.raises(BadInput, match=field):
        call()


def test_what_is_not_resolved_is_refused():
    with pytest.raises(NotResolved, match="cells = 16"):
        langevin(problems.he(4, 8), 1e-3, [3.0], 16, tol=1e-4)
    with pytest.raises(NotResolved, match="longest"):
        noisy_time_to_risk(problems.he(4, 8), 0.05, 0.5, longest=0.1, cells=64)
