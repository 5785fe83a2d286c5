"""The tables of docs/reports.md that say what a row of claims.json holds, made from the descriptions of its fields.

`python -m tests.support.claim_tables` writes them again.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from analysis.claims import schema
from analysis.claims.schema import ClaimRow
from analysis.document.sections import AnyClaim, Entry

DOCUMENT = Path(__file__).parents[2] / "docs" / "reports.md"
BEGIN, END = "<!-- fields of claims.json -->\n", "<!-- end of the fields -->\n"
WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null"}
ENTRIES = (
    *(schema.DeclaredEntry, schema.ReadingEntry, schema.CrossoverEntry, schema.LeftOutEntry, schema.NeighbourEntry),
    *(schema.LearningRateStepEntry, schema.DoubtEntry, schema.RepeatEntry),
)
OTHERS: dict[str, type[Entry]] = {"published_number": schema.PublishedClaim, "cells": schema.CellClaim}


def documentation() -> str:
    """Every field of a row and of its parts: name, type, content."""
    parts = [_table(ClaimRow)]
    parts += [f"{_use(entry)}: {_first_line(entry)}\n\n{_table(entry)}" for entry in ENTRIES]
    parts += [f"Rows of the report `{report}`: {_first_line(row)}\n\n{_table(row)}" for report, row in OTHERS.items()]
    return "\n".join(parts)


def _use(entry: type[Entry]) -> str:
    """Which field of a row holds it."""
    (name,) = (name for name, field in ClaimRow.model_fields.items() if entry.__name__ in repr(field.annotation))
    return f"`{name}`"


def _first_line(model: type[Entry]) -> str:
    text = " ".join((model.__doc__ or "").split())
    return text[:1].lower() + text[1:]


def _table(model: type[Entry]) -> str:
    rows = ["| field | type | content |", "|---|---|---|"]
    own = [name for name in model.model_fields if name not in AnyClaim.model_fields]
    first = [name for name in AnyClaim.model_fields if name in model.model_fields]
    for name in (*first, *own):
        field = model.model_fields[name]
        rows.append(f"| `{name}` | {_type_text(field.annotation)} | {field.description} |")
    return "\n".join(rows) + "\n"


def _type_text(annotation: Any) -> str:
    return " or ".join(dict.fromkeys(_words(annotation)))


def _words(annotation: Any) -> Iterator[str]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        for argument in arguments:
            yield from _words(argument)
    elif origin is Literal:
        yield "text"
    elif origin is dict:
        yield "mapping"
    elif origin is tuple:
        yield "list" if arguments[-1] is Ellipsis else "pair"
    elif annotation in WORDS:
        yield WORDS[annotation]
    else:
        yield "mapping"


def written(document: str) -> str:
    """The document with these tables in their place."""
    return re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{documentation()}\n{END}", document, flags=re.DOTALL)


def main() -> None:
    """Writes the tables again."""
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
