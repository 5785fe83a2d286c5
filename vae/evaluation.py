"""Bounds over whole sets of images, on a stream of their own: how often one looks cannot change the training."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from vae.bound import BoundTerms, combine_log_weights, log_importance_weights, lower_bound
from vae.configuration import TrainingConfiguration
from vae.minibatches import Images, PreparedData, scale_pixels
from vae.model.network import LatentVariableModel, in_evaluation_mode
from vae.streams import IMAGES_PER_STREAM, fill_evaluation_noise, importance_noise

_ROWS_PER_STREAM = 5_000
"""So many images x importance samples take their noise from one stream."""
_ROWS_AT_ONCE = 250
"""Images x importance samples computed at once: 0.8 MB a layer of 784 float32, which a core's caches nearly hold; fewer
have more pixels in common that are 0, and more that is not their products."""


def evaluated_sets(data: PreparedData, configuration: TrainingConfiguration, is_last: bool) -> dict[str, Images]:
    """The sets of images, by name, whose lower bound an evaluation measures: the test set in every one where there is
    a test curve, else in the last where it is to be read at the end."""
    sets = {"train": data.train_evaluation, "validation": data.validation}
    if configuration.test_curve or (is_last and configuration.test_at_end):
        sets["test"] = data.test
    return {name: images for name, images in sets.items() if images is not None}


@torch.no_grad()
def evaluate_lower_bound(
    model: LatentVariableModel, images: NDArray[np.uint8], name: str, seed: int, device: torch.device
) -> dict[str, float]:
    """`name`/lower_bound, /reconstruction and /kl: means over images in nats per example, one latent sample each.

    The noise depends on the seed, `name` and the image's position alone, so that evaluations of one training differ
    by its weights only.
    """
    totals = torch.zeros(len(BoundTerms._fields), dtype=torch.float64, device=device)
    at_once = _rows_at_once(device)
    with in_evaluation_mode(model):
        for start in range(0, len(images), IMAGES_PER_STREAM):
            of_stream = images[start : start + IMAGES_PER_STREAM]
            drawn = np.empty((model.latent_dim, len(of_stream)), np.float32)
            fill_evaluation_noise(seed, name, start, drawn)
            noise = torch.from_numpy(drawn.T).to(device)
            for first in range(0, len(of_stream), at_once):
                x = scale_pixels(of_stream[first : first + at_once]).to(device)
                terms = lower_bound(model, x, noise[first : first + at_once])
                totals += torch.stack([term.double().sum() for term in terms])
    return named_means(name, (totals / len(images)).tolist())


def named_means(name: str, means: Sequence[float]) -> dict[str, float]:
    """The means of the terms of the bound, in nats per example, under the names of their metrics."""
    return {f"{name}/{term}": mean for term, mean in zip(BoundTerms._fields, means, strict=True)}


@torch.no_grad()
def evaluate_importance_weighted_bound(
    model: LatentVariableModel,
    images: NDArray[np.uint8],
    configuration: TrainingConfiguration,
    seed: int,
    device: torch.device,
) -> dict[str, float]:
    """Mean bound of the first num_importance_images test images, in nats, and its Monte Carlo standard error."""
    num_samples = configuration.num_importance_samples
    chosen = images[: configuration.num_importance_images]
    at_once = max(1, _ROWS_PER_STREAM // num_samples)
    total, variance = 0.0, 0.0
    with in_evaluation_mode(model):
        for start in range(0, len(chosen), at_once):
            x = scale_pixels(chosen[start : start + at_once]).to(device)
            noise = torch.from_numpy(importance_noise(seed, start, num_samples, len(x), model.latent_dim)).to(device)
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
