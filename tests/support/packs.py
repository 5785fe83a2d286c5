"""Packs of three seeds on the small data, and what their members must agree on with trainings alone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.trainings import small_data
from vae.configuration import TrainingConfiguration
from vae.optimizers import OPTIMIZERS
from vae.pack.pack import Pack
from vae.randomness import Seeds
from vae.training import TrainingResult

PACK_SEEDS = tuple(Seeds.from_root(root) for root in range(3))

# Batched products sum in another order than single ones: about 1e-7 relative a step. Optimizers that divide by the root
# of squared gradients amplify that for weights whose gradients are almost zero: there the update is the learning rate
# times a quotient of two roundings, at most the learning rate itself. Seen over these 20 steps: 2e-6 in most, 2e-4 in
# the worst weight of the worst optimizer.
WEIGHT_TOLERANCE = 1e-3
BOUND_TOLERANCE_NATS = 1e-3


def packed(configuration: TrainingConfiguration, seeds: tuple[Seeds, ...] = PACK_SEEDS) -> list[TrainingResult]:
    """The results of a pack of these seeds on the small data, a member each."""
    return finished(Pack(configuration, seeds, small_data(configuration)))


def finished(pack: Pack) -> list[TrainingResult]:
    """The results of that pack, trained to its end."""
    for _ in pack.run():
        pass
    assert pack.results is not None
    return pack.results


def assert_same_within_rounding(packed: TrainingResult, alone: TrainingResult) -> None:
    """The same outcome, weights and curve but for the rounding of sums in another order."""
    assert packed.outcome == alone.outcome
    assert packed.num_parameters == alone.num_parameters
    assert packed.weights.keys() == alone.weights.keys()
    for name, weight in alone.weights.items():
        difference = float((packed.weights[name] - weight).abs().max())
        assert difference <= WEIGHT_TOLERANCE, f"{name} differs by {difference}"
    assert [evaluation.samples for evaluation in packed.evaluations] == [
        evaluation.samples for evaluation in alone.evaluations
    ]
    for ours, theirs in zip(packed.evaluations, alone.evaluations, strict=True):
        assert ours.metrics == pytest.approx(theirs.metrics, abs=BOUND_TOLERANCE_NATS)


CHANGES: list[dict[str, Any]] = [
    *({"optimizer": name} for name in OPTIMIZERS),
    {
        "optimizer": "adagrad",
        "warm_up_batches": 3,
        "epsilon_inside_root": True,
        "epsilon": 1e-6,
        "learning_rate_decay": 0.01,
    },
    {"optimizer": "adagrad", "initial_accumulator_value": 0.1, "learning_rate_decay": 0.01},
    {"optimizer": "rmsprop", "momentum": 0.5, "centered": True},
    {"weight_prior": True},
    {"pixels": "dynamic"},
    {"pixels": "fixed"},
    {"num_hidden_layers": 2},
    {"learning_rate_schedule": "cosine"},
    {"optimizer": "nadam", "learning_rate_schedule": "steps", "learning_rate_milestones": (0.5,)},
    {"output_bias_from_data": True, "initialisation": "paper"},
    {"train_on_all": True, "test_curve": True},
]
"""Fields of a configuration that take a training and a pack through different code."""


def named(changes: dict[str, Any]) -> str:
    """`optimizer=adam,momentum=0.5`, the name of a test's case."""
    return ",".join(f"{name}={field}" for name, field in changes.items())
