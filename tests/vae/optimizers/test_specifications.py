"""What optimizers can be told, and what they refuse."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.support.steps_of_optimizers import follow, start
from vae.optimizers.building import build_optimizer
from vae.optimizers.specifications import argument_faults, hyperparameters_of, specification
from vae.settings.fields import FieldError


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("adma", {}, "'adma' is not an optimizer; did you mean adam? Allowed: adadelta, adagrad, adam,"),
        (
            "adam",
            {"beta_1": 0.9},
            (
                "'beta_1' is not a hyperparameter of adam; did you mean beta1? Allowed: beta1, beta2, epsilon,"
                " weight_decay."
            ),
        ),
        ("adam", {"beta1": 1.0}, "beta1: is 1; it must be a number in [0, 1)"),
        ("adam", {"beta1": float("nan")}, "beta1: is nan; it must be a number in [0, 1)"),
        ("adam", {"epsilon": -1e-8}, "epsilon: is -1e-08; it must be a number in [0, inf)"),
        ("adam", {"epsilon": float("inf")}, "epsilon: is inf; it must be a number in [0, inf)"),
        ("adam", {"epsilon": "small"}, "epsilon: is 'small'; it must be a number in [0, inf)"),
        ("adam", {"epsilon": True}, "epsilon: is true; it must be a number in [0, inf)"),
        ("adagrad", {"warm_up_batches": 2.5}, "warm_up_batches: is 2.5; it must be a whole number in [0, inf)"),
        (
            "adagrad",
            {"warm_up_batches": float("inf")},
            "warm_up_batches: is inf; it must be a whole number in [0, inf)",
        ),
        (
            "adagrad",
            {"warm_up_batches": float("nan")},
            "warm_up_batches: is nan; it must be a whole number in [0, inf)",
        ),
        ("adagrad", {"warm_up_batches": True}, "warm_up_batches: is true; it must be a whole number in [0, inf)"),
        ("adagrad", {"epsilon_inside_root": 1}, "epsilon_inside_root: is 1; it must be true or false"),
        ("nesterov", {"momentum": 0.0}, "momentum: is 0; it must be a number in"),
        ("torch.optim:Adan", {}, "did you mean Adam?"),
        ("torch.nn:Linear", {}, "'torch.nn:Linear' is not a class derived from torch.optim.Optimizer"),
        ("torch.optim:LBFGS", {"no_such": 1}, "'no_such' is not a hyperparameter of torch.optim:LBFGS"),
        ("torch.optim:LBFGS", {"max_iter": 2.5}, "max_iter: is 2.5; it must be a whole number in [-inf, inf)"),
    ],
)
def test_what_cannot_be_is_refused_with_the_rule(name: str, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError) as raised:
        raise FieldError(argument_faults(name, arguments))
    assert says in str(raised.value)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("momentum", {"dampening": 1.0}),
        ("adadelta", {"rho": 1.0}),
        ("adagrad", {"warm_up_batches": 10}),
        ("torch.optim:SGD", {"momentum": 0.9}),
    ],
)
def test_a_number_inside_its_interval_is_allowed(name: str, arguments: dict[str, Any]) -> None:
    """A closed end too; and a fraction where a default is written 0 but its annotation says float."""
    assert argument_faults(name, arguments) == []


def test_a_plugin_optimizer_has_the_numbers_of_its_signature_as_hyperparameters() -> None:
    assert hyperparameters_of("torch.optim:ASGD")["alpha"].default == 0.75
    ours, theirs = start(), start()
    expected = follow(torch.optim.ASGD([theirs], lr=0.05, alpha=0.5), theirs)
    assert torch.equal(follow(build_optimizer("torch.optim:ASGD", [ours], 0.05, {"alpha": 0.5}), ours), expected)
    assert not specification("torch.optim:ASGD").elementwise


USERS = "tests.support.users_optimizers"


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        (f"{USERS}:OwnRate", 1.0),
        (f"{USERS}:TensorRate", 0.25),
        ("torch.optim:Adadelta", 1.0),
        ("torch.optim:Adafactor", 1e-2),
        ("torch.optim:Rprop", 1e-2),
        ("torch.optim:SGD", 1e-3),
        (f"{USERS}:NoRate", None),
        (f"{USERS}:RateOfNone", None),
    ],
)
def test_a_plugin_optimizer_has_the_learning_rate_of_its_signature(name: str, rate: float | None) -> None:
    assert specification(name).learning_rate == rate


def test_a_tuple_of_numbers_becomes_a_hyperparameter_for_each() -> None:
    weights, expected = start(), start()
    assert {"beta1", "beta2", "eps", "weight_decay"} <= hyperparameters_of("torch.optim:Adam").keys()
    assert hyperparameters_of("torch.optim:Rprop")["eta2"].default == 1.2
    assert hyperparameters_of("torch.optim:Rprop")["step_size1"].default == 1e-6
    found = follow(build_optimizer("torch.optim:Adam", [weights], 0.05, {"beta1": 0.5, "beta2": 0.7}), weights)
    assert torch.equal(found, follow(torch.optim.Adam([expected], 0.05, betas=(0.5, 0.7)), expected))
    assert "beta2_decay" in hyperparameters_of("torch.optim:Adafactor")
    assert "eps1" not in hyperparameters_of("torch.optim:Adafactor"), "its eps is (None, 1e-3), no tuple of numbers"
