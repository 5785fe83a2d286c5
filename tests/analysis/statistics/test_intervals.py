from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from analysis.statistics import intervals as statistics
from analysis.statistics.intervals import Interval, Vector

DIFFERENCES = np.array([0.8, 1.1, -0.2, 0.5, 0.9, 1.4, 0.3, 0.7])


def _generator() -> np.random.Generator:
    return np.random.default_rng(7)


def _enumerated_p(differences: Vector, shift: float) -> float:
    """The definition: the share of all 2^n sign assignments whose sum is at least as far from 0."""
    centred = differences - shift
    sums = [abs(float(np.dot(signs, centred))) for signs in itertools.product((1, -1), repeat=len(centred))]
    return float(np.mean([total >= abs(centred.sum()) - 1e-12 for total in sums]))


def test_sign_flip_p_equals_enumeration_of_all_signs() -> None:
    assert statistics.sign_flip(DIFFERENCES, 0.95, _generator()).p == _enumerated_p(DIFFERENCES, 0.0)


def test_sign_flip_p_equals_scipys_exact_permutation_test() -> None:
    expected = stats.permutation_test(
        (DIFFERENCES,), lambda sample: float(np.mean(sample)), permutation_type="samples", n_resamples=10_000
    ).pvalue
    assert statistics.sign_flip(DIFFERENCES, 0.95, _generator()).p == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_interval_holds_exactly_the_shifts_that_the_test_does_not_reject(confidence: float) -> None:
    interval = statistics.sign_flip(DIFFERENCES, confidence, _generator()).interval
    for end, outwards in ((interval.low, -1), (interval.high, 1)):
        assert _enumerated_p(DIFFERENCES, end) > 1 - confidence
        assert _enumerated_p(DIFFERENCES, end + outwards * 1e-6) <= 1 - confidence


