"""How easily a headline claim is overturned: by one seed, by another statistic, by the neighbouring proposal.
Numbers, then labelled findings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analysis.statistics import intervals as statistics
from analysis.statistics.intervals import Interval, Vector, Verdict
from analysis.statistics.readouts import decide, worst_case_difference, worst_case_test

Label = Literal[
    "too_few_pairs_to_leave_one_out",
    "overturned_by_one_seed",
    "undecided_because_of_one_seed",
    "holds_without_any_one_seed",
    "mean_and_median_disagree",
    "sign_test_does_not_confirm",
    "pairing_bought_nothing",
    "overturned_by_neighbouring_proposal",
    "decided_by_neighbouring_proposal",
    "holds_for_neighbouring_proposal",
]
MAX_LEFT_OUT_IN_TURN = 12
MOST_NAMED = 3
DECIDED: frozenset[Verdict] = frozenset({"better", "worse", "equivalent"})


@dataclass(frozen=True)
class LeftOut:
    """The claim recomputed without one seed; `testable` where so few pairs can still reach the confidence."""

    seed: int
    mean: float
    interval: Interval | None
    p: float
    verdict: Verdict
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
    the same seeds.

    Where `num_lost` of its trainings diverged there is no mean and no interval, and the verdict and p count them as
    the worst outcome there is. `testable` where so many pairs can reach the confidence.
    """

    side: Literal["level", "baseline"]
    seeds: tuple[int, ...]
    mean: float | None
    interval: Interval | None
    p: float | None
    verdict: Verdict
    num_lost: int
    testable: bool


@dataclass(frozen=True)
class Robustness:
    """A claim's differences looked at in every way that might overturn it."""

    seeds: tuple[int, ...]
    mean: float
    median: float
    interval: Interval | None
    p: float
    sign_test_p: float
    verdict: Verdict
    most_extreme: LeftOut | None
    left_out: tuple[LeftOut, ...]
    pairing: Pairing
    neighbours: tuple[Neighbour, ...]


@dataclass(frozen=True)
class LeftOutWorstCase:
    """A claim in which trainings diverged, judged without one seed; `testable` where so few pairs can still reach
    the confidence."""

    seed: int
    verdict: Verdict
    testable: bool


@dataclass(frozen=True)
class WorstCaseRobustness:
    """What might overturn a verdict that counts divergences as the worst outcome there is: it has no mean, no median
    and no correlation."""

    seeds: tuple[int, ...]
    verdict: Verdict
    left_out: tuple[LeftOutWorstCase, ...]
    neighbours: tuple[Neighbour, ...]


@dataclass(frozen=True)
class RobustnessFinding:
    """One thing a reader should know of a claim's robustness; `speaks_against` where it weakens the claim."""

    label: Label
    speaks_against: bool
    sentence: str


def robustness(
    level: Mapping[int, float],
    baseline: Mapping[int, float],
    confidence: float,
    margin: float,
    generator: np.random.Generator,
    level_runner_up: Mapping[int, float] | None = None,
    baseline_runner_up: Mapping[int, float] | None = None,
) -> Robustness:
    """Everything about the robustness of "level less baseline", each a mapping of seed to its value; a runner-up's
    may be NaN where it diverged.

    Pairs are the seeds that both have. The values must be finite: a claim with a diverged training has no estimate
    to be robust.
    """
    seeds = sorted(set(level) & set(baseline))
    if not seeds:
        raise ValueError("level and baseline have no seed in common, so that there are no pairs")
    left, right = (np.asarray([side[seed] for seed in seeds], dtype=np.float64) for side in (level, baseline))
    differences = left - right
    test = statistics.sign_flip(differences, confidence, generator)
    left_out = _left_out(seeds, differences, confidence, margin, generator)
    neighbours = [
        _neighbour("level", level_runner_up, baseline, confidence, margin, generator) if level_runner_up else None,
        (
            _neighbour("baseline", level, baseline_runner_up, confidence, margin, generator)
            if baseline_runner_up
            else None
        ),
    ]
    return Robustness(
        seeds=tuple(seeds),
        mean=float(differences.mean()),
        median=float(np.median(differences)),
        interval=test.interval if test.interval.is_finite else None,
        p=test.p,
        sign_test_p=statistics.sign_test(differences),
        verdict=statistics.verdict(test.interval, margin),
        most_extreme=_most_extreme(left_out, seeds, differences),
        left_out=left_out,
        pairing=pairing(left, right),
        neighbours=tuple(neighbour for neighbour in neighbours if neighbour),
    )


