"""What one step of the learning rate costs on the tuning seeds, beside the difference that a claim rests on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from analysis.findings.cells import CellFinding, ProposalFinding

LEARNING_RATE = "learning_rate"


@dataclass(frozen=True)
class LearningRateStep:
    """From the winner of the better side to the proposal whose learning rate is nearest: what it costs in nats of
    the search's objective.

    `cost_nats` is infinite where that proposal diverged. `overturns`: it costs at least as much as the claim's
    difference.
    """

    cell: str
    from_rate: float
    to_rate: float
    cost_nats: float
    overturns: bool


def learning_rate_step(level: CellFinding, baseline: CellFinding, difference: float) -> LearningRateStep | None:
    """The step of the better side; None where its learning rate is not all that is searched, or nothing else was
    proposed.

    The worse side needs none: its other proposals were worse still.
    """
    better = level if difference > 0 else baseline
    won = better.winning_proposal
    if (
        set(better.space) != {LEARNING_RATE}
        or won is None
        or not _is_rate(winning_rate := won.hyperparameters[LEARNING_RATE])
    ):
        return None
    others = [
        proposal
        for proposal in better.proposals
        if _is_rate(rate := proposal.hyperparameters[LEARNING_RATE]) and rate != winning_rate
    ]
    if not others:
        return None
    nearest = min(others, key=lambda proposal: (_distance(proposal, winning_rate), proposal.number))
    cost = won.objective - nearest.objective if math.isfinite(nearest.objective) else math.inf
    return LearningRateStep(
        better.title, float(winning_rate), float(nearest.hyperparameters[LEARNING_RATE]), cost, cost >= abs(difference)
    )


def _is_rate(number: Any) -> bool:
    return isinstance(number, (int, float)) and not isinstance(number, bool) and number > 0


def _distance(proposal: ProposalFinding, winning_rate: float) -> float:
    return abs(math.log(proposal.hyperparameters[LEARNING_RATE] / winning_rate))
