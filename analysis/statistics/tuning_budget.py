"""What tuning buys: the best validation result to expect from fewer proposals than were tried.

A diverged proposal (an objective that is not finite) is the worst outcome: it takes part in every draw and never
wins one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.statistics.intervals import Vector


@dataclass(frozen=True)
class TuningBudget:
    """The best of n proposals drawn without replacement from those of a search, for n = 1 to their number: arrays
    [proposals].

    `expected_best`: its exact mean, NaN for those n at which a draw may hold nothing but diverged proposals and
    these were given no worth; `chance_of_nothing` is the probability of that. `low_quartile`, `median` and
    `high_quartile` of the best are always there, minus infinity where it is that nothing was found. `simple_regret`:
    the best of all proposals less `expected_best`. `running_best`: the best so far in the order of proposing, minus
    infinity before the first that did not diverge.
    """

    num_drawn: np.ndarray[tuple[int], np.dtype[np.int64]]
    expected_best: Vector
    chance_of_nothing: Vector
    low_quartile: Vector
    median: Vector
    high_quartile: Vector
    simple_regret: Vector
    running_best: Vector
    num_diverged: int


def winner(objectives: Sequence[float] | Vector) -> int | None:
    """The number of the proposal with the highest objective, of equals the first; None where all diverged."""
    finite = [(number, float(objective)) for number, objective in enumerate(objectives) if math.isfinite(objective)]
    return max(finite, key=lambda pair: (pair[1], -pair[0]))[0] if finite else None


def tuning_budget(objectives: Sequence[float] | Vector, diverged_worth: float | None = None) -> TuningBudget:
    """The best result to expect from n of these proposals, at every n; `objectives` in the order of proposing,
    higher is better.

    E[best of n] = sum_i v_(i) C(i - 1, n - 1) / C(N, n) over the N objectives in ascending order: the expectation of
    the maximum of n draws *without* replacement. It is unbiased for the best of n fresh independent proposals, at
    every n <= N, where proposals are independent (random search); the estimator of Dodge et al. (2019), which draws
    with replacement, is biased low (Tang et al. 2020). Proposals of an adaptive or space-filling sampler are not
    independent: for them this is the curve of the same proposals in random order, and `running_best` is what was
    seen. `diverged_worth`: what a diverged proposal counts as in the mean, in nats, such as the constant-pixel
    bound; it may not be above any finite objective.
    """
    array = np.asarray(objectives, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"expected the objectives of at least one proposal; got shape {array.shape}")
    array = np.where(np.isfinite(array), array, -math.inf)
    finite = array[np.isfinite(array)]
    if diverged_worth is not None and finite.size and diverged_worth > finite.min():
        raise ValueError(
            f"a diverged proposal cannot be worth {diverged_worth:g}, more than the {finite.min():g} of one that did"
            " not diverge"
        )
    num_drawn = np.arange(1, array.size + 1)
    ordered = np.sort(array)
    weights = _weights_of_maximum(array.size)
    num_diverged = int(array.size - finite.size)
    worth = math.nan if diverged_worth is None else diverged_worth
    expected = np.asarray([_expectation(row, ordered, worth) for row in weights])
    cumulative = np.cumsum(weights, axis=1)
    quartiles = [ordered[np.argmax(cumulative >= share - 1e-12, axis=1)] for share in (0.25, 0.5, 0.75)]
    best = finite.max() if finite.size else math.nan
    return TuningBudget(
        num_drawn=num_drawn,
        expected_best=expected,
        chance_of_nothing=np.asarray(
            stats.hypergeom.pmf(num_drawn, array.size, num_diverged, num_drawn), dtype=np.float64
        ),
        low_quartile=quartiles[0],
        median=quartiles[1],
        high_quartile=quartiles[2],
        simple_regret=best - expected,
        running_best=np.maximum.accumulate(array),
        num_diverged=num_diverged,
    )


def _weights_of_maximum(num_proposals: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """[n - 1, i - 1]: the probability that the i-th smallest is the largest of n draws without replacement, C(i - 1,
    n - 1) / C(N, n)."""
    exact = [
        [math.comb(i - 1, n - 1) / math.comb(num_proposals, n) for i in range(1, num_proposals + 1)]
        for n in range(1, num_proposals + 1)
    ]
    return np.asarray(exact, dtype=np.float64).reshape(num_proposals, num_proposals)


def _expectation(weights: Vector, ordered: Vector, worth: float) -> float:
    """The mean of `ordered` under `weights`, each minus infinity that has weight counted as `worth`; never above the
    largest."""
    drawn = weights > 0
    numbers = np.where(np.isfinite(ordered[drawn]), ordered[drawn], worth)
    return min(math.fsum(weights[drawn] * numbers), float(numbers[-1])) if np.isfinite(numbers).all() else math.nan
