"""The variational lower bound with its terms, and the importance-weighted bound, per example."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from vae.densities import bernoulli_log_likelihood, gaussian_kl_from_standard
from vae.model.network import LatentVariableModel


class BoundTerms(NamedTuple):
    """lower_bound = reconstruction - kl, each [batch], in nats; higher lower_bound is better."""

    lower_bound: Tensor
    reconstruction: Tensor
    kl: Tensor


class ImportanceWeightedBound(NamedTuple):
    """The bound of each example and the Monte Carlo standard error of that estimate, each [batch], in nats."""

    bound: Tensor
    standard_error: Tensor


PixelLogLikelihood = Callable[[Tensor, Tensor], Tensor]
"""log p(x|decoded) [...] in nats, summed over pixels, of x and of what the model's decode gave, each [..., pixels]."""


def lower_bound(
    model: LatentVariableModel, x: Tensor, noise: Tensor, log_likelihood: PixelLogLikelihood = bernoulli_log_likelihood
) -> BoundTerms:
    r"""Estimator B of the paper (eq. 10 with L = 1): log p(x|z) - KL(q(z|x) || p(z)), z = mean + sd * noise.

    x [batch, pixels] in [0, 1], noise [batch, latent] standard normal. Summed over pixels and latent dimensions,
    unweighted. Unbiased for the lower bound; noise = 0 evaluates at the mean, which is no bound.
    """
    mean, log_variance = model.encode(x)
    z = mean + torch.exp(0.5 * log_variance) * noise
    reconstruction = log_likelihood(x, model.decode(z))
    kl = gaussian_kl_from_standard(mean, log_variance).sum(-1)
    return BoundTerms(reconstruction - kl, reconstruction, kl)


def log_importance_weights(
    model: LatentVariableModel,
    x: Tensor,
    mean: Tensor,
    log_variance: Tensor,
    noise: Tensor,
    log_likelihood: PixelLogLikelihood = bernoulli_log_likelihood,
) -> Tensor:
    """log p(x|z) + log p(z) - log q(z|x) [K, batch], z = mean + sd * noise, for noise [K, batch, latent].

    `mean` and `log_variance` are the encoder's. log p(z) - log q(z|x) is the sum over latents of (noise^2 - z^2 +
    log_variance) / 2: the constants cancel.
    """
    z = mean + torch.exp(0.5 * log_variance) * noise
    log_prior_ratio = 0.5 * (noise.square() - z.square() + log_variance)
    return log_likelihood(x, model.decode(z)) + log_prior_ratio.sum(-1)


def importance_weighted_bound(
    model: LatentVariableModel, x: Tensor, noise: Tensor, log_likelihood: PixelLogLikelihood = bernoulli_log_likelihood
) -> ImportanceWeightedBound:
    r"""log (1/K) sum_k w_k, w_k = p(x, z_k) / q(z_k|x) (Burda et al. 2016, eq. 8), for noise [K, batch, latent].

    In expectation a lower bound on log p(x) that rises with K, from the lower bound at K = 1 (where the KL is
    sampled too). The standard error is the delta method's, sd(w) / (mean(w) sqrt(K)): Monte Carlo alone, and too
    small where a few weights carry the sum; at K = 1 it is infinite.
    """
    mean, log_variance = model.encode(x)
    return combine_log_weights(log_importance_weights(model, x, mean, log_variance, noise, log_likelihood))


def combine_log_weights(log_weights: Tensor) -> ImportanceWeightedBound:
    """log-mean-exp over K of log weights [K, batch], and its delta-method standard error."""
    num_samples = log_weights.shape[0]
    bound = torch.logsumexp(log_weights, 0) - math.log(num_samples)
    if num_samples == 1:
        return ImportanceWeightedBound(bound, torch.full_like(bound, math.inf))
    relative = torch.exp(log_weights - bound)
    return ImportanceWeightedBound(bound, relative.std(0) / math.sqrt(num_samples))
