"""The latent space of a trained model: encoded images, paths between them, samples, the 2-D manifold, active units.

Pixels are Bernoulli means in [0, 1], images are flat ([..., pixels]), and a decoded image is sigmoid(logits): the
mean of p(x|z), not a sample of it. Nothing here is differentiated. Nothing here is a bound: decoding the posterior
mean says how an image is reconstructed, not how likely it is.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from vae.densities import gaussian_kl_from_standard
from vae.model.network import LatentVariableModel, in_evaluation_mode
from vae.randomness import standard_normal

ACTIVE_VARIANCE = 0.01  # Burda, Grosse and Salakhutdinov 2016, section 5.2
NEARLY_PARALLEL = 1e-4  # radians; below it the sines of the spherical path lose the digits of float32
_IMAGES_AT_ONCE = 2_000  # bounds the memory of the hidden layers, not the result


@torch.no_grad()
def encode(model: LatentVariableModel, images: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log variance of q(z|x), each [num_images, latent], for images [num_images, pixels]."""
    with in_evaluation_mode(model):
        parts = [model.encode(part) for part in torch.split(images, _IMAGES_AT_ONCE)]
    return torch.cat([mean for mean, _ in parts]), torch.cat([log_variance for _, log_variance in parts])


@torch.no_grad()
def decode(model: LatentVariableModel, latents: Tensor) -> Tensor:
    """The mean image of p(x|z), [..., pixels] in [0, 1], for latents [..., latent]."""
    with in_evaluation_mode(model):
        return torch.sigmoid(model.decode(latents))


def _fractions(num_points: int, like: Tensor) -> Tensor:
    if num_points < 2:
        raise ValueError(
            f"num_points {num_points} is too few for a path; it has at least its two ends, so give 2 or more"
        )
    return torch.linspace(0.0, 1.0, num_points, dtype=like.dtype, device=like.device)


def linear_path(start: Tensor, end: Tensor, num_points: int) -> Tensor:
    """Points at equal distances on the straight line, [num_points, latent], for ends [latent]; the ends are exact.

    In many dimensions its middle is nearer to the origin than draws from the prior are.
    """
    fractions = _fractions(num_points, start)
    return torch.lerp(start.unsqueeze(0), end.unsqueeze(0), fractions.unsqueeze(1))


def spherical_path(start: Tensor, end: Tensor, num_points: int) -> Tensor:
    """Points at equal angles on the arc from start to end, [num_points, latent], for ends [latent]; ends are exact.

    With u, v the directions of the ends and w the angle between them, the direction at fraction t is (sin((1-t) w) u
    + sin(t w) v) / sin(w) (Shoemake 1985; White 2016 for latent spaces), and the length goes linearly from one end's
    to the other's, so that the angular speed is constant also where the ends differ in length. Where no arc is
    defined (an end at the origin, ends nearly parallel or nearly opposite: sin(w) < 1e-4), the path is linear.
    """
    fractions = _fractions(num_points, start).unsqueeze(1)
    start_length, end_length = torch.linalg.vector_norm(start), torch.linalg.vector_norm(end)
    if not (start_length > 0 and end_length > 0):
        return linear_path(start, end, num_points)
    u, v = start / start_length, end / end_length
    angle = 2 * torch.atan2(
        torch.linalg.vector_norm(u - v), torch.linalg.vector_norm(u + v)
    )  # acos is inexact near 0 and pi
    if torch.sin(angle) < NEARLY_PARALLEL:
        return linear_path(start, end, num_points)
    direction = (torch.sin((1 - fractions) * angle) * u + torch.sin(fractions * angle) * v) / torch.sin(angle)
    path: Tensor = torch.lerp(start_length, end_length, fractions) * direction
    path[0], path[-1] = start, end
    return path


def prior_latents(num_samples: int, latent_dim: int, random: np.random.Generator) -> Tensor:
    """Draws from the prior N(0, I), [num_samples, latent].

    A generator in the same state gives the same first columns for every latent_dim, so that models of different
    latent sizes are shown the same latents as far as they have them.
    """
    return torch.from_numpy(standard_normal(random, num_samples, latent_dim).copy())


def manifold_latents(num_per_side: int) -> Tensor:
    """A square grid of latents [rows, columns, 2]: cell centres of the unit square through the inverse Gaussian CDF.

    The first coordinate rises to the right, the second upwards (row 0 is the top). Paper, appendix A.
    """
    if num_per_side < 1:
        raise ValueError(f"num_per_side {num_per_side} leaves the manifold empty; give 1 or more")
    quantiles = torch.special.ndtri((torch.arange(num_per_side, dtype=torch.float64) + 0.5) / num_per_side).float()
    second, first = torch.meshgrid(quantiles.flip(0), quantiles, indexing="ij")
    return torch.stack([first, second], dim=-1)


def active_units(mean: Tensor, threshold: float = ACTIVE_VARIANCE) -> Tensor:
    """Which latents carry information on x, bool [latent]: Var_x(E_q(z|x)[z]) > threshold (Burda et al. 2016).

    `mean` [num_images, latent], as `encode` returns it, of at least 2 images.
    """
    if len(mean) < 2:
        raise ValueError(f"{len(mean)} image has no variance; give at least 2")
    return mean.double().var(dim=0) > threshold


def divergence_per_latent(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Nats that each latent spends per image: the mean of KL(q(z_j|x) || N(0, 1)), [latent]; exact (appendix B).

    `mean` and `log_variance`, each [num_images, latent], as `encode` returns them.
    """
    return gaussian_kl_from_standard(mean.double(), log_variance.double()).mean(dim=0)
