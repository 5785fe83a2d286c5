"""What is known of each cell: its search, its winner, its outcomes, its bounds and its learning curve. No drawing here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.completeness import LOST, records
from analysis.results import StudyResults
from analysis.statistics import Band, Interval, mean_band, t_interval
from study.cells import Cell, level_text, search_space, study_cells
from study.spec import Choices, Distribution, Level, Range

OUTCOMES = ("finished", "failed_to_learn", "diverged", "failed")
OUTER_SHARE = 0.1
IMPORTANCE = "test/importance_weighted_bound"


@dataclass(frozen=True)
class ProposalFinding:
    """One proposal of a cell's search: its objective in nats is the mean over the tuning seeds, NaN where any was lost."""

    number: int
    hyperparameters: Mapping[str, Any]
    objective: float
    num_seeds: int
    num_lost: int


@dataclass(frozen=True)
class CurveFinding:
    """A cell's learning curve over its reporting seeds, up to where the first of them was lost: nobody is dropped from a mean."""

    metric: str
    samples: np.ndarray[Any, np.dtype[np.int64]]
    band: Band
    num_seeds: int


@dataclass(frozen=True)
class CellFinding:
    """One cell. `finals`: the compared metric by reporting seed, for those that have one. `mean` and `interval` only where none was lost."""

    cell: Cell
    space: Mapping[str, Distribution]
    proposals: tuple[ProposalFinding, ...]
    winner: int | None
    edges: tuple[str, ...]
    outcomes: Mapping[str, int]
    search_outcomes: Mapping[str, int]
    num_missing: int
    finals: Mapping[int, float]
    mean: float | None
    interval: Interval | None
    importance_weighted: float | None
    curve: CurveFinding | None
    num_parameters: int | None
    horizon_samples: int | None

    @property
    def title(self) -> str:
        """The cell as figures and sentences call it."""
        return self.cell.name or levels_title(dict(self.cell.levels)) or "the only cell"

    @property
    def num_lost(self) -> int:
        """Reporting seeds that diverged or failed: they have no bound."""
        return sum(self.outcomes[outcome] for outcome in OUTCOMES if outcome in LOST)

    @property
    def winning_proposal(self) -> ProposalFinding | None:
        """The proposal that the confirm phase trained as the winner."""
        return next((proposal for proposal in self.proposals if proposal.number == self.winner), None)


def level_title(factor: str, level: Level) -> str:
    """A level as a person says it: `adam`, `2 hidden layers`, `20 latent dimensions`."""
    text = level_text(level)
    if factor in ("optimizer", "activation", "dataset"):
        return text
    if factor == "num_hidden_layers":
        return f"{text} hidden layer" + ("" if text == "1" else "s")
    if factor == "latent_dim":
        return f"{text} latent dimension" + ("" if text == "1" else "s")
    return f"{factor.replace('_', ' ')} {text}"


def levels_title(levels: Mapping[str, Level]) -> str:
    """Several levels, the optimizer first: `adam, 2 hidden layers`."""
    names = sorted(levels, key=lambda name: (name != "optimizer", name))
    return ", ".join(level_title(name, levels[name]) for name in names)


def cell_findings(results: StudyResults) -> tuple[CellFinding, ...]:
    """A finding for every cell of the study, in the study file's order, also where nothing of it was trained."""
    return tuple(_cell_finding(results, cell) for cell in study_cells(results.study))


def _cell_finding(results: StudyResults, cell: Cell) -> CellFinding:
    rows = results.trainings[results.trainings["cell"] == cell.label]
    confirm = rows[(rows["phase"] == "confirm") & (rows["rank"].fillna(0) == 0)]
    search = rows[rows["phase"] == "search"]
    space = search_space(results.study, cell)
    proposals = _proposals(results, search, space)
    winner = next((int(number) for number in confirm["proposal"] if not pd.isna(number)), None)
    outcomes = _outcomes(confirm)
    finals = _by_seed(confirm, results.study.metric)
    complete = bool(finals) and len(finals) == len(confirm)
    bounds = _by_seed(confirm, IMPORTANCE)
    return CellFinding(
        cell=cell,
        space=space,
        proposals=proposals,
        winner=winner,
        edges=_edges(space, proposals, winner),
        outcomes=outcomes,
        search_outcomes=_outcomes(search),
        num_missing=int((results.missing["cell"] == cell.label).sum()),
        finals=finals,
        mean=float(np.mean(list(finals.values()))) if complete else None,
        interval=t_interval(list(finals.values()), results.study.confidence) if complete else None,
        importance_weighted=float(np.mean(list(bounds.values()))) if bounds and len(bounds) == len(confirm) else None,
        curve=_curve(results, confirm),
        num_parameters=_whole(confirm if len(confirm) else search, "num_parameters"),
        horizon_samples=_horizon(results, confirm),
    )


