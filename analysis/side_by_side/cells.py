"""One cell in two studies: A minus B, and the verdict over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from analysis.claims.comparison import SAYS_WHAT_DATA_ARE
from analysis.findings.cells import CellFinding
from analysis.results.reader import StudyResults
from analysis.side_by_side.trainings import READ_BY, PairedTrainings
from analysis.statistics.intervals import Interval, SignFlip, Vector, t_interval
from analysis.statistics.verdicts import Judgement, Outcomes, Pairs, Rule, judge, verdict

CellVerdict = Literal["identical", "equivalent", "better", "worse", "inconclusive"]
NOT_COMPARABLE = frozenset({*READ_BY, *SAYS_WHAT_DATA_ARE})


@dataclass(frozen=True)
class MeanInterval:
    """A difference of means with its interval, A minus B."""

    mean: float
    interval: Interval | None
    p: float | None


@dataclass(frozen=True)
class CellOfStudy:
    """One study's cell: the compared reading by reporting seed, how many seeds diverged or failed, how many are
    missing."""

    numbers: Mapping[int, float]
    num_lost: int
    num_missing: int
    mean: float | None
    interval: Interval | None
    seconds: float | None


@dataclass(frozen=True)
class CellDifference:
    """A minus B in one cell, in nats; better where A is better. `identical`: every training of both has the same
    metrics, to the bit.

    Paired by reporting seed where the seed trees and the configurations are the same, else Welch's interval;
    `unlike` names the fields that differ, and where one of them is of `NOT_COMPARABLE` there is no difference to
    give. `num_pairs` are the pairs of seeds that ended in both; where a training of one diverged there is no
    `estimate`, and `worst_case` is the test that counts it as the worst outcome there is. `num_identical` of
    `num_matched` pairs of trainings agree to the bit, `num_shared` of them because they are one training, reused.
    """

    cell: str
    a: CellOfStudy
    b: CellOfStudy
    seeds: tuple[int, ...]
    differences: Vector
    unlike: tuple[str, ...]
    num_matched: int
    num_identical: int
    num_shared: int
    largest_gap: float | None
    estimate: MeanInterval | None
    verdict: CellVerdict
    num_pairs: int = 0
    worst_case: SignFlip | None = None

    @property
    def p(self) -> float | None:
        """The p of the test that the verdict rests on; None where there is none."""
        return self.estimate.p if self.estimate else self.worst_case.p if self.worst_case else None

    @property
    def is_paired(self) -> bool:
        """Whether the trainings are pairs."""
        return not self.unlike

    @property
    def kind(self) -> str:
        """How the difference was taken, for the drawing."""
        return (
            f"paired, n = {len(self.seeds)}"
            if self.is_paired
            else f"unpaired, n = {len(self.a.numbers)} and {len(self.b.numbers)}"
        )

    @property
    def title(self) -> str:
        """The cell."""
        return self.cell


def cell_difference(
    label: str, a: CellFinding, b: CellFinding, trainings: PairedTrainings, margin: float
) -> CellDifference:
    """The difference of a cell that both studies have."""
    confidence = trainings.a.study.confidence
    unlike, matched = trainings.unlike(label), trainings.matched(label)
    gaps = [trainings.gap(*pair) for pair in matched]
    pairs = Pairs.of(_outcomes(a), _outcomes(b)) if not unlike else Pairs.of({}, {})
    judgement, is_whole = (
        judge(pairs, Rule(confidence, margin), np.random.default_rng(0)),
        _is_whole(a) and _is_whole(b),
    )
    can_have_mean = not (a.num_lost or b.num_lost or set(unlike) & NOT_COMPARABLE)
    estimate = _estimate(a, b, None if unlike else judgement, confidence) if can_have_mean else None
    worst_case = judgement.test if is_whole and judgement.num_diverged_pairs else None
    tested = verdict(estimate.interval if estimate else None, margin) if worst_case is None else judgement.verdict
    identical = (
        bool(matched)
        and not any(gaps)
        and len(matched) == a.num_trained == b.num_trained
        and not (a.num_missing or b.num_missing)
    )
    return CellDifference(
        cell=label,
        a=_cell_of_study(trainings.a, a, confidence),
        b=_cell_of_study(trainings.b, b, confidence),
        seeds=pairs.finished.seeds,
        differences=pairs.finished.differences,
        unlike=unlike,
        num_matched=len(matched),
        num_identical=sum(gap == 0 for gap in gaps),
        num_shared=sum(trainings.is_shared(*pair) for pair in matched),
        largest_gap=max(gaps) if gaps else None,
        estimate=estimate,
        verdict="identical" if identical else tested if is_whole else "inconclusive",
        num_pairs=len(pairs.seeds),
        worst_case=worst_case,
    )


def _is_whole(cell: CellFinding) -> bool:
    """Whether every training of the cell ended as a result, and was read where it did not diverge."""
    return not (cell.num_missing or cell.num_failed) and len(cell.finals) + len(cell.diverged_seeds) == cell.num_trained


def _outcomes(cell: CellFinding) -> Outcomes:
    """The number of every seed that ended, None where it diverged."""
    return {**cell.finals, **dict.fromkeys(cell.diverged_seeds)}


def _estimate(a: CellFinding, b: CellFinding, paired: Judgement | None, confidence: float) -> MeanInterval | None:
    """The difference of the means: that of the pairs, or Welch's where the trainings are none."""
    if paired is None:
        left, right = (np.asarray(list(side.finals.values()), dtype=np.float64) for side in (a, b))
        return welch(left, right, confidence) if left.size and right.size else None
    return MeanInterval(paired.mean, paired.interval, paired.p) if paired.mean is not None else None


def welch(left: Vector, right: Vector, confidence: float) -> MeanInterval:
    """The difference of two means with Welch's interval (1947), which takes both spreads as they are; none below two
    numbers a side and without any spread."""
    mean = float(left.mean() - right.mean())
    if min(left.size, right.size) < 2 or not (np.ptp(left) or np.ptp(right)):
        return MeanInterval(mean, None, None)
    result = stats.ttest_ind(left, right, equal_var=False)
    ends = result.confidence_interval(confidence)
    return MeanInterval(mean, Interval(float(ends.low), float(ends.high)), float(result.pvalue))


def _cell_of_study(results: StudyResults, cell: CellFinding, confidence: float) -> CellOfStudy:
    numbers = list(cell.finals.values())
    rows = results.trainings
    rows = rows[(rows["cell"] == cell.cell.label) & (rows["phase"] == "confirm") & (rows["rank"].fillna(0) == 0)]
    seconds = pd.to_numeric(rows["training_seconds"], errors="coerce").dropna()
    return CellOfStudy(
        numbers=cell.finals,
        num_lost=cell.num_lost,
        num_missing=cell.num_missing,
        mean=float(np.mean(numbers)) if numbers and not cell.num_lost else None,
        interval=t_interval(numbers, confidence) if numbers and not cell.num_lost else None,
        seconds=float(seconds.mean()) if len(seconds) else None,
    )
