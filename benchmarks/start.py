"""From the command to the first training step, with a warm file cache."""

from __future__ import annotations

from benchmarks.processes import run_study
from benchmarks.rows import Row, Settings, at_most
from benchmarks.workload import write_study

NAME = "start"


def measure(settings: Settings) -> list[Row]:
    """Studies of one short training in a new outputs folder each; the first of them warms the file cache and is not
    counted."""
    if not settings.quick:
        settings.say(f"[{NAME}] warming the file cache")
        seconds_to_first_step(settings)
    numbers = tuple(seconds_to_first_step(settings) for _ in settings.repeated(NAME, 5))
    return [
        Row(
            NAME,
            "command to first training step",
            "s",
            numbers,
            at_most(10),
            "a new outputs folder with the data in it; the database is made too",
        )
    ]


def seconds_to_first_step(settings: Settings) -> float:
    """One study's time from its command to the start of its first training, whose first step follows within a
    hundredth."""
    outputs = settings.folder("start")
    study = write_study(outputs / "start.yaml", "start", 1, budget_samples=100, num_evaluations=1)
    run = run_study(study, outputs, settings.data, settings.num_cpus)
    return run.first_step - run.command.began
