"""The cells of curves in one metric, at the steps that their seeds share, and how each curve ended."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.curves.file import CurveFileError
from analysis.curves.table import CurveTable
from analysis.statistics.readouts import CellCurves, SeedOutcome
from vae.settings.nearest import unknown_name_message

COMPARABLE = 0.95
"""The share of the horizon that the last common step has to reach: before it cells are compared that are not yet what
they become."""


@dataclass(frozen=True)
class MetricCurves:
    """All cells in one metric, sorted by name, at the steps that their finished seeds share; `notes` as in CurveTable.

    `horizon`: the last step of the cell that was trained least. Unless the last common step `is_near` it, nothing can
    be compared.
    """

    metric: str
    cells: tuple[CellCurves, ...]
    horizon: int
    notes: tuple[str, ...]

    @property
    def is_near(self) -> bool:
        """Whether the last common step lies near the horizon."""
        return self.cells[0].horizon >= COMPARABLE * self.horizon


def metric_curves(table: CurveTable, metric: str, early_stopping: bool = False) -> MetricCurves:
    """The cells of `table` in `metric`; a CurveFileError where it was not measured or where cells share no step.
    `early_stopping` as in `curves_of`."""
    if metric not in table.metrics:
        raise CurveFileError(unknown_name_message(metric, table.metrics, "a metric of these curves"))
    points = table.frame[table.frame["metric"] == metric]
    lacking = sorted(set(table.frame["cell"]) - set(points["cell"]))
    without = [f"Without {metric!r}, and not compared: cell {', '.join(map(repr, lacking))}."] if lacking else []
    found = curves_of(points, metric, early_stopping)
    return replace(found, notes=(*table.metric_notes.get(metric, ()), *without, *found.notes))


def curves_of(points: pd.DataFrame, metric: str, early_stopping: bool = False) -> MetricCurves:
    """The curves in `points`, the rows of one metric with columns cell, seed, step, value and seconds.

    The horizon is the last step of the cell that was trained least, diverged seeds aside; a seed that ends before it
    without a divergence is unfinished. With `early_stopping` it is that of the cell that was trained longest: a curve
    that ends before it has finished, and its last value stands for what would follow.
    """
    if points.empty:
        raise CurveFileError(f"there is no point of the metric {metric!r}")
    points = points.sort_values(["cell", "seed", "step"], ignore_index=True)
    seeds = _by_seed(points)
    names = sorted({cell for cell, _ in seeds})
    ends = _ends(seeds)
    horizon = max(ends.values()) if early_stopping else min(ends.values())
    notes = _early_ends(seeds, horizon) if early_stopping else []
    seeds = {key: _carried(rows, points, horizon) for key, rows in seeds.items()} if early_stopping else seeds
    ends = _ends(seeds)
    outcomes = {key: _outcome(rows, horizon) for key, rows in seeds.items()}
    steps = _common_steps(
        [_steps(rows) for key, rows in seeds.items() if outcomes[key] == "finished"] or [_steps(points)], horizon
    )
    if not steps.size:
        raise CurveFileError(
            f"the seeds of {', '.join(map(repr, names))} have no step of {metric!r} in common up to {horizon:,};"
            " allowed: values at the same steps"
        )
    cells = tuple(
        _cell_curves(name, {seed: rows for (cell, seed), rows in seeds.items() if cell == name}, outcomes, steps)
        for name in names
    )
    notes = [*_few(cells), *notes, *_curve_notes(seeds, outcomes, ends, steps)]
    return MetricCurves(metric, cells, horizon, tuple(notes))


def _early_ends(seeds: dict[tuple[str, int], pd.DataFrame], horizon: int) -> list[str]:
    """How many curves ended early by declaration."""
    early = [key for key, rows in seeds.items() if np.isfinite(rows["value"]).all() and rows["step"].max() < horizon]
    return [
        f"Ended early, as declared: {len(early)} of {len(seeds)} curves. The last value of each stands for what would"
        f" follow, up to step {horizon:,}."
    ] * bool(early)


def _carried(rows: pd.DataFrame, points: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """A curve that goes on with its last row at all later steps of `points`."""
    later = points["step"][(points["step"] > rows["step"].max()) & (points["step"] <= horizon)].unique()
    more = pd.concat([rows.tail(1)] * len(later)).assign(step=np.sort(later)) if len(later) else rows.head(0)
    return pd.concat([rows, more], ignore_index=True)


def _few(cells: tuple[CellCurves, ...]) -> Iterator[str]:
    """What is too little to compare."""
    if len(cells) == 1:
        yield f"There is one cell, {cells[0].cell!r}: nothing to compare it with."
    for cell in cells:
        if len(cell.seeds) == 1:
            unknown = "its spread is not known, and no interval or verdict can be given"
            yield f"The cell {cell.cell!r} has one seed: {unknown}."


def _by_seed(points: pd.DataFrame) -> dict[tuple[str, int], pd.DataFrame]:
    return {
        (str(rows["cell"].iloc[0]), int(rows["seed"].iloc[0])): rows for _, rows in points.groupby(["cell", "seed"])
    }


def _ends(seeds: dict[tuple[str, int], pd.DataFrame]) -> dict[str, int]:
    """The last step of each cell, by its seeds that did not diverge; of all cells where every seed did."""
    sound = {key: rows for key, rows in seeds.items() if np.isfinite(rows["value"]).all()} or seeds
    return {
        name: max(max(_steps(rows)) for (cell, _), rows in sound.items() if cell == name)
        for name in sorted({cell for cell, _ in sound})
    }


def _steps(rows: pd.DataFrame) -> set[int]:
    return {int(step) for step in rows["step"]}


def _outcome(rows: pd.DataFrame, horizon: int) -> SeedOutcome:
    values = rows["value"].to_numpy(dtype=np.float64)
    if not np.isfinite(values[rows["step"].to_numpy() <= horizon]).all():
        return "diverged"
    return "finished" if int(rows["step"].max()) >= horizon else "unfinished"


def _common_steps(step_sets: list[set[int]], horizon: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.asarray(sorted(step for step in set.intersection(*step_sets) if step <= horizon), dtype=np.int64)


def _cell_curves(
    name: str,
    seeds: dict[int, pd.DataFrame],
    outcomes: dict[tuple[str, int], SeedOutcome],
    steps: np.ndarray[Any, np.dtype[np.int64]],
) -> CellCurves:
    curves, seconds = np.full((2, len(seeds), steps.size), math.nan)
    for row, seed in enumerate(sorted(seeds)):
        points = seeds[seed].set_index("step")
        values = points["value"].where(np.isfinite(points["value"]).cummin())
        curves[row] = values.reindex(steps).to_numpy(dtype=np.float64)
        seconds[row] = points["seconds"].reindex(steps).to_numpy(dtype=np.float64)
    known = tuple(outcomes[name, seed] for seed in sorted(seeds))
    return CellCurves(name, tuple(sorted(seeds)), known, steps, curves, seconds if np.isfinite(seconds).any() else None)


def _curve_notes(
    seeds: dict[tuple[str, int], pd.DataFrame],
    outcomes: dict[tuple[str, int], SeedOutcome],
    ends: dict[str, int],
    steps: np.ndarray[Any, np.dtype[np.int64]],
) -> tuple[str, ...]:
    notes, horizon = [], min(ends.values())
    for (cell, seed), outcome in sorted(outcomes.items()):
        rows = seeds[cell, seed]
        lost = rows.loc[~np.isfinite(rows["value"]), "step"]
        if outcome == "unfinished":
            notes.append(
                f"Unfinished: cell {cell!r}, seed {seed} ends at step {int(rows['step'].max()):,} of {horizon:,}. Its"
                " claims stay inconclusive."
            )
        elif outcome == "diverged":
            notes.append(
                f"Diverged: cell {cell!r}, seed {seed}"
                + (f" from step {int(lost.iloc[0]):,} on." if len(lost) else ".")
            )
    if len(set(ends.values())) > 1:
        is_near = int(steps[-1]) >= COMPARABLE * horizon
        compared = f"All are compared at {int(steps[-1]):,}" if is_near else "Nothing is compared"
        lengths = ", ".join(f"{cell!r} to {end:,}" for cell, end in sorted(ends.items()))
        notes.append(f"Unequal budgets: {lengths}. {compared}.")
    num_steps = len(
        {step for key, rows in seeds.items() if outcomes[key] == "finished" for step in _steps(rows) if step <= horizon}
    )
    if num_steps > steps.size:
        notes.append(
            f"Unequal steps: only {steps.size} of {num_steps} steps are there for every finished seed, the last at"
            f" {int(steps[-1]):,}; only they are used."
        )
    by_cell = {cell: {seed for other, seed in seeds if other == cell} for cell, _ in seeds}
    everywhere = set[int].intersection(*by_cell.values())
    alone = sorted({seed for _, seed in seeds} - everywhere)
    if alone:
        notes.append(
            f"Not in every cell: seed {', '.join(map(str, alone))}. Pairs are of the seeds that both cells have."
        )
    return tuple(notes)
