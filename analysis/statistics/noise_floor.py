"""The A/A noise floor: how far apart two means of the same cell lie by chance, as a region of practical equivalence."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.statistics.intervals import Vector

MAX_ENUMERATED_SPLITS = 15_000


@dataclass(frozen=True)
class NoiseFloor:
    """The `quantile` of |mean - mean| over splits of `num_trainings` repeated trainings of one cell into two groups
    of `num_seeds`.

    `margin` in the unit of the metric. `exact`: all splits were enumerated. `normal_margin`: what it would be for
    normal noise of the same standard deviation; much less than `margin` speaks of heavy tails. `observed`: |mean
    difference| of the two sets as they were trained. `split_seeds`: the size of the groups that were split, fewer
    than `num_seeds` where the trainings are too few and both margins were taken down by the root of their ratio.
    """

    margin: float
    quantile: float
    num_seeds: int
    num_trainings: int
    num_splits: int
    exact: bool
    normal_margin: float
    observed: float
    split_seeds: int


def noise_floor(
    first: Sequence[float] | Vector,
    second: Sequence[float] | Vector,
    num_seeds: int,
    quantile: float,
    num_splits: int,
    generator: np.random.Generator,
) -> NoiseFloor:
    """The noise floor of a comparison with `num_seeds` seeds a side, from one cell trained under two disjoint sets
    of seeds.

    Both sets are pooled: under the same configuration every split into two groups is as likely as the one that was
    trained. Over splits the mean square of the difference is exactly 2 s^2 / num_seeds, s^2 the pooled sample
    variance: unbiased, for any number of trainings. The noise is that of unpaired cells: pairs that correlate
    positively differ by less, pairs that correlate negatively by more. Twenty trainings know it to a quarter. It is no
    smallest difference that matters. All splits are enumerated up to 15,000 of
    them; beyond, `num_splits` are drawn.
    """
    pool = np.sort(np.concatenate([_finite(first), _finite(second)]))
    if num_seeds < 1 or 2 * num_seeds > pool.size:
        raise ValueError(
            f"a noise floor for {num_seeds} seeds a side needs {max(2, 2 * num_seeds)} repeated trainings of one cell;"
            f" got {pool.size}"
        )
    if not 0 < quantile < 1:
        raise ValueError(f"the quantile of a noise floor lies between 0 and 1; got {quantile:g}")
    count = math.comb(pool.size, num_seeds) * math.comb(pool.size - num_seeds, num_seeds)
    exact = count <= MAX_ENUMERATED_SPLITS
    gaps = _enumerated_gaps(pool, num_seeds) if exact else _drawn_gaps(pool, num_seeds, num_splits, generator)
    return NoiseFloor(
        margin=float(np.quantile(gaps, quantile, method="inverted_cdf")),
        quantile=quantile,
        num_seeds=num_seeds,
        num_trainings=int(pool.size),
        num_splits=len(gaps),
        exact=exact,
        normal_margin=float(stats.norm.ppf((1 + quantile) / 2) * pool.std(ddof=1) * math.sqrt(2 / num_seeds)),
        observed=abs(math.fsum(first) / len(first) - math.fsum(second) / len(second)),
        split_seeds=num_seeds,
    )


def _finite(trainings: Sequence[float] | Vector) -> Vector:
    array = np.asarray(trainings, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"a noise floor takes two sets of at least one training each; got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(
            f"{int((~np.isfinite(array)).sum())} of {array.size} repeated trainings are not finite: a cell that"
            " diverges has no noise floor"
        )
    return array


def _enumerated_gaps(pool: Vector, num_seeds: int) -> Vector:
    everyone = range(pool.size)
    gaps = []
    for group in itertools.combinations(everyone, num_seeds):
        rest = [index for index in everyone if index not in group]
        others = np.asarray(list(itertools.combinations(rest, num_seeds)))
        gaps.append(np.abs(pool[list(group)].mean() - pool[others].mean(axis=1)))
    return np.concatenate(gaps)


def _drawn_gaps(pool: Vector, num_seeds: int, num_splits: int, generator: np.random.Generator) -> Vector:
    shuffled = generator.permuted(np.broadcast_to(pool, (num_splits, pool.size)), axis=1)
    return np.asarray(
        np.abs(shuffled[:, :num_seeds].mean(axis=1) - shuffled[:, num_seeds : 2 * num_seeds].mean(axis=1)),
        dtype=np.float64,
    )
