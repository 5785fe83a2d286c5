from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight, survdiff

from analysis.statistics import targets
from analysis.statistics.readouts import CellCurves, SeedOutcome
from analysis.statistics.targets import TargetFinding

# Weeks of remission in the trial of Freireich et al. (1963), the textbooks' example: time, and whether it ended.
TREATED = [(6, 1), (6, 1), (6, 1), (7, 1), (10, 1), (13, 1), (16, 1), (22, 1), (23, 1)]
TREATED += [(6, 0), (9, 0), (10, 0), (11, 0), (17, 0), (19, 0), (20, 0), (25, 0), (32, 0), (32, 0), (34, 0), (35, 0)]
PLACEBO = [(week, 1) for week in (1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23)]


def _generator() -> np.random.Generator:
    return np.random.default_rng(11)


def _cell(
    name: str, times: list[tuple[int, int]], horizon: int, outcomes: dict[int, SeedOutcome] | None = None
) -> CellCurves:
    """Curves that step from 0 to 1 at each time, or that end there unfinished; at the horizon, unreached is
    finished."""
    steps = np.arange(horizon + 1)
    curves = np.zeros((len(times), steps.size))
    known: list[SeedOutcome] = []
    for seed, (time, reached) in enumerate(times):
        curves[seed, time:] = 1.0 if reached else (0.0 if time == horizon else math.nan)
        curves[seed, time] = float(reached)
        known.append((outcomes or {}).get(seed, "finished" if reached or time == horizon else "unfinished"))
    return CellCurves(
        name,
        tuple(range(len(times))),
        tuple(known),
        steps,
        curves,
        np.tile(2.0 * steps.astype(np.float64), (len(times), 1)),
    )


def _finding(
    times: list[tuple[int, int]], horizon: int, outcomes: dict[int, SeedOutcome] | None = None
) -> TargetFinding:
    return targets.target_finding(_cell("cell", times, horizon, outcomes), 0.5, "samples", horizon, 0.95)


def test_survival_and_its_median_equal_the_published_remission_example() -> None:
    treated, placebo = _finding(TREATED, 35), _finding(PLACEBO, 35)
    assert (treated.median, placebo.median) == (23.0, 8.0)
    # Published: S(6) = 0.857, S(10) = 0.753, S(16) = 0.627, S(23) = 0.448.
    survival = {
        int(time): round(float(share), 3) for time, share in zip(treated.event_times, treated.survival, strict=True)
    }
    assert {week: survival[week] for week in (6, 10, 16, 23)} == {6: 0.857, 10: 0.753, 16: 0.627, 23: 0.448}


def test_logrank_equals_the_published_remission_example_and_statsmodels() -> None:
    compared = targets.compare_times(_finding(TREATED, 35), _finding(PLACEBO, 35), 0.95, _generator())
    both = np.asarray(TREATED + PLACEBO)
    _, expected = survdiff(both[:, 0], both[:, 1], np.repeat([0, 1], 21))
    assert compared.logrank_p == pytest.approx(expected)
    assert compared.logrank_p == pytest.approx(4.17e-5, rel=0.01)


def test_median_interval_equals_statsmodels() -> None:
    array = np.asarray(TREATED)
    low, high = SurvfuncRight(array[:, 0], array[:, 1]).quantile_ci(0.5, 0.05, method="cloglog")
    found = _finding(TREATED, 35).median_interval
    assert found is not None
    assert (found.low, found.high) == (low, high) == (13.0, math.inf)


def test_without_censoring_the_restricted_mean_is_the_mean() -> None:
    found = _finding(PLACEBO, 35)
    assert found.restricted_mean == pytest.approx(np.mean([time for time, _ in PLACEBO]))


def test_runs_that_never_arrive_count_at_the_budget_and_not_as_arrived() -> None:
    found = _finding([(2, 1), (4, 1), (10, 0), (10, 0), (10, 0)], 10)
    assert found.median is None
    assert found.restricted_mean == pytest.approx((2 + 4 + 30) / 5)
    assert (found.num_reached, [time.reached for time in found.times]) == (2, [True, True, False, False, False])


