"""How a training ends: every outcome once, with its words."""

from __future__ import annotations

from typing import get_args

from analysis.results.outcomes import LOST, OUTCOMES
from vae.outcomes import Outcome


def test_outcomes_are_those_of_a_training_and_failed_code() -> None:
    assert set(OUTCOMES) == {*get_args(Outcome), "failed"}


def test_a_training_without_a_bound_is_lost_and_one_that_failed_to_learn_is_not() -> None:
    assert {"diverged", "failed"} == LOST < OUTCOMES.keys()
