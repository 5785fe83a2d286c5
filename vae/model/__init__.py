"""Generative and inference network: architecture, non-linearities, initial weights and the precision of products.

It knows nothing of configurations, data or the training loop.
"""

from vae.model.network import VAE, Decoder, LatentVariableModel, build_model, num_parameters

__all__ = ["VAE", "Decoder", "LatentVariableModel", "build_model", "num_parameters"]
