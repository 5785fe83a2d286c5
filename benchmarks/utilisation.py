"""How busy a study keeps the cores: the `default` study, from its first training to its end."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.processes import StudyRun, run_study
from benchmarks.rows import Row, Settings, at_least, over

NAME = "utilisation"
_QUICK = (
    "training.budget_samples=5000",
    "training.num_evaluations=2",
    "search.num_proposals=2",
    "search.round_size=2",
    "confirm.num_reporting_seeds=2",
)


@dataclass(frozen=True)
class Utilisation:
    """Seconds summed over the trainings of one study, and the seconds of its cores."""

    in_trainings: float
    in_steps: float
    core_seconds_to_end: float
    core_seconds_to_last_result: float
    num_trainings: int
    wall: float

    @classmethod
    def of(cls, run: StudyRun, num_cpus: int) -> Utilisation:
        """Cores count from the start of the first training: to the end of the command, and to the last result."""
        return cls(
            sum(record.finished_ms - record.started_ms for record in run.records) / 1e3,
            sum(record.seconds for record in run.records),
            num_cpus * (run.command.ended - run.first_step),
            num_cpus * (run.last_result - run.first_step),
            len(run.records),
            run.command.seconds,
        )


def measure(settings: Settings) -> list[Row]:
    """Whole `default` studies, each in an outputs folder of its own."""
    repeats = [_once(settings) for _ in settings.repeated(NAME, 1)]
    note = "trainings with their evaluations; wall time from the first training's start to the end of the command"
    return [
        Row(
            NAME,
            "sum of training seconds / (cores x wall time)",
            "ratio",
            over(repeats, lambda r: r.in_trainings / r.core_seconds_to_end),
            at_least(0.95),
            note,
        ),
        Row(
            NAME,
            "the same until the last result",
            "ratio",
            over(repeats, lambda r: r.in_trainings / r.core_seconds_to_last_result),
        ),
        Row(
            NAME,
            "steps alone, without evaluations, until the last result",
            "ratio",
            over(repeats, lambda r: r.in_steps / r.core_seconds_to_last_result),
        ),
        Row(NAME, "default study, whole command", "s", over(repeats, lambda r: r.wall)),
        Row(NAME, "trainings in it", "count", over(repeats, lambda r: r.num_trainings)),
    ]


def _once(settings: Settings) -> Utilisation:
    run = run_study(
        "default",
        settings.folder("default"),
        settings.data,
        settings.num_cpus,
        settings=_QUICK if settings.quick else (),
    )
    return Utilisation.of(run, settings.num_cpus)
