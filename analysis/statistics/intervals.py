"""Estimates, intervals and tests for paired trainings; pure functions of numbers, every random draw from a Generator
that is given.

The central test is the paired sign-flip test of the mean difference: under the hypothesis that the mean difference
is theta and that differences are symmetric around it, each d_i - theta may as well have had the other sign (Fisher
1935). Its confidence interval is its exact inversion, so that interval and p never disagree.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from analysis.statistics.subset_means import MAX_PAIRS, num_at_most, smallest_mean

Vector = NDArray[np.float64]

MAX_ENUMERATED_PAIRS = 20
NUM_SIGN_DRAWS = 99_999
NUM_BOOTSTRAP_RESAMPLES = 9_999
ROUNDING = 1e-13
"""What lies closer together than this share of the numbers that were subtracted is equal: some 450 roundings."""

SURE_OF_DRAWS = 3.29
"""Standard errors of a share among draws that are given away, so that the draws decide nothing: 99.9 % of draws."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval, both ends included; in the unit of what it covers."""

    low: float
    high: float

    @property
    def is_finite(self) -> bool:
        """Whether it says anything: both ends are numbers."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def contains(self, number: float) -> bool:
        """Whether `number` lies in it, ends included."""
        return self.low <= number <= self.high


UNBOUNDED = Interval(-math.inf, math.inf)


@dataclass(frozen=True)
class SignFlip:
    """The paired sign-flip test of the mean: its two-sided p at mean difference 0, and its inversion."""

    p: float
    interval: Interval
    exact: bool


@dataclass(frozen=True)
class Band:
    """Pointwise means over replicates with their intervals: three arrays [points], NaN where there is no interval."""

    mean: Vector
    low: Vector
    high: Vector


def _checked(numbers: Sequence[float] | Vector) -> Vector:
    array = np.asarray(numbers, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"expected a list of at least one number; got shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(
            f"{int((~np.isfinite(array)).sum())} of {array.size} numbers are not finite; count diverged trainings"
            " apart, they have no difference"
        )
    return array


def _enumerated_subset_means(differences: Vector) -> Vector:
    """The means of all 2^n - 1 non-empty subsets."""
    sums, sizes = np.zeros(1), np.zeros(1)
    for difference in differences:
        sums, sizes = np.concatenate([sums, sums + difference]), np.concatenate([sizes, sizes + 1])
    return np.asarray(sums[1:] / sizes[1:], dtype=np.float64)


def _drawn_subset_means(differences: Vector, generator: np.random.Generator) -> Vector:
    """The means of `NUM_SIGN_DRAWS` subsets, each difference in or out with probability 1/2; the empty ones left
    out."""
    blocks = []
    for start in range(0, NUM_SIGN_DRAWS, 10_000):
        flipped = generator.integers(0, 2, size=(min(10_000, NUM_SIGN_DRAWS - start), differences.size))
        sizes = flipped.sum(axis=1)
        blocks.append((flipped @ differences)[sizes > 0] / sizes[sizes > 0])
    return np.concatenate(blocks)


def sign_flip(
    differences: Sequence[float] | Vector, confidence: float, generator: np.random.Generator, size: float = 0.0
) -> SignFlip:
    r"""The two-sided paired sign-flip test of the mean difference, and the interval that inverts it.

    Flipping the signs of a subset F makes the sum of d_i - theta at least as large exactly when mean_F(d) <= theta,
    so for theta below the mean p(theta) = 2 (1 + #{F non-empty: mean_F(d) <= theta}) / 2^n, likewise above. The
    theta with p(theta) > 1 - confidence therefore lie between two order statistics of the subset means (Hartigan
    1969). Exact up to `subset_means.MAX_PAIRS` pairs, where above `MAX_ENUMERATED_PAIRS` means are counted and not
    listed. Beyond, subsets are drawn, for p and interval alike: see `inverted`. The ends are infinite where no
    assignment of signs is rare enough: below 6 pairs at 95 %.

    `size`: that of the numbers which were subtracted, where they are known. Differences of large ones are
    rounded, and tie where they agree to within that.
    """
    array = _checked(differences)
    tolerance = ROUNDING * (size or float(np.abs(array).max()))
    if MAX_ENUMERATED_PAIRS < array.size <= MAX_PAIRS:
        return _counted(array, confidence, tolerance)
    exact = array.size <= MAX_ENUMERATED_PAIRS
    means = _enumerated_subset_means(array) if exact else _drawn_subset_means(array, generator)
    return inverted(means, tolerance, confidence, exact)


def _counted(differences: Vector, confidence: float, tolerance: float) -> SignFlip:
    below, above = (num_at_most(side, 0.0, tolerance) for side in (differences, -differences))
    order = _order(confidence, 2**differences.size)
    low, high = -math.inf, math.inf
    if order:
        low = smallest_mean(differences, order, below, tolerance)
        high = -smallest_mean(-differences, order, above, tolerance)
    return SignFlip(min(1.0, 2 * (1 + min(below, above)) / 2**differences.size), Interval(low, high), True)


def _order(confidence: float, num_assignments: int) -> int:
    """How many assignments may be more extreme than an end of the interval, itself counted."""
    return math.floor((1 - confidence) * num_assignments / 2 + 1e-9)


def inverted(contrasts: Vector, tolerance: float, confidence: float, exact: bool) -> SignFlip:
    """The test of theta = 0 and its inversion, where an assignment other than the one seen is at least as extreme as it
    exactly when its contrast is at most theta. A contrast within `tolerance` of 0 is one.

    Where contrasts are drawn, p is the largest that the draws leave possible (Wilson's bound, 99.9 %), and the interval
    is as much longer: which draws they were decides nothing.
    """
    ordered = np.sort(contrasts)
    ordered[np.abs(ordered) <= tolerance] = 0.0
    num_assignments = ordered.size + 1
    at_least = 1 + min(int((ordered <= 0).sum()), int((ordered >= 0).sum()))
    p = 2 * at_least / num_assignments
    order = _order(confidence, num_assignments)
    if not exact:
        tail = (1 - confidence) / 2
        p = 2 * _upper_share(at_least, num_assignments)
        order = math.floor(order - SURE_OF_DRAWS * math.sqrt(num_assignments * tail * (1 - tail)))
    interval = Interval(float(ordered[order - 1]), float(ordered[-order])) if order > 0 else UNBOUNDED
    return SignFlip(min(1.0, p), interval, exact)


def _upper_share(count: int, number: int) -> float:
    """Wilson's upper bound of a share of which `count` of `number` were seen."""
    z = SURE_OF_DRAWS
    middle = count + z**2 / 2
    return (middle + z * math.sqrt(count * (number - count) / number + z**2 / 4)) / (number + z**2)


def smallest_p(num_pairs: int) -> float:
    """The smallest two-sided p that a paired sign-flip test of that many pairs can reach: 2^(1-n), or where signs are
    drawn what the draws leave possible."""
    if num_pairs > MAX_PAIRS:
        return 2 * _upper_share(1, NUM_SIGN_DRAWS + 1)
    return min(1.0, 2.0 ** (1 - num_pairs)) if num_pairs else 1.0


def bca_interval(
    numbers: Sequence[float] | Vector, confidence: float, generator: np.random.Generator
) -> Interval | None:
    """The bias-corrected and accelerated bootstrap interval of the mean (Efron 1987); None below 3 numbers or where
    all are equal."""
    array = _checked(numbers)
    if array.size < 3 or np.ptp(array) <= 1e-12 * np.abs(array).max():
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        bootstrap = stats.bootstrap(
            (array,),
            np.mean,
            axis=-1,
            vectorized=True,
            n_resamples=NUM_BOOTSTRAP_RESAMPLES,
            batch=1_000,
            confidence_level=confidence,
            method="BCa",
            rng=generator,
        ).confidence_interval
    interval = Interval(float(bootstrap.low), float(bootstrap.high))
    return interval if interval.is_finite else None


def t_interval(numbers: Sequence[float] | Vector, confidence: float) -> Interval | None:
    """Student's t interval of the mean; None for a single number."""
    array = _checked(numbers)
    if array.size < 2:
        return None
    half = stats.t.ppf((1 + confidence) / 2, array.size - 1) * array.std(ddof=1) / math.sqrt(array.size)
    return Interval(float(array.mean() - half), float(array.mean() + half))


def mean_band(replicates: NDArray[np.float64], confidence: float) -> Band:
    """Pointwise mean and t interval of `replicates` [replicates, points]; the interval is NaN for a single
    replicate."""
    num_replicates = replicates.shape[0]
    mean = replicates.mean(axis=0)
    if num_replicates < 2:
        nothing = np.full_like(mean, np.nan)
        return Band(mean, nothing, nothing.copy())
    half = (
        stats.t.ppf((1 + confidence) / 2, num_replicates - 1)
        * replicates.std(axis=0, ddof=1)
        / math.sqrt(num_replicates)
    )
    return Band(mean, mean - half, mean + half)


def minimum_detectable_effect(
    differences: Sequence[float] | Vector, confidence: float, power: float = 0.8
) -> float | None:
    """The true mean difference that a two-sided paired test of this spread and number would find with probability
    `power`.

    By the noncentral t distribution, with the standard deviation of these differences. None where no effect, however
    large, could be found: one pair, or too few for `smallest_p` to reach 1 - confidence.
    """
    array = _checked(differences)
    if array.size < 2 or smallest_p(array.size) > 1 - confidence:
        return None
    spread = float(array.std(ddof=1))
    return (
        spread * float(TTestPower().solve_power(nobs=array.size, alpha=1 - confidence, power=power)) if spread else 0.0
    )


def pair_correlation(first: Sequence[float] | Vector, second: Sequence[float] | Vector) -> float | None:
    """Pearson's correlation over pairs: what pairing by seed really buys. None below 3 pairs or where a side never
    varies."""
    left, right = _checked(first), _checked(second)
    if left.size < 3 or not left.std() or not right.std():
        return None
    return float(np.corrcoef(left, right)[0, 1])


def skewness(numbers: Sequence[float] | Vector) -> float | None:
    """The sample skewness G1, unbiased for normal numbers (Joanes and Gill 1998); None below 3 numbers or where all
    are equal."""
    array = _checked(numbers)
    if array.size < 3 or np.ptp(array) <= 1e-12 * np.abs(array).max():
        return None
    return float(stats.skew(array, bias=False))


def is_strongly_skewed(numbers: Sequence[float] | Vector) -> bool:
    """Whether |G1| is above 1, and above two of the standard errors that it has for normal numbers: of few numbers
    only the most lopsided are told apart."""
    skew, n = skewness(numbers), len(numbers)
    return skew is not None and abs(skew) > max(1.0, 2 * math.sqrt(6 * n * (n - 1) / ((n - 2) * (n + 1) * (n + 3))))


def holm(ps: Sequence[float]) -> list[float]:
    """Holm's adjusted p of each, in the order given (Holm 1979); a single one is its own, which spares statsmodels'
    call of the garbage collector."""
    return [float(p) for p in multipletests(list(ps), method="holm")[1]] if len(ps) > 1 else [float(p) for p in ps]


def sign_test(differences: Sequence[float] | Vector) -> float:
    """The two-sided sign test's p: whether more differences are above than below zero; zeros are left out."""
    array = _checked(differences)
    num_above, num_below = int((array > 0).sum()), int((array < 0).sum())
    return float(stats.binomtest(num_above, num_above + num_below).pvalue) if num_above + num_below else 1.0


def rounded(number: Any, digits: int = 6) -> float | None:
    """`number` to so many significant digits, None for None and for what is not finite: stable text in tables and
    claims."""
    if number is None or not math.isfinite(number):
        return None
    return float(f"{float(number):.{digits}g}") + 0.0
