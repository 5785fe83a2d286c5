"""What might overturn a claim, in words and labels."""

from __future__ import annotations

import pytest

from analysis.claims.doubts import doubt_entries
from analysis.statistics.robustness import Robustness, robustness
from tests.support.claims import some
from tests.support.robustness import DIFFERENCES, RULE, baseline_bounds, fresh_generator, robustness_of


def _labels(found: Robustness) -> dict[str, bool]:
    return {finding.label: finding.speaks_against for finding in doubt_entries(found, 0.95)}


def test_a_claim_of_ten_alike_pairs_holds_without_any_one_of_them() -> None:
    found = robustness_of(DIFFERENCES)
    assert found.judgement.verdict == "better"
    assert _labels(found) == {"holds_without_any_one_seed": False}


def test_a_claim_that_one_seed_overturns_says_so_and_names_it() -> None:
    # Seven pairs, one of them against: p = 4/128; without seed 0 six pairs are left of which one is against.
    found = robustness_of([3.0, 0.6, 0.7, 0.8, 0.9, 1.0, -0.1])
    assert found.judgement.verdict == "better"
    (finding,) = [finding for finding in doubt_entries(found, 0.95) if finding.label == "overturned_by_one_seed"]
    assert finding.speaks_against
    assert (
        "Overturned by one seed: it is better, but no longer without any one of the seeds 0 (inconclusive"
        in finding.sentence
    )


def test_six_pairs_are_too_few_to_leave_one_out_and_this_is_no_overturning() -> None:
    found = robustness_of([1.0, 1.1, 0.9, 1.2, 1.0, 0.8])
    assert found.judgement.verdict == "better"
    assert not any(left.testable for left in found.left_out)
    assert _labels(found)["too_few_pairs_to_leave_one_out"]
    assert "overturned_by_one_seed" not in _labels(found)


def test_one_pair_has_no_pair_to_leave_out() -> None:
    found = robustness_of([1.0])
    assert (found.left_out, found.most_extreme, found.judgement.verdict) == ((), None, "inconclusive")
    assert _labels(found) == {"too_few_pairs_to_leave_one_out": False}


def test_a_sign_test_that_does_not_confirm_is_named() -> None:
    found = robustness_of([5.0, 4.0, 6.0, 5.0, 7.0, 4.5, 5.5, -0.3, -0.2, 6.5])
    assert found.judgement.verdict == "better"
    assert found.sign_test_p == pytest.approx(0.109375)
    assert _labels(found)["sign_test_does_not_confirm"]


def test_mean_and_median_of_different_signs_are_named() -> None:
    found = robustness_of([-0.05] * 6 + [0.06, 0.1, 0.15, 0.19])
    assert (found.judgement.verdict, some(found.judgement.mean) > 0, some(found.median) < 0) == (
        "equivalent",
        True,
        True,
    )
    assert _labels(found)["mean_and_median_disagree"]


def test_pairing_that_bought_nothing_is_said_and_is_not_held_against_the_claim() -> None:
    level = {seed: 3.0 - 0.1 * seed for seed in range(8)}
    found = robustness(level, {seed: 0.1 * seed for seed in range(8)}, RULE, fresh_generator())
    assert some(found.pairing).correlation == pytest.approx(-1.0)
    assert some(found.pairing).variance_gain == pytest.approx(0.5)
    assert _labels(found)["pairing_bought_nothing"] is False


def test_a_neighbouring_proposal_that_overturns_the_claim_is_named() -> None:
    worse = {seed: nats - 1.0 - 0.01 * seed for seed, nats in baseline_bounds(10).items()}
    found = robustness_of(DIFFERENCES, level_runner_up=worse)
    assert [(neighbour.side, neighbour.judgement.verdict) for neighbour in found.neighbours] == [("level", "worse")]
    assert _labels(found)["overturned_by_neighbouring_proposal"]


def test_a_neighbouring_proposal_of_the_baseline_takes_the_baselines_place() -> None:
    lower = {seed: nats - 1.0 for seed, nats in baseline_bounds(10).items()}
    found = robustness_of(DIFFERENCES, baseline_runner_up=lower)
    assert found.neighbours[0].judgement.mean == pytest.approx(some(found.judgement.mean) + 1.0)
    assert _labels(found)["holds_for_neighbouring_proposal"] is False


def test_a_neighbouring_proposal_that_diverged_counts_as_the_worst_outcome_there_is() -> None:
    better_but_for_one = {seed: None if seed == 3 else -100.0 for seed in range(10)}
    found = robustness_of(DIFFERENCES, level_runner_up=better_but_for_one)
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
    found = robustness_of(DIFFERENCES, baseline_runner_up={seed: None if seed == 3 else -120.0 for seed in range(10)})
    assert (found.neighbours[0].judgement.verdict, found.neighbours[0].judgement.mean) == ("better", None)
    assert _labels(found)["holds_for_neighbouring_proposal"] is False


def test_a_neighbouring_proposal_that_decides_an_open_claim_is_not_said_to_agree_with_it() -> None:
    found = robustness_of(
        [1.0, -1.0, 0.9, -1.2, 1.0, -0.8, 1.1, -1.05],
        level_runner_up={seed: nats - 3.0 for seed, nats in baseline_bounds(8).items()},
    )
    assert (found.judgement.verdict, found.neighbours[0].judgement.verdict) == ("inconclusive", "worse")
    assert _labels(found)["decided_by_neighbouring_proposal"] is False
    assert "holds_for_neighbouring_proposal" not in _labels(found)


def test_a_neighbouring_proposal_of_too_few_seeds_says_nothing_of_a_decided_claim() -> None:
    found = robustness_of(DIFFERENCES, level_runner_up=dict.fromkeys(range(5), -120.0))
    assert not found.neighbours[0].testable
    assert not {"overturned_by_neighbouring_proposal", "holds_for_neighbouring_proposal"} & set(_labels(found))
