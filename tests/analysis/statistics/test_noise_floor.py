from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.statistics.noise_floor import noise_floor
from tests.support.noise_floors import gaps_of_groups

FIRST, SECOND = [-100.0, -100.4, -99.7, -100.2], [-100.1, -99.9, -100.6, -100.3]


def _generator() -> np.random.Generator:
    return np.random.default_rng(19)


def test_margin_is_the_quantile_over_all_splits() -> None:
    pool = np.asarray(FIRST + SECOND)
    gaps = [abs(gap) for gap in gaps_of_groups(pool, 3)]
    found = noise_floor(FIRST, SECOND, 3, 0.95, 10, _generator())
    assert (found.exact, found.num_splits, found.num_trainings) == (True, 560, 8)
    assert found.margin == pytest.approx(np.quantile(gaps, 0.95, method="inverted_cdf"))
    assert found.observed == pytest.approx(0.15)


def test_mean_square_over_splits_is_unbiased_for_that_of_fresh_means() -> None:
    # The claim of the docstring, 2 s^2 / n exactly, seen through the splits of two from five.
    pool = np.array([0.0, 1.0, 3.0, 4.0, 9.0])
    assert np.mean(np.square(gaps_of_groups(pool, 2))) == pytest.approx(2 * pool.var(ddof=1) / 2)


def test_drawn_splits_of_many_normal_trainings_come_close_to_the_normal_margin() -> None:
    first, second = _generator().normal(-100.0, 0.5, size=(2, 60))
    found = noise_floor(first, second, 10, 0.95, 20_000, _generator())
    assert not found.exact
    # 20,000 splits know the quantile to about 1 %; 120 trainings are themselves not quite normal.
    assert found.margin == pytest.approx(found.normal_margin, rel=0.05)
    assert found.normal_margin == pytest.approx(1.96 * 0.5 * math.sqrt(0.2), rel=0.15)


def test_order_of_trainings_and_a_second_run_change_nothing() -> None:
    first, second = _generator().normal(size=(2, 20))
    once = noise_floor(first, second, 9, 0.95, 500, _generator())
    assert once == noise_floor(first[::-1], np.roll(second, 3), 9, 0.95, 500, _generator())


@pytest.mark.parametrize(
    ("first", "second", "num_seeds", "quantile", "message"),
    [
        (FIRST, SECOND, 5, 0.95, "needs 10 repeated trainings of one cell; got 8"),
        (FIRST, SECOND, 0, 0.95, "needs 2 repeated trainings"),
        (FIRST, [math.nan, 1.0], 2, 0.95, "1 of 2 repeated trainings are not finite"),
        (FIRST, [], 2, 0.95, "at least one training each"),
        (FIRST, SECOND, 2, 1.0, "between 0 and 1; got 1"),
    ],
)
def test_what_gives_no_noise_floor_is_refused_as_text(
    first: list[float], second: list[float], num_seeds: int, quantile: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        noise_floor(first, second, num_seeds, quantile, 10, _generator())
