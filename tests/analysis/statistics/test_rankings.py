from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.statistics import rankings

SCORES = np.random.default_rng(2).normal(size=(9, 4)) + np.array([0.0, 0.5, 1.5, 1.6])


def _generator() -> np.random.Generator:
    return np.random.default_rng(13)


def _mapping(scores: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> dict[str, dict[tuple[str, int], float]]:
    return {
        f"entrant {column}": {("mnist", row): float(score) for row, score in enumerate(scores[:, column])}
        for column in range(scores.shape[1])
    }


def test_ties_share_their_ranks_and_divergences_are_last_and_tied() -> None:
    scores = np.array([[3.0, 1.0, 3.0, 0.0], [math.nan, -5.0, math.inf, -math.inf]])
    assert rankings.block_ranks(scores).tolist() == [[1.5, 3.0, 1.5, 4.0], [3.0, 1.0, 3.0, 3.0]]


def test_friedman_and_mean_ranks_equal_scipy() -> None:
    found = rankings.rank_finding(_mapping(SCORES), 0.95)
    assert found.friedman_p == pytest.approx(stats.friedmanchisquare(*SCORES.T).pvalue)
    ranks = stats.rankdata(-SCORES, axis=1).mean(axis=0)
    assert dict(zip(found.entrants, found.mean_ranks, strict=True)) == pytest.approx(
        {f"entrant {column}": ranks[column] for column in range(4)}
    )
    assert list(found.mean_ranks) == sorted(found.mean_ranks)


def test_critical_difference_equals_the_published_example() -> None:
    # Demsar (2006), section 3.2.2: four classifiers on 14 data sets, q = 2.569, CD = 1.25.
    assert rankings.critical_difference(4, 14, 0.95) == pytest.approx(2.569 * math.sqrt(4 * 5 / (6 * 14)), rel=1e-3)
    assert rankings.critical_difference(4, 14, 0.95) == pytest.approx(1.25, abs=0.005)
    assert rankings.critical_difference(1, 14, 0.95) is None
    assert rankings.critical_difference(3, 1, 0.95) is None


def test_groups_are_the_largest_sets_within_the_critical_difference() -> None:
    means = {"a": 1.0, "b": 1.8, "c": 2.5, "d": 4.0}
    assert rankings._groups(list("abcd"), means, 1.0) == (("a", "b"), ("b", "c"))
    assert rankings._groups(list("abcd"), means, 2.0) == (("a", "b", "c"), ("c", "d"))


def test_blocks_that_an_entrant_lacks_are_left_out_and_counted() -> None:
    scores = _mapping(SCORES)
    del scores["entrant 1"]["mnist", 3]
    found = rankings.rank_finding(scores, 0.95)
    assert (found.num_blocks, found.num_left_out) == (8, 1)
    nobody = rankings.rank_finding({"a": {0: 1.0}, "b": {1: 1.0}}, 0.95)
    assert (nobody.num_blocks, nobody.friedman_p, nobody.critical_difference) == (0, None, None)
    assert all(math.isnan(rank) for rank in nobody.mean_ranks)


def test_order_of_entrants_and_blocks_changes_nothing() -> None:
    scores = _mapping(SCORES)
    backwards = {name: dict(reversed(held.items())) for name, held in reversed(scores.items())}
    assert rankings.rank_finding(backwards, 0.95) == rankings.rank_finding(scores, 0.95)


@given(st.lists(st.lists(st.integers(-5, 5), min_size=3, max_size=3), min_size=1, max_size=6), st.data())
def test_a_divergence_never_improves_a_mean_rank(rows: list[list[int]], data: st.DataObject) -> None:
    scores = np.asarray(rows, dtype=np.float64)
    row, column = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(0, 2))
    lost = scores.copy()
    lost[row, column] = math.nan
    before, after = (rankings.block_ranks(table).mean(axis=0) for table in (scores, lost))
    assert after[column] >= before[column]


def test_performance_profile_is_the_share_of_problems_within_each_ratio_of_the_best() -> None:
    costs = {"adam": np.array([1.0, 4.0, math.inf, math.nan]), "adagrad": np.array([2.0, 1.0, 5.0, math.inf])}
    adagrad, adam = rankings.performance_profiles(costs, np.array([1.0, 2.0, 4.0]))
    assert adam.share.tolist() == [0.25, 0.25, 0.5]
    assert adagrad.share.tolist() == [0.5, 0.75, 0.75]


def test_a_performance_profile_of_nats_is_refused() -> None:
    with pytest.raises(ValueError, match="costs above 0"):
        rankings.performance_profiles({"adam": np.array([-100.0])}, np.array([1.0]))


