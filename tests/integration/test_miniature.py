"""The claims of a study that is checked in as data are recomputed: the way from trainings to verdicts is the same as
when they were committed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from analysis.claims.schema import ClaimRow
from analysis.claims.study import StudyClaims
from analysis.claims.wording import worded
from analysis.page.folder import page_files
from analysis.reports import hidden_layer_ablation, optimizer_comparison
from analysis.reports.study_page import study_subject
from analysis.results.reader import StudyResults
from tests.support import miniature


@pytest.fixture(scope="module")
def results() -> StudyResults:
    return miniature.load()


def test_claims_are_those_that_were_committed(results: StudyResults) -> None:
    committed = (miniature.FOLDER / "claims.json").read_bytes()
    sections = [
        module.section(module.compute(StudyClaims(results))) for module in (optimizer_comparison, hidden_layer_ablation)
    ]
    assert page_files(study_subject(results), sections, {})["claims.json"].decode() == committed.decode()
    assert miniature.claims_bytes(results) == committed


def test_claims_are_the_same_under_another_order_of_rows(results: StudyResults) -> None:
    shuffled = replace(
        results,
        trainings=results.trainings.sample(frac=1, random_state=4),
        curves=results.curves.sample(frac=1, random_state=5),
    )
    assert miniature.claims_bytes(shuffled) == miniature.claims_bytes(results)


def test_every_claim_has_what_a_reviewer_asks_for_and_its_words_follow_from_it(results: StudyResults) -> None:
    asked = {
        "statement",
        "horizon",
        "estimate",
        "interval",
        "n",
        "p",
        "smallest_p",
        "minimum_detectable_effect",
        "verdict",
        "readouts",
    }
    asked |= {
        "edges_touched",
        "extra_rounds",
        "robustness",
        "without_most_extreme_pair",
        "median",
        "sign_test_p",
        "correlation",
        "neighbouring_proposals",
        "declared",
    }
    rows = json.loads(miniature.claims_bytes(results))
    assert [row["kind"] for row in rows] == ["primary", "descriptive", "descriptive"]
    for row in rows:
        assert asked <= set(row)
        held = ClaimRow.model_validate({name: field for name, field in row.items() if name != "report"})
        assert worded(held) == held
        assert row["declared"]["when"] == "before any training"


def test_a_change_of_one_training_changes_the_claims(results: StudyResults) -> None:
    moved = results.trainings.copy()
    place = moved.index[
        (moved["phase"] == "confirm") & (moved["cell"] == "num_hidden_layers=1,optimizer=adam") & (moved["rank"] == 0)
    ][0]
    moved.loc[place, "test/lower_bound"] += 1.0
    assert miniature.claims_bytes(replace(results, trainings=moved)) != miniature.claims_bytes(results)
