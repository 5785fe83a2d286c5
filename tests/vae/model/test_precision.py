"""Products in bfloat16 and TF32: refused where the device has none, exact on resume, near float32, and all else
float32."""

from __future__ import annotations

import contextlib
import copy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from tests.support.gpu_arithmetic import set_by_newer_settings, set_by_older_settings
from tests.support.gradients import gradients, model_and_minibatch
from tests.support.trainings import SEEDS, interrupted_digest, small_configuration, small_data, trained, trained_digest
from vae.building import model_from_weights
from vae.evaluation import evaluate_lower_bound
from vae.gradient import Autograd, WrittenOut
from vae.model.network import LatentVariableModel
from vae.model.precision import cpu_has_bfloat16, multiplying_in, products_in, require_precision
from vae.training import Training, train

MODELS = ["vae", "tests.support.users_models:OwnVAE"]
"""The gradient written out, and autograd."""

in_bfloat16 = pytest.mark.usefixtures("bfloat16_is_had")


@pytest.fixture
def bfloat16_is_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU without it torch computes the same products in software, which is slow and here fast enough."""
    monkeypatch.setattr("vae.model.precision.cpu_has_bfloat16", lambda: True)


def test_float32_is_had_everywhere() -> None:
    require_precision("float32", "cpu")
    require_precision("float32", "cuda")


def test_tf32_is_refused_on_a_cpu_before_anything_starts(tmp_path: Path) -> None:
    configuration = small_configuration(precision="tf32")
    with pytest.raises(
        ValueError,
        match=(
            "precision is tf32, an arithmetic of NVIDIA GPUs, and the device is cpu; use precision: float32, which"
            " every device has, or train on a GPU"
        ),
    ):
        Training(configuration, SEEDS, small_data(configuration), checkpoint=tmp_path / "checkpoint")


@pytest.mark.parametrize(
    ("cpu_flags", "has"),
    [("fpu avx512f avx512_bf16 sse", True), ("fpu amx_bf16 amx_tile", True), ("fpu avx2 avx512f avx512_vnni", False)],
)
def test_bfloat16_on_a_cpu_goes_by_its_flags(tmp_path: Path, cpu_flags: str, has: bool) -> None:
    listed = tmp_path / "cpuinfo"
    listed.write_text(f"processor\t: 0\nflags\t\t: {cpu_flags}\nbugs\t\t: none\n")
    assert cpu_has_bfloat16(listed) == has


def test_a_system_that_does_not_list_flags_is_taken_to_have_no_bfloat16(tmp_path: Path) -> None:
    assert not cpu_has_bfloat16(tmp_path / "no such file")


def test_bfloat16_is_refused_where_the_cpu_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vae.model.precision.cpu_has_bfloat16", lambda: False)
    configuration = small_configuration(precision="bfloat16")
    with pytest.raises(
        ValueError,
        match=(
            r"this CPU does not multiply it in hardware \(x86 with avx512_bf16 or amx_bf16 does\); use precision:"
            r" float32"
        ),
    ):
        Training(configuration, SEEDS, small_data(configuration))


@pytest.mark.parametrize("precision", ["tf32", "bfloat16"])
def test_a_gpu_that_is_not_there_has_no_precision_but_float32(monkeypatch: pytest.MonkeyPatch, precision: Any) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=f"precision is {precision}, and torch sees no GPU"):
        require_precision(precision, "cuda")


@pytest.mark.parametrize(("precision", "setting"), [("tf32", "high"), ("float32", "highest")])
def test_the_arithmetic_of_a_gpus_products_is_set_for_the_step_and_restored_even_after_an_error(
    precision: Any, setting: str
) -> None:
    """The setting is torch's own and can be made without a GPU."""
    torch.set_float32_matmul_precision("medium")
    try:
        with contextlib.suppress(KeyError), products_in(precision, torch.device("cuda")):
            assert torch.get_float32_matmul_precision() == setting
            raise KeyError
        assert torch.get_float32_matmul_precision() == "medium"
        with products_in(precision, torch.device("cpu")):
            assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("set_by_user", [set_by_newer_settings, set_by_older_settings])
