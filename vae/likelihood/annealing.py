"""log p(x) per image by annealed importance sampling: from the prior to the posterior, without the encoder."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vae.likelihood.estimates import ReportProgress, WeightSums, check_request, ignore_progress
from vae.likelihood.hmc import ImageStreams, adapted, longest_step_sizes, start_chains, transition
from vae.likelihood.image_groups import KeepGoing, checked_threads, estimate_groups, partial_estimates, streams_of
from vae.likelihood.pixel_gradients import PixelGradients, images_at_once, pixel_gradients
from vae.likelihood.transposed_decoder import has_transposed_decoder
from vae.minibatches import scale_pixels
from vae.model.network import LatentVariableModel, in_evaluation_mode
from vae.model.precision import products_in

TemperatureSchedule = Literal["linear", "sigmoid"]
InverseTemperatures = NDArray[np.float64]

_SIGMOID_SPAN = 4.0  # Wu et al. 2017, section 2.2: beta_t from sigmoid(-4) to sigmoid(4), rescaled to [0, 1]
_SHARE_OF_PILOT = 10
_SHORTEST_PILOT = 50


class AnnealedLikelihood(NamedTuple):
    """Per image, each [n] in float64: the estimate in nats, its standard error and the effective number of chains, as
    in LogLikelihood; and the share of proposals accepted, by all chains and by the one that accepted fewest."""

    log_likelihood: Tensor
    standard_error: Tensor
    effective_sample_size: Tensor
    acceptance: Tensor
    lowest_acceptance: Tensor


@dataclass(frozen=True)
class Annealing:
    """How many chains an image has, in how many steps they go from the prior to the posterior, and how they move.

    Raises ValueError for a number below 1.
    """

    num_chains: int = 16
    num_temperatures: int = 1_000
    num_leapfrog_steps: int = 10
    schedule: TemperatureSchedule = "sigmoid"

    def __post_init__(self) -> None:
        for name in ("num_chains", "num_temperatures", "num_leapfrog_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")

    @property
    def settings(self) -> dict[str, object]:
        """What an estimate is bound to beside model, images and seed."""
        return {"method": "annealed importance sampling"} | asdict(self)

    def pilot(self) -> Annealing:
        """The same in a tenth of the steps, or 50: enough to settle step sizes."""
        return replace(self, num_temperatures=max(_SHORTEST_PILOT, self.num_temperatures // _SHARE_OF_PILOT))

    def inverse_temperatures(self) -> InverseTemperatures:
        """See inverse_temperatures."""
        return inverse_temperatures(self.num_temperatures, self.schedule)


def inverse_temperatures(num_temperatures: int, schedule: TemperatureSchedule = "sigmoid") -> InverseTemperatures:
    """0 = beta_0 < ... < beta_num_temperatures = 1: evenly spaced, or denser at both ends as a sigmoid (Wu et al.
    2017)."""
    even = np.linspace(0, 1, num_temperatures + 1)
    if schedule == "linear":
        return even
    curve = 1 / (1 + np.exp(-_SIGMOID_SPAN * (2 * even - 1)))
    return np.asarray((curve - curve[0]) / (curve[-1] - curve[0]))


def annealed_importance_sampling(
    model: LatentVariableModel,
    images: NDArray[np.uint8],
    seed: int,
    annealing: Annealing = Annealing(),
    *,
    device: str | torch.device = "cpu",
    num_threads: int | None = None,
    resume: Path | None = None,
    report: ReportProgress = ignore_progress,
) -> AnnealedLikelihood:
    """log of the mean AIS weight over chains (Neal 2001), from prior to posterior through p(z) p(x|z)^beta, with HMC.

    The encoder is not used: what it misses of the posterior is not missed here. In expectation a lower bound on log
    p(x) that rises with the number of temperatures. Step sizes, one for each image and temperature, are settled by a
    pilot run with random numbers of its own, and then fixed: weights of chains that adapt on their way are biased.

    Random numbers depend on the seed and the image's position alone. `device`, `num_threads` and `resume` are those
    of `estimate_log_likelihood`: any number of threads gives the same bits, and so does a call that goes on where an
    earlier one ended.
    """
    check_request(images, annealing.num_chains)
    device, num_threads = torch.device(device), checked_threads(num_threads)

    def estimate(group: slice, keep_going: KeepGoing) -> Tensor:
        x = scale_pixels(images[group]).to(device)
        pixels = pixel_gradients(model, x, annealing.num_chains)
        pilot, streams = (
            ImageStreams(streams_of(group, seed, name), device) for name in ("annealed pilot", "annealed")
        )
        with products_in("float32", device):
            step_sizes = settle_step_sizes(pixels, annealing.pilot(), model.latent_dim, pilot, keep_going)
            return _estimate(pixels, annealing, model.latent_dim, step_sizes, streams, keep_going)

    with in_evaluation_mode(model):
        numbers = estimate_groups(
            estimate,
            len(images),
            images_at_once(model, device, annealing.num_chains),
            partial_estimates(model, images, seed, annealing.settings, len(AnnealedLikelihood._fields), resume),
            num_threads if has_transposed_decoder(model, device) else None,
            report,
        )
    return AnnealedLikelihood(*numbers)


def _estimate(
    pixels: PixelGradients,
    annealing: Annealing,
    latent_dim: int,
    step_sizes: StepSizes,
    random: ImageStreams,
    keep_going: KeepGoing,
) -> Tensor:
    """The numbers of AnnealedLikelihood [kinds, n]."""
    betas = annealing.inverse_temperatures()
    z = random.normal(annealing.num_chains, latent_dim)
    run = anneal(pixels, z, betas, step_sizes.at(betas).to(z), annealing.num_leapfrog_steps, random, keep_going)
    sums = WeightSums(z.shape[1])
    sums.add(run.log_weights)
    acceptance = run.acceptance.cpu()
    return torch.stack([*sums.estimate(), acceptance.mean(0), acceptance.amin(0)])


class AnnealedRun(NamedTuple):
    """Of every chain, each [chains, n] in float64: its log weight in nats, and the share of proposals accepted."""

    log_weights: Tensor
    acceptance: Tensor


def anneal(
    pixels: PixelGradients,
    z: Tensor,
    betas: InverseTemperatures,
    step_sizes: Tensor,
    num_leapfrog_steps: int,
    random: ImageStreams,
    keep_going: KeepGoing,
) -> AnnealedRun:
    """Takes chains from z [chains, n, latent] through p(z) p(x|z)^beta, a transition for each beta but the first.

    `step_sizes` [betas, n]. Where z are samples at the first beta, a weight's expectation is the ratio of the
    normalising constants: p(x) from 0 to 1 and, betas and step sizes reversed, 1 / p(x) from 1 to 0.
    """
    chains = start_chains(pixels, z)
    log_weights = torch.zeros(z.shape[:-1], dtype=torch.float64, device=z.device)
    acceptance = torch.zeros_like(log_weights)
    for (before, beta), step_size in zip(pairwise(betas), step_sizes[1:], strict=True):
        keep_going()
        log_weights += float(beta - before) * chains.log_pixels
        acceptance += transition(chains, pixels, float(beta), step_size, num_leapfrog_steps, random)
    return AnnealedRun(log_weights, acceptance / (len(betas) - 1))


@dataclass(frozen=True)
class StepSizes:
    """The logarithm of each image's step size [betas, n] at increasing inverse temperatures."""

    betas: InverseTemperatures
    logarithms: NDArray[np.float64]

    def at(self, betas: InverseTemperatures) -> Tensor:
        """Step sizes [betas, n] at any inverse temperatures, interpolated."""
        interpolated = [np.interp(betas, self.betas, of_image) for of_image in self.logarithms.T]
        return torch.from_numpy(np.exp(np.stack(interpolated, 1)))


def settle_step_sizes(
    pixels: PixelGradients, annealing: Annealing, latent_dim: int, random: ImageStreams, keep_going: KeepGoing
) -> StepSizes:
    """Step sizes with which 65 % of proposals are accepted, by chains that adapt them on the way from the prior."""
    betas = annealing.inverse_temperatures()
    chains = start_chains(pixels, random.normal(annealing.num_chains, latent_dim))
    step_size = longest_step_sizes(chains, annealing.num_leapfrog_steps)
    logarithms = []
    for beta in betas:
        keep_going()
        probability = transition(chains, pixels, float(beta), step_size, annealing.num_leapfrog_steps, random)
        step_size = adapted(step_size, probability, annealing.num_leapfrog_steps)
        logarithms.append(step_size.log().double().cpu().numpy())
    return StepSizes(betas, np.stack(logarithms))
