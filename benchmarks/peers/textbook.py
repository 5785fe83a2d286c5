"""The classic training loop as tutorials have it: torchvision's dataset, a DataLoader, one image at a time through
ToTensor.

The shape of PyTorch's own VAE example with this project's network. Nothing here is made slow, and nothing fast: it
is what a user writes on the first day.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader
from torchvision import datasets, transforms


class TextbookVAE(nn.Module):
    """784-500-20-500-784, tanh, sigmoid outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(784, 500)
        self.fc21 = nn.Linear(500, 20)
        self.fc22 = nn.Linear(500, 20)
        self.fc3 = nn.Linear(20, 500)
        self.fc4 = nn.Linear(500, 784)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x)."""
        h = torch.tanh(self.fc1(x))
        return self.fc21(h), self.fc22(h)

    def decode(self, z: Tensor) -> Tensor:
        """Pixel probabilities."""
        return torch.sigmoid(self.fc4(torch.tanh(self.fc3(z))))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pixel probabilities of one latent sample, mean and log variance."""
        mean, log_variance = self.encode(x.view(-1, 784))
        std = torch.exp(0.5 * log_variance)
        return self.decode(mean + std * torch.randn_like(std)), mean, log_variance


def loss_function(reconstructed: Tensor, x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """The negative lower bound in nats, summed over the minibatch."""
    cross_entropy = F.binary_cross_entropy(reconstructed, x.view(-1, 784), reduction="sum")
    kl = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
    return cross_entropy + kl


def loader(root: Path, *, train: bool) -> DataLoader[tuple[Tensor, Tensor]]:
    """Minibatches of 100 from the folder that torchvision reads, shuffled for training."""
    dataset = datasets.MNIST(str(root), train=train, transform=transforms.ToTensor())
    return DataLoader(dataset, batch_size=100, shuffle=train)


@dataclass
class TextbookTraining:
    """Model, optimizer and loaders of one training."""

    root: Path
    seed: int = 0
    model: TextbookVAE = field(init=False)

    def __post_init__(self) -> None:
        torch.manual_seed(self.seed)
        self.model = TextbookVAE()
        self.optimizer = optim.Adam(self.model.parameters(), lr=1e-3)
        self.train_loader = loader(self.root, train=True)
        self.test_loader = loader(self.root, train=False)

    def train_epoch(self, num_steps: int | None = None, after_step: Callable[[], None] = lambda: None) -> float:
        """One epoch, or its first `num_steps` minibatches; returns the mean loss in nats per image."""
        self.model.train()
        total, seen = 0.0, 0
        for step, (x, _) in enumerate(self.train_loader):
            if step == num_steps:
                break
            self.optimizer.zero_grad()
            loss = loss_function(*self._forward(x))
            loss.backward()
            self.optimizer.step()
            total += loss.item()
            seen += len(x)
            after_step()
        return total / seen

    def test(self) -> float:
        """The mean loss over the test images in nats per image."""
        self.model.eval()
        with torch.no_grad():
            total = sum(loss_function(*self._forward(x)).item() for x, _ in self.test_loader)
        return total / 10_000

    def _forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        reconstructed, mean, log_variance = self.model(x)
        return reconstructed, x, mean, log_variance


def seconds_per_step(training: TextbookTraining, num_steps: int) -> float:
    """Mean seconds of a step over the first `num_steps` of an epoch, loading included."""
    began = time.perf_counter()
    training.train_epoch(num_steps)
    return (time.perf_counter() - began) / num_steps
