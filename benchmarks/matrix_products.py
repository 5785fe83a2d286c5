"""The matrix products that the mathematics of a training step asks for, alone and warm: the machine's own limit."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vae.configuration import TrainingConfiguration

Product = Callable[[], object]


@dataclass(frozen=True)
class Linear:
    """One layer's sizes; `first` where its input is data, whose gradient nobody needs."""

    num_inputs: int
    num_outputs: int
    first: bool = False


def layers_of(configuration: TrainingConfiguration, num_pixels: int, num_lit: int | None = None) -> tuple[Linear, ...]:
    """The layers of the VAE, encoder then decoder; mean and log variance of q(z|x) as one layer of twice the
    outputs. The first sees `num_lit` pixels, where the others are 0 in the whole minibatch."""
    hidden = [Linear(configuration.hidden_units, configuration.hidden_units)] * (configuration.num_hidden_layers - 1)
    encoder = [
        Linear(num_lit or num_pixels, configuration.hidden_units, first=True),
        *hidden,
        Linear(configuration.hidden_units, 2 * configuration.latent_dim),
    ]
    decoder = [
        Linear(configuration.latent_dim, configuration.hidden_units),
        *hidden,
        Linear(configuration.hidden_units, num_pixels),
    ]
    return (*encoder, *decoder)


def step_flop(layers: Sequence[Linear], batch_size: int) -> float:
    """Floating point operations of a step's products: two per multiplication, forward and both gradients."""
    return float(
        sum(2 * batch_size * layer.num_inputs * layer.num_outputs * (2 if layer.first else 3) for layer in layers)
    )


def step_products(layers: Sequence[Linear], batch_size: int, dtype: torch.dtype = torch.float32) -> list[Product]:
    """Every product of a step on operands of its own: layer by layer forward, gradient of the weight, gradient of
    the input."""
    return [product for layer in layers for product in _products_of(layer, batch_size, dtype)]


def _products_of(layer: Linear, batch_size: int, dtype: torch.dtype) -> list[Product]:
    x, gradient = (
        torch.randn(batch_size, layer.num_inputs).to(dtype),
        torch.randn(batch_size, layer.num_outputs).to(dtype),
    )
    weight, bias = torch.randn(layer.num_outputs, layer.num_inputs).to(dtype), torch.randn(layer.num_outputs).to(dtype)
    forward = [
        _into(lambda out: torch.addmm(bias, x, weight.t(), out=out), gradient),
        _into(lambda out: torch.mm(gradient.t(), x, out=out), weight),
    ]
    return forward if layer.first else [*forward, _into(lambda out: torch.mm(gradient, weight, out=out), x)]


def _into(product: Callable[[Tensor], Tensor], like: Tensor) -> Product:
    out = torch.empty_like(like)
    return lambda: product(out)


def warm_seconds(products: Sequence[Product], times: int) -> float:
    """Seconds of all products together, each repeated alone until its operands are in the caches: the sum of their
    medians."""
    return sum(_median_seconds(product, times) for product in products)


def _median_seconds(product: Product, times: int) -> float:
    for _ in range(max(2, times // 10)):
        product()
    return statistics.median(seconds_of(product) for _ in range(times))


def seconds_of(work: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
