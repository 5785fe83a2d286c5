"""log p(x) per image by a density that is fitted to samples of the posterior: the paper's own estimator, appendix D."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vae.likelihood.estimates import LogLikelihood, ReportProgress, WeightSums, check_request, ignore_progress, joined
from vae.likelihood.hmc import FIRST_STEP_SIZE, Chains, log_joint, start_chains, transition
from vae.minibatches import scale_pixels
from vae.model.network import LatentVariableModel
from vae.model.precision import products_in
from vae.randomness import derive, generator

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
    images_at_once: int = 100,
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
                sums.add(log_fitted - log_joint(model, x, 1.0)(chains.z))
        inverse = sums.estimate()
        estimates.append(inverse._replace(log_likelihood=-inverse.log_likelihood))
        report(start + len(x), len(images))
    return joined(estimates)


@torch.no_grad()
def _encoder_samples(model: LatentVariableModel, x: Tensor, num_samples: int, random: np.random.Generator) -> Chains:
    mean, log_variance = model.encode(x)
    noise = torch.from_numpy(random.standard_normal((num_samples, *mean.shape), dtype=np.float32)).to(mean)
    return start_chains(mean + torch.exp(0.5 * log_variance) * noise, FIRST_STEP_SIZE)


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
        transition(chains, log_joint(model, x, 1.0), num_leapfrog_steps, random, adapt)


def _fit_gaussian(z: Tensor) -> torch.distributions.MultivariateNormal:
    """The Gaussians [n] of the mean and covariance of samples [samples, n, latent]."""
    mean = z.double().mean(0)
    centred = (z.double() - mean).transpose(0, 1)
    covariance = centred.transpose(1, 2) @ centred / (len(z) - 1)
    ridge = 1e-9 * torch.eye(z.shape[-1], dtype=torch.float64, device=z.device)
    return torch.distributions.MultivariateNormal(mean, covariance + ridge)
