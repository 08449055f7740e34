"""The risk's correction with several teacher directions: against networks of a problem shown
nowhere, and where `risk_correction` gives or refuses it."""

import jax
import numpy as np
import pytest
from test_latent_law import LIFTED, TWO, off

from poc_book import latent_risk
from poc_book.checks import NotResolved
from poc_book.fluctuations import Side, risk_correction
from poc_book.latent_risk import Correction, one_correction
from poc_book.mean_field import solve
from poc_book.sphere import integrate, uniform

pytestmark = pytest.mark.slow


def test_the_correction_on_the_cube_is_what_networks_and_their_halves_have():
    """Where neurons of one sign do not mirror the others: noise of first order is the same in a
    network and its halves, and leaves the correction A."""
    times, m, draws = np.array([0.0, 1.0, 2.0]), 64, 1024
    limit = solve(LIFTED, times, 0.02)
    value, shift = np.mean([one_correction(limit, 64, [seed, 7]) for seed in range(2)], 0)

    w0 = np.asarray(uniform(jax.random.key(4), draws * m, 4))
    side = Side(LIFTED, tuple((draws * k, m // k) for k in (1, 2, 4)))
    trained = side.apart(integrate(side, np.tile(w0, (3, 1)), times, 1e-5))
    risk = lambda w: np.array([off(x, np.array([0.5, 0.6])) for x in w])
    whole, half, quarter = (risk(w).reshape(len(times), draws, -1).mean(2) for w in trained)
    seen = 2 * m * (half - whole) - m / 2 * (quarter - half)  # A + 3 B / m twice, less A + 6 B / m
    mean, error = seen.mean(1), seen.std(1, ddof=1) / np.sqrt(draws)
    print(f"correction {value}, of it the mean shift {shift}, networks {mean} +- {error}")
    assert np.all(np.abs(mean - value) < 4 * error) and abs(shift[-1]) > 2.5 * error[-1]


def test_the_risk_correction_is_given_where_its_error_is_small_or_refused(monkeypatch):
    limit = solve(TWO, [0.0, 0.5])
    known = Correction(limit.times, np.array([1.0, 0.5]), np.array([0.0, 0.05]), np.zeros(2))
    monkeypatch.setattr(latent_risk, "latent_correction", lambda limit: known)
    np.testing.assert_array_equal(risk_correction(limit), [1.0, 0.5])
    worse = known._replace(error=np.array([0.0, 0.2]))
    monkeypatch.setattr(latent_risk, "latent_correction", lambda limit: worse)
    with pytest.raises(
        NotResolved, match=r"^tol = 0.1: at least 2.0e-01 for two teachers up to t = 0.5"
    ):
        risk_correction(limit)
