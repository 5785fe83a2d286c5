from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.statistics.tuning_budget import tuning_budget, winner

OBJECTIVES = [-110.0, -104.0, -107.5, -103.0, -104.0, -121.0]
NATS = st.floats(-200, -50)


def test_expected_best_and_quartiles_equal_enumeration_of_all_draws_without_replacement() -> None:
    found = tuning_budget(OBJECTIVES)
    for index, num in enumerate(found.num_drawn):
        best = sorted(max(draw) for draw in itertools.combinations(OBJECTIVES, int(num)))
        assert found.expected_best[index] == pytest.approx(np.mean(best))
        quartiles = (found.low_quartile[index], found.median[index], found.high_quartile[index])
        assert quartiles == tuple(np.quantile(best, [0.25, 0.5, 0.75], method="inverted_cdf"))


def test_expected_best_is_unbiased_and_that_of_draws_with_replacement_is_low() -> None:
    # Every search of 3 independent proposals from {0, 1, 3}: the mean of the estimates of E[best of 2] against E[best
    # of 2] itself.
    values = (0.0, 1.0, 3.0)
    truth = np.mean([max(draw) for draw in itertools.product(values, repeat=2)])
    searches = list(itertools.product(values, repeat=3))
    assert np.mean([tuning_budget(search).expected_best[1] for search in searches]) == pytest.approx(truth)
    with_replacement = np.mean(
        [np.mean([max(draw) for draw in itertools.product(search, repeat=2)]) for search in searches]
    )
    assert with_replacement < truth - 0.1


def test_regret_falls_to_zero_at_the_full_budget() -> None:
    found = tuning_budget(OBJECTIVES)
    assert (np.diff(found.simple_regret) <= 0).all()
    assert found.simple_regret[-1] == 0.0
    assert found.running_best.tolist() == [-110.0, -104.0, -104.0, -103.0, -103.0, -103.0]


def test_a_draw_that_may_hold_divergences_alone_has_no_mean_but_quartiles() -> None:
    found = tuning_budget([-100.0, math.nan, -90.0, -math.inf])
    assert np.isnan(found.expected_best).tolist() == [True, True, False, False]
    # Of 6 draws of two, one holds the two divergences.
    assert found.chance_of_nothing == pytest.approx([0.5, 1 / 6, 0.0, 0.0])
    assert found.expected_best[2] == pytest.approx((2 * -90 + 1 * -90 + 1 * -100) / 4)
    assert found.low_quartile[0] == -math.inf
    assert found.num_diverged == 2


def test_a_declared_worth_of_divergences_gives_every_mean() -> None:
    found = tuning_budget([-100.0, math.nan, -90.0, -math.inf], diverged_worth=-206.0)
    assert found.expected_best[0] == pytest.approx((-100 - 90 - 206 - 206) / 4)
    with pytest.raises(ValueError, match="cannot be worth -95"):
        tuning_budget([-100.0, math.nan, -90.0], diverged_worth=-95.0)


def test_a_search_of_divergences_alone_has_no_winner_and_no_regret() -> None:
    found = tuning_budget([math.nan, math.nan])
    assert winner([math.nan, -math.inf]) is None
    assert np.isnan(found.simple_regret).all()
    assert found.chance_of_nothing.tolist() == [1.0, 1.0]


def test_of_equal_proposals_the_first_wins() -> None:
    assert winner([-104.0, -103.0, math.nan, -103.0]) == 1


def test_a_search_without_proposals_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one proposal"):
        tuning_budget([])


@given(st.lists(NATS | st.just(math.nan), min_size=1, max_size=12), st.data())
def test_adding_a_worse_proposal_changes_neither_winner_nor_expected_best_at_full_budget(
    objectives: list[float], data: st.DataObject
) -> None:
    best = winner(objectives)
    ceiling = -200.0 if best is None else objectives[best]
    worse = data.draw(st.just(math.nan) | st.floats(-300, ceiling, exclude_max=True))
    before, after = tuning_budget(objectives, -400.0), tuning_budget([*objectives, worse], -400.0)
    if best is not None:
        assert winner([*objectives, worse]) == best
        assert after.expected_best[-1] == before.expected_best[-1] == ceiling
    if math.isnan(worse):  # worse than all of them, and not than the winner alone
        assert (after.expected_best[:-1] <= before.expected_best + 1e-9).all()


@given(st.lists(NATS, min_size=2, max_size=10), st.data())
def test_a_divergence_never_raises_the_expected_best(objectives: list[float], data: st.DataObject) -> None:
    lost = data.draw(st.integers(0, len(objectives) - 1))
    after = tuning_budget([math.nan if index == lost else number for index, number in enumerate(objectives)], -400.0)
    assert (after.expected_best <= tuning_budget(objectives, -400.0).expected_best + 1e-9).all()


@given(st.permutations(OBJECTIVES))
def test_order_of_proposals_changes_no_expectation(objectives: list[float]) -> None:
    assert tuning_budget(objectives).expected_best.tobytes() == tuning_budget(OBJECTIVES).expected_best.tobytes()
