"""The numbers of a comparison as its row of claims.json has them, of a study and of curves alike."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from analysis.claims.doubts import doubt_entries
from analysis.claims.schema import CrossoverEntry, Ends, LeftOutEntry, NeighbourEntry, ReadingEntry
from analysis.statistics.intervals import Interval, rounded, smallest_p
from analysis.statistics.pairs import PairedComparison, ReadingVerdict
from analysis.statistics.readouts import Crossover
from analysis.statistics.robustness import LeftOut, Neighbour

MOST_DECIMALS = 6


def decimals_of(numbers: Iterable[float | None]) -> int:
    """How many decimals show all of them: two, and so many more that none which is not 0 looks like it."""
    sizes = [abs(number) for number in numbers if number]
    return min(MOST_DECIMALS, max(2, math.ceil(-math.log10(2 * min(sizes))))) if sizes else 2


def ends(interval: Interval | None) -> Ends | None:
    """Both ends of an interval, rounded; None for one that is infinite."""
    return (rounded(interval.low), rounded(interval.high)) if interval else None


def result_fields(
    compared: PairedComparison, level_title: str, baseline_title: str, step_digits: int = 3
) -> dict[str, Any]:
    """The fields of a `ClaimRow` that follow from the result alone. Crossovers call the leader by its side's title, and
    the place with `step_digits`."""
    result, estimate, robustness = compared.result, compared.estimate, compared.result.robustness
    titles = {"level": level_title, "baseline": baseline_title}
    confidence = result.rule.confidence
    return {
        "level_title": level_title,
        "baseline_title": baseline_title,
        "confidence": confidence,
        "verdict": compared.verdict,
        "estimate": rounded(estimate.mean) if estimate else None,
        "interval": ends(estimate.interval if estimate else None),
        "p": rounded(compared.p),
        "corrected_verdict": compared.corrected_verdict,
        "holm_p": rounded(compared.holm_p),
        "num_compared": compared.num_compared,
        "n": compared.num_pairs,
        "seeds": compared.seeds,
        "worst_case_interval": ends(compared.worst_case.interval) if compared.worst_case else None,
        "smallest_p": rounded(smallest_p(compared.num_pairs)) if compared.num_pairs else None,
        "minimum_detectable_effect": rounded(estimate.minimum_detectable_effect) if estimate else None,
        "median": rounded(estimate.median) if estimate else None,
        "sign_test_p": rounded(estimate.sign_test_p) if estimate else None,
        "bca_interval": ends(estimate.bca if estimate else None),
        "correlation": rounded(estimate.correlation) if estimate else None,
        "variance_gain": rounded(robustness.pairing.variance_gain) if robustness and robustness.pairing else None,
        "skewness": rounded(compared.skewness),
        "strongly_skewed": compared.is_strongly_skewed,
        "readouts": tuple(reading.reading.title for reading in compared.readings if _holds(reading, compared)),
        "readout_verdicts": tuple(_reading(reading, compared) for reading in compared.readings),
        "crossovers": tuple(_crossover(crossover, titles, step_digits) for crossover in result.crossovers),
        "without_most_extreme_pair": (
            _left_out(robustness.most_extreme) if robustness and robustness.most_extreme else None
        ),
        "overturned_by_seeds": (
            tuple(
                case.seed
                for case in robustness.left_out
                if case.testable and case.judgement.verdict != compared.verdict
            )
            if robustness
            else None
        ),
        "neighbouring_proposals": tuple(map(_neighbour, robustness.neighbours)) if robustness else (),
        "robustness": doubt_entries(robustness, confidence),
    }


def _holds(reading: ReadingVerdict, compared: PairedComparison) -> bool:
    """Whether the verdict is the same under that reading: one that not every training has says nothing, nor does one
    of an incomplete comparison."""
    return reading.is_whole and reading.verdict == compared.verdict


def _reading(reading: ReadingVerdict, compared: PairedComparison) -> ReadingEntry:
    return ReadingEntry(
        title=reading.reading.title,
        metric=reading.reading.metric,
        readout=reading.reading.readout.title,
        n=len(reading.seeds),
        estimate=rounded(reading.mean),
        verdict=reading.verdict if reading.is_whole else "not read",
        holds=_holds(reading, compared),
    )


def _crossover(crossover: Crossover, titles: dict[str, str], digits: int) -> CrossoverEntry:
    return CrossoverEntry(
        step=float(f"{crossover.step:.{digits}g}"),
        leader_after=titles[crossover.leader_after],
        num_agree=crossover.num_agree,
        num_seeds=crossover.num_seeds,
    )


def _left_out(case: LeftOut) -> LeftOutEntry:
    judgement = case.judgement
    return LeftOutEntry(
        seed=case.seed,
        testable=case.testable,
        estimate=rounded(judgement.mean),
        interval=ends(judgement.interval),
        p=rounded(judgement.p),
        verdict=judgement.verdict,
    )


def _neighbour(neighbour: Neighbour) -> NeighbourEntry:
    judgement = neighbour.judgement
    return NeighbourEntry(
        side=neighbour.side,
        n=judgement.num_pairs,
        num_diverged=judgement.num_diverged_pairs,
        testable=neighbour.testable,
        estimate=rounded(judgement.mean),
        interval=ends(judgement.interval),
        verdict=judgement.verdict,
    )
