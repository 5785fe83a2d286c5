"""The generative and the inference network: architecture, non-linearities and the precision of its products.

It knows nothing of configurations, data or the training loop.
"""

from vae.model.network import VAE, Decoder, LatentVariableModel, build_model, num_parameters

__all__ = ["VAE", "Decoder", "LatentVariableModel", "build_model", "num_parameters"]
