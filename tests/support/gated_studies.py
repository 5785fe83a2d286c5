"""Studies whose comparisons may be given extra rounds, and what those have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from study.protocol.cell_protocol import PlannedTraining
from study.spec import Study
from tests.support.studies import invented_study, searched

# The invented bound is best at a learning rate of 0.018: below the top of WIDE, beyond the top of LOW.
WIDE: dict[str, Any] = {"low": 1e-3, "high": 0.1, "log": True}
LOW: dict[str, Any] = {"low": 1e-4, "high": 1e-2, "log": True}


def claim_of(level: str, baseline: str) -> dict[str, Any]:
    """A claim about two optimizers."""
    return {"name": f"{level}-{baseline}", "factor": "optimizer", "level": level, "baseline": baseline}


def gated_study(
    rates: Mapping[str, dict[str, Any]],
    claims: tuple[tuple[str, str], ...],
    confirm: dict[str, Any] | None = None,
    **search: Any,
) -> Study:
    """A cell for each optimizer with its own range of learning rates; the pairs in `claims` are compared."""
    spaces = [{"when": {"optimizer": name}, "hyperparameters": {"learning_rate": rate}} for name, rate in rates.items()]
    own = {
        "sampler": "qmc",
        "num_proposals": 6,
        "round_size": 3,
        "num_tuning_seeds": 1,
        "max_extra_rounds": 1,
        "extra_proposals": 4,
        "spaces": spaces,
    }
    return invented_study(
        factors={"optimizer": list(rates)},
        search=searched(**(own | search)),
        claims=[claim_of(*pair) for pair in claims],
        confirm=confirm or {"num_reporting_seeds": 2},
    )


ONE_EDGE = gated_study({"adagrad": WIDE, "adam": LOW, "sgd": LOW}, (("adam", "adagrad"),), num_proposals=16)


def extra_counts(study: Study, trainings: list[PlannedTraining]) -> dict[str, list[int]]:
    """By optimizer, how many search trainings each extra round has."""
    rounds = Counter(
        (training.configuration.optimizer, training.extra_round) for training in trainings if training.extra_round
    )
    return {
        str(level): [count for (name, _), count in sorted(rounds.items()) if name == level]
        for level in study.factors["optimizer"]
    }
