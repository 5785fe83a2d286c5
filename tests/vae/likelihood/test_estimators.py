"""Three estimators of log p(x) against quadrature over one and two latent dimensions; the fast one of the VAE
against float64."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from tests.support.trainings import CurvedModel, drawn_images, quadrature_log_likelihood
from vae.bound import combine_log_weights
from vae.densities import gaussian_log_density, standard_gaussian_log_density
from vae.likelihood import (
    LogLikelihood,
    annealed_importance_sampling,
    estimate_log_likelihood,
    inverse_temperatures,
    posterior_density_estimator,
)
from vae.likelihood.estimates import WeightSums
from vae.likelihood.hmc import start_chains, transition
from vae.likelihood.pixel_sums import FACTORS_PER_LOGARITHM, PixelSums
from vae.model.network import VAE
from vae.randomness import derive, generator


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


def vae_with_wide_logits(num_pixels: int = 50, num_hidden_layers: int = 1, activation: str = "tanh") -> VAE:
    """A VAE whose logits reach 20 in size, as those of a trained one do; 50 pixels fill no whole number of groups."""
    torch.manual_seed(0)
    model = VAE(
        num_pixels, num_hidden_layers=num_hidden_layers, hidden_units=30, latent_dim=3, activation=activation
    ).eval()
    with torch.no_grad():
        model.decoder.output.weight.mul_(12)
    return model


def binary_images(num: int, num_pixels: int = 50) -> NDArray[np.uint8]:
    return (np.random.default_rng(0).random((num, num_pixels)) < 0.3).astype(np.uint8) * np.uint8(255)


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


def test_an_interrupted_estimate_goes_on_where_it_was(tmp_path: Path) -> None:
    model, images, kept = vae_with_wide_logits(), binary_images(10), tmp_path / "kept.safetensors"
    whole = estimate_log_likelihood(model, images, 100, seed=1, images_at_once=2)

    def stop(done: int, _: int) -> None:
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        estimate_log_likelihood(model, images, 100, seed=1, images_at_once=2, num_threads=1, resume=kept, report=stop)
    told: list[int] = []
    found = estimate_log_likelihood(
        model,
        images,
        100,
        seed=1,
        images_at_once=2,
        num_threads=1,
        resume=kept,
        report=lambda done, _: told.append(done),
    )
    assert told == [8, 10]
    again = estimate_log_likelihood(
        model, images, 100, seed=1, images_at_once=2, resume=kept, report=lambda done, _: told.append(-done)
    )
    assert told == [8, 10], "a finished estimate is read, not made again"
    for resumed, read, expected in zip(found, again, whole, strict=True):
        assert torch.equal(resumed, expected)
        assert torch.equal(read, expected)


def test_a_file_of_another_request_is_refused_by_name(tmp_path: Path) -> None:
    model, images, kept = vae_with_wide_logits(), binary_images(4), tmp_path / "kept.safetensors"
    estimate_log_likelihood(model, images, 10, seed=1, resume=kept)
    with torch.no_grad():
        other = vae_with_wide_logits()
        other.decoder.output.bias[0] += 1
    relu = vae_with_wide_logits(activation="relu")
    calls: list[tuple[str, Callable[[], object]]] = [
        (
            "num_samples is 10 there and 20 here",
            lambda: estimate_log_likelihood(model, images, 20, seed=1, resume=kept),
        ),
        ("seed is 1 there and 2 here", lambda: estimate_log_likelihood(model, images, 10, seed=2, resume=kept)),
        ("images is ", lambda: estimate_log_likelihood(model, images[:3], 10, seed=1, resume=kept)),
        ("weights is ", lambda: estimate_log_likelihood(other, images, 10, seed=1, resume=kept)),
        ("model is ", lambda: estimate_log_likelihood(relu, images, 10, seed=1, resume=kept)),
    ]
    for says, call in calls:
        with pytest.raises(ValueError) as raised:
            call()
        assert str(kept) in str(raised.value)
        assert says in str(raised.value)
        assert "or remove it to begin anew" in str(raised.value)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-9],
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda _: b"",
        lambda _: b"no safetensors",
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    model, images, kept = vae_with_wide_logits(), binary_images(4), tmp_path / "kept.safetensors"
    estimate_log_likelihood(model, images, 10, seed=1, resume=kept)
    kept.write_bytes(damage(kept.read_bytes()))
    with pytest.raises(ValueError) as raised:
        estimate_log_likelihood(model, images, 10, seed=1, resume=kept)
    assert str(raised.value).startswith(str(kept))


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


def test_hmc_leaves_its_distribution_invariant_and_adapts_to_its_target() -> None:
    """A correlated Gaussian: means and covariances of 2,000 chains after 150 transitions, within five standard
    errors."""
    precision = torch.tensor([[2.0, -1.2], [-1.2, 1.0]])
    centre = torch.tensor([1.0, -2.0])
    chains = start_chains(torch.zeros(2_000, 1, 2), 0.1)
    random = generator(0)
    for step in range(150):
        transition(
            chains, lambda z: -0.5 * ((z - centre) @ precision * (z - centre)).sum(-1), 5, random, adapt=step < 100
        )
    samples = chains.z[:, 0]
    covariance = torch.linalg.inv(precision)
    assert ((samples.mean(0) - centre).abs() < 5 * torch.sqrt(covariance.diagonal() / 2_000)).all()
    torch.testing.assert_close(torch.cov(samples.T), covariance, rtol=0.16, atol=0.16)
    assert 0.5 < float(chains.acceptance[0]) < 0.8


def test_a_proposal_that_overflows_is_rejected() -> None:
    chains = start_chains(torch.ones(5, 1, 1), 1e20)
    transition(chains, lambda z: -z.square().square().sum(-1), 3, generator(0))
    assert torch.equal(chains.z, torch.ones(5, 1, 1))
    assert float(chains.step_size[0]) < 1e20


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
