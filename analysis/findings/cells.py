"""What is known of each cell: its search, its winner, its outcomes, its bounds and its learning curve. No drawing
here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from analysis.findings.readings import curve_metric, curve_numbers, phase_curves, readings, seed_numbers
from analysis.results.completeness import records
from analysis.results.outcomes import LOST, OUTCOMES
from analysis.results.reader import StudyResults
from analysis.statistics.intervals import Band, Interval, mean_band, t_interval
from analysis.statistics.readouts import CellCurves, Reading
from analysis.statistics.verdicts import Outcomes
from study.protocol.edges import decoded, hull, touched_edges
from study.spec.cells import Cell, search_space, study_cells
from study.spec.schema import NOISE_FLOOR, Distribution
from study.spec.titles import cell_title

IMPORTANCE = "test/importance_weighted_bound"


@dataclass(frozen=True)
class ProposalFinding:
    """One proposal of a cell's search: its objective in nats is the mean over the tuning seeds, NaN where any was
    lost; `by_seed` has those that were not."""

    number: int
    hyperparameters: Mapping[str, Any]
    objective: float
    num_seeds: int
    num_lost: int
    by_seed: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class CurveFinding:
    """A cell's learning curve over its reporting seeds, up to where the first of them was lost: nobody is dropped
    from a mean."""

    metric: str
    samples: np.ndarray[Any, np.dtype[np.int64]]
    band: Band
    num_seeds: int


@dataclass(frozen=True)
class RunnerUp:
    """The neighbouring proposal under the reporting seeds: its declared reading by seed, None where it diverged."""

    proposal: int
    outcomes: Outcomes


@dataclass(frozen=True)
class CellFinding:
    """One cell. `space`: what was searched, extra rounds and all. `finals`: the declared reading of the compared
    metric by reporting seed, for those that have one.

    `others`: every other reading. `mean` and `interval` only where no reporting seed was lost. `curves`: the
    winner's learning curves seed by seed. `codes`: the versions of the code, as far as they are known, that trained
    the reporting seeds.
    """

    cell: Cell
    space: Mapping[str, Distribution]
    proposals: tuple[ProposalFinding, ...]
    winner: int | None
    edges: tuple[str, ...]
    outcomes: Mapping[str, int]
    search_outcomes: Mapping[str, int]
    num_missing: int
    finals: Mapping[int, float]
    diverged_seeds: frozenset[int]
    mean: float | None
    interval: Interval | None
    importance_weighted: float | None
    curve: CurveFinding | None
    num_parameters: int | None
    horizon_samples: int | None
    others: Mapping[Reading, Mapping[int, float]] = field(default_factory=dict)
    curves: CellCurves | None = None
    runner_up: RunnerUp | None = None
    num_extra_rounds: int = 0
    codes: frozenset[str] = frozenset()

    @property
    def title(self) -> str:
        """The cell as figures and sentences call it."""
        return cell_title(self.cell)

    @property
    def num_lost(self) -> int:
        """Reporting seeds that diverged or failed: they have no bound."""
        return sum(self.outcomes[outcome] for outcome in LOST)

    @property
    def num_trained(self) -> int:
        """Reporting seeds that were trained, however they ended."""
        return sum(self.outcomes.values())

    @property
    def num_failed(self) -> int:
        """Reporting seeds whose code raised: no outcome of the training, so that they count as missing."""
        return self.outcomes["failed"]

    @property
    def winning_proposal(self) -> ProposalFinding | None:
        """The proposal that the confirm phase trained as the winner."""
        return next((proposal for proposal in self.proposals if proposal.number == self.winner), None)


@dataclass(frozen=True)
class _CellReadings:
    """What is read of all cells at once: the numbers of each reading, the curves, the runners-up."""

    by_reading: Mapping[Reading, Mapping[str, Mapping[int, float]]]
    curves: Mapping[str, CellCurves]
    runners_up: Mapping[str, Mapping[int, float]]


def cell_findings(results: StudyResults) -> tuple[CellFinding, ...]:
    """A finding for every cell of the study, in the study file's order, also where nothing of it was trained."""
    study_readings, metric = readings(results), curve_metric(results)
    curves = phase_curves(results, metric) if metric else {}
    numbers = {
        reading: (
            curve_numbers(curves, reading.readout)
            if reading.metric == metric and reading.readout.kind != "final"
            else seed_numbers(results, reading)
        )
        for reading in study_readings
    }
    read = _CellReadings(numbers, curves, seed_numbers(results, study_readings[0], rank=1))
    return tuple(_cell_finding(results, cell, read) for cell in study_cells(results.study))


