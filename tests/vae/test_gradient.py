"""The gradient written out for the paper's model against automatic differentiation, and where it lies in memory."""

from __future__ import annotations

import copy
import math
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from tests.support.gradients import gradients, model_and_minibatch
from tests.support.trainings import SEEDS, small_configuration, small_data
from tests.support.users_models import OwnVAE
from vae.gradient import Autograd, WrittenOut, loss_gradient
from vae.model.activations import ACTIVATIONS
from vae.model.network import VAE, num_parameters
from vae.settings.choices import Precision
from vae.training import Training, train


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("num_hidden_layers", [1, 3])
def test_the_written_out_gradient_is_that_of_autograd(num_hidden_layers: int, activation: str) -> None:
    """In float64: equal within the rounding of sums in another order, about 1e-15 each."""
    written, x, noise = model_and_minibatch(num_hidden_layers, activation)
    differentiated = copy.deepcopy(written)
    WrittenOut(written, "float32")(x, noise)
    Autograd(differentiated, "float32")(x, noise)
    for found, wanted in zip(gradients(written), gradients(differentiated), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("share_lit", [0.0, 0.2, 0.5, 1.0])
def test_pixels_that_are_0_in_the_whole_minibatch_are_left_out_and_their_weights_get_a_gradient_of_0(
    share_lit: float,
) -> None:
    """A minibatch of other pixels came before, so that what its gradients left behind would be seen."""
    written, x, noise = model_and_minibatch()
    differentiated = copy.deepcopy(written)
    is_lit = torch.arange(x.shape[1]) % 10 < 10 * share_lit
    of_loss = WrittenOut(written, "float32")
    for pixels in (x * (torch.arange(x.shape[1]) % 3 == 0), x * is_lit):
        of_loss(pixels, noise)
        Autograd(differentiated, "float32")(pixels, noise)
        for found, wanted in zip(gradients(written), gradients(differentiated), strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-13)
    by_pixel = cast(Tensor, cast(nn.Linear, written.encoder.hidden[0]).weight.grad).t()
    assert torch.equal(by_pixel.any(1), is_lit)


@pytest.mark.parametrize("num_lit", [36, 12])
def test_what_a_gradient_returns_is_finite_just_where_the_loss_is(num_lit: int) -> None:
    for name, number in [
        ("decoder.output.bias", math.inf),
        ("encoder.mean.bias", math.nan),
        ("decoder.output.bias", 1e9),
    ]:
        written, x, noise = model_and_minibatch()
        x[:, num_lit:] = 0
        assert math.isfinite(WrittenOut(written, "float32")(x, noise))
        with torch.no_grad():
            written.get_parameter(name)[1] = number
        loss = Autograd(copy.deepcopy(written), "float32")(x, noise)
        assert math.isfinite(WrittenOut(written, "float32")(x, noise)) == math.isfinite(loss)
    with torch.no_grad():
        written.encoder.log_variance.bias[1] = 1_000.0
    assert not math.isfinite(WrittenOut(written, "float32")(x, noise)), "the variance overflows, and with it the KL"


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_model_that_is_evaluated_is_the_trained_one_in_float32(precision: Precision) -> None:
    model, x, noise = model_and_minibatch(num_hidden_layers=2, dtype=torch.float32)
    x[:, ::3] = 0
    evaluated = loss_gradient(model, precision).model
    torch.testing.assert_close(evaluated.encode(x), model.encode(x), rtol=1e-5, atol=1e-6)
    of_many = noise.expand(5, *noise.shape)
    torch.testing.assert_close(evaluated.decode(of_many), model.decode(of_many), rtol=1e-5, atol=1e-6)


def test_a_second_gradient_replaces_the_first() -> None:
    model, x, noise = model_and_minibatch()
    of_loss = WrittenOut(model, "float32")
    of_loss(x, noise)
    first = [gradient.clone() for gradient in gradients(model)]
    of_loss(1 - x, -noise)
    assert not any(torch.equal(one, other) for one, other in zip(first, gradients(model), strict=True))
    of_loss(x, noise)
    assert all(torch.equal(one, again) for one, again in zip(first, gradients(model), strict=True))


def test_the_block_holds_every_weight_and_every_gradient_and_changes_none() -> None:
    model, x, noise = model_and_minibatch()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    of_loss = WrittenOut(model, "float32")
    (block,) = of_loss.weights
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    of_loss(x, noise)
    filled = torch.count_nonzero(block) + torch.count_nonzero(cast(Tensor, block.grad))
    assert filled == 2 * num_parameters(model), "the rest of the block is nought, and stays so under any optimizer"
    with torch.no_grad():
        block.fill_(0.25)
        cast(Tensor, block.grad).fill_(0.5)
    assert all((parameter == 0.25).all() for parameter in model.parameters())
    assert all((gradient == 0.5).all() for gradient in gradients(model))


def test_a_class_of_the_users_own_is_differentiated_by_autograd() -> None:
    assert isinstance(loss_gradient(OwnVAE(36), "float32"), Autograd)
    assert isinstance(loss_gradient(VAE(36), "float32"), WrittenOut)


def test_a_users_class_with_the_same_mathematics_trains_to_the_same_weights_within_rounding() -> None:
    """Adam divides by the root of squared gradients, which magnifies rounding where they nearly vanish: 1e-4 over 50
    steps."""
    results = []
    for model in ("vae", "tests.support.users_models:OwnVAE"):
        configuration = small_configuration(model=model)
        results.append(train(configuration, SEEDS, small_data(configuration)).weights)
    for name, weight in results[0].items():
        torch.testing.assert_close(results[1][name], weight, rtol=0, atol=1e-4)


def test_an_optimizer_that_may_look_at_matrices_is_given_the_models_own_parameters() -> None:
    configuration = small_configuration(optimizer="torch.optim:Rprop", learning_rate=1e-3)
    training = Training(configuration, SEEDS, small_data(configuration))
    assert [tensor.shape for tensor in training.parameters] == [
        parameter.shape for parameter in training.model.parameters()
    ]
    elementwise = small_configuration(optimizer="adam")
    assert len(Training(elementwise, SEEDS, small_data(elementwise)).parameters) == 1
