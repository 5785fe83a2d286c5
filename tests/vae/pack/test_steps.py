"""Packs on a GPU: what can be known without one (no number is ever asked of the device), and, where there is one,
that graphs compute the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from tests.support.packs import CHANGES, PACK_SEEDS, assert_same_within_rounding, finished, named
from tests.support.trainings import small_configuration, small_data
from vae.configuration import TrainingConfiguration
from vae.optimizers import OPTIMIZERS, build_optimizer
from vae.pack.model import StackedModel, as_stored
from vae.pack.pack import Pack
from vae.pack.steps import GraphedSteps, _is_recordable, keep_state_on_device
from vae.training import train

CPU = torch.device("cpu")
ASKING_THE_DEVICE = {
    "aten::_local_scalar_dense",
    "aten::is_nonzero",
    "aten::equal",
    "aten::nonzero",
    "aten::masked_select",
}


class _Seen(TorchDispatchMode):
    """Notes every operation that reaches a device."""

    def __init__(self, ignored: Callable[[str], bool] = lambda name: False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: list[str] = []
        self._ignored = ignored

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = func._schema.name
        self.names.append(name)
        return None if self._ignored(name) else func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "changes",
    [{}, {"pixels": "dynamic"}, {"weight_prior": True, "num_hidden_layers": 2}, {"optimizer": "adagrad"}],
    ids=named,
)
def test_a_step_asks_the_device_for_no_number(changes: dict[str, Any]) -> None:
    """Under fused optimizers the step is the same operations on a CPU and on a GPU; none of them makes the host
    wait."""
    configuration = small_configuration(**changes)
    data = small_data(configuration)
    pack = Pack(configuration, PACK_SEEDS, data)
    pack._train_step()
    inputs = next(pack._inputs)
    with _Seen() as seen:
        pack._step(inputs)
    assert "aten::bmm" in seen.names
    assert not ASKING_THE_DEVICE.intersection(seen.names)


@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_no_optimizer_asks_a_gpu_for_a_number(name: str) -> None:
    """On tensors that are said to be a GPU's and hold no numbers, with a learning rate that lies there: whatever
    asks for a number fails."""
    with FakeTensorMode(), _Seen(ignored=lambda operation: operation.startswith("aten::_fused")) as seen:
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


def test_radam_is_not_recorded() -> None:
    """Its update on a device cancels in float32: beta2 = 0.9999 has rho_2 = 2.0, which is not rectified, and in
    float32 6.3, which is."""
    weights = [torch.zeros(3)]
    assert _is_recordable(build_optimizer("adam", weights, 1e-3, {}))
    assert not _is_recordable(build_optimizer("radam", weights, 1e-3, {}))


def test_gradients_lie_in_memory_as_the_optimizer_wants_them() -> None:
    """A copy would add to the memory traffic that bounds a pack's speed."""
    configuration = small_configuration(num_hidden_layers=2)
    model = StackedModel.initial(configuration, small_data(configuration), PACK_SEEDS, CPU)
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
    pack = Pack(configuration, PACK_SEEDS, data, device="cuda")
    for seeds, member in zip(PACK_SEEDS, finished(pack), strict=True):
        assert_same_within_rounding(member, train(configuration, seeds, data, device="cuda"))


@pytest.mark.gpu
@pytest.mark.parametrize("name", list(OPTIMIZERS))
def test_on_a_gpu_a_continued_pack_has_the_bits_of_one_in_one_piece(name: str, tmp_path: Path) -> None:
    """The steps before a recording are taken anew after a resume, operation by operation: they are to round as
    recorded ones do."""
    configuration = small_configuration(optimizer=name, learning_rate_schedule="cosine")
    data = small_data(configuration)
    whole = finished(Pack(configuration, PACK_SEEDS, data, device="cuda"))
    stopped = Pack(configuration, PACK_SEEDS, data, device="cuda", checkpoint=tmp_path / "checkpoint")
    for _ in range(10):
        stopped._train_step()
    stopped.save()
    continued = finished(Pack(configuration, PACK_SEEDS, data, device="cuda", checkpoint=tmp_path / "checkpoint"))
    for found, expected in zip(continued, whole, strict=True):
        assert all(torch.equal(found.weights[key], tensor) for key, tensor in expected.weights.items())


@pytest.mark.gpu
@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "radam"])
def test_on_a_gpu_every_other_optimizer_s_step_is_recorded(name: str) -> None:
    said: list[str] = []
    configuration = small_configuration(optimizer=name, learning_rate_schedule="cosine")
    pack = Pack(configuration, PACK_SEEDS, small_data(configuration), device="cuda", report=said.append)
    finished(pack)
    assert said == []
    assert isinstance(pack._take_step, GraphedSteps)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("changes", "name"),
    [({"optimizer": "adagrad", "warm_up_batches": 10}, "WarmedAdagrad"), ({"optimizer": "radam"}, "RAdam")],
)
def test_on_a_gpu_what_counts_on_the_host_runs_without_a_graph_and_says_so(changes: dict[str, Any], name: str) -> None:
    said: list[str] = []
    configuration = small_configuration(**changes)
    finished(Pack(configuration, PACK_SEEDS, small_data(configuration), device="cuda", report=said.append))
    assert len(said) == 1
    assert f"{name} counts its steps on the host" in said[0]


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_on_a_gpu_lower_precisions_train_as_well(precision: str) -> None:
    def bounds(trained: TrainingConfiguration) -> list[float]:
        results = finished(Pack(trained, PACK_SEEDS, small_data(trained), device="cuda"))
        return [result.evaluations[-1].metrics["validation/lower_bound"] for result in results]

    exact = small_configuration()
    assert bounds(exact.model_copy(update={"precision": precision})) == pytest.approx(bounds(exact), abs=0.05)
