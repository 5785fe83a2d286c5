"""What a training reports of itself: where it is, its bounds, how it ended. Without torch, so that records of trainings
are read without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["finished", "diverged", "failed_to_learn"]
"""How a training ended. It failed to learn where it is no better than the best constant image."""


@dataclass(frozen=True)
class Evaluation:
    """The bounds after `samples` training samples: nats per example, seconds of training so far, time of day."""

    samples: int
    seconds: float
    timestamp_ms: int
    metrics: dict[str, float]


@dataclass(frozen=True)
class Progress:
    """Where a running training is."""

    samples: int
    evaluation: Evaluation | None
