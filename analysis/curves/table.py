"""Anybody's curves from a file: a CSV or Parquet table with the columns cell, seed, step, metric, value and
optionally seconds.

| column | content |
|---|---|
| cell | what is compared: any text, such as `adam` |
| seed | a whole number; the same number in two cells makes a pair |
| step | a whole number from 0: training samples, or whatever counts the budget in every cell |
| metric | the name of what was measured: any text |
| value | a number up to 1e100 in size; empty, `nan` or infinite where the training diverged: from there on it counts as
diverged |
| seconds | optional: training time up to this point, a number from 0 to 1e100, or empty |

Every fault of a file is reported at once, as text. What can be worked with, but limits what can be concluded, is a
note.
"""

from __future__ import annotations

import csv
import difflib
import itertools
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.statistics.readouts import CellCurves, SeedOutcome
from vae.errors import RequestError
from vae.settings.nearest import unknown_name_message

REQUIRED = ("cell", "seed", "step", "metric", "value")
OPTIONAL = ("seconds",)
WORDS_FOR_DIVERGED = frozenset({"", "nan", "none", "null", "na", "n/a", "-nan"})
MAX_NAMED = 3
LARGEST_WHOLE = 2**53
LARGEST = 1e100
"""Beyond it the third powers that an interval takes overflow; a training whose numbers are finite and this large is
to be called diverged by its owner."""


class CurveFileError(RequestError):
    """A file of curves cannot be used; the message lists every fault that was found."""


