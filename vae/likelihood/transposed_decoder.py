"""The paper's decoder as matrices that multiply columns, biases and the scale of a tanh in them: for quick products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeGuard

import torch
from torch import Tensor, nn

from vae.model.activations import ACTIVATIONS
from vae.model.network import VAE, Decoder, LatentVariableModel


@dataclass(frozen=True)
class TransposedLayer:
    """a = weight @ inputs and f(a), columns side by side; the last row of the inputs is ones.

    `activate` writes f(a) into its second argument, which may be a itself; `derivative` is f'(a) from a and f(a).
    """

    weight: Tensor
    activate: Callable[[Tensor, Tensor], object]
    derivative: Callable[[Tensor, Tensor], Tensor]


def has_transposed_decoder(model: LatentVariableModel, device: torch.device) -> TypeGuard[VAE]:
    """Whether the model is the project's own VAE, in float32, on a CPU."""
    if type(model) is not VAE or type(model.decoder) is not Decoder or device.type != "cpu":
        return False
    return model.decoder.output.weight.dtype == torch.float32


def transposed_layers(decoder: Decoder) -> tuple[list[TransposedLayer], Tensor]:
    """The hidden layers, and the output's weight and bias [pixels, units + 1].

    tanh(a) = 2 sigmoid(2a) - 1 goes into the weights around it: torch's sigmoid takes a sixth of the time of its tanh.
    """
    modules = list(decoder.hidden)
    linear = [module for module in [*modules[::2], decoder.output] if isinstance(module, nn.Linear)]
    activations = modules[1::2]
    matrices = []
    for index, layer in enumerate(linear):
        weight, bias = layer.weight.detach(), layer.bias.detach()
        if index > 0 and isinstance(activations[index - 1], nn.Tanh):
            weight, bias = 2 * weight, bias - weight.sum(1)
        if index < len(activations) and isinstance(activations[index], nn.Tanh):
            weight, bias = 2 * weight, 2 * bias
        matrices.append(torch.cat([weight, bias[:, None]], 1))
    hidden = [_layer(matrix, activation) for matrix, activation in zip(matrices, activations, strict=False)]
    return hidden, matrices[-1]


def _layer(matrix: Tensor, module: nn.Module) -> TransposedLayer:
    if isinstance(module, nn.Tanh):
        return TransposedLayer(
            matrix,
            lambda a, out: torch.sigmoid(a, out=out),
            lambda a, h: torch.addcmul(h, h, h, value=-1),
        )
    activation = next(named for named in ACTIVATIONS.values() if type(module) is named.module)
    return TransposedLayer(matrix, lambda a, out: out.copy_(activation.function(a)), activation.derivative)
