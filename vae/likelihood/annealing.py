"""log p(x) per image by annealed importance sampling: from the prior to the posterior, without the encoder."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vae.likelihood.estimates import (
    LogLikelihood,
    ReportProgress,
    WeightSums,
    check_request,
    ignore_progress,
    joined,
    log_pixels,
)
from vae.likelihood.hmc import FIRST_STEP_SIZE, log_joint, start_chains, transition
from vae.minibatches import scale_pixels
from vae.model.network import LatentVariableModel
from vae.model.precision import products_in
from vae.randomness import derive, generator

TemperatureSchedule = Literal["linear", "sigmoid"]

_SIGMOID_SPAN = 4.0  # Wu et al. 2017, section 2.2: beta_t from sigmoid(-4) to sigmoid(4), rescaled to [0, 1]


def inverse_temperatures(num_steps: int, schedule: TemperatureSchedule = "sigmoid") -> NDArray[np.float64]:
    """0 = beta_0 < ... < beta_num_steps = 1: evenly spaced, or denser at both ends as a sigmoid (Wu et al. 2017)."""
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
    schedule: TemperatureSchedule = "sigmoid",
    images_at_once: int = 100,
    device: str | torch.device = "cpu",
    report: ReportProgress = ignore_progress,
) -> LogLikelihood:
    """log of the mean AIS weight over chains (Neal 2001), from prior to posterior through p(z) p(x|z)^beta, with HMC.

    The encoder is not used: what it misses of the posterior is not missed here. In expectation a lower bound on log
    p(x) that rises with num_steps. Step sizes adapt along the way (as in Wu et al. 2017), from the state of all
    chains of an image, which biases the weights by less than the chains' own error where there are ten or more.
    """
    check_request(images, num_chains)
    betas = inverse_temperatures(num_steps, schedule)
    estimates = []
    for start in range(0, len(images), images_at_once):
        x = scale_pixels(images[start : start + images_at_once]).to(device)
        random = generator(derive(seed, "annealed"), start)
        sums = WeightSums(len(x))
        with products_in("float32", device):
            sums.add(_anneal(model, x, num_chains, betas, num_leapfrog_steps, random))
        estimates.append(sums.estimate())
        report(start + len(x), len(images))
    return joined(estimates)


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
    chains = start_chains(z, FIRST_STEP_SIZE)
    log_weights = torch.zeros(num_chains, len(x), dtype=torch.float64, device=x.device)
    for before, beta in pairwise(betas):
        with torch.no_grad():
            log_weights += float(beta - before) * log_pixels(model, x, chains.z)
        transition(chains, log_joint(model, x, float(beta)), num_leapfrog_steps, random)
    return log_weights
