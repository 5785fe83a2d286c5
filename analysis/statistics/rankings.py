"""Entrants ranked over tasks and seeds: mean ranks, Nemenyi's critical difference, profiles, and the probability of
improvement.

An entrant is a cell, or a level of a factor; a block is what all entrants share: a seed, or a task with a seed.
Higher is better, and a score that is not finite is a divergence: the worst outcome there is, equal to other
divergences.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy import stats

from analysis.statistics.intervals import Interval, Vector
from analysis.statistics.readouts import Matrix

BlockName = TypeVar("BlockName", bound=Hashable)


@dataclass(frozen=True)
class RankFinding:
    """Mean ranks, 1 is best, over blocks in which every entrant has a score; `num_left_out` blocks lack one.

    `friedman_p`: of the hypothesis that all rank alike (chi-squared form); None below three entrants, and where all
    are tied throughout. `critical_difference`: Nemenyi's, in ranks; None below two entrants or blocks. `groups`: the
    largest sets of entrants, best first, whose mean ranks lie within it: what a critical-difference diagram joins by
    a bar.
    """

    entrants: tuple[str, ...]
    mean_ranks: tuple[float, ...]
    num_blocks: int
    num_left_out: int
    friedman_p: float | None
    critical_difference: float | None
    groups: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Profile:
    """One entrant's profile: the `share` of problems or runs at each of `thresholds`, with its band where there is
    one (else NaN)."""

    entrant: str
    thresholds: Vector
    share: Vector
    low: Vector
    high: Vector


@dataclass(frozen=True)
class Improvement:
    """The probability that a run of X beats a run of Y on a task drawn at random, ties counted half, with its
    interval."""

    probability: float
    interval: Interval | None
    num_tasks: int
    num_pairs: int


def block_ranks(scores: Matrix) -> Matrix:
    """The rank of each entrant within each block, of `scores` [blocks, entrants]: 1 is best, ties are averaged,
    divergences are last."""
    return np.asarray(stats.rankdata(-_worst_for_diverged(scores), axis=1), dtype=np.float64)


def _worst_for_diverged(scores: Matrix) -> Matrix:
    return np.where(np.isfinite(scores), scores, -math.inf)


def rank_finding(scores: Mapping[str, Mapping[BlockName, float]], confidence: float) -> RankFinding:
    """Mean ranks of the entrants over the blocks that all of them have, `scores[entrant][block]`; entrants in order
    of mean rank, then name.

    Friedman (1937), Nemenyi (1963) as in Demsar (2006): CD = q sqrt(k (k + 1) / (6 N)), with q the studentized range
    over sqrt 2. Both take blocks as independent: seeds of one task are, tasks that share data are not quite.
    """
    names = sorted(scores)
    every = {block for blocks in scores.values() for block in blocks}
    blocks = sorted((block for block in every if all(block in scores[name] for name in names)), key=repr)
    ranks = block_ranks(
        np.asarray([[scores[name][block] for name in names] for block in blocks], dtype=np.float64).reshape(
            len(blocks), len(names)
        )
    )
    means = (
        {name: float(mean) for name, mean in zip(names, ranks.mean(axis=0), strict=True)}
        if blocks
        else dict.fromkeys(names, math.nan)
    )
    order = sorted(names, key=lambda name: (means[name], name))
    critical = critical_difference(len(names), len(blocks), confidence)
    return RankFinding(
        entrants=tuple(order),
        mean_ranks=tuple(means[name] for name in order),
        num_blocks=len(blocks),
        num_left_out=len(every) - len(blocks),
        friedman_p=_friedman_p(ranks),
        critical_difference=critical,
        groups=_groups(order, means, critical) if critical is not None else (),
    )


def _friedman_p(ranks: Matrix) -> float | None:
    if ranks.shape[0] < 2 or ranks.shape[1] < 3 or not (np.ptp(ranks, axis=1) > 0).any():
        return None
    return float(stats.friedmanchisquare(*ranks.T).pvalue)


def critical_difference(num_entrants: int, num_blocks: int, confidence: float) -> float | None:
    """Nemenyi's critical difference of mean ranks; None below two entrants or two blocks."""
    if num_entrants < 2 or num_blocks < 2:
        return None
    quantile = float(stats.studentized_range.ppf(confidence, num_entrants, math.inf)) / math.sqrt(2)
    return quantile * math.sqrt(num_entrants * (num_entrants + 1) / (6 * num_blocks))


def _groups(order: Sequence[str], means: Mapping[str, float], critical: float) -> tuple[tuple[str, ...], ...]:
    groups: list[tuple[str, ...]] = []
    for start, first in enumerate(order):
        group = tuple(name for name in order[start:] if means[name] - means[first] <= critical)
        if len(group) > 1 and not (groups and set(group) <= set(groups[-1])):
            groups.append(group)
    return tuple(groups)


