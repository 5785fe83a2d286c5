"""Packs: what a member of a batched model learns is what it would have learned alone."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tests.support.packs import CHANGES, PACK_SEEDS, assert_same_within_rounding, finished, named, packed
from tests.support.trainings import small_configuration, small_data
from vae.checkpoint import weights_digest
from vae.configuration import TrainingConfiguration
from vae.pack.pack import Pack, PackError
from vae.randomness import Seeds
from vae.training import train


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
    """More members than go into one part of an evaluation, one of them diverging in another part."""
    configuration = small_configuration(budget_samples=20, num_evaluations=1)
    seeds = tuple(Seeds.from_root(root) for root in range(23))
    for own, member in list(zip(seeds, packed(configuration, seeds), strict=True))[::11]:
        assert_same_within_rounding(member, train(configuration, own, small_data(configuration)))


def poisoned(configuration: TrainingConfiguration, member: int, at_samples: int) -> Pack:
    """A finished pack in which one member's weights stopped being numbers after so many samples."""
    pack = Pack(configuration, PACK_SEEDS, small_data(configuration))
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
    alone = [train(configuration, own, small_data(configuration)) for own in PACK_SEEDS]
    assert [member.outcome for member in members] == [single.outcome for single in alone] == ["diverged"] * 3
    assert [member.diverged_at_samples for member in members] == [single.diverged_at_samples for single in alone]


def test_a_bound_that_is_not_finite_when_it_is_looked_at_is_a_divergence() -> None:
    configuration = small_configuration(budget_samples=20, num_evaluations=1)
    pack = Pack(configuration, PACK_SEEDS, small_data(configuration))
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
    pack = Pack(configuration, PACK_SEEDS, small_data(configuration))
    results = finished(pack)
    assert sum(result.seconds for result in results) == pytest.approx(pack.seconds)
    assert results[0].evaluations[-1].seconds == pytest.approx(results[0].seconds)


def test_a_pause_comes_when_it_is_asked_for_and_changes_no_bit() -> None:
    configuration = small_configuration(budget_samples=400)
    pack = Pack(configuration, PACK_SEEDS, small_data(configuration))
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
    pack = Pack(configuration, PACK_SEEDS, small_data(configuration))
    weight = weakref.ref(pack.model.weights["model.encoder.mean.weight"])
    finished(pack)
    assert weight() is not None
    del pack
    assert weight() is None


def test_an_optimizer_that_is_not_elementwise_is_refused_by_name() -> None:
    configuration = small_configuration(optimizer="torch.optim:LBFGS")
    with pytest.raises(PackError, match=r"'torch.optim:LBFGS' is not known to treat every weight by itself.*adam"):
        Pack(configuration, PACK_SEEDS, small_data(configuration))


def test_a_pack_of_nobody_is_refused() -> None:
    configuration = small_configuration()
    with pytest.raises(PackError, match="at least 1 member"):
        Pack(configuration, (), small_data(configuration))
