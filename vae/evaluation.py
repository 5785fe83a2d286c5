"""Bounds over whole sets of images, on a stream of their own: how often one looks cannot change the training."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from vae.bound import combine_log_weights, log_importance_weights, lower_bound
from vae.configuration import TrainingConfiguration
from vae.minibatches import scale_pixels
from vae.model.network import LatentVariableModel
from vae.randomness import derive, generator, standard_normal

_IMAGES_PER_STREAM = 1_000
_ROWS_PER_STREAM = 5_000
"""So many images, or images x importance samples, take their noise from one stream."""
_ROWS_AT_ONCE = 500
"""Images x importance samples computed at once: 1.6 MB a layer of 784 float32, which nearly stays in the caches of a
core."""


@torch.no_grad()
def evaluate_lower_bound(
    model: LatentVariableModel, images: NDArray[np.uint8], name: str, seed: int, device: torch.device
) -> dict[str, float]:
    """`name`/lower_bound, /reconstruction and /kl: means over the images in nats per example, one latent sample
    each.

    The noise depends on the seed, `name` and the image's position alone, so that evaluations of one training differ
    by its weights only.
    """
    totals = torch.zeros(3, dtype=torch.float64, device=device)
    for start in range(0, len(images), _IMAGES_PER_STREAM):
        of_stream = images[start : start + _IMAGES_PER_STREAM]
        noise = torch.from_numpy(
            standard_normal(generator(derive(seed, name), start), len(of_stream), model.latent_dim)
        ).to(device)
        at_once = _rows_at_once(device)
        for first in range(0, len(of_stream), at_once):
            x = scale_pixels(of_stream[first : first + at_once]).to(device)
            terms = lower_bound(model, x, noise[first : first + at_once])
            totals += torch.stack([term.double().sum() for term in terms])
    return {
        f"{name}/{term}": float(total) / len(images)
        for term, total in zip(("lower_bound", "reconstruction", "kl"), totals, strict=True)
    }


@torch.no_grad()
def evaluate_importance_weighted_bound(
    model: LatentVariableModel,
    images: NDArray[np.uint8],
    configuration: TrainingConfiguration,
    seed: int,
    device: torch.device,
) -> dict[str, float]:
    """test/importance_weighted_bound over the first num_importance_images, in nats per example, and its Monte Carlo
    standard error."""
    num_samples = configuration.num_importance_samples
    chosen = images[: configuration.num_importance_images]
    at_once = max(1, _ROWS_PER_STREAM // num_samples)
    total, variance = 0.0, 0.0
    for start in range(0, len(chosen), at_once):
        x = scale_pixels(chosen[start : start + at_once]).to(device)
        random = generator(derive(seed, "importance"), start)
        noise = torch.from_numpy(random.standard_normal((num_samples, len(x), model.latent_dim), dtype=np.float32)).to(
            device
        )
        mean, log_variance = model.encode(x)
        samples = noise.split(max(1, _rows_at_once(device) // len(x)))
        bounds = combine_log_weights(
            torch.cat([log_importance_weights(model, x, mean, log_variance, part) for part in samples])
        )
        total += float(bounds.bound.double().sum())
        variance += float(bounds.standard_error.double().square().sum())
    measured = {"test/importance_weighted_bound": total / len(chosen)}
    if num_samples > 1:
        measured["test/importance_weighted_bound_standard_error"] = math.sqrt(variance) / len(chosen)
    return measured


def _rows_at_once(device: torch.device) -> int:
    return _ROWS_AT_ONCE if device.type == "cpu" else _ROWS_PER_STREAM
