"""What a page of curves says of its comparisons: the answer, warnings, and the statement on each pair."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import pandas as pd
import pytest
from scipy import stats

from analysis.curves.report import answer, warnings
from analysis.curves.report import claim_row as curve_claim_row
from tests.support.claims import some
from tests.support.curve_findings import findings_of, leading_statement, paired_points, statement_of
from tests.support.curve_points import points, spoiled


def test_a_margin_makes_equivalence_possible_and_none_is_said_to() -> None:
    frame = points(gain=0.0)
    assert findings_of(frame, margin=0.5).pairs[0].verdict == "equivalent"
    without = findings_of(frame)
    assert without.pairs[0].verdict != "equivalent"
    assert any("No margin was given" in warning for warning in warnings(without))


def test_a_decided_exploration_that_fails_holm_says_so() -> None:
    found = findings_of(points(("a", "b", "c")))
    assert all(
        "does not survive Holm's correction over the 3 comparisons (p = 0.0938)" in statement_of(pair, found)
        for pair in found.pairs
    )


def test_a_diverged_seed_takes_the_mean_and_counts_as_the_worst() -> None:
    found = findings_of(spoiled(points(), "adagrad", 2, 300, math.inf))
    pair = found.pairs[0]
    assert (pair.title, pair.estimate, pair.verdict) == ("adam against adagrad", None, "better")
    said = statement_of(pair, found)
    assert (
        "(0 of its trainings and 1 of the baseline's diverged, counted as the worst outcome there is, so that there is"
        " no mean; p = 0.0312, 6 paired seeds)." in said
    )
    row = curve_claim_row(pair, found)
    low, high = some(row.worst_case_interval)
    # Of six pairs the 95 % interval reaches to the extreme differences: the smallest, and the infinite one.
    assert (row.n, row.p, row.holm_p, row.interval, high) == (6, 2**-5, 2**-5, None, None)
    assert low == pytest.approx(min(pair.differences), rel=1e-5)
    assert f"adam is better than adagrad by at least {low:.2f}, the end of its 95 % interval, in bound" in statement_of(
        pair, found
    )
    assert [cell.mean is None for cell in found.cells] == [False, True]
    assert any("Diverged: cell 'adagrad', seed 2 from step 300 on." in note for note in warnings(found))


def test_pairs_all_of_whose_baselines_diverged_are_pairs() -> None:
    frame = points()
    found = findings_of(frame.assign(value=frame["value"].mask((frame["cell"] == "adagrad") & (frame["step"] >= 200))))
    row = curve_claim_row(found.pairs[0], found)
    assert (row.verdict, row.n, row.p, row.worst_case_interval) == ("better", 6, 2**-5, (None, None))
    assert not any("stays inconclusive" in warning for warning in warnings(found))
    few = findings_of(
        frame.assign(value=frame["value"].mask((frame["cell"] == "adagrad") & (frame["step"] >= 200)))[
            frame["seed"] < 5
        ]
    )
    assert (few.pairs[0].verdict, few.pairs[0].num_pairs) == ("inconclusive", 5)
    assert any(
        "takes at least 6 seeds that both cells have; every pair has fewer and stays inconclusive." in warning
        for warning in warnings(few)
    )


def test_a_verdict_that_one_seed_overturns_says_so() -> None:
    assert "Overturned by one seed: it is better, but no longer without" in leading_statement(
        paired_points([1.0, 1.1, 0.9, 1.2, 1.05, 0.95, 1.3, -0.97])
    )
    assert "Overturned by one seed" not in leading_statement(paired_points([1.0, 1.1, 0.9, 1.2, 1.05, 0.95, 1.3, 1.15]))


def test_a_verdict_that_the_sign_test_does_not_confirm_says_so() -> None:
    assert "The sign test, which counts seeds and not sizes, does not confirm it" in leading_statement(
        paired_points([5.0, 5.1, 4.9, 5.2, 5.05, 4.95, 5.3, 5.15, -0.1, -0.2, -0.15])
    )


def test_strongly_skewed_differences_are_said_to_have_a_shorter_interval_than_they_should() -> None:
    frame = paired_points([1.0, 1.1, 0.9, 1.2, 1.05, 0.95, 1.3, 1.15, 9.0])
    assert "Its paired differences are strongly skewed (skewness +3)" in leading_statement(frame)
    found = findings_of(frame, primary=("b", "a"))
    row = curve_claim_row(found.pairs[0], found)
    assert row.strongly_skewed
    g1 = float(stats.skew([1.0, 1.1, 0.9, 1.2, 1.05, 0.95, 1.3, 1.15, 9.0], bias=False))
    assert row.skewness == pytest.approx(g1, rel=1e-5)
    assert "skewed" not in leading_statement(paired_points([1.0, 1.1, 0.9, 1.2, 1.05, 0.95, 1.3, 1.15]))


def test_a_verdict_that_depends_on_the_readout_or_whose_curves_cross_says_so() -> None:
    said = leading_statement(
        paired_points([1.0, 1.1, 0.9, 1.2, 1.05, 0.95, 1.3, 1.15], early=-3.0).assign(
            value=lambda frame: frame["value"].where(frame["step"] == 200, frame["value"] + 10)
        )
    )
    assert "The verdict depends on the readout (best: worse, -3.00)." in said
    assert re.search(
        r"The mean curves change order at about step 1\d\d; b leads from there on \(8 of 8 seeds agree\)\.", said
    )
    assert "readout" not in leading_statement(paired_points([1.0, 1.1, 0.9, 1.2, 1.05, 0.95, 1.3, 1.15]))


def test_a_primary_claim_stands_by_its_own_p_and_the_others_are_corrected_among_each_other() -> None:
    found = findings_of(points(("a", "b", "c")), primary=("b", "a"))
    assert [(pair.corrected_verdict, pair.holm_p, pair.num_compared) for pair in found.pairs] == [
        ("better", 2**-5, 1),
        ("inconclusive", 2 * 2**-5, 2),
        ("inconclusive", 2 * 2**-5, 2),
    ]
    assert answer(found).endswith("Of 2 further comparisons: 2 inconclusive.")


def test_a_verdict_through_a_divergence_says_which_seed_overturns_it() -> None:
    frame = spoiled(paired_points([1.0, 1.1, 0.9, 1.2, 1.05, 0.95, 1.3, -1.02]), "a", 2, 200)
    assert "Overturned by one seed: it is better, but no longer without" in leading_statement(frame)


def test_an_open_comparison_for_want_of_a_seed_says_that_alone() -> None:
    said = leading_statement(paired_points([1.0, 1.1, 0.9, 1.2, 1.05, 0.95, 1.3, -0.97])[2:])
    assert said.endswith("so that it stays undecided.")
    assert "Overturned" not in said


def test_a_curve_that_ends_early_leaves_its_comparison_undecided() -> None:
    frame = points()
    found = findings_of(frame[~((frame["cell"] == "adam") & (frame["seed"] == 1) & (frame["step"] > 200))])
    assert found.pairs[0].verdict == "inconclusive"
    assert "1 of their trainings are missing, unfinished" in statement_of(found.pairs[0], found)
    assert any("Unfinished: cell 'adam', seed 1 ends at step 200 of 400." in note for note in warnings(found))


def test_seeds_that_only_one_cell_has_are_named_and_leave_it_undecided() -> None:
    found = findings_of(pd.concat([points(("adagrad",), range(8)), points(("adam",), range(1, 9))]))
    assert (len(found.pairs[0].seeds), found.pairs[0].num_missing, found.pairs[0].verdict) == (
        7,
        2,
        "inconclusive",
    )
    assert any("Not in every cell: seed 0, 8." in note for note in warnings(found))


def _of_seeds(adagrad: Sequence[int], adam: Sequence[int]) -> pd.DataFrame:
    frame = points(seeds=sorted({*adagrad, *adam}))
    return frame[frame["seed"].isin(adagrad).where(frame["cell"] == "adagrad", frame["seed"].isin(adam))]


def test_cells_without_a_common_seed_are_compared_as_groups() -> None:
    found = findings_of(_of_seeds(range(6), range(6, 13)))
    said = answer(found)
    assert found.pairs[0].verdict == "better"
    assert re.search(r"95 % interval \+0\.\d+ to \+1\.\d+, p = 0\.00\d+, 7 and 6 unpaired seeds\)\.", said), said
    assert "missing" not in said
    row = curve_claim_row(found.pairs[0], found)
    assert (row.n, row.num_unpaired, row.correlation) == (0, (7, 6), None)
    assert row.smallest_p == pytest.approx(2 / 1716, rel=1e-5)
    assert any("as two groups, by the exact permutation test of their means" in warning for warning in warnings(found))
    assert not any("takes at least" in warning for warning in warnings(found))


def test_seeds_that_mean_nothing_are_no_pairs_by_declaration() -> None:
    frame = _of_seeds(range(8), range(1, 9))
    assert any("--unpaired compares them as groups" in warning for warning in warnings(findings_of(frame)))
    found = findings_of(frame, unpaired=True)
    assert (found.pairs[0].verdict, found.pairs[0].num_unpaired, found.pairs[0].num_missing) == ("better", (8, 8), 0)


def test_a_diverged_training_counts_as_the_worst_in_groups_too() -> None:
    frame = _of_seeds(range(6), range(6, 12))
    found = findings_of(spoiled(frame, "adagrad", 2, 300), primary=("adam", "adagrad"))
    assert (found.pairs[0].estimate, found.pairs[0].verdict) == (None, "better")
    assert "counted as the worst outcome there is" in answer(found)
    assert "6 and 6 unpaired seeds" in answer(found)


def test_groups_that_are_too_small_say_so() -> None:
    found = findings_of(_of_seeds(range(3), range(6, 9)))
    said = "3 and 3 unpaired seeds: too few for a 95 % interval, as the smallest p they can reach is 0.1"
    assert said in answer(found)


def test_curves_that_share_no_step_near_their_end_are_not_compared() -> None:
    """Epochs of two batch sizes after an evaluation of untrained networks, whose order is the other way round."""
    slow = points(("a",), steps=(400, 600)).assign(step=lambda frame: frame["step"] - 1)
    start = points(("b", "a"), steps=(0,))
    found = findings_of(pd.concat([slow, points(("a", "b"), steps=(400, 600)).query("cell == 'b'"), start]))
    (pair,) = found.pairs
    assert (pair.verdict, pair.p, pair.holm_p, found.ranks, found.targets) == ("inconclusive", None, None, None, ())
    assert {cell.mean for cell in found.cells} == {None}
    assert (
        "in bound cannot be said, because their last common step, 0, lies far before 599, where they end: values at the"
        " same steps are needed." in answer(found)
    )
    assert not any("All are compared at" in warning or "takes at least" in warning for warning in warnings(found))


def test_curves_that_ended_early_by_declaration_are_compared() -> None:
    frame = points()
    early = frame[~((frame["seed"] % 2 == 1) & (frame["step"] > 300))]
    assert findings_of(early).pairs[0].verdict == "inconclusive"
    assert any("--early-stopping says so" in warning for warning in warnings(findings_of(early)))
    found = findings_of(early, early_stopping=True)
    assert (found.pairs[0].verdict, found.pairs[0].num_pairs, found.horizon) == ("better", 6, 400)


def test_one_cell_is_described_and_not_compared() -> None:
    found = findings_of(points(("adam",)))
    assert (found.pairs, found.ranks) == ((), None)
    assert answer(found) == "Nothing can be concluded: the file has one cell, adam, and a comparison needs two."
    assert found.cells[0].mean is not None


def test_one_seed_cannot_decide() -> None:
    found = findings_of(points(seeds=[3]))
    assert found.pairs[0].verdict == "inconclusive"
    assert any(
        "takes at least 6 seeds that both cells have; every pair has fewer" in warning for warning in warnings(found)
    )


def test_cells_all_of_whose_seeds_diverged_conclude_nothing() -> None:
    frame = points(("a", "b", "c"))
    found = findings_of(frame.assign(value=frame["value"].mask(frame["step"] >= 200)))
    assert {pair.verdict for pair in found.pairs} == {"inconclusive"}
    assert all(cell.mean is None for cell in found.cells)
    assert answer(found).startswith("Inconclusive: ")
