"""The fast sums over pixels against float64, their overflow and underflow, and threads."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.support.wide_logits import binary_images, vae_with_wide_logits
from vae.densities import gaussian_log_density, standard_gaussian_log_density
from vae.likelihood import (
    estimate_log_likelihood,
)
from vae.likelihood.pixel_sums import FACTORS_PER_LOGARITHM, PixelSums
from vae.model.network import VAE
from vae.randomness import derive, generator


@torch.no_grad()
def estimated_in_float64(model: VAE, images: NDArray[np.uint8], num_samples: int, seed: int) -> Tensor:
    """The formula as it is written, on the same noise, pixel by pixel."""
    exact = VAE(
        images.shape[1], len(model.decoder.hidden) // 2, 30, 3, type(model.decoder.hidden[1]).__name__.lower()
    ).double()
    exact.load_state_dict(model.state_dict())
    x = torch.from_numpy(images).double() / 255
    noise = np.stack(
        [
            generator(derive(seed, "likelihood", i)).standard_normal((num_samples, 3), dtype=np.float32)
            for i in range(len(images))
        ],
        1,
    )
    mean, log_variance = exact.encode(x)
    z = mean + torch.exp(0.5 * log_variance) * torch.from_numpy(noise)
    t = exact.decode(z)
    log_pixels = (x * t - torch.logaddexp(t, torch.zeros_like(t))).sum(-1)
    weights = log_pixels + (standard_gaussian_log_density(z) - gaussian_log_density(z, mean, log_variance)).sum(-1)
    estimate: Tensor = torch.logsumexp(weights, 0) - math.log(num_samples)
    return estimate


@pytest.mark.parametrize(("num_hidden_layers", "activation"), [(1, "tanh"), (2, "tanh"), (3, "relu"), (1, "softplus")])
def test_the_vaes_own_sums_equal_the_formula_in_float64(num_hidden_layers: int, activation: str) -> None:
    """Within what float32 gives: logits err by some 1e-6 each, 50 of them by less than 1e-4 together."""
    model, images = vae_with_wide_logits(num_hidden_layers=num_hidden_layers, activation=activation), binary_images(7)
    found = estimate_log_likelihood(model, images, 700, seed=3)
    torch.testing.assert_close(found.log_likelihood, estimated_in_float64(model, images, 700, 3), rtol=0, atol=1e-4)


def test_grey_pixels_get_the_formula_too() -> None:
    model = vae_with_wide_logits()
    images = np.random.default_rng(0).integers(0, 256, (3, 50), dtype=np.uint8)
    torch.testing.assert_close(
        estimate_log_likelihood(model, images, 200, seed=3).log_likelihood,
        estimated_in_float64(model, images, 200, 3),
        rtol=0,
        atol=1e-4,
    )


@pytest.mark.parametrize("scale", [1.0, 40.0, 400.0])
def test_products_that_underflow_are_summed_pixel_by_pixel(scale: float) -> None:
    """Logits of hundreds against the image: products of sigmoids vanish in float32, the estimate does not."""
    model, images = vae_with_wide_logits(), binary_images(4)
    with torch.no_grad():
        model.decoder.output.weight.mul_(scale)
    found = estimate_log_likelihood(model, images, 300, seed=0)
    expected = estimated_in_float64(model, images, 300, 0)
    assert torch.isfinite(found.log_likelihood).all()
    torch.testing.assert_close(found.log_likelihood, expected, rtol=2e-6, atol=1e-4)


def test_a_sum_of_pixels_is_exact_or_minus_infinity() -> None:
    """Never a product of denormals, which has lost its digits: logits against the image grow until products vanish."""
    model = vae_with_wide_logits(num_pixels=FACTORS_PER_LOGARITHM)
    x = torch.zeros(FACTORS_PER_LOGARITHM)
    for logit in np.linspace(0.0, 10.0, 201):
        with torch.no_grad():
            model.decoder.output.weight.zero_()
            model.decoder.output.bias.fill_(float(logit))
        sums = PixelSums(model.decoder, 4)
        sums.see(x)
        found, exact = (
            float(sums.of(torch.ones(4, 1))),
            -FACTORS_PER_LOGARITHM * float(np.logaddexp(0, np.float32(logit))),
        )
        assert found == pytest.approx(exact, abs=1e-4) or (found == -np.inf and exact < -87), (logit, found, exact)


@pytest.mark.parametrize("images_at_once", [1, 3, 20])
def test_threads_change_no_bit_and_groups_only_rounding(images_at_once: int) -> None:
    model, images = vae_with_wide_logits(), binary_images(10)
    threads = torch.get_num_threads()
    one, three = (
        estimate_log_likelihood(model, images, 600, seed=1, images_at_once=images_at_once, num_threads=number)
        for number in (1, 3)
    )
    for found, expected in zip(three, one, strict=True):
        assert torch.equal(found, expected)
    torch.testing.assert_close(
        one.log_likelihood, estimate_log_likelihood(model, images, 600, seed=1).log_likelihood, rtol=1e-6, atol=1e-5
    )
    assert torch.get_num_threads() == threads, "the caller's own threads are as they were"
