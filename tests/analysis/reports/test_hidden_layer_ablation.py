from __future__ import annotations

from pathlib import Path

import pytest

from analysis.claims.study import StudyClaims
from analysis.document.sections import Section
from analysis.reports import hidden_layer_ablation
from analysis.reports.hidden_layer_ablation import DepthGain
from analysis.results.reader import StudyResults, read_study
from tests.support.claims import rows_of
from tests.support.synthetic_store import Place, add_study, synthetic_study


def _section(results: StudyResults) -> Section:
    return hidden_layer_ablation.section(hidden_layer_ablation.compute(StudyClaims(results)))


@pytest.fixture(scope="module")
def section(results: StudyResults) -> Section:
    return _section(results)


def test_the_extra_layer_is_found_to_help_at_the_declared_optimizer(section: Section) -> None:
    claim = rows_of(section)[0]
    assert (claim.name, claim.verdict, claim.at) == (
        "second-layer-helps-adam",
        "better",
        {"optimizer": "adam"},
    )
    assert claim.estimate == pytest.approx(1.0, abs=0.3)  # the store gives a layer 1 nat
    assert section.answer.startswith(
        "Inconclusive by Holm's correction: 2 hidden layers minus 1 hidden layer is +0.90 nats in the test lower bound"
        " after 10,000 training samples with adam"
    )


def test_gain_stands_beside_its_cost(section: Section) -> None:
    frame = next(table.frame for table in section.tables if table.name == "depth_gain_and_cost")
    assert frame["comparison"].tolist() == [
        "2 hidden layers against 1 hidden layer, adam",
        "2 hidden layers against 1 hidden layer, adagrad",
    ]
    assert (frame["parameters"] - frame["baseline_parameters"]).tolist() == [1_000, 1_000]
    assert frame["gain_nats_per_100k_parameters"].tolist() == pytest.approx(
        (frame["gain_nats"] * 100).tolist(), rel=1e-4
    )
    timing = next(table.frame for table in section.tables if table.name == "timing_depth")
    assert timing["training_seconds_ratio"].tolist() == [2.0, 2.0]


def test_seconds_stand_in_timing_tables_alone(section: Section) -> None:
    assert [table.name for table in section.tables if any("seconds" in str(column) for column in table.frame)] == [
        "timing_depth"
    ]


def test_no_gain_per_parameter_where_no_parameter_was_added() -> None:
    assert DepthGain("same size", "equivalent", 0.1, 1_000, 1_000, None).gain_per_parameters is None
    assert DepthGain("nearly the same size", "better", 3.0, 1_316_824, 1_316_234, None).gain_per_parameters is None
    assert DepthGain("nearly the same time", "better", 3.0, 2_000, 1_000, 1.005, 0.5).gain_per_second is None
    assert DepthGain("twice the size", "better", 3.0, 200_000, 100_000, 2.0, 6.0).gain_per_parameters == 3.0
    assert DepthGain("twice the time", "better", 3.0, 200_000, 100_000, 2.0, 6.0).gain_per_second == 0.5
    assert DepthGain("lost", "inconclusive", None, 2_000, 1_000, None).gain_per_parameters is None


def test_a_learning_rate_that_was_not_tuned_is_said(
    results: StudyResults, section: Section, store_uri: str, tmp_path: Path
) -> None:
    study = synthetic_study("untuned", num_reporting_seeds=6, search=None)
    add_study(store_uri, tmp_path, study)
    untuned = hidden_layer_ablation.section(
        hidden_layer_ablation.compute(StudyClaims(read_study("untuned", store_uri)))
    )
    assert "tuned again at every depth" in section.paragraphs[1]
    assert "was not tuned at every depth" in untuned.paragraphs[1]


def test_a_study_with_one_depth_says_why_nothing_follows(store_uri: str, tmp_path: Path) -> None:
    study = synthetic_study("one-depth", num_reporting_seeds=1, factors={"optimizer": ("adagrad", "adam")}, claims=())
    add_study(store_uri, tmp_path, study)
    section = hidden_layer_ablation.section(
        hidden_layer_ablation.compute(StudyClaims(read_study("one-depth", store_uri)))
    )
    assert section.answer.startswith(
        "Nothing can be concluded about hidden layers: the study has one level of num_hidden_layers"
    )
    assert not section.figures
    assert not section.claims


def test_a_diverged_deep_training_leaves_the_depth_inconclusive(store_uri: str, tmp_path: Path) -> None:
    study = synthetic_study("deep-diverged")
    add_study(
        store_uri,
        tmp_path,
        study,
        outcomes={Place("confirm", "num_hidden_layers=2,optimizer=adam", 1, 0, 2): "diverged"},
    )
    section = hidden_layer_ablation.section(
        hidden_layer_ablation.compute(StudyClaims(read_study("deep-diverged", store_uri)))
    )
    assert (rows_of(section)[0].verdict, rows_of(section)[0].num_diverged_level) == ("inconclusive", 1)
    assert rows_of(section)[0].holm_p == 1.0