def test_score_distribution_averages_tasks_and_counts_divergences_as_below_everything() -> None:
    scores = {"adam": [np.array([1.0, 3.0, math.nan, 5.0]), np.array([2.0, 2.0])]}
    (found,) = rankings.score_distributions(scores, np.array([-1e9, 2.0, 4.0]), 0.95, 500, _generator())
    assert found.share == pytest.approx([(0.75 + 1) / 2, (0.5 + 0) / 2, 0.25 / 2])
    assert (found.low <= found.share).all()
    assert (found.share <= found.high).all()


def test_score_distribution_of_one_seed_has_no_band() -> None:
    (found,) = rankings.score_distributions({"adam": [np.array([1.0])]}, np.array([0.0]), 0.95, 50, _generator())
    assert found.share.tolist() == [1.0]
    assert np.isnan(found.low).all()


def test_probability_of_improvement_is_mann_whitneys_u_over_the_number_of_pairs() -> None:
    generator = _generator()
    first, second = generator.integers(0, 9, size=(2, 3, 12)).astype(np.float64)
    expected = np.mean([stats.mannwhitneyu(x, y).statistic / 144 for x, y in zip(first, second, strict=True)])
    assert rankings.probability_of_improvement(list(first), list(second), 0.95).probability == pytest.approx(expected)


def test_ten_wins_of_ten_leave_a_probability_of_clopper_and_pearson() -> None:
    found = rankings.probability_of_improvement([np.arange(10.0) + 100], [np.arange(10.0)], 0.95)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx((0.025**0.1, 1.0))
    some = rankings.probability_of_improvement([np.array([1.0, 1.0, 1.0, -1.0])], [np.zeros(4)], 0.95).interval
    reference = stats.binomtest(3, 4).proportion_ci(0.95, "exact")
    assert some is not None
    assert (some.low, some.high) == pytest.approx((reference.low, reference.high))


@pytest.mark.parametrize("num_studies", [300, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("probability", [0.5, 0.8, 0.95, 0.99])
@pytest.mark.parametrize("correlation", [0.0, 0.5, -0.4])
def test_the_interval_of_the_probability_of_improvement_holds_it(
    probability: float, correlation: float, num_studies: int
) -> None:
    """Two normal sides of ten seeds; seeds of two sides may correlate, runs of different seeds do not."""
    generator, shift = np.random.default_rng(3), float(stats.norm.ppf(probability)) * np.sqrt(2)
    pairs = generator.multivariate_normal([shift, 0.0], [[1.0, correlation], [correlation, 1.0]], (num_studies, 10))
    found = [rankings.probability_of_improvement([x], [y], 0.95).interval for x, y in np.moveaxis(pairs, 2, 1)]
    held = np.mean([interval is not None and interval.contains(probability) for interval in found])
    assert held > 0.95 - 4 * np.sqrt(0.05 * 0.95 / num_studies), held


def test_the_same_cell_under_two_names_improves_with_probability_one_half() -> None:
    same = np.arange(7.0)
    found = rankings.probability_of_improvement([same], [same], 0.95)
    assert found.probability == 0.5
    assert found.interval is not None
    assert found.interval.low == pytest.approx(1 - found.interval.high)


@given(
    st.lists(st.integers(-5, 5), min_size=2, max_size=8),
    st.lists(st.integers(-5, 5), min_size=8, max_size=8),
    st.data(),
)
def test_a_divergence_never_makes_an_improvement_more_probable(
    ours: list[int], theirs: list[int], data: st.DataObject
) -> None:
    first, second = np.asarray(ours, dtype=np.float64), np.asarray(theirs[: len(ours)], dtype=np.float64)
    lost = first.copy()
    lost[data.draw(st.integers(0, len(ours) - 1))] = -math.inf
    before, after = (rankings.probability_of_improvement([side], [second], 0.95).probability for side in (first, lost))
    assert after <= before


def test_sides_of_different_size_are_refused_and_one_seed_has_no_interval() -> None:
    with pytest.raises(ValueError, match="got 2 and 3 runs"):
        rankings.probability_of_improvement([np.zeros(2)], [np.zeros(3)], 0.95)
    with pytest.raises(ValueError, match="at least one task"):
        rankings.probability_of_improvement([], [], 0.95)
    assert rankings.probability_of_improvement([np.ones(1)], [np.zeros(1)], 0.95).interval is None


def test_the_same_generator_gives_the_same_bytes_twice() -> None:
    twice = [
        rankings.score_distributions({"adam": [SCORES[:, 0]]}, np.linspace(-2, 2, 9), 0.95, 200, _generator())[0]
        for _ in range(2)
    ]
    assert twice[0].low.tobytes() == twice[1].low.tobytes()
    assert twice[0].high.tobytes() == twice[1].high.tobytes()
