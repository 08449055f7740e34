"The problems of the paper, and one seen through samples."

import jax
import jax.numpy as jnp
import pytest

from poc_book import problems
from poc_book.sphere import uniform

HE4 = problems.he(4, 6)
W0 = uniform(jax.random.key(0), 5, 6)


def test_empirical_problems_are_what_they_say():
    "The risk of an empirical problem is the plain mean over its samples."
    few = problems.empirical(HE4, 50, 0.0, jax.random.key(1))
    x, rho = few.inputs.points, HE4.measure(W0)
    gap = HE4.output(rho, x) - HE4.teacher(x)
    assert float(few.risk(few.measure(W0))) == pytest.approx(float(jnp.mean(gap**2)), rel=1e-12)
