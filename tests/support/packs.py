"""Packs of three seeds on the small data, and what their members must agree on with trainings alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.trainings import small_configuration, small_data, small_dataset
from vae.configuration import TrainingConfiguration
from vae.minibatches import prepare
from vae.optimizers.specifications import OPTIMIZERS
from vae.pack.members import PackedTraining
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


def members(configuration: TrainingConfiguration, seeds: Sequence[Seeds] = PACK_SEEDS) -> list[PackedTraining]:
    """Trainings of that configuration under these seeds on the small data."""
    data = small_data(configuration)
    return [PackedTraining(configuration, own, data) for own in seeds]


def mixed(configurations: Sequence[TrainingConfiguration]) -> list[PackedTraining]:
    """A training of each configuration on the small data, each under seeds of its own; those of one kind of pixels
    have one array of images."""
    dataset = small_dataset()
    return [
        PackedTraining(own, Seeds.from_root(root), prepare(dataset, own)) for root, own in enumerate(configurations)
    ]


def packed(configuration: TrainingConfiguration, seeds: Sequence[Seeds] = PACK_SEEDS) -> list[TrainingResult]:
    """The results of a pack of these seeds on the small data, a member each."""
    return finished(Pack(members(configuration, seeds)))


def finished(pack: Pack) -> list[TrainingResult]:
    """The results of that pack, trained to its end; of those members that had none before."""
    results = pack.take_results()
    for _ in pack.run():
        results |= pack.take_results()
    return [results[place] for place in sorted(results)]


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


MIXED = [
    small_configuration(num_evaluations=3, **changes)
    for changes in (
        {"optimizer": "adam", "budget_samples": 500},
        {"optimizer": "nadam", "budget_samples": 300, "learning_rate_schedule": "cosine"},
        {"optimizer": "adam", "budget_samples": 500, "pixels": "dynamic"},
        {"optimizer": "radam", "budget_samples": 400},
        {"optimizer": "adagrad", "warm_up_batches": 12, "pixels": "fixed"},
        {"optimizer": "sgd", "learning_rate": 1e3},
    )
]
"""Configurations of one shape that differ in optimizers, schedules, pixels and budgets; the last one diverges."""
