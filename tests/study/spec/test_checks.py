"""What keeps a study of well-formed fields from running as a whole, each fault found before anything is trained."""

from __future__ import annotations

from typing import Any

import pytest

from study.spec.checks import study_faults
from tests.support.faulty_studies import RATE, arms, assert_only_fault, claim_of, lines, search_of, searched, study_of


def test_a_sound_study_has_no_fault() -> None:
    assert lines() == []


RULES: list[tuple[dict[str, Any], str]] = [
    # factors
    (
        {"factors": {"optimizer": ["adagrad", "adam"], "latent_dim": []}},
        "factors.latent_dim: is empty; give at least one level, or leave the factor out",
    ),
    (
        {"factors": {"optimizer": ["adagrad", "adam", "adam"]}},
        "factors.optimizer: has the level 'adam' twice; every level stands once",
    ),
    (
        {"factors": {"optimizer": ["adagrad", "adam"], "latent_dim": [2, 2.0]}},
        "factors.latent_dim: has the level 2 twice; every level stands once",
    ),
    (
        {"training": {"optimizer": "adam"}},
        (
            "training.optimizer: is a factor too, so the value here cannot take effect; leave it out of training or out"
            " of factors"
        ),
    ),
    (
        {"factors": {"optimizer": ["adagrad", "adam"], "test_at_end": [True, False]}},
        "factors.test_at_end: cannot be a factor: it says when the test set is read, which is the same in every cell",
    ),
    (
        {"factors": {"optimizer": ["adagrad", "adam"], "latent_dim": list(range(1, 1002))}},
        "factors: make 2,002 cells; at most 2,000 can be run as one study",
    ),
    # cells
    (
        {"cells": {"exclude": [{"optimizer": "adam"}, {"optimizer": "adagrad"}]}},
        "cells.exclude: leaves no cell; exclude less or add a cell",
    ),
    (
        {"cells": {"exclude": [{"optimizer": "adma"}]}},
        (
            "cells.exclude.0: optimizer=adma matches no cell. 'adma' is not a level of optimizer in any cell; did you"
            " mean adam? Allowed: adagrad, adam."
        ),
    ),
    (
        {"cells": {"exclude": [{"num_hidden_layers": True}]}},
        (
            "cells.exclude.0: num_hidden_layers=true matches no cell. 'true' is not a level of num_hidden_layers in any"
            " cell. Allowed: 1, 2."
        ),
    ),
    (
        {"cells": {"add": [{"name": "wide", "levels": {"optimizer": "adam", "hidden_units": 70}}]}},
        (
            "cells.add.0.levels: has no level of the factor num_hidden_layers; a named cell gives a level of every"
            " factor: optimizer, num_hidden_layers"
        ),
    ),
    (
        {"cells": {"add": [{"name": "again", "levels": {"optimizer": "adam", "num_hidden_layers": 2}}]}},
        "cells: the cell num_hidden_layers=2,optimizer=adam stands there twice; every cell has levels of its own",
    ),
    # spaces: a proposal must never be invalid
    (
        searched(latent_dim={"low": 2, "high": 50}),
        "search.spaces.0.hyperparameters.latent_dim: takes whole numbers only; add integer: true",
    ),
    (
        searched(optimizer={"choices": ["adam", "sgd"]}),
        (
            "search.spaces.0.hyperparameters.optimizer: is a level of the cell num_hidden_layers=1,optimizer=adagrad"
            " already; a hyperparameter is either compared or tuned"
        ),
    ),
    (
        searched(pixels={"choices": ["grey", "fixed"]}),
        (
            "search.spaces.0.hyperparameters.pixels: cannot be searched: proposals are compared at the same data,"
            " budget and evaluations; fix it in training or make it a factor"
        ),
    ),
    (
        {"training": {"learning_rate": 0.1}},
        (
            "training.learning_rate: is searched in every cell, so the value here cannot take effect; leave it out of"
            " training or out of the spaces"
        ),
    ),
    (
        {
            "search": search_of(
                spaces=[
                    {"hyperparameters": {"learning_rate": RATE}},
                    {"when": {"optimizer": "adamm"}, "hyperparameters": {"beta2": {"choices": [0.9]}}},
                ]
            )
        },
        (
            "search.spaces.1.when: optimizer=adamm matches no cell, so this space cannot take effect. "
            "'adamm' is not a level of optimizer in any cell; did you mean adam? Allowed: adagrad, adam."
        ),
    ),
    (
        {
            "search": search_of(
                spaces=[
                    {"when": {"optimizer": "adam"}, "hyperparameters": {"learning_rate": RATE}},
                    {"hyperparameters": {"learning_rate": RATE | {"low": 0.01}}},
                ]
            )
        },
        (
            "search.spaces.0.hyperparameters.learning_rate: cannot take effect: later spaces override it in every cell"
            " that it is meant for"
        ),
    ),
    # search
    ({"search": search_of(round_size=4)}, "search.round_size: is 4; it must be at most num_proposals, 3"),
    (
        {"search": search_of(budget_samples=2_000)},
        "search.budget_samples: is 2000; it must be at most the training's own budget_samples, 1000",
    ),
    (
        {"confirm": {"num_reporting_seeds": 2, "num_runners_up": 3}},
        "confirm.num_runners_up: is 3; it must be less than search.num_proposals, 3: the winner is one of them",
    ),
    (
        {"search": None, "confirm": {"num_reporting_seeds": 2, "num_runners_up": 1}},
        "confirm.num_runners_up: is 1, but nothing is searched, so there is no runner-up; set it to 0",
    ),
    (
        {"search": search_of(sampler="grid")},
        (
            "search.spaces.0.hyperparameters.learning_rate: is a range; the sampler grid needs {choices: [...]} for"
            " every hyperparameter, or choose another sampler"
        ),
    ),
    (
        {
            "search": search_of(
                sampler="grid",
                spaces=[
                    {
                        "hyperparameters": {
                            "learning_rate": {"choices": [0.1, 0.2]},
                            "weight_decay": {"choices": [0, 0.1]},
                        }
                    }
                ],
            )
        },
        "search.num_proposals: is 3; with the sampler grid it must be the number of points in the grid, 4",
    ),
    (
        {
            "search": search_of(
                sampler="grid",
                spaces=[
                    {"hyperparameters": {"learning_rate": {"choices": [0.1, 0.2, 0.3]}}},
                    {"when": {"optimizer": "adam"}, "hyperparameters": {"beta1": {"choices": [0.5, 0.9]}}},
                ],
            )
        },
        (
            "search.spaces: make grids of different sizes, 3 in num_hidden_layers=1,optimizer=adagrad and 6 in"
            " num_hidden_layers=1,optimizer=adam; every cell gets the same number of proposals, so the sizes must be"
            " equal"
        ),
    ),
    (
        {"search": search_of(sampler="gp", spaces=[{"hyperparameters": {"learning_rate": {"choices": [0.1, 0.2]}}}])},
        (
            "search.sampler: is 'gp', which needs at least one range {low, high} in every cell;"
            " num_hidden_layers=1,optimizer=adagrad has none. Choose tpe, random or grid"
        ),
    ),
    # arms
    (
        arms(["defaults", "tuned"], {"arm": "tunde"}, {"arm": "tuned"}),
        (
            "search.spaces.0.when: arm=tunde matches no cell, so this space cannot take effect. 'tunde' is not a level"
            " of arm in any cell; did you mean tuned?"
        ),
    ),
    (
        {
            "search": search_of(
                spaces=[
                    {"hyperparameters": {"learning_rate": RATE}},
                    {"when": {"optimizer": "adagrad"}, "hyperparameters": {"warm_up_batches": {"low": 0, "high": 20}}},
                ]
            )
        },
        "search.spaces.1.hyperparameters.warm_up_batches: takes whole numbers only; add integer: true",
    ),
    # what is measured
    (
        {"training": {"train_on_all": True}},
        (
            "search.objective: is validation/lower_bound, but train_on_all leaves no validation images; "
            "set train_on_all: false, or objective: train/lower_bound, or leave the search out"
        ),
    ),
    (
        {"training": {"train_on_all": True}, "search": None, "metric": "validation/lower_bound"},
        (
            "metric: is validation/lower_bound, but train_on_all leaves no validation images; set train_on_all: false"
            " or another metric: test/lower_bound, train/lower_bound"
        ),
    ),
    (
        {"training": {"test_curve": True}},
        (
            "training.test_curve: is true, but the search chooses on held-out images; a test curve is drawn only where"
            " all is fixed or chosen on training data: set it to false, or search.objective to train/lower_bound"
        ),
    ),
    (
        {"training": {"test_at_end": False}},
        (
            "metric: is test/lower_bound, but training.test_at_end is false; set it to true, or choose"
            " validation/lower_bound or train/lower_bound"
        ),
    ),
    # claims
    (
        {"claims": [claim_of(factor="optimiser")]},
        (
            "claims.0.factor: 'optimiser' is not a factor of this study; did you mean optimizer? Allowed: cell,"
            " num_hidden_layers, optimizer."
        ),
    ),
    (
        {"claims": [claim_of(level="adamm")]},
        "claims.0.level: 'adamm' is not a level of optimizer in any cell; did you mean adam? Allowed: adagrad, adam.",
    ),
    (
        {"claims": [claim_of(baseline="sgd")]},
        "claims.0.baseline: 'sgd' is not a level of optimizer in any cell. Allowed: adagrad, adam.",
    ),
    (
        {"claims": [claim_of(baseline="adam")]},
        "claims.0.baseline: is 'adam', the same as level; a claim compares two levels",
    ),
    (
        {"claims": [claim_of(at={"num_hidden_layers": 3})]},
        "claims.0.at.num_hidden_layers: '3' is not a level of num_hidden_layers in any cell. Allowed: 1, 2.",
    ),
    (
        {"claims": [claim_of(at={"optimizer": "adam"})]},
        "claims.0.at.optimizer: is the factor that the claim compares; `at` names levels of other factors",
    ),
    ({"claims": [claim_of(), claim_of()]}, "claims.1.name: 'claim' is the name of another claim already"),
    (
        {"claims": [claim_of(primary=True), claim_of(name="other", primary=True)]},
        "claims: claim, other are all primary; a study has at most one primary claim, the others are descriptive",
    ),
    (
        {
            "cells": {"exclude": [{"optimizer": "adam", "num_hidden_layers": 2}]},
            "claims": [claim_of(at={"num_hidden_layers": 2})],
        },
        (
            "claims.0: compares nothing: no two cells differ in optimizer alone, adam against adagrad, at"
            " num_hidden_layers=2"
        ),
    ),
    (
        {"claims": [claim_of(factor="cell", level="wide", baseline="num_hidden_layers=1,optimizer=adam")]},
        (
            "claims.0.level: 'wide' is not a cell of this study. Allowed: num_hidden_layers=1,optimizer=adagrad,"
            " num_hidden_layers=1,optimizer=adam,"
        ),
    ),
]


