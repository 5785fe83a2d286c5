"""Packs: what a member of a batched model learns is what it would have learned alone."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tests.support.packs import (
    CHANGES,
    PACK_SEEDS,
    assert_same_within_rounding,
    finished,
    members,
    mixed,
    named,
    packed,
)
from tests.support.trainings import small_configuration, small_data
from vae.checkpoint import weights_digest
from vae.configuration import TrainingConfiguration
from vae.pack.members import PackedTraining
from vae.pack.pack import Pack
from vae.pack.shape import PackError
from vae.randomness import Seeds
from vae.training import TrainingResult, train


@pytest.mark.parametrize("changes", CHANGES, ids=named)
def test_a_member_of_a_pack_is_a_training_alone_within_rounding(changes: dict[str, Any]) -> None:
    configuration = small_configuration(budget_samples=400, test_at_end=True, num_importance_samples=5, **changes)
    for seeds, member in zip(PACK_SEEDS, packed(configuration), strict=True):
        assert_same_within_rounding(member, train(configuration, seeds, small_data(configuration)))


def test_members_do_not_know_who_else_is_in_the_pack() -> None:
    configuration = small_configuration()
    three, one = packed(configuration), packed(configuration, PACK_SEEDS[1:2])
    assert_same_within_rounding(three[1], one[0])


def test_members_that_are_evaluated_in_several_parts_are_evaluated_as_alone() -> None:
    """More members than go into one part of an evaluation."""
    configuration = small_configuration(budget_samples=20, num_evaluations=1)
    seeds = tuple(Seeds.from_root(root) for root in range(23))
    for own, member in list(zip(seeds, packed(configuration, seeds), strict=True))[::11]:
        assert_same_within_rounding(member, train(configuration, own, small_data(configuration)))


def alone(member: PackedTraining) -> TrainingResult:
    return train(member.configuration, member.seeds, member.data)


OF_ONE_SHAPE = [changes for changes in CHANGES if not {"num_hidden_layers", "train_on_all"} & changes.keys()]
OTHERWISE: list[dict[str, Any]] = [
    {"optimizer": "adam", "learning_rate": 0.01, "beta1": 0.5, "beta2": 0.9},
    {"optimizer": "adam", "learning_rate": 0.01, "epsilon": 1e-3},
    {"optimizer": "adamw", "learning_rate": 0.003, "weight_decay": 0.1},
    {"optimizer": "momentum", "learning_rate": 0.003, "momentum": 0.5, "dampening": 0.3},
    {"optimizer": "adam", "learning_rate_schedule": "cosine", "budget_samples": 280},
    {"optimizer": "adam", "learning_rate_schedule": "steps", "learning_rate_milestones": (0.3,), "pixels": "dynamic"},
    {"pixels": "fixed", "binarisation_seed": 3},
    {"pixels": "dynamic", "weight_prior": True, "optimizer": "adam"},
    {"test_at_end": False, "num_evaluations": 3, "test_curve": True},
    {"budget_samples": 160, "evaluation_spacing": "log"},
]


def test_trainings_that_differ_in_all_but_their_shape_are_each_as_alone_within_rounding() -> None:
    """Every optimizer beside every other, hyperparameters, schedules, pixels, priors, budgets, points of evaluation."""
    base = {"budget_samples": 400, "test_at_end": True, "num_importance_samples": 5}
    pack = mixed([small_configuration(**base | changes) for changes in OF_ONE_SHAPE + OTHERWISE])
    expected = [alone(member) for member in pack]
    results = finished(Pack(pack))
    for result, single, changes in zip(results, expected, OF_ONE_SHAPE + OTHERWISE, strict=True):
        assert_same_within_rounding(result, single)
        assert result.evaluations[-1].samples == changes.get("budget_samples", 400)


def test_a_member_that_is_done_hands_its_result_over_and_makes_room() -> None:
    budgets = (400, 100, 260)
    pack = Pack(mixed([small_configuration(budget_samples=budget, num_evaluations=1) for budget in budgets]))
    ended: dict[int, tuple[int, int]] = {}
    for _ in pack.run():
        rows = len(next(iter(pack.model.weights.values())))
        ended |= dict.fromkeys(pack.take_results(), (pack.trainings[0].samples, rows))
    assert ended == {1: (100, 2), 2: (260, 1), 0: (400, 1)}


@pytest.mark.parametrize("diverging", [0, 1, 2])
def test_a_member_that_diverges_leaves_at_the_next_evaluation_and_disturbs_none(diverging: int) -> None:
    """Under optimizers of one kind and of two; its numbers are not finite for many steps beside the others'."""
    configurations = [
        small_configuration(optimizer=optimizer, budget_samples=400, num_evaluations=num_evaluations)
        for optimizer, num_evaluations in (("adam", 2), ("adam", 4), ("rmsprop", 2))
    ]
    wild = configurations[diverging].model_copy(update={"optimizer": "sgd", "learning_rate": 1e3})
    pack = mixed([wild if place == diverging else own for place, own in enumerate(configurations)])
    expected = [alone(member) for member in pack]
    assert expected[diverging].outcome == "diverged"
    results = finished(Pack(pack))
    for place, (result, single) in enumerate(zip(results, expected, strict=True)):
        if place == diverging:
            assert (result.outcome, result.diverged_at_samples) == ("diverged", single.diverged_at_samples)
        else:
            assert_same_within_rounding(result, single)


