"""log p(x|z) of several images and its gradient by z: by hand for the paper's decoder, else by autograd."""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from vae.densities import softplus
from vae.likelihood.estimates import log_pixels
from vae.likelihood.transposed_decoder import has_transposed_decoder, transposed_layers
from vae.model.network import VAE, LatentVariableModel

_COLUMNS_AT_ONCE = 256
"""Latents of all images and chains that WrittenOut decodes at once. A transition of 128 took 1.25 times as long per
latent, of 512 or 1,024 0.97 as long: for those, more images would wait for one result."""
_COLUMNS_OF_AUTOGRAD = 2_000


def images_at_once(model: LatentVariableModel, device: torch.device, num_chains: int) -> int:
    """How many images, with that many chains each, make products of a size that suits the machine."""
    num_columns = _COLUMNS_AT_ONCE if has_transposed_decoder(model, device) else _COLUMNS_OF_AUTOGRAD
    return max(1, num_columns // num_chains)


class PixelGradients(Protocol):
    """log p(x|z), in nats, of images x [n, pixels], for latents z [chains, n, latent]."""

    def gradient(self, z: Tensor) -> Tensor:
        """The gradient by z [chains, n, latent]."""
        ...

    def value_and_gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """log p(x|z) [chains, n] and its gradient by z [chains, n, latent]."""
        ...


def pixel_gradients(model: LatentVariableModel, x: Tensor, num_chains: int) -> PixelGradients:
    """The quickest way to log p(x|z) of images x [n, pixels] and its gradient under this model."""
    if has_transposed_decoder(model, x.device):
        return WrittenOut(model, x, num_chains)
    return Autograd(model, x)


class Autograd:
    """Differentiation by torch: for models given as module:Class, and on GPUs."""

    def __init__(self, model: LatentVariableModel, x: Tensor) -> None:
        self._model, self._x = model, x

    def gradient(self, z: Tensor) -> Tensor:
        """See PixelGradients."""
        return self.value_and_gradient(z)[1]

    def value_and_gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """See PixelGradients."""
        with torch.enable_grad():
            leaf = z.detach().requires_grad_()
            value = log_pixels(self._model, self._x, leaf)
            return value.detach(), torch.autograd.grad(value.sum(), leaf)[0]


class WrittenOut:
    r"""The same for vae.model.network.VAE, by hand: two products for each layer and little else.

    With logits t = W h + b, log p(x|z) = x^T t - sum_d softplus(t_d), and its gradient by h is W^T x - W^T sigmoid(t).
    The first term is the same for every z: the image enters 500 units and not 784 pixels. Arrays are transposed,
    [units, chains * n], with a row of ones that takes the biases into the products. In float32 the sums differ from
    those of pixels by some 1e-4 nats.
    """

    def __init__(self, model: VAE, x: Tensor, num_chains: int) -> None:
        self._hidden, self._output = transposed_layers(model.decoder)
        num_columns = num_chains * len(x)
        self._of_image = (self._output.t() @ x.t()).repeat(1, num_chains)
        sizes = [model.latent_dim, *(len(layer.weight) for layer in self._hidden)]
        self._inputs = [x.new_ones(size + 1, num_columns) for size in sizes]
        self._sums = [x.new_empty(size, num_columns) for size in sizes[1:]]
        self._logits = x.new_empty(len(self._output), num_columns)
        weights = [*(layer.weight for layer in self._hidden), self._output]
        self._backwards = [weight[:, :-1].t().contiguous() for weight in weights]

    @torch.no_grad()
    def gradient(self, z: Tensor) -> Tensor:
        """See PixelGradients."""
        self._decode(z)
        return self._backward(z)

    @torch.no_grad()
    def value_and_gradient(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """See PixelGradients."""
        self._decode(z)
        value = (self._of_image * self._inputs[-1]).sum(0) - softplus(self._logits).sum(0)
        return value.view(z.shape[:-1]), self._backward(z)

    def _decode(self, z: Tensor) -> None:
        self._inputs[0][:-1] = z.flatten(0, 1).t()
        for layer, sums, (inputs, outputs) in zip(self._hidden, self._sums, pairwise(self._inputs), strict=True):
            torch.mm(layer.weight, inputs, out=sums)
            layer.activate(sums, outputs[:-1])
        torch.mm(self._output, self._inputs[-1], out=self._logits)

    def _backward(self, z: Tensor) -> Tensor:
        """The gradient by z, once the logits are known; they are lost."""
        probability = self._logits.sigmoid_()
        gradient = torch.addmm(self._of_image[:-1], self._backwards[-1], probability, alpha=-1)
        for index in reversed(range(len(self._hidden))):
            gradient.mul_(self._hidden[index].derivative(self._sums[index], self._inputs[index + 1][:-1]))
            gradient = torch.mm(self._backwards[index], gradient)
        return gradient.t().reshape(z.shape)