@pytest.mark.parametrize(("fields", "message"), RULES, ids=[message[:50] for _, message in RULES])
def test_a_study_that_breaks_a_rule_gets_the_rules_message_and_no_other(fields: dict[str, Any], message: str) -> None:
    assert_only_fault(fields, message)


TUNED: list[tuple[str, str, dict[str, Any]]] = [
    ("adagrad", "learning_rate", RATE),
    ("adagrad", "initial_accumulator_value", {"low": 1e-6, "high": 1, "log": True}),
    ("adagrad", "warm_up_batches", {"low": 0, "high": 20, "integer": True}),
    ("adagrad", "epsilon", {"low": 1e-12, "high": 1e-2, "log": True}),
    ("adam", "learning_rate", RATE),
    ("adam", "beta1", {"low": 0.5, "high": 0.99}),
    ("adam", "beta2", {"low": 0.9, "high": 0.9999}),
    ("adam", "epsilon", {"low": 1e-10, "high": 1e-2, "log": True}),
]

SOUND: list[dict[str, Any]] = [
    {"training": {"test_curve": True}, "search": search_of(objective="train/lower_bound")},
    {"training": {"test_curve": True}, "search": None},
    {"training": {"train_on_all": True}, "search": search_of(objective="train/lower_bound")},
    {"training": {"test_at_end": False}, "metric": "validation/lower_bound"},
    {"training": {"test_at_end": False, "test_curve": True}, "search": None},
    {"training": {"learning_rate_schedule": "steps", "learning_rate_milestones": [0.5, 0.75]}},
    {"search": search_of(num_proposals=1)},
    {
        "search": search_of(
            sampler="grid", spaces=[{"hyperparameters": {"learning_rate": {"choices": [0.1, 0.2, 0.3]}}}]
        )
    },
    {
        "training": {"learning_rate": 0.1},
        "search": search_of(spaces=[{"hyperparameters": {"weight_decay": {"low": 0, "high": 1}}}]),
    },
    {
        "cells": {
            "add": [{"name": "wide", "levels": {"optimizer": "adam", "num_hidden_layers": 1, "hidden_units": 70}}]
        },
        "claims": [claim_of(factor="cell", level="wide", baseline="num_hidden_layers=2,optimizer=adam")],
    },
    {"factors": {}, "claims": []},
    {
        "search": search_of(
            spaces=[{"when": {"optimizer": name}, "hyperparameters": {own: spread}} for name, own, spread in TUNED]
        )
    },
]


@pytest.mark.parametrize("fields", SOUND)
def test_a_study_that_breaks_no_rule_is_not_refused(fields: dict[str, Any]) -> None:
    assert lines(**fields) == []


def test_faults_of_several_kinds_are_all_found() -> None:
    found = study_faults(
        study_of(
            training={"hidden_units": 0, "batch_sise": 3},
            search=search_of(round_size=9),
            claims=[claim_of(level="sgd")],
        )
    )
    assert [fault.path for fault in found] == [
        ("training", "batch_sise"),
        ("training", "hidden_units"),
        ("search", "round_size"),
        ("claims", 0, "level"),
    ]
