from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import pytest

from analysis.claims.comparison import compare
from analysis.claims.row import claim_row
from analysis.claims.study import StudyClaims
from analysis.document.explorer import Explorer, as_script_text, explorer_text
from analysis.document.sections import Section
from analysis.figures import style as figures
from analysis.reports import hidden_layer_ablation, optimizer_comparison
from analysis.results.reader import StudyResults
from study.spec.schema import Claim
from tests.support.claims import rows_of, some
from tests.support.optimizer_reports import optimizer_report


def _bytes(section: Section) -> dict[str, bytes]:
    tables = {table.name: table.frame.to_csv(index=False).encode() for table in section.tables}
    drawn = {
        figure.name + ending: content
        for figure in section.figures
        for ending, content in ((".svg", figure.drawing.svg.encode()), (".png", figure.drawing.png))
    }
    data = {figure.name + ".csv": figure.frame.to_csv(index=False).encode() for figure in section.figures}
    claims = [claim.model_dump() for claim in section.claims]
    words = json.dumps([section.answer, section.warnings, section.paragraphs, claims]).encode()
    explored = {
        figure.name + ".json": _explored(figure.drawing.explorer)
        for figure in section.figures
        if figure.drawing.explorer
    }
    assert len(explored) == 3
    return tables | drawn | data | explored | {"words": words}


def _explored(explorer: Explorer) -> bytes:
    return (explorer_text(explorer) + as_script_text(explorer.own_data.content if explorer.own_data else None)).encode()


@pytest.fixture(scope="module")
def section(results: StudyResults) -> Section:
    return optimizer_report(results)


def test_the_primary_claim_is_found_with_its_size_and_horizon(section: Section) -> None:
    claim = rows_of(section)[0]
    assert (claim.name, claim.kind, claim.verdict) == ("adam-beats-adagrad", "primary", "better")
    assert claim.estimate == pytest.approx(3.0, abs=0.3)  # the store gives Adam 3 nats, under noise of 0.1 per training
    low, high = some(claim.interval)
    assert some(low) <= some(claim.estimate) <= some(high)
    assert (claim.n, claim.p, claim.smallest_p) == (6, 2**-5, 2**-5)
    assert some(claim.correlation) > 0.8  # seeds move all cells together, three times as far as the rest of the noise
    assert section.answer.startswith(
        "Inconclusive by Holm's correction: adam minus adagrad is +2.98 nats in the test lower bound after 10,000"
    )
    assert (claim.corrected_verdict, claim.holm_p) == ("inconclusive", 2 * 2**-5)
    assert section.warnings == (
        "6 reporting seeds cannot decide the first of 2 declared claims by Holm's correction, whatever they find: that"
        " takes 7.",
    )


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


@pytest.mark.slow
def test_a_second_report_has_the_same_bytes(results: StudyResults, section: Section) -> None:
    assert _bytes(optimizer_report(results)) == _bytes(section)


@pytest.mark.slow
def test_a_report_of_rows_in_another_order_has_the_same_bytes(section: Section, shuffled: StudyResults) -> None:
    assert _bytes(optimizer_report(shuffled)) == _bytes(section)


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


def test_a_claim_that_no_two_cells_can_answer_says_so(results: StudyResults) -> None:
    findings = optimizer_comparison.compute(StudyClaims(results))
    claim = Claim(name="hidden", factor="latent_dim", level=3, baseline=2, primary=False)
    comparison = compare(results.study, findings.cells, claim, "descriptive")
    assert comparison.verdict == "inconclusive"
    assert "no two cells" in claim_row(comparison, results.study).statement


def test_figures_are_svg_elements_in_the_pages_own_ink(section: Section) -> None:
    for figure in section.figures:
        root = ET.fromstring(figure.drawing.svg)
        assert root.tag.endswith("svg"), figure.name
        assert figures.INK not in figure.drawing.svg
        assert "currentColor" in figure.drawing.svg
        assert "<style" not in figure.drawing.svg
        assert figure.drawing.png.startswith(b"\x89PNG")
        assert "n = 6" in figure.caption or "n = 1 tuning seed" in figure.caption
