from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis.claims.comparison import compare
from analysis.claims.row import claim_row
from analysis.claims.study import StudyClaims
from analysis.document.explorer import Explorer, as_script_text, explorer_text
from analysis.document.sections import Section
from analysis.figures import style as figures
from analysis.reports import hidden_layer_ablation, optimizer_comparison
from analysis.results.reader import StudyResults, read_study
from study.spec import Study
from study.spec.schema import Claim
from tests.support.claims import rows_of, some
from tests.support.synthetic_store import Place, add_study, places, synthetic_study

TWO = {"optimizer": ("adagrad", "adam")}


def _report(results: StudyResults) -> Section:
    return optimizer_comparison.section(optimizer_comparison.compute(StudyClaims(results)))


def _read(uri: str, folder: Path, study: Study, **options: Any) -> StudyResults:
    add_study(uri, folder, study, **options)
    return read_study(study.name, uri)


def _bytes(section: Section) -> dict[str, bytes]:
    tables = {table.name: table.frame.to_csv(index=False).encode() for table in section.tables}
    drawn = {
        figure.name + ending: content
        for figure in section.figures
        for ending, content in ((".svg", figure.svg.encode()), (".png", figure.png))
    }
    data = {figure.name + ".csv": figure.frame.to_csv(index=False).encode() for figure in section.figures}
    claims = [claim.model_dump() for claim in section.claims]
    words = json.dumps([section.answer, section.warnings, section.paragraphs, claims]).encode()
    explored = {figure.name + ".json": _explored(figure.explorer) for figure in section.figures if figure.explorer}
    assert len(explored) == 3
    return tables | drawn | data | explored | {"words": words}


def _explored(explorer: Explorer) -> bytes:
    return (explorer_text(explorer) + as_script_text(explorer.own_data.content if explorer.own_data else None)).encode()


@pytest.fixture(scope="module")
def section(results: StudyResults) -> Section:
    return _report(results)


def test_the_primary_claim_is_found_with_its_size_and_horizon(section: Section) -> None:
    claim = rows_of(section)[0]
    assert (claim.name, claim.kind, claim.verdict) == ("adam-beats-adagrad", "primary", "better")
    assert claim.estimate == pytest.approx(3.0, abs=0.3)  # the store gives Adam 3 nats, under noise of 0.1 per training
    low, high = some(claim.interval)
    assert some(low) <= some(claim.estimate) <= some(high)
    assert (claim.n, claim.p, claim.smallest_p) == (6, 2**-5, 2**-5)
    assert some(claim.correlation) > 0.8  # seeds move all cells together, three times as far as the rest of the noise
    assert section.answer.startswith(
        "Adam is better than adagrad by 2.98 nats in the test lower bound after 10,000 training samples"
    )
    assert not section.warnings


def test_claims_are_json_without_dates_or_machines(section: Section) -> None:
    text = json.dumps([claim.model_dump() for claim in section.claims], allow_nan=False)
    assert "seconds" not in text
    assert not re.search(r"20\d\d-\d\d-\d\d", text)


def test_holm_is_over_all_declared_claims_of_the_study(results: StudyResults, section: Section) -> None:
    depth = hidden_layer_ablation.section(hidden_layer_ablation.compute(StudyClaims(results)))
    claims = [*rows_of(section), *rows_of(depth)]
    assert [claim.name for claim in claims if claim.kind != "exploratory"] == [
        "adam-beats-adagrad",
        "second-layer-helps-adam",
    ]
    assert [claim.holm_p for claim in claims if claim.kind != "exploratory"] == [2 * 2**-5, 2 * 2**-5]
    assert {claim.holm_p for claim in claims if claim.kind == "exploratory"} == {None}


def test_a_second_report_has_the_same_bytes(results: StudyResults, section: Section) -> None:
    assert _bytes(_report(results)) == _bytes(section)


def test_a_report_of_rows_in_another_order_has_the_same_bytes(section: Section, shuffled: StudyResults) -> None:
    assert _bytes(_report(shuffled)) == _bytes(section)


def test_every_cell_and_every_proposal_is_in_the_tables(section: Section) -> None:
    frames = {table.name: table.frame for table in section.tables}
    assert frames["optimizer_cells"]["n"].tolist() == [6] * 4
    assert frames["optimizer_cells"]["low_nats"].lt(frames["optimizer_cells"]["mean_nats"]).all()
    assert frames["optimizer_searches"]["winner"].tolist() == ["learning_rate 0.01"] * 2 + ["learning_rate 0.001"] * 2
    assert frames["optimizer_budgets"]["proposals"].nunique() == 1
    assert [name for name, frame in frames.items() if any("second" in str(column) for column in frame)] == [
        "timing_optimizer"
    ]


def test_learning_curves_are_means_over_reporting_seeds(results: StudyResults, section: Section) -> None:
    frame = next(figure.frame for figure in section.figures if figure.name == "optimizer_learning_curves")
    row = frame[(frame["cell"] == "num_hidden_layers=2,optimizer=adam") & (frame["samples"] == 6_000)].iloc[0]
    curves = results.curves
    own = curves[
        (curves["phase"] == "confirm")
        & (curves["cell"] == row["cell"])
        & (curves["samples"] == 6_000)
        & (curves["metric"] == "validation/lower_bound")
    ]
    assert row["mean_nats"] == pytest.approx(own["nats"].mean(), rel=1e-5)
    assert row["low_nats"] < row["mean_nats"] < row["high_nats"]
    assert row["num_seeds"] == 6


def _outcomes(study: Study, phase: str, cell: str, outcome: str, seeds: tuple[int, ...] = (0,)) -> Mapping[Place, str]:
    return {
        place: outcome
        for place, _, _ in places(study)
        if place.phase == phase and place.cell == cell and place.seed in seeds
    }


