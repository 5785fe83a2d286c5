"""What a training's configuration accepts, what it refuses and in which words, and when it evaluates."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vae.configuration import TrainingConfiguration
from vae.optimizers.specifications import OPTIMIZERS


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"latnt_dim": 3}, "latnt_dim: 'latnt_dim' is not a field of a training; did you mean latent_dim?"),
        ({"optimizer": "adagard"}, "'adagard' is not an optimizer; did you mean adagrad?"),
        ({"optimizer": ["adam"]}, "optimizer: is ['adam']; it must be text"),
        (
            {"optimizer": "sgd", "beta1": 0.9},
            "beta1: is a hyperparameter of adam, adamw, amsgrad, adamax, nadam, radam, not of sgd, whose own are",
        ),
        ({"optimizer": "adam", "beta1": 1.5}, "beta1: is 1.5; it must be a number in [0, 1)"),
        ({"latent_dim": 0}, "greater than or equal to 1"),
        ({"latent_dim": 2.5}, "latent_dim"),
        ({"latent_dim": "many"}, "latent_dim"),
        ({"learning_rate": 0}, "greater than 0"),
        ({"learning_rate": float("nan")}, "finite"),
        ({"learning_rate": 1e4}, "less than or equal to 1000"),
        ({"activation": "tahn"}, "activation: 'tahn' is not one of its values; did you mean tanh? Allowed: elu, gelu,"),
        ({"pixels": "binary"}, "Allowed: dynamic, fixed, grey."),
        ({"model": "vea"}, "'vea' is not a model; allowed: vae, or module:Class"),
        ({"budget_samples": 50}, "budget_samples 50 is less than one minibatch (batch_size 100); give at least 100"),
        ({"learning_rate_schedule": "steps"}, "needs at least one, such as [0.5, 0.75]"),
        ({"learning_rate_milestones": [0.5]}, "belong to learning_rate_schedule: steps"),
        (
            {"learning_rate_schedule": "steps", "learning_rate_milestones": [0.7, 0.5]},
            "must be rising fractions of the budget",
        ),
        (
            {"learning_rate_schedule": "steps", "learning_rate_milestones": [0.5, 1.0]},
            "must be rising fractions of the budget",
        ),
        ({"first_evaluation_samples": 2_000_000}, "lies beyond budget_samples 1000000"),
        ({"model_arguments": {"gain": 1}}, "'gain' is not a field of the model vae. None is allowed."),
    ],
)
def test_what_cannot_be_is_refused_with_the_rule(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError) as raised:
        TrainingConfiguration.from_flat(fields)
    assert says in str(raised.value)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_learning_rate_left_out_is_the_optimizers_own(optimizer: str) -> None:
    assert TrainingConfiguration(optimizer=optimizer).learning_rate == OPTIMIZERS[optimizer].learning_rate
    assert TrainingConfiguration(optimizer=optimizer, learning_rate=0.5).learning_rate == 0.5


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_flat_form_holds_every_number_and_comes_back(optimizer: str) -> None:
    configuration = TrainingConfiguration(optimizer=optimizer, latent_dim=3)
    flat = configuration.to_flat()
    assert set(OPTIMIZERS[optimizer].hyperparameters) < set(flat)
    again = TrainingConfiguration.from_flat(flat)
    assert again.to_flat() == flat


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        TrainingConfiguration().latent_dim = 3  # type: ignore[misc]


def test_a_configuration_survives_json() -> None:
    configuration = TrainingConfiguration.from_flat(
        {
            "optimizer": "adagrad",
            "warm_up_batches": 10,
            "learning_rate_schedule": "steps",
            "learning_rate_milestones": [0.25, 0.5],
        }
    )
    assert TrainingConfiguration.model_validate_json(configuration.model_dump_json()) == configuration


@given(
    num_evaluations=st.integers(1, 60),
    batch_size=st.integers(1, 300),
    budget=st.integers(300, 100_000),
    spacing=st.sampled_from(["linear", "log"]),
    first=st.none() | st.integers(1, 300),
)
def test_evaluations_rise_in_whole_minibatches_to_the_end_of_the_budget(
    num_evaluations: int, batch_size: int, budget: int, spacing: Any, first: int | None
) -> None:
    configuration = TrainingConfiguration(
        num_evaluations=num_evaluations,
        batch_size=batch_size,
        budget_samples=budget,
        evaluation_spacing=spacing,
        first_evaluation_samples=first,
    )
    points = configuration.evaluation_points()
    assert points[-1] == budget // batch_size * batch_size
    assert all(point % batch_size == 0 and point > 0 for point in points)
    assert list(points) == sorted(set(points))
    assert 1 <= len(points) <= num_evaluations
    if spacing == "linear" and budget // batch_size >= num_evaluations:
        assert len(points) == num_evaluations


def test_log_spacing_multiplies_by_the_same_factor_from_the_first_to_the_last() -> None:
    configuration = TrainingConfiguration(
        budget_samples=1_000_000, num_evaluations=5, evaluation_spacing="log", first_evaluation_samples=100
    )
    assert configuration.evaluation_points() == (100, 1_000, 10_000, 100_000, 1_000_000)


@pytest.mark.parametrize("optimizer", ["NoRate", "RateOfNone"])
def test_a_learning_rate_is_to_be_given_where_the_optimizer_has_none_of_its_own(optimizer: str) -> None:
    name = f"tests.support.users_optimizers:{optimizer}"
    with pytest.raises(ValueError, match=f"is to be given: {name} has no learning rate of its own"):
        TrainingConfiguration(optimizer=name)
    assert TrainingConfiguration(optimizer=name, learning_rate=0.3).learning_rate == 0.3
    assert TrainingConfiguration(optimizer="tests.support.users_optimizers:OwnRate").learning_rate == 1.0
