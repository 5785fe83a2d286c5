"""The Hamiltonian transitions of annealing: the distribution that they leave as it is, proposals that overflow, and
streams of random numbers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.support.likelihoods import LinearGaussianPixels
from vae.likelihood.hmc import ImageStreams, adapted, longest_step_sizes, start_chains, transition
from vae.randomness import generator


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_a_transition_leaves_exact_samples_exact_at_any_step_size(beta: float) -> None:
    """Means and covariances of 20,000 chains that start in the Gaussian p(z) p(x|z)^beta, after 20 transitions with
    steps so long that a third is rejected: within five standard errors, the tolerance of a covariance being that of
    variances of at most one."""
    pixels, random = LinearGaussianPixels(), ImageStreams([generator(0)])
    chains = start_chains(pixels, pixels.posterior_samples(random.normal(20_000, 3), beta))
    mean, covariance = pixels.posterior(beta)
    probabilities = [
        transition(chains, pixels, beta, torch.tensor([0.9 * stability(covariance)]), 3, random) for _ in range(20)
    ]
    samples = chains.z[:, 0]
    assert float(torch.stack(probabilities).mean()) < 0.9
    assert ((samples.mean(0) - mean).abs() < 5 * torch.sqrt(covariance.diagonal() / 20_000)).all()
    torch.testing.assert_close(torch.cov(samples.T), covariance, rtol=0, atol=5 * math.sqrt(2 / 20_000))


def stability(covariance: Tensor) -> float:
    """The step size from which the leapfrog diverges: twice the smallest standard deviation."""
    return 2 * math.sqrt(float(torch.linalg.eigvalsh(covariance)[0]))


def test_chains_find_their_distribution_and_step_sizes_their_acceptance() -> None:
    """From far away: means after 200 transitions within five standard errors, proposals accepted as they should be."""
    pixels, random = LinearGaussianPixels(noise=0.05), ImageStreams([generator(1)])
    chains = start_chains(pixels, 3 + torch.zeros(2_000, 1, 3))
    step_size = longest_step_sizes(chains, 4)
    for _ in range(100):
        step_size = adapted(step_size, transition(chains, pixels, 1.0, step_size, 4, random), 4)
    probability = torch.stack([transition(chains, pixels, 1.0, step_size, 4, random) for _ in range(100)])
    mean, covariance = pixels.posterior()
    assert ((chains.z[:, 0].mean(0) - mean).abs() < 5 * torch.sqrt(covariance.diagonal() / 2_000)).all()
    assert 0.6 < float(probability.mean()) < 0.7


def test_step_sizes_never_exceed_a_quarter_of_the_priors_period() -> None:
    """So that a trajectory under the prior ends where it knows nothing of its start: independent samples, nearly all
    of them accepted."""
    pixels, random = LinearGaussianPixels(), ImageStreams([generator(2)])
    chains = start_chains(pixels, random.normal(5_000, 3))
    step_size = adapted(longest_step_sizes(chains, 10), torch.ones(5_000, 1), 10)
    before = chains.z
    probability = transition(chains, pixels, 0.0, step_size, 10, random)
    assert float(step_size[0]) == pytest.approx(math.pi / 2 / 10)
    assert float(probability.mean()) > 0.98
    correlation = torch.corrcoef(torch.stack([before[:, 0, 0], chains.z[:, 0, 0].to(before)]))[0, 1]
    assert abs(float(correlation)) < 5 / math.sqrt(5_000)


def test_a_proposal_that_overflows_is_rejected() -> None:
    pixels, random = LinearGaussianPixels(), ImageStreams([generator(0)])
    chains = start_chains(pixels, torch.ones(5, 1, 3))
    step_size = torch.tensor([1e200], dtype=torch.float64)
    probability = transition(chains, pixels, 1.0, step_size, 3, random)
    assert torch.equal(chains.z, torch.ones(5, 1, 3).to(chains.z))
    assert torch.equal(probability, torch.zeros(5, 1).to(probability))
    assert float(adapted(step_size, probability, 3)[0]) < 1e200


def test_what_an_image_draws_does_not_depend_on_the_others() -> None:
    def drawn(positions: list[int]) -> tuple[Tensor, Tensor]:
        random = ImageStreams([generator(9, position) for position in positions])
        return random.normal(4, 3), random.uniform(4)

    for together, alone in zip(drawn([5, 6, 7]), drawn([6]), strict=True):
        assert torch.equal(together[:, 1], alone[:, 0])
