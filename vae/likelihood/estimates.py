"""What every estimator of log p(x) returns, and what they share: weights, summed in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vae.data.pixels import scale_fault
from vae.densities import bernoulli_log_density
from vae.model.network import LatentVariableModel

ReportProgress = Callable[[int, int], None]
"""Is told how many of how many images are done."""


class LogLikelihood(NamedTuple):
    """Per image, each [n] in float64: the estimate in nats, its Monte Carlo standard error by the delta method, and
    the effective number of samples (sum w)^2 / sum w^2. A standard error is too small where the effective number is
    near 1."""

    log_likelihood: Tensor
    standard_error: Tensor
    effective_sample_size: Tensor


class WeightSums:
    """Sums of weights and of their squares per image [n], as logarithms: any number of weights in bounded memory."""

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


def joined(estimates: Sequence[LogLikelihood]) -> LogLikelihood:
    """The estimates of groups of images as those of all."""
    return LogLikelihood(*(torch.cat(parts) for parts in zip(*estimates, strict=True)))


def log_pixels(model: LatentVariableModel, x: Tensor, z: Tensor) -> Tensor:
    """log p(x|z) [..., n], in nats, of images x [n, pixels] and latents z [..., n, latent]."""
    return bernoulli_log_density(x, model.decode(z)).sum(-1)


def check_request(images: NDArray[np.uint8], num_samples: int) -> None:
    """Raises ValueError for images that are not bytes [n, pixels] from 0 to 255, and for less than one sample."""
    if num_samples < 1:
        raise ValueError(f"{num_samples} samples were asked for; it must be at least 1")
    if images.ndim != 2 or len(images) == 0 or images.dtype != np.uint8:
        raise ValueError(
            f"images are {images.dtype} of shape {images.shape}; they must be uint8 [n, pixels], at least one"
        )
    if fault := scale_fault(images):
        raise ValueError(f"images are {images.dtype}{fault}")


def ignore_progress(done: int, of: int) -> None:
    """Reports to nobody."""
