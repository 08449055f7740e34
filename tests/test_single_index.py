"""Single-index problems: times against SciPy, the stability scalars against a plain ODE, slopes
against linear algebra."""

from functools import partial

import jax
import numpy as np
import pytest
from scipy import integrate, linalg, special, stats

from poc_book.checks import BadInput, NotResolved
from poc_book.mean_field import solve
from poc_book.problems import circle, he, misspecified, xor
from poc_book.single_index import (
    crossing,
    descend,
    escape_times,
    fit_line,
    information_exponent,
    latitude_growth,
    neuron_weights,
    stability,
    theorem_bound,
    time_constant,
    time_to_risk,
)
from poc_book.sphere import uniform


@pytest.fixture(scope="module")
def limit():
    return descend(he(4, 16), 0.35)


def speed(limit, t, theta):
    "Angular speed towards the teacher at latitude theta, from the limit's velocity in R^d."
    w = np.zeros((1, 16))
    w[0, :2] = np.sin(theta), np.cos(theta)
    nu = limit.velocity(t, w)[0]
    return nu[0] * np.cos(theta) - nu[1] * np.sin(theta)


def carry(limit, T, start, **options):
    "SciPy's solution for one latitude up to T."
    return integrate.solve_ivp(
        lambda t, y: [speed(limit, t, y[0])], (0, T), [start], rtol=1e-9, atol=1e-11, **options
    )


def test_time_to_risk_is_where_an_independent_solution_has_that_risk():
    for problem in (he(2, 16), misspecified(16)):
        T = time_to_risk(problem, 0.6)
        gap = abs(solve(problem, [0.0, T], 1e-6).risk[-1] - 0.6)
        print(f"{problem.name}: T(0.6) = {T:.5f}, risk there off by {gap:.1e}")
        assert gap < 1e-5


def test_scalars_agree_with_a_plain_ode_in_scipy(limit):
    "theta' and its finite difference, integrated forwards by SciPy from where the trace back ends."
    T, alpha, h = 2.0, np.array([0.2, 0.6, 0.95]), 1e-5
    growth = latitude_growth(limit, T, [0.0, T], special.logit(alpha**2))
    start = np.arcsin(np.sqrt(special.expit(growth.before[:, -1])))
    for i in range(3):
        ends = [carry(limit, T, start[i] + s * h).y[0, -1] for s in (-1, 0, 1)]
        gaps = (
            abs(np.sin(ends[1]) - alpha[i]),
            abs((ends[2] - ends[0]) / (2 * h) / np.exp(growth.longitudinal[i, -1]) - 1),
            abs(np.cos(ends[1]) / np.cos(start[i]) / np.exp(growth.transverse[i, -1]) - 1),
        )
        print(
            f"alpha_T = {alpha[i]}: arrival {gaps[0]:.1e}, longitudinal {gaps[1]:.1e}, transverse "
            f"{gaps[2]:.1e}"
        )
        assert gaps[0] < 1e-7 and gaps[1] < 1e-4 and gaps[2] < 1e-7


def test_escape_times_agree_with_scipy_forwards(limit):
    q = np.array([0.7, 0.9])
    times = escape_times(limit, q)
    theta0 = np.arcsin(np.sqrt(stats.beta(0.5, 7.5).ppf(q)))
    for T, start in zip(times, theta0):
        leave = lambda t, y: np.sin(y[0]) - 0.5
        leave.terminal = True
        run = carry(limit, limit.times[-1], start, events=leave)
        print(f"escape {T:.8f}, SciPy {run.t_events[0][0]:.8f}")
        assert abs(T / run.t_events[0][0] - 1) < 1e-6
    just_below = stats.beta(0.5, 7.5).cdf(0.25 * (1 - 1e-14))
    assert 0 <= escape_times(limit, [just_below])[0] < 1e-6
    assert escape_times(limit, [1e-6])[0] == np.inf and escape_times(limit, [1 - 1e-9])[0] == 0


def test_stability_against_sampled_neurons(limit):
    """E ||J||^2 and the average expansion from time 0, by the trace back and by transported uniform
    neurons."""
    T = crossing(limit, 0.35)[0]
    full = stability(limit, T, 0.5, stages=1)
    fine = stability(limit, T, 0.5, stages=1, nodes=3200)
    changes = abs(fine.j_square / full.j_square - 1), abs(fine.j_avg / full.j_avg - 1)
    print(
        f"mass {full.mass:.1e}; more nodes change E||J||^2 by {changes[0]:.1e}, J_avg by "
        f"{changes[1]:.1e}"
    )
    assert max(changes) < 0.02 and 0 < full.j_avg_lower <= full.j_avg
    theta0 = np.arcsin(np.abs(uniform(jax.random.key(2), 4096, 16)[:, 0]))
    place = lambda t: np.stack([np.sin(t), np.cos(t), *([0 * t] * 14)], 1)
    short = solve(limit.problem, [0.0, 3.0])
    ends = [short.transport(place(theta0 + s * 1e-5))[-1] for s in (-1, 1)]
    J = np.linalg.norm(ends[1] - ends[0], axis=1) / 2e-5
    J = np.maximum(J, np.abs(ends[0][:, 1]) / np.cos(theta0))
    growth = latitude_growth(short, 3.0, [0.0, 3.0], np.linspace(-24, 30, 1600))
    exact = neuron_weights(short, growth)[0] @ growth.norm[:, -1] ** 2
    mean, error = (J**2).mean(), (J**2).std() / np.sqrt(J.size)
    print(
        f"E||J||^2 at t = 3: trace back {exact:.3f}, transported neurons {mean:.3f} +- {error:.3f}"
    )
    assert abs(exact - mean) < 5 * error


