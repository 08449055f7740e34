"""What Table 1 rests on: where neurons arrive, who is alike, and the measured constants, against
independent references."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from poc_book.checks import BadInput
from poc_book.mean_field import solve
from poc_book.model import Atoms, Boolean, Gaussian, Hermite, Monomials, Problem, SoftPlus
from poc_book.problems import circle, he, random_teachers, staircase, xor
from poc_book.single_index import time_to_risk
from poc_book.sphere import normalise, uniform
from poc_book.stability import interaction_hessian, local_strong_convexity, outside
from poc_book.table1 import (
    endpoints,
    mean_square,
    missed,
    placed,
    pushed_by_one,
    reduced_limit,
    transitive,
    tried,
    two_sided,
    until_learned,
    worth_carrying,
)

pytestmark = pytest.mark.slow


def brute_force(points, weights):
    "Transitivity by all permutations of the points."
    G, n, reached = points @ points.T, len(points), set()
    for image in itertools.permutations(range(n)):
        image = list(image)
        if np.allclose(G[np.ix_(image, image)], G) and np.array_equal(weights[image], weights):
            reached.add(image[0])
    return len(reached) == n


def test_transitivity_against_all_permutations():
    rng, seen = np.random.default_rng(0), []
    ring = np.pi * np.arange(5) * 2 / 5
    sets = [
        np.eye(4),
        np.stack([np.cos(ring), np.sin(ring)], 1),
        np.array([[1.0, 0, 0], [0, 1, 0], [0, 0.6, 0.8]]),
        *(v / np.linalg.norm(v, axis=1, keepdims=True) for v in rng.normal(size=(4, 4, 3))),
    ]
    for points in sets:
        for weights in (np.ones(len(points)), np.arange(len(points)) + 1.0):
            seen.append(transitive(points, weights, False))
            assert seen[-1] == brute_force(points, weights)
    print("transitive:", seen)
    assert any(seen) and not all(seen)


def test_even_atoms_count_up_to_sign():
    points = np.array([[1.0, 0, 0], [-0.6, 0.8, 0]])  # alike by a reflection, of either sign
    assert transitive(points, np.ones(2), True) and transitive(
        points * [[-1], [1]], np.ones(2), True
    )
    assert not transitive(np.vstack([np.eye(3)[:2], [[0, 0.6, 0.8]]]), np.ones(3), True)


def test_relu_neurons_at_the_corners_are_the_teacher():
    "By enumeration of the cube, with a ReLU written here."
    for problem in (xor(7), staircase(6)):
        x, rho = np.asarray(problem.inputs.nodes()), endpoints(problem)
        output = (
            problem.scale * np.maximum(x @ np.asarray(rho.points).T, 0) @ np.asarray(rho.charge)
        )
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
    """Second differences of U along great circles through the corners, against the largest
    eigenvalue used for C_LSC."""
    problem = xor(6)
    limit, rho = solve(problem, np.linspace(0, 4, 9), 0.05), endpoints(problem)
    x = np.asarray(problem.inputs.nodes())
    # f_t is a multiple of the teacher
    gap = (limit.limit.at(2.0)[0] - 1) * problem.teacher(x) * problem.scale / len(x)
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
    print(
        f"C_LSC at the corners {ours:.3f}, least second difference of 64000 directions "
        f"{reference:.3f}"
    )
    assert 0 <= reference - ours < 0.1 * ours


def test_bounds_of_the_mean_push_enclose_the_best_direction():
    "Two directions, so that all v can be tried; and a further one that is pushed most."
    rng = np.random.default_rng(0)
    A = rng.normal(size=(3, 50, 2, 2)) * rng.exponential(size=(50, 1, 1))
    weights, none = rng.dirichlet(np.ones(50)), np.zeros((3, 50))
    lower, upper = two_sided(A, none, weights, 0)
    angle = np.linspace(0, np.pi, 1001)
    best = (
        np.linalg.norm(A @ np.array([np.cos(angle), np.sin(angle)]), axis=2).transpose(0, 2, 1)
        @ weights
    ).max(1)
    print("best direction", best, "bounds", lower, upper)
    assert (
        np.all(lower <= best * (1 + 1e-12))
        and np.all(best <= upper)
        and np.all(upper < 1.08 * lower)
    )

    # nothing along e, and 9 among the n - 2 that are left
    flat = np.pad(A, ((0, 0), (0, 0), (0, 1), (0, 1)))
    assert np.all(two_sided(flat, none + 9, weights, 10)[1] > 9 * np.sqrt(8 / 9))


def test_a_small_matrix_stands_for_all_directions():
    """E H^T H of Circle at the start, d = 6: random neurons in all coordinates, and the same ones
    as `reduced_limit` sees them."""
    limit = solve(circle(6), [0.0, 1.0])
    small, w = reduced_limit(limit), np.asarray(uniform(jax.random.key(2), 40000, 6))
    V = np.asarray(limit.limit.reduction.basis)
    frame = np.concatenate([V.T, np.linalg.svd(V.T)[2][2:]])
    others = tried(np.asarray(small.problem.teacher.points), 2, 0)[[0, 7, 9, -1]]
    y = w @ frame.T
    inner = np.column_stack([y[:, :3], np.linalg.norm(y[:, 3:], axis=1)])
    weights = np.full(len(w), 1 / len(w))
    H = interaction_hessian(small.problem, inner, others).swapaxes(0, 1)
    slope = np.abs(4 * (others @ inner.T) ** 3)  # K = s^4
    square, beyond = mean_square(H, slope, weights, 4)
    whole = interaction_hessian(
        limit.problem, w, np.pad(others[:, :3], ((0, 0), (0, 3))) @ frame
    ).swapaxes(0, 1)
    brute = frame @ mean_square(whole, slope, weights, 0)[0] @ frame.T
    off = (
        np.abs(brute[:, :3, :3] - square).max(),
        np.abs(brute[:, range(3, 6), range(3, 6)] - beyond[:, None]).max(),
    )
    print("on V and theta'", off[0], "further", off[1], "largest", np.abs(brute).max())
    assert off[0] < 1e-10 and off[1] < 0.02 * np.abs(brute).max()


def test_carried_neurons_have_the_averages_of_all():
    "Weights undo the chances: also where the guess is far from uniform, and where none is away."
    w = placed(2, 12, 4096, 0)
    path = np.stack([w, w[::-1]])
    away = np.linalg.norm(w[:, :2], axis=1) > 0.2
    few = worth_carrying(w, path, np.stack([away, away]), 2, 512, 1)
    exact = np.array([1, 1, 1, 9]) / 12
    print(
        "E w^2",
        few.weights @ few.w**2,
        "weights",
        few.weights.sum(),
        "from",
        few.weights.min(),
        "to",
        few.weights.max(),
    )
    assert np.abs(few.weights @ few.w**2 - exact).max() < 0.02 and len(few.w) == 512
    assert few.weights.max() > 2 * few.weights.min() and set(few.group) == set(range(8))


def test_a_limit_within_moves_neurons_as_the_whole():
    limit = solve(random_teachers(9), np.linspace(0, 2, 9), 0.02)
    frame = np.concatenate([np.asarray(limit.limit.view.basis).T, np.eye(2, 9, 6)])
    w = np.asarray(uniform(jax.random.key(0), 5, 8))
    gap = np.abs(reduced_limit(limit).transport(w) @ frame - limit.transport(w @ frame)).max()
    print(f"{gap:.1e}")
    assert gap < 1e-6
    refused = solve(circle(3), [0.0, 0.1]), eqx.tree_at(lambda x: x.limit, limit, None)
    for other, says in zip(refused, ("at least 4", "one radius or by moments")):
        with pytest.raises(BadInput, match=says):
            reduced_limit(other)


def test_the_linear_part_of_softplus_pushes_every_neuron():
    """Against all inputs of a small cube, and in a dimension where they cannot be enumerated: about
    scale / 4."""
    problem = staircase(7)
    w = np.asarray(uniform(jax.random.key(0), 20, 7))
    H = np.abs(interaction_hessian(problem, w, np.eye(2, 7))[:, 0, :, 1])
    gap = np.abs(H - np.abs(pushed_by_one(problem, w))).max()
    sizes = np.linalg.norm(
        pushed_by_one(xor(512), np.asarray(uniform(jax.random.key(0), 64, 512))), axis=1
    )
    print(
        f"{gap:.1e}, at d = 512 mean {sizes.mean():.4f}, from {sizes.min():.3f} to "
        f"{sizes.max():.3f}"
    )
    assert gap < 1e-5 and abs(sizes.mean() - 2) < 0.03 and sizes.min() > 1.8


def test_time_to_learn_agrees_with_chapter_nine():
    limit, learned = until_learned(he(4, 8), 0.5, 50.0, 64, 0)
    exact = time_to_risk(he(4, 8), 0.5 * float(limit.risk[0]))
    print(f"T = {limit.times[-1]:.3f}, exact {exact:.3f}")
    assert learned and exact <= limit.times[-1] * (1 + 1e-6) and limit.times[-1] < exact * 1.1


def test_the_charge_decides_who_is_alike():
    "The corners of a parity: alike by their positions, not by their charges."
    rho = endpoints(xor(6))
    assert transitive(rho.points, np.ones(16), False) and not transitive(
        rho.points, rho.charge, False
    )
    assert not transitive(uniform(jax.random.key(0), 3, 6), np.ones(3), False)
    for points, charge, field in (
        (2 * np.eye(3), np.ones(3), "points"),
        (np.eye(3), [1.0], "charge"),
    ):
        with pytest.raises(BadInput, match=field):
            transitive(points, charge, False)
