"""A study's learning curves cell by cell, and the numbers that its trainings are compared by: a metric and how its
curve is read out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.results.reader import StudyResults
from analysis.statistics.readouts import CellCurves, Reading, Readout, SeedOutcome, seed_readouts
from study.spec import Study
from study.spec.schema import MeanOfLast

CURVE_METRICS = ("validation/lower_bound", "train/lower_bound")
MOST_LAST_POINTS = 5


def declared_readout(study: Study) -> Readout:
    """The readout that the study file declares."""
    if isinstance(study.readout, MeanOfLast):
        return Readout("mean_of_last", study.readout.mean_of_last)
    return Readout(study.readout)


def curve_metric(results: StudyResults) -> str | None:
    """The metric whose learning curves are drawn and read out: the compared one where it was measured along the way,
    else validation, else training; None without a curve."""
    confirm = results.curves[results.curves["phase"] == "confirm"]
    points = confirm.groupby("metric")["samples"].nunique()
    return next((metric for metric in (results.study.metric, *CURVE_METRICS) if points.get(metric, 0) > 1), None)


def readings(results: StudyResults) -> tuple[Reading, ...]:
    """The declared reading, then every other one that the curves allow: final, best and the mean of the last points.

    A metric that is read once, at the end, has but one readout; the others are then those of the learning curves.
    """
    declared = Reading(results.study.metric, declared_readout(results.study))
    metric = curve_metric(results)
    if metric is None:
        return (declared,)
    curves = results.curves
    num_points = int(curves.loc[(curves["phase"] == "confirm") & (curves["metric"] == metric), "samples"].nunique())
    last = max(2, min(MOST_LAST_POINTS, num_points // 4))
    kinds = [Readout("final"), Readout("best"), *([Readout("mean_of_last", last)] if num_points > 2 else [])]
    return tuple(dict.fromkeys([declared, *(Reading(metric, kind) for kind in kinds)]))


def phase_curves(results: StudyResults, metric: str, phase: str = "confirm", rank: int = 0) -> dict[str, CellCurves]:
    """The curves of each cell under the seeds of a phase that trains one configuration of it: the winner (rank 0) or
    a runner-up.

    No entry for a cell without a point. A cell's steps are those that all its finished seeds share; where none
    finished, all that any seed has.
    """
    rows = results.trainings
    rows = rows[(rows["phase"] == phase) & (rows["rank"].fillna(0) == rank)]
    metric_points = results.curves[
        (results.curves["phase"] == phase)
        & (results.curves["metric"] == metric)
        & (results.curves["rank"].fillna(0) == rank)
    ].sort_values("samples")
    numbers = metric_points[["samples", "nats", "seconds"]].to_numpy(dtype=np.float64)
    rows_of: Mapping[Any, Any] = metric_points.groupby(["cell", "seed"]).indices
    points = {(str(cell), int(seed)): numbers[where].T for (cell, seed), where in rows_of.items()}
    return {
        str(cell): cell_curves
        for cell, trainings in rows.groupby("cell")
        if (cell_curves := _cell_curves(str(cell), trainings, points)) is not None
    }


def _cell_curves(
    cell: str, rows: pd.DataFrame, points: Mapping[tuple[str, int], NDArray[np.float64]]
) -> CellCurves | None:
    """The cell's curves from the samples, nats and seconds of each cell and seed, [3, points] in the order of samples;
    a curve ends where its nats are no longer finite."""
    outcomes = {int(seed): _outcome(str(outcome)) for seed, outcome in zip(rows["seed"], rows["outcome"], strict=True)}
    by_seed = {seed: points[cell, seed] for seed in sorted(outcomes) if (cell, seed) in points}
    if not by_seed:
        return None
    finished = [set(by_seed[seed][0]) for seed in by_seed if outcomes[seed] == "finished"]
    shared = set.intersection(*finished) if finished else set().union(*(samples for samples, *_ in by_seed.values()))
    steps = np.asarray(sorted(shared), dtype=np.int64)
    curves, seconds = np.full((2, len(outcomes), steps.size), math.nan)
    for row, seed in enumerate(sorted(outcomes)):
        if seed in by_seed:
            samples, nats, timing = by_seed[seed]
            steps_there, points_shared = np.isin(steps, samples), np.isin(samples, steps)
            finite = np.where(np.logical_and.accumulate(np.isfinite(nats)), nats, math.nan)
            curves[row, steps_there], seconds[row, steps_there] = finite[points_shared], timing[points_shared]
    seeds = tuple(sorted(outcomes))
    return CellCurves(
        cell,
        seeds,
        tuple(outcomes[seed] for seed in seeds),
        steps,
        curves,
        seconds if np.isfinite(seconds).any() else None,
    )


def _outcome(outcome: str) -> SeedOutcome:
    if outcome == "diverged":
        return "diverged"
    return "unfinished" if outcome == "failed" else "finished"


def seed_numbers(
    results: StudyResults, reading: Reading, phase: str = "confirm", rank: int = 0
) -> dict[str, dict[int, float]]:
    """The reading of every seed that has one, by cell: see `curve_numbers`; the final one is taken from where the
    training ended, wherever that is."""
    if reading.readout.kind == "final":
        return _final_numbers(results, reading.metric, phase, rank)
    return curve_numbers(phase_curves(results, reading.metric, phase, rank), reading.readout)


def curve_numbers(cells: Mapping[str, CellCurves], readout: Readout) -> dict[str, dict[int, float]]:
    """The readout of every finished seed, by cell; of none in a cell that was measured less often than the readout
    takes."""
    return {
        name: seed_readouts(cell, readout) if cell.steps.size >= readout.num_points else {}
        for name, cell in cells.items()
    }


def _final_numbers(results: StudyResults, metric: str, phase: str, rank: int) -> dict[str, dict[int, float]]:
    rows = results.trainings
    if metric not in rows:
        return {}
    rows = rows[(rows["phase"] == phase) & (rows["rank"].fillna(0) == rank)]
    numbers: dict[str, dict[int, float]] = {}
    for cell, seed, nats in zip(rows["cell"], rows["seed"], rows[metric], strict=True):
        if not pd.isna(nats) and math.isfinite(nats):
            numbers.setdefault(str(cell), {})[int(seed)] = float(nats)
    return numbers


def mean_curves(cells: Sequence[CellCurves], name: str) -> CellCurves | None:
    """The mean over several cells within each seed, at the steps and seeds that all have; lost where any of them is.
    None without a common one."""
    if not cells:
        return None
    steps = np.asarray(sorted(set.intersection(*(set(cell.steps.tolist()) for cell in cells))), dtype=np.int64)
    seeds = sorted(set.intersection(*(set(cell.seeds) for cell in cells)))
    if not steps.size or not seeds:
        return None
    parts = [
        cell.curves[[cell.seeds.index(seed) for seed in seeds]][:, np.searchsorted(cell.steps, steps)] for cell in cells
    ]
    outcomes = tuple(_worst([cell.outcomes[cell.seeds.index(seed)] for cell in cells]) for seed in seeds)
    return CellCurves(name, tuple(seeds), outcomes, steps, np.mean(parts, axis=0))


def _worst(outcomes: Sequence[SeedOutcome]) -> SeedOutcome:
    return next((outcome for outcome in ("unfinished", "diverged") if outcome in outcomes), "finished")
