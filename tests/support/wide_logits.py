"""A VAE whose logits are as wide as those of a trained one, and binary images for it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from vae.model.network import VAE


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
    """Bytes 0 or 255 [num, pixels], three in ten of them 255."""
    return (np.random.default_rng(0).random((num, num_pixels)) < 0.3).astype(np.uint8) * np.uint8(255)