def poisoned(configuration: TrainingConfiguration, member: int, at_samples: int) -> list[TrainingResult]:
    """The results of a pack in which one member's weights stopped being numbers after so many samples."""
    pack = Pack(members(configuration))
    steps = pack.run(pause_every_seconds=0)
    while pack.samples < at_samples:
        next(steps)
    with torch.no_grad():
        next(iter(pack.model.weights.values()))[member, 0] = float("nan")
    return finished(pack)


@pytest.mark.parametrize("optimizer", ["adam", "nadam", "rmsprop", "adagrad", "nesterov"])
def test_a_member_that_diverges_changes_no_bit_of_the_others(optimizer: str) -> None:
    configuration = small_configuration(
        optimizer=optimizer, budget_samples=400, test_at_end=True, num_importance_samples=5
    )
    results = poisoned(configuration, 1, 240)
    assert [result.outcome == "diverged" for result in results] == [False, True, False]
    assert results[1].diverged_at_samples == 240 + configuration.batch_size
    assert [evaluation.samples for evaluation in results[1].evaluations] == [200]
    undisturbed = packed(configuration)
    for member in (0, 2):
        assert [evaluation.metrics for evaluation in results[member].evaluations] == [
            evaluation.metrics for evaluation in undisturbed[member].evaluations
        ]
        assert weights_digest(results[member].weights) == weights_digest(undisturbed[member].weights)


def test_a_member_that_diverges_does_so_where_it_would_alone() -> None:
    configuration = small_configuration(optimizer="sgd", learning_rate=3.0)
    results = packed(configuration)
    alone = [train(configuration, own, small_data(configuration)) for own in PACK_SEEDS]
    assert [member.outcome for member in results] == [single.outcome for single in alone] == ["diverged"] * 3
    assert [member.diverged_at_samples for member in results] == [single.diverged_at_samples for single in alone]


def test_a_bound_that_is_not_finite_when_it_is_looked_at_is_a_divergence() -> None:
    configuration = small_configuration(budget_samples=20, num_evaluations=1)
    pack = Pack(members(configuration))
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
    pack = Pack(members(configuration))
    results = finished(pack)
    assert sum(result.seconds for result in results) == pytest.approx(pack.seconds)
    assert results[0].evaluations[-1].seconds == pytest.approx(results[0].seconds)


def test_a_pause_comes_when_it_is_asked_for_and_changes_no_bit() -> None:
    configuration = small_configuration(budget_samples=400)
    pack = Pack(members(configuration))
    num_pauses = sum(1 for _ in pack.run(pause_every_seconds=0))
    assert num_pauses == configuration.budget_samples // configuration.batch_size
    for paused, unpaused in zip(finished(pack), packed(configuration), strict=True):
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
    pack = Pack(members(configuration))
    weight = weakref.ref(pack.model.weights["model.encoder.mean.weight"])
    finished(pack)
    assert weight() is not None
    del pack
    assert weight() is None


def test_a_pack_that_closes_up_around_a_member_that_diverged_goes_on_as_without_it() -> None:
    """An update may treat the last numbers of a tensor otherwise than those before, so one rounding may differ."""
    configuration = small_configuration(budget_samples=400, num_evaluations=5, hidden_units=13, latent_dim=3)
    results, undisturbed = poisoned(configuration, 1, 240), packed(configuration)
    assert results[1].diverged_at_samples == 260
    for member in (0, 2):
        assert_same_within_rounding(results[member], undisturbed[member])


def test_an_optimizer_that_is_not_elementwise_is_refused_by_name() -> None:
    configuration = small_configuration(optimizer="torch.optim:LBFGS")
    with pytest.raises(PackError, match=r"'torch.optim:LBFGS' is not known to treat every weight by itself.*adam"):
        Pack(members(configuration))


def test_a_pack_of_nobody_is_refused() -> None:
    with pytest.raises(PackError, match="at least 1 member"):
        Pack([])
