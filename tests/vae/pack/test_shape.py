"""What the trainings of a pack must agree in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.packs import named
from tests.support.trainings import small_configuration
from vae.pack.shape import PackError, pack_shape, require_one_shape

OF_THE_SHAPE: list[dict[str, Any]] = [
    {"num_hidden_layers": 2},
    {"hidden_units": 13},
    {"latent_dim": 3},
    {"activation": "relu"},
    {"batch_size": 10},
    {"precision": "bfloat16"},
    {"dataset": "fashion-mnist"},
    {"train_on_all": True},
    {"model": "tests.support.users_models:ConvolutionalModel"},
]
NOT_OF_THE_SHAPE: list[dict[str, Any]] = [
    {"learning_rate": 0.1},
    {"optimizer": "sgd"},
    {"beta1": 0.5},
    {"learning_rate_schedule": "cosine"},
    {"pixels": "dynamic"},
    {"binarisation_seed": 1},
    {"weight_prior": True},
    {"initialisation": "paper"},
    {"output_bias_from_data": True},
    {"budget_samples": 100},
    {"num_evaluations": 5},
    {"test_at_end": True},
]


@pytest.mark.parametrize("changes", OF_THE_SHAPE, ids=named)
def test_trainings_of_other_shapes_are_refused_with_what_they_differ_in(changes: dict[str, Any]) -> None:
    one, other = small_configuration(), small_configuration(**changes)
    assert pack_shape(one) != pack_shape(other)
    ((name, value),) = changes.items()
    with pytest.raises(PackError, match=f"have one {name}, and .*{value!r} were given"):
        require_one_shape([one, one, other])


def test_all_else_may_differ() -> None:
    everything = [small_configuration(**changes) for changes in NOT_OF_THE_SHAPE]
    require_one_shape(everything)
    assert len({pack_shape(own) for own in everything}) == 1


def test_a_model_s_own_arguments_are_of_its_shape() -> None:
    model = "tests.support.users_models:ConvolutionalModel"
    one = small_configuration(model=model)
    assert pack_shape(one) == pack_shape(small_configuration(model=model))
    assert pack_shape(one) != pack_shape(one.model_copy(update={"model_arguments": {"channels": 3}}))
