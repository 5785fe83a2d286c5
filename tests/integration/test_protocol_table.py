"""The table of docs/protocol.md that says where each part of a comparison is: what it names is there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from analysis.claims.schema import ClaimRow

NUM_ROWS = 25
A_TABLE_OR_FIGURE = re.compile(r"^[a-z*]+(_[a-z]+)+$")


def _rows(root: Path) -> list[list[str]]:
    text = (root / "docs" / "protocol.md").read_text(encoding="utf-8").split("## 9.")[1]
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if re.match(r"\| \d+ \|", line)
    ]


def _quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def _is_there(name: str, root: Path) -> bool:
    """A module by its path, and functions or classes of it by `path: name, name`."""
    path, _, functions = name.partition(": ")
    module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    return (root / path).exists() and all(hasattr(module, function) for function in functions.split(", ") if function)


def test_every_part_has_its_row(root: Path) -> None:
    assert [int(row[0]) for row in _rows(root)] == list(range(1, NUM_ROWS + 1))


@pytest.mark.parametrize("row", range(NUM_ROWS))
def test_what_computes_a_part_is_there(row: int, root: Path) -> None:
    named = _quoted(_rows(root)[row][3])
    assert named
    assert [name for name in named if not _is_there(name, root)] == []


def test_every_table_figure_and_field_that_is_named_is_made_somewhere(root: Path) -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in sorted((root / "analysis").rglob("*.py")))
    named = {name for row in _rows(root) for name in _quoted(row[4]) if A_TABLE_OR_FIGURE.match(name)}
    assert len(named) > NUM_ROWS
    parts = {name: name.removeprefix("*").removeprefix("timing_") for name in named}
    assert [
        name
        for name, part in sorted(parts.items())
        if name not in ClaimRow.model_fields and not re.search(rf'[a-z_}}]*{re.escape(part)}"', source)
    ] == []


def test_every_field_of_the_study_file_that_is_named_is_one(root: Path) -> None:
    source = "".join(
        (root / path).read_text(encoding="utf-8") for path in ("study/spec/schema.py", "vae/configuration.py")
    )
    fields = {part for row in _rows(root) for name in _quoted(row[2]) for part in name.split(".")}
    fields -= {"arm", "arms", "evidence"}  # a factor's reserved name, and two studies
    assert [field for field in sorted(fields) if not re.search(rf"\n    {field}: ", source)] == []
