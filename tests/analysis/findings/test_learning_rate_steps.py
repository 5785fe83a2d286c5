"""What one step of the learning rate costs, beside the difference that a claim rests on."""

from __future__ import annotations

import math
from typing import Any

from analysis.claims.schema import LearningRateStepEntry
from analysis.findings.cells import CellFinding
from analysis.findings.learning_rate_steps import LearningRateStep, learning_rate_step
from study.spec.schema import Range
from tests.support.cells import BASELINE, LEVEL, TEN, cells_of, proposals_at, row_of, two_optimizers

SPACE = {"learning_rate": Range(low=1e-4, high=1e-1, log=True)}


def test_a_claim_smaller_than_one_step_of_the_learning_rate_says_so() -> None:
    searched = {
        "proposals": {LEVEL: proposals_at([1e-3, 2e-3, 1e-2], [-101.0, -103.5, -120.0])},
        "winner": {LEVEL: 0},
        "space": {LEVEL: SPACE},
    }
    row = row_of([-100.0 + nats for nats in TEN], [-102.0] * 10, **searched)
    assert row.verdict == "better"
    assert row.learning_rate_step == LearningRateStepEntry(
        cell="adam", from_rate=0.001, to_rate=0.002, cost_nats=2.5, overturns=True
    )
    assert "Overturned by one step of the learning rate" in row.statement
    wider = row_of([-100.0 + nats for nats in TEN], [-105.0] * 10, **searched)
    assert "one step of the learning rate" not in wider.statement


def _searched(rates: list[float], objectives: list[float], **fields: Any) -> CellFinding:
    """Adam with these proposals of the learning rate, of which the first won."""
    more = {"proposals": proposals_at(rates, objectives), "winner": 0, "space": SPACE} | fields
    numbers = {LEVEL: [-100.0], BASELINE: [-100.0]}
    cells = cells_of(two_optimizers(1), numbers, **{name: {LEVEL: value} for name, value in more.items()})
    return next(cell for cell in cells if cell.title == LEVEL)


def test_the_step_goes_to_the_nearest_rate_on_a_logarithmic_scale() -> None:
    # 0.03 is three times 0.01 and 0.0001 a hundredth of it, though 0.0001 is nearer on a linear scale.
    cell = _searched([0.01, 0.03, 0.0001], [-100.0, -101.5, -150.0])
    assert learning_rate_step(cell, cell, 2.0) == LearningRateStep(LEVEL, 0.01, 0.03, 1.5, False)
    assert learning_rate_step(cell, cell, 1.5) == LearningRateStep(LEVEL, 0.01, 0.03, 1.5, True)


def test_a_step_to_a_proposal_that_diverged_costs_more_than_any_difference() -> None:
    cell = _searched([0.01, 0.03], [-100.0, math.nan])
    step = learning_rate_step(cell, cell, 1e6)
    assert step == LearningRateStep(LEVEL, 0.01, 0.03, math.inf, True)


def test_there_is_no_step_without_another_rate_or_where_more_is_searched() -> None:
    alone = _searched([0.01, 0.01], [-100.0, -100.5])
    wider = _searched([0.01, 0.03], [-100.0, -101.5], space=SPACE | {"batch_size": Range(low=20, high=200)})
    without_winner = _searched([0.01, 0.03], [-100.0, -101.5], winner=None)
    assert [learning_rate_step(cell, cell, 1.0) for cell in (alone, wider, without_winner)] == [None] * 3
