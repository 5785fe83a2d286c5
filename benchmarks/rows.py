"""What a measurement returns: rows of repeated numbers, most of them ratios, with the target where there is one."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

T = TypeVar("T")

Verdict = Literal["met", "missed", "no target", "not measured"]


@dataclass(frozen=True)
class Target:
    """A bound that the median must keep: at least, or at most."""

    comparison: Literal[">=", "<="]
    bound: float

    def met(self, median: float) -> bool:
        """Whether `median` keeps the bound; a number that is not finite never does."""
        if not math.isfinite(median):
            return False
        return median >= self.bound if self.comparison == ">=" else median <= self.bound

    def __str__(self) -> str:
        return f"{self.comparison} {self.bound:g}"


@dataclass(frozen=True)
class Row:
    """One number of the table, measured once per repeat. Without numbers it was not measured, and `note` says why."""

    measurement: str
    what: str
    unit: str
    numbers: tuple[float, ...]
    target: Target | None = None
    note: str = ""

    @property
    def median(self) -> float:
        """The median of the repeats; NaN where there are none."""
        return statistics.median(self.numbers) if self.numbers else math.nan

    @property
    def spread(self) -> tuple[float, float]:
        """The smallest and the largest of the repeats; NaN where there are none."""
        return (min(self.numbers), max(self.numbers)) if self.numbers else (math.nan, math.nan)

    @property
    def verdict(self) -> Verdict:
        """Whether the median keeps the target."""
        if not self.numbers:
            return "not measured"
        if self.target is None:
            return "no target"
        return "met" if self.target.met(self.median) else "missed"


@dataclass(frozen=True)
class Settings:
    """How a benchmark runs: `quick` shrinks every measurement until its numbers mean nothing but that it works."""

    quick: bool
    repeats: int | None
    scratch: Path
    data: Path
    num_cpus: int
    say: Callable[[str], None] = print

    def repeated(self, name: str, default: int) -> Iterator[int]:
        """The repeats of a measurement from 0, each announced: as many as asked for, else `default` (one when
        quick)."""
        number = self.repeats or (1 if self.quick else default)
        for repeat in range(number):
            self.say(f"[{name}] repeat {repeat + 1} of {number}")
            yield repeat

    def folder(self, name: str) -> Path:
        """A new empty folder in the scratch place."""
        taken = {path.name for path in self.scratch.glob(f"{name}-*")}
        number = next(number for number in range(len(taken) + 1) if f"{name}-{number}" not in taken)
        place = self.scratch / f"{name}-{number}"
        place.mkdir(parents=True)
        return place


class UnavailableError(Exception):
    """Something that a measurement needs is not to be had here; the message says what, for the table."""


def over(repeats: Iterable[T], number: Callable[[T], float]) -> tuple[float, ...]:
    """`number` of every repeat: a ratio is taken within its repeat, before any median."""
    return tuple(number(repeat) for repeat in repeats)


def not_measured(measurement: str, what: str, reason: str, *, unit: str = "ratio", target: Target | None = None) -> Row:
    """A row for what could not be measured here."""
    return Row(measurement, what, unit, (), target, reason)


def at_least(bound: float) -> Target:
    """The target `>= bound`."""
    return Target(">=", bound)


def at_most(bound: float) -> Target:
    """The target `<= bound`."""
    return Target("<=", bound)


def rows_of(measurement: str, unit: str, numbers: Sequence[tuple[str, tuple[float, ...]]]) -> list[Row]:
    """Rows without a target that share their unit."""
    return [Row(measurement, what, unit, measured) for what, measured in numbers]
