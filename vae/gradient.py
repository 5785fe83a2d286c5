"""The loss of a minibatch and its gradient: by autograd for any model, by hand, and quicker, for the paper's own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from vae.bound import lower_bound
from vae.densities import bernoulli_log_likelihood_and_mean, gaussian_kl_from_standard
from vae.model.activations import ACTIVATIONS
from vae.model.network import VAE, LatentVariableModel
from vae.model.precision import Precision, multiplying_in

_ALIGNMENT = 16
"""float32 numbers in a cache line: where a layer's weights start in the block."""


class LossGradient(Protocol):
    """What a training step asks of a model."""

    weights: list[Tensor]
    """All parameters, as few tensors as there can be: for optimizers that treat every number by itself."""

    def __call__(self, x: Tensor, noise: Tensor) -> Tensor:
        """The loss, the mean negative lower bound in nats, of pixels x [batch, pixels] and noise [batch, latent].

        Every parameter's `grad` then holds the gradient of this loss, in float32.
        """
        ...


def loss_gradient(model: nn.Module, precision: Precision) -> LossGradient:
    """The quickest way to the gradient of this model's loss, its matrix products in that precision."""
    return WrittenOut(model, precision) if type(model) is VAE else Autograd(model, precision)


class Autograd:
    """Reverse-mode differentiation of vae.bound.lower_bound by torch: for models given as module:Class."""

    def __init__(self, model: nn.Module, precision: Precision) -> None:
        self.weights: list[Tensor] = list(model.parameters())
        self._parameters = model
        self._model = multiplying_in(precision, cast(LatentVariableModel, model))

    def __call__(self, x: Tensor, noise: Tensor) -> Tensor:
        """See LossGradient."""
        self._parameters.zero_grad()
        loss = -lower_bound(self._model, x, noise).lower_bound.mean()
        loss.backward()
        return loss.detach()


class WrittenOut:
    """The same loss and gradient of vae.model.network.VAE, by hand.

    All weights lie in one block of memory and all gradients in another, of which the model's parameters and their
    `grad` become parts: gradients are written where the optimizer reads them, and mean and log variance are one
    product.
    """

    def __init__(self, model: VAE, precision: Precision) -> None:
        encoder, decoder = model.encoder, model.decoder
        hidden = [[layer for layer in network.hidden if isinstance(layer, nn.Linear)] for network in (encoder, decoder)]
        groups = [
            *([layer] for layer in hidden[0]),
            [encoder.mean, encoder.log_variance],
            *([layer] for layer in hidden[1]),
            [decoder.output],
        ]
        self.weights: list[Tensor] = [_in_one_block(groups)]
        kind = _BFloat16Layer if precision == "bfloat16" else _Layer
        layers = [
            kind(_joined([part.weight for part in group]), _joined([part.bias for part in group])) for group in groups
        ]
        self._encoder = _Network(layers[: len(hidden[0]) + 1], model.activation)
        self._decoder = _Network(layers[len(hidden[0]) + 1 :], model.activation)

    @torch.no_grad()
    def __call__(self, x: Tensor, noise: Tensor) -> Tensor:
        """See LossGradient: vae.bound.lower_bound, then its derivatives from the pixels back to the encoder."""
        mean, log_variance = self._encoder.forward(x).chunk(2, -1)
        scaled_noise = torch.exp(0.5 * log_variance) * noise
        logits = self._decoder.forward(mean + scaled_noise)
        log_likelihood, pixel_mean = bernoulli_log_likelihood_and_mean(x, logits)
        loss = -(log_likelihood - gaussian_kl_from_standard(mean, log_variance).sum(-1)).mean()

        share = 1 / len(x)
        z_gradient = self._decoder.input_gradient(self._decoder.backward(pixel_mean.sub_(x).mul_(share)))
        mean_gradient = torch.add(z_gradient, mean, alpha=share)
        log_variance_gradient = 0.5 * torch.add(z_gradient * scaled_noise, log_variance.exp() - 1, alpha=share)
        self._encoder.backward(torch.cat([mean_gradient, log_variance_gradient], -1))
        return loss


@torch.no_grad()
def add_gradient_of_prior(parameters: Sequence[Tensor], num_images: int) -> None:
    """Adds theta / num_images to each `grad`: the prior N(theta; 0, I) on the mean loss (paper, section 5)."""
    learned = [parameter for parameter in parameters if parameter.grad is not None]
    torch._foreach_add_([cast(Tensor, parameter.grad) for parameter in learned], learned, alpha=1 / num_images)


