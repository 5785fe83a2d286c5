"""Which trainings of two studies are pairs, and when a pair is the same to the bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from analysis.results.reader import StudyResults
from analysis.side_by_side.answer import warnings
from analysis.side_by_side.findings import studies_findings
from tests.support.compared_studies import ADAM, cell_of, retrained, shifted, with_outcome


def test_one_bit_of_one_point_of_one_metric_is_seen_and_does_not_matter(plain: StudyResults) -> None:
    again = retrained(plain)
    curves = again.curves.copy()
    place = curves.index[
        (curves["cell"] == ADAM)
        & (curves["phase"] == "confirm")
        & (curves["seed"] == 3)
        & (curves["metric"] == "train/kl")
    ][1]
    curves.loc[place, "nats"] = np.nextafter(curves.loc[place, "nats"], np.inf)
    findings = studies_findings(plain, replace(again, curves=curves))
    assert findings.overall == "equivalent"
    assert (cell_of(findings).verdict, cell_of(findings).num_identical, cell_of(findings).num_matched) == (
        "equivalent",
        5,
        6,
    )
    assert 0 < (cell_of(findings).largest_gap or 0) < 1e-12


def test_trainings_that_were_taken_over_are_counted_apart(plain: StudyResults) -> None:
    again = retrained(plain)
    reused = again.trainings.assign(reused_from=np.where(again.trainings["cell"] == ADAM, plain.study.name, ""))
    findings = studies_findings(plain, replace(again, trainings=reused))
    assert [cell.num_shared for cell in findings.cells] == [6 if cell.cell == ADAM else 0 for cell in findings.cells]
    assert warnings(findings)[0].startswith("9 trainings were not trained twice but taken over")


def test_another_seed_of_the_study_makes_no_pairs(plain: StudyResults) -> None:
    findings = studies_findings(plain, retrained(plain, seed=7))
    assert {cell.unlike for cell in findings.cells} == {("seed",)}
    assert findings.num_matched_everywhere == 0
    assert findings.overall == "inconclusive" or all(cell.verdict == "equivalent" for cell in findings.cells)


def test_a_seed_that_diverged_in_both_in_the_same_way_is_no_change(plain: StudyResults) -> None:
    lost = with_outcome(plain, ADAM, 2, "diverged")
    findings = studies_findings(lost, retrained(lost))
    assert (cell_of(findings).verdict, cell_of(findings).num_identical) == ("identical", 6)


def test_trainings_that_agree_to_the_bit_are_identical_however_few_and_others_need_an_interval(
    plain: StudyResults,
) -> None:
    few = replace(
        plain, trainings=plain.trainings[(plain.trainings["phase"] == "search") | (plain.trainings["seed"] < 2)]
    )
    assert studies_findings(few, retrained(few)).overall == "identical"
    findings = studies_findings(few, shifted(retrained(few), ADAM, 0.01))
    assert (cell_of(findings).verdict, findings.overall) == ("inconclusive", "inconclusive")
    assert f"{ADAM}: 2 pairs are too few for an interval, as the smallest p they can reach is 0.5." in warnings(
        findings
    )
