"""The architecture: shapes, depth and width, sizes, and models given as module:Class."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vae.model.activations import ACTIVATIONS
from vae.model.network import VAE, LatentVariableModel, build_model, model_argument_names, model_class, num_parameters

PLUGIN = """
import torch
from torch import nn

class Linear(nn.Module):
    def __init__(self, num_pixels, latent_dim, gain=1.0):
        super().__init__()
        self.latent_dim = latent_dim
        self.gain = gain
        self.mean = nn.Linear(num_pixels, latent_dim)
        self.out = nn.Linear(latent_dim, num_pixels)

    def encode(self, x):
        return self.mean(x), torch.zeros(x.shape[:-1] + (self.latent_dim,))

    def decode(self, z):
        return self.gain * self.out(z)

class NoDecoder(nn.Module):
    def encode(self, x):
        return x, x

class NoLatentDim(Linear):
    def __init__(self, num_pixels, latent_dim):
        super().__init__(num_pixels, latent_dim)
        del self.latent_dim

def function(num_pixels):
    return None
"""

STANDARD = {"num_pixels": 9, "num_hidden_layers": 1, "hidden_units": 5, "latent_dim": 3, "activation": "tanh"}


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"model_plugin_{abs(hash(tmp_path))}"
    (tmp_path / f"{name}.py").write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


@pytest.mark.parametrize("leading", [(), (4,), (2, 4)])
@pytest.mark.parametrize("num_hidden_layers", [1, 2, 5])
def test_any_leading_dimensions_pass_through_any_depth(num_hidden_layers: int, leading: tuple[int, ...]) -> None:
    model = VAE(9, num_hidden_layers, 7, 3)
    mean, log_variance = model.encode(torch.rand(*leading, 9))
    assert mean.shape == log_variance.shape == (*leading, 3)
    assert model.decode(mean).shape == (*leading, 9)


@pytest.mark.parametrize(("pixels", "layers", "units", "latent"), [(784, 1, 500, 20), (784, 2, 500, 20), (9, 3, 5, 2)])
def test_number_of_parameters_is_that_of_the_layers(pixels: int, layers: int, units: int, latent: int) -> None:
    between = (layers - 1) * units * (units + 1)
    encoder = units * (pixels + 1) + between + 2 * latent * (units + 1)
    decoder = units * (latent + 1) + between + pixels * (units + 1)
    assert num_parameters(VAE(pixels, layers, units, latent)) == encoder + decoder


def test_one_hidden_layer_computes_the_papers_equations() -> None:
    """Appendix C: h = tanh(W3 x + b3), mean = W4 h + b4, log variance = W5 h + b5; logits = W2 tanh(W1 z + b1) + b2."""
    model = VAE(9, 1, 7, 3).double()
    x, z = torch.rand(4, 9, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)
    state = model.state_dict()

    def affine(name: str, inputs: Tensor) -> Tensor:
        out: Tensor = inputs @ state[f"{name}.weight"].T + state[f"{name}.bias"]
        return out

    hidden = torch.tanh(affine("encoder.hidden.0", x))
    mean, log_variance = model.encode(x)
    torch.testing.assert_close(mean, affine("encoder.mean", hidden))
    torch.testing.assert_close(log_variance, affine("encoder.log_variance", hidden))
    torch.testing.assert_close(model.decode(z), affine("decoder.output", torch.tanh(affine("decoder.hidden.0", z))))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_hidden_layer_has_the_activation_asked_for(activation: str) -> None:
    model = VAE(9, 2, 5, 3, activation)
    for part in (model.encoder.hidden, model.decoder.hidden):
        kinds = [type(layer) for layer in part]
        assert kinds == [nn.Linear, ACTIVATIONS[activation].module] * 2


def test_the_vae_is_a_latent_variable_model() -> None:
    assert isinstance(VAE(9), LatentVariableModel)


def test_a_plugin_model_is_given_the_standard_fields_it_names_and_its_own(plugin: str) -> None:
    assert model_argument_names(f"{plugin}:Linear") == ("gain",)
    model = build_model(f"{plugin}:Linear", STANDARD, {"gain": 2.5})
    assert isinstance(model, LatentVariableModel)
    assert model.gain == 2.5
    assert model.decode(model.encode(torch.rand(4, 9))[0]).shape == (4, 9)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("vea", "'vea' is not a model; allowed: vae, or module:Class"),
        ("{}:NoDecoder", "has no method decode; a model needs encode(x)"),
        ("{}:function", "is not a class derived from torch.nn.Module"),
        ("{}:Linaer", "did you mean Linear"),
        ("no_such_module_here:Model", "is it on PYTHONPATH or in this folder?"),
    ],
)
def test_what_is_no_model_is_refused_with_the_reason(plugin: str, name: str, says: str) -> None:
    with pytest.raises(ValueError) as raised:
        model_class(name.format(plugin))
    assert says in str(raised.value)


def test_a_model_that_sets_no_latent_dim_is_refused(plugin: str) -> None:
    with pytest.raises(ValueError) as raised:
        build_model(f"{plugin}:NoLatentDim", STANDARD, {})
    assert "sets no attribute latent_dim" in str(raised.value)


def test_building_a_model_draws_from_its_seed_and_leaves_torchs_global_stream_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    built = [build_model("vae", STANDARD, {}, seed).get_parameter("encoder.mean.weight") for seed in (1, 1, 2)]
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(built[0], built[1])
    assert not torch.equal(built[0], built[2])