def test_an_unfinished_run_leaves_no_restricted_mean_where_it_leaves_the_curve_open() -> None:
    assert _finding([(2, 1), (5, 0)], 10).restricted_mean is None
    # At risk until 5: of two runs one arrives at 2, the other at 7.
    assert _finding([(2, 1), (5, 0), (7, 1)], 10).restricted_mean == pytest.approx(2 + 5 * 2 / 3)


def test_a_diverged_run_never_reached_its_target_though_it_had_passed_it() -> None:
    found = _finding([(2, 1), (4, 1)], 10, {0: "diverged"})
    assert (found.times[0].reached, found.times[0].time) == (False, 10.0)


def test_seconds_are_of_the_run_itself_and_censored_at_its_own_end() -> None:
    cell = _cell("cell", [(2, 1), (10, 0)], 10)
    assert targets.budget_of((cell,), "seconds") == 20.0
    assert [time.time for time in targets.target_times(cell, 0.5, "seconds", 30.0)] == [4.0, 20.0]


def test_seconds_that_nobody_measured_are_refused() -> None:
    cell = CellCurves("cell", (0,), ("finished",), np.array([1]), np.zeros((1, 1)))
    for ask in (lambda: targets.budget_of((cell,), "seconds"), lambda: targets.target_times(cell, 0.0, "seconds", 1.0)):
        with pytest.raises(ValueError, match="give the column seconds"):
            ask()


def test_seeds_with_a_point_that_has_no_seconds_are_named_and_diverged_ones_are_not() -> None:
    seconds = np.array([[1.0, 2.0], [1.0, math.nan], [1.0, math.nan], [1.0, math.nan]])
    curves = np.array([[0.0, 1.0], [0.0, 1.0], [0.0, math.nan], [0.0, math.nan]])
    cell = CellCurves(
        "cell", (0, 1, 2, 3), ("finished", "finished", "unfinished", "diverged"), np.array([1, 2]), curves, seconds
    )
    assert targets.unmeasured_seeds(cell) == (1,)
    assert targets.unmeasured_seeds(replace(cell, seconds=None)) == (0, 1, 2)


def test_paired_times_give_the_exact_sign_flip_test() -> None:
    fast, slow = ([(time + late, 1) for time in range(1, 9)] for late in (0, 3))
    found = targets.compare_times(_finding(fast, 20), _finding(slow, 20), 0.95, _generator())
    assert (found.difference, found.p, found.num_first_level, found.num_first_baseline) == (-3.0, 2**-7, 8, 0)


def test_times_to_different_targets_are_not_compared() -> None:
    cell = _cell("cell", [(2, 1)], 10)
    first, second = (targets.target_finding(cell, target, "samples", 10, 0.95) for target in (0.5, 0.7))
    with pytest.raises(ValueError, match="at one target"):
        targets.compare_times(first, second, 0.95, _generator())


def test_nobody_arriving_has_neither_median_nor_interval_nor_logrank() -> None:
    nobody = _finding([(10, 0), (10, 0)], 10)
    assert (nobody.median, nobody.median_interval, nobody.restricted_mean) == (None, None, 10.0)
    assert targets.compare_times(nobody, nobody, 0.95, _generator()).logrank_p is None


@given(st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=8), st.data())
def test_a_divergence_never_shortens_a_time(runs: list[tuple[int, bool]], data: st.DataObject) -> None:
    times = [(time, int(reached)) for time, reached in runs]
    lost = data.draw(st.integers(0, len(times) - 1))
    before, after = _finding(times, 12), _finding(times, 12, {lost: "diverged"})
    assert (after.median or math.inf) >= (before.median or math.inf)
    assert (
        after.restricted_mean is None
        or before.restricted_mean is None
        or after.restricted_mean >= before.restricted_mean - 1e-12
    )
    assert after.num_reached <= before.num_reached
