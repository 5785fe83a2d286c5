"""What pairs of one level and one baseline say: the estimate with its uncertainty, and the sentence that follows
from it. Needs no study."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from analysis.statistics import intervals as statistics
from analysis.statistics.intervals import Interval, Vector, Verdict, rounded
from analysis.statistics.power import MAX_SIMULATED_PAIRS, detectable_effect


@dataclass(frozen=True)
class Estimate:
    """The mean paired difference in the metric's unit, positive where the level is better, and how sure it is; None
    for what cannot be had."""

    mean: float
    median: float
    interval: Interval | None
    p: float
    sign_test_p: float
    bca: Interval | None
    correlation: float | None
    minimum_detectable_effect: float | None


@dataclass(frozen=True)
class Wording:
    """How a sentence calls what it compares. `where` follows the lead: `in the test lower bound after 250,000
    training samples`.

    `unit` may be empty; numbers have `decimals` places. `is_name`: level and baseline are names from elsewhere,
    which are never capitalised. `higher_is_better`: else a positive difference, which is one in favour of the level,
    is called an improvement.
    """

    level: str
    baseline: str
    where: str
    is_plural: bool = False
    unit: str = "nats"
    decimals: int = 2
    is_name: bool = False
    higher_is_better: bool = True

    @property
    def beginning(self) -> str:
        """The level as a sentence begins with it."""
        return self.level if self.is_name else capital(self.level)

    @property
    def verb(self) -> str:
        """`is`, or `are` for two hidden layers."""
        return "are" if self.is_plural else "is"

    @property
    def difference_is(self) -> str:
        """How a signed difference is led in: `adam less adagrad is`."""
        return (
            f"{self.level} less {self.baseline} is"
            if self.higher_is_better
            else f"{self.level} improves on {self.baseline} by"
        )

    def amount(self, number: float, signed: bool = False) -> str:
        """A number of the metric's unit: `9.27 nats`."""
        return f"{number:{'+' if signed else ''}.{self.decimals}f}" + (f" {self.unit}" if self.unit else "")

    def margin(self, number: float) -> str:
        """The margin with no more digits than it was given: `0.5 nats`."""
        return f"{number:g}" + (f" {self.unit}" if self.unit else "")


def paired_estimate(level: Vector, baseline: Vector, confidence: float, generator: np.random.Generator) -> Estimate:
    """The estimate from two arrays [pairs]; interval and p are of the paired sign-flip test. ValueError where a
    number is not finite."""
    differences = level - baseline
    test = statistics.sign_flip(differences, confidence, generator)
    return Estimate(
        mean=float(differences.mean()),
        median=float(np.median(differences)),
        interval=test.interval if test.interval.is_finite else None,
        p=test.p,
        sign_test_p=statistics.sign_test(differences),
        bca=statistics.bca_interval(differences, confidence, generator),
        correlation=statistics.pair_correlation(level, baseline),
        minimum_detectable_effect=_minimum_detectable_effect(differences, confidence),
    )


def _minimum_detectable_effect(differences: Vector, confidence: float) -> float | None:
    """What the sign-flip test would find with a power of 80 %: by its own simulated effect up to 12 pairs, beyond by
    Student's t, which agrees there."""
    if differences.size > MAX_SIMULATED_PAIRS:
        return statistics.minimum_detectable_effect(differences, confidence)
    in_deviations = _detectable_in_deviations(int(differences.size), confidence)
    return None if in_deviations is None else in_deviations * float(differences.std(ddof=1))


@cache
def _detectable_in_deviations(num_pairs: int, confidence: float) -> float | None:
    """A function of these two alone: the same draws every time, so that every report states the same number."""
    return detectable_effect(num_pairs, confidence, 0.8, np.random.default_rng(0)) if num_pairs > 1 else None


def verdict_sentence(
    words: Wording,
    verdict: Verdict,
    estimate: Estimate,
    num_pairs: int,
    confidence: float,
    margin: float,
    holm_p: float | None = None,
) -> str:
    """The verdict with its estimate, interval, p and number of pairs, as one sentence; with Holm's p where the claim
    is one of several."""
    kind = "difference" if words.higher_is_better else "improvement"
    lead = {
        "better": f"{words.beginning} {words.verb} better than {words.baseline} by {words.amount(estimate.mean)}",
        "worse": f"{words.beginning} {words.verb} worse than {words.baseline} by {words.amount(-estimate.mean)}",
        "equivalent": (
            f"{words.beginning} and {words.baseline} are equivalent within {words.margin(margin)}, the {kind} being"
            f" {words.amount(estimate.mean, signed=True)}"
        ),
        "inconclusive": f"Inconclusive: {words.difference_is} {words.amount(estimate.mean, signed=True)}",
    }[verdict]
    return f"{lead} {words.where} ({_precision(words, estimate, num_pairs, confidence, holm_p)})."


def capital(text: str) -> str:
    """The text with a capital first letter, the rest as it is."""
    return text[:1].upper() + text[1:]


def _precision(words: Wording, estimate: Estimate, num_pairs: int, confidence: float, holm_p: float | None) -> str:
    seeds = f"{num_pairs} paired seed" + ("" if num_pairs == 1 else "s")
    if estimate.interval is None:
        return (
            f"{seeds}: too few for a {100 * confidence:g} % interval, as the smallest p they can reach is"
            f" {statistics.smallest_p(num_pairs):.3g}"
        )
    low, high = (f"{end:+.{words.decimals}f}" for end in (estimate.interval.low, estimate.interval.high))
    corrected = f" and {holm_p:.3g} by Holm's correction" if holm_p is not None and holm_p > estimate.p else ""
    return f"{100 * confidence:g} % interval {low} to {high}, p = {estimate.p:.3g}{corrected}, {seeds}"


def size_reservation(words: Wording, verdict: Verdict, interval: Interval | None, margin: float) -> str:
    """A sentence where a decided difference may still be too small to matter; else nothing."""
    if verdict in ("better", "worse") and interval and min(abs(interval.low), abs(interval.high)) < margin:
        return f" Whether it exceeds the {words.margin(margin)} that matter is not settled."
    return ""


def skewness_reservation(skewness: float, confidence: float) -> str:
    """What to know of the interval of strongly skewed differences; analysis/statistics/intervals.py says which are."""
    return (
        f"Its paired differences are strongly skewed (skewness {skewness:+.2g}): of such differences an interval of"
        f" {100 * confidence:g} % holds the true mean less often than it says, one of 95 % in simulation in 90 to 93 %."
    )


def interval_pair(interval: Interval | None) -> list[float | None] | None:
    """An interval as JSON holds it: [low, high], or None."""
    return [rounded(interval.low), rounded(interval.high)] if interval else None
