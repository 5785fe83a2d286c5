"""Studies to set side by side: one trained again, with a cell moved or trainings lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from analysis.results.reader import StudyResults
from analysis.side_by_side.cells import CellDifference
from analysis.side_by_side.findings import StudiesFindings

CELLS = (
    "num_hidden_layers=1,optimizer=adagrad",
    "num_hidden_layers=2,optimizer=adagrad",
    "num_hidden_layers=1,optimizer=adam",
    "num_hidden_layers=2,optimizer=adam",
)
ADAM = CELLS[2]


def retrained(results: StudyResults, name: str = "again", **changes: Any) -> StudyResults:
    """The same study, run anew elsewhere under another name: its own runs, the same numbers."""
    trainings = results.trainings.assign(run_id="b" + results.trainings["run_id"].astype(str))
    study = results.study.model_copy(update={"name": name, **changes})
    return replace(results, study=study, parent_run_id=f"parent of {name}", trainings=trainings)


def shifted(results: StudyResults, cell: str, nats: float, seeds: tuple[int, ...] = (0, 1, 2, 3, 4, 5)) -> StudyResults:
    """The same, the bounds of these reporting seeds of a cell higher by so many nats."""
    trainings, curves = results.trainings.copy(), results.curves.copy()
    bounds = [name for name in trainings if str(name).endswith("lower_bound")]
    trainings.loc[
        (trainings["cell"] == cell) & (trainings["phase"] == "confirm") & trainings["seed"].isin(seeds), bounds
    ] += nats
    rows = (
        (curves["cell"] == cell)
        & (curves["phase"] == "confirm")
        & curves["seed"].isin(seeds)
        & curves["metric"].str.endswith("lower_bound")
    )
    curves.loc[rows, "nats"] += nats
    return replace(results, trainings=trainings, curves=curves)


def with_outcome(results: StudyResults, cell: str, seed: int, outcome: str) -> StudyResults:
    """The same, one reporting training of a cell ended so: without numbers on the test set."""
    trainings, curves = results.trainings.copy(), results.curves
    chosen = (trainings["cell"] == cell) & (trainings["phase"] == "confirm") & (trainings["seed"] == seed)
    trainings.loc[chosen, "outcome"] = outcome
    trainings.loc[chosen, [name for name in trainings if "/" in str(name)]] = np.nan
    gone = (
        (curves["cell"] == cell)
        & (curves["phase"] == "confirm")
        & (curves["seed"] == seed)
        & curves["metric"].str.startswith("test/")
    )
    return replace(results, trainings=trainings, curves=curves[~gone])


def all_diverged(results: StudyResults, cell: str) -> StudyResults:
    """The same, every reporting training of a cell diverged."""
    for seed in range(6):
        results = with_outcome(results, cell, seed, "diverged")
    return results


def cell_of(findings: StudiesFindings, label: str = ADAM) -> CellDifference:
    """The difference in one cell."""
    return next(cell for cell in findings.cells if cell.cell == label)
