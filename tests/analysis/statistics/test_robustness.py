from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.claims.doubts import doubt_entries
from analysis.statistics import intervals as statistics
from analysis.statistics.robustness import Robustness, pairing, robustness
from analysis.statistics.verdicts import Outcomes, Rule
from tests.support.claims import some

RULE = Rule(0.95, 0.2)
DIFFERENCES = [1.0, 1.2, 0.9, 1.4, 0.7, 1.1, 0.8, 1.3, 1.05, 0.95]


def _generator() -> np.random.Generator:
    return np.random.default_rng(17)


def _baseline(num_seeds: int) -> dict[int, float]:
    return {seed: -105.0 + 0.5 * math.sin(seed) for seed in range(num_seeds)}


def _robustness(differences: list[float], **runners_up: Outcomes) -> Robustness:
    baseline = _baseline(len(differences))
    level = {seed: baseline[seed] + difference for seed, difference in enumerate(differences)}
    return robustness(level, baseline, RULE, _generator(), **runners_up)


def _labels(found: Robustness) -> dict[str, bool]:
    return {finding.label: finding.speaks_against for finding in doubt_entries(found, 0.95)}


def test_every_seed_left_out_equals_the_exact_test_of_the_rest() -> None:
    found = _robustness(DIFFERENCES)
    assert [left.seed for left in found.left_out] == list(range(10))
    for left in found.left_out:
        rest = [difference for seed, difference in enumerate(DIFFERENCES) if seed != left.seed]
        expected = statistics.sign_flip(rest, 0.95, _generator())
        assert left.judgement.p == expected.p
        assert left.judgement.interval is not None
        assert (left.judgement.interval.low, left.judgement.interval.high) == pytest.approx(
            (expected.interval.low, expected.interval.high)
        )


def test_a_claim_of_ten_alike_pairs_holds_without_any_one_of_them() -> None:
    found = _robustness(DIFFERENCES)
    assert found.judgement.verdict == "better"
    assert _labels(found) == {"holds_without_any_one_seed": False}


def test_a_claim_that_one_seed_overturns_says_so_and_names_it() -> None:
    # Seven pairs, one of them against: p = 4/128; without seed 0 six pairs are left of which one is against.
    found = _robustness([3.0, 0.6, 0.7, 0.8, 0.9, 1.0, -0.1])
    assert found.judgement.verdict == "better"
    (finding,) = [finding for finding in doubt_entries(found, 0.95) if finding.label == "overturned_by_one_seed"]
    assert finding.speaks_against
    assert (
        "Overturned by one seed: it is better, but no longer without any one of the seeds 0 (inconclusive"
        in finding.sentence
    )


def test_the_most_extreme_pair_is_the_farthest_from_the_median() -> None:
    found = _robustness([1.0, 1.1, 0.9, 1.2, 1.0, 0.8, 1.1, -4.0])
    assert found.most_extreme is not None
    assert (found.most_extreme.seed, found.judgement.verdict, found.most_extreme.judgement.verdict) == (
        7,
        "inconclusive",
        "better",
    )
    assert _labels(found)["undecided_because_of_one_seed"]


def test_six_pairs_are_too_few_to_leave_one_out_and_this_is_no_overturning() -> None:
    found = _robustness([1.0, 1.1, 0.9, 1.2, 1.0, 0.8])
    assert found.judgement.verdict == "better"
    assert not any(left.testable for left in found.left_out)
    assert _labels(found)["too_few_pairs_to_leave_one_out"]
    assert "overturned_by_one_seed" not in _labels(found)


def test_one_pair_has_no_pair_to_leave_out() -> None:
    found = _robustness([1.0])
    assert (found.left_out, found.most_extreme, found.judgement.verdict) == ((), None, "inconclusive")
    assert _labels(found) == {"too_few_pairs_to_leave_one_out": False}


def test_a_sign_test_that_does_not_confirm_is_named() -> None:
    found = _robustness([5.0, 4.0, 6.0, 5.0, 7.0, 4.5, 5.5, -0.3, -0.2, 6.5])
    assert found.judgement.verdict == "better"
    assert found.sign_test_p == pytest.approx(0.109375)
    assert _labels(found)["sign_test_does_not_confirm"]


def test_mean_and_median_of_different_signs_are_named() -> None:
    found = _robustness([-0.05] * 6 + [0.06, 0.1, 0.15, 0.19])
    assert (found.judgement.verdict, some(found.judgement.mean) > 0, some(found.median) < 0) == (
        "equivalent",
        True,
        True,
    )
    assert _labels(found)["mean_and_median_disagree"]


