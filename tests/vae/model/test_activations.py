"""The non-linearities and their derivatives against torch's, by autograd."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from vae.model.activations import ACTIVATIONS, Tanh, tanh

NUMBERS = torch.cat(
    [torch.linspace(-12, 12, 2_001, dtype=torch.float64), torch.tensor([-1e4, -1e-9, 1e-9, 1e4], dtype=torch.float64)]
)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_derivative_is_that_of_the_module_and_the_function_is_the_module(name: str) -> None:
    activation = ACTIVATIONS[name]
    a = NUMBERS.clone().requires_grad_()
    h = activation.module()(a)
    (expected,) = torch.autograd.grad(h.sum(), a)
    torch.testing.assert_close(activation.function(NUMBERS), h.detach(), rtol=1e-14, atol=0)
    torch.testing.assert_close(activation.derivative(NUMBERS, h.detach()), expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tanh_is_torchs_within_two_units_in_the_last_place_of_1(dtype: torch.dtype) -> None:
    a = torch.cat([NUMBERS, torch.tensor([float("inf"), -float("inf"), float("nan"), 0.0])]).to(dtype)
    torch.testing.assert_close(tanh(a), torch.tanh(a), rtol=0, atol=2 * torch.finfo(dtype).eps, equal_nan=True)
    assert tanh(a).dtype == dtype


def test_tanh_of_bfloat16_and_of_a_number_without_dimensions_keeps_type_and_shape() -> None:
    assert tanh(torch.ones(3, dtype=torch.bfloat16)).dtype == torch.bfloat16
    assert float(tanh(torch.tensor(0.5))) == pytest.approx(0.46211716)


def test_the_gradient_of_tanh_is_that_of_torchs_module_batched_or_not() -> None:
    def gradients(module: nn.Module, a: Tensor) -> Tensor:
        leaf = a.clone().requires_grad_()
        (module(leaf) * torch.arange(4, dtype=a.dtype)).sum().backward()
        assert leaf.grad is not None
        return leaf.grad

    a = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(gradients(Tanh(), a), gradients(nn.Tanh(), a))
    assert torch.autograd.gradgradcheck(Tanh(), (a.clone().requires_grad_(),))
    torch.testing.assert_close(torch.func.vmap(Tanh(), in_dims=1, out_dims=1)(a), torch.tanh(a))
    batched = torch.func.vmap(torch.func.grad(lambda row: Tanh()(row).sum()))(a)
    torch.testing.assert_close(batched, 1 - torch.tanh(a).square())