@given(st.lists(st.integers(-30, 30), min_size=1, max_size=11), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
@settings(max_examples=150, deadline=None)
def test_interval_and_p_never_disagree(differences: list[int], confidence: float) -> None:
    found = statistics.sign_flip([float(d) for d in differences], confidence, _generator())
    assert found.interval.contains(0.0) == (found.p > 1 - confidence + 1e-12), (found, differences)


@pytest.mark.parametrize(("num_pairs", "exact"), [(21, True), (26, True), (41, False), (60, False)])
def test_interval_and_p_agree_where_signs_are_counted_or_drawn(num_pairs: int, exact: bool) -> None:
    for seed in range(40):
        generator = np.random.default_rng(seed)
        differences = np.round(generator.normal(2.0 / math.sqrt(num_pairs), 1.0, num_pairs), 1)
        found = statistics.sign_flip(differences, 0.95, generator)
        assert found.exact == exact
        assert found.interval.contains(0.0) == (found.p > 0.05), (seed, found)


def test_no_draw_decides_what_all_assignments_leave_open() -> None:
    """Mirrored pairs of which exactly the limit is known: by forty sets of draws no verdict is another than the
    counted one, and none is better where that is not."""
    differences = np.random.default_rng(3).normal(0.0, 1.0, 40)
    differences += 2.03 * differences.std(ddof=1) / math.sqrt(40) - differences.mean()
    exact = statistics.sign_flip(differences, 0.95, _generator())
    assert exact.p == pytest.approx(0.05, abs=0.002)
    means = [statistics._drawn_subset_means(differences, np.random.default_rng(seed)) for seed in range(40)]
    drawn = [statistics.inverted(each, 0.0, 0.95, exact=False) for each in means]
    assert min(found.p for found in drawn) > exact.p
    assert max(found.interval.low for found in drawn) < exact.interval.low


def test_ties_among_large_values_are_ties() -> None:
    """500 studies of eight pairs with two decimals: p is that of the same numbers in whole hundredths."""
    generator = np.random.default_rng(4)
    for size in (1_234, 25_000, 1_000_000):
        for _ in range(150):
            hundredths = generator.integers(-9, 10, size=(2, 8)) + 100 * size
            level, baseline = (hundredths[side] / 100 for side in (0, 1))
            expected = statistics.sign_flip((hundredths[0] - hundredths[1]).astype(float), 0.95, generator)
            found = statistics.sign_flip(level - baseline, 0.95, generator, float(size))
            assert found.p == expected.p
            assert found.interval.low == pytest.approx(expected.interval.low / 100, abs=1e-8)


def test_drawn_signs_come_close_to_students_t_for_many_normal_pairs() -> None:
    differences = _generator().normal(0.3, 1.0, 50)
    found = statistics.sign_flip(differences, 0.95, _generator())
    reference = stats.ttest_1samp(differences, 0.0)
    low, high = reference.confidence_interval(0.95)
    # Both are within Monte Carlo error and O(1/n) of each other for normal data.
    assert found.p == pytest.approx(reference.pvalue, abs=0.01)
    assert (found.interval.low, found.interval.high) == pytest.approx((low, high), abs=0.03)


def test_sign_flip_interval_covers_the_true_mean_as_often_as_it_says() -> None:
    generator = _generator()
    covered = [
        statistics.sign_flip(generator.normal(1.0, 2.0, 8), 0.9, generator).interval.contains(1.0) for _ in range(3_000)
    ]
    # Of 256 equally likely ranks 12 at either end are left out; four standard errors of 3,000 draws are 0.021.
    assert np.mean(covered) == pytest.approx(1 - 24 / 256, abs=0.021)


@pytest.mark.parametrize("num_pairs", [1, 2, 5])
def test_fewer_than_six_pairs_have_no_finite_95_percent_interval(num_pairs: int) -> None:
    found = statistics.sign_flip(DIFFERENCES[:num_pairs], 0.95, _generator())
    assert not found.interval.is_finite
    assert statistics.smallest_p(num_pairs) > 0.05


def test_six_pairs_have_the_range_as_their_95_percent_interval() -> None:
    six = DIFFERENCES[:6]
    assert statistics.sign_flip(six, 0.95, _generator()).interval == Interval(six.min(), six.max())


def test_smallest_p_is_reached_when_all_differences_have_one_sign() -> None:
    assert (
        statistics.sign_flip([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 0.95, _generator()).p == statistics.smallest_p(6) == 2**-5
    )


def test_differences_that_are_not_finite_are_refused() -> None:
    with pytest.raises(ValueError, match="1 of 2 numbers are not finite"):
        statistics.sign_flip([1.0, math.nan], 0.95, _generator())


def test_bca_interval_equals_scipys_for_the_same_generator() -> None:
    expected = stats.bootstrap(
        (DIFFERENCES,),
        np.mean,
        confidence_level=0.95,
        n_resamples=9_999,
        batch=1_000,
        method="BCa",
        rng=_generator(),
        vectorized=True,
        axis=-1,
    )
    found = statistics.bca_interval(DIFFERENCES, 0.95, _generator())
    assert found == Interval(expected.confidence_interval.low, expected.confidence_interval.high)


@pytest.mark.parametrize("numbers", [[1.0], [1.0, 2.0], [3.0, 3.0, 3.0, 3.0]])
def test_bca_interval_is_none_where_there_is_no_spread_to_resample(numbers: list[float]) -> None:
    assert statistics.bca_interval(numbers, 0.95, _generator()) is None


def test_t_interval_and_band_equal_scipys() -> None:
    low, high = stats.ttest_1samp(DIFFERENCES, 0.0).confidence_interval(0.9)
    interval = statistics.t_interval(DIFFERENCES, 0.9)
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((low, high))
    band = statistics.mean_band(np.column_stack([DIFFERENCES, DIFFERENCES + 1]), 0.9)
    assert band.mean == pytest.approx([DIFFERENCES.mean(), DIFFERENCES.mean() + 1])
    assert band.low == pytest.approx([low, low + 1])
    assert band.high == pytest.approx([high, high + 1])


def test_one_replicate_has_a_mean_and_no_band() -> None:
    band = statistics.mean_band(np.array([[1.0, 2.0]]), 0.95)
    assert band.mean.tolist() == [1.0, 2.0]
    assert np.isnan(band.low).all()
    assert statistics.t_interval([1.0], 0.95) is None


def test_minimum_detectable_effect_is_found_with_the_power_it_promises() -> None:
    effect = statistics.minimum_detectable_effect(DIFFERENCES, 0.95)
    assert effect is not None
    num, critical = DIFFERENCES.size, stats.t.ppf(0.975, DIFFERENCES.size - 1)
    noncentrality = effect / DIFFERENCES.std(ddof=1) * math.sqrt(num)
    power = stats.nct.sf(critical, num - 1, noncentrality) + stats.nct.cdf(-critical, num - 1, noncentrality)
    assert power == pytest.approx(0.8, abs=1e-4)


def test_no_effect_is_detectable_with_five_pairs() -> None:
    assert statistics.minimum_detectable_effect(DIFFERENCES[:5], 0.95) is None


def test_holm_and_sign_test_equal_reference_libraries() -> None:
    ps = [0.01, 0.04, 0.03]
    assert statistics.holm(ps) == pytest.approx(multipletests(ps, method="holm")[1])
    assert statistics.holm(ps) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics.holm([]) == []
    assert statistics.sign_test(DIFFERENCES) == pytest.approx(stats.binomtest(7, 8).pvalue)


def test_correlation_is_none_where_a_side_never_varies() -> None:
    assert statistics.pair_correlation([1.0, 2.0, 3.0], [2.0, 2.0, 2.0]) is None
    assert statistics.pair_correlation([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]) == pytest.approx(1.0)


def test_the_same_generator_gives_the_same_numbers_twice() -> None:
    many = np.linspace(-1, 2, 45)
    assert statistics.sign_flip(many, 0.95, _generator()) == statistics.sign_flip(many, 0.95, _generator())


def test_rounded_is_stable_and_has_no_negative_zero() -> None:
    assert statistics.rounded(-105.123456789) == -105.123
    assert str(statistics.rounded(-0.0)) == "0.0"
    assert statistics.rounded(math.nan) is None
