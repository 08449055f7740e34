"""The coupling of a network and its mean-field shadows."""
import jax
import numpy as np
import pytest

from poc_book.checks import BadInput, NotResolved
from poc_book.coupling import couple, duhamel, gronwall, linearise
from poc_book.mean_field import solve
from poc_book.problems import circle, he
from poc_book.sphere import uniform

TIMES = np.linspace(0, 3, 7)


@pytest.mark.parametrize("problem", [he(4, 8), circle(8)], ids=lambda p: p.name)
def test_function_error_starts_at_the_static_monte_carlo_error(problem):
    "At t = 0, E K(w, w) - ||f||^2 over m: exact in expectation, here over 40 draws."
    m, limit = 32, solve(problem, [0.0, 0.5])
    draws = [uniform(jax.random.key(r), m, 8) for r in range(40)]
    errors = np.array([limit.function_error(0.0, problem.measure(w)) for w in draws])
    expected = (1 - 3 / (8 * 10)) / m
    assert abs(errors.mean() - expected) < 5 * errors.std() / np.sqrt(40)


def test_shadows_do_not_interact():
    "Carrying a subset of the neurons gives the same shadows."
    limit = solve(he(4, 8), TIMES)
    w0 = uniform(jax.random.key(0), 16, 8)
    assert np.abs(limit.transport(w0)[:, :5] - limit.transport(w0[:5])).max() < 1e-9


def test_network_follows_its_shadows_and_gronwall_is_a_bound():
    problem, limit = he(4, 8), solve(he(4, 8), TIMES)
    errors = {}
    for m in (32, 512):  # a factor 16
        pair = couple(problem, uniform(jax.random.key(3), m, 8), TIMES, limit)
        errors[m] = np.asarray(pair.mean_error)
        if m == 32: assert np.all(errors[m][1:] <= gronwall(pair)[1:])
    ratio = errors[32][-1] / errors[512][-1]
    print(f"mean coupling error, m = 32 over m = 512: {ratio:.2f} (1/sqrt(m) predicts 4)")
    assert 2 < ratio < 8


def test_linear_equation_starts_with_the_source():
    "For a short time Delta = t * source, whatever the rest of Lemma 5."
    from poc_book.coupling import source
    t = 1e-3
    limit = solve(he(4, 8), [0.0, t])
    w0 = uniform(jax.random.key(1), 32, 8)
    pair = couple(he(4, 8), w0, [0.0, t], limit)
    expected = t * source(limit, 0.0, w0)
    size = np.abs(expected).max()
    assert np.abs(pair.delta[1] - expected).max() < 0.01 * size
    assert np.abs(linearise(pair)[1] - expected).max() < 0.01 * size


def test_wrong_dimension_is_refused():
    with pytest.raises(BadInput, match=r"w0\.shape"): couple(he(4, 8), uniform(jax.random.key(0), 4, 5), TIMES)


def test_duhamel_refuses_what_it_cannot_carry():
    "Errors that are not finite anywhere stop the sum instead of running through it."
    problem, times = he(4, 8), np.linspace(0, 0.5, 3)
    pair = couple(problem, uniform(jax.random.key(0), 32, 8), times)
    with pytest.raises(NotResolved, match="times"):
        duhamel(pair.mean_field, times, pair.shadows, np.where(np.arange(3)[:, None, None] == 1, 1e308, pair.delta))
    with pytest.raises(BadInput, match="linear"):
        duhamel(pair.mean_field, times, pair.shadows, np.where(np.arange(3)[:, None, None] == 1, np.nan, pair.delta))