def test_variance_gain_is_that_of_the_closed_form() -> None:
    # With equal variances it is 1 / (1 - correlation).
    first = np.array([1.0, 2.0, 3.0, 4.0])
    found = pairing(first, first[[1, 0, 3, 2]])
    assert found.correlation == pytest.approx(0.6)
    assert found.variance_gain == pytest.approx(1 / 0.4)
    assert pairing(first, first).variance_gain == math.inf
    assert pairing(first[:2], first[:2]).variance_gain is None
    assert pairing(np.ones(4), np.ones(4)).variance_gain is None


def test_pairing_that_bought_nothing_is_said_and_is_not_held_against_the_claim() -> None:
    level = {seed: 3.0 - 0.1 * seed for seed in range(8)}
    found = robustness(level, {seed: 0.1 * seed for seed in range(8)}, RULE, _generator())
    assert some(found.pairing).correlation == pytest.approx(-1.0)
    assert some(found.pairing).variance_gain == pytest.approx(0.5)
    assert _labels(found)["pairing_bought_nothing"] is False


def test_a_neighbouring_proposal_that_overturns_the_claim_is_named() -> None:
    worse = {seed: nats - 1.0 - 0.01 * seed for seed, nats in _baseline(10).items()}
    found = _robustness(DIFFERENCES, level_runner_up=worse)
    assert [(neighbour.side, neighbour.judgement.verdict) for neighbour in found.neighbours] == [("level", "worse")]
    assert _labels(found)["overturned_by_neighbouring_proposal"]


def test_a_neighbouring_proposal_of_the_baseline_takes_the_baselines_place() -> None:
    lower = {seed: nats - 1.0 for seed, nats in _baseline(10).items()}
    found = _robustness(DIFFERENCES, baseline_runner_up=lower)
    assert found.neighbours[0].judgement.mean == pytest.approx(some(found.judgement.mean) + 1.0)
    assert _labels(found)["holds_for_neighbouring_proposal"] is False


def test_a_neighbouring_proposal_that_diverged_counts_as_the_worst_outcome_there_is() -> None:
    better_but_for_one = {seed: None if seed == 3 else -100.0 for seed in range(10)}
    found = _robustness(DIFFERENCES, level_runner_up=better_but_for_one)
    assert (
        found.neighbours[0].judgement.mean,
        found.neighbours[0].judgement.num_diverged_pairs,
        found.neighbours[0].judgement.verdict,
    ) == (
        None,
        1,
        "inconclusive",
    )
    assert _labels(found)["overturned_by_neighbouring_proposal"]
    (sentence,) = [
        finding.sentence
        for finding in doubt_entries(found, 0.95)
        if finding.label == "overturned_by_neighbouring_proposal"
    ]
    assert sentence.endswith(
        "it is inconclusive (10 seeds, 1 of them diverged and counted as the worst outcome there is)."
    )


def test_a_neighbouring_proposal_of_the_worse_side_that_diverged_leaves_the_claim_as_it_is() -> None:
    found = _robustness(DIFFERENCES, baseline_runner_up={seed: None if seed == 3 else -120.0 for seed in range(10)})
    assert (found.neighbours[0].judgement.verdict, found.neighbours[0].judgement.mean) == ("better", None)
    assert _labels(found)["holds_for_neighbouring_proposal"] is False


def test_a_neighbouring_proposal_that_decides_an_open_claim_is_not_said_to_agree_with_it() -> None:
    found = _robustness(
        [1.0, -1.0, 0.9, -1.2, 1.0, -0.8, 1.1, -1.05],
        level_runner_up={seed: nats - 3.0 for seed, nats in _baseline(8).items()},
    )
    assert (found.judgement.verdict, found.neighbours[0].judgement.verdict) == ("inconclusive", "worse")
    assert _labels(found)["decided_by_neighbouring_proposal"] is False
    assert "holds_for_neighbouring_proposal" not in _labels(found)


def test_a_neighbouring_proposal_of_too_few_seeds_says_nothing_of_a_decided_claim() -> None:
    found = _robustness(DIFFERENCES, level_runner_up=dict.fromkeys(range(5), -120.0))
    assert not found.neighbours[0].testable
    assert not {"overturned_by_neighbouring_proposal", "holds_for_neighbouring_proposal"} & set(_labels(found))


def test_diverged_trainings_and_missing_pairs_are_refused_as_text() -> None:
    with pytest.raises(ValueError, match="1 of 2 numbers are not finite"):
        robustness({0: 1.0, 1: math.nan}, {0: 0.0, 1: 0.0}, RULE, _generator())
    with pytest.raises(ValueError, match="no seed in common"):
        robustness({0: 1.0}, {1: 0.0}, RULE, _generator())


def test_order_of_seeds_changes_nothing() -> None:
    baseline = _baseline(10)
    level = {seed: baseline[seed] + difference for seed, difference in enumerate(DIFFERENCES)}
    backwards = robustness(dict(reversed(level.items())), dict(reversed(baseline.items())), RULE, _generator())
    assert backwards == robustness(level, baseline, RULE, _generator())
