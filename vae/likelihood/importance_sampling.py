"""log p(x) per image by importance sampling with the encoder's posterior, resumable, on several threads."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vae.bound import log_importance_weights
from vae.checkpoint import weights_digest
from vae.disk import sha256_of
from vae.likelihood.estimates import (
    LogLikelihood,
    ReportProgress,
    WeightSums,
    check_request,
    ignore_progress,
    joined,
    log_pixels,
)
from vae.likelihood.partial_estimates import PartialEstimates
from vae.likelihood.pixel_sums import PixelSums
from vae.minibatches import scale_pixels
from vae.model.network import VAE, Decoder, LatentVariableModel
from vae.model.precision import products_in
from vae.randomness import derive, generator

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
    if num_threads is not None and num_threads < 1:
        raise ValueError(f"num_threads is {num_threads}; it must be at least 1")
    bound_to = _facts(model, images, num_samples, seed) if resume else {}
    partial = PartialEstimates(resume, bound_to, len(images), len(LogLikelihood._fields))
    groups = [slice(start, min(start + images_at_once, len(images))) for start in range(0, len(images), images_at_once)]
    missing = [group for group in groups if not partial.has(group)]
    done = len(images) - sum(group.stop - group.start for group in missing)
    request = _Request(model, images, num_samples, seed, samples_at_once, torch.device(device))
    try:
        for group, estimate in _each(request, missing, num_threads or torch.get_num_threads()):
            partial.put(group, torch.stack(estimate))
            done += group.stop - group.start
            report(done, len(images))
    finally:
        partial.save()
    return LogLikelihood(*partial.numbers)


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
        if type(self.model) is not VAE or type(self.model.decoder) is not Decoder or self.device.type != "cpu":
            return False
        is_float32 = self.model.decoder.output.weight.dtype == torch.float32
        return is_float32 and bool(np.isin(self.images, (0, 255)).all())

    def streams(self, group: slice) -> list[np.random.Generator]:
        """The random stream of each image of a group."""
        return [generator(derive(self.seed, "likelihood", position)) for position in range(group.start, group.stop)]


def request_digest(model: LatentVariableModel, images: NDArray[np.uint8], num_samples: int, seed: int) -> str:
    """sha256 of all that `estimate_log_likelihood` depends on but rounding: a name for the file to resume from."""
    return sha256_of(repr(_facts(model, images, num_samples, seed)).encode())


def _facts(model: LatentVariableModel, images: NDArray[np.uint8], num_samples: int, seed: int) -> dict[str, str]:
    """What a file to resume from is bound to. A module's text has its activations, which no weight shows."""
    assert isinstance(model, nn.Module)
    text = re.sub(r" at 0x[0-9a-f]+", "", f"{type(model).__module__} {model!r}")
    return {
        "weights": weights_digest(model.state_dict()),
        "model": sha256_of(text.encode()),
        "images": sha256_of(f"{images.shape}".encode() + np.ascontiguousarray(images).tobytes()),
        "num_samples": str(num_samples),
        "seed": str(seed),
    }


def _each(request: _Request, groups: Sequence[slice], num_threads: int) -> Iterator[tuple[slice, LogLikelihood]]:
    """The estimates of every group of images, as they come."""
    if not request.has_pixel_sums():
        yield from ((group, _sample(request, group)) for group in groups)
        return
    with ThreadPoolExecutor(num_threads, "likelihood", _become_one_of_many) as pool:
        futures = {pool.submit(_sample_by_pixel_sums, request, group): group for group in groups}
        try:
            yield from ((futures[future], future.result()) for future in as_completed(futures))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _become_one_of_many() -> None:
    """One thread of its own, so that sums have one order, and denormals flushed, so that they cost nothing."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


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
