"""Estimates of log p(x) per image, in nats: importance sampling, annealed importance sampling, the paper's appendix
D.

They are log-likelihoods of binary pixels (0 or 255) alone: for grey pixels p(x|z) is no probability of x, and
neither is what comes out. Images are bytes [n, pixels]; the model and the noise are float32, sums of weights
float64.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vae.bound import log_importance_weights
from vae.checkpoint import weights_digest
from vae.densities import bernoulli_log_density, standard_gaussian_log_density
from vae.disk import sha256_of
from vae.likelihood.hmc import Chains, start_chains, transition
from vae.likelihood.partial_estimates import PartialEstimates
from vae.likelihood.pixel_sums import PixelSums
from vae.minibatches import scale_pixels
from vae.model.network import VAE, Decoder, LatentVariableModel
from vae.model.precision import products_in
from vae.randomness import derive, generator

Report = Callable[[int, int], None]
"""Told how many of how many images are done."""

Schedule = Literal["linear", "sigmoid"]

MOST_LATENT_DIMENSIONS = 4
"""The paper uses its estimator below 5 dimensions; above, a fitted density misses the posterior (appendix D)."""

_SIGMOID_SPAN = 4.0  # Wu et al. 2017, section 2.2: beta_t from sigmoid(-4) to sigmoid(4), rescaled to [0, 1]
_FIRST_STEP_SIZE = 0.1
_COLUMNS_AT_ONCE = 500
"""Latents decoded at once by PixelSums: 1.6 MB of logits, which a core's caches nearly hold; 500 to 1,000 were the
quickest."""
_SAMPLES_AT_ONCE = 5_000
"""Of one image, between two additions to its sums."""


class LogLikelihood(NamedTuple):
    """Per image, each [n] in float64: the estimate in nats, its Monte Carlo standard error by the delta method, and
    the effective number of samples (sum w)^2 / sum w^2. A standard error is too small where the effective number is
    near 1."""

    log_likelihood: Tensor
    standard_error: Tensor
    effective_sample_size: Tensor


class WeightSums:
    """Sums of weights and of their squares per image [n], kept as logarithms: any number of log weights in bounded
    memory."""

    def __init__(self, num_images: int) -> None:
        self._log_sum = torch.full((num_images,), -math.inf, dtype=torch.float64)
        self._log_sum_squares = self._log_sum.clone()
        self._num = 0

    def add(self, log_weights: Tensor) -> None:
        """Takes in log weights [samples, n]."""
        weights = log_weights.detach().double().cpu()
        self._log_sum = torch.logaddexp(self._log_sum, torch.logsumexp(weights, 0))
        self._log_sum_squares = torch.logaddexp(self._log_sum_squares, torch.logsumexp(2 * weights, 0))
        self._num += len(weights)

    def estimate(self) -> LogLikelihood:
        """The log of the mean weight; with one weight its standard error is infinite."""
        effective = torch.exp(2 * self._log_sum - self._log_sum_squares)
        relative_variance = (
            (self._num / effective - 1).clamp_min(0) / (self._num - 1)
            if self._num > 1
            else torch.full_like(effective, math.inf)
        )
        return LogLikelihood(self._log_sum - math.log(self._num), relative_variance.sqrt(), effective)


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
    report: Report | None = None,
) -> LogLikelihood:
    """log (1/K) sum_k p(x, z_k) / q(z_k|x), K = num_samples, z_k from the encoder (Burda et al. 2016, eq. 8, as an
    estimate).

    In expectation a lower bound on log p(x), reached as K grows. Noise depends on the seed, the image's position and
    the sample alone: how many images and samples are taken at once bounds the memory and changes rounding only.

    The project's own VAE on a CPU takes `num_threads` groups of images at a time, one thread each (by default as
    many as torch has), with the same bits for any number; another model takes one group after the other, with
    torch's own threads. `resume` names a file that keeps what is done, so that the same call goes on where an
    earlier one ended; ValueError where it holds another request's.
    """
    _check(images, num_samples)
    if num_threads is not None and num_threads < 1:
        raise ValueError(f"num_threads is {num_threads}; it must be at least 1")
    kept = PartialEstimates(
        resume, _request(model, images, num_samples, seed) if resume else {}, len(images), len(LogLikelihood._fields)
    )
    groups = [slice(start, min(start + images_at_once, len(images))) for start in range(0, len(images), images_at_once)]
    request = _Sampling(model, images, num_samples, seed, samples_at_once, torch.device(device))
    done = len(images) - sum(group.stop - group.start for group in groups if not kept.has(group))
    try:
        for group, estimate in _each(
            request, [group for group in groups if not kept.has(group)], num_threads or torch.get_num_threads()
        ):
            kept.put(group, torch.stack(estimate))
            done += group.stop - group.start
            _tell(report, done, len(images))
    finally:
        kept.save()
    return LogLikelihood(*kept.numbers)


@dataclass(frozen=True)
class _Sampling:
    """What importance sampling is asked for."""

    model: LatentVariableModel
    images: NDArray[np.uint8]
    num_samples: int
    seed: int
    samples_at_once: int
    device: torch.device

    def has_pixel_sums(self) -> bool:
        """Whether the model and the images are such that `PixelSums` is right for them, and worth it."""
        own = (
            type(self.model) is VAE
            and type(self.model.decoder) is Decoder
            and self.model.decoder.output.weight.dtype == torch.float32
        )
        return own and self.device.type == "cpu" and bool(np.isin(self.images, (0, 255)).all())


def request_digest(model: LatentVariableModel, images: NDArray[np.uint8], num_samples: int, seed: int) -> str:
    """sha256 of all that `estimate_log_likelihood` depends on but rounding: a name for the file that it resumes
    from."""
    return sha256_of(repr(_request(model, images, num_samples, seed)).encode())


def _request(model: LatentVariableModel, images: NDArray[np.uint8], num_samples: int, seed: int) -> dict[str, str]:
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


def _each(request: _Sampling, groups: Sequence[slice], num_threads: int) -> Iterator[tuple[slice, LogLikelihood]]:
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
    """This thread alone computes with one thread, so that sums have one order, and flushes denormals, so that they
    cost nothing."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


