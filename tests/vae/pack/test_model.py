"""A user's model in a pack: trained as it would be alone, or refused before anything starts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.support.packs import PACK_SEEDS, assert_same_within_rounding, packed
from tests.support.trainings import small_configuration, small_data
from tests.support.users_models import ConvolutionalModel
from vae.configuration import TrainingConfiguration
from vae.pack.model import require_packable_model
from vae.pack.shape import PackError
from vae.randomness import Seeds
from vae.training import train

SEEDS = tuple(Seeds.from_root(root) for root in range(2))


class _Linear(nn.Module):
    """The least of a model; those below spoil it in one way each."""

    def __init__(self, num_pixels: int, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.mean = nn.Linear(num_pixels, latent_dim)
        self.output = nn.Linear(latent_dim, num_pixels)
        self.spoil(num_pixels)

    def spoil(self, num_pixels: int) -> None:
        """Nothing."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = self.mean(x)
        return mean, torch.zeros_like(mean)

    def decode(self, z: Tensor) -> Tensor:
        logits: Tensor = self.output(z)
        return logits


class RunningStatisticsModel(_Linear):
    def spoil(self, num_pixels: int) -> None:
        self.normalisation = nn.BatchNorm1d(num_pixels)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return super().encode(self.normalisation(x))


class DropoutModel(_Linear):
    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return super().encode(torch.dropout(x, 0.5, True))


class BranchingModel(_Linear):
    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return super().encode(x if float(x.mean()) >= 0 else -x)


class CountingModel(_Linear):
    def spoil(self, num_pixels: int) -> None:
        self.seen: Tensor
        self.register_buffer("seen", torch.zeros(()))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.seen.add_(1)
        return super().encode(x)


def _configuration(model: type[nn.Module], **fields: Any) -> TrainingConfiguration:
    return small_configuration(model=f"{model.__module__}:{model.__name__}", budget_samples=200, **fields)


@pytest.mark.parametrize(
    "changes", [{"optimizer": "adam"}, {"optimizer": "nesterov"}, {"optimizer": "rmsprop"}], ids=str
)
def test_a_user_s_model_trains_in_a_pack_as_it_would_alone(changes: dict[str, Any]) -> None:
    """All names of its state come back, a weight under both of its names among them."""
    configuration = _configuration(ConvolutionalModel, **changes)
    data = small_data(configuration)
    for seeds, member in zip(SEEDS, packed(configuration, SEEDS), strict=True):
        alone = train(configuration, seeds, data)
        assert member.weights.keys() == alone.weights.keys()
        for name, weight in alone.weights.items():
            difference = float((member.weights[name] - weight).abs().max())
            assert difference <= 1e-4, f"{name} differs by {difference}"
        assert member.evaluations[-1].metrics == pytest.approx(alone.evaluations[-1].metrics, abs=1e-3)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (RunningStatisticsModel, r"its buffer 'normalisation\.\w+' changes"),
        (DropoutModel, "random"),
        (BranchingModel, "item"),
        (CountingModel, "its buffer 'seen' changes"),
    ],
)
def test_a_model_that_cannot_be_packed_is_refused_by_name_with_the_reason(model: type[nn.Module], reason: str) -> None:
    configuration = _configuration(model)
    with pytest.raises(
        PackError,
        match=rf"model '.*:{model.__name__}' cannot be trained as a pack, train it by itself.*{reason}",
    ):
        require_packable_model(configuration, 36)
    with pytest.raises(PackError):
        packed(configuration, SEEDS)


def test_the_project_s_own_model_can_be_packed() -> None:
    require_packable_model(small_configuration(num_hidden_layers=3), 36)


def test_a_pack_measures_a_model_with_modes_as_it_is_kept() -> None:
    configuration = small_configuration(model="tests.support.users_models:LouderInTraining", test_at_end=True)
    for seed, result in zip(PACK_SEEDS, packed(configuration), strict=True):
        assert_same_within_rounding(result, train(configuration, seed, small_data(configuration)))
