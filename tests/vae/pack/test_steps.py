"""Packs on a GPU: what can be known without one (no number is ever asked of the device), and, where there is one,
that graphs compute the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.operations import ASKING_THE_DEVICE, Seen
from tests.support.packs import CHANGES, PACK_SEEDS, assert_same_within_rounding, finished, members, mixed, named
from tests.support.trainings import small_configuration, small_data
from vae.configuration import TrainingConfiguration
from vae.optimizers.specifications import OPTIMIZERS
from vae.pack.draws import StepInputs, TrainingImages
from vae.pack.model import StackedModel, as_stored
from vae.pack.pack import Pack
from vae.pack.steps import GraphedSteps, PackStep
from vae.training import train

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pixels": "dynamic"},
        {"pixels": "fixed"},
        {"weight_prior": True, "num_hidden_layers": 2},
        {"optimizer": "adagrad"},
    ],
    ids=named,
)
def test_a_step_asks_the_device_for_no_number(changes: dict[str, Any]) -> None:
    """Under fused optimizers the step is the same operations on a CPU and on a GPU; none of them makes the host
    wait."""
    pack = Pack(mixed([small_configuration(**changes), small_configuration(learning_rate=0.01, **changes)]))
    pack._train_step()
    inputs = next(pack._inputs)
    with Seen() as seen:
        pack._step.on_device(inputs)
        for run in pack._step.updates.runs:  # which on a GPU are part of it
            run.optimizer.step()
    assert "aten::bmm" in seen.names
    assert not ASKING_THE_DEVICE.intersection(seen.names)


@pytest.mark.parametrize("places", [[], [1], [0, 2], [0, 1, 2]])
def test_pixels_are_resampled_for_those_alone_that_ask_for_it(places: list[int]) -> None:
    trainings = mixed([small_configuration(pixels="dynamic" if place in places else "grey") for place in range(3)])
    images = TrainingImages(trainings, CPU)
    step = PackStep(trainings, StackedModel.initial(trainings, CPU), images)
    order = torch.arange(60).view(3, 20)
    thresholds = torch.randint(0, 255, (len(places), 20, 36), dtype=torch.uint8)
    x, _ = step.minibatch(StepInputs(order, torch.zeros(3, 2, 20), thresholds, torch.zeros(3)))
    for place in range(3):
        pixels = images.images[order[place]]
        lit = (pixels > thresholds[places.index(place)]).float() if place in places else pixels.float() / 255
        assert torch.equal(x[place], lit)


def test_gradients_lie_in_memory_as_the_optimizer_wants_them() -> None:
    """A copy would add to the memory traffic that bounds a pack's speed."""
    model = StackedModel.initial(members(small_configuration(num_hidden_layers=2)), CPU)
    model.keep([0, 1, 2])
    x, noise = torch.rand(3, 20, 36), torch.randn(3, 20, 2)
    for weight, gradient in zip(
        model.weights.values(),
        torch.autograd.grad(model.losses(x, noise).sum(), list(model.weights.values())),
        strict=True,
    ):
        assert as_stored(weight).is_contiguous()
        assert as_stored(gradient).is_contiguous()


@pytest.mark.gpu
@pytest.mark.parametrize("changes", CHANGES, ids=named)
def test_on_a_gpu_a_member_of_a_pack_is_a_training_alone_within_rounding(changes: dict[str, Any]) -> None:
    configuration = small_configuration(budget_samples=400, test_at_end=True, num_importance_samples=5, **changes)
    data = small_data(configuration)
    for seeds, member in zip(PACK_SEEDS, finished(Pack(members(configuration), device="cuda")), strict=True):
        assert_same_within_rounding(member, train(configuration, seeds, data, device="cuda"))


@pytest.mark.gpu
def test_on_a_gpu_the_members_of_a_mixed_pack_are_trainings_alone_within_rounding() -> None:
    """All optimizers, those that need the host among them, budgets and pixels: graphs are recorded several times."""
    changes: list[dict[str, Any]] = [
        *({"optimizer": name, "learning_rate_schedule": "cosine"} for name in OPTIMIZERS),
        {"optimizer": "adagrad", "warm_up_batches": 3, "budget_samples": 200},
        {"pixels": "dynamic", "learning_rate": 0.01},
        {"pixels": "fixed", "budget_samples": 300},
    ]
    trainings = mixed([small_configuration(**{"budget_samples": 400} | each) for each in changes])
    alone = [train(own.configuration, own.seeds, own.data, device="cuda") for own in trainings]
    said: list[str] = []
    for member, single in zip(finished(Pack(trainings, device="cuda", report=said.append)), alone, strict=True):
        assert_same_within_rounding(member, single)
    assert {line.split()[0] for line in said} == {"RAdam", "WarmedAdagrad"}


@pytest.mark.gpu
@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_on_a_gpu_a_continued_pack_has_the_bits_of_one_in_one_piece(name: str, tmp_path: Path) -> None:
    """The steps before a recording are taken anew after a resume, operation by operation: they are to round as
    recorded ones do."""
    configuration = small_configuration(optimizer=name, learning_rate_schedule="cosine")
    whole = finished(Pack(members(configuration), device="cuda"))
    stopped = Pack(members(configuration), device="cuda", checkpoint=tmp_path / "checkpoint")
    for _ in range(10):
        stopped._train_step()
    stopped.save()
    continued = finished(Pack(members(configuration), device="cuda", checkpoint=tmp_path / "checkpoint"))
    for found, expected in zip(continued, whole, strict=True):
        assert all(torch.equal(found.weights[key], tensor) for key, tensor in expected.weights.items())


@pytest.mark.gpu
@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "radam"])
def test_on_a_gpu_every_other_optimizer_s_step_is_recorded(name: str) -> None:
    said: list[str] = []
    configuration = small_configuration(optimizer=name, learning_rate_schedule="cosine")
    pack = Pack(members(configuration), device="cuda", report=said.append)
    finished(pack)
    assert said == []
    assert isinstance(pack._take_step, GraphedSteps)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("changes", "name"),
    [({"optimizer": "adagrad", "warm_up_batches": 10}, "WarmedAdagrad"), ({"optimizer": "radam"}, "RAdam")],
)
def test_on_a_gpu_an_update_that_counts_on_the_host_is_no_part_of_the_graph(changes: dict[str, Any], name: str) -> None:
    said: list[str] = []
    configuration = small_configuration(**changes)
    finished(Pack(members(configuration), device="cuda", report=said.append))
    assert len(said) == 1
    assert f"{name} counts its steps on the host" in said[0]


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_on_a_gpu_lower_precisions_train_as_well(precision: str) -> None:
    def bounds(trained: TrainingConfiguration) -> list[float]:
        results = finished(Pack(members(trained), device="cuda"))
        return [result.evaluations[-1].metrics["validation/lower_bound"] for result in results]

    exact = small_configuration()
    assert bounds(exact.model_copy(update={"precision": precision})) == pytest.approx(bounds(exact), abs=0.05)
