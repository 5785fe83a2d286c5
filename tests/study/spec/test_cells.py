"""From factors to cells, search spaces, claims and configurations."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.spec import Study
from study.spec.cells import (
    Cell,
    Phase,
    claim_pairs,
    common_configuration,
    level_text,
    search_space,
    study_cells,
    training_configuration,
)
from study.spec.schema import Choices, Level, Range

PHASES: tuple[Phase, ...] = ("search", "confirm")


def study_of(**fields: Any) -> Study:
    """A study of two optimizers and two depths, with `fields` in place of its own."""
    own = {
        "name": "example",
        "question": "Which?",
        "training": {"hidden_units": 30, "batch_size": 50, "budget_samples": 1_000},
        "factors": {"optimizer": ["adagrad", "adam"], "num_hidden_layers": [1, 2]},
        "search": {
            "num_proposals": 2,
            "spaces": [{"hyperparameters": {"learning_rate": {"low": 0.001, "high": 0.1, "log": True}}}],
        },
        "confirm": {"num_reporting_seeds": 2},
    }
    return Study.model_validate(own | fields)


def labels(study: Study) -> list[str]:
    return [cell.label for cell in study_cells(study)]


def test_cells_are_the_grid_of_factors_the_last_factor_changing_fastest() -> None:
    assert labels(study_of()) == [
        "num_hidden_layers=1,optimizer=adagrad",
        "num_hidden_layers=2,optimizer=adagrad",
        "num_hidden_layers=1,optimizer=adam",
        "num_hidden_layers=2,optimizer=adam",
    ]


def test_a_study_without_factors_has_one_cell_called_all() -> None:
    assert labels(study_of(factors={})) == ["all"]


def test_exclude_takes_away_every_cell_that_has_all_the_levels_named() -> None:
    assert labels(study_of(cells={"exclude": [{"optimizer": "adam", "num_hidden_layers": 2}]})) == [
        "num_hidden_layers=1,optimizer=adagrad",
        "num_hidden_layers=2,optimizer=adagrad",
        "num_hidden_layers=1,optimizer=adam",
    ]
    assert labels(study_of(cells={"exclude": [{"optimizer": "adam"}]})) == [
        "num_hidden_layers=1,optimizer=adagrad",
        "num_hidden_layers=2,optimizer=adagrad",
    ]


def test_a_named_cell_comes_after_the_grid_and_overrides_the_training() -> None:
    study = study_of(
        cells={"add": [{"name": "wide", "levels": {"optimizer": "adam", "num_hidden_layers": 1, "hidden_units": 70}}]}
    )
    wide = study_cells(study)[-1]
    assert (wide.name, wide.label) == ("wide", "hidden_units=70,num_hidden_layers=1,optimizer=adam")
    assert training_configuration(study, wide, "confirm", {}).hidden_units == 70
    assert training_configuration(study, study_cells(study)[0], "confirm", {}).hidden_units == 30


def test_a_label_does_not_depend_on_the_order_in_which_a_study_file_names_its_factors() -> None:
    turned = study_of(factors={"num_hidden_layers": [1, 2], "optimizer": ["adagrad", "adam"]})
    assert sorted(labels(turned)) == sorted(labels(study_of()))


def test_true_does_not_match_one_and_one_point_nought_does() -> None:
    assert not Cell((("a", True),)).matches({"a": 1})
    assert not Cell((("a", 1),)).matches({"a": True})
    assert not Cell((("a", 0),)).matches({"a": False})
    assert Cell((("a", 1),)).matches({"a": 1.0})
    assert not Cell((("a", 1),)).matches({"b": 1})
    assert Cell((("a", 1),)).matches({})


@pytest.mark.parametrize(
    ("level", "text"),
    [
        (True, "true"),
        (20, "20"),
        (0.001, "0.001"),
        (1e-5, "1e-05"),
        (2.0, "2"),
        (0.123456789, "0.123456789"),
        ("adam", "adam"),
    ],
)
def test_a_level_is_shown_as_a_person_would_write_it(level: Level, text: str) -> None:
    assert level_text(level) == text


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_different_numbers_never_look_alike(one: float, other: float) -> None:
    assert (level_text(one) == level_text(other)) == (one == other) or one == other == 0


def test_a_later_space_overrides_an_earlier_one_in_the_cells_it_names() -> None:
    spaces = [
        {"hyperparameters": {"learning_rate": {"low": 0.001, "high": 0.1}, "weight_decay": {"choices": [0, 0.1]}}},
        {"when": {"optimizer": "adam"}, "hyperparameters": {"learning_rate": {"low": 1e-4, "high": 1e-2}}},
    ]
    study = study_of(search={"num_proposals": 2, "spaces": spaces})
    adagrad, adam = study_cells(study)[0], study_cells(study)[2]
    assert search_space(study, adagrad) == {
        "learning_rate": Range(low=0.001, high=0.1),
        "weight_decay": Choices(choices=(0, 0.1)),
    }
    assert search_space(study, adam) == {
        "learning_rate": Range(low=1e-4, high=1e-2),
        "weight_decay": Choices(choices=(0, 0.1)),
    }


def test_nothing_is_searched_where_there_is_no_search() -> None:
    study = study_of(search=None)
    assert search_space(study, study_cells(study)[0]) == {}


def test_a_configuration_is_the_training_then_the_cell_then_the_proposal() -> None:
    study = study_of()
    found = training_configuration(study, study_cells(study)[2], "confirm", {"learning_rate": 0.5, "beta1": 0.5})
    assert (found.batch_size, found.optimizer, found.num_hidden_layers, found.learning_rate) == (50, "adam", 1, 0.5)
    assert found.optimizer_arguments == {"beta1": 0.5}


def test_without_a_learning_rate_the_optimizer_has_its_own() -> None:
    study = study_of(search=None)
    rates = {
        cell.label: training_configuration(study, cell, "confirm", {}).learning_rate for cell in study_cells(study)
    }
    assert rates["num_hidden_layers=1,optimizer=adam"] == 1e-3
    assert rates["num_hidden_layers=1,optimizer=adagrad"] == 1e-2


def test_the_search_phase_never_reads_the_test_set_and_the_confirm_phase_does_at_its_end() -> None:
    study = study_of(training={"test_at_end": True, "test_curve": True})
    searched, confirmed = (training_configuration(study, study_cells(study)[0], phase, {}) for phase in PHASES)
    assert (searched.test_at_end, searched.test_curve) == (False, False)
    assert (confirmed.test_at_end, confirmed.test_curve) == (True, True)
    assert training_configuration(study_of(), study_cells(study_of())[0], "confirm", {}).test_at_end


def test_the_search_has_its_own_budget_and_evaluations() -> None:
    space = [{"hyperparameters": {"learning_rate": {"low": 0.001, "high": 0.1}}}]
    study = study_of(
        training={
            "budget_samples": 100_000,
            "num_evaluations": 30,
            "evaluation_spacing": "log",
            "first_evaluation_samples": 10_000,
        },
        search={"num_proposals": 2, "budget_samples": 5_000, "num_evaluations": 1, "spaces": space},
    )
    searched, confirmed = (training_configuration(study, study_cells(study)[0], phase, {}) for phase in PHASES)
    assert (searched.budget_samples, searched.evaluation_points()) == (5_000, (5_000,))
    assert (confirmed.budget_samples, confirmed.evaluation_points()[0], confirmed.evaluation_points()[-1]) == (
        100_000,
        10_000,
        100_000,
    )


def claim(**fields: Any) -> dict[str, Any]:
    return {"name": "claim", "factor": "optimizer", "level": "adam", "baseline": "adagrad"} | fields


def pairs(study: Study) -> list[tuple[str, str]]:
    return [(ours.label, theirs.label) for ours, theirs in claim_pairs(study, study.claims[0])]


def test_a_claim_compares_the_cells_that_differ_in_its_factor_alone() -> None:
    assert pairs(study_of(claims=[claim(at={"num_hidden_layers": 2})])) == [
        ("num_hidden_layers=2,optimizer=adam", "num_hidden_layers=2,optimizer=adagrad")
    ]
    assert pairs(study_of(claims=[claim()])) == [
        ("num_hidden_layers=1,optimizer=adam", "num_hidden_layers=1,optimizer=adagrad"),
        ("num_hidden_layers=2,optimizer=adam", "num_hidden_layers=2,optimizer=adagrad"),
    ]


def test_a_named_cell_of_another_width_is_not_mistaken_for_the_grid_cell_of_its_depth() -> None:
    wide = {"name": "wide", "levels": {"optimizer": "adam", "num_hidden_layers": 1, "hidden_units": 70}}
    study = study_of(
        cells={"add": [wide]}, claims=[claim(factor="num_hidden_layers", level=2, baseline=1, at={"optimizer": "adam"})]
    )
    assert pairs(study) == [("num_hidden_layers=2,optimizer=adam", "num_hidden_layers=1,optimizer=adam")]


def test_a_claim_about_whole_cells_compares_the_two_that_it_names() -> None:
    wide = {"name": "wide", "levels": {"optimizer": "adam", "num_hidden_layers": 1, "hidden_units": 70}}
    study = study_of(
        cells={"add": [wide]},
        claims=[claim(factor="cell", level="num_hidden_layers=2,optimizer=adam", baseline="wide")],
    )
    assert pairs(study) == [
        ("num_hidden_layers=2,optimizer=adam", "hidden_units=70,num_hidden_layers=1,optimizer=adam")
    ]


def test_a_claim_about_an_excluded_cell_has_no_pair() -> None:
    study = study_of(
        cells={"exclude": [{"optimizer": "adam", "num_hidden_layers": 2}]}, claims=[claim(at={"num_hidden_layers": 2})]
    )
    assert pairs(study) == []


def test_levels_that_python_takes_for_equal_are_two_cells_of_a_claim() -> None:
    study = study_of(
        factors={"optimizer": ["adam"], "own_field": [1, True]},
        claims=[{"name": "claim", "factor": "own_field", "level": True, "baseline": 1}],
    )
    (pair,) = claim_pairs(study, study.claims[0])
    assert [cell.label for cell in pair] == ["optimizer=adam,own_field=true", "optimizer=adam,own_field=1"]


@pytest.mark.parametrize("searched", [{"low": 1e-3, "high": 1e-2, "log": True}, {"choices": [1e-3, 1e-2]}])
def test_what_a_cell_s_trainings_have_in_common_is_known_where_only_the_search_gives_a_learning_rate(
    searched: dict[str, Any],
) -> None:
    study = study_of(
        training={"optimizer": "tests.support.users_optimizers:NoRate", "hidden_units": 30},
        factors={"latent_dim": [2, 3]},
        search={"num_proposals": 2, "spaces": [{"hyperparameters": {"learning_rate": searched}}]},
        claims=[],
    )
    assert [common_configuration(study, cell).latent_dim for cell in study_cells(study)] == [2, 3]
