"""What the ranks of cells say in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from analysis.document.sections import Section
from analysis.reports.ranking import ranking_findings, sentence
from tests.support.cells import BASELINE, LEVEL, cells_of, two_optimizers
from tests.support.sections import frames_of


@pytest.mark.parametrize(
    ("level", "baseline", "said"),
    [
        ([3.0, 4.0], [1.0, 5.0], "adagrad and adam share the best mean rank, 1.50 of 2."),
        ([3.0, 4.0], [1.0, 2.0], "adam has the best mean rank, 1.00 of 2; 1 of the other 1 is not told apart from it."),
        ([math.nan, 4.0], [1.0, 2.0], "adagrad and adam share the best mean rank, 1.50 of 2."),
    ],
    ids=["a tie", "one ahead", "a diverged seed is last"],
)
def test_the_sentence_names_all_that_are_best(level: Sequence[float], baseline: Sequence[float], said: str) -> None:
    study = two_optimizers(2)
    assert (
        sentence(ranking_findings(study, cells_of(study, {LEVEL: level, BASELINE: baseline}), []))
        == f"Over 2 reporting seeds {said}"
    )


def test_cells_are_ranked_within_seeds(evidence_section: Section) -> None:
    ranks = frames_of(evidence_section)["mean_ranks"]
    cells = ranks[ranks["ranked"] == "cells"]
    assert cells["entrant"].iloc[0] == "num_hidden_layers=2,optimizer=adam"
    assert cells["mean_rank"].sum() == pytest.approx(10)
    assert set(cells["num_blocks"]) == {7}
    assert frames_of(evidence_section)["probability_of_improvement"]["probability"].iloc[0] == 1.0


def test_the_share_above_a_bound_falls_from_one_to_none(evidence_section: Section) -> None:
    profile = frames_of(evidence_section)["performance_profile"]
    for _, own in profile.groupby("cell"):
        assert own["share"].is_monotonic_decreasing
        assert (own["share"].iloc[0], own["share"].iloc[-1]) == (1.0, 0.0)