@torch.no_grad()
def _sample(request: _Sampling, group: slice) -> LogLikelihood:
    x = scale_pixels(request.images[group]).to(request.device)
    streams = _streams(request, group)
    sums = WeightSums(len(x))
    with products_in("float32", request.device):
        mean, log_variance = request.model.encode(x)
        for done in range(0, request.num_samples, request.samples_at_once):
            shape = (min(request.samples_at_once, request.num_samples - done), request.model.latent_dim)
            noise = np.stack([stream.standard_normal(shape, dtype=np.float32) for stream in streams], 1)
            sums.add(
                log_importance_weights(request.model, x, mean, log_variance, torch.from_numpy(noise).to(request.device))
            )
    return sums.estimate()


@torch.no_grad()
def _sample_by_pixel_sums(request: _Sampling, group: slice) -> LogLikelihood:
    """The same numbers but for rounding, an image after the other, in a fraction of the time."""
    assert isinstance(request.model, VAE)
    pixels = PixelSums(request.model.decoder, _COLUMNS_AT_ONCE)
    images = scale_pixels(request.images[group])
    estimates = []
    for x, mean, log_variance, stream in zip(
        images, *request.model.encode(images), _streams(request, group), strict=True
    ):
        pixels.see(x)
        sums = WeightSums(1)
        for done in range(0, request.num_samples, _SAMPLES_AT_ONCE):
            noise = torch.from_numpy(
                stream.standard_normal((min(_SAMPLES_AT_ONCE, request.num_samples - done), len(mean)), dtype=np.float32)
            )
            z = mean + torch.exp(0.5 * log_variance) * noise
            log_prior_ratio = 0.5 * (noise.square() - z.square() + log_variance).sum(
                1
            )  # log p(z) - log q(z|x): the constants cancel
            sums.add((_log_pixels_of_one(request.model, pixels, x, z) + log_prior_ratio)[:, None])
        estimates.append(sums.estimate())
    return _joined(estimates)


