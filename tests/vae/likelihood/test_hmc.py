"""The Hamiltonian transitions of annealing: the distribution that they leave as it is, and proposals that overflow."""

from __future__ import annotations

import torch

from vae.likelihood.hmc import start_chains, transition
from vae.randomness import generator


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
