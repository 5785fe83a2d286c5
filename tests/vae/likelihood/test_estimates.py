"""Three estimators of log p(x) against quadrature over one and two latent dimensions; the fast one of the VAE
against float64."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.support.trainings import CurvedModel, drawn_images, quadrature_log_likelihood
from vae.bound import combine_log_weights
from vae.likelihood import (
    LogLikelihood,
    annealed_importance_sampling,
    estimate_log_likelihood,
    inverse_temperatures,
    posterior_density_estimator,
)
from vae.likelihood.estimates import WeightSums


@pytest.fixture(scope="module", params=[1, 2])
def known(request: pytest.FixtureRequest) -> tuple[CurvedModel, NDArray[np.uint8], Tensor]:
    """A model with one or two latent dimensions whose encoder is wider than the posterior, ten of its images, their
    log p(x)."""
    model = CurvedModel(latent_dim=request.param, strength=1.0)
    with torch.no_grad():
        model.log_variance.zero_()
    images = drawn_images(model, 10)
    return model, images, quadrature_log_likelihood(model, torch.from_numpy(images).double() / 255)


def assert_agrees(found: LogLikelihood, exact: Tensor, least: float = 0.0) -> None:
    """Every image within five standard errors, or within `least` nats where those are tiny."""
    off = (found.log_likelihood - exact).abs()
    allowed = (5 * found.standard_error).clamp_min(least)
    assert (off < allowed).all(), (off, allowed, found.effective_sample_size)


def test_importance_sampling_equals_quadrature(known: tuple[CurvedModel, NDArray[np.uint8], Tensor]) -> None:
    model, images, exact = known
    found = estimate_log_likelihood(model, images, 5_000, seed=0)
    assert_agrees(found, exact)
    assert float(found.standard_error.max()) < 0.1
    assert ((found.effective_sample_size > 1) & (found.effective_sample_size <= 5_000)).all()


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


def test_the_papers_estimator_equals_quadrature(known: tuple[CurvedModel, NDArray[np.uint8], Tensor]) -> None:
    """Fresh samples are as independent as their chains; 0.1 nats are allowed for what 60 transitions leave of the
    start."""
    model, images, exact = known
    found = posterior_density_estimator(model, images, seed=0, num_samples=400, num_transitions=60)
    assert_agrees(found, exact, least=0.1)


@pytest.mark.parametrize(("images_at_once", "samples_at_once"), [(1, 7), (3, 64), (100, 1), (4, 1_000)])
def test_how_much_is_taken_at_once_changes_rounding_only(images_at_once: int, samples_at_once: int) -> None:
    model = CurvedModel(latent_dim=3)
    images = drawn_images(model, 10)
    whole = estimate_log_likelihood(model, images, 150, seed=1)
    model.most_decoded_at_once = 0
    parts = estimate_log_likelihood(
        model, images, 150, seed=1, images_at_once=images_at_once, samples_at_once=samples_at_once
    )
    for found, expected in zip(parts, whole, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    assert model.most_decoded_at_once <= images_at_once * samples_at_once, "memory is bounded"


def test_the_encoder_sees_each_image_once() -> None:
    model = CurvedModel()
    images = drawn_images(model, 10)
    estimate_log_likelihood(model, images, 50, seed=1, images_at_once=3, samples_at_once=7)
    assert model.encoded_images == 10


MEMORY = """
import resource, sys
import numpy as np
import torch
from vae.likelihood import estimate_log_likelihood
from vae.model.network import VAE
torch.manual_seed(0)
model, images = VAE(784), (np.random.default_rng(0).random((1, 784)) < 0.2).astype(np.uint8) * np.uint8(255)
estimate_log_likelihood(model, images, 500, 0, num_threads=1)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
estimate_log_likelihood(model, images, 10_000, 0, num_threads=1)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_memory_does_not_grow_with_the_samples(root: Path) -> None:
    """Logits of 10,000 samples at once would be 31 MB; 10 are allowed for what allocators keep."""
    done = subprocess.run([sys.executable, "-c", MEMORY], cwd=root, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 10


def test_progress_is_told_in_images() -> None:
    model = CurvedModel()
    told: list[tuple[int, int]] = []
    estimate_log_likelihood(
        model, drawn_images(model, 10), 5, seed=1, images_at_once=4, report=lambda done, of: told.append((done, of))
    )
    assert told == [(4, 10), (8, 10), (10, 10)]


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


@pytest.mark.parametrize("schedule", ["linear", "sigmoid"])
def test_temperatures_rise_from_the_prior_to_the_posterior(schedule: str) -> None:
    betas = inverse_temperatures(20, schedule)  # type: ignore[arg-type]
    assert len(betas) == 21
    assert (betas[0], betas[-1]) == (0, 1)
    assert (np.diff(betas) > 0).all()
    np.testing.assert_allclose(betas + betas[::-1], 1)


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
