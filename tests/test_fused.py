"Sums over pairs in single precision by a fused kernel, against double precision and plain products."

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from poc_book import problems
from poc_book.fused import fused_pull, fused_sum

pytestmark = pytest.mark.slow


POLYNOMIAL, SOFTPLUS = problems.misspecified().activation, problems.xor().activation


@pytest.mark.parametrize(
    "n, m, dim, act, exact",
    [
        (300, 1000, 32, POLYNOMIAL, False),
        (300, 1000, 32, SOFTPLUS, True),
        (7, 33, 5, POLYNOMIAL, True),
        (7, 33, 5, SOFTPLUS, False),
    ],
    ids=["polynomial", "softplus-exact", "few-polynomial-exact", "few-softplus"],
)
def test_fused_sums_are_sums_over_pairs(n, m, dim, act, exact):
    rng = np.random.default_rng(0)
    w, v = rng.normal(size=(n, dim)) / dim**0.5, rng.normal(size=(m, dim))
    if exact:
        v = np.sign(v)
    w, v, c, b = (
        np.asarray(a, np.float32) for a in (w, v, rng.normal(size=m) / m, rng.normal(size=n) / n)
    )
    slope = lambda z: jax.jvp(act, (z,), (jnp.ones_like(z),))[1]
    z = w.astype(float) @ v.astype(float).T
    pairs = (
        (
            fused_pull(slope, w, v, c, exact),
            (np.asarray(slope(z)) * c.astype(float)) @ v.astype(float),
        ),
        (fused_sum(act, v, w, b, exact), np.asarray(act(z.T)) @ b.astype(float)),
    )
    plain = (slope(w @ v.T) * c) @ v, act(v @ w.T) @ b  # as single precision rounds
    few = fused_pull(slope, w, v, c, exact, 2), fused_sum(act, v, w, b, exact, 2)
    for (found, brute), rounded, sixteen in zip(pairs, plain, few):
        assert found.dtype == rounded.dtype == sixteen.dtype == jnp.float32
        off, size = np.abs(found - brute).max(), np.abs(brute).max()
        assert off < 2 * np.abs(rounded - brute).max() + 1e-7 * size
        # two parts: three factors of 16 bits, and a slope that grows with z
        assert off < np.abs(sixteen - brute).max() < 2e-5 * size
