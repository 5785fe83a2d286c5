"""The decoder as matrices that multiply columns: its logits, and whose decoder it is."""

from __future__ import annotations

import pytest
import torch

from tests.support.trainings import CurvedModel
from tests.support.wide_logits import vae_with_wide_logits
from vae.likelihood.transposed_decoder import has_transposed_decoder, transposed_layers
from vae.model.activations import ACTIVATIONS
from vae.model.network import VAE


@pytest.mark.parametrize("num_hidden_layers", [1, 3])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_layers_give_the_decoders_logits(activation: str, num_hidden_layers: int) -> None:
    """Within rounding: in float64, logits of 20 err by some 1e-14."""
    model = vae_with_wide_logits(num_hidden_layers=num_hidden_layers, activation=activation).double()
    z = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ones = z.new_ones(1, 7)
    hidden, output = transposed_layers(model.decoder)
    inputs = torch.cat([z.t(), ones])
    for layer in hidden:
        a = layer.weight @ inputs
        layer.activate(a, a)
        inputs = torch.cat([a, ones])
    with torch.no_grad():
        torch.testing.assert_close((output @ inputs).t(), model.decode(z), rtol=0, atol=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_derivative_is_that_of_the_non_linearity(activation: str) -> None:
    """Against a central difference, whose error is some 1e-9 at steps of 1e-5; not at the kink of relu."""
    (layer,), _ = transposed_layers(vae_with_wide_logits(activation=activation).double().decoder)
    a = torch.linspace(-3, 3, 20, dtype=torch.float64)

    def values(of: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(of)
        layer.activate(of, out)
        return out

    expected = (values(a + 1e-5) - values(a - 1e-5)) / 2e-5
    torch.testing.assert_close(layer.derivative(a, values(a)), expected, rtol=0, atol=1e-8)


def test_it_is_for_the_projects_own_vae_in_float32_on_a_cpu() -> None:
    class Derived(VAE):
        pass

    cpu = torch.device("cpu")
    assert has_transposed_decoder(vae_with_wide_logits(), cpu)
    assert not has_transposed_decoder(vae_with_wide_logits(), torch.device("cuda"))
    assert not has_transposed_decoder(vae_with_wide_logits().double(), cpu)
    assert not has_transposed_decoder(Derived(50), cpu)
    assert not has_transposed_decoder(CurvedModel(), cpu)
