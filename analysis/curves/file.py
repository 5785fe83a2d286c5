"""The table in a file of curves as it stands there: CSV with any common separator, or Parquet with or without an
index. Nothing is said of what its columns hold."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from vae.errors import RequestError

REQUIRED = ("cell", "seed", "step", "metric", "value")
OPTIONAL = ("seconds",)
WHOLE, NUMBERS = ("seed", "step"), ("seed", "step", "value", "seconds")
SEPARATORS = (",", ";", "\t", "|")
MAX_NAMED = 3
DECIMAL_COMMA = r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?"
GROUPED = r"[+-]?\d{1,3}(?:[.,]\d{3})+"


class CurveFileError(RequestError):
    """A file of curves cannot be used; the message lists every fault that was found."""


def refusal(name: str, faults: Iterable[str], ending: str = "") -> CurveFileError:
    """The error that lists the faults of the file `name`, one a line."""
    return CurveFileError(f"{name} cannot be used:\n" + "\n".join(f"- {fault}" for fault in faults) + ending)


def rows_text(numbers: Iterable[int]) -> str:
    """`row 7`, or `rows 2, 3, 4 and 9 more`."""
    rows = list(numbers)
    named = ", ".join(map(str, rows[:MAX_NAMED])) + (
        f" and {len(rows) - MAX_NAMED} more" if len(rows) > MAX_NAMED else ""
    )
    return f"row {named}" if len(rows) == 1 else f"rows {named}"


def read_raw(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The file's table, as text or as it is typed, with notes on how it was read. Its index is what a person numbers a
    row by: the line in a CSV, the place from 1 in Parquet. Raises CurveFileError."""
    if not path.is_file():
        raise CurveFileError(f"there is no file {path}")
    return (_parquet(path), ()) if path.suffix.lower() in (".parquet", ".pq") else _csv(path)


def _unreadable(name: str, kind: str, error: Exception) -> CurveFileError:
    return CurveFileError(
        f"{name} cannot be read as {kind} ({str(error).strip() or type(error).__name__}); allowed: a CSV in"
        " UTF-8, or Parquet"
    )


# Parquet


def _parquet(path: Path) -> pd.DataFrame:
    """Levels of an index that have a name are columns."""
    try:
        table = pd.read_parquet(path)
    except (ValueError, OSError, ImportError) as error:
        raise _unreadable(path.name, "Parquet", error) from error
    named = [name for name in table.index.names if name is not None and name not in table.columns]
    table = table.reset_index(level=named) if named else table
    return table.set_axis(range(1, len(table) + 1), axis=0)


# CSV


def _csv(path: Path) -> tuple[pd.DataFrame, tuple[str, ...]]:
    separator, table = read_lines(
        path, path.name, f"a header with the columns {', '.join(REQUIRED)}, and a row for each point"
    )
    return (table, ()) if separator == "," else _with_points(path, table, separator)


def read_lines(path: Path, name: str, allowed: str) -> tuple[str, pd.DataFrame]:
    """The separator of a CSV, and its fields as text, indexed by line. `name`: the file in messages; `allowed`: what
    an empty one should hold. Raises CurveFileError where it is empty, uneven or no CSV."""
    try:
        separator, lines = _lines(path)
    except (ValueError, OSError, csv.Error) as error:
        raise _unreadable(name, "CSV", error) from error
    if not lines:
        raise CurveFileError(f"{name} is empty; allowed: {allowed}")
    header = lines.pop(min(lines))
    uneven = [number for number, line in lines.items() if len(line) != len(header)]
    if uneven:
        hint = "; decimals are written with a point" if separator == "," else ""
        rule = (
            f"the header has {len(header)} fields, {rows_text(uneven)} {len(lines[uneven[0]])}; allowed: as many in"
            f" every row, empty where nobody measured{hint}"
        )
        raise refusal(name, [rule])
    return separator, pd.DataFrame(list(lines.values()), index=list(lines), columns=header, dtype=object)


def _lines(path: Path) -> tuple[str, dict[int, list[str]]]:
    """The separator, and the fields of every line that has any, by the line's number."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        separator = _separator(next((line for line in file if line.strip()), ""))
        file.seek(0)
        reader = csv.reader(file, delimiter=separator)
        # Not as a comprehension, whose key, the reader's state, looks constant to a linter (B035).
        numbered = ((reader.line_num, line) for line in reader)
        return separator, dict(pair for pair in numbered if any(field.strip() for field in pair[1]))


def _separator(header: str) -> str:
    """What separates the columns of a header: by which most of the names that are needed come out."""

    def columns(separator: str) -> tuple[int, int]:
        fields = [field.strip() for field in next(csv.reader([header], delimiter=separator), [])]
        return len(set(REQUIRED + OPTIONAL) & set(fields)), len(fields)

    return max(SEPARATORS, key=columns)


def _with_points(path: Path, table: pd.DataFrame, separator: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The table with decimal points. Where other marks than commas separate columns, a comma in a number is a decimal
    comma; a number that could be read in two ways is a fault."""
    columns = [place for place, name in enumerate(table.columns) if name.strip() in NUMBERS]
    texts = {place: table.iloc[:, place].str.strip() for place in columns}
    has_commas = any(text.str.fullmatch(DECIMAL_COMMA).any() for text in texts.values())
    faults = _ambiguous(list(table.columns), texts, has_commas)
    if faults:
        raise refusal(path.name, faults)
    if has_commas:
        for place, text in texts.items():
            table.isetitem(place, text.str.replace(",", ".").to_numpy())
    commas = ", and commas as decimal marks" if has_commas else ""
    return table, (f"Read with {separator!r} between the columns{commas}.",)


def _ambiguous(names: Sequence[str], texts: dict[int, pd.Series[str]], has_commas: bool) -> list[str]:
    faults = []
    for place, text in texts.items():
        name = names[place].strip()
        index = text.index[text.str.fullmatch(GROUPED)] if name in WHOLE else text.index[:0]
        if has_commas and not len(index):
            index = text.index[text.str.contains(".", regex=False)]
        if len(index):
            faults.append(
                f"{name} can be read in two ways in {rows_text(index)}: {text[index[0]]!r}; allowed: numbers without"
                " marks between thousands, and one decimal mark in the whole file"
            )
    return faults
