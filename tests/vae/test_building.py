"""The model that a configuration names, at initial or at trained weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.support.trainings import SEEDS, small_configuration, small_data
from vae.building import build_initial_model, model_from_weights
from vae.configuration import TrainingConfiguration
from vae.pack.shape import pack_shape
from vae.settings.fields import FieldError
from vae.training import Training


def test_output_bias_from_data_starts_at_the_best_constant_image() -> None:
    configuration = small_configuration(output_bias_from_data=True, initialisation="paper_code")
    data = small_data(configuration)
    training = Training(configuration, SEEDS, data)
    bias = training.model.get_parameter("decoder.output.bias").detach()
    torch.testing.assert_close(
        torch.sigmoid(bias), torch.from_numpy(data.mean_image.clip(1e-3, 1 - 1e-3)).float(), rtol=1e-4, atol=1e-6
    )


def test_latent_sizes_start_from_the_same_shared_weights() -> None:
    """What does not depend on the latent size: the first layer of the encoder, the last of the decoder, all biases
    there."""
    small, large = (
        Training(configuration, SEEDS, small_data(configuration)).model.state_dict()
        for configuration in (small_configuration(latent_dim=2), small_configuration(latent_dim=5))
    )
    for name in ("encoder.hidden.0.weight", "encoder.hidden.0.bias", "decoder.output.weight", "decoder.output.bias"):
        assert torch.equal(small[name], large[name]), name


def test_weights_that_are_taken_over_make_the_same_model_in_evaluation_mode() -> None:
    configuration = small_configuration()
    data = small_data(configuration)
    initial = build_initial_model(configuration, data, seed=3)
    rebuilt = model_from_weights(initial.state_dict(), configuration, data.num_pixels)
    assert not rebuilt.training
    for name, weights in initial.state_dict().items():
        assert torch.equal(rebuilt.state_dict()[name], weights), name


def test_the_bias_of_a_users_model_is_not_set_from_data() -> None:
    configuration = small_configuration(
        model="tests.support.users_models:ConvolutionalModel", output_bias_from_data=True
    )
    with pytest.raises(ValueError, match="ConvolutionalModel must do that itself"):
        build_initial_model(configuration, small_data(configuration), seed=3)


def test_a_field_of_a_model_of_ones_own_may_be_a_list(tmp_path: Path) -> None:
    model = "tests.support.users_models:WidthsVAE"
    configuration = small_configuration(model=model, widths=[6, 4])
    training = Training(configuration, SEEDS, small_data(configuration), checkpoint=tmp_path / "checkpoint")
    for _ in training.run():
        pass
    shapes = [tuple(weight.shape) for name, weight in training.model.named_parameters() if name.startswith("encoder")]
    assert shapes == [(6, 36), (6,), (4, 6), (4,)]
    assert TrainingConfiguration.model_validate_json(configuration.model_dump_json()) == configuration
    assert TrainingConfiguration.from_flat(configuration.to_flat()).model_arguments == {"widths": (6, 4)}
    assert pack_shape(configuration) != pack_shape(small_configuration(model=model, widths=[6, 5]))
    with pytest.raises(FieldError, match=r"widths: is .*; it must be a number, true, false or text"):
        small_configuration(model=model, widths=[{"units": 6}])