def _outcomes(rows: pd.DataFrame) -> dict[str, int]:
    return {outcome: int((rows["outcome"] == outcome).sum()) for outcome in OUTCOMES}


def _by_seed(rows: pd.DataFrame, metric: str) -> dict[int, float]:
    """The metric by seed, where it is a finite number."""
    if metric not in rows:
        return {}
    pairs = zip(rows["seed"], rows[metric], strict=True)
    return {int(seed): float(nats) for seed, nats in pairs if not pd.isna(nats) and math.isfinite(nats)}


def _whole(rows: pd.DataFrame, name: str) -> int | None:
    held = rows[name].dropna() if name in rows else pd.Series(dtype=float)
    return int(held.iloc[0]) if len(held) else None


def _horizon(results: StudyResults, confirm: pd.DataFrame) -> int | None:
    points = results.curves[results.curves["identity"].isin(confirm["identity"]) & (results.curves["metric"] == results.study.metric)]
    return int(points["samples"].max()) if len(points) else _whole(confirm, "budget_samples")


def _proposals(results: StudyResults, search: pd.DataFrame, space: Mapping[str, Distribution]) -> tuple[ProposalFinding, ...]:
    metric = results.study.search.objective if results.study.search else ""
    found = []
    for number, rows in search.groupby("proposal", sort=True):
        first = records(rows[[name for name in space if name in rows]].head(1))[0]
        objectives = _by_seed(rows, metric)
        complete = len(objectives) == len(rows)
        found.append(
            ProposalFinding(
                number=int(str(number)),
                hyperparameters={name: first.get(name) for name in sorted(space)},
                objective=float(np.mean(list(objectives.values()))) if complete else math.nan,
                num_seeds=len(rows),
                num_lost=int(rows["outcome"].isin(LOST).sum()),
            )
        )
    return tuple(found)


def _edges(space: Mapping[str, Distribution], proposals: tuple[ProposalFinding, ...], winner: int | None) -> tuple[str, ...]:
    """In words, every hyperparameter of the winner that touches an edge: of the space, or of what was proposed."""
    best = next((proposal for proposal in proposals if proposal.number == winner), None)
    if best is None:
        return ()
    touched = []
    for name, distribution in sorted(space.items()):
        tried = sorted(float(p.hyperparameters[name]) for p in proposals if isinstance(p.hyperparameters[name], (int, float)))
        number = best.hyperparameters[name]
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not tried:
            continue
        touched += _edge_words(name, float(number), distribution, tried)
    return tuple(touched)


def _edge_words(name: str, number: float, distribution: Distribution, tried: list[float]) -> list[str]:
    if isinstance(distribution, Range):
        share = share_of_range(number, distribution)
        if not OUTER_SHARE <= share <= 1 - OUTER_SHARE:
            return [f"{name} {number:.3g} lies in the {'upper' if share > 0.5 else 'lower'} tenth of its range {distribution.low:g} to {distribution.high:g}"]
    elif len(distribution.choices) < 2:
        return []
    if tried[0] < tried[-1] and number in (tried[0], tried[-1]):
        return [f"{name} {number:.3g} is the {'largest' if number == tried[-1] else 'smallest'} that was proposed"]
    return []


def share_of_range(number: float, distribution: Range) -> float:
    """Where `number` lies in the range, 0 at its low and 1 at its high end, on the range's own scale."""
    low, high = distribution.low, distribution.high
    if distribution.log:
        return math.log(number / low) / math.log(high / low) if number > 0 else 0.0
    return (number - low) / (high - low)


def _curve(results: StudyResults, confirm: pd.DataFrame) -> CurveFinding | None:
    points = results.curves[results.curves["identity"].isin(confirm["identity"])]
    for metric in ("validation/lower_bound", "train/lower_bound"):
        own = points[points["metric"] == metric]
        if own.empty:
            continue
        table = own.assign(nats=own["nats"].where(np.isfinite(own["nats"]))).pivot(index="identity", columns="samples", values="nats")
        table = table.reindex(confirm["identity"]).dropna(axis="columns")
        if table.shape[1] == 0:
            return None
        return CurveFinding(metric, table.columns.to_numpy(dtype=np.int64), mean_band(table.to_numpy(dtype=np.float64), results.study.confidence), len(table))
    return None


def space_text(space: Mapping[str, Distribution]) -> str:
    """A search space in words: `learning_rate 0.001 to 0.1 (log)`."""
    return "; ".join(f"{name} {_distribution_text(distribution)}" for name, distribution in sorted(space.items())) or "nothing is searched"


def _distribution_text(distribution: Distribution) -> str:
    if isinstance(distribution, Choices):
        return "one of " + ", ".join(level_text(choice) for choice in distribution.choices)
    kinds = [kind for kind, holds in (("log", distribution.log), ("whole numbers", distribution.integer)) if holds]
    return f"{distribution.low:g} to {distribution.high:g}" + (f" ({', '.join(kinds)})" if kinds else "")
