"""The importance of hyperparameters on searches whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from analysis.findings.importance import importances, num_proposals_needed


def _terms(points: np.ndarray) -> dict[str, np.ndarray]:
    return {name: np.stack([points[:, i], points[:, i] ** 2], axis=1) for i, name in enumerate(("rate", "decay"))}


def _objectives(points: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The rate matters, the decay does not."""
    noise: np.ndarray = 0.2 * generator.standard_normal(len(points))
    return noise - 9 * (points[:, 0] - 0.6) ** 2


def test_the_share_is_what_an_f_test_of_statsmodels_gives() -> None:
    """Epsilon squared is (F - 1) times the terms and the mean squared error, over the total."""
    generator = np.random.default_rng(1)
    points = generator.random((24, 2))
    objectives = _objectives(points, generator)
    found = importances(_terms(points), objectives, 0.95, generator)
    ranks = stats.rankdata(objectives)
    fit = sm.OLS(ranks, sm.add_constant(np.hstack(list(_terms(points).values())))).fit()
    for name, restriction in (("rate", np.eye(5)[1:3]), ("decay", np.eye(5)[3:5])):
        statistic = float(fit.f_test(restriction).fvalue)
        assert found[name].share == pytest.approx((statistic - 1) * 2 * fit.mse_resid / fit.centered_tss, rel=1e-9)


def test_what_decides_is_found_and_what_does_not_is_about_zero() -> None:
    generator = np.random.default_rng(2)
    shares = []
    for _ in range(30):
        points = generator.random((20, 2))
        found = importances(_terms(points), _objectives(points, generator), 0.95, generator)
        assert found["rate"].share > found["decay"].share
        assert found["rate"].low <= found["rate"].share <= found["rate"].high
        shares.append(found["decay"].share)
    assert abs(float(np.mean(shares))) < 0.03  # unbiased: a standard deviation of 0.05 over the root of 30


def test_a_diverged_proposal_is_the_worst_and_its_depth_is_of_no_matter() -> None:
    generator = np.random.default_rng(3)
    points = generator.random((20, 2))
    objectives = _objectives(points, generator)
    worst = int(objectives.argmin())
    shares = []
    for lost in (np.nan, -1e9, objectives[worst]):
        changed = np.where(np.arange(20) == worst, lost, objectives)
        shares.append([each.share for each in importances(_terms(points), changed, 0.95, generator).values()])
    assert shares[0] == shares[1] == shares[2]


def test_too_few_proposals_are_refused() -> None:
    generator = np.random.default_rng(4)
    points = generator.random((19, 2))
    assert num_proposals_needed(_terms(points)) == 20
    with pytest.raises(ValueError, match="19 proposals, and 20 are needed"):
        importances(_terms(points), _objectives(points, generator), 0.95, generator)
