"""Studies whose models and optimizers cannot work are refused while they are checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from study.spec.checks import study_faults
from study.spec.trials import trial_notes
from tests.support.faulty_studies import study_of
from tests.support.trainings import blobs

MODELS, OPTIMIZERS = "tests.support.users_models", "tests.support.users_optimizers"
SMALL: dict[str, Any] = {"hidden_units": 5, "latent_dim": 2, "batch_size": 10}


def faults(training: dict[str, Any], *optimizers: str) -> list[str]:
    """Of a study without a search."""
    factors = {"optimizer": [*optimizers, "adam"]}
    study = study_of(training=SMALL | training, factors=factors, search=None, claims=[])
    return [str(fault) for fault in study_faults(study)]


def test_an_optimizer_that_cannot_work_is_a_fault_of_its_factor() -> None:
    found = faults({}, "torch.optim:LBFGS", "torch.optim:Rprop")
    assert len(found) == 1
    assert found[0].startswith("factors.optimizer: 'torch.optim:LBFGS' needs a closure")


def test_an_optimizer_is_tried_at_both_ends_of_what_is_searched() -> None:
    space = {"when": {"optimizer": "torch.optim:SGD"}, "hyperparameters": {"momentum": {"low": -0.5, "high": 0.9}}}
    search = {"num_proposals": 3, "spaces": [space]}
    factors = {"optimizer": ["adam", "torch.optim:SGD"]}
    found = study_faults(study_of(training=SMALL, factors=factors, search=search, claims=[]))
    assert any("Invalid momentum value: -0.5" in str(fault) for fault in found), found


def test_a_model_is_tried_on_the_images_that_the_study_names(tmp_path: Path) -> None:
    np.save(tmp_path / "train_images.npy", blobs(60, 0)[:, :5])
    np.save(tmp_path / "test_images.npy", blobs(10, 1)[:, :5])
    model = f"{MODELS}:ConvolutionalModel"
    assert faults({"model": model}) == []
    found = faults({"model": model, "dataset": str(tmp_path)})
    assert len(found) == 1
    assert found[0].startswith(f"training.model: '{model}' cannot ")


def test_data_that_cannot_be_had_are_a_fault_of_the_dataset(tmp_path: Path) -> None:
    np.save(tmp_path / "train_images.npy", blobs(60, 0) // 255)
    np.save(tmp_path / "test_images.npy", blobs(10, 1) // 255)
    found = faults({"model": f"{MODELS}:OwnVAE", "dataset": str(tmp_path)})
    assert len(found) == 1
    assert found[0].startswith(f"training.dataset: {tmp_path}: the training images are uint8 from 0 to 1")


@pytest.mark.parametrize("model", ["SigmoidAtTheEnd", "OwnVAE"])
def test_what_a_person_should_look_at_is_noted_once(model: str) -> None:
    study = study_of(training=SMALL | {"model": f"{MODELS}:{model}"}, claims=[])
    assert len(trial_notes(study)) == (model == "SigmoidAtTheEnd")
