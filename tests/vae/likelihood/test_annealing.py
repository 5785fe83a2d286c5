"""Annealed importance sampling against quadrature and closed forms: its bias, its temperatures, its step sizes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.support.likelihoods import LinearGaussianPixels, assert_agrees
from tests.support.trainings import (
    SEEDS,
    CurvedModel,
    drawn_images,
    quadrature_log_likelihood,
    small_configuration,
    small_data,
)
from tests.support.wide_logits import binary_images, vae_with_wide_logits
from vae.building import model_from_weights
from vae.likelihood import (
    Annealing,
    annealed_importance_sampling,
    estimate_log_likelihood,
    inverse_temperatures,
)
from vae.likelihood.annealing import AnnealedRun, StepSizes, anneal, settle_step_sizes
from vae.likelihood.hmc import ImageStreams
from vae.model.network import VAE
from vae.randomness import generator
from vae.training import train

SHORT = Annealing(num_chains=64, num_temperatures=100, num_leapfrog_steps=5)
FEW = Annealing(num_chains=1, num_temperatures=20, num_leapfrog_steps=3)
REPETITIONS = 2_000


def streams(num: int, seed: int) -> ImageStreams:
    return ImageStreams([generator(seed, position) for position in range(num)])


def go_on() -> None:
    """Nobody stops these."""


def settled(pixels: LinearGaussianPixels, annealing: Annealing, num: int) -> StepSizes:
    return settle_step_sizes(pixels, annealing.pilot(), pixels.latent_dim, streams(num, 1), go_on)


def test_annealed_importance_sampling_equals_quadrature(known: tuple[CurvedModel, NDArray[np.uint8], Tensor]) -> None:
    model, images, exact = known
    estimate = annealed_importance_sampling(model, images, 0, SHORT)
    assert_agrees(estimate, exact)
    assert float(estimate.standard_error.max()) < 0.2


def test_the_papers_model_at_two_latents_has_one_likelihood_by_annealing_importance_sampling_and_quadrature() -> None:
    """Trained, with its gradient written out: 20 images within five standard errors, and 0.05 nats on average."""
    configuration = small_configuration(pixels="fixed", budget_samples=20_000, learning_rate=1e-2)
    data = small_data(configuration)
    model = model_from_weights(train(configuration, SEEDS, data).weights, configuration, data.num_pixels)
    assert isinstance(model, VAE)
    images = data.test[:20]
    exact = quadrature_log_likelihood(model.double(), torch.from_numpy(images).double() / 255)
    annealed = annealed_importance_sampling(model.float(), images, 0, Annealing(32, 200, 5))
    sampled = estimate_log_likelihood(model, images, 5_000, 0)
    for estimate in (annealed, sampled):
        assert_agrees(estimate, exact)
        assert abs(float((estimate.log_likelihood - exact).mean())) < 0.05
    assert float(annealed.lowest_acceptance.min()) > 0.4


def test_annealing_needs_no_good_encoder() -> None:
    model = CurvedModel(strength=1.0)
    images = drawn_images(model, 10)
    exact = quadrature_log_likelihood(model, torch.from_numpy(images).double() / 255)
    with torch.no_grad():
        model.encoding.mul_(-1)
        model.log_variance.fill_(-6.0)
    misled = estimate_log_likelihood(model, images, 100, seed=0)
    annealed = annealed_importance_sampling(model, images, 0, SHORT)
    assert float((exact - misled.log_likelihood).mean()) > 0.5
    assert_agrees(annealed, exact)


def linear_gaussian_runs(annealing: Annealing) -> tuple[AnnealedRun, AnnealedRun, float]:
    """REPETITIONS forward from exact samples of the prior, and as many backward from exact ones of the posterior; and
    the exact log p(x)."""
    pixels = LinearGaussianPixels(noise=2.0)
    betas, random = annealing.inverse_temperatures(), streams(1, 2)
    step_sizes = settled(pixels, annealing, 1).at(betas)
    from_prior = random.normal(REPETITIONS, pixels.latent_dim)
    forward = anneal(pixels, from_prior, betas, step_sizes, annealing.num_leapfrog_steps, random, go_on)
    from_posterior = pixels.posterior_samples(random.normal(REPETITIONS, pixels.latent_dim))
    backward = anneal(
        pixels, from_posterior, betas[::-1], step_sizes.flip(0), annealing.num_leapfrog_steps, random, go_on
    )
    return forward, backward, pixels.log_likelihood()


def test_weights_are_unbiased_and_their_logarithms_bracket_the_truth() -> None:
    """Of 2,000 repetitions with few temperatures: mean weights within four standard errors of p(x) and 1 / p(x), mean
    log weights below and above log p(x) by many, and the gap shrinks with more temperatures."""
    gaps = []
    for num_temperatures in (10, 40):
        annealing = Annealing(16, num_temperatures, 3)
        forward, backward, exact = linear_gaussian_runs(annealing)
        lower, upper = forward.log_weights - exact, backward.log_weights + exact
        for of_ratio in (lower, upper):
            ratios = of_ratio.exp()
            assert abs(float(ratios.mean()) - 1) < 4 * float(ratios.std()) / math.sqrt(REPETITIONS)
            assert float(of_ratio.mean()) < -4 * float(of_ratio.std()) / math.sqrt(REPETITIONS)
        gaps.append(-float(lower.mean() + upper.mean()))
    assert gaps[1] < gaps[0] / 2


def test_the_estimate_of_several_chains_is_a_lower_bound_in_expectation() -> None:
    """500 repetitions of two chains in ten steps on a model that quadrature knows."""
    model = CurvedModel(strength=1.5)
    image = drawn_images(model, 1)
    exact = float(quadrature_log_likelihood(model, torch.from_numpy(image).double() / 255))
    estimate = annealed_importance_sampling(model, image.repeat(500, 0), 0, Annealing(2, 10, 3))
    off = estimate.log_likelihood - exact
    standard_error = float(off.std()) / math.sqrt(500)
    assert -0.5 < float(off.mean()) < -4 * standard_error
    ratios = off.exp()
    assert abs(float(ratios.mean()) - 1) < 4 * float(ratios.std()) / math.sqrt(500)


def test_step_sizes_are_settled_to_their_acceptance_and_shrink_on_the_way() -> None:
    """A posterior a tenth as wide as the prior: frozen step sizes give the acceptance that the pilot aimed at."""
    pixels = LinearGaussianPixels(noise=0.02)
    annealing = Annealing(num_chains=16, num_temperatures=300, num_leapfrog_steps=5)
    step_sizes = settled(pixels, annealing, 20)
    betas = annealing.inverse_temperatures()
    at = step_sizes.at(betas)
    assert float(at[0].min()) == pytest.approx(math.pi / 10)
    assert float(at[-1].max()) < 0.1
    random = streams(20, 2)
    run = anneal(pixels, random.normal(16, 3), betas, at, 5, random, go_on)
    assert 0.55 < float(run.acceptance.mean()) < 0.8


def test_a_pilot_draws_nothing_from_the_run_that_is_used() -> None:
    """Other step sizes, the same random numbers: the runs start in the same place."""
    pixels, betas = LinearGaussianPixels(), inverse_temperatures(1)
    runs = [
        anneal(pixels, streams(5, 2).normal(1, 3), betas, torch.full((2, 5), size), 1, streams(5, 3), go_on)
        for size in (0.1, 0.2)
    ]
    assert torch.equal(runs[0].log_weights, runs[1].log_weights)


def test_step_sizes_that_are_too_long_show_in_the_acceptance() -> None:
    pixels, random = LinearGaussianPixels(noise=0.02), streams(5, 2)
    betas = inverse_temperatures(20)
    run = anneal(pixels, random.normal(16, 3), betas, torch.full((21, 5), 1.0), 5, random, go_on)
    assert float(run.acceptance.max()) < 0.2


@pytest.mark.parametrize("num_threads", [1, 3])
def test_neither_threads_nor_other_images_nor_interruptions_change_a_bit(num_threads: int, tmp_path: Path) -> None:
    """Groups are of four images with 64 chains each; the first eight are estimated without the others as well."""
    model, images = vae_with_wide_logits(), binary_images(12)
    annealing = Annealing(num_chains=64, num_temperatures=20, num_leapfrog_steps=3)
    expected = annealed_importance_sampling(model, images, 4, annealing, num_threads=2)
    kept = tmp_path / "kept.safetensors"

    def stop(done: int, _: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        annealed_importance_sampling(model, images, 4, annealing, num_threads=num_threads, resume=kept, report=stop)
    told: list[int] = []
    resumed = annealed_importance_sampling(
        model, images, 4, annealing, num_threads=num_threads, resume=kept, report=lambda done, _: told.append(done)
    )
    first = annealed_importance_sampling(model, images[:8], 4, annealing, num_threads=num_threads)
    assert len(told) == 2, "one group was kept, those that were under way were given up"
    for found, fewer, whole in zip(resumed, first, expected, strict=True):
        assert torch.equal(found, whole)
        assert torch.equal(fewer, whole[:8])


def test_another_request_is_refused_and_its_settings_named(tmp_path: Path) -> None:
    model, images, kept = vae_with_wide_logits(), binary_images(2), tmp_path / "kept.safetensors"
    annealed_importance_sampling(model, images, 0, FEW, resume=kept)
    for changed, says in (
        (Annealing(2, 20, 3), "num_chains is 1 there and 2 here"),
        (Annealing(1, 21, 3), "num_temperatures is 20 there and 21 here"),
        (Annealing(1, 20, 4), "num_leapfrog_steps is 3 there and 4 here"),
    ):
        with pytest.raises(ValueError, match=says):
            annealed_importance_sampling(model, images, 0, changed, resume=kept)
    with pytest.raises(ValueError, match="num_samples is None there and 1 here"):
        estimate_log_likelihood(model, images, 1, 0, resume=kept)


@pytest.mark.parametrize("name", ["num_chains", "num_temperatures", "num_leapfrog_steps"])
def test_fewer_than_one_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is 0; it must be at least 1"):
        replace(Annealing(), **{name: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize("schedule", ["linear", "sigmoid"])
def test_temperatures_rise_from_the_prior_to_the_posterior(schedule: str) -> None:
    betas = inverse_temperatures(20, schedule)  # type: ignore[arg-type]
    assert len(betas) == 21
    assert (betas[0], betas[-1]) == (0, 1)
    assert (np.diff(betas) > 0).all()
    np.testing.assert_allclose(betas + betas[::-1], 1)
