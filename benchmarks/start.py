"""From the command to the first training step, with a warm file cache."""

from __future__ import annotations

from pathlib import Path

from benchmarks.old_build import take_turns
from benchmarks.processes import ROOT, run_study
from benchmarks.rows import Row, Settings, at_most
from benchmarks.workload import write_study

NAME = "start"


def measure(settings: Settings) -> list[Row]:
    """Studies of one short training in a new outputs folder each, in turns by this build and by the older one; the
    first of them warms the file cache and is not counted."""
    if not settings.quick:
        settings.say(f"[{NAME}] warming the file cache")
        seconds_to_first_step(settings)
    turns = take_turns(settings, NAME, 5, lambda root: seconds_to_first_step(settings, root))
    what = "command to first training step"
    note = "a new outputs folder with the data in it; the database is made too"
    return [
        Row(NAME, what, "s", turns.new, at_most(10), note),
        turns.ratio(NAME, what, lambda seconds: seconds, at_most(0.6)),
    ]


def seconds_to_first_step(settings: Settings, root: Path = ROOT) -> float:
    """One study's time, by the code in `root`, from its command to the start of its first training, whose first step
    follows within a hundredth."""
    outputs = settings.folder("start")
    study = write_study(outputs / "start.yaml", "start", 1, budget_samples=100, num_evaluations=1)
    run = run_study(study, outputs, settings.data, settings.num_cpus, root=root)
    return run.first_step - run.command.began
