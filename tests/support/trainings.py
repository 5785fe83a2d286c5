"""Small data, small configurations, what comes of training them, and models whose exact log likelihood is known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vae.checkpoint import weights_digest
from vae.configuration import TrainingConfiguration
from vae.data.dataset import Dataset, dataset_from_arrays
from vae.densities import bernoulli_log_density, standard_gaussian_log_density
from vae.minibatches import PreparedData, prepare
from vae.model.network import LatentVariableModel
from vae.randomness import Seeds
from vae.training import Training, TrainingResult, train

SIDE = 6
SEEDS = Seeds.from_root(7)


def blobs(num: int, seed: int) -> NDArray[np.uint8]:
    """Grey images [num, 6, 6] of one soft spot each, its place and width drawn by `seed`."""
    random = np.random.default_rng(seed)
    place = random.uniform(0, SIDE - 1, (num, 2, 1, 1))
    width = random.uniform(0.8, 1.6, (num, 1, 1))
    rows, columns = np.mgrid[:SIDE, :SIDE]
    squared = (rows - place[:, 0]) ** 2 + (columns - place[:, 1]) ** 2
    images: NDArray[np.uint8] = (255 * np.exp(-squared / (2 * width**2))).round().astype(np.uint8)
    return images


def small_dataset(num_train: int = 360, num_test: int = 40) -> Dataset:
    """Deterministic images: 300 to train on, 60 to validate, 40 to test."""
    return dataset_from_arrays("blobs", blobs(num_train, 0), blobs(num_test, 1))


def small_configuration(**fields: Any) -> TrainingConfiguration:
    """A configuration that trains in a blink; optimizer and model arguments may stand beside the other fields."""
    small: dict[str, Any] = {
        "hidden_units": 12,
        "latent_dim": 2,
        "batch_size": 20,
        "budget_samples": 1_000,
        "num_evaluations": 2,
    }
    return TrainingConfiguration.from_flat(small | fields)


def small_data(configuration: TrainingConfiguration) -> PreparedData:
    """The small dataset as `configuration` uses it."""
    return prepare(small_dataset(), configuration)


def trained(**fields: Any) -> TrainingResult:
    """The result of the small configuration with these fields."""
    configuration = small_configuration(**fields)
    return train(configuration, SEEDS, small_data(configuration))


def trained_digest(**fields: Any) -> str:
    """The digest of the weights of that training."""
    return weights_digest(trained(**fields).weights)


def interrupted_digest(checkpoint: Path, stops: list[int], **fields: Any) -> str:
    """The digest after a training that stopped at these steps, each time continued by a new one from its checkpoint."""
    configuration = small_configuration(**fields)
    for stop in stops:
        training = Training(configuration, SEEDS, small_data(configuration), checkpoint=checkpoint)
        for _ in training.run(pause_every_seconds=0):
            if training.step >= stop:
                break
        training.save()
    training = Training(configuration, SEEDS, small_data(configuration), checkpoint=checkpoint)
    assert training.step >= stops[-1], "it continued, and did not start again"
    for _ in training.run():
        pass
    assert training.result is not None
    return weights_digest(training.result.weights)


class CurvedModel(nn.Module):
    """A few latent dimensions, 24 pixels, a decoder that is not linear, an encoder that is only roughly right; in
    float64.

    Counts how many images its encoder and its decoder have seen.
    """

    def __init__(self, latent_dim: int = 1, num_pixels: int = 24, seed: int = 0, strength: float = 1.5) -> None:
        super().__init__()
        stream = torch.Generator().manual_seed(seed)

        def draw(*shape: int) -> nn.Parameter:
            return nn.Parameter(strength * torch.randn(*shape, generator=stream, dtype=torch.float64))

        self.latent_dim = latent_dim
        self.loadings, self.bias = draw(latent_dim, num_pixels), draw(num_pixels)
        self.encoding = nn.Parameter(self.loadings.detach().T.clone() / num_pixels)
        self.log_variance = nn.Parameter(torch.full((latent_dim,), math.log(0.4), dtype=torch.float64))
        self.encoded_images = 0
        self.most_decoded_at_once = 0

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        self.encoded_images += x.shape[:-1].numel()
        mean = (x.to(torch.float64) - 0.5) @ self.encoding
        return mean, self.log_variance.expand_as(mean)

    def decode(self, z: Tensor) -> Tensor:
        self.most_decoded_at_once = max(self.most_decoded_at_once, z.shape[:-1].numel())
        return (
            torch.tanh(z.to(torch.float64)) @ self.loadings
            + 0.3 * z.to(torch.float64).square().sum(-1, keepdim=True)
            + self.bias
        )


@torch.no_grad()
def drawn_images(model: CurvedModel, num: int, seed: int = 0) -> NDArray[np.uint8]:
    """Binary images [num, pixels] as bytes 0 or 255, drawn from the model."""
    stream = torch.Generator().manual_seed(seed)
    z = torch.randn(num, model.latent_dim, generator=stream, dtype=torch.float64)
    pixels: NDArray[np.uint8] = (
        torch.bernoulli(torch.sigmoid(model.decode(z)), generator=stream).mul(255).to(torch.uint8).numpy()
    )
    return pixels


@torch.no_grad()
def quadrature_log_likelihood(
    model: LatentVariableModel, x: Tensor, half_width: float = 9.0, num_nodes: int | None = None
) -> Tensor:
    """log p(x) [n] by the trapezoid rule over the latent space of one or two dimensions.

    The integrand is smooth and vanishes at the ends, where the rule converges faster than any power of the step.
    """
    num = num_nodes or (2_001 if model.latent_dim == 1 else 181)
    axis = torch.linspace(-half_width, half_width, num, dtype=torch.float64)
    z = torch.cartesian_prod(*[axis] * model.latent_dim).view(-1, model.latent_dim)
    log_step = model.latent_dim * math.log(2 * half_width / (num - 1))
    log_prior = standard_gaussian_log_density(z).sum(-1)
    logits = model.decode(z)
    return (
        torch.stack([torch.logsumexp(log_prior + bernoulli_log_density(image, logits).sum(-1), 0) for image in x])
        + log_step
    )
