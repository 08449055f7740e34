"""The Balanced Interaction Lemma, its projectors, and the potential, against SciPy, brute force and
finite differences."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm
from scipy.optimize import minimize

from poc_book.balanced import (
    balance,
    balanced_modes,
    largest_sum,
    mean_family,
    one_norm,
    potential,
    potential_rate,
    random_family,
    ring_family,
    smallest_memory,
    spectral_projectors,
    spike_family,
    worst_l1_growth,
)
from poc_book.checks import BadInput, NotResolved
from poc_book.coupling import interaction_term
from poc_book.model import Atoms, Gaussian, Hermite, Measure, Problem
from poc_book.problems import he4
from poc_book.sphere import project

GRID = np.concatenate([[0.0], np.geomspace(1e-2, 1e3, 20)])
KINDS = ("gaussian", "low rank", "rough scales", "circulant", "spike", "diagonal", "repeated")


def interaction(kind, m, seed):
    "A symmetric PSD matrix of the given kind, largest eigenvalue 1."
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.normal(size=(m, m)))[0]
    H = {
        "gaussian": lambda: (Q * rng.uniform(size=m)) @ Q.T,
        "low rank": lambda: (Q * (np.arange(m) < (m + 1) // 2)) @ Q.T,
        "rough scales": lambda: (Q * np.exp(-6 * rng.uniform(size=m))) @ Q.T,
        "circulant": lambda: expm(
            sum(
                c * (np.roll(np.eye(m), k, 0) + np.roll(np.eye(m), -k, 0))
                for k, c in enumerate(rng.normal(size=m // 2 + 1))
            )
        ),
        "spike": lambda: spike_family(m) + rng.uniform() * np.diag(np.arange(m) == 0),
        "diagonal": lambda: np.diag(rng.uniform(size=m)),
        "repeated": lambda: (Q * rng.integers(0, 3, m)) @ Q.T + 1e-3 * np.eye(m),
    }[kind]()
    return (H + H.T) / 2 / np.linalg.norm(H, 2)


def test_balanced_interaction_lemma_on_a_thousand_interactions():
    """||Delta(t)|| <= ||Delta(s)|| sum ||P||, with SciPy's exponential; also the sharper bound by partial sums."""
    ratios, growths = [], []

    @settings(max_examples=1000, deadline=None, derandomize=True, database=None)
    @given(
        kind=st.sampled_from(KINDS),
        m=st.integers(2, 8),
        seed=st.integers(0, 10**6),
        s=st.floats(0, 5),
        log=st.floats(-3, 6),
    )
    def check(kind, m, seed, s, log):
        H = interaction(kind, m, seed)
        bound, partial = balance(H).upper, np.cumsum(spectral_projectors(H)[1], axis=0)
        start = expm(-s * H) @ np.random.default_rng(seed).standard_cauchy((m, 20))
        end = expm(-np.exp(log) * H) @ start
        ratios.append((np.abs(end).sum(0) / np.abs(start).sum(0)).max() / bound)
        norm = np.abs(expm(-np.exp(log) * H)).sum(0).max()
        growths.append(norm / max(one_norm(Q).upper for Q in partial))
        assert ratios[-1] <= 1 + 1e-9 and norm <= bound * (1 + 1e-9) and growths[-1] <= 1 + 1e-6

    check()
    print(
        f"{len(ratios)} interactions: worst growth over balance {max(ratios):.4f}, worst norm over "
        f"max |Q| {max(growths):.6f}"
    )
    assert len(ratios) >= 1000


@pytest.mark.parametrize("kind", KINDS)
def test_worst_growth_brackets_a_dense_search(kind):
    H = interaction(kind, 6, 0)
    growth = worst_l1_growth(H, GRID)
    dense = max(
        np.abs(expm(-t * H)).sum(0).max()
        for t in np.concatenate([GRID, np.geomspace(1e-2, 1e3, 400)])
    )
    print(
        f"{kind}: dense {dense:.6f} in [{growth.lower:.6f}, {growth.upper:.6f}], balance "
        f"{balance(H).upper:.4f}"
    )
    assert (
        dense <= growth.upper * (1 + 1e-9) and growth.lower <= growth.upper <= growth.lower * 1.0011
    )
    assert growth.lower <= balance(H).upper * (1 + 1e-9)
    assert abs(np.abs(expm(-growth.time * H)).sum(0).max() - growth.lower) < 1e-9


