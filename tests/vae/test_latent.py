"""Paths, samples, the manifold and active units, against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.support.users_models import BatchNormModel
from vae import latent
from vae.model.network import VAE
from vae.randomness import generator


class HandMade(nn.Module):
    """Encodes pixel j into latent j with a given gain; decodes latents as logits."""

    def __init__(self, gains: list[float]) -> None:
        super().__init__()
        self.latent_dim = len(gains)
        self.register_buffer("gains", torch.tensor(gains))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = x[..., : self.latent_dim] * self.get_buffer("gains")
        return mean, torch.full_like(mean, math.log(0.5))

    def decode(self, z: Tensor) -> Tensor:
        return z


def vectors(dimension: int, seed: int) -> tuple[Tensor, Tensor]:
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(dimension, generator=stream), torch.randn(dimension, generator=stream)


def angles_between_neighbours(path: Tensor) -> Tensor:
    unit = path.double() / path.double().norm(dim=1, keepdim=True)
    return torch.acos((unit[1:] * unit[:-1]).sum(dim=1).clamp(-1, 1))


@given(dimension=st.integers(1, 40), seed=st.integers(0, 10_000), num_points=st.integers(2, 12))
@settings(max_examples=40, deadline=None)
def test_both_paths_begin_and_end_exactly_at_the_encoded_images(dimension: int, seed: int, num_points: int) -> None:
    start, end = vectors(dimension, seed)
    for path in (latent.linear_path(start, end, num_points), latent.spherical_path(start, end, num_points)):
        assert path.shape == (num_points, dimension)
        assert torch.equal(path[0], start)
        assert torch.equal(path[-1], end)


def test_linear_path_has_the_mean_of_its_ends_in_its_middle() -> None:
    start, end = vectors(7, 1)
    torch.testing.assert_close(latent.linear_path(start, end, 5)[2], (start + end) / 2)


@given(dimension=st.integers(2, 40), seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_spherical_path_between_unit_vectors_stays_on_the_sphere(dimension: int, seed: int) -> None:
    start, end = (vector / vector.norm() for vector in vectors(dimension, seed))
    lengths = latent.spherical_path(start, end, 9).norm(dim=1)
    # float32 rounding of sines that are divided by sin(angle) >= 1e-4
    torch.testing.assert_close(lengths, torch.ones(9), atol=2e-3, rtol=0)


def test_spherical_path_turns_at_constant_speed_even_when_its_ends_differ_in_length() -> None:
    start, end = vectors(20, 3)
    path = latent.spherical_path(start, 5 * end, 11)
    steps = angles_between_neighbours(path)
    torch.testing.assert_close(steps, steps.mean().expand(10), atol=1e-5, rtol=0)
    lengths = path.norm(dim=1)
    torch.testing.assert_close(
        lengths[1:] - lengths[:-1], ((lengths[-1] - lengths[0]) / 10).expand(10), atol=1e-4, rtol=0
    )


def test_linear_path_does_not_turn_at_constant_speed() -> None:
    steps = angles_between_neighbours(latent.linear_path(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 9))
    assert float(steps.max() / steps.min()) > 1.5


def test_spherical_path_between_axes_is_the_quarter_circle() -> None:
    path = latent.spherical_path(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 4)
    angle = torch.tensor([0.0, 30.0, 60.0, 90.0]).deg2rad()
    torch.testing.assert_close(path, torch.stack([angle.cos(), angle.sin()], dim=1), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "end", [[2.0, 0.0], [1.0, 1e-6], [-1.0, 0.0], [0.0, 0.0]], ids=["parallel", "nearly parallel", "opposite", "origin"]
)
def test_spherical_path_is_linear_where_no_arc_is_defined(end: list[float]) -> None:
    start = torch.tensor([1.0, 0.0])
    assert torch.equal(
        latent.spherical_path(start, torch.tensor(end), 5), latent.linear_path(start, torch.tensor(end), 5)
    )


def test_a_path_of_one_point_is_refused_in_words() -> None:
    start, end = vectors(3, 0)
    for path in (latent.linear_path, latent.spherical_path):
        with pytest.raises(ValueError, match=r"num_points 1 is too few.*2 or more"):
            path(start, end, 1)


def test_prior_latents_share_their_first_columns_over_latent_sizes() -> None:
    small = latent.prior_latents(30, 2, generator(5))
    large = latent.prior_latents(30, 50, generator(5))
    assert torch.equal(small, large[:, :2])


def test_prior_latents_have_the_moments_of_the_prior() -> None:
    draws = latent.prior_latents(20_000, 3, generator(0))
    # five standard errors: 5 / sqrt(20,000) = 0.035 for a mean, sqrt(2) times that for a variance and a covariance
    torch.testing.assert_close(draws.mean(dim=0), torch.zeros(3), atol=0.035, rtol=0)
    torch.testing.assert_close(torch.cov(draws.T), torch.eye(3), atol=0.05, rtol=0)


def test_manifold_maps_back_to_an_even_grid_of_the_unit_square() -> None:
    grid = latent.manifold_latents(4)
    assert grid.shape == (4, 4, 2)
    centres = torch.tensor([0.125, 0.375, 0.625, 0.875])
    square = torch.special.ndtr(grid)
    torch.testing.assert_close(square[0, :, 0], centres)
    torch.testing.assert_close(square[:, 0, 1], centres.flip(0))


def test_active_units_are_those_whose_posterior_mean_varies() -> None:
    images = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])  # variance 0.5 in every pixel
    gains = [1.0, 0.0, 0.2]
    mean, _ = latent.encode(HandMade(gains), images)  # of variances 0.5, 0 and 0.02
    assert latent.active_units(mean).tolist() == [True, False, True]
    assert latent.active_units(mean, threshold=0.03).tolist() == [True, False, False]


def test_active_units_of_one_image_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        latent.active_units(torch.zeros(1, 1))


def test_divergence_per_latent_agrees_with_torch_distributions() -> None:
    images = torch.rand(5, 3, generator=torch.Generator().manual_seed(1))
    model = HandMade([1.0, -2.0, 0.3])
    mean, log_variance = model.encode(images)
    posterior = torch.distributions.Normal(mean.double(), (0.5 * log_variance).exp().double())
    prior = torch.distributions.Normal(torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64))
    expected = torch.distributions.kl_divergence(posterior, prior).mean(dim=0)
    torch.testing.assert_close(latent.divergence_per_latent(mean, log_variance), expected, atol=1e-6, rtol=0)


def test_encoding_in_parts_gives_what_encoding_at_once_gives() -> None:
    model = VAE(num_pixels=6, hidden_units=5, latent_dim=2)
    images = torch.rand(4_500, 6, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        expected = model.encode(images)
    for part, whole in zip(latent.encode(model, images), expected, strict=True):
        torch.testing.assert_close(part, whole)


def test_nothing_in_the_latent_space_is_differentiated() -> None:
    model = VAE(num_pixels=6, hidden_units=5, latent_dim=2)
    images = torch.rand(3, 6)
    for tensor in (
        *latent.encode(model, images),
        latent.decode(model, torch.zeros(1, 2)),
    ):
        assert not tensor.requires_grad


def test_a_model_in_training_mode_is_looked_at_in_evaluation_mode_and_left_as_it_was() -> None:
    model = BatchNormModel(6, 5, 2)
    images, latents = torch.rand(3, 6), torch.randn(4, 2)
    looked = (*latent.encode(model, images), latent.decode(model, latents))
    assert model.training
    assert model.encoder.training
    model.eval()
    expected = (*model.encode(images), torch.sigmoid(model.decode(latents)))
    assert all(torch.equal(one, other) for one, other in zip(looked, expected, strict=True))
