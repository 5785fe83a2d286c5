"""The trainings of a pack: what they must agree in, and how far each of them has come."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import torch

from vae.configuration import TrainingConfiguration
from vae.minibatches import PreparedData
from vae.outcomes import Evaluation
from vae.randomness import Seeds
from vae.resuming import fingerprint
from vae.training import learning_rate_at, now_ms

_POSITION = ("step", "seconds", "started_ms", "bad_step")
"""What a checkpoint keeps of a member beside its evaluations."""


@dataclass(eq=False)
class PackedTraining:
    """One training of a pack: its configuration, seeds and data, and how far it has come.

    `seconds` is its share of the pack's time: shares of all members add up to the time that passed. `bad_step` is the
    step, counted from 1, whose loss was the first that is not finite; -1 where there is none.
    """

    configuration: TrainingConfiguration
    seeds: Seeds
    data: PreparedData
    step: int = 0
    seconds: float = 0.0
    started_ms: int = field(default_factory=now_ms)
    bad_step: int = -1
    evaluations: list[Evaluation] = field(default_factory=list)

    @cached_property
    def num_steps(self) -> int:
        """Minibatches of the whole budget."""
        return self.configuration.budget_samples // self.configuration.batch_size

    @property
    def samples(self) -> int:
        """Training samples evaluated so far."""
        return self.step * self.configuration.batch_size

    @property
    def is_last(self) -> bool:
        """Whether the budget is used up."""
        return self.step == self.num_steps

    @property
    def steps_to_evaluation(self) -> int:
        """Minibatches before the bounds are measured next; none where they are due."""
        return self._evaluation_steps[len(self.evaluations)] - self.step

    @cached_property
    def _evaluation_steps(self) -> tuple[int, ...]:
        return tuple(point // self.configuration.batch_size for point in self.configuration.evaluation_points())

    def learning_rate(self, step: int) -> float:
        """That of a step, counted from 0."""
        return learning_rate_at(self.configuration, step, self.num_steps)

    @cached_property
    def is_dynamic(self) -> bool:
        """Whether its pixels are resampled every minibatch."""
        return self.configuration.pixels == "dynamic"

    def updated_alike(self) -> Hashable:
        """Equal for those that one stock optimizer may update together, from now to the end."""
        own = self.configuration
        rate: tuple[Hashable, ...] = (own.learning_rate, own.learning_rate_schedule)
        if own.learning_rate_schedule != "constant":
            rate += (own.learning_rate_milestones, own.learning_rate_factor, self.num_steps)
        return own.optimizer, tuple(sorted(own.optimizer_arguments.items())), own.weight_prior, rate, self.step

    def fingerprint(self, device: torch.device) -> str:
        """What its part of a checkpoint and whoever takes it up must agree in."""
        return fingerprint(self.configuration, self.seeds, self.data.sha256, device)

    def facts(self) -> dict[str, Any]:
        """How far it has come, as a checkpoint keeps it."""
        kept = ("step", "seconds", "started_ms", "bad_step")
        return {name: getattr(self, name) for name in kept} | {
            "evaluations": [asdict(each) for each in self.evaluations]
        }

    def take_up(self, facts: Mapping[str, Any]) -> None:
        """Goes on from what `facts` returned."""
        for name in _POSITION:
            setattr(self, name, facts[name])
        self.evaluations = [Evaluation(**evaluation) for evaluation in facts["evaluations"]]


def in_runs(trainings: Sequence[PackedTraining]) -> list[PackedTraining]:
    """The same, those that are updated alike one after another; otherwise in their order."""
    runs: dict[Hashable, list[PackedTraining]] = {}
    for training in trainings:
        runs.setdefault(training.updated_alike(), []).append(training)
    return [training for run in runs.values() for training in run]