def test_a_diverged_seed_leaves_no_mean_no_interval_and_no_verdict(store_uri: str, tmp_path: Path) -> None:
    study = synthetic_study("one-diverged", factors=TWO)
    section = _report(
        _read(store_uri, tmp_path, study, outcomes=_outcomes(study, "confirm", "optimizer=adam", "diverged"))
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
    study = synthetic_study("no-winner", factors=TWO)
    confirm = frozenset(
        place for place, _, _ in places(study) if place.phase == "confirm" and place.cell == "optimizer=adam"
    )
    section = _report(
        _read(
            store_uri,
            tmp_path,
            study,
            outcomes=_outcomes(study, "search", "optimizer=adam", "diverged"),
            missing=confirm,
        )
    )
    assert "adam: every proposal of its search diverged or failed, so it has no confirm phase." in section.warnings
    assert rows_of(section)[0].verdict == "inconclusive"
    assert "every proposal of its search diverged" in section.answer
    lost = next(figure for figure in section.figures if figure.name == "optimizer_learning_rate_sensitivity").frame
    assert lost[lost["cell"] == "optimizer=adam"]["num_lost"].tolist() == [1, 1, 1]


def test_missing_trainings_leave_a_number_but_no_verdict(store_uri: str, tmp_path: Path) -> None:
    study = synthetic_study("incomplete", num_reporting_seeds=8, factors=TWO)
    section = _report(
        _read(store_uri, tmp_path, study, missing=frozenset({Place("confirm", "optimizer=adam", 1, 0, 3)}))
    )
    claim = rows_of(section)[0]
    assert (claim.n, claim.num_missing, claim.verdict) == (7, 1, "inconclusive")
    assert claim.estimate == pytest.approx(3.0, abs=0.3)
    assert section.warnings[0].startswith("What the 1 missing training would change is not known")


def test_one_reporting_seed_says_that_it_cannot_decide(store_uri: str, tmp_path: Path) -> None:
    study = synthetic_study("one-seed", num_reporting_seeds=1, factors=TWO)
    section = _report(_read(store_uri, tmp_path, study))
    claim = rows_of(section)[0]
    assert (claim.verdict, claim.interval, claim.smallest_p) == ("inconclusive", None, 1.0)
    assert any("at least 6 are needed" in warning for warning in section.warnings)
    assert "1 paired seed: too few" in section.answer


def test_a_study_with_one_optimizer_says_why_nothing_follows(store_uri: str, tmp_path: Path) -> None:
    study = synthetic_study("one-optimizer", num_reporting_seeds=2, factors={"optimizer": ("adam",)}, claims=())
    section = _report(_read(store_uri, tmp_path, study))
    assert section.answer.startswith(
        "Nothing can be concluded about optimizers: the study has one level of optimizer, adam"
    )
    assert not section.claims


def test_a_study_without_a_search_phase_is_reported(store_uri: str, tmp_path: Path) -> None:
    study = synthetic_study("no-search", factors=TWO, search=None)
    section = _report(_read(store_uri, tmp_path, study))
    assert section.paragraphs[0].startswith("Nothing was tuned")
    assert [figure.name for figure in section.figures] == ["optimizer_learning_curves", "optimizer_paired_differences"]


def test_a_study_in_which_nothing_has_run_is_reported(store_uri: str, tmp_path: Path) -> None:
    study = synthetic_study("not-begun", factors=TWO)
    section = _report(_read(store_uri, tmp_path, study, missing=frozenset(place for place, _, _ in places(study))))
    assert section.warnings[0].startswith("What the 18 missing trainings would change is not known")
    assert rows_of(section)[0].verdict == "inconclusive"
    assert not section.figures


def test_a_winner_on_the_edge_of_its_search_labels_the_claim(results: StudyResults) -> None:
    trainings = results.trainings.copy()
    edge = (trainings["phase"] == "confirm") & (trainings["cell"] == "num_hidden_layers=1,optimizer=adam")
    trainings.loc[edge, "proposal"] = 2
    section = _report(replace(results, trainings=trainings))
    assert rows_of(section)[0].edges_touched == (
        "adam, 1 hidden layer: learning_rate 0.00464 is the largest that was proposed",
    )
    assert "A winner lies on the edge of its search" in section.answer


def test_exploratory_comparisons_are_named_so_where_no_claim_was_declared(results: StudyResults) -> None:
    section = _report(replace(results, study=results.study.model_copy(update={"claims": ()})))
    assert section.answer.startswith("No claim about optimizer was declared beforehand; what follows is exploration.")
    assert {claim.kind for claim in rows_of(section)} == {"exploratory"}
    assert {claim.declared.when for claim in rows_of(section)} == {"not declared"}


def test_a_claim_that_no_two_cells_can_answer_says_so(results: StudyResults) -> None:
    findings = optimizer_comparison.compute(StudyClaims(results))
    claim = Claim(name="hidden", factor="latent_dim", level=3, baseline=2, primary=False)
    comparison = compare(results.study, findings.cells, claim, "descriptive")
    assert comparison.verdict == "inconclusive"
    assert "no two cells" in claim_row(comparison, results.study).statement


def test_figures_are_svg_elements_in_the_pages_own_ink(section: Section) -> None:
    for figure in section.figures:
        root = ET.fromstring(figure.svg)
        assert root.tag.endswith("svg"), figure.name
        assert figures.INK not in figure.svg
        assert "currentColor" in figure.svg
        assert "<style" not in figure.svg
        assert figure.png.startswith(b"\x89PNG")
        assert "n = 6" in figure.caption or "n = 1 tuning seed" in figure.caption
