"""Packs: what a member of a batched model learns is what it would have learned alone."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tests.support.trainings import small_configuration, small_data
from vae.checkpoint import weights_digest
from vae.configuration import TrainingConfiguration
from vae.optimizers import OPTIMIZERS
from vae.pack.pack import Pack, PackError
from vae.randomness import Seeds
from vae.training import TrainingResult, train

SEEDS = tuple(Seeds.from_root(root) for root in range(3))

# Batched products sum in another order than single ones: about 1e-7 relative a step. Optimizers that divide by the root
# of squared gradients amplify that for weights whose gradients are almost zero: there the update is the learning rate
# times a quotient of two roundings, at most the learning rate itself. Seen over these 20 steps: 2e-6 in most, 2e-4 in
# the worst weight of the worst optimizer.
WEIGHT_TOLERANCE = 1e-3
BOUND_TOLERANCE_NATS = 1e-3


def packed(configuration: TrainingConfiguration, seeds: tuple[Seeds, ...] = SEEDS) -> list[TrainingResult]:
    return finished(Pack(configuration, seeds, small_data(configuration)))


def finished(pack: Pack) -> list[TrainingResult]:
    for _ in pack.run():
        pass
    assert pack.results is not None
    return pack.results


def assert_same_within_rounding(packed: TrainingResult, alone: TrainingResult) -> None:
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


def _named(changes: dict[str, Any]) -> str:
    return ",".join(f"{name}={given}" for name, given in changes.items())


@pytest.mark.parametrize("changes", CHANGES, ids=_named)
def test_a_member_of_a_pack_is_a_training_alone_within_rounding(changes: dict[str, Any]) -> None:
    configuration = small_configuration(budget_samples=400, test_at_end=True, num_importance_samples=5, **changes)
    for seeds, member in zip(SEEDS, packed(configuration), strict=True):
        assert_same_within_rounding(member, train(configuration, seeds, small_data(configuration)))


def test_members_do_not_know_who_else_is_in_the_pack() -> None:
    configuration = small_configuration()
    three, one = packed(configuration), packed(configuration, SEEDS[1:2])
    assert_same_within_rounding(three[1], one[0])


def test_members_that_are_evaluated_in_several_parts_are_evaluated_as_alone() -> None:
    """More members than go into one part of an evaluation, one of them diverging in another part."""
    configuration = small_configuration(budget_samples=20, num_evaluations=1)
    seeds = tuple(Seeds.from_root(root) for root in range(23))
    for own, member in list(zip(seeds, packed(configuration, seeds), strict=True))[::11]:
        assert_same_within_rounding(member, train(configuration, own, small_data(configuration)))


def poisoned(configuration: TrainingConfiguration, member: int, at_samples: int) -> Pack:
    """A finished pack in which one member's weights stopped being numbers after so many samples."""
    pack = Pack(configuration, SEEDS, small_data(configuration))
    steps = pack.run(pause_every_seconds=0)
    while pack.samples < at_samples:
        next(steps)
    with torch.no_grad():
        next(iter(pack.model.weights.values()))[member, 0] = float("nan")
    for _ in steps:
        pass
    return pack


@pytest.mark.parametrize("optimizer", ["adam", "nadam", "rmsprop", "adagrad", "nesterov"])
def test_a_member_that_diverges_changes_no_bit_of_the_others(optimizer: str) -> None:
    configuration = small_configuration(
        optimizer=optimizer, budget_samples=400, test_at_end=True, num_importance_samples=5
    )
    pack = poisoned(configuration, 1, 240)
    assert pack.results is not None
    assert [result.outcome == "diverged" for result in pack.results] == [False, True, False]
    assert pack.results[1].diverged_at_samples == 240 + configuration.batch_size
    assert [evaluation.samples for evaluation in pack.results[1].evaluations] == [200]
    undisturbed = packed(configuration)
    for member in (0, 2):
        assert [evaluation.metrics for evaluation in pack.results[member].evaluations] == [
            evaluation.metrics for evaluation in undisturbed[member].evaluations
        ]
        assert weights_digest(pack.results[member].weights) == weights_digest(undisturbed[member].weights)


def test_a_member_that_diverges_does_so_where_it_would_alone() -> None:
    configuration = small_configuration(optimizer="sgd", learning_rate=3.0)
    members = packed(configuration)
    alone = [train(configuration, own, small_data(configuration)) for own in SEEDS]
    assert [member.outcome for member in members] == [single.outcome for single in alone] == ["diverged"] * 3
    assert [member.diverged_at_samples for member in members] == [single.diverged_at_samples for single in alone]


def test_a_bound_that_is_not_finite_when_it_is_looked_at_is_a_divergence() -> None:
    configuration = small_configuration(budget_samples=20, num_evaluations=1)
    pack = Pack(configuration, SEEDS, small_data(configuration))
    pack._train_step()
    with torch.no_grad():
        pack.model.weights["model.decoder.output.bias"][2] = float("inf")
    results = finished(pack)
    assert [result.diverged_at_samples for result in results] == [None, None, 20]
    assert results[2].evaluations == ()


def test_a_pack_whose_members_all_diverge_ends() -> None:
    results = packed(small_configuration(optimizer="sgd", learning_rate=1e3))
    assert {result.outcome for result in results} == {"diverged"}


def test_seconds_of_the_members_add_up_to_those_of_the_pack() -> None:
    configuration = small_configuration()
    pack = Pack(configuration, SEEDS, small_data(configuration))
    results = finished(pack)
    assert sum(result.seconds for result in results) == pytest.approx(pack.seconds)
    assert results[0].evaluations[-1].seconds == pytest.approx(results[0].seconds)


def test_a_pause_comes_when_it_is_asked_for_and_changes_no_bit() -> None:
    configuration = small_configuration(budget_samples=400)
    pack = Pack(configuration, SEEDS, small_data(configuration))
    num_pauses = sum(1 for _ in pack.run(pause_every_seconds=0))
    assert num_pauses == pack.num_steps
    assert pack.results is not None
    for paused, unpaused in zip(pack.results, packed(configuration), strict=True):
        assert weights_digest(paused.weights) == weights_digest(unpaused.weights)


@pytest.fixture
def without_cycle_collector() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.usefixtures("without_cycle_collector")
def test_a_pack_that_is_let_go_gives_its_memory_back_at_once() -> None:
    """A worker trains one pack after the other on the same GPU: none may wait for Python's cycle collector."""
    configuration = small_configuration(budget_samples=100)
    pack = Pack(configuration, SEEDS, small_data(configuration))
    weight = weakref.ref(pack.model.weights["model.encoder.mean.weight"])
    finished(pack)
    assert weight() is not None
    del pack
    assert weight() is None


def test_an_optimizer_that_is_not_elementwise_is_refused_by_name() -> None:
    configuration = small_configuration(optimizer="torch.optim:LBFGS")
    with pytest.raises(PackError, match=r"'torch.optim:LBFGS' is not known to treat every weight by itself.*adam"):
        Pack(configuration, SEEDS, small_data(configuration))


def test_a_pack_of_nobody_is_refused() -> None:
    configuration = small_configuration()
    with pytest.raises(PackError, match="at least 1 member"):
        Pack(configuration, (), small_data(configuration))
