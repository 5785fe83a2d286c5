"""What a study file may say: types are taken as written, ranges stand upright, and a study survives JSON."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from study.spec.loading import load_study, shipped_studies
from study.spec.schema import (
    Cells,
    Choices,
    Claim,
    Confirm,
    Level,
    MeanOfLast,
    NamedCell,
    NoiseFloorCell,
    PublishedNumber,
    Range,
    Search,
    Space,
    Study,
    repeated_level,
    same_level,
)

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
def test_a_range_that_cannot_be_drawn_from_is_refused_with_its_rule(
    low: float, high: float, log: bool, integer: bool, rule: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        Range(low=low, high=high, log=log, integer=integer)
    assert rule in str(refused.value)


def test_a_distribution_is_a_range_or_choices_by_what_it_names() -> None:
    space = Space.model_validate({"hyperparameters": {"a": {"low": 1, "high": 2}, "b": {"choices": [1, "x"]}}})
    assert space.hyperparameters == {"a": Range(low=1, high=2), "b": Choices(choices=(1, "x"))}


def test_a_faulty_distribution_is_reported_once_and_not_for_every_kind_of_distribution() -> None:
    assert faults(Space, hyperparameters={"a": {"low": 1}}) == [(("hyperparameters", "a", "range", "high"), "missing")]


def study_with(**fields: Any) -> Study:
    """The smallest study there is, with these fields."""
    return Study.model_validate({"name": "mine", "question": "?", "confirm": {"num_reporting_seeds": 1}} | fields)


def study_faults(**fields: Any) -> list[tuple[tuple[int | str, ...], str]]:
    return faults(Study, name="mine", question="?", confirm={"num_reporting_seeds": 1}, **fields)


@pytest.mark.parametrize(
    ("given", "readout"),
    [
        ("final", "final"),
        ("best", "best"),
        ({"mean_of_last": 5}, MeanOfLast(mean_of_last=5)),
        ({"mean_of_last": 5.0}, MeanOfLast(mean_of_last=5)),
    ],
)
def test_a_readout_is_final_best_or_a_mean_of_the_last_evaluations(given: object, readout: object) -> None:
    assert study_with(readout=given).readout == readout


@pytest.mark.parametrize(
    "given",
    [
        "last",
        5,
        True,
        None,
        {},
        {"mean_of_last": 0},
        {"mean_of_last": 2.5},
        {"mean_of_last": True},
        {"mean_of_last": 2, "of": 3},
        {"mean_of": 3},
    ],
)
def test_any_other_readout_is_refused_once_at_its_place(given: object) -> None:
    assert study_faults(readout=given) == [(("readout",), "value_error")]


def test_an_equivalence_margin_is_a_positive_number_or_the_noise_floor() -> None:
    assert study_with(equivalence_margin_nats=1).equivalence_margin_nats == 1
    assert study_with(equivalence_margin_nats="noise_floor").equivalence_margin_nats == "noise_floor"
    for wrong in (0, -1, "0.5", "noise", True, None, float("nan"), float("inf")):
        assert study_faults(equivalence_margin_nats=wrong) == [(("equivalence_margin_nats",), "value_error")], wrong


def test_targets_are_bounds_and_so_negative() -> None:
    assert study_with(targets=[-104, -100.5]).targets == (-104, -100.5)
    assert study_faults(targets=[-104, 100]) == [(("targets", 1), "less_than")]


def test_the_noise_floor_names_one_cell_by_name_or_levels() -> None:
    assert study_with(noise_floor={"at": "control"}).noise_floor == NoiseFloorCell(at="control")
    assert study_with(noise_floor={"at": {"num_hidden_layers": 1}, "num_seeds": 4}).noise_floor == NoiseFloorCell(
        at={"num_hidden_layers": 1}, num_seeds=4
    )
    for wrong in (3, None, ["adam"], {"optimizer": ["adam"]}, {"optimizer": None}):
        assert study_faults(noise_floor={"at": wrong}) == [(("noise_floor", "at"), "value_error")], wrong


def test_an_extra_round_has_as_many_proposals_as_a_round_unless_said_otherwise() -> None:
    assert Search(num_proposals=9, round_size=4, spaces=(Space.model_validate(SPACE),)).num_extra_proposals == 4
    assert Search(num_proposals=1, round_size=2, spaces=(Space.model_validate(SPACE),)).num_extra_proposals == 1
    assert (
        Search(
            num_proposals=9, round_size=4, extra_proposals=7, spaces=(Space.model_validate(SPACE),)
        ).num_extra_proposals
        == 7
    )


def test_a_study_from_before_these_fields_means_what_it_meant() -> None:
    study = study_with(search={"num_proposals": 2, "spaces": [SPACE]})
    assert study.search is not None
    assert (
        study.readout,
        study.targets,
        study.noise_floor,
        study.search.max_extra_rounds,
        study.search.num_repeats,
    ) == ("final", (), None, 0, 1)


@pytest.mark.parametrize("name", ["", "../up", "a/b", "a.b", "-a", "a b", "a\n", "x" * 65, "é"])
def test_a_name_that_could_leave_its_folder_or_confuse_a_shell_is_refused(name: str) -> None:
    assert faults(Study, name=name, question="?", confirm={"num_reporting_seeds": 1}) == [
        (("name",), "string_pattern_mismatch")
    ]


def test_every_field_of_every_part_says_what_it_is() -> None:
    silent = [
        f"{part.__name__}.{name}"
        for part in (
            Range,
            Choices,
            Space,
            NamedCell,
            Cells,
            Search,
            Confirm,
            Claim,
            PublishedNumber,
            MeanOfLast,
            NoiseFloorCell,
            Study,
        )
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
