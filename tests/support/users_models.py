"""Models as users write them, named to a configuration as `tests.support.users_models:NAME`."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from vae.model.network import VAE


class OwnVAE(VAE):
    """The same mathematics, but a class that the project cannot know."""


class ConvolutionalModel(nn.Module):
    """Convolutions, a weight used twice, a fixed weight and a buffer: what a stack of members must carry along."""

    def __init__(self, num_pixels: int, latent_dim: int, hidden_units: int = 8) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.side = round(num_pixels**0.5)
        self.convolution = nn.Conv2d(1, 2, 3, padding=1)
        self.hidden = nn.Linear(2 * num_pixels, hidden_units)
        self.mean = nn.Linear(hidden_units, latent_dim)
        self.log_variance = nn.Linear(hidden_units, latent_dim)
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, hidden_units), nn.Tanh(), nn.Linear(hidden_units, num_pixels)
        )
        self.tied = self.mean.weight
        self.scale = nn.Parameter(torch.ones(1), requires_grad=False)
        self.shift: Tensor
        self.register_buffer("shift", torch.full((num_pixels,), 0.1))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = torch.relu(self.convolution(x.unflatten(-1, (1, self.side, self.side)))).flatten(-3)
        h = torch.tanh(self.hidden(features))
        return self.mean(h), self.log_variance(h)

    def decode(self, z: Tensor) -> Tensor:
        logits: Tensor = self.decoder(z) * self.scale + self.shift + (z @ self.tied).sum(-1, keepdim=True)
        return logits


class BatchNormModel(nn.Module):
    """Batch normalisation in encoder and decoder: other numbers in training, and running statistics."""

    def __init__(self, num_pixels: int, hidden_units: int, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = nn.Sequential(nn.Linear(num_pixels, hidden_units), nn.BatchNorm1d(hidden_units), nn.ReLU())
        self.posterior = nn.Linear(hidden_units, 2 * latent_dim)
        self.decoder = nn.Sequential(nn.Linear(latent_dim, hidden_units), nn.BatchNorm1d(hidden_units), nn.ReLU())
        self.output = nn.Linear(hidden_units, num_pixels)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.posterior(self.encoder(x)).chunk(2, dim=-1)
        return mean, log_variance

    def decode(self, z: Tensor) -> Tensor:
        logits: Tensor = self.output(self.decoder(z.flatten(0, -2)))
        return logits.view(*z.shape[:-1], -1)


class FrozenBatchNormModel(BatchNormModel):
    """The same with the encoder's statistics frozen, as a pretrained part has them."""

    def __init__(self, num_pixels: int, hidden_units: int, latent_dim: int) -> None:
        super().__init__(num_pixels, hidden_units, latent_dim)
        self.encoder.eval()


class LouderInTraining(OwnVAE):
    """Logits that depend on the mode and on nothing else: no buffer shows it."""

    def decode(self, z: Tensor) -> Tensor:
        return super().decode(z) * (2.0 if self.training else 1.0)


class SigmoidAtTheEnd(OwnVAE):
    """Means of pixels instead of logits, as PyTorch's example."""

    def decode(self, z: Tensor) -> Tensor:
        return torch.sigmoid(super().decode(z))


class Dropping(OwnVAE):
    """Draws from torch's global stream in training."""

    def decode(self, z: Tensor) -> Tensor:
        return super().decode(nn.functional.dropout(z, 0.5, self.training))


class OneLogit(OwnVAE):
    """One number for all pixels, which broadcasting takes."""

    def decode(self, z: Tensor) -> Tensor:
        return super().decode(z)[..., :1]


class OneLogVariance(OwnVAE):
    """One log variance for all latents, which broadcasting takes."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = super().encode(x)
        return mean, log_variance[..., :1]


class ThreeResults(OwnVAE):
    """Returns the sample too, as many do."""

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = super().encode(x)
        return mean, log_variance, mean  # type: ignore[return-value]


class FlatLatentsOnly(OwnVAE):
    """Decodes latents with one leading dimension alone."""

    def decode(self, z: Tensor) -> Tensor:
        if z.dim() != 2:
            raise ValueError("latents must be [batch, latent]")
        return super().decode(z)


class WithoutRunningStatistics(BatchNormModel):
    """An image's encoding depends on those beside it whatever the mode."""

    def __init__(self, num_pixels: int, hidden_units: int, latent_dim: int) -> None:
        super().__init__(num_pixels, hidden_units, latent_dim)
        self.encoder[1] = nn.BatchNorm1d(hidden_units, track_running_stats=False)


class UnbuiltModel(OwnVAE):
    """Its constructor raises."""

    def __init__(self, num_pixels: int, hidden_units: int, latent_dim: int) -> None:
        super().__init__(num_pixels, hidden_units=hidden_units, latent_dim=latent_dim)
        raise AssertionError("images must be 32 x 32")


class Forgetful(OwnVAE):
    """Keeps what it has seen in a buffer that is not saved, and uses it."""

    def __init__(self, num_pixels: int, hidden_units: int, latent_dim: int) -> None:
        super().__init__(num_pixels, hidden_units=hidden_units, latent_dim=latent_dim)
        self.seen: Tensor
        self.register_buffer("seen", torch.zeros(num_pixels), persistent=False)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.training:
            self.seen.lerp_(x.detach().mean(0), 0.1)
        return super().encode(x - self.seen)


class WidthsVAE(nn.Module):
    """Hidden layers of several widths, the same in both directions."""

    def __init__(self, num_pixels: int, latent_dim: int, widths: tuple[int, ...] = (8,)) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = nn.Sequential(*_layers(num_pixels, widths))
        self.posterior = nn.Linear(widths[-1], 2 * latent_dim)
        self.decoder = nn.Sequential(*_layers(latent_dim, widths[::-1]), nn.Linear(widths[0], num_pixels))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.posterior(self.encoder(x)).chunk(2, dim=-1)
        return mean, log_variance

    def decode(self, z: Tensor) -> Tensor:
        logits: Tensor = self.decoder(z)
        return logits


def _layers(num_inputs: int, widths: tuple[int, ...]) -> list[nn.Module]:
    sizes = (num_inputs, *widths)
    return [layer for inputs, outputs in itertools.pairwise(sizes) for layer in (nn.Linear(inputs, outputs), nn.Tanh())]
