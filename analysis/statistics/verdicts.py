"""The verdict on two sides that are paired by seed: one judge for a study's claims, for curves from a file and for two
studies side by side.

Higher is better everywhere. A training that diverged is the worst outcome there is, so that it never improves the
verdict of its side, and nothing is equivalent where one did.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from analysis.statistics.intervals import ROUNDING, Interval, SignFlip, Vector, sign_flip

Verdict = Literal["better", "worse", "equivalent", "inconclusive"]
Outcomes = Mapping[int, float | None]
"""A number by seed; None for a training that diverged."""

DECIDED: frozenset[Verdict] = frozenset({"better", "worse", "equivalent"})
LARGE = 1e3


@dataclass(frozen=True)
class Pairs:
    """Two sides paired by the seeds that ended in both. With `num_diverged` there is no mean, and nothing is
    equivalent, also in what is left of them."""

    seeds: tuple[int, ...]
    level: tuple[float | None, ...]
    baseline: tuple[float | None, ...]
    num_diverged: int

    @classmethod
    def of(cls, level: Outcomes, baseline: Outcomes, num_lost: int = 0) -> Pairs:
        """The pairs, by ascending seed. `num_lost`: trainings that diverged, also those without a pair."""
        seeds = tuple(sorted(set(level) & set(baseline)))
        ours, theirs = tuple(level[seed] for seed in seeds), tuple(baseline[seed] for seed in seeds)
        return cls(seeds, ours, theirs, max(num_lost, sum(None in pair for pair in zip(ours, theirs, strict=True))))

    def without(self, index: int) -> Pairs:
        """The pairs but one; a divergence in it still counts against equivalence and against a mean."""
        before, after = slice(index), slice(index + 1, None)
        return Pairs(
            self.seeds[before] + self.seeds[after],
            self.level[before] + self.level[after],
            self.baseline[before] + self.baseline[after],
            self.num_diverged,
        )

    @cached_property
    def finished(self) -> Pairs:
        """The pairs in which neither side diverged."""
        rows = [row for row in zip(self.seeds, self.level, self.baseline, strict=True) if None not in row]
        return Pairs(tuple(row[0] for row in rows), tuple(row[1] for row in rows), tuple(row[2] for row in rows), 0)

    @cached_property
    def arrays(self) -> tuple[Vector, Vector]:
        """Level and baseline [pairs]; NaN where a training diverged."""
        return np.asarray(self.level, dtype=np.float64), np.asarray(self.baseline, dtype=np.float64)

    @cached_property
    def differences(self) -> Vector:
        """Level minus baseline [pairs]: minus infinity where the level diverged, infinity where the baseline did, 0
        where both did."""
        sides, tolerance = zip(self.level, self.baseline, strict=True), ROUNDING * self.size
        return np.asarray([_difference(level, baseline, tolerance) for level, baseline in sides], dtype=np.float64)

    @cached_property
    def size(self) -> float:
        """The largest number of either side, by its absolute value: how coarse differences are depends on it."""
        return max((abs(number) for number in (*self.level, *self.baseline) if number is not None), default=0.0)


def _difference(level: float | None, baseline: float | None, tolerance: float) -> float:
    if level is None:
        return -math.inf if baseline is not None else 0.0
    if baseline is None:
        return math.inf
    return level - baseline if abs(level - baseline) > tolerance else 0.0


@dataclass(frozen=True)
class Rule:
    """How pairs are judged: differences below `margin` do not matter, where 0 says that every one may; a verdict that
    is not `allowed` is open."""

    confidence: float
    margin: float
    allowed: frozenset[Verdict] = DECIDED


@dataclass(frozen=True)
class Judgement:
    """What pairs come to. `mean` is None without a pair and where a training diverged.

    `test` counts diverged trainings as the worst outcome there is. It is None without a pair, and where both sides
    diverged, under different seeds.
    """

    num_pairs: int
    num_diverged_pairs: int
    mean: float | None
    test: SignFlip | None
    verdict: Verdict

    @property
    def p(self) -> float | None:
        """The p of the test."""
        return self.test.p if self.test else None

    @property
    def interval(self) -> Interval | None:
        """The interval of the mean; None without a mean, and where the pairs are too few for one."""
        return self.test.interval if self.test and self.mean is not None and self.test.interval.is_finite else None


def judge(pairs: Pairs, rule: Rule, generator: np.random.Generator) -> Judgement:
    """The verdict on the pairs by the sign-flip test: the one place where a comparison is decided."""
    test = worst_case_test(pairs.differences, rule.confidence, generator, pairs.size)
    decided = verdict(test.interval if test else None, rule.margin)
    is_open = decided not in rule.allowed or (decided == "equivalent" and pairs.num_diverged > 0)
    return Judgement(
        num_pairs=len(pairs.seeds),
        num_diverged_pairs=len(pairs.seeds) - len(pairs.finished.seeds),
        mean=float(pairs.differences.mean()) if pairs.seeds and not pairs.num_diverged else None,
        test=test,
        verdict="inconclusive" if is_open else decided,
    )


def worst_case_test(
    differences: Vector, confidence: float, generator: np.random.Generator, size: float = 0.0
) -> SignFlip | None:
    """The paired sign-flip test of differences that may hold infinities of one sign; without any it is `sign_flip`.

    `size`: that of the numbers that were subtracted.

    The interval's ends rise and fall with every difference, so that an infinite one leaves its far end decided and
    its near end infinite. None without a difference, and with infinities of both signs.
    """
    num_below, num_above = int(np.isneginf(differences).sum()), int(np.isposinf(differences).sum())
    if not differences.size or (num_below and num_above):
        return None
    largest = float(np.abs(differences[np.isfinite(differences)]).max(initial=0.0))
    large = LARGE * differences.size * (largest + 1.0)
    test = sign_flip(np.clip(differences, -large, large), confidence, generator, size)
    # A mean that has an infinite difference in it lies far beyond every mean that has none.
    low, high = (
        end if abs(end) <= largest + 1.0 else math.copysign(math.inf, end)
        for end in (test.interval.low, test.interval.high)
    )
    return replace(test, interval=Interval(low, high))


def corrected(own: Verdict, holm_p: float | None, confidence: float) -> Verdict:
    """A verdict by its own p as the correction leaves it: better or worse only where Holm's p is small enough as well.
    Equivalence is not corrected."""
    fails = own in ("better", "worse") and holm_p is not None and holm_p > 1 - confidence + 1e-12
    return "inconclusive" if fails else own


def verdict(interval: Interval | None, margin: float) -> Verdict:
    """What an interval of a difference says, with |difference| < margin as the region of practical equivalence.

    equivalent: all of it within the margin, even where it leaves out 0. better / worse: all of it above / below 0
    and not equivalent, also where one end is infinite. inconclusive: anything else, and no interval at all.
    """
    if interval is None:
        return "inconclusive"
    if -margin < interval.low and interval.high < margin:
        return "equivalent"
    if interval.low > 0:
        return "better"
    return "worse" if interval.high < 0 else "inconclusive"
