"""Every scheme against its stated distribution, and the weights that models of different depth share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast, get_args

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from vae.model.initialisation import initialise, output_bias
from vae.model.network import VAE
from vae.settings.choices import Initialisation

SCHEMES: tuple[Initialisation, ...] = get_args(Initialisation)
PIXELS, UNITS, LATENT = 120, 90, 40


def initialised(
    scheme: Initialisation, num_hidden_layers: int = 1, seed: int = 3, latent_dim: int = LATENT
) -> dict[str, torch.Tensor]:
    model = VAE(PIXELS, num_hidden_layers, UNITS, latent_dim)
    initialise(model, scheme, seed)
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def expected_distribution(
    scheme: Initialisation, fan_in: int, fan_out: int, is_bias: bool
) -> stats.distributions.rv_frozen | None:
    """The distribution that the configuration's documentation states; None where it says zero."""
    if scheme == "paper":
        return stats.norm(0, 0.01)
    if scheme == "paper_variance":
        return stats.norm(0, math.sqrt(0.01))
    if scheme == "framework":
        return stats.uniform(-1 / math.sqrt(fan_in), 2 / math.sqrt(fan_in))
    if is_bias:
        return None
    if scheme == "paper_code":
        return stats.norm(0, 1 / math.sqrt(fan_in))
    limit = math.sqrt(6 / (fan_in + fan_out))
    return stats.uniform(-limit, 2 * limit)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_parameter_follows_its_stated_distribution(scheme: Initialisation) -> None:
    """Kolmogorov-Smirnov at 1e-4 over ten parameters; the seed is fixed, so that this passes or fails for good."""
    state = initialised(scheme)
    for name, tensor in state.items():
        fan_out, fan_in = state[name.replace("bias", "weight")].shape
        distribution = expected_distribution(scheme, fan_in, fan_out, name.endswith("bias"))
        if distribution is None:
            assert not tensor.any(), name
        else:
            cumulative = cast("Callable[[float], float]", distribution.cdf)
            assert stats.kstest(tensor.numpy().ravel(), cumulative).pvalue > 1e-4, (scheme, name)


def test_framework_equals_torch_in_distribution() -> None:
    torch.manual_seed(0)
    ours, theirs = initialised("framework"), VAE(PIXELS, 1, UNITS, LATENT).state_dict()
    for name, tensor in theirs.items():
        assert stats.ks_2samp(ours[name].numpy().ravel(), tensor.numpy().ravel()).pvalue > 1e-4, name


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_deeper_model_starts_from_the_same_weights_in_the_layers_it_shares(scheme: Initialisation) -> None:
    """Layers of the same name and shape: the first of the encoder and decoder, and the three output layers."""
    shallow, deep = initialised(scheme, 1), initialised(scheme, 3)
    assert set(shallow) < set(deep)
    for name, tensor in shallow.items():
        assert torch.equal(tensor, deep[name]), name


@pytest.mark.parametrize("scheme", ["paper", "paper_code", "glorot", "framework"])
def test_no_two_layers_start_alike(scheme: Initialisation) -> None:
    state = initialised(scheme, 4)
    weights = [
        tensor.numpy() for name, tensor in state.items() if name.endswith("weight") and tensor.shape == (UNITS, UNITS)
    ]
    assert len(weights) == 6
    for index, first in enumerate(weights):
        for second in weights[index + 1 :]:
            assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.06


def test_initial_weights_depend_on_the_seed_and_on_nothing_global() -> None:
    torch.manual_seed(1)
    first = initialised("framework")
    torch.manual_seed(2)
    np.random.seed(5)  # noqa: NPY002
    assert all(torch.equal(tensor, first[name]) for name, tensor in initialised("framework").items())
    assert not torch.equal(first["encoder.mean.weight"], initialised("framework", seed=4)["encoder.mean.weight"])


def test_initialising_leaves_torchs_global_stream_alone() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.GRU(4, 4))
    torch.manual_seed(9)
    expected = torch.rand(3)
    torch.manual_seed(9)
    initialise(model, "framework", 0)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("scheme", ["paper_code", "glorot", "framework"])
def test_layers_without_a_weight_matrix_keep_their_own_start(scheme: Initialisation) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.PReLU())
    initialise(model, scheme, 0)
    assert torch.equal(model.get_parameter("1.weight").detach(), torch.ones(4))
    assert torch.equal(model.get_parameter("2.weight").detach(), torch.full((1,), 0.25))


def test_layers_of_other_kinds_draw_from_the_seed() -> None:
    def weights(seed: int) -> torch.Tensor:
        model = nn.Sequential(nn.GRU(3, 4))
        initialise(model, "framework", seed)
        return torch.cat([parameter.detach().ravel() for parameter in model.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_convolutions_count_their_receptive_field() -> None:
    model = nn.Sequential(nn.Conv2d(8, 64, 5))
    initialise(model, "framework", 0)
    assert float(model.get_parameter("0.weight").detach().abs().max()) == pytest.approx(1 / math.sqrt(8 * 25), rel=1e-3)


def test_output_bias_is_the_logit_of_the_mean_image_clipped() -> None:
    mean_image = np.array([0.0, 0.0005, 0.25, 0.5, 0.75, 1.0])
    expected = [0.001, 0.001, 0.25, 0.5, 0.75, 0.999]
    torch.testing.assert_close(torch.sigmoid(output_bias(mean_image)), torch.tensor(expected))
