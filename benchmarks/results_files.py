"""A dated folder of results: results.json is the source, rows.csv and table.md are made from it."""

from __future__ import annotations

import csv
import io
import itertools
import json
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import Machine
from benchmarks.rows import Row, Target

_SIGNIFICANT = 4


@dataclass(frozen=True)
class Measured:
    """The rows of one measurement, when and at which commit it was made, and how busy the machine was before."""

    name: str
    at: str
    commit: str
    load_average: float
    seconds: float
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Results:
    """What was measured on one day on one machine with one set of versions."""

    machine: Machine
    quick: bool
    measured: dict[str, Measured] = field(default_factory=dict)

    def with_(self, measured: Measured) -> Results:
        """The same with that measurement added, or in place of an older one."""
        return replace(self, measured=self.measured | {measured.name: measured})

    @property
    def rows(self) -> list[Row]:
        """All rows, measurement by measurement."""
        return [row for measured in self.measured.values() for row in measured.rows]


def now() -> str:
    """The time of day to the second, with its zone."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def folder_of_today(
    results_folder: Path, machine: Machine, quick: bool, today: date | None = None
) -> tuple[Path, Results]:
    """Today's folder and what it holds of this machine and these versions; a further folder where they differ from
    what it holds."""
    day = (today or datetime.now(UTC).date()).isoformat()
    for number in itertools.count(1):
        name = day + (f"-{number}" if number > 1 else "") + ("-quick" if quick else "")
        source = results_folder / name / "results.json"
        if not source.exists():
            return source.parent, Results(machine, quick)
        held = read_results(source)
        if held.machine == machine:
            return source.parent, held
    raise AssertionError("unreachable")


def read_results(path: Path) -> Results:
    """What results.json holds."""
    content = json.loads(path.read_text(encoding="utf-8"))
    measured = {
        name: Measured(**(given | {"rows": tuple(map(_row, given["rows"]))}))
        for name, given in content["measured"].items()
    }
    return Results(Machine(**content["machine"]), content["quick"], measured)


def _row(given: dict[str, Any]) -> Row:
    target = None if given["target"] is None else Target(**given["target"])
    return Row(**(given | {"numbers": tuple(given["numbers"]), "target": target}))


def write_results(folder: Path, results: Results) -> None:
    """results.json, rows.csv and table.md into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "machine": results.machine.facts(),
        "quick": results.quick,
        "measured": {name: asdict(measured) for name, measured in results.measured.items()},
    }
    (folder / "results.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (folder / "rows.csv").write_text(csv_text(results.rows), encoding="utf-8")
    (folder / "table.md").write_text(markdown(results), encoding="utf-8")


def csv_text(rows: list[Row]) -> str:
    """A line per row: median, smallest and largest of the repeats, the target and whether it is met."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["measurement", "what", "unit", "median", "low", "high", "repeats", "target", "verdict", "note"])
    for row in rows:
        low, high = row.spread
        numbers = [f"{number:.6g}" if row.numbers else "" for number in (row.median, low, high)]
        writer.writerow(
            [row.measurement, row.what, row.unit, *numbers, len(row.numbers), row.target or "", row.verdict, row.note]
        )
    return text.getvalue()


def markdown(results: Results) -> str:
    """The table that docs/performance.md shows."""
    machine = results.machine
    versions = ", ".join(f"{name} {number}" for name, number in machine.versions.items())
    lines = [
        *(["**Quick: shows that the benchmark works; believe no number.**", ""] if results.quick else []),
        (
            f"{machine.cpu}, {machine.num_cpus} cores, {machine.memory_gib:g} GiB, bfloat16 products:"
            f" {machine.bfloat16}, GPU: {machine.gpu}; {versions}."
        ),
        "",
        "| measurement | what | median | low to high | repeats | target | |",
        "|---|---|---|---|---|---|---|",
        *map(table_line, results.rows),
        "",
        *(
            f"- {m.name}: {m.at}, commit {m.commit}, load before it {m.load_average:.2f}, took {m.seconds:.0f} s"
            for m in results.measured.values()
        ),
    ]
    return "\n".join(lines) + "\n"


def table_line(row: Row) -> str:
    """One row of the table."""
    target = str(row.target) if row.target else ""
    verdict = "" if row.verdict == "no target" else row.verdict
    if not row.numbers:
        return f"| {row.measurement} | {row.what} | | | 0 | {target} | {verdict}: {row.note} |"
    low, high = (number_text(number) for number in row.spread)
    median = f"{number_text(row.median)} {unit_text(row.unit)}".strip()
    remark = "; ".join(part for part in (verdict, row.note) if part)
    return f"| {row.measurement} | {row.what} | {median} | {low} to {high} | {len(row.numbers)} | {target} | {remark} |"


def number_text(number: float) -> str:
    """Four significant digits, without an exponent where a person can read it so."""
    if abs(number) >= 10 ** (_SIGNIFICANT - 1):
        return f"{number:,.0f}"
    return f"{number:.{_SIGNIFICANT - 1}g}"


def unit_text(unit: str) -> str:
    """Nothing for a ratio or a count."""
    return "" if unit in ("ratio", "count", "copies") else unit
