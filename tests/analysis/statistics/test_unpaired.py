"""Two groups without pairs: the exact permutation test, its inversion, and what a diverged training does to it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from scipy import stats

from analysis.statistics import unpaired
from analysis.statistics.pairs import ComparedSide, PairedResult
from analysis.statistics.readouts import Reading, Readout
from analysis.statistics.unpaired import group_permutation, smallest_group_p, unpaired_result
from analysis.statistics.verdicts import Rule

FINAL = Reading("", Readout("final"))


def _draws(number: int, gain: float, seed: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.random.default_rng(seed).normal(gain, 1.0, number)


def _result(
    level: Mapping[int, float | None], baseline: Mapping[int, float | None], margin: float = 0.0
) -> PairedResult:
    return unpaired_result(
        ComparedSide({FINAL: level}),
        ComparedSide({FINAL: baseline}),
        Rule(0.95, margin),
        0,
        is_whole=True,
    )


@pytest.mark.parametrize(("num_level", "num_baseline"), [(4, 4), (3, 7), (8, 5), (2, 20), (2, 3)])
@pytest.mark.parametrize("gain", [0.0, 1.0, -3.0])
def test_p_is_that_of_scipys_exact_permutation_test(num_level: int, num_baseline: int, gain: float) -> None:
    level, baseline = _draws(num_level, gain, 1), _draws(num_baseline, 0.0, 2)
    found = group_permutation(level, baseline, 0.95, np.random.default_rng(0))
    exact = stats.permutation_test(
        (level, baseline),
        lambda first, second: first.mean() - second.mean(),
        n_resamples=10**6,
        alternative="two-sided",
    )
    assert found.exact
    assert found.p == pytest.approx(exact.pvalue)


@pytest.mark.parametrize(("num_level", "num_baseline"), [(4, 4), (6, 3), (7, 8)])
def test_the_interval_holds_exactly_what_the_test_does_not_refuse(num_level: int, num_baseline: int) -> None:
    level, baseline = _draws(num_level, 2.0, 3), _draws(num_baseline, 0.0, 4)
    interval = group_permutation(level, baseline, 0.95, np.random.default_rng(0)).interval
    beside = ((interval.low, -1e-6), (interval.low, 1e-6), (interval.high, -1e-6), (interval.high, 1e-6))
    for end, off in beside:
        p = group_permutation(level - end - off, baseline, 0.95, np.random.default_rng(0)).p
        assert (p > 0.05) == interval.contains(end + off), (end, off, p)


def test_the_level_is_held_where_nothing_differs() -> None:
    """Of 2,000 draws of two equal groups of 5 the test refuses at most 5 %; four standard errors of that are 2 %."""
    draws = np.random.default_rng(7).normal(size=(2000, 10))
    refused = [group_permutation(row[:5], row[5:], 0.95, np.random.default_rng(0)).p <= 0.05 for row in draws]
    assert np.mean(refused) < 0.07


def test_sides_turned_round_turn_the_interval_round() -> None:
    level, baseline = _draws(5, 1.0, 5), _draws(7, 0.0, 6)
    ours = group_permutation(level, baseline, 0.95, np.random.default_rng(0))
    theirs = group_permutation(baseline, level, 0.95, np.random.default_rng(0))
    assert (ours.p, ours.interval.low) == pytest.approx((theirs.p, -theirs.interval.high))


def test_beyond_what_can_be_enumerated_divisions_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    level, baseline = _draws(6, 1.0, 8), _draws(6, 0.0, 9)
    exact = group_permutation(level, baseline, 0.95, np.random.default_rng(0))
    monkeypatch.setattr(unpaired, "MAX_DIVISIONS", 10)
    monkeypatch.setattr(unpaired, "NUM_SIGN_DRAWS", 20_000)
    drawn = group_permutation(level, baseline, 0.95, np.random.default_rng(0))
    assert not drawn.exact
    # Of 20,000 draws one side's share is known to 0.0035 at most; p is 3.29 of these above it, twice, and 3.29 beside.
    assert exact.p < drawn.p < exact.p + 4 * 3.29 * 0.0035


def test_too_few_numbers_have_no_interval_and_none_at_all_no_test() -> None:
    found = group_permutation(np.array([1.0, 2.0, 3.0]), np.array([7.0, 8.0, 9.0]), 0.95, np.random.default_rng(0))
    assert (found.p, smallest_group_p(3, 3)) == pytest.approx((0.1, 0.1))
    assert not found.interval.is_finite
    with pytest.raises(ValueError, match="expected numbers on both sides; got 0 and 2"):
        group_permutation(np.zeros(0), np.zeros(2), 0.95, np.random.default_rng(0))


def test_a_diverged_training_is_the_worst_outcome_there_is() -> None:
    level: dict[int, float | None] = {seed: 5.0 + seed / 10 for seed in range(6)}
    baseline: dict[int, float | None] = {seed: seed / 10 for seed in range(10, 16)}
    whole, lost = _result(level, baseline), _result(level, baseline | {12: None})
    assert (whole.readings[0].verdict, lost.readings[0].verdict) == ("better", "better")
    assert whole.estimate is not None
    assert whole.estimate.mean == pytest.approx(4.0)
    assert (lost.estimate, lost.readings[0].pairs.num_diverged) == (None, 1)
    test = lost.readings[0].judgement.test
    assert test is not None
    assert test.interval.high == math.inf
    assert 0 < test.interval.low < 5
    assert _result(level | {0: None}, baseline | {12: None}).readings[0].judgement.test is None


def test_equal_groups_are_equivalent_within_a_margin_unless_one_diverged() -> None:
    level: dict[int, float | None] = {seed: seed / 100 for seed in range(6)}
    assert _result(level, level, margin=0.5).readings[0].verdict == "equivalent"
    assert _result(level | {0: None}, level, margin=0.5).readings[0].verdict != "equivalent"
