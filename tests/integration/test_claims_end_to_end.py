"""What no change of a study may do to its claims: shown from the protocol, or from a real study's trainings, to the
rows of claims.json."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import pytest

from analysis.claims.comparison import Comparison, declared_comparisons
from analysis.claims.row import claim_row
from analysis.claims.schema import ClaimRow
from analysis.findings.cells import cell_findings
from analysis.findings.margin import equivalence_margin
from analysis.results.completeness import records
from analysis.results.reader import StudyResults
from analysis.statistics import intervals as statistics
from study.protocol.cell_protocol import PlannedTraining
from tests.support import miniature
from tests.support.executed_studies import bound_of, results_of, searched_study

STRENGTH = {"worse": 0, "inconclusive": 1, "equivalent": 1, "better": 2}
RESTS_ON_ITS_SEARCH = ("edges_touched", "learning_rate_step", "statement", "headline")
"""Of a row what one more proposal may change though nothing else does: a winner that was the outermost proposal lies
between two, and has another neighbour."""


@pytest.fixture(autouse=True)
def _few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        statistics, "NUM_BOOTSTRAP_RESAMPLES", 99
    )  # the bootstrap stands beside the verdict and decides nothing


def _claims(results: StudyResults) -> tuple[Comparison, ...]:
    return declared_comparisons(results.study, cell_findings(results), equivalence_margin(results))


def _row(results: StudyResults) -> ClaimRow:
    (claim,) = _claims(results)
    return claim_row(claim, results.study)


def _with_last_proposal(num_proposals: int, last: float) -> Callable[[PlannedTraining], float]:
    """Bounds under which what every cell proposes last has this objective."""
    return lambda planned: (
        last if planned.phase == "search" and planned.proposal == num_proposals - 1 else bound_of(planned)
    )


@pytest.mark.parametrize("num_proposals", [1, 4])
@pytest.mark.parametrize("objective", [-500.0, math.nan], ids=["worse", "diverged"])
def test_adding_a_worse_proposal_changes_neither_the_winner_nor_the_claim(num_proposals: int, objective: float) -> None:
    before = results_of(searched_study(num_proposals))
    after = results_of(searched_study(num_proposals + 1), _with_last_proposal(num_proposals + 1, objective))
    cells = [cell_findings(results) for results in (before, after)]
    assert [[len(cell.proposals) for cell in found] for found in cells] == [
        [num_proposals] * 2,
        [num_proposals + 1] * 2,
    ]
    assert [cell.winning_proposal for cell in cells[0]] == [cell.winning_proposal for cell in cells[1]]
    rows = [_row(results).model_dump() for results in (before, after)]
    assert rows[0]["verdict"] != "inconclusive" or num_proposals == 1
    assert {name for name in rows[0] if rows[0][name] != rows[1][name]} <= set(RESTS_ON_ITS_SEARCH)


def test_adding_a_better_proposal_changes_the_winner_and_the_claim() -> None:
    before = results_of(searched_study(2))
    after = results_of(searched_study(3), _with_last_proposal(3, -50.0))
    assert [cell.winner for cell in cell_findings(after)] == [2, 2]
    assert _row(before).estimate != _row(after).estimate


def _diverged(results: StudyResults, identity: str) -> StudyResults:
    """The study as it would be had that training diverged after its first evaluation."""
    lost = results.trainings["identity"] == identity
    bounds = [str(name) for name in results.trainings if "/" in str(name)]
    trainings = results.trainings.assign(outcome=results.trainings["outcome"].mask(lost, "diverged"))
    trainings.loc[lost, bounds] = math.nan
    own = results.curves["identity"] == identity
    first = results.curves.loc[own, "samples"].min()
    return replace(results, trainings=trainings, curves=results.curves[~own | (results.curves["samples"] <= first)])


@pytest.mark.parametrize("shift", [12.0, pytest.param(-12.0, marks=pytest.mark.slow)])
def test_no_training_that_diverges_makes_any_verdict_kinder_to_its_cell(shift: float) -> None:
    """One training of every winner, runner-up and the noise floor of a real study in turn; shifted so that claims
    are decided either way."""
    plain = miniature.load()
    is_adam = plain.trainings["cell"].str.contains("optimizer=adam") & (plain.trainings["phase"] == "confirm")
    moved = plain.trainings.assign(**{"test/lower_bound": plain.trainings["test/lower_bound"] + shift * is_adam})
    results = replace(plain, trainings=moved)
    before = _claims(results)
    chosen = records(moved[moved["phase"].isin(["confirm", "noise_floor"])].drop_duplicates(["phase", "cell", "rank"]))
    assert {row["phase"] for row in chosen} == {"confirm", "noise_floor"}
    for row in chosen:
        for old, new in zip(before, _claims(_diverged(results, row["identity"])), strict=True):
            sides = [any(row["cell"] == pair[side] for pair in old.cells) for side in (0, 1)]
            where = (old.claim.name, row["cell"], row["phase"], row["rank"], row["seed"], old.verdict, new.verdict)
            assert not sides[0] or STRENGTH[new.verdict] <= STRENGTH[old.verdict], where
            assert not sides[1] or STRENGTH[new.verdict] >= STRENGTH[old.verdict], where
            assert any(sides) or new.verdict in (old.verdict, "inconclusive"), where


def test_claims_of_an_executed_study_are_the_same_under_another_order_of_rows() -> None:
    results = results_of(searched_study(3))
    shuffled = replace(
        results,
        trainings=results.trainings.sample(frac=1, random_state=1),
        curves=results.curves.sample(frac=1, random_state=2),
    )
    assert _row(results) == _row(shuffled)
    assert isinstance(results.missing, pd.DataFrame)
    assert results.missing.empty
