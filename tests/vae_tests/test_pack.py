"""Packs: what a member of a batched model learns is what it would have learned alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.vae_tests.examples import small_configuration, small_data
from vae.configuration import TrainingConfiguration
from vae.pack import Pack, PackError
from vae.randomness import Seeds
from vae.training import TrainingResult, train

SEEDS = tuple(Seeds.from_root(root) for root in range(3))

# Batched products sum in another order than single ones: about 1e-7 relative a step. Adam divides by the root of squared gradients,
# which near its start amplifies that for weights whose gradients are almost zero; over these few steps it stays below 1e-3.
WEIGHT_TOLERANCE = 1e-3
BOUND_TOLERANCE_NATS = 1e-3


def _packed(configuration: TrainingConfiguration, seeds: tuple[Seeds, ...] = SEEDS) -> list[TrainingResult]:
    pack = Pack(configuration, seeds, small_data(configuration))
    for _ in pack.run():
        pass
    assert pack.results is not None
    return pack.results


CHANGES = [{"optimizer": "adam"}, {"optimizer": "adagrad", "warm_up_batches": 3}, {"optimizer": "nesterov"}, {"weight_prior": True}, {"pixels": "dynamic"}]


@pytest.mark.parametrize("changes", CHANGES)
def test_a_member_of_a_pack_is_a_training_alone_within_rounding(changes: dict[str, Any]) -> None:
    configuration = small_configuration(test_at_end=True, **changes)
    for seeds, packed in zip(SEEDS, _packed(configuration), strict=True):
        alone = train(configuration, seeds, small_data(configuration))
        assert packed.outcome == alone.outcome
        assert packed.num_parameters == alone.num_parameters
        assert packed.weights.keys() == alone.weights.keys()
        for name, weight in alone.weights.items():
            torch.testing.assert_close(packed.weights[name], weight, rtol=0, atol=WEIGHT_TOLERANCE)
        assert [evaluation.samples for evaluation in packed.evaluations] == [evaluation.samples for evaluation in alone.evaluations]
        for ours, theirs in zip(packed.evaluations, alone.evaluations, strict=True):
            assert ours.metrics == pytest.approx(theirs.metrics, abs=BOUND_TOLERANCE_NATS)


def test_members_do_not_know_who_else_is_in_the_pack() -> None:
    configuration = small_configuration()
    three, one = _packed(configuration), _packed(configuration, SEEDS[1:2])
    for name, weight in one[0].weights.items():
        torch.testing.assert_close(three[1].weights[name], weight, rtol=0, atol=WEIGHT_TOLERANCE)


def test_a_member_that_diverges_leaves_the_others_as_they_are() -> None:
    configuration = small_configuration()
    pack = Pack(configuration, SEEDS, small_data(configuration))
    with torch.no_grad():
        next(iter(pack.weights.values()))[1] = float("nan")
    for _ in pack.run():
        pass
    assert pack.results is not None
    assert [result.outcome == "diverged" for result in pack.results] == [False, True, False]
    assert pack.results[1].diverged_at_samples == configuration.batch_size
    assert pack.results[1].evaluations == ()
    undisturbed = _packed(configuration)
    for member in (0, 2):
        assert pack.results[member].evaluations[-1].metrics == undisturbed[member].evaluations[-1].metrics


def test_a_pack_whose_members_all_diverge_ends() -> None:
    results = _packed(small_configuration(optimizer="sgd", learning_rate=1e3))
    assert {result.outcome for result in results} == {"diverged"}


def test_an_optimizer_that_is_not_elementwise_is_refused_by_name() -> None:
    configuration = small_configuration(optimizer="torch.optim:LBFGS")
    with pytest.raises(PackError, match=r"'torch.optim:LBFGS' is not known to treat every weight by itself.*adam"):
        Pack(configuration, SEEDS, small_data(configuration))
