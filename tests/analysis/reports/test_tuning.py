"""What tuning brought, and claims under a search made again."""

from __future__ import annotations

import math

import pytest

from analysis.claims.study import StudyClaims
from analysis.document.sections import Section
from analysis.reports.tuning import compute, section
from analysis.results.reader import StudyResults
from study.protocol.cell_protocol import PlannedTraining
from study.spec import Study
from tests.support.claims import rows_of
from tests.support.executed_studies import bound_of, results_of, searched_study
from tests.support.sections import frames_of
from tests.support.studies import DIVERGES_ABOVE, searched


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


def _searched_twice(num_proposals: int) -> Section:
    """Of two hyperparameters the learning rate decides, and above 0.5 a training diverges."""
    rate = {"low": 1e-3, "high": 1, "log": True}
    batch_size = {"low": 10, "high": 100, "integer": True}
    spaces = [{"hyperparameters": {"learning_rate": rate, "batch_size": batch_size}}]
    search = searched(sampler="qmc", num_proposals=num_proposals, num_tuning_seeds=1, spaces=spaces)
    study = searched_study(num_proposals).model_dump(mode="json") | {"search": search}

    def bound(planned: PlannedTraining) -> float:
        return math.nan if planned.configuration.learning_rate > DIVERGES_ABOVE else bound_of(planned)

    return section(compute(StudyClaims(results_of(Study.model_validate(study), bound))))


def test_the_hyperparameter_that_decides_is_the_important_one() -> None:
    found = _searched_twice(24)
    table = frames_of(found)["hyperparameter_importance"]
    assert table["hyperparameter"].tolist() == ["learning_rate", "batch_size"] * 2
    assert (table["low"] <= table["share"]).all()
    assert (table["share"] <= table["high"]).all()
    first, second = table["share"][::2], table["share"][1::2]
    assert (first > 0.6).all()  # not all: ranks of a parabola are bent, and those that diverged are equal
    assert (second.abs() < 0.1).all()
    assert set(table["diverged"]) == {2}
    assert sum("learning_rate explains most of the order of the proposals" in words for words in found.paragraphs) == 2


def test_importance_is_refused_where_proposals_are_few() -> None:
    found = _searched_twice(19)
    assert "hyperparameter_importance" not in frames_of(found)
    said = (
        "importance of hyperparameters is not given: 19 proposals were made, and below 20 noise alone looks important."
    )
    assert sum(said in words for words in found.paragraphs) == 2


def test_where_one_hyperparameter_is_searched_nothing_is_said_of_importance(tuning_section: Section) -> None:
    assert "hyperparameter_importance" not in frames_of(tuning_section)
    assert not [words for words in tuning_section.paragraphs if "importance" in words]
