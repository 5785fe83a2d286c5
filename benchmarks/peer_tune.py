"""A study against a stock Ray Tune study of the textbook loop: trainings per hour, with the start and without."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers import tune_program
from benchmarks.processes import Timed, run_study, timed_command
from benchmarks.rows import Row, Settings, at_least, not_measured, over, rows_of
from benchmarks.workload import NUM_TRAIN_IMAGES, mnist, write_study, write_torchvision_folder
from vae.model.precision import cpu_has_bfloat16

NAME = "peer_tune"
_TARGETS = {"float32": at_least(3), "bfloat16": at_least(4.5)}


@dataclass(frozen=True)
class StudyTimes:
    """A whole study in seconds: the command, until its first training began, and from there to its last result."""

    whole: float
    start: float
    after_start: float


@dataclass(frozen=True)
class StudySize:
    """How much both sides train."""

    num_trainings: int
    num_epochs: int


def measure(settings: Settings) -> list[Row]:
    """The peer and our study in turn: 16 trainings of three epochs, a test evaluation after each epoch on both
    sides."""
    size = StudySize(4, 1) if settings.quick else StudySize(16, 3)
    root = write_torchvision_folder(mnist(settings.data), settings.folder("torchvision"))
    precisions = ["float32", "bfloat16"] if cpu_has_bfloat16() else ["float32"]
    peer: list[StudyTimes] = []
    ours: dict[str, list[StudyTimes]] = {precision: [] for precision in precisions}
    for _ in settings.repeated(NAME, 1):
        settings.say(f"[{NAME}] the stock Ray Tune study")
        peer.append(run_peer(settings, root, size))
        for precision in precisions:
            settings.say(f"[{NAME}] our study in {precision}")
            ours[precision].append(run_ours(settings, size, precision))
    return _rows(peer, ours, size)


def run_peer(settings: Settings, root: Path, size: StudySize) -> StudyTimes:
    """The stock study in a process of its own."""
    outputs = settings.folder("tune")
    arguments = [str(root), str(outputs), str(size.num_trainings), str(size.num_epochs), str(settings.num_cpus)]
    command = timed_command([sys.executable, "-m", tune_program.__name__, *arguments], outputs / "log.txt")
    times = json.loads((outputs / "times.json").read_text())
    return _times(command, times["first_step"], times["last_result"])


def run_ours(settings: Settings, size: StudySize, precision: str) -> StudyTimes:
    """`python -m study run` of as many trainings of as many epochs."""
    outputs = settings.folder("ours")
    fields: dict[str, Any] = {
        "train_on_all": True,
        "budget_samples": size.num_epochs * NUM_TRAIN_IMAGES,
        "num_evaluations": size.num_epochs,
        "test_curve": True,
    }
    if precision != "float32":
        fields["precision"] = precision
    study = write_study(outputs / "ours.yaml", "ours", size.num_trainings, **fields)
    run = run_study(study, outputs, settings.data, settings.num_cpus)
    return _times(run.command, run.first_step, run.last_result)


def _times(command: Timed, first_step: float, last_result: float) -> StudyTimes:
    return StudyTimes(command.seconds, first_step - command.began, last_result - first_step)


def _rows(peer: list[StudyTimes], ours: dict[str, list[StudyTimes]], size: StudySize) -> list[Row]:
    note = (
        f"{size.num_trainings} trainings x {size.num_epochs} epochs; whole commands; ours also evaluates 10,000"
        " training images each epoch"
    )
    rows: list[Row] = []
    for precision, mine in ours.items():
        pairs = list(zip(peer, mine, strict=True))
        rows += [
            Row(
                NAME,
                f"{precision}: trainings per hour, ours / stock Ray Tune",
                "ratio",
                over(pairs, lambda p: p[0].whole / p[1].whole),
                _TARGETS[precision],
                note,
            ),
            Row(
                NAME,
                f"{precision}: the same after the start of both",
                "ratio",
                over(pairs, lambda p: p[0].after_start / p[1].after_start),
            ),
            Row(NAME, f"{precision}: ours, whole command", "s", over(mine, lambda t: t.whole)),
            Row(
                NAME,
                f"{precision}: ours, trainings per hour",
                "1/h",
                over(mine, lambda t: 3600 * size.num_trainings / t.whole),
            ),
        ]
    if "bfloat16" not in ours:
        reason = "this CPU has no bfloat16 products"
        rows.append(
            not_measured(
                NAME, "bfloat16: trainings per hour, ours / stock Ray Tune", reason, target=_TARGETS["bfloat16"]
            )
        )
    return rows + rows_of(
        NAME,
        "s",
        [
            ("stock Ray Tune, whole command", over(peer, lambda t: t.whole)),
            ("stock Ray Tune, until its first step", over(peer, lambda t: t.start)),
        ],
    )
