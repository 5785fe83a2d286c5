"""The model that a configuration names: at its initial weights, or at trained ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vae.configuration import TrainingConfiguration
from vae.minibatches import PreparedData
from vae.model.initialisation import initialise, output_bias
from vae.model.network import VAE, build_model
from vae.randomness import derive


def build_initial_model(configuration: TrainingConfiguration, data: PreparedData, seed: int) -> nn.Module:
    """The model that a configuration names, at the initial weights that `seed` gives."""
    model = build_empty_model(configuration, data.num_pixels, derive(seed, "constructor"))
    initialise(model, configuration.initialisation, seed)
    if configuration.output_bias_from_data:
        if not isinstance(model, VAE):
            raise ValueError(
                f"output_bias_from_data sets the bias of the VAE's own decoder; {configuration.model} must do that"
                " itself"
            )
        with torch.no_grad():
            model.decoder.output.bias.copy_(output_bias(data.mean_image))
    return model


def build_empty_model(configuration: TrainingConfiguration, num_pixels: int, seed: int = 0) -> nn.Module:
    """The model that a configuration names, its weights still without meaning."""
    standard = configuration.model_dump(include={"num_hidden_layers", "hidden_units", "latent_dim", "activation"})
    return build_model(configuration.model, standard | {"num_pixels": num_pixels}, configuration.model_arguments, seed)


def model_from_weights(weights: dict[str, Tensor], configuration: TrainingConfiguration, num_pixels: int) -> nn.Module:
    """The trained model, in evaluation mode."""
    model = build_empty_model(configuration, num_pixels)
    model.load_state_dict(weights)
    return model.eval()
