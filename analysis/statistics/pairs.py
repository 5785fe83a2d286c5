"""Two sides paired by seed: the estimate with its uncertainty, the verdict under every reading, what might overturn
it. Needs no study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar

import numpy as np

from analysis.statistics.intervals import (
    Interval,
    SignFlip,
    Vector,
    bca_interval,
    holm,
    is_strongly_skewed,
    minimum_detectable_effect,
    pair_correlation,
    rounded,
    sign_test,
    skewness,
)
from analysis.statistics.power import MAX_SIMULATED_PAIRS, detectable_effect
from analysis.statistics.readouts import CellCurves, Crossover, Reading, rank_crossovers
from analysis.statistics.robustness import Robustness, robustness
from analysis.statistics.verdicts import DECIDED, Judgement, Outcomes, Pairs, Rule, Verdict, corrected, judge


@dataclass(frozen=True)
class Estimate:
    """The mean paired difference in the metric's unit, positive where the level is better, and how sure it is; None
    for what cannot be had."""

    mean: float
    median: float
    interval: Interval | None
    p: float
    sign_test_p: float | None
    bca: Interval | None
    correlation: float | None
    minimum_detectable_effect: float | None


@dataclass(frozen=True)
class ComparedSide:
    """One side of a comparison: its outcomes by seed under every reading, the declared one first; its mean curves, and
    the outcomes of the runner-up of its search, where it has them. `num_lost`: trainings that leave it without a mean,
    though they may have no pair."""

    readings: Mapping[Reading, Outcomes]
    curves: CellCurves | None = None
    runner_up: Outcomes | None = None
    num_lost: int = 0


@dataclass(frozen=True)
class ReadingVerdict:
    """The verdict on the same trainings under one reading. Unless it `is_whole`, not every training that ended has
    this reading: the verdict is then inconclusive, and speaks neither for nor against the claim."""

    reading: Reading
    pairs: Pairs
    judgement: Judgement
    is_whole: bool = True

    @property
    def verdict(self) -> Verdict:
        """The verdict under this reading."""
        return self.judgement.verdict

    @property
    def mean(self) -> float | None:
        """The mean difference."""
        return self.judgement.mean

    @property
    def interval(self) -> Interval | None:
        """The interval of the mean."""
        return self.judgement.interval

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that finished on both sides."""
        return self.pairs.finished.seeds

    @property
    def differences(self) -> Vector:
        """Level minus baseline of these seeds, [pairs]."""
        return self.pairs.finished.differences


@dataclass(frozen=True)
class PairedResult:
    """All that is known of two sides. `is_whole`: nothing that was asked for is missing; else every verdict is open.

    `readings` has the declared one first. There is no `estimate` where a training diverged. `robustness` is None
    where a training is missing, and where no verdict could be given whatever the numbers are.
    """

    rule: Rule
    is_whole: bool
    readings: tuple[ReadingVerdict, ...]
    estimate: Estimate | None
    robustness: Robustness | None
    crossovers: tuple[Crossover, ...]


