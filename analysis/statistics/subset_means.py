r"""How many subsets of some numbers have a mean below a threshold, counted and not drawn: the sums of either half are
sorted, and merged (Horowitz and Sahni 1974). So 2^40 subsets take 2^20 sums on each side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtri

Vector = NDArray[np.float64]

MAX_PAIRS = 40
PRECISION = 1e-9


def num_at_most(numbers: Vector, threshold: float, tolerance: float) -> int:
    """How many non-empty subsets have a mean of at most `threshold`; a mean that is above it by less than `tolerance`,
    which rounding may have done, counts as well."""
    moved, half = numbers - threshold, numbers.size // 2
    ours, theirs = np.sort(_sums(moved[:half])), np.sort(_sums(moved[half:]))
    return int(np.searchsorted(ours, numbers.size * tolerance - theirs, side="right").sum()) - 1


def _sums(numbers: Vector) -> Vector:
    """The sums of all subsets, the empty one first."""
    sums = np.zeros(1)
    for number in numbers:
        sums = np.concatenate([sums, sums + number])
    return sums


def smallest_mean(numbers: Vector, order: int, num_below_zero: int, tolerance: float) -> float:
    """The mean of the `order`-th place among those of all non-empty subsets, to within 1e-9 of a usual number.

    `num_below_zero`: `num_at_most` of 0. The mean lies on that side of 0 which this number says.
    """
    size = 2.0**numbers.size  # between the counts order - 1 and order the excess changes its sign

    def excess(threshold: float) -> float:
        return float(ndtri((num_at_most(numbers, threshold, tolerance) + 0.25) / size) - ndtri((order - 0.5) / size))

    sizes = np.abs(numbers)
    precision = max(PRECISION * float(np.median(sizes)), 1e-15 * float(sizes.max()))
    lowest, highest = float(numbers.min()) - precision, float(numbers.max())
    if num_below_zero < order:
        lowest = max(lowest, 0.0)
    else:
        highest = min(highest, 0.0)
    if excess(highest) <= 0 or excess(lowest) >= 0:  # ties at the end of the range
        return highest if num_below_zero < order else lowest
    return float(brentq(excess, lowest, highest, xtol=precision))