def _cell_finding(results: StudyResults, cell: Cell, read: _CellReadings) -> CellFinding:
    rows = results.trainings[results.trainings["cell"] == cell.label]
    confirm = rows[(rows["phase"] == "confirm") & (rows["rank"].fillna(0) == 0)]
    search = rows[rows["phase"] == "search"]
    space = _searched_space(search_space(results.study, cell), search)
    proposals = _proposals(results, search, space)
    winner = next((int(number) for number in confirm["proposal"] if not pd.isna(number)), None)
    declared, *others = [(reading, by_cell.get(cell.label, {})) for reading, by_cell in read.by_reading.items()]
    finals = declared[1]
    complete = bool(finals) and len(finals) == len(confirm)
    bounds = _by_seed(confirm, IMPORTANCE)
    return CellFinding(
        cell=cell,
        space=space,
        proposals=proposals,
        winner=winner,
        edges=_edges(space, proposals, winner),
        outcomes=_outcomes(confirm),
        search_outcomes=_outcomes(search),
        num_missing=int(((results.missing["cell"] == cell.label) & (results.missing["phase"] != NOISE_FLOOR)).sum()),
        finals=finals,
        diverged_seeds=frozenset(int(seed) for seed in confirm.loc[confirm["outcome"] == "diverged", "seed"]),
        mean=float(np.mean(list(finals.values()))) if complete else None,
        interval=t_interval(list(finals.values()), results.study.confidence) if complete else None,
        importance_weighted=float(np.mean(list(bounds.values()))) if bounds and len(bounds) == len(confirm) else None,
        curve=_curve(results, confirm),
        num_parameters=_integer_of(confirm if len(confirm) else search, "num_parameters"),
        horizon_samples=_horizon(results, confirm),
        others=dict(others),
        curves=read.curves.get(cell.label),
        runner_up=_runner_up(
            rows[(rows["phase"] == "confirm") & (rows["rank"].fillna(0) == 1)], read.runners_up.get(cell.label, {})
        ),
        num_extra_rounds=int(search["extra_round"].max()) if "extra_round" in search and len(search) else 0,
        codes=code_versions(confirm),
    )


def code_versions(trainings: pd.DataFrame) -> frozenset[str]:
    """The digests of the code that made these trainings, where a training has one."""
    return frozenset(map(str, trainings["code_sha256"].dropna())) - {""} if "code_sha256" in trainings else frozenset()


def _runner_up(rows: pd.DataFrame, numbers: Mapping[int, float]) -> RunnerUp | None:
    proposal = next((int(number) for number in rows["proposal"] if not pd.isna(number)), None)
    if proposal is None:
        return None
    diverged = (int(seed) for seed in rows.loc[rows["outcome"] == "diverged", "seed"])
    return RunnerUp(proposal, {**numbers, **dict.fromkeys(diverged)})


def _outcomes(rows: pd.DataFrame) -> dict[str, int]:
    return {outcome: int((rows["outcome"] == outcome).sum()) for outcome in OUTCOMES}


def _by_seed(rows: pd.DataFrame, metric: str) -> dict[int, float]:
    """The metric by seed, where it is a finite number."""
    if metric not in rows:
        return {}
    pairs = zip(rows["seed"], rows[metric], strict=True)
    return {int(seed): float(nats) for seed, nats in pairs if _is_number(nats)}


