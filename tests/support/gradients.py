"""A small model of the paper's with a minibatch and its noise, and the gradients that it holds."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from vae.model.network import VAE


def model_and_minibatch(
    num_hidden_layers: int = 1, activation: str = "tanh", dtype: torch.dtype = torch.float64
) -> tuple[VAE, Tensor, Tensor]:
    stream = torch.Generator().manual_seed(1)
    torch.manual_seed(0)
    model = VAE(
        num_pixels=36, num_hidden_layers=num_hidden_layers, hidden_units=13, latent_dim=3, activation=activation
    ).to(dtype)
    return model, torch.rand(7, 36, generator=stream, dtype=dtype), torch.randn(7, 3, generator=stream, dtype=dtype)


def gradients(model: nn.Module) -> list[Tensor]:
    return [cast(Tensor, parameter.grad) for parameter in model.parameters()]
