"""Two sides paired by seed: estimate, divergences, missing trainings, Holm's correction, by hand."""

from __future__ import annotations

import math

import pytest

from analysis.statistics.intervals import Interval
from analysis.statistics.pairs import (
    ComparedSide,
    Estimate,
    PairedComparison,
    PairedResult,
    interval_columns,
    interval_pair,
    paired_result,
    with_holm,
)
from analysis.statistics.readouts import Reading, Readout
from analysis.statistics.verdicts import Outcomes, Rule

FINAL, BEST = (Reading("bound", Readout(kind)) for kind in ("final", "best"))
RULE = Rule(0.95, 0.0)
DIFFERENCES = (0.5, 1.0, 1.5, 2.0, 2.5, 6.0)
BASELINE: Outcomes = dict.fromkeys(range(6), -100.0)
LEVEL: Outcomes = {seed: -100.0 + difference for seed, difference in enumerate(DIFFERENCES)}


def _compared(level: ComparedSide, *, is_whole: bool = True) -> PairedComparison:
    baseline = ComparedSide({FINAL: BASELINE, BEST: BASELINE})
    return PairedComparison(result=paired_result(level, baseline, RULE, 5, is_whole=is_whole))


def _with_p(p: float, is_whole: bool = True) -> PairedComparison:
    estimate = Estimate(1.0, 1.0, None, p, p, None, None, None)
    return PairedComparison(result=PairedResult(RULE, is_whole, (), estimate, None, ()))


def test_six_pairs_of_one_sign_have_mean_median_range_and_the_smallest_p() -> None:
    compared = _compared(ComparedSide({FINAL: LEVEL}))
    estimate = compared.estimate
    assert estimate is not None
    assert (estimate.mean, estimate.median) == (2.25, 1.75)
    assert (estimate.p, estimate.sign_test_p) == (2 / 64, 2 / 64)
    assert estimate.interval is not None
    assert (estimate.interval.low, estimate.interval.high) == pytest.approx((0.5, 6.0))
    assert estimate.correlation is None, "the baseline never varies"
    assert (compared.verdict, compared.num_pairs, compared.seeds) == ("better", 6, (0, 1, 2, 3, 4, 5))
    assert compared.differences.tolist() == list(DIFFERENCES)
    assert compared.worst_case is None


def test_where_a_training_diverged_there_is_a_test_and_no_mean() -> None:
    compared = _compared(ComparedSide({FINAL: {**LEVEL, 5: None}}))
    assert compared.estimate is None
    assert compared.worst_case is not None
    assert compared.p == compared.worst_case.p > 0.05
    assert (compared.verdict, compared.num_pairs, compared.seeds) == ("inconclusive", 6, (0, 1, 2, 3, 4))
    assert (compared.skewness, compared.is_strongly_skewed) == (None, False)


def test_where_a_training_is_missing_the_numbers_stay_and_every_verdict_is_open() -> None:
    compared = _compared(ComparedSide({FINAL: LEVEL, BEST: LEVEL}), is_whole=False)
    assert compared.estimate is not None
    assert compared.estimate.mean == 2.25
    assert [one.verdict for one in compared.readings] == ["inconclusive", "inconclusive"]
    assert compared.result.robustness is None


def test_a_reading_that_not_every_pair_has_is_not_whole_and_open() -> None:
    best = {seed: nats for seed, nats in LEVEL.items() if seed != 3}
    declared, further = _compared(ComparedSide({FINAL: LEVEL, BEST: best})).readings
    assert (declared.is_whole, declared.verdict) == (True, "better")
    assert (further.is_whole, further.verdict, further.seeds) == (False, "inconclusive", (0, 1, 2, 4, 5))


def test_holms_correction_counts_claims_that_were_withdrawn_and_comparisons_that_are_incomplete() -> None:
    first, second = _with_p(0.01), _with_p(0.04)
    assert [one.holm_p for one in with_holm([first, second])] == pytest.approx([0.02, 0.04])
    assert [one.holm_p for one in with_holm([first, second], num_more=1)] == pytest.approx([0.03, 0.08])
    incomplete = with_holm([first, second, _with_p(0.001, is_whole=False)])
    assert [one.holm_p for one in incomplete[:2]] == pytest.approx([0.03, 0.08])
    assert incomplete[2].holm_p is None


def test_an_end_that_is_infinite_is_nothing_in_json_and_tables() -> None:
    assert interval_pair(None) is None
    assert interval_pair(Interval(-math.inf, 2.0)) == [None, 2.0]
    assert interval_columns(Interval(-1.5, math.inf), "nats") == {"low_nats": -1.5, "high_nats": None}
    assert interval_columns(None) == {"low": None, "high": None}
