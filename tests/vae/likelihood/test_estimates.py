"""Sums of weights that are never all in memory, and requests that no estimator can meet."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.support.trainings import CurvedModel, drawn_images
from tests.support.users_models import BatchNormModel
from vae.bound import combine_log_weights
from vae.likelihood import (
    Annealing,
    annealed_importance_sampling,
    estimate_log_likelihood,
    posterior_density_estimator,
)
from vae.likelihood.estimates import WeightSums


def test_streamed_sums_equal_the_whole() -> None:
    log_weights = 30 * torch.randn(101, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 900
    sums = WeightSums(4)
    for part in log_weights.split(10):
        sums.add(part)
    found, expected = sums.estimate(), combine_log_weights(log_weights)
    torch.testing.assert_close(found.log_likelihood, expected.bound)
    torch.testing.assert_close(found.standard_error, expected.standard_error, rtol=1e-6, atol=1e-9)
    weights = torch.softmax(log_weights, 0)
    torch.testing.assert_close(found.effective_sample_size, 1 / weights.square().sum(0))


def test_equal_weights_are_all_effective_and_have_no_error() -> None:
    sums = WeightSums(2)
    sums.add(torch.full((50, 2), -3.0))
    found = sums.estimate()
    torch.testing.assert_close(found.effective_sample_size, torch.full((2,), 50.0, dtype=torch.float64))
    assert float(found.standard_error.max()) < 1e-6


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda model, images: posterior_density_estimator(CurvedModel(latent_dim=5), images, 0),
            "has 5 latent dimensions; this estimator is for at most 4",
        ),
        (
            lambda model, images: posterior_density_estimator(model, images, 0, num_samples=2),
            "needs at least 3 samples",
        ),
        (lambda model, images: estimate_log_likelihood(model, images, 0, 0), "it must be at least 1"),
        (lambda model, images: estimate_log_likelihood(model, images / 255, 5, 0), "must be uint8 [n, pixels]"),
        (
            lambda model, images: estimate_log_likelihood(model, images, 5, 0, num_threads=0),
            "num_threads is 0; it must be at least 1",
        ),
    ],
)
def test_what_cannot_be_estimated_is_refused(call: object, says: str) -> None:
    model = CurvedModel()
    assert callable(call)
    with pytest.raises(ValueError) as raised:
        call(model, drawn_images(model, 2))
    assert says in str(raised.value)


@pytest.mark.parametrize(
    "estimate",
    [
        lambda model, images: estimate_log_likelihood(model, images, 20, 0).log_likelihood,
        lambda model, images: (
            annealed_importance_sampling(
                model, images, 0, Annealing(num_temperatures=3, num_chains=2, num_leapfrog_steps=1)
            ).log_likelihood
        ),
        lambda model, images: (
            posterior_density_estimator(
                model, images, 0, num_samples=5, num_transitions=2, num_leapfrog_steps=1
            ).log_likelihood
        ),
    ],
)
def test_a_model_in_training_mode_is_estimated_in_evaluation_mode_and_left_as_it_was(
    estimate: Callable[[BatchNormModel, NDArray[np.uint8]], Tensor],
) -> None:
    model = BatchNormModel(24, 5, 2)
    images = drawn_images(CurvedModel(), 3)
    estimated = estimate(model, images)
    assert model.training
    assert torch.equal(estimated, estimate(model.eval(), images))


def test_images_of_0_and_1_are_refused_with_what_makes_them_0_and_255() -> None:
    with pytest.raises(ValueError, match=r"\(images \* \(255 / 1\)\)\.round\(\)"):
        estimate_log_likelihood(CurvedModel(), drawn_images(CurvedModel(), 3) // 255, 10, 0)
