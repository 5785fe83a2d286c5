"""log p(x) per image by a density that is fitted to samples of the posterior: the paper's own estimator, appendix D."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vae.densities import standard_gaussian_log_density
from vae.likelihood.estimates import LogLikelihood, ReportProgress, WeightSums, check_request, ignore_progress
from vae.likelihood.hmc import (
    Chains,
    ImageStreams,
    adapted,
    longest_step_sizes,
    start_chains,
    transition,
)
from vae.likelihood.image_groups import estimate_groups, streams_of
from vae.likelihood.partial_estimates import PartialEstimates
from vae.likelihood.pixel_gradients import images_at_once, pixel_gradients
from vae.likelihood.transposed_decoder import has_transposed_decoder
from vae.minibatches import scale_pixels
from vae.model.network import LatentVariableModel, in_evaluation_mode
from vae.model.precision import products_in

MOST_LATENT_DIMENSIONS = 4
"""The paper uses its estimator below 5 dimensions; above, a fitted density misses the posterior (appendix D)."""


def posterior_density_estimator(
    model: LatentVariableModel,
    images: NDArray[np.uint8],
    seed: int,
    *,
    num_samples: int = 50,
    num_transitions: int = 100,
    num_leapfrog_steps: int = 4,
    device: str | torch.device = "cpu",
    report: ReportProgress = ignore_progress,
) -> LogLikelihood:
    """-log mean[q(z) / (p(z) p(x|z))] over posterior samples z, q a Gaussian fitted to others (paper, appendix D).

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
    check_request(images, num_samples)
    device = torch.device(device)

    def estimate(group: slice, _: object) -> Tensor:
        x = scale_pixels(images[group]).to(device)
        random = ImageStreams(streams_of(group, seed, "posterior density"), device)
        with products_in("float32", device):
            fitted, chains = _fit_and_sample(model, x, num_samples, num_transitions, num_leapfrog_steps, random)
        log_fitted: Tensor = fitted.log_prob(chains.z.double())
        sums = WeightSums(len(x))
        sums.add(log_fitted - chains.log_pixels - standard_gaussian_log_density(chains.z).sum(-1))
        inverse = sums.estimate()
        return torch.stack(inverse._replace(log_likelihood=-inverse.log_likelihood))

    with in_evaluation_mode(model):
        numbers = estimate_groups(
            estimate,
            len(images),
            images_at_once(model, device, num_samples),
            PartialEstimates(None, {}, len(images), len(LogLikelihood._fields)),
            torch.get_num_threads() if has_transposed_decoder(model, device) else None,
            report,
        )
    return LogLikelihood(*numbers)


def _fit_and_sample(
    model: LatentVariableModel,
    x: Tensor,
    num_samples: int,
    num_transitions: int,
    num_leapfrog_steps: int,
    random: ImageStreams,
) -> tuple[torch.distributions.MultivariateNormal, Chains]:
    """A Gaussian for each image, fitted to samples of its posterior, and other samples, at fixed step sizes."""
    pixels = pixel_gradients(model, x, num_samples)
    with torch.no_grad():
        mean, log_variance = model.encode(x)
    noise = random.normal(num_samples, model.latent_dim)
    chains = start_chains(pixels, (mean + torch.exp(0.5 * log_variance) * noise).to(noise))
    step_size = longest_step_sizes(chains, num_leapfrog_steps)
    for _ in range(num_transitions):
        probability = transition(chains, pixels, 1.0, step_size, num_leapfrog_steps, random)
        step_size = adapted(step_size, probability, num_leapfrog_steps)
    fitted = _fit_gaussian(chains.z)
    for _ in range(num_transitions):
        transition(chains, pixels, 1.0, step_size, num_leapfrog_steps, random)
    return fitted, chains


def _fit_gaussian(z: Tensor) -> torch.distributions.MultivariateNormal:
    """The Gaussians [n] of the mean and covariance of samples [samples, n, latent]."""
    mean = z.double().mean(0)
    centred = (z.double() - mean).transpose(0, 1)
    covariance = centred.transpose(1, 2) @ centred / (len(z) - 1)
    ridge = 1e-9 * torch.eye(z.shape[-1], dtype=torch.float64, device=z.device)
    return torch.distributions.MultivariateNormal(mean, covariance + ridge)
