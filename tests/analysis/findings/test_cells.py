"""What is known of a cell, against the rows that it was read from."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest

from analysis.findings.cells import cell_findings, code_versions
from tests.support import miniature


def test_the_numbers_of_a_cell_are_those_of_its_reporting_seeds() -> None:
    results = miniature.load()
    rows = results.trainings
    for finding in cell_findings(results):
        confirm = rows[
            (rows["cell"] == finding.cell.label) & (rows["phase"] == "confirm") & (rows["rank"].fillna(0) == 0)
        ]
        assert finding.num_trained == len(confirm) > 0
        assert finding.mean == pytest.approx(confirm[results.study.metric].mean())
        assert finding.winner == confirm["proposal"].dropna().iloc[0]
        assert (finding.num_lost, finding.num_missing) == (0, 0)


def test_a_cell_that_lost_a_seed_has_its_other_numbers_and_no_mean() -> None:
    results = miniature.load()
    rows = results.trainings
    lost = rows[(rows["phase"] == "confirm") & (rows["rank"].fillna(0) == 0)].iloc[0]
    is_lost = rows["identity"] == lost["identity"]
    trainings = rows.assign(
        outcome=rows["outcome"].mask(is_lost, "diverged"),
        **{results.study.metric: rows[results.study.metric].mask(is_lost)},
    )
    found = {finding.cell.label: finding for finding in cell_findings(replace(results, trainings=trainings))}
    finding = found[lost["cell"]]
    assert (finding.mean, finding.interval, finding.num_lost) == (None, None, 1)
    assert finding.diverged_seeds == {int(lost["seed"])}
    assert int(lost["seed"]) not in finding.finals
    assert all(math.isfinite(nats) for nats in finding.finals.values())


def test_a_proposal_has_the_mean_of_its_tuning_seeds_and_none_where_one_was_lost() -> None:
    results = miniature.load()
    finding = cell_findings(results)[0]
    assert finding.proposals
    for proposal in finding.proposals:
        assert len(proposal.by_seed) == proposal.num_seeds
        assert proposal.objective == pytest.approx(sum(proposal.by_seed.values()) / proposal.num_seeds)
    rows, objective = results.trainings, results.study.search.objective if results.study.search else ""
    is_first = (rows["phase"] == "search") & (rows["cell"] == finding.cell.label) & (rows["proposal"] == 0)
    lost = {"outcome": rows["outcome"].mask(is_first, "diverged"), objective: rows[objective].mask(is_first)}
    first = cell_findings(replace(results, trainings=rows.assign(**lost)))[0].proposals[0]
    assert math.isnan(first.objective)
    assert (first.num_lost, first.by_seed) == (first.num_seeds, {})


def test_versions_of_the_code_are_those_that_are_known() -> None:
    assert code_versions(pd.DataFrame({"code_sha256": ["a", None, "", "b", "a"]})) == {"a", "b"}
    assert code_versions(pd.DataFrame({"seed": [1]})) == frozenset()
