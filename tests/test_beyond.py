"""Steps, sharpness, empirical problems, decays and budgets against dense matrices, closed forms and
brute force."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from poc_book import mean_field, problems
from poc_book.beyond import best_split, coupling_by_direction, decay, gradient_descent, sharpness
from poc_book.checks import BadInput
from poc_book.fluctuations import fluctuate
from poc_book.sphere import uniform

pytestmark = pytest.mark.slow

HE4 = problems.he(4, 6)
W0 = uniform(jax.random.key(0), 5, 6)


def test_steps_are_returned_at_the_last_multiples_before_the_times():
    times, points = gradient_descent(HE4, W0, 0.3, [0.0, 0.31, 1.0])
    assert (
        np.allclose(times, [0.0, 0.3, 0.9])
        and np.allclose(points[0], W0)
        and np.allclose(np.linalg.norm(points, axis=-1), 1)
    )


def test_sharpness_is_the_top_of_the_finite_difference_hessian():
    "Central differences of the velocities in an orthonormal tangent basis of all neurons."
    problem, m, d, h = problems.staircase(6), 4, 6, 1e-5
    w = uniform(jax.random.key(3), m, d)
    bases = [np.linalg.svd(np.asarray(x)[None])[2][1:] for x in w]
    field = lambda u: np.asarray(problem.velocity(u, problem.measure(u), problem.measure(u).signs))
    columns = []
    for i, basis in enumerate(bases):
        for e in basis:
            moved = [np.array(w) for _ in range(2)]
            for sign, x in zip((1, -1), moved):
                x[i] = np.cos(h) * x[i] + sign * np.sin(h) * e
            change = (field(jnp.asarray(moved[0])) - field(jnp.asarray(moved[1]))) / (2 * h)
            columns.append(np.concatenate([b @ row for b, row in zip(bases, change)]))
    hessian = -np.array(columns)
    assert np.abs(hessian - hessian.T).max() < 1e-6
    assert sharpness(problem, w) == pytest.approx(
        np.linalg.eigvalsh((hessian + hessian.T) / 2)[-1], rel=1e-4
    )


def test_directions_add_up_to_the_laws_of_chapter_11():
    limit = mean_field.solve(problems.circle(7), [0.0, 1.0, 3.0])
    found, known = coupling_by_direction(limit), fluctuate(limit)
    assert found.coupling.sum(1) == pytest.approx(
        known.coupling, rel=1e-10
    ) and found.law == pytest.approx(known.law, rel=1e-10)
    one = coupling_by_direction(mean_field.solve(HE4, [1.0])).coupling[0]
    assert np.all(one[:2] > 0) and one[2] == 0  # one direction: nowhere to slide


def test_a_power_decays_with_its_exponent():
    t = np.append(0.0, np.geomspace(0.01, 1e3, 2000))
    for c in (0.5, 3.0):
        found = decay(t, 7 * (1 + t) ** -c)
        assert found.last == pytest.approx(c, rel=0.02) and found.c == pytest.approx(
            c * np.log(1001) / np.log(1e3), rel=0.01
        )
        whole = ((1001) ** (1 - c / 2) - 1) / (1 - c / 2)
        assert found.integral == pytest.approx(whole, rel=1e-4)


def test_the_best_split_is_the_minimum_over_a_grid():
    t = np.geomspace(1, 100, 30)
    L, R, P = t**-0.8, 0.5 * t**-0.2, 50 * t**0.1
    found = best_split(t, L, R, P, [1e6])
    m = np.geomspace(1, 1e4, 3000)[:, None]
    grid = L + R / m + P / (1e6 / (m * t))
    at = np.unravel_index(np.argmin(grid), grid.shape)
    assert found.risk[0] == pytest.approx(grid.min(), rel=1e-4) and found.time[0] == t[at[1]]
    assert found.width[0] == pytest.approx(m[at[0], 0], rel=0.01)
    assert found.width[0] * found.samples[0] * found.time[0] == pytest.approx(1e6)


@pytest.mark.parametrize(
    "call, field",
    [
        (lambda: gradient_descent(HE4, W0, 0.0, [1.0]), "step = 0.0"),
        (lambda: gradient_descent(HE4, 2 * W0, 0.1, [1.0]), "w0"),
        (lambda: gradient_descent(HE4, W0, 0.1, [-1.0]), "times"),
        (lambda: sharpness(HE4, W0[:, :5]), "w.shape"),
        (lambda: decay([0.0, 3.0], [1.0, 0.5]), "times"),
        (lambda: decay(np.arange(20.0), np.zeros(20)), "risk"),
        (lambda: best_split([1.0], [1.0], [0.0], [1.0], [1e6]), "per_neuron"),
        (lambda: best_split([0.0], [1], [1], [1], [1e6]), "times"),
        (lambda: best_split([1.0], [1.0], [1.0], [1.0], [-1.0]), "budgets"),
        (lambda: problems.empirical(HE4, 0, 0.0, jax.random.key(0)), "n = 0"),
        (lambda: problems.empirical(HE4, 5, float("nan"), jax.random.key(0)), "noise = nan"),
    ],
)
def test_bad_input_is_named(call, field):
    with pytest.raises(BadInput, match=field):
        call()