@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_whatever_a_users_code_set_a_gpu_multiplies_as_the_study_says_and_the_user_finds_it_again(
    precision: Any, set_by_user: Callable[[], None]
) -> None:
    """In a process of its own, so that no other test has its settings."""
    program = f"""
import torch
from tests.support.gpu_arithmetic import {set_by_user.__name__}, settings_of_products
from vae.model.precision import products_in
{set_by_user.__name__}()
before = settings_of_products()
with products_in({precision!r}, torch.device("cuda")):
    with products_in("float32", "cuda"):
        inner = settings_of_products()
    outer = settings_of_products()
print(inner[1] != "tf32", inner[2:], outer[2:], settings_of_products()[: len(before)] == before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3]
    )
    setting, allowed = ("high", True) if precision == "tf32" else ("highest", False)
    assert done.stdout.strip() == f"True {(True, False, 'highest', False)} {(True, False, setting, allowed)} True"


@pytest.mark.parametrize("of_loss", [WrittenOut, Autograd])
def test_bfloat16_gradients_are_those_of_float64_within_the_rounding_of_products_and_no_nearer(
    of_loss: type[WrittenOut | Autograd],
) -> None:
    """bfloat16 rounds by 2^-9 = 0.2 %; a few roundings on the way, relative to the norm of each parameter's
    gradient."""
    exact, x, noise = model_and_minibatch(num_hidden_layers=2)
    rounded = copy.deepcopy(exact).float()
    Autograd(exact, "float32")(x, noise)
    of_loss(rounded, "bfloat16")(x.float(), noise.float())
    for found, wanted in zip(gradients(rounded), gradients(exact), strict=True):
        error = float(torch.linalg.vector_norm(found - wanted) / torch.linalg.vector_norm(wanted))
        assert 1e-5 < error < 0.03, error


def test_the_bound_of_bfloat16_products_is_rounded_in_them_and_summed_in_float32() -> None:
    """A loss of about 25 nats in bfloat16 would be a multiple of 1/8."""
    model, x, noise = model_and_minibatch(dtype=torch.float32)
    exact = float(Autograd(model, "float32")(x, noise))
    loss = Autograd(model, "bfloat16")(x, noise)
    assert loss.dtype == torch.float32
    assert float(loss) != float(loss.bfloat16())
    assert float(loss) == pytest.approx(exact, rel=2e-3)
    assert float(loss) != pytest.approx(exact, rel=1e-6)


@in_bfloat16
@pytest.mark.parametrize("model", MODELS)
def test_weights_gradients_and_moments_are_float32_under_bfloat16(model: str) -> None:
    configuration = small_configuration(precision="bfloat16", model=model)
    training = Training(configuration, SEEDS, small_data(configuration))
    training._train_step()
    held = [tensor for state in training.optimizer.state.values() for tensor in state.values()]
    tensors = [*training.model.parameters(), *gradients(training.model), *held]
    assert {tensor.dtype for tensor in tensors} == {torch.float32}
    weight = training.model.get_parameter("decoder.output.weight").detach()
    assert not torch.equal(weight, weight.bfloat16().float()), "the weights keep the digits that bfloat16 has not"


@in_bfloat16
@pytest.mark.parametrize("model", MODELS)
def test_bfloat16_weights_are_the_same_bits_however_often_interrupted(tmp_path: Path, model: str) -> None:
    fields = {"precision": "bfloat16", "model": model}
    assert interrupted_digest(tmp_path / "checkpoint", [3, 11, 38], **fields) == trained_digest(**fields)
    assert trained_digest(**fields) != trained_digest(model=model), "bfloat16 has another result than float32"


@in_bfloat16
def test_a_checkpoint_of_another_precision_is_not_taken_up(tmp_path: Path) -> None:
    interrupted = small_configuration()
    training = Training(interrupted, SEEDS, small_data(interrupted), checkpoint=tmp_path / "checkpoint")
    training._train_step()
    training.save()
    other = small_configuration(precision="bfloat16")
    assert Training(other, SEEDS, small_data(other), checkpoint=tmp_path / "checkpoint").step == 0


@in_bfloat16
@pytest.mark.parametrize("model", MODELS)
def test_two_hundred_steps_in_bfloat16_reach_the_bound_of_float32(model: str) -> None:
    """Products err by 0.2 %, at random. The bound is -17.5 nats here, after -19.8 at 50 steps; 0.001 nats of
    difference were seen."""
    fields: dict[str, Any] = {"budget_samples": 4_000, "num_evaluations": 1, "learning_rate": 3e-3, "model": model}
    wide, narrow = (
        trained(precision=precision, **fields).evaluations[-1].metrics["validation/lower_bound"]
        for precision in ("float32", "bfloat16")
    )
    assert narrow == pytest.approx(wide, abs=0.01)


@in_bfloat16
def test_bounds_of_a_bfloat16_training_are_evaluated_with_float32_products() -> None:
    configuration = small_configuration(precision="bfloat16")
    data = small_data(configuration)
    result = train(configuration, SEEDS, data)
    model = cast(LatentVariableModel, model_from_weights(result.weights, small_configuration(), data.num_pixels))
    assert data.validation is not None
    measured = evaluate_lower_bound(model, data.validation, "validation", SEEDS.evaluation, torch.device("cpu"))
    found = result.evaluations[-1].metrics
    assert {name: found[name] for name in measured} == pytest.approx(measured, rel=1e-6)


def test_a_bfloat16_model_gives_float32_for_any_leading_dimensions() -> None:
    model, x, _ = model_and_minibatch(dtype=torch.float32)
    mean, log_variance = multiplying_in("bfloat16", model).encode(x)
    logits: Tensor = multiplying_in("bfloat16", model).decode(mean.expand(2, 7, 3))
    assert mean.dtype == log_variance.dtype == logits.dtype == torch.float32
    assert logits.shape == (2, 7, 36)
    assert multiplying_in("float32", model) is model
    assert multiplying_in("tf32", model) is model
