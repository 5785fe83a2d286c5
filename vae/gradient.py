"""The loss of a minibatch and its gradient: by autograd for any model, by hand, and quicker, for the paper's own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from vae.bound import lower_bound
from vae.densities import gaussian_kl_from_standard
from vae.model.activations import ACTIVATIONS
from vae.model.network import VAE, LatentVariableModel
from vae.model.precision import multiplying_in
from vae.settings.choices import Precision

_ALIGNMENT = 16
"""float32 numbers in a cache line: where a layer's weights start in the block."""
_MOST_LIT = 0.9
"""Of all pixels: above it, gathering weights takes longer than multiplying zeros."""


class LossGradient(Protocol):
    """What a training step asks of a model."""

    weights: list[Tensor]
    """All parameters, as few tensors as there can be: for optimizers that treat every number by itself."""
    model: LatentVariableModel
    """The model in float32 without autograd, by the quickest way: for evaluations."""

    def __call__(self, x: Tensor, noise: Tensor) -> Tensor:
        """Writes to every parameter's `grad`, in float32, the gradient of the loss: the mean negative lower bound in
        nats of pixels x [batch, pixels] in [0, 1] under noise [batch, latent].

        Returns a number that is finite just where the loss is: the loss itself, or what costs less.
        """
        ...


def loss_gradient(model: nn.Module, precision: Precision) -> LossGradient:
    """The quickest way to the gradient of this model's loss, its matrix products in that precision."""
    return WrittenOut(model, precision) if type(model) is VAE else Autograd(model, precision)


class Autograd:
    """Reverse-mode differentiation of vae.bound.lower_bound by torch: for models given as module:Class."""

    def __init__(self, model: nn.Module, precision: Precision) -> None:
        self.weights: list[Tensor] = list(model.parameters())
        self.model = cast(LatentVariableModel, model)
        self._parameters = model
        self._model = multiplying_in(precision, self.model)

    def __call__(self, x: Tensor, noise: Tensor) -> Tensor:
        """See LossGradient."""
        self._parameters.zero_grad()
        loss = -lower_bound(self._model, x, noise).lower_bound.mean()
        loss.backward()
        return loss.detach()


class WrittenOut:
    """The same gradient for vae.model.network.VAE, by hand, and the model itself without autograd.

    All weights lie in one block of memory and all gradients in another, of which the model's parameters and their
    `grad` become parts: gradients are written where the optimizer reads them, and mean and log variance are one
    product. The loss itself is not computed: its gradient does not need it.
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
        joined = [
            (_joined([part.weight for part in group]), _joined([part.bias for part in group])) for group in groups
        ]
        is_rounded = precision == "bfloat16"
        layers = [(_BFloat16Layer if is_rounded else _Layer)(*pair) for pair in joined]
        if not is_rounded:
            layers[0] = _PixelLayer(*joined[0])
        self._encoder = _Network(layers[: len(hidden[0]) + 1], model.activation)
        self._decoder = _Network(layers[len(hidden[0]) + 1 :], model.activation)
        self.latent_dim = model.latent_dim
        self.model: LatentVariableModel = model if is_rounded else self

    @torch.no_grad()
    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x), each [batch, latent], for x [batch, pixels]."""
        mean, log_variance = self._encoder.forward(x).chunk(2, -1)
        return mean, log_variance

    @torch.no_grad()
    def decode(self, z: Tensor) -> Tensor:
        """Bernoulli logits [..., pixels] for z [..., latent]."""
        return self._decoder.forward(z.flatten(0, -2)).view(*z.shape[:-1], -1)

    @torch.no_grad()
    def __call__(self, x: Tensor, noise: Tensor) -> Tensor:
        """See LossGradient: the logits and the KL of vae.bound.lower_bound, then the loss's derivatives from the pixels
        back to the encoder. The loss is finite where the logits and the KL are."""
        mean, log_variance = self.encode(x)
        scaled_noise = torch.exp(0.5 * log_variance) * noise
        logits = self._decoder.forward(mean + scaled_noise)
        finite_as_loss = logits.sum() + gaussian_kl_from_standard(mean, log_variance).sum()

        share = 1 / len(x)
        z_gradient = self._decoder.input_gradient(self._decoder.backward(logits.sigmoid_().sub_(x).mul_(share)))
        mean_gradient = torch.add(z_gradient, mean, alpha=share)
        log_variance_gradient = 0.5 * torch.add(z_gradient * scaled_noise, log_variance.exp() - 1, alpha=share)
        self._encoder.backward(torch.cat([mean_gradient, log_variance_gradient], -1))
        return finite_as_loss


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


class _PixelLayer(_Layer):
    """The same for the layer that sees the pixels, in float32.

    Many pixels are 0 in a whole minibatch: a third at MNIST's edges. They add nothing to a, and the gradients of their
    weights are 0. On a CPU both products leave them out, unless nearly all pixels are lit; so W lies in memory pixel by
    pixel, and what is gathered and written are rows.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__(weight, bias)
        self._rows, self._gradient_rows = weight.t(), self._weight_gradient.t()
        self._lit_gradient = torch.empty_like(self._rows, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """a [batch, outputs], for x that is not negative; keeps x, or its lit pixels."""
        lit = x.sum(0).nonzero().squeeze(1) if x.device.type == "cpu" else None
        if lit is None or len(lit) > _MOST_LIT * x.shape[1]:
            self._lit = None
            return super().forward(x)
        self._lit, self._x = lit, x.index_select(1, lit)
        return torch.addmm(self._bias, self._x, self._rows.index_select(0, lit))

    def backward(self, gradient: Tensor) -> None:
        """Writes the gradients of W and b, given that of a."""
        if self._lit is None:
            super().backward(gradient)
            return
        torch.sum(gradient, 0, out=self._bias_gradient)
        lit_gradient = torch.mm(self._x.t(), gradient, out=self._lit_gradient[: len(self._lit)])
        self._gradient_rows.zero_().index_add_(0, self._lit, lit_gradient)


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
            parameter.data = _view(block.data[start:end], parameter.shape, part is parts[0]).copy_(parameter.data)
            parameter.grad = _view(block.grad[start:end], parameter.shape, part is parts[0])
            start = end
    return block


def _view(numbers: Tensor, shape: torch.Size, transposed: bool) -> Tensor:
    return numbers.view(shape[::-1]).t() if transposed else numbers.view(shape)


def _joined(parameters: Sequence[Tensor]) -> Tensor:
    """Parameters that lie one after another, with their gradients, as one tensor along the first dimension."""
    first = parameters[0]
    shape = (sum(len(parameter) for parameter in parameters), *first.shape[1:])
    joined = first.detach().as_strided(shape, first.stride())
    joined.grad = cast(Tensor, first.grad).as_strided(shape, first.stride())
    return joined
