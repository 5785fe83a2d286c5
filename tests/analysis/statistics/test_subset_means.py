from __future__ import annotations

import itertools

import numpy as np
import pytest

from analysis.statistics.intervals import Vector, sign_flip
from analysis.statistics.subset_means import num_at_most, smallest_mean


def _all_means(numbers: Vector) -> Vector:
    sizes = range(1, numbers.size + 1)
    subsets = (subset for size in sizes for subset in itertools.combinations(numbers, size))
    return np.sort([float(np.mean(subset)) for subset in subsets])


@pytest.mark.parametrize("num_numbers", [1, 2, 9, 12])
def test_counts_and_places_equal_those_of_all_means_written_out(num_numbers: int) -> None:
    numbers = np.random.default_rng(num_numbers).normal(0.4, 1.0, num_numbers)
    means = _all_means(numbers)
    for threshold in (-0.5, 0.0, 0.7):
        assert num_at_most(numbers, threshold, 1e-12) == (means <= threshold).sum()
    below = num_at_most(numbers, 0.0, 1e-12)
    for order in {1, means.size // 40 + 1, means.size // 2 + 1}:
        # To within 1e-9 of the median size, which is below 2 here.
        assert smallest_mean(numbers, order, below, 1e-12) == pytest.approx(means[order - 1], abs=2e-9)


def test_a_mean_that_rounding_lifts_above_the_threshold_counts() -> None:
    numbers = np.array([0.1, 0.2, -0.3])
    assert numbers.sum() > 0
    assert num_at_most(numbers, 0.0, 1e-15) == num_at_most(np.array([1.0, 2.0, -3.0]), 0.0, 0.0) == 4


def test_equal_numbers_have_one_mean() -> None:
    numbers = np.full(25, 2.0)
    assert num_at_most(numbers, 2.0, 1e-12) == 2**25 - 1
    assert smallest_mean(numbers, 1000, num_at_most(numbers, 0.0, 1e-12), 1e-12) == pytest.approx(2.0)


@pytest.mark.parametrize("num_studies", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_of_25_like_pairs_the_counted_test_refuses_as_often_as_it_says(num_studies: int) -> None:
    for draws in (np.random.default_rng(1).normal, np.random.default_rng(2).standard_cauchy):
        differences = draws(size=(num_studies, 25))
        tails = np.array([[num_at_most(side, 0.0, 0.0) for side in (row, -row)] for row in differences])
        share = np.mean(2 * (1 + tails.min(axis=1)) / 2**25 <= 0.05)
        assert abs(share - 0.05) < 4 * np.sqrt(0.05 * 0.95 / num_studies), share


def test_forty_pairs_are_counted_and_agree_with_students_t() -> None:
    differences = np.random.default_rng(7).normal(0.3, 1.0, 40)
    found, error = sign_flip(differences, 0.95, np.random.default_rng(0)), differences.std(ddof=1) / np.sqrt(40)
    assert found.exact
    # The two agree to O(1 / n) of the error for normal numbers.
    assert found.interval.low == pytest.approx(differences.mean() - 2.0227 * error, abs=0.05 * error)
    assert found.interval.high == pytest.approx(differences.mean() + 2.0227 * error, abs=0.05 * error)
