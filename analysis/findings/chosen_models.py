"""Which model of each cell is shown, and where its weights are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from analysis.results.reader import ResultsError, StudyResults
from study.spec.cells import study_cells
from study.spec.titles import cell_title

BOUND_TERMS = ("lower_bound", "reconstruction", "kl")


@dataclass(frozen=True)
class ChosenModel:
    """The model of a cell: its training's place and test bounds, and the file of its weights."""

    title: str
    cell: str
    seed: int
    identity: str
    bounds: dict[str, float]
    weights: Path


@dataclass(frozen=True)
class AbsentModel:
    """A cell without a model, and why."""

    title: str
    reason: str


def chosen_models(results: StudyResults) -> tuple[ChosenModel | AbsentModel, ...]:
    """Of every cell, in the study file's order, the winner under the lowest reporting seed that finished."""
    return tuple(_chosen_model(results, cell.label, cell_title(cell)) for cell in study_cells(results.study))


def _chosen_model(results: StudyResults, cell: str, title: str) -> ChosenModel | AbsentModel:
    training = first_finished(results.trainings, cell)
    if training is None:
        return AbsentModel(title, "no reporting seed of its winner finished, so there is no model to show.")
    try:
        weights = results.weights(str(training["identity"]))
    except (ResultsError, OSError) as error:
        return AbsentModel(title, reason_of(error))
    return ChosenModel(
        title=title,
        cell=cell,
        seed=int(training["seed"]),
        identity=str(training["identity"]),
        bounds={term: float(training[f"test/{term}"]) for term in BOUND_TERMS if f"test/{term}" in training.index},
        weights=weights,
    )


def first_finished(trainings: pd.DataFrame, cell: str) -> pd.Series | None:
    """The training of the cell's winner under the lowest reporting seed that finished; None where none did."""
    finished = trainings[
        (trainings["phase"] == "confirm") & (trainings["cell"] == cell) & (trainings["outcome"] == "finished")
    ]
    winners = finished[finished["rank"].fillna(0) == 0].sort_values("seed", kind="stable")
    return None if winners.empty else winners.iloc[0]


def reason_of(error: Exception) -> str:
    """The error's words as a sentence."""
    text = str(error)
    return text if text.endswith(".") else f"{text}."
