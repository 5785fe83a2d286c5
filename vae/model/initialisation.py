"""Initial weights, drawn per parameter name, so that models share the layers that they have in common."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vae.randomness import derive, generator
from vae.settings.choices import Initialisation

_MEAN_IMAGE_CLIP = 1e-3
"""The mean image is kept this far from 0 and 1: pixels that are never lit would start at infinite logits."""


def initialise(model: nn.Module, scheme: Initialisation, seed: int) -> None:
    """Draws every parameter of `model` in place.

    A parameter's stream is keyed by its name: a deeper model starts from the same weights in the layers that it
    shares with a shallower one. Layers with weights [out, in, ...] follow `scheme`; parameters of other kinds keep
    the values that their constructor gives under a seed of their own, but under `paper` and `paper_variance`, which
    are about all parameters.
    """
    for module_name, module in model.named_modules():
        parameters = dict(module.named_parameters(recurse=False))
        weight = parameters.get("weight")
        if (
            parameters
            and not (weight is not None and weight.dim() >= 2 and set(parameters) <= {"weight", "bias"})
            and scheme not in ("paper", "paper_variance")
        ):
            _reset_module(module, derive(seed, module_name))
            continue
        for name, parameter in parameters.items():
            values = _draw(
                scheme,
                name,
                tuple(parameter.shape),
                tuple(weight.shape) if weight is not None else (),
                derive(seed, f"{module_name}.{name}"),
            )
            with torch.no_grad():
                parameter.copy_(torch.from_numpy(values).view_as(parameter))


def _draw(
    scheme: Initialisation, name: str, shape: tuple[int, ...], weight_shape: tuple[int, ...], seed: int
) -> NDArray[np.float32]:
    random = generator(seed)
    if scheme in ("paper", "paper_variance"):
        deviation = 0.01 if scheme == "paper" else 0.1
        return (deviation * random.standard_normal(shape)).astype(np.float32)
    receptive = math.prod(weight_shape[2:])
    fan_in, fan_out = weight_shape[1] * receptive, weight_shape[0] * receptive
    if (
        scheme == "framework"
        # torch.nn.Linear.reset_parameters: kaiming_uniform(a = sqrt 5) is U(-1, 1) / sqrt(fan_in), biases too
    ):
        return (random.uniform(-1, 1, shape) / math.sqrt(fan_in)).astype(np.float32)
    if name == "bias":
        return np.zeros(shape, np.float32)
    if scheme == "paper_code":
        return (random.standard_normal(shape) / math.sqrt(fan_in)).astype(np.float32)
    return (random.uniform(-1, 1, shape) * math.sqrt(6 / (fan_in + fan_out))).astype(
        np.float32
    )  # Glorot & Bengio 2010, eq. 16


def _reset_module(module: nn.Module, seed: int) -> None:
    reset = getattr(module, "reset_parameters", None)
    if not callable(reset):
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        reset()


def output_bias(mean_image: NDArray[np.float64]) -> Tensor:
    """logit of the mean training image [pixels], clipped to [0.001, 0.999]: starts as the best constant-pixel model."""
    clipped = np.clip(mean_image, _MEAN_IMAGE_CLIP, 1 - _MEAN_IMAGE_CLIP)
    return torch.from_numpy(np.log(clipped / (1 - clipped)).astype(np.float32))
