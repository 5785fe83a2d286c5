"""Raw points of runs, and what readers of tools' files share: files below a folder, folders as facts, tables of text.

What is raw has no cell and no seed yet.
"""

from __future__ import annotations

import csv
import math
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd

from analysis.curves import columns
from analysis.curves.file import MAX_NAMED, CurveFileError, read_lines, refusal
from vae.settings.nearest import unknown_name_message

POINT_TYPES = {
    "run": "object",
    "step": "int64",
    "metric": "object",
    "value": "float64",
    "blank": "bool",
    "seconds": "float64",
    "file": "object",
    "line": "int64",
}
Facts = Mapping[str, str]
HEADER_LENGTH = 1_000_000
LONGEST_WAY_DOWN = 8
"""Folders below the address that are searched."""


@dataclass(frozen=True)
class RawCurves:
    """What a tool left behind. `points`: a row for each, with the columns and types of POINT_TYPES and the index
    0, 1, 2... `facts`: by run, what is known of it. `notes`: what limits the conclusions, in words."""

    points: pd.DataFrame
    facts: Mapping[str, Facts]
    notes: tuple[str, ...] = field(default=())


def raw_curves(parts: Iterable[pd.DataFrame], facts: Mapping[str, Facts], notes: Iterable[str] = ()) -> RawCurves:
    """The points of all parts together, in their order."""
    frames = [part for part in parts if len(part)]
    points = pd.concat(frames, ignore_index=True) if frames else points_of("", "", ())
    return RawCurves(points[list(POINT_TYPES)].astype(POINT_TYPES), facts, tuple(notes))


def points_of(run: str, file: str, rows: Iterable[tuple[int, str, float, float, int]]) -> pd.DataFrame:
    """Points of one run in one file out of (step, metric, value, seconds, line); seconds NaN where nobody knows."""
    frame = pd.DataFrame(list(rows), columns=["step", "metric", "value", "seconds", "line"])
    return frame.assign(run=run, file=file, blank=False)[list(POINT_TYPES)].astype(POINT_TYPES)


def at(file: str, run: str, line: int | None = None) -> str:
    """`adam/0/metrics.csv, line 7 (run 'adam/0')`: how a fault says where it is."""
    return f"{file}{'' if line is None else f', line {line}'} (run {run!r})"


def first_few(names: Sequence[str]) -> str:
    """`a; b; c and 2 more`: names in a message."""
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return "; ".join(names[:MAX_NAMED]) + more


def chosen_metric(metric: str, metrics: Iterable[str], name: str) -> str:
    """The metric that is compared: the one asked for, or the only one of the source `name`. Raises CurveFileError."""
    known = sorted(set(metrics))
    if metric and metric not in known:
        raise CurveFileError(f"--metric: {unknown_name_message(metric, known, f'a metric of {name}')}")
    if not metric and len(known) > 1:
        raise CurveFileError(
            f"{name} holds {len(known)} metrics; name the one that is compared with --metric. Allowed:"
            f" {', '.join(known)}."
        )
    return metric or "".join(known)


# Files and folders


def below(path: Path, name: str) -> list[Path]:
    """The file itself, or all files below the folder whose name matches the glob `name`, sorted; hidden folders and
    links to folders aside."""
    if path.is_file():
        return [path] if path.match(name) else []
    return sorted(_walk(path, name, LONGEST_WAY_DOWN)) if path.is_dir() else []


