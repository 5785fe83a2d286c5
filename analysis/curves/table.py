"""Anybody's curves from a file: a CSV or Parquet table with the columns cell, seed, step, metric, value and
optionally seconds.

| column | content |
|---|---|
| cell | what is compared: any text, such as `adam` |
| seed | a whole number of any size; the same number in two cells makes a pair |
| step | a whole number from 0: training samples, or whatever counts the budget in every cell |
| metric | the name of what was measured: any text |
| value | a number up to 1e100 in size; `nan` or infinite where the training diverged, empty where nobody measured |
| seconds | optional: training time up to this point, a number from 0 to 1e100, or empty |

Every fault of a file is reported at once, as text. What can be worked with, but limits what can be concluded, is a
note.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.curves import columns
from analysis.curves.file import OPTIONAL, REQUIRED, read_raw, refusal
from analysis.curves.points import LARGEST, Notes, each_once, measured, say_stuck, timed, with_infinity


@dataclass(frozen=True)
class CurveTable:
    """Curves as read: `frame` with cell, metric (text), seed (whole numbers), step (int64), value and seconds
    (float64), sorted by cell, seed, metric and step; a row for each point that was measured.

    `value` is NaN or infinite where a training diverged. `notes`: what limits the conclusions, in words, and in
    `metric_notes` those of one metric alone.
    """

    frame: pd.DataFrame
    has_seconds: bool
    notes: tuple[str, ...]
    metric_notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of what was measured, sorted."""
        return tuple(sorted(self.frame["metric"].unique()))


def read_curves(path: Path) -> CurveTable:
    """The curves in the CSV or Parquet file `path`; a CurveFileError names every fault with its row or line."""
    raw, reading_notes = read_raw(path)
    raw.columns = pd.Index([str(name).strip() for name in raw.columns])
    _check_columns(path, raw)
    faults: list[str] = []
    frame = _typed(raw, faults)
    ignored = sorted(set(raw.columns) - set(REQUIRED) - set(OPTIONAL))
    notes = [*reading_notes, *([f"Ignored: the columns {', '.join(map(repr, ignored))}."] if ignored else [])]
    return curve_table(frame, path.name, Notes(), faults, raw, "seconds" in raw.columns, notes)


def curve_table(
    frame: pd.DataFrame,
    name: str,
    notes: Notes,
    faults: list[str],
    written: pd.DataFrame,
    has_seconds: bool,
    file_notes: Sequence[str] = (),
) -> CurveTable:
    """What the rows of `frame` stand for: cell, seed, step, metric, value, seconds and `blank`, where no value is
    written. `faults` were found before; `written`: the same rows as messages quote them. Raises CurveFileError."""
    frame = with_infinity(frame, notes)
    faults = faults + _out_of_range(frame, written, notes)
    if not faults:
        frame = each_once(frame, faults, notes)
    if faults:
        raise refusal(name, faults)
    frame = timed(measured(frame, notes), notes)
    say_stuck(frame, notes)
    frame = frame.drop(columns="blank").sort_values(["cell", "seed", "metric", "step"], ignore_index=True)
    by_metric = {metric: tuple(said) for metric, said in notes.by_metric.items()}
    return CurveTable(frame, has_seconds, tuple(file_notes), by_metric)


def _typed(raw: pd.DataFrame, faults: list[str]) -> pd.DataFrame:
    """The columns by their types, and `blank`, where no value is written."""
    cell = columns.names(raw["cell"], "cell", faults)
    seed = columns.wholes(raw["seed"], "seed", faults)
    step = columns.wholes(raw["step"], "step", faults, largest=columns.EXACT)
    metric = columns.names(raw["metric"], "metric", faults)
    value, blank = columns.numbers(raw["value"], "value", faults)
    seconds = columns.numbers(raw["seconds"], "seconds", faults)[0] if "seconds" in raw.columns else math.nan
    return pd.DataFrame(
        {
            "cell": cell,
            "seed": seed,
            "step": step,
            "metric": metric,
            "value": value,
            "seconds": seconds,
            "blank": blank,
        },
        index=raw.index,
    )


def _check_columns(path: Path, raw: pd.DataFrame) -> None:
    names = list(raw.columns)
    repeated = sorted({name for name in names if names.count(name) > 1 and name in REQUIRED + OPTIONAL})
    missing = [name for name in REQUIRED if name not in names]
    faults = [f"the column {name!r} is there more than once" for name in repeated] + [
        _missing_column(name, names) for name in missing
    ]
    if not faults and raw.empty:
        faults = ["it has a header and no rows"]
    if faults:
        needed = (
            f"Needed: {', '.join(REQUIRED)}; optional: {', '.join(OPTIONAL)}. Found:"
            f" {', '.join(map(repr, names)) or 'none'}."
        )
        raise refusal(path.name, faults, f"\n{needed}")


def _missing_column(name: str, columns: Iterable[str]) -> str:
    free = {other.lower(): other for other in columns if other not in REQUIRED + OPTIONAL}
    near = difflib.get_close_matches(name, free, n=1, cutoff=0.6)
    return f"the column {name!r} is missing" + (f"; is {free[near[0]]!r} meant?" if near else "")


def _out_of_range(frame: pd.DataFrame, raw: pd.DataFrame, notes: Notes) -> list[str]:
    faults = []
    for name in ("step", "seconds"):
        index = frame.index[frame[name] < 0]
        if len(index):
            faults.append(f"{name} is below 0 in {notes.rows_text(index)}: {str(raw[name][index[0]])!r}")
    instead = {"value": "write inf where the training diverged", "seconds": "leave it empty where nobody measured it"}
    for name in instead:
        size = frame[name].abs()
        index = size.index[(size > LARGEST) & (np.isfinite(size) if name == "value" else True)]
        if len(index):
            faults.append(
                f"{name} is larger than {LARGEST:g} in {notes.rows_text(index)}: {str(raw[name][index[0]])!r}; allowed:"
                f" numbers up to that size; {instead[name]}"
            )
    return faults
