"""What a study file may say: types are taken as written, ranges stand upright, and a study survives JSON."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from study.loading import load_study, shipped_studies
from study.spec import Cells, Choices, Claim, Confirm, Level, NamedCell, Range, Search, Space, Study, repeated_level, same_level

SPACE: dict[str, Any] = {"hyperparameters": {"learning_rate": {"low": 1e-4, "high": 1e-2}}}


def faults(kind: type[BaseModel], **fields: Any) -> list[tuple[tuple[int | str, ...], str]]:
    """Where and with which of pydantic's error types `fields` are refused; empty where they are accepted."""
    try:
        kind(**fields)
    except ValidationError as error:
        return [(details["loc"], details["type"]) for details in error.errors()]
    return []


@pytest.mark.parametrize("given", ["6", True, 6.5, None, [6]])
def test_a_count_is_a_whole_number_and_nothing_that_looks_like_one(given: object) -> None:
    assert [place for place, _ in faults(Search, num_proposals=given, spaces=[SPACE])] == [("num_proposals",)]


def test_a_count_may_be_written_with_an_exponent() -> None:
    budget = Search(num_proposals=2, budget_samples=1e6, spaces=(Space.model_validate(SPACE),)).budget_samples
    assert budget == 1_000_000
    assert type(budget) is int


@pytest.mark.parametrize("given", ["0.1", True, None])
def test_a_number_is_not_text_or_a_switch(given: object) -> None:
    assert [place for place, _ in faults(Range, low=given, high=5)] == [("low",)]


@pytest.mark.parametrize("given", [1, 0, "true", "yes", None])
def test_a_switch_is_true_or_false_alone(given: object) -> None:
    assert [place for place, _ in faults(Range, low=1, high=5, log=given)] == [("log",)]


@pytest.mark.parametrize("given", [3, 2.5, True, "relu"])
def test_a_level_keeps_the_type_it_was_written_in(given: Level) -> None:
    level = NamedCell(name="control", levels={"factor": given}).levels["factor"]
    assert level == given
    assert type(level) is type(given)


@pytest.mark.parametrize("given", [None, [1], {"a": 1}, float("nan"), float("inf")])
def test_a_level_is_one_finite_value(given: object) -> None:
    assert faults(NamedCell, name="control", levels={"factor": given})


@pytest.mark.parametrize(
    ("low", "high", "log", "integer", "rule"),
    [
        (2, 1, False, False, "the range is upside down or empty: low 2, high 1; low must be below high"),
        (1, 1, False, False, "the range is upside down or empty: low 1, high 1; low must be below high"),
        (0, 1, True, False, "a log range needs a positive low; got 0"),
        (1.5, 3, False, True, "an integer range needs whole ends; got 1.5 and 3"),
    ],
)
def test_a_range_that_cannot_be_drawn_from_is_refused_with_its_rule(low: float, high: float, log: bool, integer: bool, rule: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Range(low=low, high=high, log=log, integer=integer)
    assert rule in str(refused.value)


def test_a_distribution_is_a_range_or_choices_by_what_it_names() -> None:
    space = Space.model_validate({"hyperparameters": {"a": {"low": 1, "high": 2}, "b": {"choices": [1, "x"]}}})
    assert space.hyperparameters == {"a": Range(low=1, high=2), "b": Choices(choices=(1, "x"))}


def test_a_faulty_distribution_is_reported_once_and_not_for_every_kind_of_distribution() -> None:
    assert faults(Space, hyperparameters={"a": {"low": 1}}) == [(("hyperparameters", "a", "range", "high"), "missing")]


@pytest.mark.parametrize("name", ["", "../up", "a/b", "a.b", "-a", "a b", "a\n", "x" * 65, "é"])
def test_a_name_that_could_leave_its_folder_or_confuse_a_shell_is_refused(name: str) -> None:
    assert faults(Study, name=name, question="?", confirm={"num_reporting_seeds": 1}) == [(("name",), "string_pattern_mismatch")]


def test_every_field_of_every_part_says_what_it_is() -> None:
    silent = [
        f"{part.__name__}.{name}"
        for part in (Range, Choices, Space, NamedCell, Cells, Search, Confirm, Claim, Study)
        for name, field in part.model_fields.items()
        if not field.description
    ]
    assert silent == []


@pytest.mark.parametrize("name", [name for name, _ in shipped_studies()])
def test_a_study_is_the_same_after_a_round_trip_through_json(name: str) -> None:
    study = load_study(name)
    assert Study.model_validate_json(study.model_dump_json()) == study


def test_one_and_true_are_different_levels_and_one_and_one_point_nought_are_not() -> None:
    assert not same_level(1, True)
    assert not same_level(0, False)
    assert not same_level(1, "1")
    assert same_level(1, 1.0)
    assert same_level("adam", "adam")


LEVELS = st.one_of(st.booleans(), st.integers(-3, 3), st.floats(-3, 3), st.text("ab1", max_size=2))


@given(st.lists(LEVELS, max_size=6))
def test_a_repeated_level_is_found_exactly_where_two_are_the_same(levels: list[Level]) -> None:
    pairs = [(one, other) for i, one in enumerate(levels) for other in levels[:i] if same_level(one, other)]
    assert (repeated_level(tuple(levels)) is not None) == bool(pairs)
