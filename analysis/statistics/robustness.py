"""How easily a headline claim is overturned: by one seed, by another statistic, by the neighbouring proposal. Numbers;
`analysis.claims.doubts` has the words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.statistics.intervals import Vector, pair_correlation, sign_test, smallest_p
from analysis.statistics.verdicts import Judgement, Outcomes, Pairs, Rule, judge

MAX_LEFT_OUT_IN_TURN = 12


@dataclass(frozen=True)
class LeftOut:
    """The claim judged without one seed; `testable` where so few pairs can still reach the confidence."""

    seed: int
    judgement: Judgement
    testable: bool


@dataclass(frozen=True)
class Pairing:
    """What pairing by seed bought: Pearson's correlation, and the variance of unpaired differences over that of the
    pairs.

    `variance_gain` = (var x + var y) / var(x - y), sample variances: so many times the seeds would an unpaired
    comparison need. Below 1 pairing costs; infinite where all differences are equal; None below 3 pairs and where
    neither side varies.
    """

    correlation: float | None
    variance_gain: float | None


@dataclass(frozen=True)
class Neighbour:
    """The claim with a runner-up in place of a winner, where the neighbouring proposal of `side` was trained under
    the same seeds. `testable` where so many pairs can reach the confidence."""

    side: Literal["level", "baseline"]
    judgement: Judgement
    testable: bool


@dataclass(frozen=True)
class Robustness:
    """A claim's pairs looked at in every way that might overturn it. Where a training diverged there is no `median`,
    no `sign_test_p`, no `most_extreme` pair and no `pairing`."""

    judgement: Judgement
    median: float | None
    sign_test_p: float | None
    most_extreme: LeftOut | None
    left_out: tuple[LeftOut, ...]
    pairing: Pairing | None
    neighbours: tuple[Neighbour, ...]


def robustness(
    level: Outcomes,
    baseline: Outcomes,
    rule: Rule,
    generator: np.random.Generator,
    level_runner_up: Outcomes | None = None,
    baseline_runner_up: Outcomes | None = None,
) -> Robustness:
    """Everything about the robustness of "level minus baseline", each a mapping of seed to its number or to None where
    it diverged. Pairs are the seeds that both have; ValueError without one."""
    pairs = Pairs.of(level, baseline)
    if not pairs.seeds:
        raise ValueError("level and baseline have no seed in common, so that there are no pairs")
    judgement = judge(pairs, rule, generator)
    left_out = tuple(_left_out(pairs, rule, generator))
    has_mean = judgement.mean is not None
    neighbours = [
        _neighbour("level", Pairs.of(level_runner_up, baseline), rule, generator) if level_runner_up else None,
        _neighbour("baseline", Pairs.of(level, baseline_runner_up), rule, generator) if baseline_runner_up else None,
    ]
    return Robustness(
        judgement=judgement,
        median=float(np.median(pairs.differences)) if has_mean else None,
        sign_test_p=sign_test(pairs.differences) if has_mean else None,
        most_extreme=_most_extreme(left_out, pairs) if has_mean else None,
        left_out=left_out,
        pairing=pairing(*pairs.arrays) if has_mean else None,
        neighbours=tuple(neighbour for neighbour in neighbours if neighbour),
    )


def _left_out(pairs: Pairs, rule: Rule, generator: np.random.Generator) -> Iterator[LeftOut]:
    """The verdict without each pair in turn; nothing for a single pair.

    Above `MAX_LEFT_OUT_IN_TURN` pairs the largest and the smallest difference are left out: the interval's ends rise
    with every difference, so that no other pair's absence lowers or raises it by more. An open verdict may become
    equivalent without a pair in between, which `_balancing` looks for. Infinite differences are the extreme ones.
    """
    num_pairs = len(pairs.seeds)
    if num_pairs < 2:
        return
    extremes = {int(np.argmin(pairs.differences)), int(np.argmax(pairs.differences))}
    testable = smallest_p(num_pairs - 1) <= 1 - rule.confidence
    if num_pairs > MAX_LEFT_OUT_IN_TURN and rule.margin and not pairs.num_diverged:
        extremes.add(_balancing(pairs, rule, generator))
    for index, seed in enumerate(pairs.seeds):
        if num_pairs <= MAX_LEFT_OUT_IN_TURN or index in extremes:
            yield LeftOut(seed, judge(pairs.without(index), rule, generator), testable)


def _balancing(pairs: Pairs, rule: Rule, generator: np.random.Generator) -> int:
    """The pair without which the interval lies lowest of those that keep its lower end within the margin: if the rest
    is equivalent without any pair, it is without this one."""
    order, first, last = np.argsort(pairs.differences), 0, len(pairs.seeds) - 1
    while first < last:  # the larger the pair that is left out, the lower lie both ends
        middle = (first + last + 1) // 2
        test = judge(pairs.without(int(order[middle])), rule, generator).test
        is_within = test is not None and test.interval.low > -rule.margin
        first, last = (middle, last) if is_within else (first, middle - 1)
    return int(order[first])


def _most_extreme(left_out: tuple[LeftOut, ...], pairs: Pairs) -> LeftOut | None:
    """The verdict without the pair that lies farthest from the median."""
    seed = pairs.seeds[int(np.argmax(np.abs(pairs.differences - np.median(pairs.differences))))]
    return next((case for case in left_out if case.seed == seed), None)


def pairing(level: Vector, baseline: Vector) -> Pairing:
    """What pairing bought for two arrays [pairs]."""
    correlation = pair_correlation(level, baseline)
    if level.size < 3:
        return Pairing(correlation, None)
    apart, paired = float(level.var(ddof=1) + baseline.var(ddof=1)), float((level - baseline).var(ddof=1))
    if not apart:
        return Pairing(correlation, None)
    return Pairing(correlation, apart / paired if paired else math.inf)


def _neighbour(
    side: Literal["level", "baseline"], pairs: Pairs, rule: Rule, generator: np.random.Generator
) -> Neighbour:
    testable = smallest_p(len(pairs.seeds)) <= 1 - rule.confidence
    return Neighbour(side, judge(pairs, rule, generator), testable)
