"""Measurements of AlgoPerf's submission runner: `eval_measurements.csv` of each trial, with `hparams.json`, and the
seed in `meta_data_0.json`.

AlgoPerf adds a line by reading and writing the whole file with pandas, which leaves NaN empty: an empty field of an
evaluation is NaN. Evaluations come by the clock, so that two runs have few steps in common. A run that was interrupted
between a line and its checkpoint goes on before that line: lines of an earlier part from that step on are of a training
that was not continued.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.curves import columns
from analysis.curves.file import refusal
from analysis.curves.sources.raw import (
    RawCurves,
    at,
    below,
    flat,
    folder_facts,
    header_of,
    raw_curves,
    relative,
    run_of,
    table_of,
    wide_points,
)

TITLE = "eval_measurements.csv of AlgoPerf's submission runner"
EVALUATIONS, ALL = "eval_measurements.csv", "measurements.csv"
STEP, SECONDS, PART = "global_step", "accumulated_submission_time", "preemption_count"
BOOKKEEPING = frozenset(
    {
        PART,
        "score",
        "total_duration",
        "accumulated_eval_time",
        "accumulated_logging_time",
        "accumulated_data_selection_time",
    }
)
SETTINGS = {"hparams.json": (), "meta_data_0.json": ("rng_seed",), "flags_0.json": ("workload", "submission_path")}
"""Files beside the measurements, and the keys of each that configure a run; all where none is named."""


def matches(path: Path) -> bool:
    """Whether measurements are below that folder, or it is such a file."""
    return bool(_files(path))


def read(address: str) -> RawCurves:
    """Every metric of every trial, by update step; seconds are the submission's own time over all restarts."""
    path, faults, notes, parts, facts = Path(address), list[str](), list[str](), [], {}
    for file in _files(path):
        run, name = run_of(file, path), relative(file, path)
        facts[run] = folder_facts(run) | _settings(file.parent, run, faults)
        table = table_of(file, run, name, (STEP, SECONDS), faults)
        if table is not None:
            parts.append(_points(table, run, name, faults, notes))
    if not facts:
        faults = [f"no {EVALUATIONS} is in it"]
    if faults:
        raise refusal(address, faults)
    return raw_curves(parts, facts, notes)


def _files(path: Path) -> list[Path]:
    """One file of each trial: its evaluations, or all measurements where an older version wrote no other."""
    both = [
        file for name in (EVALUATIONS, ALL) for file in below(path, name) if {STEP, SECONDS} <= set(header_of(file))
    ]
    return sorted({file.parent: file for file in reversed(both)}.values())


def _points(table: pd.DataFrame, run: str, name: str, faults: list[str], notes: list[str]) -> pd.DataFrame:
    table = _continued(table, run, name, notes)
    names = [column for column in table.columns if column not in BOOKKEEPING and not column.endswith("num_examples")]
    table = table[names]
    points = wide_points(table, run, name, STEP, faults, seconds=SECONDS, empty_is_blank=True)
    return points.assign(blank=points["blank"] & (not name.endswith(EVALUATIONS)))


def _continued(table: pd.DataFrame, run: str, name: str, notes: list[str]) -> pd.DataFrame:
    """Without what a later part of the run did anew."""
    if PART not in table.columns:
        return table
    steps, parts = (columns.numbers(table[column], column, [])[0] for column in (STEP, PART))
    first_later = pd.Series([steps[parts > part].min() for part in parts], index=table.index, dtype="float64")
    done_anew = steps >= first_later
    if done_anew.any():
        lines = ", ".join(map(str, table.index[done_anew][:3]))
        notes.append(
            f"Left out: {int(done_anew.sum())} lines of {at(name, run)} (line {lines}), which were measured before an"
            " interruption and done anew after it."
        )
    return table[~done_anew]


def _settings(folder: Path, run: str, faults: list[str]) -> dict[str, str]:
    facts: dict[str, str] = {}
    for name, keys in SETTINGS.items():
        try:
            content: Any = json.loads((folder / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            faults.append(f"{at(name, run)} cannot be read as JSON: {error}")
            continue
        if isinstance(content, dict):
            facts |= flat({key: content[key] for key in keys or content if content.get(key) is not None})
    return facts
