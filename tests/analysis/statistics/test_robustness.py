from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.claims.doubts import doubt_entries
from analysis.statistics import intervals as statistics
from analysis.statistics.robustness import Robustness, pairing, robustness
from analysis.statistics.verdicts import Pairs, Rule, judge
from tests.support.robustness import DIFFERENCES, RULE, baseline_bounds, fresh_generator, robustness_of


def _labels(found: Robustness) -> dict[str, bool]:
    return {finding.label: finding.speaks_against for finding in doubt_entries(found, 0.95)}


def test_every_seed_left_out_equals_the_exact_test_of_the_rest() -> None:
    found = robustness_of(DIFFERENCES)
    assert [left.seed for left in found.left_out] == list(range(10))
    for left in found.left_out:
        rest = [difference for seed, difference in enumerate(DIFFERENCES) if seed != left.seed]
        expected = statistics.sign_flip(rest, 0.95, fresh_generator())
        assert left.judgement.p == expected.p
        assert left.judgement.interval is not None
        assert (left.judgement.interval.low, left.judgement.interval.high) == pytest.approx(
            (expected.interval.low, expected.interval.high)
        )


def test_the_most_extreme_pair_is_the_farthest_from_the_median() -> None:
    found = robustness_of([1.0, 1.1, 0.9, 1.2, 1.0, 0.8, 1.1, -4.0])
    assert found.most_extreme is not None
    assert (found.most_extreme.seed, found.judgement.verdict, found.most_extreme.judgement.verdict) == (
        7,
        "inconclusive",
        "better",
    )
    assert _labels(found)["undecided_because_of_one_seed"]


def test_variance_gain_is_that_of_the_closed_form() -> None:
    # With equal variances it is 1 / (1 - correlation).
    first = np.array([1.0, 2.0, 3.0, 4.0])
    found = pairing(first, first[[1, 0, 3, 2]])
    assert found.correlation == pytest.approx(0.6)
    assert found.variance_gain == pytest.approx(1 / 0.4)
    assert pairing(first, first).variance_gain == math.inf
    assert pairing(first[:2], first[:2]).variance_gain is None
    assert pairing(np.ones(4), np.ones(4)).variance_gain is None


def test_diverged_trainings_and_missing_pairs_are_refused_as_text() -> None:
    with pytest.raises(ValueError, match="1 of 2 numbers are not finite"):
        robustness({0: 1.0, 1: math.nan}, {0: 0.0, 1: 0.0}, RULE, fresh_generator())
    with pytest.raises(ValueError, match="no seed in common"):
        robustness({0: 1.0}, {1: 0.0}, RULE, fresh_generator())


def test_order_of_seeds_changes_nothing() -> None:
    baseline = baseline_bounds(10)
    level = {seed: baseline[seed] + difference for seed, difference in enumerate(DIFFERENCES)}
    backwards = robustness(dict(reversed(level.items())), dict(reversed(baseline.items())), RULE, fresh_generator())
    assert backwards == robustness(level, baseline, RULE, fresh_generator())


def test_above_twelve_pairs_a_seed_in_between_that_makes_it_equivalent_is_found() -> None:
    differences = [0.934, 0.155, 1.155, 0.34, 0.432, -0.085, 0.349, 0.078, -1.265, -1.268, 0.233, -0.469, 0.027]
    rule, level = Rule(0.95, 0.46575), dict(enumerate(differences))
    found = robustness(level, dict.fromkeys(level, 0.0), rule, fresh_generator())
    every = {
        seed: judge(Pairs.of(level, dict.fromkeys(set(level) - {seed}, 0.0)), rule, fresh_generator()).verdict
        for seed in level
    }
    changing = {seed for seed, verdict in every.items() if verdict != found.judgement.verdict}
    assert changing
    assert changing & {case.seed for case in found.left_out if case.judgement.verdict != found.judgement.verdict}