def _walk(folder: Path, name: str, depth: int) -> Iterator[Path]:
    try:
        entries = list(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.is_dir():
            if depth and not entry.name.startswith(".") and not entry.is_symlink():
                yield from _walk(entry, name, depth - 1)
        elif entry.match(name):
            yield entry


def relative(file: Path, path: Path) -> str:
    """The file as messages name it: from the folder that was given, or its own name."""
    return file.relative_to(path).as_posix() if path.is_dir() else file.name


def run_of(file: Path, path: Path) -> str:
    """The run's name where a tool gives none: the folders from the one that was given to the file, or the folder that
    the file is in."""
    folder = file.parent.relative_to(path).as_posix() if path.is_dir() else "."
    return folder if folder != "." else file.resolve().parent.name


def folder_facts(run: str) -> dict[str, str]:
    """`folder.1`, `folder.2`... of a run that is named by its folders. A folder such as `lr=0.1,seed=3` gives
    `folder.lr` and `folder.seed` too."""
    parts = [part for part in run.split("/") if part]
    numbered = {f"folder.{number}": part for number, part in enumerate(parts, 1)}
    pairs = (word.partition("=") for part in parts for word in re.split(r"[,;]", part) if "=" in word)
    return numbered | {f"folder.{name.strip()}": value.strip() for name, _, value in pairs if name.strip()}


def flat(settings: Mapping[str, Any], prefix: str = "params") -> dict[str, str]:
    """Nested settings as facts: `{"model": {"lr": 0.1}}` gives `params.model.lr`; None and lists as JSON has them."""
    facts: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            facts |= flat(value, f"{prefix}.{name}")
        else:
            facts[f"{prefix}.{name}"] = value if isinstance(value, str) else repr(value)
    return facts


# Tables


def text_table(file: Path, name: str) -> pd.DataFrame:
    """A CSV that a tool wrote, every field as text; its index is the line. `name`: the file in messages. Raises
    CurveFileError where it is empty, uneven or no CSV, or where it ends within a line."""
    table = read_lines(file, name, "what the tool writes: a header, and a line for each step")[1]
    with file.open("rb") as opened:
        opened.seek(-1, 2)
        ends = opened.read(1) in b"\r\n"
    if not ends:
        line = table.index[-1] if len(table) else 1
        raise refusal(name, [f"row {line} ends without a line break: the file is cut off there; remove that row"])
    return table


def table_of(file: Path, run: str, name: str, needed: Sequence[str], faults: list[str]) -> pd.DataFrame | None:
    """The text table of a run, None where it cannot be read or lacks one of the columns `needed`, which is a fault."""
    try:
        table = text_table(file, name)
    except CurveFileError as error:
        faults.append(f"{at(name, run)}: {str(error).replace(chr(10) + '- ', ' ')}")
        return None
    wrong = [f"has no column {column!r}" for column in needed if column not in table.columns]
    wrong += [f"has the column {column!r} twice" for column in table.columns[table.columns.duplicated()]]
    wrong += ["has a header and no line below it"] if table.empty else []
    faults += [f"{at(name, run)} {why}" for why in wrong]
    return None if wrong else table


def header_of(file: Path) -> list[str]:
    """The names of a CSV's columns, none where it cannot be read. Commas or semicolons separate them."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            line = opened.readline(HEADER_LENGTH)
    except (OSError, ValueError):
        return []
    fields = max((next(csv.reader([line], delimiter=separator), []) for separator in ",;"), key=len)
    return [field.strip() for field in fields]


def run_of_file(file: Path, path: Path) -> str:
    """The name of a run that is one file: folders and file from the folder that was given, without its ending."""
    return file.relative_to(path).with_suffix("").as_posix() if path.is_dir() else file.stem


def wide_points(
    table: pd.DataFrame,
    run: str,
    file: str,
    step: str,
    faults: list[str],
    *,
    seconds: str = "",
    metrics: Sequence[str] | None = None,
    empty_is_blank: bool = False,
) -> pd.DataFrame:
    """Points out of a table with a column for each metric: `step` and `seconds` name two of its columns; `metrics` the
    others that count, by default all in which every entry is a number or nothing. An empty field is not measured, or
    with `empty_is_blank` a point that may be either. Faults are named by file, run and line."""
    where = at(file, run)
    own: list[str] = []
    names = [name for name in table.columns if name not in (step, seconds)] if metrics is None else list(metrics)
    rows = table[columns.texts(table[step]) != ""]
    steps = columns.wholes(rows[step], step, own, largest=columns.EXACT)
    clock = columns.numbers(rows[seconds], seconds, own)[0] if seconds else pd.Series(math.nan, index=rows.index)
    parts = []
    for name in names:
        wrong: list[str] = []
        value, blank = columns.numbers(rows[name], name, wrong)
        if wrong and metrics is None:
            continue
        own += wrong
        frame = pd.DataFrame({"step": steps, "metric": name, "value": value, "blank": blank, "seconds": clock})
        parts.append(frame.assign(line=rows.index) if empty_is_blank else frame.assign(line=rows.index)[~blank])
    faults += [f"{where}: {fault}" for fault in own]
    if not parts or own:
        return points_of(run, file, ())
    points = pd.concat(parts, ignore_index=True).assign(run=run, file=file)
    return points[list(POINT_TYPES)].astype(POINT_TYPES)


def number(value: object) -> float | None:
    """The number that a JSON value is, None for what is none (a text, true, a list)."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def public(address: str) -> str:
    """The address without a user's name and password."""
    return re.sub(r"(?<=://)[^/#?]*@", "", address)


def sqlite_tables(path: Path) -> set[str]:
    """The names of an SQLite database's tables; none of what is no such file."""
    if not is_sqlite(path):
        return set()
    try:
        with sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True) as database:
            return {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error:
        return set()


def is_sqlite(path: Path) -> bool:
    """Whether the file begins as an SQLite database does."""
    try:
        with path.open("rb") as file:
            return file.read(16) == b"SQLite format 3\0"
    except OSError:
        return False


def sqlite_file(uri: str) -> Path | None:
    """The file that a path or an address `sqlite:///...` names; None for an address of another kind."""
    database = re.fullmatch(r"sqlite(?:\+\w+)?:///([^?]*).*", uri)
    if database is None and "://" in uri:
        return None
    return Path(unquote(database[1]) if database else uri)
