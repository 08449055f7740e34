"""The exact limit against references that share nothing with it."""

import jax
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from poc_book.checks import NotResolved
from poc_book.mean_field import rough, solve
from poc_book.model import Atoms, Gaussian, Hermite, Problem
from poc_book.problems import circle, he, random_teachers
from poc_book.sphere import uniform


def he2_reference(dim, times):
    """k = 2 by second moments: with K = s^2 the field is linear, and each of the two moments of one
    neuron law closes."""
    alpha, weight = np.polynomial.legendre.leggauss(400)
    theta = np.pi / 4 * (1 + alpha)
    weight = weight * np.cos(theta) ** (dim - 2)
    weight /= weight.sum()
    a0 = np.sin(theta)

    def speed(_, a):  # U(a) = -a^2 + a^2 E b^2 + (1 - a^2)(1 - E b^2)/(d - 1)
        M = weight @ a**2
        return (1 - a * a) * 2 * a * (1 - M + (1 - M) / (dim - 1))

    run = solve_ivp(speed, (0, times[-1]), a0, "DOP853", times, rtol=1e-11, atol=1e-13)
    M = weight @ run.y**2
    return 1 - 2 * M + M**2 + (1 - M) ** 2 / (dim - 1)


def test_quadratic_activation_against_closed_moments():
    dim, times = 5, np.linspace(0, 4, 9)
    limit = solve(he(2, dim), times)
    gap = np.abs(limit.risk - he2_reference(dim, times)).max()
    print(f"he2, d = {dim}: {gap:.1e}, reported {limit.risk_error[-1]:.1e}")
    assert gap < 1e-8


def test_published_values_of_he4():
    limit = solve(he(4, 16), [0.0, 10 / 3, 10.0])
    assert np.allclose(limit.risk, [1 - 3 / (16 * 18), 0.39752, 0.19035], atol=6e-6)


@pytest.mark.parametrize("problem", [circle(8), random_teachers(8)], ids=lambda p: p.name)
def test_transport_follows_velocity(problem):
    """Finite differences of the carried neurons give the limit's velocity; the neurons stay on the
    sphere."""
    t, h = 1.0, 1e-3
    limit = solve(problem, [t - h, t, t + h], rough(problem), particles=64)
    w = limit.transport(uniform(jax.random.key(1), 20, 8))
    gap = np.abs((w[2] - w[0]) / (2 * h) - limit.velocity(t, w[1])).max()
    assert gap < 2e-5 and np.abs(np.linalg.norm(w, axis=-1) - 1).max() < 1e-10


def test_limit_of_a_problem_of_ones_own():
    "Two opposite atoms of an even link are one atom: same limit, found without being told."
    h = Hermite([2, 4], [0.3, 1.0])
    one, two = np.eye(1, 10), np.vstack([np.eye(1, 10), -np.eye(1, 10)])
    times = [0.0, 1.0, 3.0]
    a = solve(Problem(Gaussian(10), h, Atoms(one, [1.0], h)), times)
    b = solve(Problem(Gaussian(10), h, Atoms(two, [0.4, 0.6], h)), times)
    assert a.exact and b.exact and np.allclose(a.risk, b.risk, atol=1e-9)


def test_a_tolerance_out_of_reach_is_refused():
    with pytest.raises(NotResolved, match="tol"):
        solve(random_teachers(8), [1.0], tol=1e-9, particles=64)
