"""Which way a metric is better, where nobody says it."""

from __future__ import annotations

import math

import pytest

from analysis.curves.file import CurveFileError
from analysis.curves.report import answer
from tests.support.curve_findings import findings_of
from tests.support.curve_points import points, spoiled

LOSSES = ("val_loss", "valLoss", "test/NLL", "eval/perplexity", "train rmse", "wer", "neg_log_likelihood", "top1-err")
GAINS = ("val_acc", "log_likelihood", "validation/lower_bound", "reward_per_episode", "F1", "objective", "certainty")


@pytest.mark.parametrize("metric", LOSSES)
def test_a_name_that_speaks_of_a_loss_asks_for_its_direction(metric: str) -> None:
    frame = points().assign(metric=metric)
    with pytest.raises(CurveFileError, match="its name speaks of a loss; say --lower-is-better, or --higher-is-better"):
        findings_of(frame, higher_is_better=None)
    assert findings_of(frame, higher_is_better=True).pairs[0].verdict == "better"
    assert findings_of(frame, higher_is_better=False).pairs[0].level == "adagrad"


@pytest.mark.parametrize("metric", GAINS)
def test_curves_that_fall_in_every_cell_ask_for_their_direction_whatever_their_name(metric: str) -> None:
    rising = points().assign(metric=metric)
    assert findings_of(rising, higher_is_better=None).pairs[0].verdict == "better"
    with pytest.raises(CurveFileError, match="its curves fall in every cell, as those of a loss do; say --lower"):
        findings_of(rising.assign(value=-rising["value"]), higher_is_better=None)


def test_one_that_diverges_or_rises_among_curves_that_fall_does_not_hide_a_loss() -> None:
    falling = points().assign(value=lambda frame: -frame["value"])
    worse = (falling["cell"] == "adam") & (falling["seed"] == 1) & (falling["step"] == 400)
    for frame in (
        spoiled(falling, "adam", 1, 200, math.inf),
        spoiled(falling, "adam", 1, 200),
        falling.assign(value=falling["value"].mask(worse, falling["value"] + 40)),
    ):
        with pytest.raises(CurveFileError, match="its curves fall in every cell"):
            findings_of(frame, higher_is_better=None)


def test_curves_that_fall_in_one_cell_alone_are_no_loss() -> None:
    frame = points()
    turned = frame["value"].mask(frame["cell"] == "adam", -400 - frame["value"])
    assert findings_of(frame.assign(value=turned), higher_is_better=None).pairs[0].title == "adagrad against adam"


def test_a_direction_that_was_taken_is_said_in_the_answer_and_one_that_was_named_is_not() -> None:
    said = "Higher bound is taken as better, as nobody said which way: --lower-is-better turns it round."
    assert said in answer(findings_of(points(), higher_is_better=None))
    assert said not in answer(findings_of(points(), higher_is_better=True))
