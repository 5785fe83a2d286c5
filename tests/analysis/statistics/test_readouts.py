from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.statistics import intervals as statistics
from analysis.statistics import readouts
from analysis.statistics.readouts import CellCurves, Matrix, Readout, SeedOutcome

FINAL, BEST, LAST_TWO = Readout("final"), Readout("best"), Readout("mean_of_last", 2)
STRENGTH = {"worse": 0, "inconclusive": 1, "equivalent": 1, "better": 2}


def _generator() -> np.random.Generator:
    return np.random.default_rng(3)


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


def test_pairs_are_of_the_seeds_that_both_cells_finished() -> None:
    level = _cell("adam", [[1.0, 2.0], [1.0, math.nan], [1.0, 4.0]])
    baseline = _cell("adagrad", [[0.0, 1.0], [0.0, 1.0], [0.0, 2.0]], first_seed=1)
    found = readouts.paired_readout(level, baseline, FINAL)
    assert (found.seeds, found.level.tolist(), found.baseline.tolist()) == ((2,), [4.0], [1.0])
    assert (found.num_lost_level, found.num_lost_baseline, found.num_missing) == (1, 0, 2)


def test_verdict_can_turn_with_the_readout() -> None:
    noise = 0.01 * np.arange(8)[:, None]
    level = _cell("adam", noise + np.array([-100.0, -90.0, -103.0]))
    baseline = _cell("adagrad", np.zeros((8, 1)) + np.array([-110.0, -105.0, -100.0]))
    final, best = readouts.readout_verdicts(level, baseline, (FINAL, BEST), 0.95, 0.5, _generator())
    assert (final.verdict, best.verdict) == ("worse", "better")
    assert final.mean == pytest.approx(-3 + 0.035)
    expected = statistics.sign_flip(level.curves[:, -1] - baseline.curves[:, -1], 0.95, _generator())
    assert (final.interval, final.p) == (expected.interval, expected.p)


def test_an_unfinished_seed_leaves_every_readout_inconclusive() -> None:
    level = _cell("adam", np.full((8, 2), 5.0) + 0.01 * np.arange(8)[:, None])
    open_level = CellCurves("adam", level.seeds, ("unfinished", *level.outcomes[1:]), level.steps, level.curves)
    (found,) = readouts.readout_verdicts(
        open_level, _cell("adagrad", np.zeros((8, 2))), (FINAL,), 0.95, 0.5, _generator()
    )
    assert (found.num_pairs, found.verdict, found.worst_case) == (7, "inconclusive", "inconclusive")


def test_a_level_that_is_clearly_worse_stays_worse_when_a_seed_diverges() -> None:
    level = _cell("adam", [[-120.0 - seed] for seed in range(9)] + [[math.nan]])
    (found,) = readouts.readout_verdicts(
        level, _cell("adagrad", np.full((10, 1), -100.0)), (FINAL,), 0.95, 0.5, _generator()
    )
    assert (found.verdict, found.mean, found.worst_case) == ("inconclusive", None, "worse")


def test_two_cells_that_diverged_under_every_seed_are_not_called_equivalent() -> None:
    lost = _cell("adam", np.full((8, 2), math.nan))
    (found,) = readouts.readout_verdicts(lost, lost, (FINAL,), 0.95, 0.5, _generator())
    assert (found.num_pairs, found.mean, found.verdict, found.worst_case) == (0, None, "inconclusive", "inconclusive")


@given(
    st.lists(st.floats(-20, 20), min_size=6, max_size=9),
    st.data(),
    st.sampled_from([0.0, 0.5, 5.0]),
)
def test_a_divergence_never_improves_the_verdict_of_its_cell(
    differences: list[float], data: st.DataObject, margin: float
) -> None:
    lost = data.draw(st.sets(st.sampled_from(range(len(differences))), min_size=1))
    before = readouts.worst_case_verdict(differences, 0.95, margin, _generator())
    assert before == statistics.verdict(statistics.sign_flip(differences, 0.95, _generator()).interval, margin)
    for side, direction in ((-math.inf, 1), (math.inf, -1)):
        after = readouts.worst_case_verdict(
            [side if index in lost else number for index, number in enumerate(differences)], 0.95, margin, _generator()
        )
        assert direction * STRENGTH[after] <= direction * STRENGTH[before], (differences, lost, before, after)


def test_both_sides_diverging_under_one_seed_is_a_draw_and_under_two_leaves_it_open() -> None:
    assert readouts.worst_case_difference(None, None) == 0.0
    assert readouts.worst_case_difference(None, 1.0) == -math.inf
    assert readouts.worst_case_difference(1.0, None) == math.inf
    assert readouts.worst_case_verdict([-math.inf, math.inf, *[-1.0] * 10], 0.95, 0.1, _generator()) == "inconclusive"
    assert readouts.worst_case_verdict([math.inf] * 6, 0.95, 0.1, _generator()) == "better"
    assert readouts.worst_case_verdict([], 0.95, 0.1, _generator()) == "inconclusive"


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
