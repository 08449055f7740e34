"""The exact limit against references that share nothing with it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from poc_book.checks import BadInput, NotResolved
from poc_book.finite_width import flow
from poc_book.mean_field import legendre_coefficients, rough, solve
from poc_book.model import Atoms, Gaussian, Hermite, Problem, series, teacher_norm
from poc_book.problems import circle, he, he4, random_teachers, staircase, xor
from poc_book.sphere import own_key, uniform
from poc_book.stability import local_hessian


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


def test_a_quadratic_activation_follows_its_closed_moments():
    dim, times = 5, np.linspace(0, 4, 9)
    limit = solve(he(2, dim), times)
    gap = np.abs(limit.risk - he2_reference(dim, times)).max()
    print(f"he2, d = {dim}: {gap:.1e}, reported {limit.risk_error[-1]:.1e}")
    assert gap < 1e-8


def test_the_limit_of_he4_has_the_published_values():
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


def test_two_opposite_atoms_of_an_even_link_are_one():
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


RELU, ERF = jax.nn.relu, jax.scipy.special.erf


def learner(activation, link, dim: int = 24) -> Problem:
    return Problem(Gaussian(dim), activation, Atoms(np.eye(1, dim), [1.0], link))


def test_without_a_shared_degree_nothing_is_learned():
    w = uniform(own_key(0), 40, 16)
    problem = learner(Hermite(4, 1.0), Hermite(3, 1.0), 16)
    assert problem.risk(problem.measure(w)) == pytest.approx(1 + np.mean((w @ w.T) ** 4), abs=1e-12)
    limit = solve(problem, [0.0, 5.0])
    # the uniform law is at rest
    np.testing.assert_allclose(limit.risk, 1 + 3 / (16 * 18), atol=1e-9)


def latitudes(dim: int, K, slope, times) -> np.ndarray:
    """The limit's risk by Gauss quadrature over both latitudes and the angle between them, and
    SciPy's integrator."""
    x, weight = np.polynomial.legendre.leggauss(80)
    theta = np.pi * (x + 1) / 2
    a, p = np.cos(theta), weight * np.exp((dim - 2) * np.log(np.sin(theta)))
    x, weight = np.polynomial.legendre.leggauss(60)
    turn = np.pi * (x + 1) / 2
    z, around = np.cos(turn), weight * np.exp((dim - 3) * np.log(np.sin(turn)))
    p, around = p / p.sum(), around / around.sum()

    def dots(a):
        r = np.sqrt(1 - a * a)
        return np.clip(
            np.multiply.outer(a, a)[..., None] + np.multiply.outer(r, r)[..., None] * z, -1, 1
        ), r

    def rate(t, a):
        s, r = dots(a)
        turned = a[None, :, None] - (a / r)[:, None, None] * r[None, :, None] * z
        return -(1 - a * a) * (np.einsum("ijk,k,j->i", slope(s) * turned, around, p) - slope(a))

    def risk(a):
        return K(1.0) - 2 * p @ K(a) + p @ (K(dots(a)[0]) @ around) @ p

    run = solve_ivp(rate, (0, times[-1]), a, t_eval=times, rtol=1e-8, atol=1e-10, method="DOP853")
    return np.array([risk(y) for y in run.y.T])


@pytest.mark.parametrize(
    "activation, K, slope",
    [
        (
            RELU,
            lambda s: s / 4 + (np.sqrt(1 - s * s) + s * np.arcsin(s)) / (2 * np.pi),
            lambda s: 0.25 + np.arcsin(s) / (2 * np.pi),
        ),
        (
            ERF,
            lambda s: 2 / np.pi * np.arcsin(2 * s / 3),
            lambda s: 4 / 3 / np.pi / np.sqrt(1 - 4 * s * s / 9),
        ),
    ],
    ids=["relu", "erf"],
)
def test_one_neuron_learns_another_as_by_quadrature_and_scipy(activation, K, slope):
    times = np.array([0.0, 2.0, 8.0])
    limit = solve(learner(activation, activation), times)
    known = latitudes(24, K, slope, times)
    print(f"off by {np.abs(limit.risk - known).max():.1e}, claimed {limit.risk_error[-1]:.1e}")
    assert (
        np.all(np.abs(limit.risk - known) <= 3 * limit.risk_error + 1e-9)
        and limit.risk_error[-1] < 1e-8
    )
    w = uniform(own_key(2), 4, 24)
    carried = limit.transport(w)
    assert carried.shape == (3, 4, 24) and limit.exact
    D = local_hessian(limit, 2.0, w)
    h, v = 1e-5, np.eye(24)[5] - w * w[:, 5:6]
    moved = [(w + e * v) / np.linalg.norm(w + e * v, axis=1)[:, None] for e in (-h, h)]
    down, up = (np.asarray(limit.velocity(2.0, x)) for x in moved)
    along = np.einsum("mab,mb->ma", np.eye(24) - w[:, :, None] * w[:, None], (up - down) / (2 * h))
    np.testing.assert_allclose(np.einsum("mab,mb->ma", D, v), along, atol=1e-7)


