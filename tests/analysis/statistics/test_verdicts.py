"""The one judge: what intervals say, and that a divergence never improves the verdict of its side."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.statistics import verdicts
from analysis.statistics.intervals import Interval, sign_flip
from analysis.statistics.verdicts import Judgement, Outcomes, Pairs, Rule, verdict

STRENGTH = {"worse": 0, "inconclusive": 1, "equivalent": 1, "better": 2}


def _generator() -> np.random.Generator:
    return np.random.default_rng(3)


def _judged(level: list[float | None], baseline: list[float | None], margin: float = 0.5) -> Judgement:
    of_level: Outcomes = dict(enumerate(level))
    of_baseline: Outcomes = dict(enumerate(baseline))
    return verdicts.judge(Pairs.of(of_level, of_baseline), Rule(0.95, margin), _generator())


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        (Interval(0.1, 2.0), "better"),
        (Interval(-2.0, -0.1), "worse"),
        (Interval(-0.4, 0.4), "equivalent"),
        (Interval(0.1, 0.4), "equivalent"),
        (Interval(-0.4, 0.6), "inconclusive"),
        (Interval(0.0, 2.0), "inconclusive"),
        (Interval(-math.inf, math.inf), "inconclusive"),
        (Interval(0.1, math.inf), "better"),
        (Interval(-math.inf, -0.1), "worse"),
        (Interval(-math.inf, 0.1), "inconclusive"),
        (None, "inconclusive"),
    ],
)
def test_verdict_follows_from_interval_and_margin(interval: Interval | None, expected: str) -> None:
    assert verdict(interval, 0.5) == expected


def test_pairs_are_of_the_seeds_that_ended_in_both() -> None:
    pairs = Pairs.of({0: 2.0, 1: None, 2: 4.0}, {1: 1.0, 2: 1.0, 3: None})
    assert (pairs.seeds, pairs.level, pairs.baseline, pairs.num_diverged) == ((1, 2), (None, 4.0), (1.0, 1.0), 1)
    assert (pairs.finished.seeds, pairs.finished.differences.tolist()) == ((2,), [3.0])
    assert pairs.differences.tolist() == [-math.inf, 3.0]
    assert pairs.without(0) == Pairs((2,), (4.0,), (1.0,), 1)


def test_the_verdict_is_that_of_the_exact_sign_flip_test() -> None:
    level, baseline = [-103.0 + 0.01 * seed for seed in range(8)], [-100.0] * 8
    judged = _judged([*level], [*baseline])
    expected = sign_flip(np.subtract(level, baseline), 0.95, _generator())
    assert (judged.verdict, judged.interval, judged.p) == ("worse", expected.interval, expected.p)
    assert judged.mean == pytest.approx(-3 + 0.035)


def test_a_level_that_is_clearly_worse_stays_worse_when_a_seed_diverges() -> None:
    judged = _judged([*(-120.0 - seed for seed in range(9)), None], [-100.0] * 10)
    assert (judged.verdict, judged.mean, judged.interval, judged.num_diverged_pairs) == ("worse", None, None, 1)


def test_two_cells_that_diverged_under_every_seed_are_not_called_equivalent() -> None:
    judged = _judged([None] * 8, [None] * 8)
    assert (judged.num_pairs, judged.mean, judged.verdict) == (8, None, "inconclusive")


def test_a_verdict_that_is_not_allowed_is_open() -> None:
    pairs = Pairs.of(dict.fromkeys(range(8), 1.0), dict.fromkeys(range(8), 0.0))
    kinds: list[frozenset[verdicts.Verdict]] = [verdicts.DECIDED, frozenset({"worse"}), frozenset()]
    judged = [verdicts.judge(pairs, Rule(0.95, 0.5, allowed), _generator()).verdict for allowed in kinds]
    assert judged == ["better", "inconclusive", "inconclusive"]


def test_without_the_pair_that_diverged_nothing_is_equivalent_either() -> None:
    pairs = Pairs.of({**dict.fromkeys(range(8), 0.1), 8: None}, dict.fromkeys(range(9), 0.0))
    judged = verdicts.judge(pairs.without(8), Rule(0.95, 0.5), _generator())
    assert (judged.verdict, judged.mean) == ("inconclusive", None)


@given(
    st.lists(st.floats(-20, 20), min_size=6, max_size=9),
    st.data(),
    st.sampled_from([0.0, 0.5, 5.0]),
)
def test_a_divergence_never_improves_the_verdict_of_its_side(
    differences: list[float], data: st.DataObject, margin: float
) -> None:
    lost = data.draw(st.sets(st.sampled_from(range(len(differences))), min_size=1))
    zeros = [0.0] * len(differences)
    before = _judged([*differences], [*zeros], margin).verdict
    assert before == verdict(sign_flip(differences, 0.95, _generator()).interval, margin)
    level = [None if seed in lost else number for seed, number in enumerate(differences)]
    assert STRENGTH[_judged(level, [*zeros], margin).verdict] <= STRENGTH[before], (differences, lost)
    baseline = [None if seed in lost else 0.0 for seed in range(len(differences))]
    assert STRENGTH[_judged([*differences], baseline, margin).verdict] >= STRENGTH[before], (differences, lost)


def test_both_sides_diverging_under_one_seed_is_a_draw_and_under_two_leaves_it_open() -> None:
    assert Pairs.of({0: None, 1: None, 2: 1.0}, {0: None, 1: 1.0, 2: None}).differences.tolist() == [
        0.0,
        -math.inf,
        math.inf,
    ]
    assert _judged([None, 0.0, *[-1.0] * 10], [0.0, None, *[0.0] * 10], 0.1).verdict == "inconclusive"
    assert _judged([0.0] * 6, [None] * 6, 0.1).verdict == "better"
    assert _judged([], [], 0.1).verdict == "inconclusive"
