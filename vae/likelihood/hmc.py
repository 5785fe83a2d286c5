"""Hamiltonian Monte Carlo on latent variables: many chains for many images at once, step sizes adapted per image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vae.densities import standard_gaussian_log_density
from vae.likelihood.estimates import log_pixels
from vae.model.network import LatentVariableModel

LogDensity = Callable[[Tensor], Tensor]
"""log density up to a constant [chains, n] of latents [chains, n, latent], in nats; differentiable once."""

TARGET_ACCEPTANCE = 0.65
"""The share of accepted proposals at which HMC costs least in many dimensions (Beskos et al. 2013, Wu et al. 2017)."""

FIRST_STEP_SIZE = 0.1
_ADAPTATION = 0.1


@dataclass
class Chains:
    """z [chains, n, latent]; per image [n] one step size, and the share of the last proposals that was accepted."""

    z: Tensor
    step_size: Tensor
    acceptance: Tensor


def log_joint(model: LatentVariableModel, x: Tensor, beta: float = 1.0) -> LogDensity:
    """z -> log p(z) + beta log p(x|z) [chains, n], in nats, for images x [n, pixels]: the posterior at beta = 1."""
    return lambda z: standard_gaussian_log_density(z).sum(-1) + beta * log_pixels(model, x, z)


def start_chains(z: Tensor, step_size: float) -> Chains:
    """Chains that have not moved yet, from latents [chains, n, latent]."""
    return Chains(z, torch.full(z.shape[1:2], step_size, device=z.device), torch.ones(z.shape[1:2], device=z.device))


def transition(
    chains: Chains, log_density: LogDensity, num_leapfrog_steps: int, random: np.random.Generator, adapt: bool = True
) -> None:
    """Moves every chain by one HMC transition that leaves `log_density` invariant (Neal 2011, section 5.3).

    With `adapt`, each image's step size then grows or shrinks towards 65 % acceptance: right while a chain finds its
    distribution; to be switched off where samples are taken.
    """
    momentum = _normal(random, chains.z)
    start = log_density(chains.z).detach() - 0.5 * momentum.square().sum(-1)
    z, momentum = _leapfrog(chains.z, momentum, log_density, chains.step_size[:, None], num_leapfrog_steps)
    gain = log_density(z).detach() - 0.5 * momentum.square().sum(-1) - start
    uniform = torch.from_numpy(random.random(tuple(gain.shape))).to(gain)
    accepted = torch.log(uniform) < gain  # never where the gain is not a number
    chains.z = torch.where(accepted[..., None], z, chains.z)
    chains.acceptance = accepted.float().mean(0)
    if adapt:
        chains.step_size = chains.step_size * torch.exp(_ADAPTATION * (chains.acceptance - TARGET_ACCEPTANCE))


def _leapfrog(
    z: Tensor, momentum: Tensor, log_density: LogDensity, step_size: Tensor, num_steps: int
) -> tuple[Tensor, Tensor]:
    momentum = momentum + 0.5 * step_size * _gradient(z, log_density)
    for step in range(num_steps):
        z = z + step_size * momentum
        share = 1.0 if step < num_steps - 1 else 0.5
        momentum = momentum + share * step_size * _gradient(z, log_density)
    return z, momentum


def _gradient(z: Tensor, log_density: LogDensity) -> Tensor:
    with torch.enable_grad():
        leaf = z.detach().requires_grad_()
        return torch.autograd.grad(log_density(leaf).sum(), leaf)[0]


def _normal(random: np.random.Generator, like: Tensor) -> Tensor:
    return torch.from_numpy(random.standard_normal(tuple(like.shape), dtype=np.float32)).to(like)
