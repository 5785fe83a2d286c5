"""One training against the classic DataLoader loop and against Pythae's trainer: seconds per step, on one thread and
on all."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks import pythae
from benchmarks.peers.textbook import TextbookTraining, seconds_per_step
from benchmarks.rows import Row, Settings, UnavailableError, not_measured, over, rows_of
from benchmarks.workload import BATCH_SIZE, NUM_TRAIN_IMAGES, mnist, torch_threads, training, write_torchvision_folder
from vae.model.precision import reproducible_arithmetic
from vae.training import Training

NAME = "peer_loop"


@dataclass(frozen=True)
class LoopTimes:
    """Seconds per step in one repeat: this project's training, the textbook loop on one thread and on all, Pythae on
    one thread."""

    ours: float
    textbook: float
    textbook_all_threads: float
    pythae: float | None


@dataclass
class _Contest:
    """What the repeats share."""

    settings: Settings
    num_steps: int
    ours: Training = field(init=False)
    textbook: TextbookTraining = field(init=False)
    package: Path | None = None
    unavailable: str = ""

    def __post_init__(self) -> None:
        dataset = mnist(self.settings.data)
        self.ours = training(self.settings.data)
        self.textbook = TextbookTraining(write_torchvision_folder(dataset, self.settings.folder("torchvision")))
        self.images = self.settings.folder("images") / "train.npy"
        np.save(self.images, dataset.train_images.reshape(len(dataset.train_images), -1))
        self._try_pythae()

    def _try_pythae(self) -> None:
        try:
            self.package = pythae.installed(self.settings)
        except UnavailableError as error:
            self.unavailable = str(error)

    def once(self) -> LoopTimes:
        ours = self._ours()
        with torch_threads(1):
            textbook = seconds_per_step(self.textbook, self.num_steps)
        with torch_threads(self.settings.num_cpus):
            all_threads = seconds_per_step(self.textbook, self.num_steps)
        return LoopTimes(ours, textbook, all_threads, self._pythae())

    def _ours(self) -> float:
        with reproducible_arithmetic():
            began = time.perf_counter()
            for _ in range(self.num_steps):
                self.ours._train_step()
            return (time.perf_counter() - began) / self.num_steps

    def _pythae(self) -> float | None:
        if self.package is None:
            return None
        try:
            answer = pythae.ask(
                self.settings,
                self.package,
                do="train",
                images=str(self.images),
                num_images=self.num_steps * BATCH_SIZE,
                num_threads=1,
            )
        except UnavailableError as error:
            self.package, self.unavailable = None, str(error)
            return None
        return answer["seconds_per_step"]


def measure(settings: Settings) -> list[Row]:
    """Interleaved epochs of all contestants."""
    contest = _Contest(settings, 50 if settings.quick else NUM_TRAIN_IMAGES // BATCH_SIZE)
    repeats = [contest.once() for _ in settings.repeated(NAME, 5)]
    timed = [
        ("ours, one thread", over(repeats, lambda r: 1e3 * r.ours)),
        ("textbook loop, one thread", over(repeats, lambda r: 1e3 * r.textbook)),
        ("textbook loop, all threads", over(repeats, lambda r: 1e3 * r.textbook_all_threads)),
    ]
    ratios = [
        ("textbook loop / ours, one thread each", over(repeats, lambda r: r.textbook / r.ours)),
        ("textbook loop on all threads / ours on one", over(repeats, lambda r: r.textbook_all_threads / r.ours)),
    ]
    return rows_of(NAME, "ratio", ratios) + _pythae_rows(repeats, contest.unavailable) + rows_of(NAME, "ms", timed)


def _pythae_rows(repeats: list[LoopTimes], unavailable: str) -> list[Row]:
    measured = [(r.pythae, r.ours) for r in repeats if r.pythae is not None]
    if not measured:
        return [not_measured(NAME, "Pythae's trainer / ours, one thread each", unavailable)]
    ratio = tuple(theirs / ours for theirs, ours in measured)
    return [
        Row(NAME, "Pythae's trainer / ours, one thread each", "ratio", ratio, note=unavailable),
        Row(NAME, "Pythae's trainer, one thread", "ms", tuple(1e3 * theirs for theirs, _ in measured)),
    ]
