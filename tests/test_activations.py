"Hermite coefficients against known ones, what a series leaves out, and SoftPlus on the cube."

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from poc_book.activations import Hermite, SoftPlus, character_correlation, expand
from poc_book.checks import BadInput
from poc_book.model import Boolean
from poc_book.sphere import own_key, uniform

SHIFTED = lambda z: jnp.maximum(z - 0.3, 0)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: Hermite([2, 2], [1.0, 0.5]), "degrees = (2, 2): distinct degrees"),
        (lambda: Hermite([2, 4], [1.0]), "degrees = (2, 4)"),
        (lambda: Hermite([2.5], [1.0]), "degree = 2.5"),
        (lambda: Hermite([2], [np.nan]), "coefficients = "),
    ],
    ids=range(4),
)
def test_a_series_that_does_not_fit_is_refused(make, words):
    with pytest.raises(BadInput) as error:
        make()
    assert str(error.value).startswith(words)


def test_an_expansion_says_what_it_leaves_out():
    tight, kinked, stepped = (expand(f) for f in (jnp.tanh, SHIFTED, lambda z: jnp.floor(2 * z)))
    assert tight.certified and abs(tight.rest) < 1e-14 and abs(tight.slope_rest) < 1e-14
    assert kinked.certified and 1e-6 < kinked.rest < 1e-4  # about (kink)^2 / 512^(3/2)
    assert not stepped.certified and expand(jnp.log) is None and expand(np.tanh) is None


def test_shifted_kink_has_its_known_coefficients():
    k = np.arange(2, 40)
    known = (
        np.exp(-0.045)
        / np.sqrt(2 * np.pi)
        * np.array([Hermite(int(j) - 2, 1.0)(0.3) for j in k])
        / np.sqrt(k * (k - 1))
    )
    found = dict(zip(expand(SHIFTED).degrees, expand(SHIFTED).coefficients))
    np.testing.assert_allclose([found[int(j)] for j in k], known, atol=1e-14)


def test_the_gradient_of_a_character_is_that_of_a_sum_over_the_cube():
    w = jnp.asarray(uniform(own_key(0), 3, 6))
    cube, plus = Boolean(6).nodes(), SoftPlus(16.0)
    for chosen in ((), (1,), (0, 4), (0, 1, 2, 3)):
        known = jax.grad(
            lambda w, s=chosen: (plus(w @ cube.T) @ cube[:, list(s)].prod(1) / 64).sum()
        )(w)
        np.testing.assert_allclose(character_correlation(w, chosen, 16.0)[1], known, atol=1e-11)
