"The one loop that drives diffrax's steps, against closed forms and SciPy, and what is compiled once."

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from poc_book import mean_field, problems
from poc_book.finite_width import flow
from poc_book.sphere import solve_ode, uniform


def pendulum(t, y):
    return jnp.stack([y[1], -jnp.sin(y[0]) + 0.1 * jnp.cos(t)])


@jax.jit
def swing(times, tol):
    state = jnp.array([1.0, 0.0]), jnp.array(0.0)
    return solve_ode(
        lambda t, y: (pendulum(t, y[0]), y[0][1] ** 2),
        diffrax.Dopri8,
        times[0],
        times[-1],
        state,
        tol,
        times,
    )


@pytest.mark.parametrize(
    "times", [np.linspace(0, 20, 9), np.linspace(20, 0, 9), np.array([3.0] + [5.0] * 8)], ids=str
)
def test_a_tree_of_states_at_times_ahead_or_back_by_scipy(times):
    (y, work), fine = swing(times, 1e-11)
    field = lambda t, y: [*np.asarray(pendulum(t, y[:2])), y[1] ** 2]
    asked = np.unique(times)[:: 1 if times[-1] > times[0] else -1]
    known = solve_ivp(
        field, (times[0], times[-1]), [1.0, 0.0, 0.0], "DOP853", asked, rtol=1e-12, atol=1e-12
    ).y.T
    found = np.column_stack([y, work])[np.sort(np.unique(times, return_index=True)[1])]
    gap = np.abs(found - known).max()
    print(f"largest difference {gap:.1e}")
    assert bool(fine) and gap < 1e-9 and np.array_equal(y[-1], y[len(known) - 1])


def test_no_way_at_all_is_the_start():
    (y, _), fine = swing(np.full(9, 2.0), 1e-11)
    assert bool(fine) and np.array_equal(y, np.tile([1.0, 0.0], (9, 1)))


def test_what_cannot_be_followed_is_said():
    """y' = y^2 from 1 ends at t = 1; beyond it the steps vanish. A field that turns NaN is left
    before it does."""

    @jax.jit
    def run(end, wrong):
        field = lambda t, y: jnp.where(t > wrong, jnp.nan, y**2)
        return solve_ode(
            field, diffrax.Dopri5, 0.0, end, jnp.array(1.0), 1e-8, dtmin=1e-12, force_dtmin=False
        )

    y, fine = run(0.5, 2.0)
    assert bool(fine) and abs(float(y[0]) - 2) < 1e-6
    assert not run(1.5, 2.0)[1] and not run(0.5, 0.3)[1]


@pytest.mark.slow
def test_a_function_is_compiled_once_for_a_shape():
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: (
            compiled.append(event) if event.endswith("backend_compile_duration") else None
        )
    )

    def all_three(seed, t):
        problem, w0 = problems.he(4, 7), uniform(jax.random.key(seed), 40, 7)
        flow(problem, w0, [0.5, t])
        mean_field.solve(problem, [0.5, t]).transport(w0)

    all_three(0, 1.0)
    assert compiled
    compiled.clear()
    all_three(1, 1.5)  # other neurons, other times, same shapes
    assert compiled == []
