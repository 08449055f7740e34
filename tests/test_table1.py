"What Table 1 rests on: where neurons arrive, who is alike, and the measured constants, against independent references."
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from poc_book.mean_field import solve
from poc_book.model import Atoms, Boolean, Gaussian, Hermite, Monomials, Problem, SoftPlus
from poc_book.problems import he, staircase, xor
from poc_book.single_index import time_to_risk
from poc_book.sphere import normalise, uniform
from poc_book.stability import local_strong_convexity, outside
from poc_book.table1 import endpoints, exponent, missed, transitive, until_learned

pytestmark = pytest.mark.slow


def brute_force(points, weights):
    "Transitivity by all permutations of the points."
    G, n, reached = points @ points.T, len(points), set()
    for image in itertools.permutations(range(n)):
        image = list(image)
        if np.allclose(G[np.ix_(image, image)], G) and np.array_equal(weights[image], weights): reached.add(image[0])
    return len(reached) == n


def test_transitivity_against_all_permutations():
    rng, seen = np.random.default_rng(0), []
    ring = np.pi * np.arange(5) * 2 / 5
    sets = [np.eye(4), np.stack([np.cos(ring), np.sin(ring)], 1), np.array([[1.0, 0, 0], [0, 1, 0], [0, 0.6, 0.8]]),
            *(v / np.linalg.norm(v, axis=1, keepdims=True) for v in rng.normal(size=(4, 4, 3)))]
    for points in sets:
        for weights in (np.ones(len(points)), np.arange(len(points)) + 1.0):
            seen.append(transitive(points, weights, False))
            assert seen[-1] == brute_force(points, weights)
    print("transitive:", seen)
    assert any(seen) and not all(seen)


def test_even_atoms_count_up_to_sign():
    points = np.array([[1.0, 0, 0], [-0.6, 0.8, 0]])  # alike by a reflection, of either sign
    assert transitive(points, np.ones(2), True) and transitive(points * [[-1], [1]], np.ones(2), True)
    assert not transitive(np.vstack([np.eye(3)[:2], [[0, 0.6, 0.8]]]), np.ones(3), True)


def test_relu_neurons_at_the_corners_are_the_teacher():
    "By enumeration of the cube, with a ReLU written here."
    for problem in (xor(7), staircase(6)):
        x, rho = np.asarray(problem.inputs.nodes()), endpoints(problem)
        output = problem.scale * np.maximum(x @ np.asarray(rho.points).T, 0) @ np.asarray(rho.charge)
        gap = np.abs(output - np.asarray(problem.teacher(jnp.asarray(x)))).max()
        print(f"{problem.name}: {gap:.1e} with ReLU, SoftPlus misses {missed(problem, rho):.1%}")
        assert gap < 1e-12 and 1e-4 < missed(problem, rho) < 0.05


def test_where_neurons_arrive_is_not_guessed():
    parity = Monomials(((0, 1, 2, 4),), (1.0,))
    assert endpoints(Problem(Boolean(6), SoftPlus(16.0), parity, 8.0, True)) is None
    odd = Monomials(((0, 1, 2),), (1.0,))  # a ReLU has no degree 3
    assert endpoints(Problem(Boolean(6), SoftPlus(16.0), odd, 8.0, True)) is None
    assert endpoints(Problem(Gaussian(6), Hermite(4, 1.0), lambda x: x[:, 0] ** 2)) is None
    h = Hermite(4, 1.0)
    mixed = Atoms(np.eye(2, 6), [1.0, -1.0], h)  # a neuron of sign 1 cannot stand for the second
    assert endpoints(Problem(Gaussian(6), h, mixed)) is None
    assert endpoints(Problem(Gaussian(6), h, mixed, signed=True)).signs.tolist() == [1.0, -1.0]


def test_a_neuron_arrives_at_places_of_its_own_sign_only():
    problem = xor(6)
    rho = endpoints(problem)
    w = rho.points[:2]  # corners of charge -1 and +1; neurons 0 and 1 have signs +1 and -1
    assert outside(problem, w, 0.1, rho).all() and not outside(problem, w[::-1], 0.1, rho).any()
    assert not outside(he(4, 6), -jnp.eye(1, 6), 0.1).any()  # even: the opposite is as good


def test_convexity_on_the_cube_by_differences_of_the_potential():
    "Second differences of U along great circles through the corners, against the largest eigenvalue used for C_LSC."
    problem = xor(6)
    limit, rho = solve(problem, np.linspace(0, 4, 9), 0.05), endpoints(problem)
    x = np.asarray(problem.inputs.nodes())
    gap = (limit.limit.at(2.0)[0] - 1) * problem.teacher(x) * problem.scale / len(x)  # f_t is a multiple of the teacher
    ours = float(local_strong_convexity(limit, [2.0], 1e-4, 1, places=rho)[0])
    v = np.asarray(normalise(jax.random.normal(jax.random.key(1), (4000, 6))))
    least, h = np.inf, 1e-3
    for point, sign in zip(np.asarray(rho.points), np.asarray(rho.signs)):
        e = v - (v @ point)[:, None] * point
        e /= np.linalg.norm(e, axis=1, keepdims=True)
        near = [np.cos(a) * point + np.sin(a) * e for a in (-h, 0.0, h)]
        U = [sign * np.logaddexp(0, 16 * w @ x.T) / 16 @ gap for w in near]
        least = min(least, float(np.min(U[0] - 2 * U[1] + U[2])) / h**2)
    reference = least / problem.scale / np.sqrt(float(limit.risk_at(np.array([2.0]))[0]))
    print(f"C_LSC at the corners {ours:.3f}, least second difference of 64000 directions {reference:.3f}")
    assert 0 <= reference - ours < 0.1 * ours


def test_exponents_weigh_their_errors():
    x = np.array([4, 8, 16])
    off = 2.0 * x**1.5 * np.array([1, 1, 3])
    loose, tight = (exponent(x, off, off * [0.01, 0.01, s]) for s in (10.0, 0.01))
    print(f"outlier with a large error: {loose[0]:.4f} +- {loose[1]:.4f}; with a small one {tight[0]:.2f}")
    assert abs(loose[0] - 1.5) < 0.01 and tight[0] > 2
    assert abs(loose[1] - 0.01 * np.sqrt(2) / np.log(2)) < 1e-3


def test_time_to_learn_agrees_with_chapter_nine():
    limit, learned = until_learned(he(4, 8), 0.5, 50.0, 64, 0)
    exact = time_to_risk(he(4, 8), 0.5 * float(limit.risk[0]))
    print(f"T = {limit.times[-1]:.3f}, exact {exact:.3f}")
    assert learned and exact <= limit.times[-1] * (1 + 1e-6) and limit.times[-1] < exact * 1.1


def test_the_charge_decides_who_is_alike():
    "The corners of a parity: alike by their positions, not by their charges."
    rho = endpoints(xor(6))
    assert transitive(rho.points, np.ones(16), False) and not transitive(rho.points, rho.charge, False)
    assert not transitive(uniform(jax.random.key(0), 3, 6), np.ones(3), False)