def test_the_lemma_for_blocks_and_the_bracket_against_a_free_optimiser():
    rng, widths, ratios = np.random.default_rng(1), [], []
    for _ in range(12):
        G = rng.normal(size=(4, 3, int(rng.integers(2, 10))))
        H = np.einsum("iar,jbr->ijab", G, G) / 12
        total, growth = balance(H), worst_l1_growth(H, GRID, tol=0.05)
        ratios.append(growth.upper / total.upper)
        A = rng.normal(size=(4, 3, 3))
        low, high = largest_sum(A)
        size = lambda v: -np.linalg.norm(A @ (v / np.linalg.norm(v)), axis=1).sum()
        free = max(-minimize(size, v).fun for v in rng.normal(size=(8, 3)))
        widths.append(float(high / low))
        assert (
            growth.upper <= total.upper * (1 + 1e-9)
            and low <= high
            and free <= high * (1 + 1e-9)
            and low >= free * (1 - 1e-6)
        )
    print(
        f"blocks: growth over balance at most {max(ratios):.3f}; upper over lower end at most "
        f"{max(widths):.4f}"
    )


def test_scalars_are_blocks_of_size_one():
    H = interaction("gaussian", 5, 0)
    assert np.allclose(balance(H[:, :, None, None]), balance(H), rtol=1e-12)


def test_projectors_are_a_resolution_of_the_identity():
    H = interaction("repeated", 8, 3)
    values, P = spectral_projectors(H)
    errors = [
        np.abs(sum(v * p for v, p in zip(values, P)) - H).max(),
        np.abs(sum(P) - np.eye(8)).max(),
        max(
            np.abs(p @ q - (p if i == j else 0)).max()
            for i, p in enumerate(P)
            for j, q in enumerate(P)
        ),
    ]
    print(f"{len(values)} eigenvalues of 8; errors {errors}")
    assert max(errors) < 1e-12 and len(values) <= 3


def test_growth_of_the_families_in_closed_form():
    """mean: 2(1 - 1/m). spike: (1 + sqrt(m - 1))/2, more than its two eigenvalues, although L2
    contracts. ring: bounded."""
    for m in (16, 64, 256):
        late = [0.0, 1e3]
        values = (
            worst_l1_growth(mean_family(m), late).lower,
            worst_l1_growth(spike_family(m), late).lower,
        )
        exact = 2 * (1 - 1 / m), (1 + np.sqrt(m - 1)) / 2
        print(
            f"m = {m}: growth {values}, closed form {exact}, ring's balance "
            f"{balance(ring_family(m)).upper:.3f}"
        )
        assert np.allclose(values, exact, rtol=1e-9)
        # no lemma without the balance
        assert values[1] > len(spectral_projectors(spike_family(m))[0])
        assert np.linalg.norm(expm(-spike_family(m)), 2) <= 1 + 1e-12
    assert abs(balance(ring_family(512)).upper / balance(ring_family(128)).upper - 1) < 0.02
    generic = [worst_l1_growth(random_family(m), GRID, tol=0.02).lower for m in (16, 128)]
    print("random:", generic)
    assert 1.5 < generic[1] / generic[0] < 8**0.6  # sqrt(8) = 2.83


def atomic(points, degree, dim=6):
    weights = np.full(len(points), 1 / len(points))
    problem = Problem(
        Gaussian(dim), Hermite(degree, 1.0), Atoms(points, weights, Hermite(degree, 1.0))
    )
    return problem, Measure(jnp.asarray(points))


def test_eigenfunctions_by_the_interaction_of_neurons_on_the_atoms():
    """Coupling's interaction term, five neurons an atom, returns -lambda v for every eigenfunction
    v, of norm 1 in L2."""
    problem, rho = atomic(np.eye(6)[:3], 3)
    modes, atom = balanced_modes(problem, rho), np.repeat(np.arange(3), 5)
    worst = 0.0
    for value, v in zip(modes.eigenvalues, modes.functions):
        for q in range(v.shape[2]):
            delta = jnp.asarray(v[atom, :, q])
            gap = interaction_term(problem, rho.points[atom], delta) + value * delta
            worst = max(
                worst, float(jnp.abs(gap).max()), abs(float(jnp.mean(jnp.sum(delta**2, -1))) - 1)
            )
        c = np.random.default_rng(0).normal(size=(2000, v.shape[2]))
        sums = np.linalg.norm(
            np.einsum("idq,sq->sid", v, c / np.linalg.norm(c, axis=1, keepdims=True)), axis=2
        ).mean(1)
        l = int(np.flatnonzero(modes.eigenvalues == value)[0])
        assert sums.max() <= modes.eta[l] + 1e-9 and modes.eta[l] <= 1 + 1e-9
    print(
        f"3 atoms, k = 3: lambda {modes.eigenvalues}, largest defect {worst:.1e}, C_b "
        f"{modes.constant:.4f}"
    )
    assert worst < 1e-12 and modes.constant <= modes.orbit_bound + 1e-9


