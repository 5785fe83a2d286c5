"""Strict fields: nothing is turned into what it is not, and each fault has its field, the value and the rule."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from vae.configuration import TrainingConfiguration
from vae.settings.fields import Count, Fault, FieldError, Number, OneScalar, Switch, faults_of, value_text


class Part(BaseModel):
    """A field of each type."""

    model_config = ConfigDict(allow_inf_nan=False)
    count: Count = 1
    number: Number = 1.0
    switch: Switch = False
    scalar: OneScalar = 1


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("count", "5", "is '5'; it must be a whole number; take the quotes away"),
        ("count", "five", "is 'five'; it must be a whole number"),
        ("count", True, "is true; it must be a whole number"),
        ("count", 2.5, "is 2.5; it must be a whole number"),
        ("count", None, "is empty; it must be a whole number"),
        ("number", "1e-3", "is '1e-3'; it must be a number; take the quotes away"),
        ("number", False, "is false; it must be a number"),
        ("number", float("inf"), "is inf; it must be a finite number"),
        ("switch", 1, "is 1; it must be true or false"),
        ("switch", "On", "is 'On'; it must be true or false; write true"),
        ("switch", "n", "is 'n'; it must be true or false; write false"),
        ("scalar", None, "is empty; it must be a number, true, false or text"),
        ("scalar", [1], "is [1]; it must be a number, true, false or text"),
        ("scalar", float("nan"), "is nan; it must be a finite number"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_field_and_the_rule(field: str, value: object, text: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Part.model_validate({field: value})
    assert faults_of(refused.value) == [Fault((field,), text)]


def test_a_whole_number_may_be_written_with_an_exponent() -> None:
    count = Part.model_validate({"count": 1e6}).count
    assert (count, type(count)) == (1_000_000, int)


@pytest.mark.parametrize("value", [3, 2.5, True, "relu"])
def test_a_scalar_keeps_the_type_it_was_written_in(value: int | float | bool | str) -> None:
    scalar = Part(scalar=value).scalar
    assert (scalar, type(scalar)) == (value, type(value))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "empty"),
        (True, "true"),
        (0.001, "0.001"),
        (0.1 + 0.2, "0.30000000000000004"),
        ((1, "a"), "[1, 'a']"),
        ({"a": 1}, "a mapping"),
        ("x" * 99, "'" + "x" * 56 + "..."),
    ],
)
def test_a_value_is_shown_in_the_words_of_yaml(value: object, text: str) -> None:
    assert value_text(value) == text


FAULTY: list[tuple[dict[str, Any], list[tuple[str | int, ...]]]] = [
    ({"latnt_dim": 3, "hidden_units": 0, "beta1": 2}, [("latnt_dim",), ("hidden_units",), ("beta1",)]),
    ({"optimizer_arguments": {"beta1": 2}}, [("optimizer_arguments", "beta1")]),
    ({"optimizer_arguments": {"beta1": 2}, "beta1": 3}, [("beta1",)]),
    ({"optimizer_arguments": [1], "beta1": 0.5}, [("optimizer_arguments",)]),
    ({"optimizer": "adma", "beta9": 1, "hidden_units": 0}, [("hidden_units",), ("optimizer",)]),
    ({"learning_rate_milestones": [0.5, "0.7"]}, [("learning_rate_milestones", 1)]),
    (
        {"budget_samples": 50, "first_evaluation_samples": 90, "learning_rate_schedule": "steps"},
        [("budget_samples",), ("learning_rate_milestones",), ("first_evaluation_samples",)],
    ),
]


@pytest.mark.parametrize(("fields", "paths"), FAULTY)
def test_every_fault_of_a_configuration_is_found_at_the_name_that_was_written(
    fields: dict[str, Any], paths: list[tuple[str | int, ...]]
) -> None:
    """`beta9` is no fault beside an unknown optimizer, which may have it."""
    with pytest.raises(FieldError) as refused:
        TrainingConfiguration.from_flat(fields)
    assert [fault.path for fault in refused.value.faults] == paths
    assert len(str(refused.value).splitlines()) == len(paths)
