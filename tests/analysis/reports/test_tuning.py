"""What tuning brought, and claims under a search made again."""

from __future__ import annotations

import pytest

from analysis.document.sections import Section
from analysis.results.reader import StudyResults
from tests.support.claims import rows_of
from tests.support.sections import frames_of


def test_expected_best_rises_to_the_best_proposal(tuning_section: Section) -> None:
    for _, own in frames_of(tuning_section)["tuning_budget"].groupby("cell"):
        assert own["expected_best_nats"].is_monotonic_increasing
        assert own["regret_nats"].iloc[-1] == 0
        assert own["expected_best_nats"].iloc[-1] == own["running_best_nats"].iloc[-1]


def test_a_repeated_search_gives_every_declared_claim_once_more(tuning_section: Section) -> None:
    variance = frames_of(tuning_section)["study_variance"]
    assert variance["repeat"].tolist() == [0, 1, 0, 1]
    assert set(variance["n"]) == {7}
    own, other = variance.loc[variance["comparison"] == "adam against adagrad", "estimate_nats"]
    assert own != other
    assert other == pytest.approx(3.0, abs=0.3)
    assert "over 2 searches the difference varies by a standard deviation of" in tuning_section.paragraphs[0]


def test_the_verdicts_of_a_repeated_search_are_in_the_rows_and_their_sentence_follows(
    rich: StudyResults, depth_section: Section, tuning_section: Section
) -> None:
    row = next(row for row in rows_of(depth_section) if row.kind != "exploratory")
    assert [(one.repeat, one.n) for one in row.repeats] == [(0, 7), (1, 7)]
    assert row.repeats[0].estimate == row.estimate
    assert f"{row.name}: over 2 searches" in tuning_section.paragraphs[0]
    assert {len(explored.repeats) for explored in rows_of(depth_section) if explored.kind == "exploratory"} == {0}