def test_one_atom_costs_two_in_every_dimension_and_opposite_atoms_too():
    for dim in (4, 8):
        e = np.eye(dim)[:1]
        for points in (e, np.vstack([e, -e])):
            modes = balanced_modes(*atomic(points, 4, dim))
            assert abs(modes.constant - 2) < 1e-9 and np.allclose(modes.eigenvalues, 4)


def test_interactions_at_the_atoms_never_increase_the_potential():
    problem, rho = atomic(np.eye(6)[:3], 2)
    modes, atom = balanced_modes(problem, rho), np.repeat(np.arange(3), 6)
    w, top, alone = rho.points[atom], -np.inf, -np.inf
    for seed in range(60):
        size = np.exp(3 * np.random.default_rng(seed).normal(size=(18, 1)))
        delta = project(
            w, jnp.asarray(size * np.random.default_rng(seed + 99).normal(size=(18, 6)))
        )
        change = interaction_term(problem, w, delta)
        Omega, Psi = potential(delta, modes, atom)
        top = max(top, float(potential_rate(delta, change, modes, atom) / Omega))
        alone = max(
            alone,
            float(jnp.mean(jnp.sum(delta * change, -1) / jnp.linalg.norm(delta, axis=-1)) / Omega),
        )
        assert Omega <= Omega + Psi <= modes.constant * Omega * (1 + 1e-12)
    print(f"largest relative rate: Phi {top:.3e}, Omega alone {alone:.3f}")
    assert top <= 1e-12 < alone


def test_the_smallest_memory_is_the_least_that_covers_the_rate():
    t = np.linspace(0, 1, 50)
    assert (
        abs(smallest_memory(3 * t**2, 0.0 * t, t) - 3) < 1e-12
        and smallest_memory(-t, 0.0 * t, t) == 0.0
    )
    with pytest.raises(NotResolved, match="memory"):
        smallest_memory(1 + t, 0.0 * t, t)
    with pytest.raises(BadInput, match="memory"):
        smallest_memory(t, t, t[1:])


ATOM = Measure(jnp.eye(1, 4))


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: balance(np.diag([1.0, -1.0])), "H"),
        (lambda: balance(np.array([[1.0, 0.5], [0.0, 1.0]])), "H"),
        (lambda: balance(np.ones((2, 2, 3))), "H.shape"),
        (lambda: balance([[1.0], [1.0, 2.0]]), "H"),
        (lambda: balance(np.array([[np.nan]])), "H"),
        (lambda: worst_l1_growth(np.eye(2), [1.0, 0.5]), "times"),
        (lambda: worst_l1_growth(np.eye(2), [0.0, 1.0], tol=0), "tol"),
        (lambda: ring_family(6, 3), "m"),
        (lambda: spike_family(1), "m"),
        (
            lambda: balanced_modes(
                *atomic(np.eye(6)[:1], 4)[:1], Measure(jnp.eye(6)[:2], jnp.array([1.0, 0.0]))
            ),
            "atoms.weights",
        ),
        (lambda: balanced_modes(he4(4), ATOM, 1.0), "tol = 1.0"),
        (lambda: largest_sum(np.ones((2, 2))), "A.shape"),
        (lambda: largest_sum(np.full((2, 2, 2), 1e308)), "A = 'entries up to 1e[+]308"),
        (lambda: potential(np.ones((2, 5)), balanced_modes(he4(4), ATOM), [0, 0]), "delta.shape"),
        (lambda: potential(np.ones((2, 4)), balanced_modes(he4(4), ATOM), [0, 1]), "atom = "),
        (lambda: potential(np.full((2, 4), 1e308), balanced_modes(he4(4), ATOM), [0, 0]), "delta"),
    ],
)
def test_bad_input_is_named(call, field):
    with pytest.raises(BadInput, match=field):
        call()
