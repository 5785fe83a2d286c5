"""Log densities and divergences against torch.distributions, enumeration, quadrature and Monte Carlo."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence

from vae.densities import (
    bernoulli_log_density,
    bernoulli_log_likelihood,
    bernoulli_log_likelihood_and_mean,
    gaussian_kl_from_standard,
    gaussian_log_density,
    standard_gaussian_log_density,
)

NUMBERS = st.floats(-8, 8)


def double(number: float) -> Tensor:
    return torch.tensor(number, dtype=torch.float64)


@given(mean=NUMBERS, log_variance=NUMBERS)
def test_gaussian_kl_equals_torch_distributions(mean: float, log_variance: float) -> None:
    expected = kl_divergence(Normal(double(mean), math.exp(log_variance / 2)), Normal(double(0), double(1)))
    torch.testing.assert_close(
        gaussian_kl_from_standard(double(mean), double(log_variance)), expected, rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize(("mean", "log_variance"), [(0.0, 0.0), (1.3, -2.0), (-0.4, 1.1)])
def test_gaussian_kl_equals_monte_carlo_within_five_standard_errors(mean: float, log_variance: float) -> None:
    stream = torch.Generator().manual_seed(0)
    z = mean + math.exp(log_variance / 2) * torch.randn(200_000, generator=stream, dtype=torch.float64)
    ratios = gaussian_log_density(z, double(mean), double(log_variance)) - standard_gaussian_log_density(z)
    tolerance = 5 * float(ratios.std()) / math.sqrt(len(ratios)) + 1e-12
    assert float(gaussian_kl_from_standard(double(mean), double(log_variance))) == pytest.approx(
        float(ratios.mean()), abs=tolerance
    )


@given(mean=NUMBERS, log_variance=NUMBERS)
def test_gaussian_kl_is_never_negative_and_zero_only_at_the_prior(mean: float, log_variance: float) -> None:
    kl = float(gaussian_kl_from_standard(double(mean), double(log_variance)))
    assert kl >= -1e-12
    if abs(mean) > 1e-3 or abs(log_variance) > 1e-3:
        assert kl > 0


@given(z=NUMBERS, mean=NUMBERS, log_variance=NUMBERS)
def test_gaussian_log_density_equals_torch_distributions(z: float, mean: float, log_variance: float) -> None:
    expected = Normal(double(mean), math.exp(log_variance / 2)).log_prob(double(z))
    torch.testing.assert_close(
        gaussian_log_density(double(z), double(mean), double(log_variance)), expected, rtol=1e-10, atol=1e-10
    )


@given(z=NUMBERS)
def test_standard_gaussian_is_the_gaussian_of_mean_zero_and_variance_one(z: float) -> None:
    torch.testing.assert_close(
        standard_gaussian_log_density(double(z)), gaussian_log_density(double(z), double(0), double(0))
    )


def test_gaussian_density_integrates_to_one() -> None:
    z = torch.linspace(-30, 30, 20_001, dtype=torch.float64)
    density = gaussian_log_density(z, double(1.0), double(2 * math.log(2.0))).exp()
    assert float(torch.trapezoid(density, z)) == pytest.approx(1, abs=1e-12)


@given(logit=st.floats(-30, 30), x=st.sampled_from([0.0, 1.0]))
def test_bernoulli_log_mass_equals_torch_distributions(logit: float, x: float) -> None:
    expected = Bernoulli(logits=double(logit)).log_prob(double(x))
    torch.testing.assert_close(bernoulli_log_density(double(x), double(logit)), expected, rtol=1e-10, atol=1e-14)


def test_bernoulli_masses_of_all_images_sum_to_one() -> None:
    logits = torch.tensor([-3.0, -0.5, 0.0, 0.7, 2.0, 9.0], dtype=torch.float64)
    images = torch.tensor(list(itertools.product([0.0, 1.0], repeat=6)), dtype=torch.float64)
    assert float(bernoulli_log_density(images, logits).sum(-1).exp().sum()) == pytest.approx(1, abs=1e-12)


@given(logit=st.floats(-20, 20), x=st.floats(0, 1))
def test_a_grey_pixel_gets_the_expected_log_mass_of_a_pixel_of_that_mean(logit: float, x: float) -> None:
    on, off = bernoulli_log_density(double(1), double(logit)), bernoulli_log_density(double(0), double(logit))
    torch.testing.assert_close(
        bernoulli_log_density(double(x), double(logit)), x * on + (1 - x) * off, rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("logit", [-500.0, -100.0, 100.0, 500.0])
def test_bernoulli_log_mass_stays_finite_at_extreme_logits_in_float32(logit: float) -> None:
    x = torch.tensor([0.0, 1.0], requires_grad=True)
    logits = torch.tensor([logit, logit], requires_grad=True)
    masses = bernoulli_log_density(x, logits)
    torch.testing.assert_close(masses.detach(), torch.tensor([min(0.0, -logit), min(0.0, logit)]), rtol=1e-6, atol=1e-6)
    masses.sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_densities_broadcast_over_samples() -> None:
    assert gaussian_log_density(torch.zeros(5, 3, 2), torch.zeros(3, 2), torch.zeros(2)).shape == (5, 3, 2)
    assert bernoulli_log_density(torch.zeros(3, 4), torch.zeros(5, 3, 4)).shape == (5, 3, 4)


@pytest.mark.parametrize("spread", [0.01, 1.0, 5.0, 20.0])
@pytest.mark.parametrize("seed", range(5))
def test_rounding_in_float32_moves_an_image_by_less_than_a_thousandth_of_a_nat(spread: float, seed: int) -> None:
    """Each of 784 pixels errs by some units in the last place of 1 and of its logit; errors of either sign nearly
    cancel."""
    exact = (
        spread * torch.randn(784, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).float().double()
    )
    x = (exact > 0).double()
    total = bernoulli_log_density(x.float(), exact.float()).sum()
    assert float(total) == pytest.approx(float(Bernoulli(logits=exact).log_prob(x).sum()), abs=1e-3)


def test_gradient_of_the_bernoulli_log_density_is_pixel_minus_probability() -> None:
    logits = torch.linspace(-40, 40, 81, dtype=torch.float64, requires_grad=True)
    x = torch.linspace(0, 1, 81, dtype=torch.float64)
    bernoulli_log_density(x, logits).sum().backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, x - torch.sigmoid(logits.detach()))


@pytest.mark.parametrize("num_pixels", [1, 7, 36, 784])
def test_the_log_likelihood_is_the_sum_of_the_elementwise_density_at_any_logits(num_pixels: int) -> None:
    """In float64 exact to rounding; also where the probability is 0 or 1 in float64, and for numbers of pixels that
    are odd."""
    stream = torch.Generator().manual_seed(num_pixels)
    x = torch.rand(5, num_pixels, generator=stream, dtype=torch.float64)
    for scale in (0.01, 1.0, 30.0, 1e4):
        logits = scale * torch.randn(3, 5, num_pixels, generator=stream, dtype=torch.float64)
        expected = bernoulli_log_density(x, logits).sum(-1)
        torch.testing.assert_close(bernoulli_log_likelihood(x, logits), expected, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(bernoulli_log_likelihood_and_mean(x, logits)[1], torch.sigmoid(logits))


def test_the_log_likelihood_in_float32_is_that_of_float64_within_a_few_hundredthousandths_of_a_nat() -> None:
    """Half a unit in the last place of 1 for each of 784 pixels is 5e-5 nats if all err alike, and sums of 100 nats
    err by 1e-5."""
    stream = torch.Generator().manual_seed(0)
    logits = 5 * torch.randn(200, 784, generator=stream)
    x = torch.bernoulli(torch.sigmoid(logits), generator=stream)
    exact = bernoulli_log_density(x.double(), logits.double()).sum(-1)
    assert float((bernoulli_log_likelihood(x, logits) - exact).abs().max()) < 5e-5


def test_the_gradients_of_the_log_likelihood_are_right_also_where_shapes_broadcast() -> None:
    stream = torch.Generator().manual_seed(0)
    x = torch.rand(5, 12, generator=stream, dtype=torch.float64, requires_grad=True)
    logits = torch.randn(3, 1, 12, generator=stream, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(bernoulli_log_likelihood, (x, logits))


@pytest.mark.parametrize("logit", [math.nan, math.inf])
def test_logits_that_are_no_numbers_give_no_finite_log_likelihood(logit: float) -> None:
    logits = torch.zeros(1, 784)
    logits[0, 300] = logit
    assert not torch.isfinite(bernoulli_log_likelihood(torch.zeros(1, 784), logits)).any()
