from __future__ import annotations

import math

import numpy as np
import pytest

from analysis.statistics import readouts
from analysis.statistics.readouts import CellCurves, Matrix, Readout, SeedOutcome

FINAL, BEST, LAST_TWO = Readout("final"), Readout("best"), Readout("mean_of_last", 2)


def _cell(name: str, curves: Matrix | list[list[float]], first_seed: int = 0) -> CellCurves:
    array = np.asarray(curves, dtype=np.float64)
    outcomes: tuple[SeedOutcome, ...] = tuple("finished" if np.isfinite(curve).all() else "diverged" for curve in array)
    return CellCurves(
        name, tuple(range(first_seed, first_seed + len(array))), outcomes, 100 * np.arange(1, array.shape[1] + 1), array
    )


def test_final_best_and_mean_of_the_last_are_what_they_say() -> None:
    curve = np.array([-130.0, -100.0, -104.0, -106.0])
    assert [readout.of(curve) for readout in (FINAL, BEST, LAST_TWO)] == [-106.0, -100.0, -105.0]
    assert LAST_TWO.title == "mean of the last 2"


def test_a_diverged_curve_has_no_readout_not_even_its_best() -> None:
    curve = np.array([-130.0, -90.0, math.nan])
    assert all(math.isnan(readout.of(curve)) for readout in (FINAL, BEST, LAST_TWO))


def test_a_readout_of_more_points_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="takes 3 points; the curve has 2"):
        Readout("mean_of_last", 3).of(np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match="at least one point; got 0"):
        Readout("mean_of_last", 0)


def test_a_seed_that_ended_has_an_outcome_and_a_diverged_one_has_none() -> None:
    level = _cell("adam", [[1.0, 2.0], [1.0, math.nan], [1.0, 4.0]])
    assert readouts.seed_outcomes(level, FINAL) == {0: 2.0, 1: None, 2: 4.0}
    level = CellCurves("adam", level.seeds, ("unfinished", "diverged", "finished"), level.steps, level.curves)
    assert readouts.seed_outcomes(level, FINAL) == {1: None, 2: 4.0}


def test_crossover_lies_where_the_straight_lines_meet() -> None:
    first = _cell("adam", [[2.0, 1.0, -3.0], [2.0, 1.0, -3.0], [-1.0, -1.0, -1.0]])
    (found,) = readouts.rank_crossovers(first, _cell("adagrad", np.zeros((3, 3))))
    # The means of the differences are 1, 1/3 and -7/3: the line from 1/3 to -7/3 is 0 an eighth of the way from 200 to
    # 300.
    assert (found.step_before, found.step_after, found.leader_after) == (200, 300, "adagrad")
    assert found.step == pytest.approx(212.5)
    assert (found.num_agree, found.num_seeds) == (2, 3)


def test_crossovers_are_the_same_seen_from_the_other_side() -> None:
    curves = np.random.default_rng(5).normal(size=(2, 6, 12))
    first, second = _cell("adam", curves[0]), _cell("adagrad", curves[1])
    ours, theirs = readouts.rank_crossovers(first, second), readouts.rank_crossovers(second, first)
    assert len(ours) > 1
    assert ours == theirs


def test_curves_that_touch_and_part_do_not_cross() -> None:
    assert readouts.rank_crossovers(_cell("adam", [[1.0, 0.0, 1.0]]), _cell("adagrad", [[0.0, 0.0, 0.0]])) == ()


def test_crossovers_end_where_the_first_seed_diverged() -> None:
    first = _cell("adam", [[1.0, math.nan, math.nan], [1.0, 1.0, -9.0]])
    assert readouts.rank_crossovers(first, _cell("adagrad", np.zeros((2, 3)))) == ()


def test_cells_without_a_common_seed_do_not_cross() -> None:
    assert readouts.rank_crossovers(_cell("adam", [[1.0, -1.0]]), _cell("adagrad", [[0.0, 0.0]], first_seed=7)) == ()


def _noisy(num_seeds: int, num_points: int, gap: Matrix, noise: float) -> tuple[CellCurves, CellCurves]:
    random = np.random.default_rng(11)
    curves = random.normal(0, noise, (2, num_seeds, num_points))
    return _cell("adam", curves[0] + gap), _cell("adagrad", curves[1])


@pytest.mark.parametrize(("num_seeds", "num_points"), [(1, 500), (2, 500), (6, 2000), (20, 400)])
def test_crossings_of_noise_are_none(num_seeds: int, num_points: int) -> None:
    first, second = _noisy(num_seeds, num_points, np.zeros((num_seeds, num_points)), 1.0)
    assert len(readouts.rank_crossovers(first, second)) > num_points / 4
    assert readouts.lasting_crossovers(first, second, 0.95) == ()


@pytest.mark.parametrize("num_points", [40, 1000])
def test_the_crossing_of_two_trends_is_found_once_through_their_noise(num_points: int) -> None:
    gap = np.tile(np.linspace(-2.0, 2.0, num_points), (6, 1))
    (found,) = readouts.lasting_crossovers(*_noisy(6, num_points, gap, 0.5), 0.95)
    assert found.leader_after == "adam"
    assert found.step == pytest.approx(50 * num_points, rel=0.25)
    assert (found.num_agree, found.num_seeds) == (6, 6)


def test_every_crossing_of_a_wave_without_noise_is_kept() -> None:
    gap = np.tile(np.sin(np.linspace(0.1, 6 * math.pi - 0.1, 90)), (4, 1))
    first, second = _noisy(4, 90, gap, 1e-3)
    lasting = readouts.lasting_crossovers(first, second, 0.95)
    assert len(lasting) == 5
    assert lasting == readouts.rank_crossovers(first, second)
