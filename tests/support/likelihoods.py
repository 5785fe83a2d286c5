"""Estimates of log p(x) beside the exact value."""

from __future__ import annotations

import torch
from torch import Tensor

from vae.likelihood import AnnealedLikelihood, LogLikelihood


def assert_agrees(estimate: LogLikelihood | AnnealedLikelihood, exact: Tensor, least: float = 0.0) -> None:
    """Every image within five standard errors, or within `least` nats where those are tiny."""
    off = (estimate.log_likelihood - exact).abs()
    allowed = (5 * estimate.standard_error).clamp_min(least)
    assert (off < allowed).all(), (off, allowed, estimate.effective_sample_size)


class LinearGaussianPixels:
    """p(x|z) = N(W z, s^2 I) for one x under as many positions as one likes, each a repetition: vae.likelihood's
    PixelGradients with exact log p(x) and exact samples of the posterior, in float64."""

    def __init__(self, latent_dim: int = 3, num_pixels: int = 6, noise: float = 0.5) -> None:
        stream = torch.Generator().manual_seed(0)

        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=stream, dtype=torch.float64)

        self.latent_dim = latent_dim
        self._loadings = draw(num_pixels, latent_dim)
        self._noise = noise
        self._x = self._loadings @ draw(latent_dim) + noise * draw(num_pixels)

    def gradient(self, z: Tensor) -> Tensor:
        return (self._x - z.double() @ self._loadings.T) @ self._loadings / self._noise**2

    def value_and_gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        density = torch.distributions.Normal(z.double() @ self._loadings.T, self._noise, validate_args=False)
        return density.log_prob(self._x).sum(-1), self.gradient(z)

    def log_likelihood(self) -> float:
        """log N(x; 0, W W^T + s^2 I)."""
        covariance = self._loadings @ self._loadings.T + self._noise**2 * torch.eye(len(self._x), dtype=torch.float64)
        exact = torch.distributions.MultivariateNormal(torch.zeros_like(self._x), covariance)
        return float(exact.log_prob(self._x))

    def posterior(self, beta: float = 1.0) -> tuple[Tensor, Tensor]:
        """Mean [latent] and covariance of p(z) p(x|z)^beta, normalised."""
        share = beta / self._noise**2
        precision = torch.eye(self.latent_dim, dtype=torch.float64) + share * self._loadings.T @ self._loadings
        covariance = torch.linalg.inv(precision)
        return share * covariance @ self._loadings.T @ self._x, covariance

    def posterior_samples(self, standard_normal: Tensor, beta: float = 1.0) -> Tensor:
        """Exact samples [..., latent] of it, out of standard normal numbers."""
        mean, covariance = self.posterior(beta)
        factor: Tensor = torch.linalg.cholesky(covariance)
        return mean + standard_normal.double() @ factor.T
