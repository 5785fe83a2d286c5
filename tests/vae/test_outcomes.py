"""How trainings end: each outcome there is, by the learning rate alone."""

from __future__ import annotations

from typing import get_args

from tests.support.trainings import trained
from vae.outcomes import Outcome

RATES = {"finished": 0.1, "failed_to_learn": 1e-12, "diverged": 1e3}


def test_every_outcome_is_that_of_some_learning_rate() -> None:
    assert set(RATES) == set(get_args(Outcome))
    for outcome, rate in RATES.items():
        assert trained(optimizer="sgd", learning_rate=rate, budget_samples=6_000).outcome == outcome
