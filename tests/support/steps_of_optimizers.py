"""Weights that an optimizer changes, for comparisons of optimizers."""

from __future__ import annotations

import torch
from torch import Tensor


def start() -> Tensor:
    return torch.linspace(-2, 2, 12, dtype=torch.float64).view(3, 4).requires_grad_()


def follow(optimizer: torch.optim.Optimizer, weights: Tensor, num_steps: int = 25) -> Tensor:
    """The weights after steps on a curved, noisy objective; the same for any optimizer."""
    stream = torch.Generator().manual_seed(0)
    for _ in range(num_steps):
        optimizer.zero_grad()
        target = torch.randn(3, 4, generator=stream, dtype=torch.float64)
        (torch.cosh(weights) + (weights - target).square()).sum().backward()
        optimizer.step()
    return weights.detach()