class _Layer:
    """a = x W^T + b and its gradients, in float32; W [outputs, inputs]."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self._weight, self._bias = weight, bias
        self._weight_gradient, self._bias_gradient = cast(Tensor, weight.grad), cast(Tensor, bias.grad)

    def forward(self, x: Tensor) -> Tensor:
        """a [batch, outputs]; keeps x."""
        self._x = x
        return torch.addmm(self._bias, x, self._weight.t())

    def backward(self, gradient: Tensor) -> None:
        """Writes the gradients of W and b, given that of a."""
        torch.sum(gradient, 0, out=self._bias_gradient)
        torch.mm(gradient.t(), self._x, out=self._weight_gradient)

    def input_gradient(self, gradient: Tensor) -> Tensor:
        """The gradient of x, given that of a; after `backward`."""
        return torch.mm(gradient, self._weight)


class _BFloat16Layer(_Layer):
    """The same with its three products in bfloat16, to which operands and results are rounded; all else is float32."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__(weight, bias)
        self._rounded_weight = torch.empty_like(weight, dtype=torch.bfloat16, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """a [batch, outputs]; keeps x, and W for the way back."""
        self._x = x.bfloat16()
        return torch.mm(self._x, self._rounded_weight.copy_(self._weight).t()).float().add_(self._bias)

    def backward(self, gradient: Tensor) -> None:
        """Writes the gradients of W and b, given that of a."""
        torch.sum(gradient, 0, out=self._bias_gradient)
        self._rounded_gradient = gradient.bfloat16()
        self._weight_gradient.copy_(torch.mm(self._rounded_gradient.t(), self._x))

    def input_gradient(self, gradient: Tensor) -> Tensor:
        """The gradient of x; after `backward`."""
        return torch.mm(self._rounded_gradient, self._rounded_weight).float()


class _Network:
    """Hidden layers, each with the non-linearity, and a linear one."""

    def __init__(self, layers: Sequence[_Layer], activation: str) -> None:
        self._layers = layers
        self._function = ACTIVATIONS[activation].function
        self._derivative = ACTIVATIONS[activation].derivative

    def forward(self, x: Tensor) -> Tensor:
        """The output [batch, outputs]; keeps what `backward` needs."""
        self._kept: list[tuple[Tensor, Tensor]] = []
        for layer in self._layers[:-1]:
            a = layer.forward(x)
            x = self._function(a)
            self._kept.append((a, x))
        return self._layers[-1].forward(x)

    def backward(self, gradient: Tensor) -> Tensor:
        """Writes all layers' gradients, given that of the output; returns that of the first layer's a."""
        self._layers[-1].backward(gradient)
        for (layer, above), (a, h) in zip(reversed(list(pairwise(self._layers))), reversed(self._kept), strict=True):
            gradient = above.input_gradient(gradient).mul_(self._derivative(a, h))
            layer.backward(gradient)
        return gradient

    def input_gradient(self, gradient: Tensor) -> Tensor:
        """The gradient of x, given what `backward` returned."""
        return self._layers[0].input_gradient(gradient)


def _in_one_block(groups: Sequence[Sequence[nn.Linear]]) -> nn.Parameter:
    """Moves the layers' parameters into one, each group's weights before its biases; their `grad` into its `grad`."""
    parts = [part for group in groups for part in ([layer.weight for layer in group], [layer.bias for layer in group])]
    sizes = [sum(parameter.numel() for parameter in part) for part in parts]
    starts = [0]
    for size in sizes:
        starts.append(starts[-1] + -(-size // _ALIGNMENT) * _ALIGNMENT)
    block = nn.Parameter(parts[0][0].new_zeros(starts[-1]))
    block.grad = torch.zeros_like(block)
    for start, part in zip(starts, parts, strict=False):
        for parameter in part:
            end = start + parameter.numel()
            room = block.data[start:end].view_as(parameter)
            parameter.data = room.copy_(parameter.data)
            parameter.grad = block.grad[start:end].view_as(parameter)
            start = end
    return block


def _joined(parameters: Sequence[Tensor]) -> Tensor:
    """Parameters that lie one after another, with their gradients, as one tensor along the first dimension."""
    first = parameters[0]
    shape = (sum(len(parameter) for parameter in parameters), *first.shape[1:])
    joined = first.detach().as_strided(shape, first.stride())
    joined.grad = cast(Tensor, first.grad).as_strided(shape, first.stride())
    return joined