def worst_case_robustness(
    level: Mapping[int, float | None],
    baseline: Mapping[int, float | None],
    confidence: float,
    margin: float,
    generator: np.random.Generator,
    allowed: frozenset[Verdict],
    level_runner_up: Mapping[int, float] | None = None,
    baseline_runner_up: Mapping[int, float] | None = None,
) -> WorstCaseRobustness:
    """As `robustness`, of a claim of which trainings diverged: None in either mapping of seed to value, NaN in a
    runner-up's. A verdict that is not `allowed` is open."""
    seeds = sorted(set(level) & set(baseline))
    differences = np.asarray([worst_case_difference(level[seed], baseline[seed]) for seed in seeds], dtype=np.float64)

    def verdict_on(some: Vector) -> Verdict:
        test = worst_case_test(some, confidence, generator)
        decided = decide(test.interval, margin) if test else "inconclusive"
        is_open = decided not in allowed or (decided == "equivalent" and not np.isfinite(differences).all())
        return "inconclusive" if is_open else decided

    testable = statistics.smallest_p(len(seeds) - 1) <= 1 - confidence
    left_out = tuple(
        LeftOutWorstCase(seeds[index], verdict_on(np.delete(differences, index)), testable)
        for index in _places_left_out(differences)
    )
    own, theirs = (
        {seed: math.nan if number is None else number for seed, number in side.items()} for side in (level, baseline)
    )
    neighbours = [
        _neighbour("level", level_runner_up, theirs, confidence, margin, generator) if level_runner_up else None,
        _neighbour("baseline", own, baseline_runner_up, confidence, margin, generator) if baseline_runner_up else None,
    ]
    return WorstCaseRobustness(
        tuple(seeds), verdict_on(differences), left_out, tuple(neighbour for neighbour in neighbours if neighbour)
    )


def _most_extreme(left_out: Sequence[LeftOut], seeds: Sequence[int], differences: Vector) -> LeftOut | None:
    """The test without the pair that lies farthest from the median."""
    seed = seeds[int(np.argmax(np.abs(differences - np.median(differences))))]
    return next((left for left in left_out if left.seed == seed), None)


def _left_out(
    seeds: Sequence[int], differences: Vector, confidence: float, margin: float, generator: np.random.Generator
) -> tuple[LeftOut, ...]:
    """The test without each pair in turn; nothing for a single pair.

    Above `MAX_LEFT_OUT_IN_TURN` pairs the largest and the smallest difference alone are left out: the interval's
    ends rise with every difference, so that no other pair's absence lowers or raises it by more.
    """
    return tuple(
        _without(index, seeds[index], differences, confidence, margin, generator)
        for index in _places_left_out(differences)
    )


def _places_left_out(differences: Vector) -> list[int]:
    """Which pairs are left out one by one: see `_left_out`; infinite differences are the extreme ones."""
    if differences.size < 2:
        return []
    extremes = {int(np.argmin(differences)), int(np.argmax(differences))}
    return [index for index in range(differences.size) if differences.size <= MAX_LEFT_OUT_IN_TURN or index in extremes]


def _without(
    index: int, seed: int, differences: Vector, confidence: float, margin: float, generator: np.random.Generator
) -> LeftOut:
    rest = np.delete(differences, index)
    test = statistics.sign_flip(rest, confidence, generator)
    interval = test.interval if test.interval.is_finite else None
    return LeftOut(
        seed,
        float(rest.mean()),
        interval,
        test.p,
        statistics.verdict(interval, margin),
        statistics.smallest_p(rest.size) <= 1 - confidence,
    )


def pairing(level: Vector, baseline: Vector) -> Pairing:
    """What pairing bought for two arrays [pairs]."""
    correlation = statistics.pair_correlation(level, baseline)
    if level.size < 3:
        return Pairing(correlation, None)
    apart, paired = float(level.var(ddof=1) + baseline.var(ddof=1)), float((level - baseline).var(ddof=1))
    if not apart:
        return Pairing(correlation, None)
    return Pairing(correlation, apart / paired if paired else math.inf)


def _neighbour(
    side: Literal["level", "baseline"],
    level: Mapping[int, float],
    baseline: Mapping[int, float] | None,
    confidence: float,
    margin: float,
    generator: np.random.Generator,
) -> Neighbour:
    theirs = baseline or {}
    common = sorted(set(level) & set(theirs))
    pairs = [tuple(held if math.isfinite(held) else None for held in (level[seed], theirs[seed])) for seed in common]
    num_lost, testable = sum(None in pair for pair in pairs), statistics.smallest_p(len(pairs)) <= 1 - confidence
    differences = [worst_case_difference(*pair) for pair in pairs]
    test = worst_case_test(differences, confidence, generator)
    if test is None:
        return Neighbour(side, tuple(common), None, None, None, "inconclusive", num_lost, testable)
    decided = decide(test.interval, margin)
    if num_lost:
        return Neighbour(
            side,
            tuple(common),
            None,
            None,
            test.p,
            "inconclusive" if decided == "equivalent" else decided,
            num_lost,
            testable,
        )
    interval = test.interval if test.interval.is_finite else None
    return Neighbour(side, tuple(common), float(np.mean(differences)), interval, test.p, decided, 0, testable)


