"""A Ray Tune folder: of each trial `result.json`, or `progress.csv` where there is no other, and `params.json`.

Ray writes NaN and Infinity into `result.json`, and of a NaN that is an `np.float32` the text "null". An iteration that
did not report a metric has no key there, and an empty field in `progress.csv`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.curves.file import refusal
from analysis.curves.sources.raw import (
    RawCurves,
    at,
    below,
    flat,
    folder_facts,
    number,
    points_of,
    raw_curves,
    relative,
    run_of,
    text_table,
    wide_points,
)

TITLE = "a Ray Tune folder (result.json, progress.csv, params.json)"
STEP, SECONDS = "training_iteration", "time_total_s"
BOOKKEEPING = re.compile(
    r"config/.*|timestamp|time_this_iter_s|time_since_restore|iterations_since_restore|pid|done|should_checkpoint"
)
NAN = "null"


def matches(path: Path) -> bool:
    """Whether trials have left their files below that folder, or it is one of their files."""
    return any((file.parent / "params.json").is_file() for file in _files(path))


def read(address: str) -> RawCurves:
    """Every trial's reports, by iteration; seconds as Ray counts them over restarts."""
    path, faults, parts, facts = Path(address), list[str](), [], {}
    for file in _files(path):
        run, name = run_of(file, path), relative(file, path)
        facts[run] = folder_facts(run) | _params(file.parent / "params.json", run, path, faults)
        if file.suffix == ".csv":
            parts.append(_progress(file, run, name, faults))
        else:
            parts.append(points_of(run, name, _reports(file, run, name, faults)))
    if not facts:
        faults = ["no trial's result.json or progress.csv is in it"]
    if faults:
        raise refusal(address, faults)
    return raw_curves(parts, facts)


def _files(path: Path) -> list[Path]:
    """One file of each trial."""
    tables = [file for file in below(path, "progress.csv") if not (file.parent / "result.json").is_file()]
    return sorted([*below(path, "result.json"), *tables])


def _params(file: Path, run: str, path: Path, faults: list[str]) -> dict[str, str]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        faults.append(f"{at(relative(file, path), run)} cannot be read as JSON: {error}")
        return {}
    return flat(content) if isinstance(content, dict) else {}


def _reports(file: Path, run: str, name: str, faults: list[str]) -> Iterator[tuple[int, str, float, float, int]]:
    for line, text in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        try:
            report = json.loads(text)
            step = report[STEP]
        except (ValueError, KeyError, TypeError) as error:
            why = f"is no JSON with {STEP}: {error}" if text.strip() else "is empty"
            faults.append(f"{at(name, run, line)} {why}; where the trial was cut off there, remove that line")
            continue
        seconds = number(report.get(SECONDS))
        for metric, value in _numbers(report):
            yield step, metric, value, math.nan if seconds is None else seconds, line


def _numbers(report: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """The metrics of a report, nested ones with slashes, as Ray's own tables have them."""
    for key, value in report.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            if name != "config":
                yield from _numbers(value, f"{name}/")
        elif not BOOKKEEPING.fullmatch(name) and name not in (STEP, SECONDS):
            known = math.nan if value == NAN else number(value)
            if known is not None:
                yield name, known


def _progress(file: Path, run: str, name: str, faults: list[str]) -> pd.DataFrame:
    table = text_table(file, name)
    if STEP not in table.columns:
        faults.append(f"{at(name, run)} has no column {STEP}")
        return points_of(run, name, ())
    table = table[[column for column in table.columns if not BOOKKEEPING.fullmatch(column)]]
    seconds = SECONDS if SECONDS in table.columns else ""
    return wide_points(table, run, name, STEP, faults, seconds=seconds)
