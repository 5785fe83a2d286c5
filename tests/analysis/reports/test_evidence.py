"""What the verdicts rest on, read from a store with a control, a runner-up, a noise floor, targets and a repeated
search."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from analysis.claims.schema import ClaimRow
from analysis.claims.study import StudyClaims
from analysis.claims.wording import worded
from analysis.document.sections import Section
from analysis.reports import evidence, hidden_layer_ablation, optimizer_comparison
from analysis.reports import tuning as tuning_report
from analysis.results.reader import StudyResults, read_study
from study.spec import Study
from tests.support import miniature
from tests.support.claims import rows_of, some
from tests.support.synthetic_store import add_study, synthetic_study

CONTROL = {"name": "wider", "levels": {"optimizer": "adam", "num_hidden_layers": 1, "hidden_units": 16}}


def rich_study(name: str) -> Study:
    """Every part of the evidence is asked for."""
    plain = synthetic_study(name, num_reporting_seeds=7).model_dump(mode="json")
    changes = {
        "cells": {"add": [CONTROL], "exclude": [{"optimizer": "adagrad", "num_hidden_layers": 2}]},
        "targets": [-108.0, -90.0],
        "equivalence_margin_nats": "noise_floor",
        "noise_floor": {"at": {"optimizer": "adam", "num_hidden_layers": 1}},
        "search": plain["search"] | {"num_repeats": 2},
        "confirm": {"num_reporting_seeds": 7, "num_runners_up": 1},
    }
    return Study.model_validate(plain | changes)


@pytest.fixture(scope="module")
def rich(store_uri: str, tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    add_study(store_uri, tmp_path_factory.mktemp("rich"), rich_study("rich"))
    return read_study("rich", store_uri)


@pytest.fixture(scope="module")
def shown(rich: StudyResults) -> Section:
    return evidence.section(evidence.compute(StudyClaims(rich)))


@pytest.fixture(scope="module")
def depth(rich: StudyResults) -> Section:
    return hidden_layer_ablation.section(hidden_layer_ablation.compute(StudyClaims(rich)))


@pytest.fixture(scope="module")
def tuning(rich: StudyResults) -> Section:
    return tuning_report.section(tuning_report.compute(StudyClaims(rich)))


def _frames(section: Section) -> dict[str, pd.DataFrame]:
    return {table.name: table.frame for table in section.tables} | {
        figure.name: figure.frame for figure in section.figures
    }


def test_nothing_of_the_rich_study_is_missing(rich: StudyResults) -> None:
    assert len(rich.missing) == 0
    assert len(rich.missing_repeats) == 0
    assert sorted(set(rich.trainings["phase"])) == ["confirm", "noise_floor", "search"]


def test_the_noise_floor_is_the_margin_of_every_claim(rich: StudyResults, shown: Section) -> None:
    (floor,) = _frames(shown)["noise_floor"].to_dict("records")
    assert (floor["cell"], floor["trainings"], floor["seeds_a_side"]) == ("num_hidden_layers=1,optimizer=adam", 14, 7)
    # Noise of 0.32 nats a training: 1.96 standard deviations of a difference of two means of seven are 0.33 nats.
    assert 0.15 < floor["margin_nats"] < 0.6
    claims = optimizer_comparison.compute(StudyClaims(rich)).claims
    assert {(claim.equivalence_margin, claim.margin_from_noise_floor) for claim in claims} == {
        (floor["margin_nats"], True)
    }
    assert "it is what claims take for equivalent" in shown.paragraphs[0]


def test_targets_that_are_reached_have_a_time_and_others_are_censored(shown: Section) -> None:
    times = {target: own.set_index("cell") for target, own in _frames(shown)["target_times"].groupby("target_nats")}
    assert times[-90.0]["censored"].tolist() == [7] * 4
    assert times[-90.0]["restricted_mean_samples"].tolist() == [10_000] * 4
    assert times[-108.0].loc["num_hidden_layers=2,optimizer=adam", "reached"] == 7
    assert times[-108.0].loc["num_hidden_layers=1,optimizer=adagrad", "reached"] == 0
    compared = _frames(shown)["target_comparisons"]
    assert set(compared["comparison"]) == {"adam against adagrad", "2 hidden layers against 1 hidden layer, adam"}
    assert "Never reached by any seed: " in shown.paragraphs[2]
    assert "num_hidden_layers=1,optimizer=adagrad (-108)" in shown.paragraphs[2]


def test_seconds_stand_in_timing_tables_alone(shown: Section) -> None:
    assert [name for name, frame in _frames(shown).items() if any("second" in str(column) for column in frame)] == [
        "timing_target_times",
        "timing_target_comparisons",
    ]


def test_cells_are_ranked_within_seeds(shown: Section) -> None:
    ranks = _frames(shown)["mean_ranks"]
    cells = ranks[ranks["ranked"] == "cells"]
    assert cells["entrant"].iloc[0] == "num_hidden_layers=2,optimizer=adam"
    assert cells["mean_rank"].sum() == pytest.approx(10)
    assert set(cells["num_blocks"]) == {7}
    assert _frames(shown)["probability_of_improvement"]["probability"].iloc[0] == 1.0


def test_the_share_above_a_bound_falls_from_one_to_none(shown: Section) -> None:
    profile = _frames(shown)["performance_profile"]
    for _, own in profile.groupby("cell"):
        assert own["share"].is_monotonic_decreasing
        assert (own["share"].iloc[0], own["share"].iloc[-1]) == (1.0, 0.0)


def test_a_runner_up_takes_the_winners_place_in_the_robustness_table(shown: Section, depth: Section) -> None:
    table = _frames(shown)["robustness"].set_index("comparison")
    assert table.loc["2 hidden layers against 1 hidden layer, adam", "runner_up_of_level"] == "worse"
    claim = rows_of(depth)[0]
    sides = {one.side: one for one in claim.neighbouring_proposals}
    # Either runner-up lies two thirds of a decade from the best learning rate, which costs 2.7 nats.
    assert sides["level"].estimate == pytest.approx(some(claim.estimate) - 2.67, abs=0.3)
    assert sides["baseline"].estimate == pytest.approx(some(claim.estimate) + 2.67, abs=0.3)
    assert "Overturned by one step of the search" in claim.statement


def test_one_more_layer_is_taken_apart_where_there_is_a_control(depth: Section) -> None:
    steps = _frames(depth)["depth_isolation_steps"].set_index("part")
    assert steps.index.tolist() == ["one more layer", "its parameters alone", "its depth alone"]
    assert steps["further_parameters"].tolist() == [1_000, 1_000, 0]
    # The store gives a layer 1 nat and parameters nothing, under noise of 0.1 per training.
    assert steps["gain_nats"].tolist() == pytest.approx([1.0, 0.0, 1.0], abs=0.25)
    whole, parameters, alone = steps["gain_nats"]
    assert whole == pytest.approx(parameters + alone, abs=1e-4)
    assert _frames(depth)["depth_isolation"]["step"].nunique() == 3
    assert "a control has as many in fewer layers" in depth.paragraphs[1]
    timing = _frames(depth)["timing_depth"].set_index("comparison")
    assert timing.loc["2 hidden layers against 1 hidden layer, adam", "gain_nats_per_further_second"] == pytest.approx(
        0.1, abs=0.03
    )  # ten seconds more


def test_expected_best_rises_to_the_best_proposal(tuning: Section) -> None:
    for _, own in _frames(tuning)["tuning_budget"].groupby("cell"):
        assert own["expected_best_nats"].is_monotonic_increasing
        assert own["regret_nats"].iloc[-1] == 0
        assert own["expected_best_nats"].iloc[-1] == own["running_best_nats"].iloc[-1]


def test_a_repeated_search_gives_every_declared_claim_once_more(tuning: Section) -> None:
    variance = _frames(tuning)["study_variance"]
    assert variance["repeat"].tolist() == [0, 1, 0, 1]
    assert set(variance["n"]) == {7}
    own, other = variance.loc[variance["comparison"] == "adam against adagrad", "estimate_nats"]
    assert own != other
    assert other == pytest.approx(3.0, abs=0.3)
    assert "over 2 searches the difference varies by a standard deviation of" in tuning.paragraphs[0]


def test_the_prose_of_every_claim_follows_from_its_row(
    results: StudyResults, rich: StudyResults, depth: Section
) -> None:
    rows = [
        *rows_of(depth),
        *(row for read in (rich, results) for row in optimizer_comparison.compute(StudyClaims(read)).claims),
        *evidence.compute(StudyClaims(by_latents())).own_claims,
    ]
    assert {row.kind for row in rows} == {"primary", "descriptive", "exploratory"}
    assert {row.factor for row in rows} == {"optimizer", "num_hidden_layers", "cell", "latent_dim"}
    for row in rows:
        assert worded(ClaimRow.model_validate_json(row.model_dump_json())) == row


def test_the_verdicts_of_a_repeated_search_are_in_the_rows_and_their_sentence_follows(
    rich: StudyResults, depth: Section, tuning: Section
) -> None:
    row = next(row for row in rows_of(depth) if row.kind != "exploratory")
    assert [(one.repeat, one.n) for one in row.repeats] == [(0, 7), (1, 7)]
    assert row.repeats[0].estimate == row.estimate
    assert f"{row.name}: over 2 searches" in tuning.paragraphs[0]
    assert {len(explored.repeats) for explored in rows_of(depth) if explored.kind == "exploratory"} == {0}


def test_every_step_of_the_isolation_plot_is_a_row(depth: Section) -> None:
    pairs = [tuple(row.cells[0]) for row in rows_of(depth) if len(row.cells) == 1]
    assert len(set(map(frozenset, pairs))) == len(pairs)
    verdicts = {
        frozenset(pair): row.verdict
        for pair, row in zip(pairs, (row for row in rows_of(depth) if len(row.cells) == 1), strict=True)
    }
    steps = _frames(depth)["depth_isolation_steps"]
    assert len(steps) == 3
    for step in steps.to_dict("records"):
        assert verdicts[frozenset((step["level"], step["baseline"]))] == step["verdict"]


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
        assert [figure.svg for figure in theirs.figures] == [figure.svg for figure in ours.figures]
        assert (theirs.answer, theirs.paragraphs) == (ours.answer, ours.paragraphs)


def test_a_second_run_gives_the_same_bytes(rich: StudyResults, shown: Section) -> None:
    again = evidence.section(evidence.compute(StudyClaims(rich)))
    assert [table.frame.to_csv() for table in again.tables] == [table.frame.to_csv() for table in shown.tables]
    assert [figure.png for figure in again.figures] == [figure.png for figure in shown.figures]
