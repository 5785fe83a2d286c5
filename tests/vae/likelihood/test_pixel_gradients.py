"""log p(x|z) and its gradient by z, written out, against float64 and autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.wide_logits import binary_images, vae_with_wide_logits
from vae.likelihood.pixel_gradients import Autograd, WrittenOut, pixel_gradients
from vae.minibatches import scale_pixels
from vae.model.network import VAE
from vae.randomness import generator


def latents(num_chains: int, num_images: int) -> torch.Tensor:
    return torch.from_numpy(generator(0).standard_normal((num_chains, num_images, 3), dtype=np.float32))


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize(
    ("num_hidden_layers", "activation"),
    [(1, "tanh"), (2, "tanh"), (3, "relu"), (2, "softplus"), (2, "elu"), (2, "gelu"), (1, "silu")],
)
def test_the_written_out_gradient_equals_autograd_in_float64(
    num_hidden_layers: int, activation: str, grey: bool
) -> None:
    """Within what float32 gives: 50 logits of some 10 err by 1e-6 each, and weights of some 12 multiply them."""
    model = vae_with_wide_logits(num_hidden_layers=num_hidden_layers, activation=activation)
    exact = VAE(50, num_hidden_layers, 30, 3, activation).double()
    exact.load_state_dict(model.state_dict())
    images = np.random.default_rng(0).integers(0, 256, (4, 50), dtype=np.uint8) if grey else binary_images(4)
    x, z = scale_pixels(images), latents(5, 4)
    value, gradient = WrittenOut(model, x, num_chains=5).value_and_gradient(z)
    expected_value, expected_gradient = Autograd(exact, x.double()).value_and_gradient(z.double())
    torch.testing.assert_close(value.double(), expected_value, rtol=1e-6, atol=1e-4)
    torch.testing.assert_close(gradient.double(), expected_gradient, rtol=1e-5, atol=1e-3)


def test_the_gradient_alone_is_that_beside_the_value_and_the_same_when_asked_again() -> None:
    written_out = WrittenOut(vae_with_wide_logits(num_hidden_layers=2), scale_pixels(binary_images(4)), num_chains=5)
    z = latents(5, 4)
    _, gradient = written_out.value_and_gradient(z)
    written_out.gradient(2 * z)
    assert torch.equal(written_out.gradient(z), gradient)


@pytest.mark.parametrize("scale", [40.0, 400.0])
def test_logits_of_hundreds_have_their_value(scale: float) -> None:
    """Where sigmoids are 0 or 1 in float32, a log mass is still the logit."""
    model = vae_with_wide_logits()
    with torch.no_grad():
        model.decoder.output.weight.mul_(scale)
    exact = VAE(50, 1, 30, 3).double()
    exact.load_state_dict(model.state_dict())
    x, z = scale_pixels(binary_images(4)), latents(5, 4)
    value, gradient = WrittenOut(model, x, num_chains=5).value_and_gradient(z)
    torch.testing.assert_close(
        value.double(), Autograd(exact, x.double()).value_and_gradient(z.double())[0], rtol=1e-5, atol=1e-3
    )
    assert torch.isfinite(gradient).all()


def test_a_latent_that_is_not_a_number_spoils_no_other() -> None:
    written_out = WrittenOut(vae_with_wide_logits(), scale_pixels(binary_images(4)), num_chains=5)
    z = latents(5, 4)
    expected = written_out.value_and_gradient(z)
    spoilt = z.clone()
    spoilt[2, 1] = torch.nan
    found = written_out.value_and_gradient(spoilt)
    others = torch.ones(5, 4, dtype=torch.bool)
    others[2, 1] = False
    for part, whole in zip(found, expected, strict=True):
        assert torch.equal(part[others], whole[others])
        assert torch.isnan(part[2, 1]).all()


def test_models_of_others_and_of_other_devices_are_differentiated_by_torch() -> None:
    class Derived(VAE):
        pass

    x = torch.zeros(2, 50)
    assert isinstance(pixel_gradients(vae_with_wide_logits(), x, 3), WrittenOut)
    assert isinstance(pixel_gradients(Derived(50, hidden_units=5), x, 3), Autograd)
    assert isinstance(pixel_gradients(vae_with_wide_logits().double(), x.double(), 3), Autograd)
