"""What the verdicts rest on, read from a store with a control, a runner-up, a noise floor, targets and a repeated
search."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.claims.schema import ClaimRow
from analysis.claims.study import StudyClaims
from analysis.claims.wording import worded
from analysis.document.sections import Section
from analysis.reports import evidence, hidden_layer_ablation, optimizer_comparison
from analysis.reports import tuning as tuning_report
from analysis.results.reader import StudyResults
from study.spec import Study
from tests.support import miniature
from tests.support.claims import rows_of, some
from tests.support.sections import frames_of


def test_nothing_of_the_rich_study_is_missing(rich: StudyResults) -> None:
    assert len(rich.missing) == 0
    assert len(rich.missing_repeats) == 0
    assert sorted(set(rich.trainings["phase"])) == ["confirm", "noise_floor", "search"]


def test_the_noise_floor_is_the_margin_of_every_claim(rich: StudyResults, evidence_section: Section) -> None:
    (floor,) = frames_of(evidence_section)["noise_floor"].to_dict("records")
    assert (floor["cell"], floor["trainings"], floor["seeds_a_side"]) == ("num_hidden_layers=1,optimizer=adam", 14, 7)
    # Noise of 0.32 nats a training: 1.96 standard deviations of a difference of two means of seven are 0.33 nats.
    assert 0.15 < floor["margin_nats"] < 0.6
    claims = optimizer_comparison.compute(StudyClaims(rich)).claims
    assert {(claim.equivalence_margin, claim.margin_from_noise_floor) for claim in claims} == {
        (floor["margin_nats"], True)
    }
    assert "it is what claims take for equivalent" in evidence_section.paragraphs[0]


def test_seconds_stand_in_timing_tables_alone(evidence_section: Section) -> None:
    assert [
        name for name, frame in frames_of(evidence_section).items() if any("second" in str(column) for column in frame)
    ] == [
        "timing_target_times",
        "timing_target_comparisons",
    ]


def test_a_runner_up_takes_the_winners_place_in_the_robustness_table(
    evidence_section: Section, depth_section: Section
) -> None:
    table = frames_of(evidence_section)["robustness"].set_index("comparison")
    assert table.loc["2 hidden layers against 1 hidden layer, adam", "runner_up_of_level"] == "worse"
    claim = rows_of(depth_section)[0]
    sides = {one.side: one for one in claim.neighbouring_proposals}
    # Either runner-up lies two thirds of a decade from the best learning rate, which costs 2.7 nats.
    assert sides["level"].estimate == pytest.approx(some(claim.estimate) - 2.67, abs=0.3)
    assert sides["baseline"].estimate == pytest.approx(some(claim.estimate) + 2.67, abs=0.3)
    assert "Overturned by one step of the search" in claim.statement


def test_the_prose_of_every_claim_follows_from_its_row(
    results: StudyResults, rich: StudyResults, depth_section: Section
) -> None:
    rows = [
        *rows_of(depth_section),
        *(row for read in (rich, results) for row in optimizer_comparison.compute(StudyClaims(read)).claims),
        *evidence.compute(StudyClaims(by_latents())).own_claims,
    ]
    assert {row.kind for row in rows} == {"primary", "descriptive", "exploratory"}
    assert {row.factor for row in rows} == {"optimizer", "num_hidden_layers", "cell", "latent_dim"}
    for row in rows:
        assert worded(ClaimRow.model_validate_json(row.model_dump_json())) == row


def by_latents() -> StudyResults:
    """The miniature as if its optimizers had been numbers of latent dimensions, nothing declared."""
    held = miniature.load()
    names = {"adagrad": "1", "adam": "2"}
    plain = held.study.model_dump(mode="json")
    search = plain["search"] | {
        "spaces": [{"hyperparameters": {"learning_rate": {"low": 1e-4, "high": 0.1, "log": True}}}]
    }
    training = {name: given for name, given in plain["training"].items() if name != "latent_dim"}
    factors = {"latent_dim": [1, 2], "num_hidden_layers": [1, 2]}
    changes = {
        "training": training,
        "factors": factors,
        "cells": {},
        "search": search,
        "claims": [],
        "noise_floor": None,
        "equivalence_margin_nats": 0.5,
    }
    labels = {
        f"num_hidden_layers={depth},optimizer={name}": f"latent_dim={number},num_hidden_layers={depth}"
        for name, number in names.items()
        for depth in (1, 2)
    }
    trainings, curves = (
        frame[frame["cell"].isin(labels)].assign(cell=lambda own: own["cell"].map(labels))
        for frame in (held.trainings, held.curves)
    )
    return replace(held, study=Study.model_validate(plain | changes), trainings=trainings, curves=curves)


def test_explored_comparisons_of_a_factor_without_a_report_are_rows_of_the_evidence() -> None:
    results = by_latents()
    findings = evidence.compute(StudyClaims(results))
    shown = evidence.section(findings)
    assert {(row.factor, row.kind, row.declared.when) for row in rows_of(shown)} == {
        ("latent_dim", "exploratory", "not declared")
    }
    assert [row.cells for row in rows_of(shown)] == [
        ((f"latent_dim=2,num_hidden_layers={depth}", f"latent_dim=1,num_hidden_layers={depth}"),) for depth in (1, 2)
    ]
    others = {
        row.name
        for module in (optimizer_comparison, hidden_layer_ablation)
        for row in rows_of(module.section(module.compute(StudyClaims(results))))
    }
    assert not others & {row.name for row in rows_of(shown)}
    assert {row.name for row in findings.claims} <= others | {row.name for row in rows_of(shown)}
    assert "the first 12" not in " ".join(shown.paragraphs)


def test_where_more_was_explored_than_is_looked_at_it_is_said() -> None:
    findings = replace(evidence.compute(StudyClaims(by_latents())), num_explored=30)
    shown = evidence.section(findings)
    assert (
        shown.paragraphs[-1]
        == "Of the 30 explored comparisons the first 12 are looked at here; claims.json has all of them."
    )
    assert next(table for table in shown.tables if table.name == "robustness").caption.endswith(
        "Of the explored comparisons, the first 12 of 30."
    )


def test_rows_in_another_order_give_the_same_bytes(results: StudyResults, shuffled: StudyResults) -> None:
    for module in (evidence, tuning_report):
        ours, theirs = (module.section(module.compute(StudyClaims(read))) for read in (results, shuffled))
        assert [table.frame.to_csv() for table in theirs.tables] == [table.frame.to_csv() for table in ours.tables]
        assert [figure.drawing.svg for figure in theirs.figures] == [figure.drawing.svg for figure in ours.figures]
        assert (theirs.answer, theirs.paragraphs) == (ours.answer, ours.paragraphs)


def test_a_second_run_gives_the_same_bytes(rich: StudyResults, evidence_section: Section) -> None:
    again = evidence.section(evidence.compute(StudyClaims(rich)))
    assert [table.frame.to_csv() for table in again.tables] == [
        table.frame.to_csv() for table in evidence_section.tables
    ]
    assert [figure.drawing.png for figure in again.figures] == [
        figure.drawing.png for figure in evidence_section.figures
    ]
