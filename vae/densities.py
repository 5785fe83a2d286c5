"""Log densities and closed-form KL divergences, elementwise, in nats. Sums are the caller's."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

LOG_2_PI = math.log(2 * math.pi)


def bernoulli_log_density(x: Tensor, logits: Tensor) -> Tensor:
    r"""x log p + (1 - x) log(1 - p) with p = sigmoid(logits), elementwise, in nats; shapes broadcast.

    Exact log mass for x in {0, 1}. For grey x in [0, 1] it is the expected log mass of pixels drawn with mean x, not a
    density of x. Stable form: -softplus(logits) + x * logits.
    """
    return x * logits - F.softplus(logits)


def gaussian_log_density(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log N(z; mean, exp(log_variance)), elementwise, in nats; shapes broadcast."""
    return -0.5 * (LOG_2_PI + log_variance + (z - mean).square() * torch.exp(-log_variance))


def standard_gaussian_log_density(z: Tensor) -> Tensor:
    """log N(z; 0, 1), elementwise, in nats."""
    return -0.5 * (LOG_2_PI + z.square())


def gaussian_kl_from_standard(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)), elementwise, exact, in nats (paper, appendix B; the factor 1/2 is in it)."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