def _log_pixels_of_one(model: VAE, pixels: PixelSums, x: Tensor, z: Tensor) -> Tensor:
    """log p(x|z) [n] of latents z [n, latent]; what underflows in products of pixels is summed pixel by pixel."""
    found = pixels.of(torch.cat([z.t(), z.new_ones(1, len(z))]))
    lost = ~torch.isfinite(found)
    if lost.any():
        found[lost] = _log_pixels(model, x, z[lost])
    return found


def _streams(request: _Sampling, group: slice) -> list[np.random.Generator]:
    return [generator(derive(request.seed, "likelihood", position)) for position in range(group.start, group.stop)]


def inverse_temperatures(num_steps: int, schedule: Schedule = "sigmoid") -> NDArray[np.float64]:
    """0 = beta_0 < ... < beta_num_steps = 1: evenly spaced, or denser at both ends as a sigmoid has it (Wu et al.
    2017)."""
    even = np.linspace(0, 1, num_steps + 1)
    if schedule == "linear":
        return even
    curve = 1 / (1 + np.exp(-_SIGMOID_SPAN * (2 * even - 1)))
    return np.asarray((curve - curve[0]) / (curve[-1] - curve[0]))


def annealed_importance_sampling(
    model: LatentVariableModel,
    images: NDArray[np.uint8],
    seed: int,
    *,
    num_chains: int = 16,
    num_steps: int = 500,
    num_leapfrog_steps: int = 10,
    schedule: Schedule = "sigmoid",
    images_at_once: int = 100,
    device: str | torch.device = "cpu",
    report: Report | None = None,
) -> LogLikelihood:
    """log of the mean AIS weight over chains (Neal 2001), from the prior to the posterior through p(z) p(x|z)^beta,
    with HMC.

    The encoder is not used: what it misses of the posterior is not missed here. In expectation a lower bound on log
    p(x) that rises with num_steps. Step sizes adapt along the way (as in Wu et al. 2017), from the state of all
    chains of an image, which biases the weights by less than the chains' own error where there are ten or more.
    """
    _check(images, num_chains)
    estimates = []
    for start in range(0, len(images), images_at_once):
        x = scale_pixels(images[start : start + images_at_once]).to(device)
        random = generator(derive(seed, "annealed"), start)
        sums = WeightSums(len(x))
        with products_in("float32", device):
            sums.add(
                _anneal(model, x, num_chains, inverse_temperatures(num_steps, schedule), num_leapfrog_steps, random)
            )
        estimates.append(sums.estimate())
        _tell(report, start + len(x), len(images))
    return _joined(estimates)


def _anneal(
    model: LatentVariableModel,
    x: Tensor,
    num_chains: int,
    betas: NDArray[np.float64],
    num_leapfrog_steps: int,
    random: np.random.Generator,
) -> Tensor:
    """Log weights [num_chains, n] of one pass through the temperatures."""
    z = torch.from_numpy(random.standard_normal((num_chains, len(x), model.latent_dim), dtype=np.float32)).to(x.device)
    chains = start_chains(z, _FIRST_STEP_SIZE)
    log_weights = torch.zeros(num_chains, len(x), dtype=torch.float64, device=x.device)
    for before, beta in pairwise(betas):
        with torch.no_grad():
            log_weights += float(beta - before) * _log_pixels(model, x, chains.z)
        transition(chains, _log_joint(model, x, float(beta)), num_leapfrog_steps, random)
    return log_weights


