"""What one more trial costs when there is nothing to train: time and driver memory, from few trials to ten thousand."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from benchmarks.processes import memory, run_study
from benchmarks.rows import Row, Settings, at_most, over
from benchmarks.workload import write_study, write_tiny_images

NAME = "empty_trials"
_SECONDS_BETWEEN_LOOKS = 1.0


@dataclass(frozen=True)
class EmptyStudy:
    """A study of that many empty trials: seconds from its first trial to the command's end, its driver's largest
    resident memory, and how that came about.

    `memory` holds (trainings recorded, resident bytes of the driver), a look each second.
    """

    num_trials: int
    seconds: float
    driver_bytes: int
    memory: tuple[tuple[int, int], ...] = ()

    def bytes_per_trial(self, first: float, last: float) -> float:
        """The slope of the driver's memory between two shares of its trials, by least squares; NaN where there were
        not two different looks."""
        seen = [(done, held) for done, held in self.memory if first * self.num_trials <= done <= last * self.num_trials]
        if len({done for done, _ in seen}) < 2:
            return math.nan
        return statistics.linear_regression(*zip(*seen, strict=True)).slope


@dataclass(frozen=True)
class Growth:
    """The same study in three sizes."""

    small: EmptyStudy
    middle: EmptyStudy
    large: EmptyStudy

    @property
    def cost_per_trial(self) -> float:
        """Seconds that one more trial costs between the small and the middle study."""
        return cost_between(self.small, self.middle)

    @property
    def cost_growth(self) -> float:
        """That cost between the middle and the large study, relative to the former."""
        return cost_between(self.middle, self.large) / self.cost_per_trial

    @property
    def memory_growth(self) -> float:
        """Driver bytes per trial in the second half of the large study relative to its first half, the first tenth
        left out: there the start's own memory is given back."""
        return self.large.bytes_per_trial(0.55, 1) / self.large.bytes_per_trial(0.1, 0.55)


def cost_between(smaller: EmptyStudy, larger: EmptyStudy) -> float:
    """Seconds per further trial."""
    return (larger.seconds - smaller.seconds) / (larger.num_trials - smaller.num_trials)


def bytes_between(smaller: EmptyStudy, larger: EmptyStudy) -> float:
    """Driver bytes per further trial."""
    return (larger.driver_bytes - smaller.driver_bytes) / (larger.num_trials - smaller.num_trials)


def measure(settings: Settings) -> list[Row]:
    """Studies whose trainings are one minibatch of tiny images."""
    sizes = (5, 25, 60) if settings.quick else (100, 1_000, 10_000)
    repeats = [Growth(*(run_empty(settings, size) for size in sizes)) for _ in settings.repeated(NAME, 1)]
    small, middle, large = (f"{size:,}" for size in sizes)
    note = "one writer to MLflow included; from the first trial to the end of the command"
    return [
        Row(
            NAME,
            f"one more empty trial, {small} to {middle}",
            "s",
            over(repeats, lambda r: r.cost_per_trial),
            at_most(0.05),
            note,
        ),
        Row(
            NAME,
            f"one more, {middle} to {large}, relative to that",
            "ratio",
            over(repeats, lambda r: r.cost_growth),
            at_most(1.3),
        ),
        Row(
            NAME,
            f"driver memory per trial, second half of {large} relative to the first",
            "ratio",
            over(repeats, lambda r: r.memory_growth),
            at_most(1.3),
        ),
        Row(
            NAME,
            f"driver memory per trial, {middle} to {large}",
            "kB",
            over(repeats, lambda r: 1e-3 * bytes_between(r.middle, r.large)),
        ),
        Row(NAME, f"driver memory with {large} trials", "MB", over(repeats, lambda r: 1e-6 * r.large.driver_bytes)),
    ]


def run_empty(settings: Settings, num_trials: int) -> EmptyStudy:
    """One study of empty trials, its driver watched."""
    settings.say(f"[{NAME}] {num_trials:,} trials")
    outputs = settings.folder("empty")
    images = write_tiny_images(outputs / "images")
    fields = {
        "dataset": str(images),
        "hidden_units": 8,
        "latent_dim": 2,
        "batch_size": 10,
        "budget_samples": 10,
        "num_evaluations": 1,
    }
    study = write_study(outputs / "empty.yaml", "empty", num_trials, **fields)
    seen: list[tuple[int, int]] = []

    def watch(pid: int) -> None:
        now = memory(pid)
        if now:
            seen.append((sum(1 for _ in (outputs / "trainings").glob("[!.]*")), now.resident))

    run = run_study(study, outputs, settings.data, settings.num_cpus, watch=watch)
    return EmptyStudy(
        num_trials, run.command.ended - run.first_step, max((held for _, held in seen), default=0), tuple(seen)
    )