@dataclass(frozen=True, kw_only=True)
class PairedComparison:
    """A comparison of two sides with its result. `holm_p`: its p by Holm's correction over all `num_compared` that it
    was made among; None without a correction."""

    result: PairedResult
    holm_p: float | None = None
    num_compared: int | None = None

    @property
    def estimate(self) -> Estimate | None:
        """The mean difference and how sure it is."""
        return self.result.estimate

    @property
    def readings(self) -> tuple[ReadingVerdict, ...]:
        """The verdict under every reading, the declared one first."""
        return self.result.readings

    @property
    def judgement(self) -> Judgement:
        """What its pairs come to under the declared reading."""
        return self.readings[0].judgement

    @property
    def verdict(self) -> Verdict:
        """The verdict under the declared reading, by its own p."""
        return self.judgement.verdict

    @property
    def corrected_verdict(self) -> Verdict:
        """The verdict as Holm's correction leaves it."""
        return corrected(self.verdict, self.holm_p, self.result.rule.confidence)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that finished on both sides."""
        return self.readings[0].seeds

    @property
    def differences(self) -> Vector:
        """Level minus baseline of these seeds, [pairs]; positive where the level is better."""
        return self.readings[0].differences

    @property
    def num_pairs(self) -> int:
        """The seeds that ended on both sides, diverged or not."""
        return self.judgement.num_pairs

    @property
    def worst_case(self) -> SignFlip | None:
        """Where a training diverged, the test that counts it as the worst outcome there is."""
        return self.judgement.test if self.result.is_whole and self.readings[0].pairs.num_diverged else None

    @property
    def p(self) -> float | None:
        """The p of the test that the verdict rests on; None where there is none."""
        return self.estimate.p if self.estimate else self.worst_case.p if self.worst_case else None

    @property
    def skewness(self) -> float | None:
        """G1 of the paired differences; None where there is no estimate, or no pair."""
        return skewness(self.differences) if self.estimate and self.seeds else None

    @property
    def is_strongly_skewed(self) -> bool:
        """Whether the differences are so lopsided that the interval is too narrow."""
        return bool(self.estimate and self.seeds) and is_strongly_skewed(self.differences)


AnyComparison = TypeVar("AnyComparison", bound=PairedComparison)


def paired_result(
    level: ComparedSide,
    baseline: ComparedSide,
    rule: Rule,
    draws: int,
    *,
    is_whole: bool,
) -> PairedResult:
    """The result of level minus baseline. `draws` is the seed of whatever is drawn for any of it."""
    rule = rule if is_whole else replace(rule, allowed=frozenset())
    declared, *others = level.readings
    pairs, generator = _pairs(declared, level, baseline), np.random.default_rng(draws)
    judgement, num_pairs = judge(pairs, rule, generator), len(pairs.seeds) if is_whole else None
    is_tried = judgement.test and (rule.allowed == DECIDED or judgement.verdict in DECIDED)
    return PairedResult(
        rule=rule,
        is_whole=is_whole,
        readings=(
            ReadingVerdict(declared, pairs, judgement, is_whole),
            *(_reading_verdict(reading, level, baseline, rule, draws, num_pairs) for reading in others),
        ),
        estimate=_estimate(pairs, judgement, rule.confidence, generator),
        robustness=(
            robustness(
                level.readings[declared],
                baseline.readings[declared],
                rule,
                np.random.default_rng(draws),
                level.runner_up,
                baseline.runner_up,
            )
            if is_tried
            else None
        ),
        crossovers=rank_crossovers(level.curves, baseline.curves) if level.curves and baseline.curves else (),
    )


def _pairs(reading: Reading, level: ComparedSide, baseline: ComparedSide) -> Pairs:
    return Pairs.of(level.readings[reading], baseline.readings.get(reading, {}), level.num_lost + baseline.num_lost)


def _reading_verdict(
    reading: Reading,
    level: ComparedSide,
    baseline: ComparedSide,
    rule: Rule,
    draws: int,
    num_pairs: int | None,
) -> ReadingVerdict:
    """The verdict under a further reading; open unless as many pairs have it as `num_pairs`, those of the declared one;
    None where the comparison is incomplete."""
    pairs = _pairs(reading, level, baseline)
    is_whole = len(pairs.seeds) == num_pairs
    rule = rule if is_whole else replace(rule, allowed=frozenset())
    return ReadingVerdict(reading, pairs, judge(pairs, rule, np.random.default_rng(draws)), is_whole)


def _estimate(pairs: Pairs, judgement: Judgement, confidence: float, generator: np.random.Generator) -> Estimate | None:
    if judgement.mean is None or judgement.test is None:
        return None
    differences = pairs.differences
    return Estimate(
        mean=judgement.mean,
        median=float(np.median(differences)),
        interval=judgement.interval,
        p=judgement.test.p,
        sign_test_p=sign_test(differences),
        bca=bca_interval(differences, confidence, generator) if judgement.interval else None,
        correlation=pair_correlation(*pairs.arrays),
        minimum_detectable_effect=_minimum_detectable_effect(differences, confidence),
    )


def _minimum_detectable_effect(differences: Vector, confidence: float) -> float | None:
    """What the sign-flip test would find with a power of 80 %: by its own simulated effect up to 12 pairs, beyond by
    Student's t, which agrees there. None where all differences are equal, whose spread says nothing."""
    if skewness(differences) is None and differences.size > 2:
        return None
    if differences.size > MAX_SIMULATED_PAIRS:
        return minimum_detectable_effect(differences, confidence)
    in_deviations = _detectable_in_deviations(int(differences.size), confidence)
    return None if in_deviations is None else in_deviations * float(differences.std(ddof=1))


@cache
def _detectable_in_deviations(num_pairs: int, confidence: float) -> float | None:
    """A function of these two alone: the same draws every time, so that every report states the same number."""
    return detectable_effect(num_pairs, confidence, 0.8, np.random.default_rng(0)) if num_pairs > 1 else None


def with_holm(comparisons: Sequence[AnyComparison], num_more: int = 0) -> tuple[AnyComparison, ...]:
    """The comparisons with Holm's adjusted p over all of them, and over `num_more` that were taken out or not shown.

    One without a p, or with one of a part of its trainings, takes part with 1, as do these: else trainings or claims
    that are lost, or a choice among the numbers, could make the others surer.
    """
    p_values = [comparison.p if comparison.result.is_whole else None for comparison in comparisons]
    adjusted = holm([*(1.0 if p is None else p for p in p_values), *[1.0] * num_more])
    return tuple(
        replace(comparison, holm_p=None if p is None else adjusted[index], num_compared=len(adjusted))
        for index, (comparison, p) in enumerate(zip(comparisons, p_values, strict=True))
    )


def interval_pair(interval: Interval | None) -> list[float | None] | None:
    """An interval as JSON holds it: [low, high], or None."""
    return [rounded(interval.low), rounded(interval.high)] if interval else None


def interval_columns(interval: Interval | None, unit: str = "") -> dict[str, float | None]:
    """The ends of an interval as two columns of a table, `low` and `high` with their unit: None where there is none."""
    low, high = interval_pair(interval) or (None, None)
    ending = f"_{unit}" if unit else ""
    return {f"low{ending}": low, f"high{ending}": high}
