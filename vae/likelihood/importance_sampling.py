"""log p(x) per image by importance sampling with the encoder's posterior, resumable, on several threads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vae.bound import log_importance_weights
from vae.likelihood.estimates import (
    LogLikelihood,
    ReportProgress,
    WeightSums,
    check_request,
    ignore_progress,
    joined,
    log_pixels,
)
from vae.likelihood.image_groups import checked_threads, estimate_groups, partial_estimates, streams_of
from vae.likelihood.pixel_sums import PixelSums
from vae.likelihood.transposed_decoder import has_transposed_decoder
from vae.minibatches import scale_pixels
from vae.model.network import VAE, LatentVariableModel, in_evaluation_mode
from vae.model.precision import products_in

_COLUMNS_AT_ONCE = 500
"""Latents decoded at once by PixelSums: 1.6 MB of logits nearly fit a core's caches; 500 to 1,000 were the quickest."""
_SAMPLES_AT_ONCE = 5_000
"""Of one image, between two additions to its sums."""


def estimate_log_likelihood(
    model: LatentVariableModel,
    images: NDArray[np.uint8],
    num_samples: int,
    seed: int,
    *,
    images_at_once: int = 10,
    samples_at_once: int = 100,
    device: str | torch.device = "cpu",
    num_threads: int | None = None,
    resume: Path | None = None,
    report: ReportProgress = ignore_progress,
) -> LogLikelihood:
    """log (1/K) sum_k p(x, z_k) / q(z_k|x), K = num_samples, z_k from the encoder (Burda et al. 2016, eq. 8).

    In expectation a lower bound on log p(x), reached as K grows. Noise depends on the seed, the image's position and
    the sample alone: how many images and samples are taken at once bounds the memory and changes rounding only.

    The project's own VAE on a CPU takes `num_threads` groups of images at a time, one thread each (by default as
    many as torch has), with the same bits for any number; another model takes one group after the other, with
    torch's own threads. `resume` names a file that keeps what is done, so that the same call goes on where an
    earlier one ended; ValueError where it holds another request's.
    """
    check_request(images, num_samples)
    threads = checked_threads(num_threads)
    request = _Request(model, images, num_samples, seed, samples_at_once, torch.device(device))
    by_pixel_sums = request.has_pixel_sums()
    sample = _sample_by_pixel_sums if by_pixel_sums else _sample
    with in_evaluation_mode(model):
        numbers = estimate_groups(
            lambda group, _: torch.stack(sample(request, group)),
            len(images),
            images_at_once,
            partial_estimates(model, images, seed, {"num_samples": num_samples}, len(LogLikelihood._fields), resume),
            threads if by_pixel_sums else None,
            report,
        )
    return LogLikelihood(*numbers)


@dataclass(frozen=True)
class _Request:
    """What importance sampling is asked for."""

    model: LatentVariableModel
    images: NDArray[np.uint8]
    num_samples: int
    seed: int
    samples_at_once: int
    device: torch.device

    def has_pixel_sums(self) -> bool:
        """Whether the model and the images are such that `PixelSums` is right for them, and worth it."""
        return has_transposed_decoder(self.model, self.device) and bool(np.isin(self.images, (0, 255)).all())

    def streams(self, group: slice) -> list[np.random.Generator]:
        """The random stream of each image of a group."""
        return streams_of(group, self.seed, "likelihood")


@torch.no_grad()
def _sample(request: _Request, group: slice) -> LogLikelihood:
    x = scale_pixels(request.images[group]).to(request.device)
    streams = request.streams(group)
    sums = WeightSums(len(x))
    with products_in("float32", request.device):
        mean, log_variance = request.model.encode(x)
        for done in range(0, request.num_samples, request.samples_at_once):
            shape = (min(request.samples_at_once, request.num_samples - done), request.model.latent_dim)
            drawn = np.stack([stream.standard_normal(shape, dtype=np.float32) for stream in streams], 1)
            noise = torch.from_numpy(drawn).to(request.device)
            sums.add(log_importance_weights(request.model, x, mean, log_variance, noise))
    return sums.estimate()


@torch.no_grad()
def _sample_by_pixel_sums(request: _Request, group: slice) -> LogLikelihood:
    """The same numbers but for rounding, an image after the other, in a fraction of the time."""
    assert isinstance(request.model, VAE)
    pixels = PixelSums(request.model.decoder, _COLUMNS_AT_ONCE)
    images = scale_pixels(request.images[group])
    encoded = request.model.encode(images)
    estimates = []
    for x, mean, log_variance, stream in zip(images, *encoded, request.streams(group), strict=True):
        pixels.see(x)
        sums = WeightSums(1)
        for done in range(0, request.num_samples, _SAMPLES_AT_ONCE):
            shape = (min(_SAMPLES_AT_ONCE, request.num_samples - done), len(mean))
            noise = torch.from_numpy(stream.standard_normal(shape, dtype=np.float32))
            z = mean + torch.exp(0.5 * log_variance) * noise
            # log p(z) - log q(z|x): the constants cancel
            log_prior_ratio = 0.5 * (noise.square() - z.square() + log_variance).sum(1)
            sums.add((_log_pixels_of_one(request.model, pixels, x, z) + log_prior_ratio)[:, None])
        estimates.append(sums.estimate())
    return joined(estimates)


def _log_pixels_of_one(model: VAE, pixels: PixelSums, x: Tensor, z: Tensor) -> Tensor:
    """log p(x|z) [n] of latents z [n, latent]; what underflows in products of pixels is summed pixel by pixel."""
    sums = pixels.of(torch.cat([z.t(), z.new_ones(1, len(z))]))
    underflown = ~torch.isfinite(sums)
    if underflown.any():
        sums[underflown] = log_pixels(model, x, z[underflown])
    return sums
