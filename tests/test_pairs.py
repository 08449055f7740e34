"Kernels against quadrature and known ones; every way of a sum over pairs."

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from poc_book import pairs
from poc_book.activations import Hermite, SoftPlus, expand
from poc_book.pairs import (
    DotProduct,
    features,
    moment_tensor,
    pair_pull,
    pair_sum,
    paired,
    prefers_moments,
)
from poc_book.sphere import uniform

RELU, ERF, SIGN = jax.nn.relu, jax.scipy.special.erf, jnp.sign


PLAIN = {
    "relu": RELU,
    "leaky": jax.nn.leaky_relu,
    "abs": jnp.abs,
    "tanh": jnp.tanh,
    "erf": ERF,
    "silu": jax.nn.silu,
    "elu": jax.nn.elu,
    "soft": SoftPlus(16.0),
    "shifted kink": lambda z: jnp.maximum(z - 0.3, 0),
    "hard tanh": lambda z: jnp.clip(z, -1, 1),
    "h0 + h4": Hermite([0, 4], [0.5, 1.0]),
    "cubic": lambda z: z**3 + 2,
    "constant": lambda z: 0 * z + 2.0,
    "sign": SIGN,
    "step": lambda z: jnp.where(z > 0, 1.0, 0.0),
}


KINKS = "shifted kink", "hard tanh"


def mean_of(f, g, s: float) -> float:
    """E f(u) g(v) for Gaussians of correlation s by polar coordinates: exact across kinks at zero,
    which are rays there."""
    theta = np.arccos(s)
    edges = np.sort(
        np.mod(np.array([0.5, 1.5, 0.5, 1.5]) * np.pi + np.array([0, 0, theta, theta]), 2 * np.pi)
    )
    edges = np.append(edges, edges[0] + 2 * np.pi)
    x, weight = np.polynomial.legendre.leggauss(40)
    phi = (edges[:-1, None] + np.diff(edges)[:, None] * (1 + x) / 2).ravel()
    along = (np.diff(edges)[:, None] / 2 * weight).ravel() / (2 * np.pi)
    cells = np.linspace(0, 12, 25)
    r = (cells[:-1, None] + np.diff(cells)[:, None] * (1 + x) / 2).ravel()
    out = (np.diff(cells)[:, None] / 2 * weight).ravel() * r * np.exp(-r * r / 2)
    u, v = r * np.cos(phi)[:, None], r * np.cos(phi - theta)[:, None]
    return float(along @ (np.asarray(f(u), float) * np.asarray(g(v), float)) @ out)


@pytest.mark.parametrize("first", PLAIN)
def test_pairs_of_activations_and_links_have_the_mean_by_polar_coordinates(first):
    for second in ("relu", "h0 + h4", "sign", first):
        f, g, found = (
            PLAIN[first],
            PLAIN[second],
            paired(expand(PLAIN[first]), expand(PLAIN[second])),
        )
        # the reference has no panels at these, and the series is cut off
        rough = first in KINKS or second in KINKS
        for s in (-0.95, -0.3, 0.0, 0.5, 0.9):
            assert found(s) == pytest.approx(mean_of(f, g, s), abs=3e-4 if rough else 3e-7), (
                first,
                second,
                s,
            )


def test_kernels_are_the_known_ones():
    s = np.linspace(-1, 1, 41)
    theta = np.arccos(s)
    relu, erf, sign = (paired(expand(f), expand(f)) for f in (RELU, ERF, SIGN))
    np.testing.assert_allclose(
        relu(s), (np.sin(theta) + (np.pi - theta) * np.cos(theta)) / (2 * np.pi), atol=1e-14
    )
    np.testing.assert_allclose(relu.slope(s), (np.pi - theta) / (2 * np.pi), atol=1e-14)
    np.testing.assert_allclose(erf(s), 2 / np.pi * np.arcsin(2 * s / 3), atol=1e-12)
    np.testing.assert_allclose(
        erf.bend(s), np.pi**-1 * 16 * s / 27 / (1 - 4 * s**2 / 9) ** 1.5, atol=1e-9
    )
    np.testing.assert_allclose(sign(s), 2 / np.pi * np.arcsin(s), atol=1e-14)


EVEN, FOURTH = DotProduct((2, 4, 6), (0.5, 1.0, 0.25)), DotProduct((4,), (1.0,))


@pytest.mark.slow
@pytest.mark.parametrize("dtype, near", [(jnp.float64, 1e-14), (jnp.float32, 2e-6)])
def test_moment_tensors_and_pairs_give_the_same_numbers(monkeypatch, dtype, near):
    w, v = (uniform(jax.random.key(i), size, 4, dtype) for i, size in enumerate((700, 3000)))
    charge = jnp.asarray(np.random.default_rng(1).normal(size=3000) / 3000, dtype)
    found = []
    for way in (True, False):
        monkeypatch.setattr(pairs, "prefers_moments", lambda *_, way=way: way)
        found.append(
            jax.jit(lambda w, v, c: (pair_sum(EVEN, w, v, c), pair_pull(EVEN, w, v, c)))(
                w, v, charge
            )
        )
    s = np.asarray(w, float) @ np.asarray(v, float).T
    exact = (
        EVEN(s) @ np.asarray(charge, float),
        (EVEN.slope(s) * np.asarray(charge, float)) @ np.asarray(v, float),
    )
    for by_way in found:
        for value, brute in zip(by_way, exact):
            assert value.dtype == dtype and np.abs(value - brute).max() < near * max(
                1, np.abs(exact[1]).max()
            )


@pytest.mark.slow
def test_the_moment_tensor_of_one_neuron_is_its_power():
    w, v = (np.asarray(uniform(jax.random.key(i), 1, 5)) for i in (0, 1))
    T = moment_tensor(jnp.asarray(v), jnp.ones(1), 3)
    phi = np.asarray(features(jnp.asarray(w), 3))[:, 0]
    assert phi @ T @ phi == pytest.approx(float((w @ v.T)[0, 0]) ** 6, rel=1e-12)


@pytest.mark.slow
def test_moments_are_for_many_neurons_of_even_kernels():
    assert not prefers_moments(FOURTH, 512, 512, 16) and prefers_moments(FOURTH, 4096, 4096, 16)
    assert not prefers_moments(DotProduct((3,), (1.0,)), 10**6, 10**6, 3)
    fused = [prefers_moments(FOURTH, m, m, 32, fused=True) for m in (2**16, 2**17)]
    assert fused == [False, True]  # as measured on an H200 at 2^16
    widths = [
        next(m for m in (2 ** np.arange(30)).tolist() if prefers_moments(FOURTH, m, m, d))
        for d in (8, 16, 32, 64)
    ]
    assert widths == sorted(widths)  # the break-even width grows with the dimension
