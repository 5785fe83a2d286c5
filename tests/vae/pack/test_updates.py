"""The optimizers of a pack: who is moved together, what is kept of a member, and what a GPU is asked for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.support.operations import ASKING_THE_DEVICE, Seen
from tests.support.packs import members, mixed
from tests.support.trainings import small_configuration
from vae.optimizers.building import build_optimizer
from vae.optimizers.specifications import OPTIMIZERS
from vae.pack.members import PackedTraining, in_runs
from vae.pack.updates import Updates, keep_state_on_device, lives_on_device, of_members, row_of


def _trainings() -> list[PackedTraining]:
    """Every optimizer twice, at two learning rates."""
    names = [*OPTIMIZERS, *OPTIMIZERS]
    own = [small_configuration(optimizer=name, learning_rate=1e-3 + 1e-4 * k) for k, name in enumerate(names)]
    return mixed([*own, small_configuration(optimizer="adagrad", warm_up_batches=2)])


def _weights(num_members: int, device: str = "cpu") -> list[Tensor]:
    return [torch.randn(num_members, 5, 4, device=device), torch.randn(num_members, 3, device=device)]


def _rates(trainings: list[PackedTraining]) -> Tensor:
    return torch.tensor([own.configuration.learning_rate for own in trainings], dtype=torch.float64)


def _stepped(updates: Updates, weights: list[Tensor], rates: Tensor) -> None:
    updates.take_gradients([torch.full_like(weight, 0.5) * weight for weight in weights], 100)
    updates.step_on_device(rates)
    updates.step_on_host(rates)


def test_members_that_agree_in_all_that_an_update_needs_are_moved_together() -> None:
    trainings = [
        *members(small_configuration(pixels="dynamic")),
        *members(small_configuration(initialisation="glorot", budget_samples=200)),
        *members(small_configuration(learning_rate=0.1)),
        *members(small_configuration(beta1=0.1)),
        *members(small_configuration(weight_prior=True)),
        *members(small_configuration(learning_rate_schedule="cosine")),
        *members(small_configuration(learning_rate_schedule="cosine", budget_samples=200)),
    ]
    weights = _weights(len(trainings))
    runs = Updates(in_runs(trainings), weights).runs
    assert [run.end - run.first for run in runs] == [6, 3, 3, 3, 3, 3]
    assert [run.first for run in runs[1:]] == [run.end for run in runs[:-1]]


def test_the_step_of_a_training_decides_with_whom_it_is_moved() -> None:
    trainings = members(small_configuration())
    trainings[1].step = 4
    assert in_runs(trainings) == [trainings[0], trainings[2], trainings[1]]


def test_each_member_is_moved_as_its_own_optimizer_would() -> None:
    trainings = _trainings()
    weights = _weights(len(trainings))
    alone = [[weight[row].clone() for weight in weights] for row in range(len(trainings))]
    updates = Updates(trainings, weights)
    for _ in range(4):
        _stepped(updates, weights, _rates(trainings))
    for row, (own, parameters) in enumerate(zip(trainings, alone, strict=True)):
        configuration = own.configuration
        optimizer = build_optimizer(
            configuration.optimizer, parameters, configuration.learning_rate, configuration.optimizer_arguments
        )
        for _ in range(4):
            for parameter in parameters:
                parameter.grad = 0.5 * parameter
            optimizer.step()
        for together, single in zip(weights, parameters, strict=True):
            assert torch.allclose(together[row], single, rtol=1e-6, atol=1e-7), configuration.optimizer


def test_what_is_left_of_members_goes_on_as_it_would_have() -> None:
    """Rows of a run go, whole runs go; the rest is moved by other optimizers that took the state up."""
    trainings = members(small_configuration(optimizer="adam")) + _trainings()
    weights = _weights(len(trainings))
    staying = [row for row in range(len(trainings)) if row % 3]
    updates = Updates(trainings, weights)
    for _ in range(3):
        _stepped(updates, weights, _rates(trainings))
    left = [weight[staying].clone() for weight in weights]
    expected = [weight.clone() for weight in weights]
    fresh = Updates(trainings, expected)
    fresh.load([{number: dict(own) for number, own in state.items()} for state in _copied(updates)])
    _stepped(fresh, expected, _rates(trainings))
    others = [trainings[row] for row in staying]
    again = Updates(others, left)
    again.load(updates.of_rows(staying))
    assert not any(own for state in updates.state() for own in state.values()), "what went holds memory"
    _stepped(again, left, _rates(others))
    for found, whole in zip(left, expected, strict=True):
        assert torch.allclose(found, whole[staying], rtol=1e-6, atol=1e-7)


def _copied(updates: Updates) -> list[dict[int, dict[str, object]]]:
    return [
        {
            number: {key: kept.clone() if isinstance(kept, Tensor) else kept for key, kept in own.items()}
            for number, own in state.items()
        }
        for state in updates.state()
    ]


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_rows_of_a_state_put_together_again_are_the_state(name: str) -> None:
    trainings = members(small_configuration(optimizer=name))
    weights = _weights(3)
    updates = Updates(trainings, weights)
    _stepped(updates, weights, _rates(trainings))
    (state,) = updates.state()
    again = of_members([row_of(state, row) for row in range(3)])
    assert again.keys() == state.keys()
    for number, own in state.items():
        assert own.keys() == again[number].keys()
        for key, kept in own.items():
            assert torch.equal(again[number][key], kept) if isinstance(kept, Tensor) else again[number][key] == kept


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_no_optimizer_asks_a_gpu_for_a_number(name: str) -> None:
    """On tensors that are said to be a GPU's and hold no numbers, with a learning rate that lies there: whatever
    asks for a number fails."""
    with FakeTensorMode(), Seen(ignored=lambda operation: operation.startswith("aten::_fused")) as seen:
        gpu = torch.device("cuda")
        weights = [torch.empty(3, 5, 4, device=gpu), torch.empty(3, 4, device=gpu)]
        optimizer = build_optimizer(name, weights, 1e-3, {})
        keep_state_on_device(optimizer)
        for group in optimizer.param_groups:
            group["lr"] = torch.zeros((), device=gpu)
        for _ in range(3):
            for weight in weights:
                weight.grad = torch.empty_like(weight, requires_grad=False)
            optimizer.step()
        for weight in weights:
            for key, held in optimizer.state[weight].items():
                assert held is None or held.device.type == "cuda", f"{key} lies on the host"
    assert not ASKING_THE_DEVICE.intersection(seen.names)


def test_radam_does_not_live_on_a_device() -> None:
    """Its update on a device cancels in float32: beta2 = 0.9999 has rho_2 = 2.0, which is not rectified, and in
    float32 6.3, which is."""
    weights = [torch.zeros(3)]
    assert lives_on_device(build_optimizer("adam", weights, 1e-3, {}))
    assert not lives_on_device(build_optimizer("radam", weights, 1e-3, {}))


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")  # torch's own, where it copies a group
def test_on_a_gpu_learning_rates_lie_in_one_tensor_that_all_updates_but_two_read() -> None:
    """On tensors that are said to be a GPU's: whose rate is read is what a recorded graph goes by."""
    trainings = _trainings()
    with FakeTensorMode():
        weights = _weights(len(trainings), "cuda")
        updates = Updates(trainings, weights)
        updates.load([{} for _ in updates.runs])
        assert {type(run.optimizer).__name__ for run in updates.on_host} == {"RAdam", "WarmedAdagrad"}
        assert len(updates.on_host) == 3
        for run in updates.on_device:
            (group,) = run.optimizer.param_groups
            assert group["lr"]._base is updates._rates
            assert group["lr"].storage_offset() == run.first
        with Seen(ignored=lambda operation: operation.startswith("aten::_fused")) as seen:
            updates.take_gradients([torch.empty_like(weight) for weight in weights], 100)
            updates.step_on_device(torch.zeros(len(trainings), dtype=torch.float64, device="cuda"))
    assert "aten::copy_" in seen.names
    assert not ASKING_THE_DEVICE.intersection(seen.names)
