r"""Two sides whose seeds do not correspond: the exact permutation test of the difference of means, and its inversion.

Under the hypothesis that the level's numbers are those of the baseline moved by theta, every division of all numbers,
the level's less theta, into groups of the same sizes is as likely as the one that was seen (Fisher 1935, Pitman 1937).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from analysis.statistics.intervals import NUM_SIGN_DRAWS, ROUNDING, Interval, SignFlip, Vector, inverted
from analysis.statistics.pairs import ComparedSide, Estimate, PairedResult, ReadingVerdict
from analysis.statistics.readouts import Reading
from analysis.statistics.verdicts import LARGE, Judgement, Pairs, Rule, verdict

MAX_DIVISIONS = 2**20


def num_divisions(num_level: int, num_baseline: int) -> int:
    """How many divisions into groups of these sizes there are."""
    return math.comb(num_level + num_baseline, num_level)


def smallest_group_p(num_level: int, num_baseline: int) -> float:
    """The smallest two-sided p that the test of groups of these sizes can reach."""
    return min(1.0, 2 / num_divisions(num_level, num_baseline))


def group_permutation(level: Vector, baseline: Vector, confidence: float, generator: np.random.Generator) -> SignFlip:
    r"""The two-sided permutation test of mean(level) - mean(baseline), and the interval that inverts it.

    A division exchanges k numbers A of the level for k numbers B of the baseline. It makes the difference at least as
    large exactly when mean(A) - mean(B) <= theta. So theta is judged by the order of these contrasts, as in `sign_flip`
    by that of subset means. Exact up to `MAX_DIVISIONS` divisions; beyond, divisions are drawn, and p and interval
    are what the draws leave possible (`intervals.inverted`). ValueError without a number on either side.
    """
    if not level.size or not baseline.size:
        raise ValueError(f"expected numbers on both sides; got {level.size} and {baseline.size}")
    exact = num_divisions(level.size, baseline.size) <= MAX_DIVISIONS
    contrasts = _all_contrasts(level, baseline) if exact else _drawn_contrasts(level, baseline, generator)
    largest = float(max(np.abs(level).max(), np.abs(baseline).max()))
    return inverted(contrasts, ROUNDING * largest, confidence, exact)


def _all_contrasts(level: Vector, baseline: Vector) -> Vector:
    most = min(level.size, baseline.size)
    ours, theirs = _subset_sums(level, most), _subset_sums(baseline, most)
    blocks = [np.subtract.outer(ours[size], theirs[size]).ravel() / size for size in range(1, most + 1)]
    return np.concatenate(blocks)


def _subset_sums(numbers: Vector, most: int) -> list[Vector]:
    """The sums of all subsets by their size, from 0 to `most`."""
    sums = [np.zeros(1), *[np.zeros(0)] * most]
    for number in numbers:
        for size in range(most, 0, -1):
            sums[size] = np.concatenate([sums[size], sums[size - 1] + number])
    return sums


def _drawn_contrasts(level: Vector, baseline: Vector, generator: np.random.Generator) -> Vector:
    pooled = np.concatenate([level, baseline])
    contrasts = []
    for _ in range(NUM_SIGN_DRAWS):
        into_level = np.zeros(pooled.size, dtype=bool)
        into_level[generator.permutation(pooled.size)[: level.size]] = True
        leave, join = ~into_level[: level.size], into_level[level.size :]
        if leave.any():
            contrasts.append(level[leave].mean() - baseline[join].mean())
    return np.asarray(contrasts, dtype=np.float64)


def unpaired_result(
    level: ComparedSide,
    baseline: ComparedSide,
    rule: Rule,
    draws: int,
    *,
    is_whole: bool,
) -> PairedResult:
    """The result of level minus baseline by all seeds of either side, with no pairs: what rests on pairs is None. A
    training that diverged is the worst outcome there is. `draws` is the seed of whatever is drawn."""
    rule = rule if is_whole else replace(rule, allowed=frozenset())
    readings = [_reading(reading, level, baseline, rule, np.random.default_rng(draws)) for reading in level.readings]
    declared = readings[0].judgement
    estimate = None
    if declared.mean is not None and declared.test is not None:
        ours, theirs = (_numbers(side.readings[readings[0].reading]) for side in (level, baseline))
        estimate = Estimate(
            mean=declared.mean,
            median=float(np.median(ours) - np.median(theirs)),
            interval=declared.interval,
            p=declared.test.p,
            sign_test_p=None,
            bca=None,
            correlation=None,
            minimum_detectable_effect=None,
        )
    return PairedResult(rule, is_whole, tuple(readings), estimate, robustness=None, crossovers=())


def _numbers(outcomes: Mapping[int, float | None]) -> Vector:
    """By ascending seed, minus infinity where a training diverged."""
    ordered = (outcomes[seed] for seed in sorted(outcomes))
    return np.asarray([-math.inf if number is None else number for number in ordered], dtype=np.float64)


def _reading(
    reading: Reading, level: ComparedSide, baseline: ComparedSide, rule: Rule, generator: np.random.Generator
) -> ReadingVerdict:
    ours, theirs = _numbers(level.readings[reading]), _numbers(baseline.readings[reading])
    num_lost = int(np.isinf(ours).sum() + np.isinf(theirs).sum())
    test = _worst_case(ours, theirs, rule.confidence, generator)
    decided = verdict(test.interval if test else None, rule.margin)
    is_open = decided not in rule.allowed or (decided == "equivalent" and num_lost > 0)
    judgement = Judgement(
        num_pairs=0,
        num_diverged_pairs=0,
        mean=float(ours.mean() - theirs.mean()) if test and not num_lost else None,
        test=test,
        verdict="inconclusive" if is_open else decided,
    )
    return ReadingVerdict(reading, Pairs((), (), (), num_lost), judgement)


def _worst_case(level: Vector, baseline: Vector, confidence: float, generator: np.random.Generator) -> SignFlip | None:
    """The test with diverged trainings below all others; None without a number on a side, and where both diverged."""
    if not level.size or not baseline.size or (np.isinf(level).any() and np.isinf(baseline).any()):
        return None
    both = np.concatenate([level, baseline])
    largest = float(np.abs(both[np.isfinite(both)]).max(initial=0.0))
    large = LARGE * both.size * (largest + 1.0)
    test = group_permutation(np.maximum(level, -large), np.maximum(baseline, -large), confidence, generator)
    # A contrast that has a diverged training in it lies far beyond every one that has none.
    ends = (test.interval.low, test.interval.high)
    low, high = (end if abs(end) <= 2 * largest + 1.0 else math.copysign(math.inf, end) for end in ends)
    return replace(test, interval=Interval(low, high))