def test_a_function_is_what_its_series_is():
    plain = lambda z: (z**4 - 6 * z**2 + 3) / np.sqrt(24)
    ours, known = solve(learner(plain, plain, 64), [0.0, 2.0]), solve(he4(64), [0.0, 2.0])
    np.testing.assert_allclose(ours.risk, known.risk, atol=1e-8)
    assert known.risk[-1] == pytest.approx(0.9338, abs=1e-4)


def test_legendre_coefficients_sum_to_the_kernel():
    K = series(learner(RELU, RELU))[0]
    kappa, s = legendre_coefficients(K, 24), np.linspace(-0.9, 0.9, 7)
    P = [np.ones_like(s), s]
    for l in range(1, kappa.size - 1):
        P.append(((2 * l + 22) * s * P[l] - l * P[l - 1]) / (l + 22))
    np.testing.assert_allclose(kappa @ P, K(s), atol=1e-12)


def test_what_a_sample_does_is_claimed():
    plain = lambda x: (x[:, 0] ** 4 - 6 * x[:, 0] ** 2 + 3) / np.sqrt(24)
    times, known = [0.0, 2.0], he4(16)
    small = Problem(Gaussian(16, 512), Hermite(4, 1.0), plain)
    assert small.sampled and not known.sampled and not xor(8).sampled and staircase(20).sampled
    true = solve(known, times)
    found = solve(small, times, particles=64)
    off = np.abs(found.risk - true.risk)
    print("off", off, "claimed", found.risk_error)
    assert np.all(off < 3 * found.risk_error) and off[-1] > 0.1  # the sample is learned by heart
    with pytest.raises(NotResolved, match=r"^tol = 0.05: at least"):
        solve(small, times, 0.05, particles=64)
    run = flow(small, uniform(own_key(0), 64, 16), times)
    assert run.fresh_risk[-1] > 1.2 * run.risk[-1]
    exact = flow(he(4, 16), uniform(own_key(0), 8, 16), times)
    np.testing.assert_array_equal(exact.risk, exact.fresh_risk)


def test_kinks_on_nodes_are_followed_but_have_no_second_derivative():
    """A plain ReLU teacher: followed with steps that fit the kinks; what needs second derivatives
    is refused."""
    problem = Problem(Gaussian(8, 512), RELU, lambda x: jnp.maximum(x[:, 0], 0))
    assert problem.jerky and not learner(RELU, RELU).jerky and not xor(20).jerky
    limit = solve(problem, [0.0, 1.0], particles=64)
    true = solve(learner(RELU, RELU, 8), [0.0, 1.0])
    assert np.all(np.abs(limit.risk - true.risk) < 3 * limit.risk_error)
    with pytest.raises(BadInput, match=r"^activation = .*: one without kinks"):
        local_hessian(limit, 0.5, uniform(own_key(0), 3, 8))


@pytest.mark.parametrize(
    "link, norm",
    [
        (lambda z: jnp.maximum(z - 0.3, 0), 0.3020602),
        (lambda z: jnp.where(z > 0.37, 1.0, 0.0) * z * z, 1.499473),
    ],
    ids=range(2),
)
def test_what_a_series_leaves_out_is_claimed(link, norm):
    problem = learner(jnp.tanh, link, 8)
    limit = solve(problem, [0.0, 0.5])
    missing = norm - float(teacher_norm(problem))
    print(f"left out {missing:.1e}, claimed {limit.risk_error[0]:.1e}")
    assert 0 < missing < limit.risk_error[0] < 30 * missing


def test_neurons_in_single_precision_are_carried_on_the_cube_too():
    limit = solve(xor(8), [0.0, 0.5], 0.2)
    w = np.asarray(uniform(own_key(0), 4, 8))
    found = limit.transport(w.astype(np.float32))
    assert found.dtype == np.float64 and np.abs(found - limit.transport(w)).max() < 1e-5
