"""The paper's model: Gaussian encoder, Bernoulli decoder, any number of hidden layers. Architecture only."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from vae.model.activations import ACTIVATIONS
from vae.plugins import is_plugin, load_plugin

STANDARD_FIELDS = ("num_pixels", "num_hidden_layers", "hidden_units", "latent_dim", "activation")


def _hidden_layers(num_inputs: int, num_hidden_layers: int, hidden_units: int, activation: str) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(num_hidden_layers):
        layers += [
            nn.Linear(num_inputs if index == 0 else hidden_units, hidden_units),
            ACTIVATIONS[activation].module(),
        ]
    return nn.Sequential(*layers)


class Encoder(nn.Module):
    """q(z|x) = N(mean, diag exp(log_variance)), both linear in the last hidden layer (paper, appendix C.2)."""

    def __init__(
        self, num_pixels: int, num_hidden_layers: int, hidden_units: int, latent_dim: int, activation: str
    ) -> None:
        super().__init__()
        self.hidden = _hidden_layers(num_pixels, num_hidden_layers, hidden_units, activation)
        self.mean = nn.Linear(hidden_units, latent_dim)
        self.log_variance = nn.Linear(hidden_units, latent_dim)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x), each [..., latent], for pixels x [..., pixels] in [0, 1]."""
        h = self.hidden(x)
        return self.mean(h), self.log_variance(h)


class Decoder(nn.Module):
    """p(x|z) = prod_d Bernoulli(x_d; sigmoid(logits_d)) (paper, appendix C.1)."""

    def __init__(
        self, num_pixels: int, num_hidden_layers: int, hidden_units: int, latent_dim: int, activation: str
    ) -> None:
        super().__init__()
        self.hidden = _hidden_layers(latent_dim, num_hidden_layers, hidden_units, activation)
        self.output = nn.Linear(hidden_units, num_pixels)

    def forward(self, z: Tensor) -> Tensor:
        """Bernoulli logits [..., pixels] for latents z [..., latent]."""
        logits: Tensor = self.output(self.hidden(z))
        return logits


class VAE(nn.Module):
    """Encoder and decoder of the same depth and width."""

    def __init__(
        self,
        num_pixels: int,
        num_hidden_layers: int = 1,
        hidden_units: int = 500,
        latent_dim: int = 20,
        activation: str = "tanh",
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.activation = activation
        self.encoder = Encoder(num_pixels, num_hidden_layers, hidden_units, latent_dim, activation)
        self.decoder = Decoder(num_pixels, num_hidden_layers, hidden_units, latent_dim, activation)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x), each [..., latent], for x [..., pixels]."""
        mean, log_variance = self.encoder(x)
        return mean, log_variance

    def decode(self, z: Tensor) -> Tensor:
        """Bernoulli logits [..., pixels] for z [..., latent]."""
        logits: Tensor = self.decoder(z)
        return logits


@runtime_checkable
class LatentVariableModel(Protocol):
    """What a model given as module:Class must have, besides being a torch.nn.Module."""

    latent_dim: int

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x), each [..., latent_dim]."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """Bernoulli logits [..., num_pixels]; any number of leading dimensions."""
        ...


def model_class(name: str) -> type[Any]:
    """VAE for "vae", else the class that module:Class names; raises ValueError when it is not a model."""
    if name == "vae":
        return VAE
    if not is_plugin(name):
        raise ValueError(f"{name!r} is not a model; allowed: vae, or module:Class")
    kind = load_plugin(name)
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise ValueError(f"{name!r} is not a class derived from torch.nn.Module")
    missing = [method for method in ("encode", "decode") if not callable(getattr(kind, method, None))]
    if missing:
        raise ValueError(
            f"{name!r} has no method {missing[0]}; a model needs encode(x) -> (mean, log_variance) and decode(z) ->"
            " logits"
        )
    return kind


def model_argument_names(name: str) -> tuple[str, ...]:
    """The further fields that a model takes beside the standard ones, read from its signature."""
    return tuple(
        parameter for parameter in inspect.signature(model_class(name)).parameters if parameter not in STANDARD_FIELDS
    )


def build_model(name: str, standard: dict[str, Any], further: dict[str, Any], seed: int = 0) -> nn.Module:
    """A model with the weights that its constructor draws under `seed`; torch's global stream is left as it was.

    `standard` holds STANDARD_FIELDS, of which it is given those that it names.
    """
    kind = model_class(name)
    accepted = {field: value for field, value in standard.items() if field in inspect.signature(kind).parameters}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(
            seed
        )  # torch.manual_seed would seed those of GPUs too, which are not restored
        model: nn.Module = kind(**accepted, **further)
    if not isinstance(model, LatentVariableModel):
        raise ValueError(
            f"{name!r} sets no attribute latent_dim; a model needs it, so that latents of the right size can be drawn"
        )
    return model


@contextmanager
def in_evaluation_mode(model: object) -> Iterator[None]:
    """Every part of a model as `eval()` sets it, for all that is measured; afterwards each in the mode that it had.

    A layer that looks at the other images of a minibatch (batch normalisation) or draws (dropout) does so in training
    alone, and its running statistics stay as they are. What is no torch.nn.Module has no modes.
    """
    modes = [(part, part.training) for part in model.modules()] if isinstance(model, nn.Module) else []
    if isinstance(model, nn.Module):
        model.eval()
    try:
        yield
    finally:
        for part, is_training in modes:
            part.training = is_training


def num_parameters(model: nn.Module) -> int:
    """How many numbers the model learns."""
    return sum(parameter.numel() for parameter in model.parameters())
