"""What a trial of a user's model and optimizer finds: one sentence for what cannot work, nothing for the rest."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.trainings import small_configuration
from vae.trial import try_out

MODELS, OPTIMIZERS = "tests.support.users_models", "tests.support.users_optimizers"


def tried(num_pixels: int = 36, **fields: Any) -> tuple[str, str, tuple[str, ...]]:
    """The field at fault, the fault, and the notes."""
    trial = try_out(small_configuration(**fields), num_pixels)
    return (str(trial.fault.path[0]), trial.fault.text, trial.notes) if trial.fault else ("", "", trial.notes)


@pytest.mark.parametrize(
    ("optimizer", "told"),
    [
        ("torch.optim:LBFGS", "needs a closure"),
        (f"{OPTIMIZERS}:NeedsClosure", "needs a closure"),
        ("torch.optim:SparseAdam", "cannot take a step: RuntimeError: SparseAdam does not support dense gradients"),
        ("torch.optim:Muon", "cannot be built for the parameters of 'vae': ValueError: Muon only supports 2D"),
        (f"{OPTIMIZERS}:NeedsMore", "missing 1 required positional argument: 'num_epochs'"),
        (
            f"{OPTIMIZERS}:KeepsList",
            "cannot be kept in a checkpoint: CheckpointError: the optimizer keeps 'factors'",
        ),
        (f"{OPTIMIZERS}:CountsItself", "goes on otherwise from a checkpoint"),
    ],
)
def test_an_optimizer_that_cannot_work_is_told_in_one_sentence(optimizer: str, told: str) -> None:
    field, text, _ = tried(optimizer=optimizer)
    assert field == "optimizer"
    assert text.startswith(repr(optimizer))
    assert told in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("model", "told"),
    [
        ("UnbuiltModel", "cannot be built: AssertionError: images must be 32 x 32"),
        ("OneLogit", "to logits of shape [2, 3, 1]; it must be [2, 3, 36]"),
        ("OneLogVariance", "returns a log variance of shape [3, 1]; it must be [3, 2]"),
        ("ThreeResults", "too many values to unpack"),
        ("FlatLatentsOnly", "cannot encode and decode images: ValueError: latents must be [batch, latent]"),
        ("WithoutRunningStatistics", "Batch normalisation needs running statistics"),
        ("Forgetful", "goes on otherwise from a checkpoint"),
    ],
)
def test_a_model_that_cannot_work_is_told_in_one_sentence(model: str, told: str) -> None:
    field, text, _ = tried(model=f"{MODELS}:{model}")
    assert field == "model"
    assert text.startswith(f"'{MODELS}:{model}'")
    assert told in text


def test_the_real_shapes_are_tried() -> None:
    """A convolution that wants a square image, and batch normalisation that wants more than one."""
    assert tried(model=f"{MODELS}:ConvolutionalModel", num_pixels=36) == ("", "", ())
    assert tried(model=f"{MODELS}:ConvolutionalModel", num_pixels=37)[0] == "model"
    field, text, _ = tried(model=f"{MODELS}:BatchNormModel", batch_size=1)
    assert field == "model"
    assert "has no gradient on a minibatch of 1: ValueError: Expected more than 1 value per channel" in text


@pytest.mark.parametrize(
    "fields",
    [
        {"optimizer": "torch.optim:Adafactor"},
        {"optimizer": "torch.optim:Rprop"},
        {"optimizer": f"{OPTIMIZERS}:OwnRate", "learning_rate_schedule": "steps", "learning_rate_milestones": [0.5]},
        {"optimizer": f"{OPTIMIZERS}:Averaging"},
        {"optimizer": f"{OPTIMIZERS}:Decaying"},
        {"optimizer": f"{OPTIMIZERS}:TensorInGroup"},
        {"model": f"{MODELS}:OwnVAE", "precision": "bfloat16", "pixels": "dynamic", "weight_prior": True},
        {"model": f"{MODELS}:BatchNormModel", "optimizer": f"{OPTIMIZERS}:Averaging"},
        {"model": f"{MODELS}:FrozenBatchNormModel"},
        {"model": f"{MODELS}:LouderInTraining", "batch_size": 1},
        {"optimizer": "torch.optim:SGD", "learning_rate": 1e3},
    ],
)
def test_nothing_is_said_of_what_works_or_diverges(fields: dict[str, Any]) -> None:
    assert tried(**fields) == ("", "", ())


def test_an_optimizer_that_wants_every_gradient_is_told_where_the_model_has_an_unused_weight() -> None:
    assert tried(optimizer=f"{OPTIMIZERS}:WantsGradients") == ("", "", ())
    fields = {"optimizer": f"{OPTIMIZERS}:WantsGradients", "model": f"{MODELS}:ConvolutionalModel"}
    assert "cannot take a step: TypeError" in tried(**fields)[1]  # type: ignore[arg-type]


def test_logits_that_all_lie_between_0_and_1_are_asked_about() -> None:
    _, text, notes = tried(model=f"{MODELS}:SigmoidAtTheEnd")
    assert text == ""
    assert len(notes) == 1
    assert "Does it end in a sigmoid?" in notes[0]


def test_random_numbers_of_its_own_are_said() -> None:
    _, text, notes = tried(model=f"{MODELS}:Dropping")
    assert text == ""
    assert len(notes) == 1
    assert "the same seed does not give the same result" in notes[0]
