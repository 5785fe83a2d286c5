"""The report of a large study: seconds from the command to the page, and the size of the page."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.large_store import large_study, write_large_store
from benchmarks.old_build import take_turns
from benchmarks.processes import timed_command
from benchmarks.rows import Row, Settings, at_most, over

NAME = "report"


@dataclass(frozen=True)
class ReportCost:
    """One report: seconds of the whole command, bytes of its page."""

    seconds: float
    page_bytes: int


def measure(settings: Settings) -> list[Row]:
    """`python -m analysis all` of the same invented study, in turns by this build and by the older one."""
    num_trainings, num_evaluations = (60, 10) if settings.quick else (1_000, 100)
    settings.say(f"[{NAME}] inventing {num_trainings:,} trainings x {num_evaluations} evaluations")
    outputs = settings.folder("report")
    study = large_study(num_trainings, num_evaluations)
    write_large_store(outputs, study)
    command = [
        sys.executable,
        "-m",
        "analysis",
        "all",
        "--study",
        study.name,
        "--outputs",
        str(outputs),
        "--data",
        str(settings.data),
    ]

    def once(root: Path) -> ReportCost:
        seconds = timed_command(command, outputs / "log.txt", root=root).seconds
        return ReportCost(seconds, (outputs / "reports" / study.name / "index.html").stat().st_size)

    turns = take_turns(settings, NAME, 5, once)
    note = f"{num_trainings:,} trainings x {num_evaluations} evaluations, SQLite"
    what = "reading and drawing, whole command"
    return [
        Row(NAME, what, "s", over(turns.new, lambda r: r.seconds), at_most(30), note),
        turns.ratio(NAME, what, lambda r: r.seconds, at_most(0.45)),
        Row(NAME, "size of the page", "MB", over(turns.new, lambda r: 1e-6 * r.page_bytes), at_most(10)),
    ]
