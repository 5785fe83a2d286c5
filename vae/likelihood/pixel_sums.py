"""log p(x|z) of one binary image for many latents, at little more than the cost of the decoder's products."""

from __future__ import annotations

import torch
from torch import Tensor

from vae.likelihood.transposed_decoder import transposed_layers
from vae.model.network import Decoder

FACTORS_PER_LOGARITHM = 16
_SURELY_RIGHT = 1_000.0  # sigmoid of it is 1: a pixel that is added to fill a group leaves its product as it is
_SMALLEST_NORMAL = torch.finfo(torch.float32).tiny


class PixelSums:
    r"""sum_d log p(x_d|z), in nats, of a binary image x under a decoder of tanh or other layers.

    With s_d = 2 x_d - 1, a binary pixel has log p(x_d|z) = log sigmoid(s_d t_d), t the logits. The signs go into the
    last weights once per image, so that the image is not looked at again for every z; and the sum is that of the
    logarithms of products of FACTORS_PER_LOGARITHM sigmoids. A factor and a multiplication each err by about half a
    unit in the last place of 1 (6e-8): over 784 pixels 1e-4 nats at the very most, 1e-5 as a rule.

    A product that underflows (logits that sum to 87 or more against the image within one group) makes the sum -inf:
    the caller must compute that one in another way. Arrays are transposed, [units, columns], so that halves to be
    multiplied are contiguous, and a row of ones takes the biases into the products.
    """

    def __init__(self, decoder: Decoder, columns_at_once: int) -> None:
        self._columns_at_once = columns_at_once
        self._hidden, self._output = transposed_layers(decoder)
        num_pixels, num_inputs = self._output.shape
        num_rows = -(-num_pixels // FACTORS_PER_LOGARITHM) * FACTORS_PER_LOGARITHM
        self._signed = self._output.new_zeros(num_rows, num_inputs)
        self._signed[num_pixels:, -1] = _SURELY_RIGHT
        sizes = [len(layer.weight) + 1 for layer in self._hidden] + [num_rows]
        self._buffers = [self._output.new_empty(size * columns_at_once) for size in sizes]

    def see(self, x: Tensor) -> None:
        """Takes the image [pixels], every pixel 0 or 1, that what follows is about."""
        torch.mul(self._output, (2 * x - 1)[:, None], out=self._signed[: len(x)])

    def of(self, latents: Tensor) -> Tensor:
        """log p(x|z) [n] for latents z [latent + 1, n] whose last row is ones."""
        sums = latents.new_empty(latents.shape[1])
        for start in range(0, len(sums), self._columns_at_once):
            part = slice(start, start + self._columns_at_once)
            sums[part] = self._sum(latents[:, part])
        return sums

    def _sum(self, latents: Tensor) -> Tensor:
        *hidden, logits = (
            buffer[: len(buffer) // self._columns_at_once * latents.shape[1]].view(-1, latents.shape[1])
            for buffer in self._buffers
        )
        inputs = latents
        for layer, outputs in zip(self._hidden, hidden, strict=True):
            torch.mm(layer.weight, inputs, out=outputs[:-1])
            layer.activate(outputs[:-1], outputs[:-1])
            outputs[-1] = 1
            inputs = outputs
        torch.mm(self._signed, inputs, out=logits)
        logits.sigmoid_()
        while len(logits) * FACTORS_PER_LOGARITHM > len(self._signed):
            half = len(logits) // 2
            logits = logits[:half].mul_(logits[half:])
        torch.threshold_(logits, _SMALLEST_NORMAL, 0.0)  # a denormal product has lost digits, and its logarithm nats
        return logits.log_().sum(0)