def _integer_of(rows: pd.DataFrame, name: str) -> int | None:
    entries = rows[name].dropna() if name in rows else pd.Series(dtype=float)
    return int(entries.iloc[0]) if len(entries) else None


def _horizon(results: StudyResults, confirm: pd.DataFrame) -> int | None:
    points = results.curves[
        results.curves["identity"].isin(confirm["identity"]) & (results.curves["metric"] == results.study.metric)
    ]
    return int(points["samples"].max()) if len(points) else _integer_of(confirm, "budget_samples")


def _proposals(
    results: StudyResults, search: pd.DataFrame, space: Mapping[str, Distribution]
) -> tuple[ProposalFinding, ...]:
    metric = results.study.search.objective if results.study.search else ""
    columns = [name for name in dict.fromkeys(["proposal", "seed", "outcome", metric, *space]) if name in search]
    by_number: dict[int, list[dict[str, Any]]] = {}
    for row in records(search[columns]):
        if not pd.isna(row["proposal"]):
            by_number.setdefault(int(row["proposal"]), []).append(row)
    findings = []
    for number, rows in sorted(by_number.items()):
        first = next((row for row in rows if any(_is_recorded(row.get(name)) for name in space)), None)
        if space and first is None:  # its code failed before anything of it was recorded
            continue
        objectives = {int(row["seed"]): float(row[metric]) for row in rows if _is_number(row.get(metric))}
        complete = len(objectives) == len(rows)
        findings.append(
            ProposalFinding(
                number=number,
                hyperparameters={name: (first or {}).get(name) for name in sorted(space)},
                objective=float(np.mean(list(objectives.values()))) if complete else math.nan,
                num_seeds=len(rows),
                num_lost=sum(row["outcome"] in LOST for row in rows),
                by_seed=objectives,
            )
        )
    return tuple(findings)


def _is_recorded(entry: Any) -> bool:
    return not (pd.api.types.is_scalar(entry) and pd.isna(entry))


def _is_number(entry: Any) -> bool:
    return _is_recorded(entry) and math.isfinite(entry)


def _searched_space(declared: Mapping[str, Distribution], search: pd.DataFrame) -> dict[str, Distribution]:
    """The space as extra rounds have widened it: it holds every space that the cell's proposals were drawn from."""
    widened = dict(declared)
    for text in sorted({str(entry) for entry in search["space"] if entry}) if "space" in search else ():
        widened = hull(widened, decoded(text))
    return widened


def _edges(
    space: Mapping[str, Distribution], proposals: tuple[ProposalFinding, ...], winner: int | None
) -> tuple[str, ...]:
    """In words, every hyperparameter of the winner that touches an edge: of the space, or of what was proposed."""
    best = next((proposal for proposal in proposals if proposal.number == winner), None)
    if best is None:
        return ()
    return tuple(
        edge.words
        for edge in touched_edges(space, [proposal.hyperparameters for proposal in proposals], best.hyperparameters)
    )


def _curve(results: StudyResults, confirm: pd.DataFrame) -> CurveFinding | None:
    points = results.curves[results.curves["identity"].isin(confirm["identity"])]
    for metric in ("validation/lower_bound", "train/lower_bound"):
        metric_points = points[points["metric"] == metric]
        if metric_points.empty:
            continue
        table = metric_points.assign(nats=metric_points["nats"].where(np.isfinite(metric_points["nats"]))).pivot(
            index="identity", columns="samples", values="nats"
        )
        table = table.reindex(confirm["identity"]).dropna(axis="columns")
        if table.shape[1] == 0:
            return None
        return CurveFinding(
            metric,
            table.columns.to_numpy(dtype=np.int64),
            mean_band(table.to_numpy(dtype=np.float64), results.study.confidence),
            len(table),
        )
    return None