def robustness_findings(found: Robustness, confidence: float) -> tuple[RobustnessFinding, ...]:
    """The findings in words, those about seeds first."""
    changed = [
        f"{left.seed} ({left.verdict}, {left.mean:+.3g})" for left in found.left_out if left.verdict != found.verdict
    ]
    of_seeds = _seed_findings(found, changed)
    return (
        *of_seeds,
        *_statistic_findings(found, confidence),
        *_pairing_findings(found.pairing),
        *_neighbour_findings(found, has_interval=found.interval is not None),
    )


def worst_case_findings(found: WorstCaseRobustness) -> tuple[RobustnessFinding, ...]:
    """As `robustness_findings`, where a divergence leaves a claim without a mean."""
    changed = [f"{left.seed} ({left.verdict})" for left in found.left_out if left.verdict != found.verdict]
    return (*_seed_findings(found, changed), *_neighbour_findings(found, has_interval=True))


def _seed_findings(found: Robustness | WorstCaseRobustness, changed: Sequence[str]) -> list[RobustnessFinding]:
    """`changed`: the seeds whose absence changes the verdict, with what it then is."""
    if not found.left_out or not all(left.testable for left in found.left_out):
        sentence = (
            f"Whether one seed overturns it cannot be tested: with a pair fewer than {len(found.seeds)} no test can"
            " reach the confidence."
        )
        return [RobustnessFinding("too_few_pairs_to_leave_one_out", found.verdict in DECIDED, sentence)]
    named = ", ".join(changed[:MOST_NAMED])
    named += f" and {len(changed) - MOST_NAMED} more" if len(changed) > MOST_NAMED else ""
    seeds = "seed" if len(changed) == 1 else "any one of the seeds"
    if not changed:
        return [
            RobustnessFinding(
                "holds_without_any_one_seed",
                False,
                f"It stays {found.verdict} without any one of its {len(found.seeds)} seeds.",
            )
        ]
    if found.verdict in DECIDED:
        return [
            RobustnessFinding(
                "overturned_by_one_seed",
                True,
                f"Overturned by one seed: it is {found.verdict}, but no longer without {seeds} {named}.",
            )
        ]
    return [
        RobustnessFinding(
            "undecided_because_of_one_seed",
            True,
            f"Undecided because of one seed: it is decided without {seeds} {named}.",
        )
    ]


def _statistic_findings(found: Robustness, confidence: float) -> list[RobustnessFinding]:
    findings = []
    if found.verdict in DECIDED and found.mean * found.median < 0:
        sentence = f"The mean difference ({found.mean:+.3g}) and the median ({found.median:+.3g}) have different signs."
        findings.append(RobustnessFinding("mean_and_median_disagree", True, sentence))
    if found.verdict in ("better", "worse") and found.sign_test_p > 1 - confidence:
        sentence = (
            f"The sign test, which counts seeds and not sizes, does not confirm it (p = {found.sign_test_p:.3g})."
        )
        findings.append(RobustnessFinding("sign_test_does_not_confirm", True, sentence))
    return findings


def _pairing_findings(pairing: Pairing) -> list[RobustnessFinding]:
    if pairing.variance_gain is None or pairing.variance_gain > 1:
        return []
    correlation = f"correlation {pairing.correlation:.2f}, " if pairing.correlation is not None else ""
    sentence = (
        f"Pairing by seed bought nothing ({correlation}variance gain {pairing.variance_gain:.2f}): the interval is no"
        " narrower than that of unpaired seeds."
    )
    return [RobustnessFinding("pairing_bought_nothing", False, sentence)]


def _neighbour_findings(found: Robustness | WorstCaseRobustness, *, has_interval: bool) -> list[RobustnessFinding]:
    findings = []
    for neighbour in found.neighbours:
        if not neighbour.testable and has_interval:
            continue  # an open verdict of so few seeds says nothing of a decided one
        whose = f"the {neighbour.side}'s neighbouring proposal"
        size = f"{neighbour.mean:+.3g}, " if neighbour.mean is not None else ""
        rest = f"({size}{len(neighbour.seeds)} seeds"
        rest += (
            f", {neighbour.num_lost} of them diverged and counted as the worst outcome there is)"
            if neighbour.num_lost
            else ")"
        )
        if found.verdict in DECIDED and neighbour.verdict != found.verdict:
            sentence = f"Overturned by one step of the search: with {whose} it is {neighbour.verdict} {rest}."
            findings.append(RobustnessFinding("overturned_by_neighbouring_proposal", True, sentence))
        elif neighbour.verdict != found.verdict:
            sentence = f"With {whose} it is {neighbour.verdict} {rest}."
            findings.append(RobustnessFinding("decided_by_neighbouring_proposal", False, sentence))
        else:
            findings.append(
                RobustnessFinding(
                    "holds_for_neighbouring_proposal", False, f"With {whose} it is {neighbour.verdict} as well {rest}."
                )
            )
    return findings
