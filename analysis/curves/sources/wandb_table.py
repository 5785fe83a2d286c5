"""Tables of Weights & Biases: the CSV of a chart, with columns `RUN - METRIC` for every run, or of one run's history,
with `_step`.

A chart's export has two more columns for each, `__MIN` and `__MAX`. Where they differ from the value, it is a mean: of
the steps that the chart drew as one, or of the runs that were grouped. A mean of runs has no seed and is refused.
In a chart an empty field is a step that the run did not log. In a history it may be NaN as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from analysis.curves import columns
from analysis.curves.file import CurveFileError, read_lines, refusal
from analysis.curves.sources.raw import (
    RawCurves,
    below,
    folder_facts,
    header_of,
    points_of,
    raw_curves,
    relative,
    run_of_file,
    wide_points,
)

TITLE = "tables of Weights & Biases (the CSV of a chart, the history of a run)"
FILES, STEP, SECONDS, BETWEEN, LEAST, MOST = "*.csv", "_step", "_runtime", " - ", "__MIN", "__MAX"
GROUPED = "Group: "


def matches(path: Path) -> bool:
    """Whether such tables are below that folder, or it is one."""
    return bool(_files(path))


def read(address: str) -> RawCurves:
    """Every number of every run. A run of a chart is called as there; one of a history by its file. Seconds are W&B's
    `_runtime`, which a chart does not have."""
    path, faults, notes, parts, facts = Path(address), list[str](), list[str](), list[pd.DataFrame](), {}
    for file in _files(path):
        name = relative(file, path)
        try:
            table = read_lines(file, name, "what W&B exports: a header, and a line for each step")[1]
        except CurveFileError as error:
            faults.append(str(error).replace("\n- ", " "))
            continue
        faults += [f"{name} has the column {twice!r} twice" for twice in table.columns[table.columns.duplicated()]]
        faults += [f"{name} has a header and no line below it"] if table.empty else []
        if faults:
            continue
        if STEP in table.columns:
            run = run_of_file(file, path)
            facts[run] = folder_facts(run)
            parts.append(_history(table, run, name, faults))
        else:
            for run, points in _chart(table, name, faults, notes).items():
                facts.setdefault(run, {})
                parts.append(points)
    if not facts and not faults:
        faults = ["no table of W&B is in it: a CSV with columns 'RUN - METRIC', or with '_step'"]
    if faults:
        raise refusal(address, faults)
    return raw_curves(parts, facts, notes)


def _files(path: Path) -> list[Path]:
    return [file for file in below(path, FILES) if _is_table(header_of(file))]


def _is_table(header: Sequence[str]) -> bool:
    of_runs = [name for name in header[1:] if BETWEEN in name]
    return STEP in header or (len(header) > 1 and len(of_runs) == len(header) - 1)


def _history(table: pd.DataFrame, run: str, name: str, faults: list[str]) -> pd.DataFrame:
    metrics = table[[column for column in table.columns if column in (STEP, SECONDS) or column[:1] not in ("_", "")]]
    seconds = SECONDS if SECONDS in metrics.columns else ""
    return wide_points(metrics, run, name, STEP, faults, seconds=seconds, empty_is_blank=True)


def _chart(table: pd.DataFrame, name: str, faults: list[str], notes: list[str]) -> dict[str, pd.DataFrame]:
    """By run its points."""
    step = table.columns[0]
    values = [column for column in table.columns[1:] if not column.endswith((LEAST, MOST))]
    grouped = [column for column in values if column.startswith(GROUPED)]
    faults += [
        f"{name}: the column {column!r} is a mean of several runs, which has no seed; ungroup the chart before"
        " its export"
        for column in grouped[:1]
    ]
    points: dict[str, list[pd.DataFrame]] = {}
    means = []
    for column in values:
        run, _, metric = column.rpartition(BETWEEN)
        if metric == STEP:
            continue
        part = table[[step, column]].set_axis([step, metric], axis=1)
        points.setdefault(run, []).append(wide_points(part, run, name, step, faults, metrics=[metric]))
        means += [column] if _is_mean(table, column) else []
    if means:
        more = f" and {len(means) - 1} more" if len(means) > 1 else ""
        notes.append(
            f"Means in {name}: the column {means[0]!r}{more} lies between other least and largest values. W&B draws"
            " many steps as one, and grouped runs as one. The run's history has the numbers themselves."
        )
    notes += _ended_early(points, table, name)
    return {
        run: pd.concat(parts, ignore_index=True) if parts else points_of(run, name, ()) for run, parts in points.items()
    }


def _is_mean(table: pd.DataFrame, column: str) -> bool:
    ends = [column + end for end in (LEAST, MOST) if column + end in table.columns]
    numbers = [columns.numbers(table[one], one, [])[0] for one in (column, *ends)]
    return any(not numbers[0].equals(other) for other in numbers[1:])


def _ended_early(points: dict[str, list[pd.DataFrame]], table: pd.DataFrame, name: str) -> list[str]:
    """What is said of runs that have no number where the table goes on: W&B may have left out NaN."""
    last = table.index[-1]
    early = [
        run
        for run, parts in points.items()
        if max((int(part["line"].max()) for part in parts if len(part)), default=0) < last
    ]
    if not early:
        return []
    named = ", ".join(map(repr, early[:3])) + (f" and {len(early) - 3} more" if len(early) > 3 else "")
    return [
        f"No number to the end of {name}: {named}. They logged no more, or logged NaN: a chart's export may not tell."
        " Where one diverged, write NaN into its empty fields."
    ]