def performance_profiles(costs: Mapping[str, Vector], ratios: Vector) -> tuple[Profile, ...]:
    """Dolan and More's profiles (2002): the share of problems that an entrant solves at a cost within each ratio of
    the best cost.

    `costs[entrant]` [problems], positive, such as samples to a target; not finite where the target was never
    reached. A problem that nobody solves stays in the share's denominator. For scores in nats, whose zero has no
    meaning, use `score_distributions`.
    """
    names = sorted(costs)
    table = np.asarray([np.where(np.isfinite(costs[name]), costs[name], math.inf) for name in names], dtype=np.float64)
    if table.size == 0 or (table <= 0).any():
        raise ValueError(
            "a performance profile takes costs above 0 of at least one problem, such as samples to a target"
        )
    best = table.min(axis=0)
    with np.errstate(invalid="ignore"):
        relative = np.where(np.isfinite(table), table / best, math.inf)
    nothing = np.full(ratios.shape, math.nan)
    return tuple(
        Profile(name, ratios, (row[:, None] <= ratios * (1 + 1e-12)).mean(axis=0), nothing, nothing)
        for name, row in zip(names, relative, strict=True)
    )


def score_distributions(
    scores: Mapping[str, Sequence[Vector]],
    thresholds: Vector,
    confidence: float,
    num_resamples: int,
    generator: np.random.Generator,
) -> tuple[Profile, ...]:
    """The share of runs above each threshold, averaged over tasks: the run-score distribution of Agarwal et al.
    (2021), with pointwise bands.

    `scores[entrant]`: one array [seeds] for each task. Bands are percentiles of a bootstrap that resamples seeds
    within each task; with one seed in every task there is none.
    """
    return tuple(
        _score_distribution(name, scores[name], thresholds, confidence, num_resamples, generator)
        for name in sorted(scores)
    )


def _score_distribution(
    name: str,
    tasks: Sequence[Vector],
    thresholds: Vector,
    confidence: float,
    num_resamples: int,
    generator: np.random.Generator,
) -> Profile:
    above = [_worst_for_diverged(np.asarray(task, dtype=np.float64))[:, None] > thresholds for task in tasks]
    share = np.mean([runs.mean(axis=0) for runs in above], axis=0)
    drawn = np.mean([_resampling_weights(len(runs), num_resamples, generator) @ runs for runs in above], axis=0)
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    if all(len(runs) < 2 for runs in above):
        low, high = np.full_like(share, math.nan), np.full_like(share, math.nan)
    return Profile(name, thresholds, share, low, high)


def _resampling_weights(num_seeds: int, num_resamples: int, generator: np.random.Generator) -> Matrix:
    """How often each seed is drawn, over their number: [resamples, seeds], rows summing to 1."""
    return generator.multinomial(num_seeds, np.full(num_seeds, 1 / num_seeds), size=num_resamples) / num_seeds


def probability_of_improvement(first: Sequence[Vector], second: Sequence[Vector], confidence: float) -> Improvement:
    """P(X > Y) + P(X = Y) / 2 over all pairs of runs of a task, averaged over tasks (Agarwal et al. 2021); 1/2 is no
    difference.

    `first` and `second`: one array [seeds] for each task. The interval is Clopper and Pearson's for as many independent
    comparisons as a side has seeds: of independent sides the share varies no more than that (Birnbaum and Klose 1957).
    So ten wins of ten leave .69. None where every task has a single seed. No verdict rests on it.
    """
    beaten = [
        _beaten(np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64))
        for x, y in zip(first, second, strict=True)
    ]
    if not beaten:
        raise ValueError("the probability of improvement takes at least one task")
    probability = float(np.mean([runs.mean() for runs in beaten]))
    num_pairs = sum(len(runs) for runs in beaten)
    is_single = all(len(runs) < 2 for runs in beaten)
    interval = None if is_single else _share_interval(probability, num_pairs, confidence)
    return Improvement(probability, interval, len(beaten), num_pairs)


def _share_interval(share: float, number: int, confidence: float) -> Interval:
    """Clopper and Pearson's interval of a share among so many; the count need not be whole."""
    count, tail = share * number, (1 - confidence) / 2
    low = float(stats.beta.ppf(tail, count, number - count + 1)) if count else 0.0
    high = float(stats.beta.ppf(1 - tail, count + 1, number - count)) if count < number else 1.0
    return Interval(low, high)


def _beaten(first: Vector, second: Vector) -> Matrix:
    if first.shape != second.shape or first.size == 0:
        raise ValueError(
            f"both sides of a task need the same seeds, at least one; got {first.size} and {second.size} runs"
        )
    ours, theirs = _worst_for_diverged(first)[:, None], _worst_for_diverged(second)[None, :]
    return np.asarray((ours > theirs) + 0.5 * (ours == theirs), dtype=np.float64)