def test_fit_line_against_the_normal_equations():
    x, y, sigma = np.array([0.0, 1, 2, 4]), np.array([1.0, 2, 2.5, 6]), np.array([1.0, 2, 1, 0.5])
    A, W = np.column_stack([x, np.ones(4)]), np.diag(1 / sigma**2)
    cov = np.linalg.inv(A.T @ W @ A)
    best = cov @ A.T @ W @ y
    rest = y - A @ best
    line = fit_line(x, y, sigma)
    assert abs(line.slope - best[0]) < 1e-12
    assert abs(line.error - np.sqrt(cov[0, 0] * rest @ W @ rest / 2)) < 1e-12


def test_theorem_bound_in_closed_form():
    "Constant risk and source: the equation is linear, its solution a matrix exponential."
    t, A = np.linspace(0, 3, 7), np.array([[-np.sqrt(0.5), 0.7, 2 * 1.3], [1, 0, 0], [0, 0, 0]])
    exact = np.array([(linalg.expm(s * A) @ [0, 0, 1])[0] for s in t])
    gap = np.abs(theorem_bound(t, np.full(7, 0.5), np.full(7, 1.3), 2.0, 0.7) - exact).max()
    print(f"inequality (8) as an equation, against the matrix exponential: {gap:.1e}")
    assert gap < 1e-6


def test_waiting_grows_with_the_information_exponent():
    d = np.array([64, 1000, 100_000])
    T = [crossing(descend(he(4, int(n)), 0.5), 0.5)[0] for n in d]
    line = fit_line(np.log(d), np.log(T))
    print(
        f"He_4, risk 0.5: slope {line.slope:.4f} +- {max(line.error, line.spread):.4f}, theorem 1"
    )
    assert abs(line.slope - 1) < 0.05


def test_bad_input_is_refused(limit):
    assert information_exponent(misspecified(8)) == 4
    for problem in (circle(8), xor(6)):
        with pytest.raises(BadInput, match="problem"):
            information_exponent(problem)
    for risk in (0.0, -1.0, 1.0, np.nan):
        with pytest.raises(BadInput, match="risk"):
            time_to_risk(he(4, 16), risk)
    with pytest.raises(BadInput, match="risk"):
        crossing(limit, 1e-6)
    with pytest.raises(BadInput, match="quantiles"):
        escape_times(limit, [0.0])
    with pytest.raises(BadInput, match="tau"):
        stability(limit, 1.0, 1.5)
    with pytest.raises(BadInput, match="times"):
        theorem_bound([1.0, 2.0], [1, 1], [1, 1], 1.0, 1.0)
    with pytest.raises(BadInput, match="lags"):
        latitude_growth(limit, 1.0, [0.0, 2.0], [0.0])
    with pytest.raises(BadInput, match="t = 9"):
        latitude_growth(limit, 9.0, [0.0], [0.0])
    with pytest.raises(BadInput, match="sigma"):
        fit_line([1, 2, 3], [1, 2, 4], [1.0, 0.0, 1.0])
    bound = partial(theorem_bound, [0.0, 1.0])
    with pytest.raises(BadInput, match=r"risk = .*2 numbers >= 0"):
        bound([1.0, -1.0], [0.1, 0.1], 1.0, 1.0)
    with pytest.raises(BadInput, match="j_avg = -1"):
        bound([1.0, 1.0], [0.1, 0.1], 1.0, -1.0)
    with pytest.raises(BadInput, match="millionth"):
        theorem_bound([0.0, 1e-9, 1.0], [1.0] * 3, [0.1] * 3, 1.0, 1.0)
    with pytest.raises(NotResolved, match=r"c = 1e\+300"):
        bound([1.0, 1.0], [0.1, 0.1], 1.0, 1.0, 1e300)
    with pytest.raises(NotResolved, match="a bound finite"):
        bound([1.0, 1.0], [1e300, 1e300], 1e300, 1.0)
    with pytest.raises(NotResolved, match="nodes"):
        stability(limit, 1.0, 0.5, stages=1, nodes=12)


@pytest.mark.parametrize("k", [4, 6, 8])
def test_the_constant_of_theorem_9_from_the_law_of_high_dimension(k):
    """The clock k (k - 2) delta dt = dC, with delta the mass below C^(-1/(k-2)) of a normal law,
    integrated step by step by SciPy."""
    # dT / dlog C
    slow = lambda u, _: np.exp(u) / (2 * stats.norm.cdf(np.exp(-u / (k - 2))) - 1) / (k * (k - 2))
    end = (k - 2) * np.log(1e3)
    run = integrate.solve_ivp(slow, (-60, end), [0.0], rtol=1e-9, atol=1e-12, max_step=0.2)
    delta = 2 * stats.norm.cdf(1e-3) - 1
    gap = run.y[0, -1] * delta ** (k - 1) / time_constant(k) - 1
    print(f"k = {k}, delta = {delta:.1e}: off the constant by {gap:.1e}")
    assert abs(gap) < 1e-3


def test_the_exact_limit_tends_to_the_constant_in_high_dimension():
    T = time_to_risk(he(4, 10**6), 0.2**2)
    gap = T * 0.2**3 / 10**6 / time_constant(4) - 1
    print(f"He_4, d = 10^6, delta = 0.2: {gap:.1e} off the limit")
    assert abs(gap) < 3e-3