@dataclass(frozen=True)
class CurveTable:
    """Curves as read: `frame` with cell, metric (text), seed, step (int64), value and seconds (float64), sorted by
    cell, seed, metric and step.

    `value` is NaN or infinite where a training diverged. `notes`: what limits the conclusions, in words.
    """

    frame: pd.DataFrame
    has_seconds: bool
    notes: tuple[str, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of what was measured, sorted."""
        return tuple(sorted(self.frame["metric"].unique()))


@dataclass(frozen=True)
class MetricCurves:
    """All cells in one metric, sorted by name, at the steps that their finished seeds share; `notes` as in
    CurveTable."""

    metric: str
    cells: tuple[CellCurves, ...]
    notes: tuple[str, ...]


def read_curves(path: Path) -> CurveTable:
    """The curves in the CSV or Parquet file `path`; a CurveFileError names every fault with its row or line."""
    raw = _read(path)
    raw.columns = pd.Index([str(name).strip() for name in raw.columns])
    _check_columns(path, raw)
    faults: list[str] = []
    columns = {
        "cell": _texts(raw["cell"], "cell", faults),
        "seed": _wholes(raw["seed"], "seed", faults),
        "step": _wholes(raw["step"], "step", faults),
        "metric": _texts(raw["metric"], "metric", faults),
        "value": _numbers(raw["value"], "value", faults),
    }
    has_seconds = "seconds" in raw.columns
    if has_seconds:
        columns["seconds"] = _numbers(raw["seconds"], "seconds", faults)
    faults += _out_of_range(columns, raw)
    frame = pd.DataFrame(columns, index=raw.index)
    if not faults:
        faults += _duplicates(frame)
    if faults:
        raise CurveFileError(f"{path.name} cannot be used:\n" + "\n".join(f"- {fault}" for fault in faults))
    frame = frame.astype({"seed": np.int64, "step": np.int64})
    frame = frame.assign(seconds=frame["seconds"] if has_seconds else math.nan).sort_values(
        ["cell", "seed", "metric", "step"], ignore_index=True
    )
    return CurveTable(frame, has_seconds, _notes(frame, raw.columns))


def _read(path: Path) -> pd.DataFrame:
    """The file's table, as text or as it is typed, indexed by what a person numbers a row by: its line in a CSV, its
    place from 1 in Parquet."""
    if not path.is_file():
        raise CurveFileError(f"there is no file {path}")
    parquet = path.suffix.lower() in (".parquet", ".pq")
    try:
        if parquet:
            table = pd.read_parquet(path)
            return table.set_axis(range(1, len(table) + 1), axis=0)
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            # Not as a comprehension, whose key, the reader's state, looks constant to a linter (B035).
            numbered = ((reader.line_num, line) for line in reader)
            lines = dict(pair for pair in numbered if any(field.strip() for field in pair[1]))
    except (ValueError, OSError, ImportError, csv.Error) as error:
        kind = "Parquet" if parquet else "CSV"
        raise CurveFileError(
            f"{path.name} cannot be read as {kind} ({str(error).strip() or type(error).__name__}); allowed: a CSV in"
            " UTF-8, or Parquet"
        ) from error
    if not lines:
        raise CurveFileError(
            f"{path.name} is empty; allowed: a header with the columns {', '.join(REQUIRED)}, and a row for each point"
        )
    header = lines.pop(min(lines))
    uneven = [number for number, line in lines.items() if len(line) != len(header)]
    if uneven:
        rule = (
            f"the header has {len(header)} fields, {_rows(uneven)} {len(lines[uneven[0]])}; allowed: as many in every"
            " row, empty where a training diverged"
        )
        raise CurveFileError(f"{path.name} cannot be used:\n- {rule}")
    return pd.DataFrame(list(lines.values()), index=list(lines), columns=header, dtype=object)


def _check_columns(path: Path, raw: pd.DataFrame) -> None:
    names = list(raw.columns)
    repeated = sorted({name for name in names if names.count(name) > 1 and name in REQUIRED + OPTIONAL})
    missing = [name for name in REQUIRED if name not in names]
    faults = [f"the column {name!r} is there more than once" for name in repeated] + [
        _missing_column(name, names) for name in missing
    ]
    separators = [mark for mark in (";", "\t", "|") if len(names) == 1 and mark in names[0]]
    if separators:
        faults = [f"its columns are separated by {separators[0]!r}; they must be separated by commas"]
    if not faults and raw.empty:
        faults = ["it has a header and no rows"]
    if faults:
        columns = (
            f"Needed: {', '.join(REQUIRED)}; optional: {', '.join(OPTIONAL)}. Found:"
            f" {', '.join(map(repr, names)) or 'none'}."
        )
        raise CurveFileError(
            f"{path.name} cannot be used:\n" + "\n".join(f"- {fault}" for fault in faults) + f"\n{columns}"
        )


def _missing_column(name: str, columns: Iterable[str]) -> str:
    free = {other.lower(): other for other in columns if other not in REQUIRED + OPTIONAL}
    near = difflib.get_close_matches(name, free, n=1, cutoff=0.6)
    return f"the column {name!r} is missing" + (f"; is {free[near[0]]!r} meant?" if near else "")


def _rows(numbers: Iterable[int]) -> str:
    rows = list(numbers)
    named = ", ".join(map(str, rows[:MAX_NAMED])) + (
        f" and {len(rows) - MAX_NAMED} more" if len(rows) > MAX_NAMED else ""
    )
    return f"row {named}" if len(rows) == 1 else f"rows {named}"


def _texts(column: pd.Series[Any], name: str, faults: list[str]) -> pd.Series[Any]:
    text = column.map(
        lambda entry: (
            ""
            if entry is None or entry is pd.NA or (isinstance(entry, float) and math.isnan(entry))
            else str(entry).strip()
        )
    )
    empty = text.index[text == ""]
    if len(empty):
        faults.append(f"{name} is empty in {_rows(empty)}")
    return text


def _numbers(column: pd.Series[Any], name: str, faults: list[str]) -> pd.Series[Any]:
    """The column as float64, NaN for a word that stands for none."""
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        return column.astype(np.float64)
    text = column.map(lambda entry: "" if entry is None or entry is pd.NA else str(entry).strip())
    known = text.str.lower().isin(WORDS_FOR_DIVERGED)
    numbers = pd.to_numeric(text.where(~known, "nan"), errors="coerce").astype(np.float64)
    wrong = numbers.isna() & ~known
    if wrong.any():
        index = wrong.index[wrong]
        faults.append(f"{name} is not a number in {_rows(index)}: {text[index[0]]!r}; allowed: a number such as -103.5")
    return numbers


def _wholes(column: pd.Series[Any], name: str, faults: list[str]) -> pd.Series[Any]:
    before = len(faults)
    numbers = _numbers(column, name, faults)
    wrong = ~((numbers % 1 == 0) & (numbers.abs() <= LARGEST_WHOLE))
    if len(faults) == before and wrong.any():
        index = wrong.index[wrong]
        faults.append(
            f"{name} is not a whole number in {_rows(index)}: {str(column[index[0]])!r}; allowed: a whole number up to"
            " 2^53"
        )
    return numbers


def _out_of_range(columns: dict[str, pd.Series[Any]], raw: pd.DataFrame) -> list[str]:
    faults = []
    for name in ("step", "seconds"):
        wrong = columns[name] < 0 if name in columns else pd.Series(dtype=bool)
        if wrong.any():
            index = wrong.index[wrong]
            faults.append(f"{name} is below 0 in {_rows(index)}: {str(raw[name][index[0]])!r}")
    instead = {
        "value": "leave it empty where the training diverged",
        "seconds": "leave it empty where nobody measured it",
    }
    for name in (name for name in instead if name in columns):
        size = columns[name].abs()
        index = size.index[(size > LARGEST) & (np.isfinite(size) if name == "value" else True)]
        if len(index):
            faults.append(
                f"{name} is larger than {LARGEST:g} in {_rows(index)}: {str(raw[name][index[0]])!r}; allowed: numbers"
                f" up to that size; {instead[name]}"
            )
    return faults


def _duplicates(frame: pd.DataFrame) -> list[str]:
    keys = ["cell", "seed", "step", "metric"]
    twice = frame[frame.duplicated(keys, keep=False)]
    faults = []
    for (cell, seed, step, metric), rows in itertools.islice(twice.groupby(keys, sort=False), MAX_NAMED):
        where = _rows(rows.index)
        faults.append(
            f"the point of cell {cell!r}, seed {seed:g}, step {step:g}, metric {metric!r} is there {len(rows)} times,"
            f" in {where}; allowed: once"
        )
    num_more = twice.drop_duplicates(keys).shape[0] - MAX_NAMED
    return faults + ([f"{num_more} further points are there more than once"] if num_more > 0 else [])


def _notes(frame: pd.DataFrame, columns: Iterable[str]) -> tuple[str, ...]:
    notes = []
    ignored = sorted(set(columns) - set(REQUIRED) - set(OPTIONAL))
    if ignored:
        notes.append(f"Ignored: the columns {', '.join(map(repr, ignored))}.")
    if frame["cell"].nunique() == 1:
        notes.append(f"There is one cell, {frame['cell'].iloc[0]!r}: nothing to compare it with.")
    for cell, rows in frame.groupby("cell"):
        if rows["seed"].nunique() == 1:
            notes.append(
                f"The cell {cell!r} has one seed: its spread is not known, and no interval or verdict can be given."
            )
    return tuple(notes)


def metric_curves(table: CurveTable, metric: str) -> MetricCurves:
    """The cells of `table` in `metric`; a CurveFileError where it was not measured or where cells share no step."""
    if metric not in table.metrics:
        raise CurveFileError(unknown_name_message(metric, table.metrics, "a metric of these curves"))
    return curves_of(table.frame[table.frame["metric"] == metric], metric, ())


def curves_of(points: pd.DataFrame, metric: str, diverged: Collection[tuple[str, int]]) -> MetricCurves:
    """The curves in `points`, the rows of one metric with columns cell, seed, step, value and seconds.

    `diverged`: pairs of cell and seed that are known to have diverged though all their points are finite. The
    horizon is the last step of the cell that was trained least, diverged seeds aside; a seed that ends before it
    without a divergence is unfinished.
    """
    if points.empty:
        raise CurveFileError(f"there is no point of the metric {metric!r}")
    points = points.sort_values(["cell", "seed", "step"], ignore_index=True)
    seeds = _by_seed(points)
    names = sorted({cell for cell, _ in seeds})
    ends = _ends(seeds, diverged)
    horizon = min(ends.values())
    outcomes = {key: _outcome(rows, horizon, key in diverged) for key, rows in seeds.items()}
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
    return MetricCurves(metric, cells, _curve_notes(seeds, outcomes, ends, steps))


def _by_seed(points: pd.DataFrame) -> dict[tuple[str, int], pd.DataFrame]:
    return {
        (str(rows["cell"].iloc[0]), int(rows["seed"].iloc[0])): rows for _, rows in points.groupby(["cell", "seed"])
    }


def _ends(seeds: dict[tuple[str, int], pd.DataFrame], diverged: Collection[tuple[str, int]]) -> dict[str, int]:
    """The last step of each cell, by its seeds that did not diverge; of all cells where every seed did."""
    sound = {
        key: rows for key, rows in seeds.items() if key not in diverged and np.isfinite(rows["value"]).all()
    } or seeds
    return {
        name: max(max(_steps(rows)) for (cell, _), rows in sound.items() if cell == name)
        for name in sorted({cell for cell, _ in sound})
    }


def _steps(rows: pd.DataFrame) -> set[int]:
    return {int(step) for step in rows["step"]}


def _outcome(rows: pd.DataFrame, horizon: int, known_diverged: bool) -> SeedOutcome:
    values = rows["value"].to_numpy(dtype=np.float64)
    if known_diverged or not np.isfinite(values[rows["step"].to_numpy() <= horizon]).all():
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
        lengths = ", ".join(f"{cell!r} to {end:,}" for cell, end in sorted(ends.items()))
        notes.append(f"Unequal budgets: {lengths}. All are compared at {int(steps[-1]):,}.")
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
