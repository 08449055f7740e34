"""The coupling of a network and its mean-field shadows."""

import jax
import numpy as np
import pytest

from poc_book.checks import BadInput, NotResolved
from poc_book.coupling import duhamel
from poc_book.mean_field import solve
from poc_book.problems import he
from poc_book.sphere import uniform

TIMES = np.linspace(0, 3, 7)


def test_shadows_do_not_interact():
    "Carrying a subset of the neurons gives the same shadows."
    limit = solve(he(4, 8), TIMES)
    w0 = uniform(jax.random.key(0), 16, 8)
    assert np.abs(limit.transport(w0)[:, :5] - limit.transport(w0[:5])).max() < 1e-9


def test_duhamel_refuses_what_it_cannot_carry():
    "Errors that are not finite anywhere stop the sum instead of running through it."
    times = np.linspace(0, 0.5, 3)
    limit = solve(he(4, 8), times)
    bars, middle = (
        limit.transport(uniform(jax.random.key(0), 32, 8)),
        np.arange(3)[:, None, None] == 1,
    )
    with pytest.raises(NotResolved, match="times"):
        duhamel(limit, times, bars, np.where(middle, 1e308, 0 * bars))
    with pytest.raises(BadInput, match=r"bars\.shape"):
        duhamel(limit, times, bars[1:], 0 * bars)
    with pytest.raises(BadInput, match="linear"):
        duhamel(limit, times, bars, np.where(middle, np.nan, 0 * bars))
