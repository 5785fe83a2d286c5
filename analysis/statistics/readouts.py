"""Curves read out as one number per seed, the verdict under each readout, and where two mean curves change order.

Every metric here is better when higher: negate a loss first. A seed that diverged has no readout, not even a best one:
the best value before a divergence would reward the luck of the moment.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from analysis.statistics import intervals as statistics
from analysis.statistics.intervals import Interval, SignFlip, Vector, Verdict

Matrix = NDArray[np.float64]
SeedOutcome = Literal["finished", "diverged", "unfinished"]
LARGE = 1e3


@dataclass(frozen=True)
class CellCurves:
    """The curves of one cell's seeds in one metric, at steps that all finished seeds share.

    `steps` [points], ascending; `curves` [seeds, points], NaN from where a seed diverged and where an unfinished one
    has no point; `seconds` [seeds, points], or None where nobody measured them. `seeds` ascending; `outcomes` in
    their order.
    """

    cell: str
    seeds: tuple[int, ...]
    outcomes: tuple[SeedOutcome, ...]
    steps: np.ndarray[Any, np.dtype[np.int64]]
    curves: Matrix
    seconds: Matrix | None = None

    @property
    def horizon(self) -> int:
        """The last step, at which a finished seed ends."""
        return int(self.steps[-1])

    def num(self, outcome: SeedOutcome) -> int:
        """How many seeds ended so."""
        return self.outcomes.count(outcome)


@dataclass(frozen=True)
class Readout:
    """How a curve becomes one number: its `final` point, its `best`, or the `mean_of_last` so many points."""

    kind: Literal["final", "best", "mean_of_last"]
    num_points: int = 1

    def __post_init__(self) -> None:
        if self.num_points < 1:
            raise ValueError(f"a readout takes at least one point; got {self.num_points}")

    @property
    def title(self) -> str:
        """In words: `mean of the last 5`."""
        return f"mean of the last {self.num_points}" if self.kind == "mean_of_last" else self.kind

    def of(self, curve: Vector) -> float:
        """The number that `curve` [points] comes to; NaN where any of its points is not finite."""
        if curve.size < self.num_points:
            raise ValueError(f"the readout '{self.title}' takes {self.num_points} points; the curve has {curve.size}")
        if not np.isfinite(curve).all():
            return math.nan
        if self.kind == "best":
            return float(curve.max())
        return float(curve[-1] if self.kind == "final" else curve[-self.num_points :].mean())


@dataclass(frozen=True)
class PairedReadout:
    """What a verdict under one readout is made from: `level` and `baseline` [pairs] of the seeds that have both."""

    readout: Readout
    seeds: tuple[int, ...]
    level: Vector
    baseline: Vector
    num_lost_level: int
    num_lost_baseline: int
    num_missing: int


@dataclass(frozen=True)
class ReadoutVerdict:
    """The verdict on level less baseline under one readout; no estimate where a training diverged, inconclusive
    where one is missing too.

    `worst_case` counts every diverged training as the worst outcome there is: see `worst_case_verdict`; it is never
    equivalent where one diverged.
    """

    readout: Readout
    num_pairs: int
    mean: float | None
    interval: Interval | None
    p: float | None
    verdict: Verdict
    worst_case: Verdict


@dataclass(frozen=True)
class Crossover:
    """A change of order of two mean curves between two neighbouring steps; `step` where straight lines between them
    meet.

    `num_agree` of `num_seeds` seeds change order themselves: by their own mean difference over the stretch since the
    previous crossover they were on one side, and over the stretch to the next one on the other.
    """

    step_before: int
    step_after: int
    step: float
    leader_after: str
    num_agree: int
    num_seeds: int


def seed_readouts(cell: CellCurves, readout: Readout) -> dict[int, float]:
    """The readout of each finished seed; diverged and unfinished seeds have none."""
    found = {}
    for seed, outcome, curve in zip(cell.seeds, cell.outcomes, cell.curves, strict=True):
        number = readout.of(curve) if outcome == "finished" else math.nan
        if math.isfinite(number):
            found[seed] = number
    return found


def paired_readout(level: CellCurves, baseline: CellCurves, readout: Readout) -> PairedReadout:
    """Both cells read out and paired by seed; a seed that only one cell has counts as missing."""
    ours, theirs = seed_readouts(level, readout), seed_readouts(baseline, readout)
    seeds = sorted(set(ours) & set(theirs))
    num_missing = len(set(level.seeds) ^ set(baseline.seeds)) + level.num("unfinished") + baseline.num("unfinished")
    return PairedReadout(
        readout=readout,
        seeds=tuple(seeds),
        level=np.asarray([ours[seed] for seed in seeds], dtype=np.float64),
        baseline=np.asarray([theirs[seed] for seed in seeds], dtype=np.float64),
        num_lost_level=level.num("diverged"),
        num_lost_baseline=baseline.num("diverged"),
        num_missing=num_missing,
    )


def readout_verdicts(
    level: CellCurves,
    baseline: CellCurves,
    readouts: Sequence[Readout],
    confidence: float,
    margin: float,
    generator: np.random.Generator,
) -> tuple[ReadoutVerdict, ...]:
    """The verdict on the same trainings under each readout, in the order given: where they differ, the claim depends
    on the readout."""
    return tuple(_readout_verdict(level, baseline, readout, confidence, margin, generator) for readout in readouts)


def _readout_verdict(
    level: CellCurves,
    baseline: CellCurves,
    readout: Readout,
    confidence: float,
    margin: float,
    generator: np.random.Generator,
) -> ReadoutVerdict:
    paired = paired_readout(level, baseline, readout)
    lost = paired.num_lost_level + paired.num_lost_baseline
    test = (
        None
        if lost or not paired.seeds
        else statistics.sign_flip(paired.level - paired.baseline, confidence, generator)
    )
    interval = test.interval if test and test.interval.is_finite else None
    decided = statistics.verdict(interval, margin) if not paired.num_missing else "inconclusive"
    differences = [] if paired.num_missing else _worst_case_differences(level, baseline, readout)
    worst_case = worst_case_verdict(differences, confidence, margin, generator)
    return ReadoutVerdict(
        readout=readout,
        num_pairs=len(paired.seeds),
        mean=float((paired.level - paired.baseline).mean()) if test else None,
        interval=interval,
        p=test.p if test else None,
        verdict=decided,
        worst_case="inconclusive" if lost and worst_case == "equivalent" else worst_case,
    )


def _worst_case_differences(level: CellCurves, baseline: CellCurves, readout: Readout) -> list[float]:
    ours, theirs = seed_readouts(level, readout), seed_readouts(baseline, readout)
    return [worst_case_difference(ours.get(seed), theirs.get(seed)) for seed in level.seeds]


def worst_case_difference(level: float | None, baseline: float | None) -> float:
    """Level less baseline of one seed, None for a diverged side: minus infinity, infinity, and 0 where both
    diverged."""
    if level is None:
        return -math.inf if baseline is not None else 0.0
    return level - baseline if baseline is not None else math.inf


def worst_case_test(
    differences: Sequence[float] | Vector, confidence: float, generator: np.random.Generator
) -> SignFlip | None:
    """The paired sign-flip test where a diverged training is the worst outcome there is: `differences` may hold
    infinities of one sign.

    The interval's ends rise and fall with every difference, so that an infinite one leaves its far end decided and
    its near end infinite. None without a difference, and where both sides diverged, under different seeds.
    """
    array = np.asarray(differences, dtype=np.float64)
    num_below, num_above = int(np.isneginf(array).sum()), int(np.isposinf(array).sum())
    if not array.size or (num_below and num_above):
        return None
    largest = float(np.abs(array[np.isfinite(array)]).max(initial=0.0))
    large = LARGE * array.size * (largest + 1.0)
    test = statistics.sign_flip(np.clip(array, -large, large), confidence, generator)
    # A mean that has an infinite difference in it lies far beyond every mean that has none.
    low, high = (
        end if abs(end) <= largest + 1.0 else math.copysign(math.inf, end)
        for end in (test.interval.low, test.interval.high)
    )
    return replace(test, interval=Interval(low, high))


def worst_case_verdict(
    differences: Sequence[float] | Vector, confidence: float, margin: float, generator: np.random.Generator
) -> Verdict:
    """The verdict where a diverged training is the worst outcome there is: see `decide`; inconclusive where there is
    no test."""
    test = worst_case_test(differences, confidence, generator)
    return decide(test.interval, margin) if test else "inconclusive"


def decide(interval: Interval, margin: float) -> Verdict:
    """What an interval that may have an infinite end says: `worse` may survive a level that diverged, `better` and
    `equivalent` cannot.

    So a divergence never improves the verdict of the cell it happened in, which leaving the verdict open would do
    for a cell that is clearly worse. For an interval with two finite ends it is `statistics.verdict`.
    """
    if interval.is_finite:
        return statistics.verdict(interval, margin)
    if interval.low > 0:
        return "better"
    return "worse" if interval.high < 0 else "inconclusive"


def rank_crossovers(first: CellCurves, second: CellCurves) -> tuple[Crossover, ...]:
    """Every change of order of the two mean curves, over the seeds and steps that both have and up to where the
    first seed was lost.

    Means are over all common seeds that are not unfinished, nobody dropped. Points where the means are equal belong
    to the stretch before them.
    """
    steps, differences = _common_differences(first, second)
    mean = differences.mean(axis=0) if differences.size else np.zeros(0)
    signed = np.flatnonzero(mean != 0)
    changes = [(int(a), int(b)) for a, b in itertools.pairwise(signed) if mean[a] * mean[b] < 0]
    bounds = [0, *[after for _, after in changes], steps.size]
    found = []
    for index, (before, after) in enumerate(changes):
        old = differences[:, bounds[index] : bounds[index + 1]].mean(axis=1)
        new = differences[:, after : bounds[index + 2]].mean(axis=1)
        agree = (np.sign(old) == np.sign(mean[before])) & (np.sign(new) == np.sign(mean[after]))
        share = mean[before] / (mean[before] - mean[after])
        found.append(
            Crossover(
                step_before=int(steps[before]),
                step_after=int(steps[after]),
                step=float(steps[before] + share * (steps[after] - steps[before])),
                leader_after=first.cell if mean[after] > 0 else second.cell,
                num_agree=int(agree.sum()),
                num_seeds=len(differences),
            )
        )
    return tuple(found)


def _common_differences(first: CellCurves, second: CellCurves) -> tuple[np.ndarray[Any, np.dtype[np.int64]], Matrix]:
    """First less second, [seeds, points], with its steps; no points from where a seed diverged."""
    steps, ours, theirs = np.intersect1d(first.steps, second.steps, assume_unique=True, return_indices=True)
    kept = [
        {
            seed: row
            for row, (seed, outcome) in enumerate(zip(cell.seeds, cell.outcomes, strict=True))
            if outcome != "unfinished"
        }
        for cell in (first, second)
    ]
    seeds = sorted(set(kept[0]) & set(kept[1]))
    if not seeds:
        return steps[:0], np.zeros((0, 0))
    left, right = ([kept[side][seed] for seed in seeds] for side in (0, 1))
    differences = first.curves[left][:, ours] - second.curves[right][:, theirs]
    whole = np.logical_and.accumulate(np.isfinite(differences).all(axis=0))
    return steps[whole], differences[:, whole]
