"""Hamiltonian Monte Carlo on latent variables: many chains for many images at once, a step size for each image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vae.likelihood.pixel_gradients import PixelGradients

TARGET_ACCEPTANCE = 0.65
"""The share of accepted proposals at which HMC costs least in many dimensions (Beskos et al. 2013, Wu et al. 2017)."""

_ADAPTATION = 0.5
_QUARTER_PERIOD = math.pi / 2


@dataclass
class Chains:
    """Where chains are: z [chains, n, latent], log p(x|z) [chains, n] there, and its gradient [chains, n, latent]."""

    z: Tensor
    log_pixels: Tensor
    gradient: Tensor


class ImageStreams:
    """Random numbers for the chains of n images, each image's from a stream of its own."""

    def __init__(self, streams: Sequence[np.random.Generator], device: str | torch.device = "cpu") -> None:
        self._streams, self._device = streams, device

    def normal(self, num_chains: int, latent_dim: int) -> Tensor:
        """Standard normal [chains, n, latent], in float32."""
        drawn = [stream.standard_normal((num_chains, latent_dim), dtype=np.float32) for stream in self._streams]
        return torch.from_numpy(np.stack(drawn, 1)).to(self._device)

    def uniform(self, num_chains: int) -> Tensor:
        """Uniform on [0, 1) [chains, n], in float64."""
        return torch.from_numpy(np.stack([stream.random(num_chains) for stream in self._streams], 1)).to(self._device)


def longest_step_sizes(chains: Chains, num_leapfrog_steps: int) -> Tensor:
    """The longest step size that `adapted` allows, for each image [n].

    A trajectory then takes a quarter of a period under the prior, and ends where it knows nothing of its start. A
    posterior is nowhere much wider, so that longer ones would only turn back.
    """
    return torch.full(chains.z.shape[1:2], _QUARTER_PERIOD / num_leapfrog_steps, device=chains.z.device)


def start_chains(pixels: PixelGradients, z: Tensor) -> Chains:
    """Chains that have not moved yet, at latents [chains, n, latent]."""
    return Chains(z, *pixels.value_and_gradient(z))


def transition(
    chains: Chains,
    pixels: PixelGradients,
    beta: float,
    step_size: Tensor,
    num_leapfrog_steps: int,
    random: ImageStreams,
) -> Tensor:
    """Moves every chain by one HMC transition that leaves p(z) p(x|z)^beta invariant (Neal 2011, section 5.3).

    `step_size` [n] must not depend on where the chains are. Returns the probability [chains, n] with which each
    proposal was accepted. It costs a gradient per leapfrog step.
    """
    momentum = random.normal(len(chains.z), chains.z.shape[-1])
    before = _log_density(chains, beta) - 0.5 * momentum.square().sum(-1)
    proposal, momentum = _leapfrog(chains, momentum, pixels, beta, step_size[:, None], num_leapfrog_steps)
    gain = _log_density(proposal, beta) - 0.5 * momentum.square().sum(-1) - before
    probability = gain.clamp_max(0).exp().nan_to_num(0.0)
    accepted = random.uniform(len(chains.z)) < probability
    chains.z = torch.where(accepted[..., None], proposal.z, chains.z)
    chains.log_pixels = torch.where(accepted, proposal.log_pixels, chains.log_pixels)
    chains.gradient = torch.where(accepted[..., None], proposal.gradient, chains.gradient)
    return probability


def adapted(step_size: Tensor, probability: Tensor, num_leapfrog_steps: int) -> Tensor:
    """The step sizes [n] after proposals of that probability [chains, n]: grown or shrunk towards 65 % acceptance.

    Right while chains find their distribution. Where samples or weights are taken it would bias them.
    """
    grown = step_size * torch.exp(_ADAPTATION * (probability.mean(0) - TARGET_ACCEPTANCE)).to(step_size)
    return grown.clamp_max(_QUARTER_PERIOD / num_leapfrog_steps)


def _log_density(chains: Chains, beta: float) -> Tensor:
    """log p(z) + beta log p(x|z), up to a constant [chains, n]."""
    return beta * chains.log_pixels - 0.5 * chains.z.square().sum(-1)


def _leapfrog(
    chains: Chains, momentum: Tensor, pixels: PixelGradients, beta: float, step_size: Tensor, num_steps: int
) -> tuple[Chains, Tensor]:
    z, gradient = chains.z, chains.gradient
    momentum = momentum + 0.5 * step_size * (beta * gradient - z)
    for _ in range(num_steps - 1):
        z = z + step_size * momentum
        momentum = momentum + step_size * (beta * pixels.gradient(z) - z)
    end = start_chains(pixels, z + step_size * momentum)
    return end, momentum + 0.5 * step_size * (beta * end.gradient - end.z)
