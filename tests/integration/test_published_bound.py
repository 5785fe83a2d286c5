"""The published lower bound of PyTorch's own VAE example, whose three prints are 105.56, 105.59 and 105.61 nats."""

from __future__ import annotations

import pytest

from vae.configuration import TrainingConfiguration
from vae.data.dataset import Dataset
from vae.minibatches import prepare
from vae.randomness import Seeds
from vae.training import train


@pytest.mark.slow
def test_ten_epochs_of_the_published_configuration_reach_the_published_bound(mnist: Dataset) -> None:
    """Mean of three seeds within half a nat, the spread of seeds and of what the published program leaves open."""
    configuration = TrainingConfiguration(
        train_on_all=True,
        hidden_units=400,
        activation="relu",
        batch_size=128,
        budget_samples=600_000,
        num_evaluations=1,
        test_at_end=True,
        num_importance_images=1,
    )
    data = prepare(mnist, configuration)
    bounds = [
        train(configuration, Seeds.from_root(seed), data).evaluations[-1].metrics["test/lower_bound"]
        for seed in range(3)
    ]
    assert sum(bounds) / 3 == pytest.approx(-105.6, abs=0.5), bounds
