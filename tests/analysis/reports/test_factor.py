"""Findings about a factor where little can be concluded: what is said instead, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from analysis.results.reader import StudyResults
from tests.support.claims import rows_of, some
from tests.support.optimizer_reports import TWO_OPTIMIZERS, optimizer_report, outcomes_of, read_written
from tests.support.synthetic_store import Place, places, synthetic_study


def test_a_diverged_seed_leaves_no_mean_no_interval_and_no_verdict(store_uri: str, tmp_path: Path) -> None:
    study = synthetic_study("one-diverged", factors=TWO_OPTIMIZERS)
    section = optimizer_report(
        read_written(store_uri, tmp_path, study, outcomes=outcomes_of(study, "confirm", "optimizer=adam", "diverged"))
    )
    claim = rows_of(section)[0]
    assert (claim.verdict, claim.estimate, claim.interval, claim.p) == (
        "inconclusive",
        None,
        None,
        1.0,
    )
    assert some(claim.worst_case_interval)[0] is None
    assert (claim.num_diverged_level, claim.num_diverged_baseline) == (1, 0)
    cells = next(table.frame for table in section.tables if table.name == "optimizer_cells").set_index("cell")
    assert cells["mean_nats"].isna().tolist() == [False, True]
    assert cells.loc["optimizer=adam", "diverged"] == 1
    assert any("adam: 1 of 6 reporting seeds diverged" in warning for warning in section.warnings)
    assert "flatter" in section.answer


def test_a_cell_without_a_winner_is_said_at_the_top(store_uri: str, tmp_path: Path) -> None:
    study = synthetic_study("no-winner", factors=TWO_OPTIMIZERS)
    confirm = frozenset(
        place for place, _, _ in places(study) if place.phase == "confirm" and place.cell == "optimizer=adam"
    )
    section = optimizer_report(
        read_written(
            store_uri,
            tmp_path,
            study,
            outcomes=outcomes_of(study, "search", "optimizer=adam", "diverged"),
            missing=confirm,
        )
    )
    assert "adam: every proposal of its search diverged or failed, so it has no confirm phase." in section.warnings
    assert rows_of(section)[0].verdict == "inconclusive"
    assert "every proposal of its search diverged" in section.answer
    lost = next(figure for figure in section.figures if figure.name == "optimizer_learning_rate_sensitivity").frame
    assert lost[lost["cell"] == "optimizer=adam"]["num_lost"].tolist() == [1, 1, 1]


def test_missing_trainings_leave_a_number_but_no_verdict(store_uri: str, tmp_path: Path) -> None:
    study = synthetic_study("incomplete", num_reporting_seeds=8, factors=TWO_OPTIMIZERS)
    section = optimizer_report(
        read_written(store_uri, tmp_path, study, missing=frozenset({Place("confirm", "optimizer=adam", 1, 0, 3)}))
    )
    claim = rows_of(section)[0]
    assert (claim.n, claim.num_missing, claim.verdict) == (7, 1, "inconclusive")
    assert claim.estimate == pytest.approx(3.0, abs=0.3)
    assert section.warnings[0].startswith("What the 1 missing training would change is not known")


def test_one_reporting_seed_says_that_it_cannot_decide(store_uri: str, tmp_path: Path) -> None:
    study = synthetic_study("one-seed", num_reporting_seeds=1, factors=TWO_OPTIMIZERS)
    section = optimizer_report(read_written(store_uri, tmp_path, study))
    claim = rows_of(section)[0]
    assert (claim.verdict, claim.interval, claim.smallest_p) == ("inconclusive", None, 1.0)
    assert any("at least 6 are needed" in warning for warning in section.warnings)
    assert "1 paired seed: too few" in section.answer


def test_a_study_with_one_optimizer_says_why_nothing_follows(store_uri: str, tmp_path: Path) -> None:
    study = synthetic_study("one-optimizer", num_reporting_seeds=2, factors={"optimizer": ("adam",)}, claims=())
    section = optimizer_report(read_written(store_uri, tmp_path, study))
    assert section.answer.startswith(
        "Nothing can be concluded about optimizers: the study has one level of optimizer, adam"
    )
    assert not section.claims


def test_a_study_without_a_search_phase_is_reported(store_uri: str, tmp_path: Path) -> None:
    study = synthetic_study("no-search", factors=TWO_OPTIMIZERS, search=None)
    section = optimizer_report(read_written(store_uri, tmp_path, study))
    assert section.paragraphs[0].startswith("Nothing was tuned")
    assert [figure.name for figure in section.figures] == ["optimizer_learning_curves", "optimizer_paired_differences"]


def test_a_study_in_which_nothing_has_run_is_reported(store_uri: str, tmp_path: Path) -> None:
    study = synthetic_study("not-begun", factors=TWO_OPTIMIZERS)
    section = optimizer_report(
        read_written(store_uri, tmp_path, study, missing=frozenset(place for place, _, _ in places(study)))
    )
    assert section.warnings[0].startswith("What the 18 missing trainings would change is not known")
    assert rows_of(section)[0].verdict == "inconclusive"
    assert not section.figures


def test_a_winner_on_the_edge_of_its_search_labels_the_claim(results: StudyResults) -> None:
    trainings = results.trainings.copy()
    edge = (trainings["phase"] == "confirm") & (trainings["cell"] == "num_hidden_layers=1,optimizer=adam")
    trainings.loc[edge, "proposal"] = 2
    section = optimizer_report(replace(results, trainings=trainings))
    assert rows_of(section)[0].edges_touched == (
        "adam, 1 hidden layer: learning_rate 0.00464 is the largest that was proposed",
    )
    assert "A winner lies on the edge of its search" in section.answer


def test_exploratory_comparisons_are_named_so_where_no_claim_was_declared(results: StudyResults) -> None:
    section = optimizer_report(replace(results, study=results.study.model_copy(update={"claims": ()})))
    assert section.answer.startswith("No claim about optimizer was declared beforehand; what follows is exploration.")
    assert {claim.kind for claim in rows_of(section)} == {"exploratory"}
    assert {claim.declared.when for claim in rows_of(section)} == {"not declared"}
