"""Annealed importance sampling against quadrature, and its temperatures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.support.likelihoods import assert_agrees
from tests.support.trainings import CurvedModel, drawn_images, quadrature_log_likelihood
from vae.likelihood import (
    annealed_importance_sampling,
    estimate_log_likelihood,
    inverse_temperatures,
)


def test_annealed_importance_sampling_equals_quadrature(known: tuple[CurvedModel, NDArray[np.uint8], Tensor]) -> None:
    model, images, exact = known
    found = annealed_importance_sampling(model, images, seed=0, num_chains=64, num_steps=100, num_leapfrog_steps=5)
    assert_agrees(found, exact)
    assert float(found.standard_error.max()) < 0.2


def test_annealing_needs_no_good_encoder() -> None:
    model = CurvedModel(strength=1.0)
    images = drawn_images(model, 10)
    exact = quadrature_log_likelihood(model, torch.from_numpy(images).double() / 255)
    with torch.no_grad():
        model.encoding.mul_(-1)
        model.log_variance.fill_(-6.0)
    misled = estimate_log_likelihood(model, images, 100, seed=0)
    annealed = annealed_importance_sampling(model, images, seed=0, num_chains=64, num_steps=100, num_leapfrog_steps=5)
    assert float((exact - misled.log_likelihood).mean()) > 0.5
    assert_agrees(annealed, exact)


@pytest.mark.parametrize("schedule", ["linear", "sigmoid"])
def test_temperatures_rise_from_the_prior_to_the_posterior(schedule: str) -> None:
    betas = inverse_temperatures(20, schedule)  # type: ignore[arg-type]
    assert len(betas) == 21
    assert (betas[0], betas[-1]) == (0, 1)
    assert (np.diff(betas) > 0).all()
    np.testing.assert_allclose(betas + betas[::-1], 1)
