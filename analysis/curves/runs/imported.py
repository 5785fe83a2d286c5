"""Curves from any source that is known: this project's own table, or what a tool left behind, with cells and seeds."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.curves.file import MAX_NAMED, CurveFileError
from analysis.curves.points import Notes
from analysis.curves.runs.assignment import Assignment, Rule, assigned, without
from analysis.curves.runs.kinds import KINDS, TABLE, format_of
from analysis.curves.sources.raw import RawCurves, chosen_metric, public
from analysis.curves.table import CurveTable, curve_table, read_curves
from vae.disk import file_sha256


@dataclass(frozen=True)
class ReadCurves:
    """Curves and where they came from. `name`: the source in titles; `origin`: for provenance; `is_numbered`: seeds
    are numbers of runs, and mean nothing in another cell."""

    table: CurveTable
    name: str
    origin: Mapping[str, Any]
    is_numbered: bool = False


def read_source(address: str, said_format: str, rule: Rule, metric: str) -> ReadCurves:
    """The curves at a path or an address. Of a tool's output only `metric` is read, and has to be named where there
    are several. Raises CurveFileError with all that is missing, ambiguous or damaged."""
    format_ = format_of(address, said_format)
    if format_ == TABLE:
        return _own_table(Path(address), rule)
    name, kind = public(address), KINDS[format_]
    raw = without(kind.read(address, metric) if kind.is_by_metric else kind.read(address), rule, name)
    raw = _of_metric(raw, metric, name)
    assignment = assigned(raw, rule, name)
    frame = _with_cells(raw, assignment)
    notes = Notes(rows_text=lambda index: places(raw.points, index))
    table = curve_table(frame, name, notes, [], frame, bool(frame["seconds"].notna().any()), raw.notes)
    said = (f"A cell is {assignment.cell_is}, a seed {assignment.seed_is}.",)
    table = CurveTable(table.frame, table.has_seconds, (*said, *table.notes), table.metric_notes)
    origin = {
        "source": name,
        "format": format_,
        "cell": assignment.cell_is,
        "seed": assignment.seed_is,
        "sha256": _digest(table.frame),
    }
    return ReadCurves(table, Path(name).name or name, origin, assignment.is_numbered)


def _own_table(path: Path, rule: Rule) -> ReadCurves:
    if rule != Rule():
        raise CurveFileError(
            f"{path.name} names its cells and seeds itself; --runs and --leave-out are for what tools leave behind"
        )
    return ReadCurves(read_curves(path), path.name, {"file": path.name, "sha256": file_sha256(path)})


def _of_metric(raw: RawCurves, metric: str, name: str) -> RawCurves:
    """The points in the metric that is compared, and the runs that have any, or no point at all."""
    points = raw.points[raw.points["metric"] == chosen_metric(metric, raw.points["metric"], name)]
    others = sorted(set(raw.points["run"]) - set(points["run"]))
    more = f" and {len(others) - MAX_NAMED} more" if len(others) > MAX_NAMED else ""
    notes = [f"Without {metric!r}, and not compared: {', '.join(others[:MAX_NAMED])}{more}."] if others else []
    facts = {run: known for run, known in raw.facts.items() if run not in others}
    return RawCurves(points, facts, (*raw.notes, *notes))


def _with_cells(raw: RawCurves, assignment: Assignment) -> pd.DataFrame:
    """The points with cell and seed, indexed as the raw ones are."""
    points = raw.points[raw.points["run"].isin(set(assignment.cells))]
    return pd.DataFrame(
        {
            "cell": points["run"].map(assignment.cells).astype(str),
            "seed": points["run"].map(assignment.seeds),
            "step": points["step"],
            "metric": points["metric"].astype(str),
            "value": points["value"],
            "seconds": points["seconds"],
            "blank": points["blank"],
        },
        index=points.index,
    )


def places(points: pd.DataFrame, index: Iterable[int]) -> str:
    """`adam/0/metrics.csv, line 3 and line 9 (run 'adam/0')`: where these points stand."""
    rows = points.loc[list(index)]
    parts = []
    for (file, run), of_file in rows.groupby(["file", "run"], sort=False):
        lines = ", ".join(map(str, of_file["line"].tolist()[:MAX_NAMED]))
        more = f" and {len(of_file) - MAX_NAMED} more" if len(of_file) > MAX_NAMED else ""
        parts.append(f"{file}, line{'s' if len(of_file) > 1 else ''} {lines}{more} (run {run!r})")
    left = f" and {len(parts) - MAX_NAMED} more runs" if len(parts) > MAX_NAMED else ""
    return "; ".join(parts[:MAX_NAMED]) + left


def _digest(frame: pd.DataFrame) -> str:
    """The SHA-256 of the points as CSV."""
    return hashlib.sha256(frame.to_csv(index=False, na_rep="nan").encode()).hexdigest()


def short_name(address: str) -> str:
    """What the page's folder is called after: the file or folder without its ending, the words of an address."""
    if "://" in address or "#" in address:
        return "-".join(re.findall(r"[\w.]+", public(address).partition("://")[2] or address))
    return Path(address).resolve().stem