def posterior_density_estimator(
    model: LatentVariableModel,
    images: NDArray[np.uint8],
    seed: int,
    *,
    num_samples: int = 50,
    num_transitions: int = 100,
    num_leapfrog_steps: int = 4,
    images_at_once: int = 100,
    device: str | torch.device = "cpu",
    report: Report | None = None,
) -> LogLikelihood:
    """-log mean[q(z) / (p(z) p(x|z))] over fresh posterior samples z, q a Gaussian fitted to others (paper, appendix
    D).

    Samples come from HMC, a chain each: `num_transitions` from the encoder's q(z|x) to the samples that q is fitted
    to, and as many, at a fixed step size, to the fresh ones. 1/p(x) is unbiased, so that log p(x) is overestimated
    on average. Raises ValueError for 5 latent dimensions or more, where the paper found it unreliable.
    """
    if model.latent_dim > MOST_LATENT_DIMENSIONS:
        raise ValueError(
            f"the model has {model.latent_dim} latent dimensions; this estimator is for at most"
            f" {MOST_LATENT_DIMENSIONS}, the others for any number"
        )
    if num_samples <= model.latent_dim + 1:
        raise ValueError(
            f"num_samples is {num_samples}; a density in {model.latent_dim} dimensions needs at least"
            f" {model.latent_dim + 2} samples to be fitted to"
        )
    _check(images, num_samples)
    estimates = []
    for start in range(0, len(images), images_at_once):
        x = scale_pixels(images[start : start + images_at_once]).to(device)
        random = generator(derive(seed, "posterior density"), start)
        with products_in("float32", device):
            chains = _encoder_samples(model, x, num_samples, random)
            _move(chains, model, x, num_transitions, num_leapfrog_steps, random, adapt=True)
            fitted = _fit_gaussian(chains.z)
            _move(chains, model, x, num_transitions, num_leapfrog_steps, random, adapt=False)
            with torch.no_grad():
                log_fitted: Tensor = fitted.log_prob(chains.z.double())
                sums = WeightSums(len(x))
                sums.add(log_fitted - _log_joint(model, x, 1.0)(chains.z))
        inverse = sums.estimate()
        estimates.append(inverse._replace(log_likelihood=-inverse.log_likelihood))
        _tell(report, start + len(x), len(images))
    return _joined(estimates)


@torch.no_grad()
def _encoder_samples(model: LatentVariableModel, x: Tensor, num_samples: int, random: np.random.Generator) -> Chains:
    mean, log_variance = model.encode(x)
    noise = torch.from_numpy(random.standard_normal((num_samples, *mean.shape), dtype=np.float32)).to(mean)
    return start_chains(mean + torch.exp(0.5 * log_variance) * noise, _FIRST_STEP_SIZE)


def _move(
    chains: Chains,
    model: LatentVariableModel,
    x: Tensor,
    num_transitions: int,
    num_leapfrog_steps: int,
    random: np.random.Generator,
    adapt: bool,
) -> None:
    for _ in range(num_transitions):
        transition(chains, _log_joint(model, x, 1.0), num_leapfrog_steps, random, adapt)


def _fit_gaussian(z: Tensor) -> torch.distributions.MultivariateNormal:
    """The Gaussians [n] of the mean and covariance of samples [samples, n, latent]."""
    mean = z.double().mean(0)
    centred = (z.double() - mean).transpose(0, 1)
    covariance = centred.transpose(1, 2) @ centred / (len(z) - 1)
    ridge = 1e-9 * torch.eye(z.shape[-1], dtype=torch.float64, device=z.device)
    return torch.distributions.MultivariateNormal(mean, covariance + ridge)


def _log_pixels(model: LatentVariableModel, x: Tensor, z: Tensor) -> Tensor:
    """log p(x|z) [chains, n]."""
    return bernoulli_log_density(x, model.decode(z)).sum(-1)


def _log_joint(model: LatentVariableModel, x: Tensor, beta: float) -> Callable[[Tensor], Tensor]:
    """z -> log p(z) + beta log p(x|z) [chains, n]."""
    return lambda z: standard_gaussian_log_density(z).sum(-1) + beta * _log_pixels(model, x, z)


def _check(images: NDArray[np.uint8], num_samples: int) -> None:
    if num_samples < 1:
        raise ValueError(f"{num_samples} samples were asked for; it must be at least 1")
    if images.ndim != 2 or len(images) == 0 or images.dtype != np.uint8:
        raise ValueError(
            f"images are {images.dtype} of shape {images.shape}; they must be uint8 [n, pixels], at least one"
        )


def _tell(report: Report | None, done: int, of: int) -> None:
    if report is not None:
        report(done, of)


def _joined(estimates: list[LogLikelihood]) -> LogLikelihood:
    return LogLikelihood(*(torch.cat(parts) for parts in zip(*estimates, strict=True)))
