"""What keeps a study of well-formed fields from running as a whole, each fault found before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from study.spec import Study
from study.spec.checks import study_faults
from vae.settings.fields import Fault

RATE: dict[str, Any] = {"low": 0.001, "high": 0.1, "log": True}


def study_of(**fields: Any) -> Study:
    """A sound study of two optimizers and two depths, with `fields` in place of its own."""
    own: dict[str, Any] = {
        "name": "example",
        "question": "Which?",
        "training": {"hidden_units": 30, "batch_size": 50, "budget_samples": 1_000},
        "factors": {"optimizer": ["adagrad", "adam"], "num_hidden_layers": [1, 2]},
        "search": search_of(),
        "confirm": {"num_reporting_seeds": 2},
        "claims": [claim_of()],
    }
    return Study.model_validate(own | fields)


def search_of(**fields: Any) -> dict[str, Any]:
    return {"num_proposals": 3, "spaces": [{"hyperparameters": {"learning_rate": RATE}}]} | fields


def claim_of(**fields: Any) -> dict[str, Any]:
    return {"name": "claim", "factor": "optimizer", "level": "adam", "baseline": "adagrad"} | fields


def searched(**hyperparameters: Any) -> dict[str, Any]:
    """A study whose one space searches these hyperparameters."""
    return {"search": search_of(spaces=[{"hyperparameters": hyperparameters}])}


def arms(levels: list[Any], *when: dict[str, Any]) -> dict[str, Any]:
    """A study of arms whose spaces are for the cells in `when`, each tuning the learning rate."""
    spaces = [{"when": each, "hyperparameters": {"learning_rate": RATE}} for each in when or ({},)]
    return {"factors": {"optimizer": ["adagrad", "adam"], "arm": levels}, "search": search_of(spaces=spaces)}


def lines(**fields: Any) -> list[str]:
    return [str(fault) for fault in study_faults(study_of(**fields))]


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
    (
        {"factors": {"optimizer": ["adagrad", "adamm"]}, "claims": []},
        (
            "factors.optimizer: 'adamm' is not an optimizer; did you mean adam? Allowed: adadelta, adagrad, adam,"
            " adamax, adamw, amsgrad, momentum, nadam, nesterov, radam, rmsprop, sgd. Or module:Class."
        ),
    ),
    (
        {"factors": {"optimizer": ["adagrad", "adam"], "latent_dim": [2, "3"]}},
        "factors.latent_dim: is '3'; it must be a whole number; take the quotes away",
    ),
    (
        {"factors": {"optimizer": ["adagrad", "adam"], "num_hidden_layers": [True]}},
        "factors.num_hidden_layers: is true; it must be a whole number",
    ),
    (
        {"factors": {"optimizer": ["adagrad", "adam"], "beta1": [0.5, 0.9]}},
        (
            "factors.beta1: is a hyperparameter of adam, adamw, amsgrad, adamax, nadam, radam, not of adagrad, whose"
            " own are initial_accumulator_value, warm_up_batches, epsilon_inside_root, epsilon, learning_rate_decay,"
            " weight_decay"
        ),
    ),
    # training
    (
        {"training": {"warm_up_batches": 10}},
        (
            "training.warm_up_batches: is a hyperparameter of adagrad, not of adam, whose own are beta1, beta2,"
            " epsilon, weight_decay (in num_hidden_layers=1,optimizer=adam; num_hidden_layers=2,optimizer=adam)"
        ),
    ),
    ({"training": {"epsilon": -1}}, "training.epsilon: is -1; it must be a number in [0, inf)"),
    (
        {"training": {"optimizer_arguments": [1]}},
        "training.optimizer_arguments: is [1]; it must be a mapping of names to values",
    ),
    (
        {"training": {"optimizer_arguments": {"epsilon": [1]}}},
        "training.optimizer_arguments.epsilon: is [1]; it must be a number, true, false or text",
    ),
    ({"training": {"model": ["vae"]}}, "training.model: is ['vae']; it must be text"),
    (
        {"training": {"learning_rate_schedule": "steps"}},
        (
            "training.learning_rate_milestones: learning_rate_milestones belong to learning_rate_schedule: steps, which"
            " needs at least one, such as [0.5, 0.75]"
        ),
    ),
    (
        {"training": {"dataset": "mnits"}},
        (
            "training.dataset: 'mnits' is not a dataset or a folder that exists; did you mean mnist? Allowed:"
            " fashion-mnist, mnist. Or module:function."
        ),
    ),
    (
        {"training": {"model": "no_such_module:Model"}},
        (
            "training.model: 'no_such_module:Model': module 'no_such_module' cannot be imported (ModuleNotFoundError:"
            " No module named 'no_such_module'); is it on PYTHONPATH or in this folder?"
        ),
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
    (
        {
            "cells": {
                "add": [{"name": "wide", "levels": {"optimizer": "adam", "num_hidden_layers": 1, "hidden_unit": 7}}]
            },
            "search": None,
        },
        (
            "cells.add.0.levels.hidden_unit: 'hidden_unit' is not a field of a training; did you mean hidden_units?"
            " Allowed:"
        ),
    ),
    # spaces: a proposal must never be invalid
    (
        searched(learning_rate={"low": 0.1, "high": 1e5}),
        "search.spaces.0.hyperparameters.learning_rate: is 100000; it must be less than or equal to 1000",
    ),
    (
        searched(learning_rate={"low": 0, "high": 1}),
        "search.spaces.0.hyperparameters.learning_rate: is 0; it must be greater than 0",
    ),
    (
        searched(learning_rate={"choices": [0.1, "big"]}),
        "search.spaces.0.hyperparameters.learning_rate: is 'big'; it must be a number",
    ),
    (
        searched(activation={"choices": ["tanh", "rleu"]}),
        "search.spaces.0.hyperparameters.activation: 'rleu' is not one of its values; did you mean relu?",
    ),
    (
        searched(latent_dim={"low": 2, "high": 50}),
        "search.spaces.0.hyperparameters.latent_dim: takes whole numbers only; add integer: true",
    ),
    (
        searched(batch_size={"low": 10, "high": 2000, "integer": True}) | {"training": {"budget_samples": 1_000}},
        "search.spaces.0.hyperparameters.batch_size: budget_samples 1000 is less than one minibatch (batch_size 2000)",
    ),
    (
        {
            "search": search_of(
                spaces=[
                    {"hyperparameters": {"learning_rate": RATE}},
                    {"when": {"optimizer": "adam"}, "hyperparameters": {"beta2": {"low": 0.9, "high": 1.0}}},
                ]
            )
        },
        "search.spaces.1.hyperparameters.beta2: is 1; it must be a number in [0, 1)",
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
        {"search": search_of(spaces=[{"when": {"optimizer": "adam"}, "hyperparameters": {"learning_rate": RATE}}])},
        (
            "search.spaces: search nothing in num_hidden_layers=1,optimizer=adagrad;"
            " num_hidden_layers=2,optimizer=adagrad: no `when` matches; every cell is searched, with the same number of"
            " proposals"
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
        {"search": search_of(budget_samples=20)},
        "search.budget_samples: budget_samples 20 is less than one minibatch (batch_size 50); give at least 50",
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
    # extra rounds
    (
        {"search": search_of(extra_proposals=2)},
        (
            "search.extra_proposals: is 2, but max_extra_rounds is 0, so there is no extra round; set it to 1 or more,"
            " or leave this out"
        ),
    ),
    (
        {"search": search_of(max_extra_rounds=1), "claims": []},
        (
            "search.max_extra_rounds: is 1, but extra rounds are for cells that a claim compares, and no claim compares"
            " any that are searched; declare one, or set it to 0"
        ),
    ),
    (
        {
            "search": search_of(
                max_extra_rounds=2,
                sampler="grid",
                spaces=[{"hyperparameters": {"learning_rate": {"choices": [0.1, 0.2, 0.3]}}}],
            )
        },
        (
            "search.max_extra_rounds: is 2, but a grid is all that can be proposed, and has no edge to go beyond; set"
            " it to 0, or choose another sampler"
        ),
    ),
    (
        {
            "search": search_of(
                max_extra_rounds=1, spaces=[{"hyperparameters": {"learning_rate": {"choices": [0.1, 0.2, 0.3]}}}]
            )
        },
        (
            "search.max_extra_rounds: is 1, but nothing is searched over a range {low, high}, so there is no edge to go"
            " beyond; set it to 0"
        ),
    ),
    # arms
    (
        arms([1, "tuned"]),
        (
            "factors.arm: has the level 1; the levels of arm are names of tuning rules, such as defaults, learning_rate"
            " and everything"
        ),
    ),
    (
        arms(["defaults", "tuned"]) | {"search": None},
        (
            "factors.arm: names tuning rules, but nothing is searched; add search, whose spaces say `when: {arm: ...}`,"
            " or leave it out"
        ),
    ),
    (
        arms(["defaults", "tuned"], {"arm": "tunde"}, {"arm": "tuned"}),
        (
            "search.spaces.0.when: arm=tunde matches no cell, so this space cannot take effect. 'tunde' is not a level"
            " of arm in any cell; did you mean tuned?"
        ),
    ),
    (
        arms(["defaults", "tuned"], {"arm": "tuned", "optimizer": "adam"}),
        (
            "search.spaces: search nothing in arm=tuned,optimizer=adagrad, but something in arm=tuned,optimizer=adam:"
            " an arm is one rule for all its cells"
        ),
    ),
    (
        {"training": {"arm": "tuned"}},
        (
            "training.arm: is a factor, whose levels are names of tuning rules, and no field of a training; write it"
            " under factors: arm: [defaults, learning_rate]"
        ),
    ),
    (
        {
            "search": search_of(
                spaces=[
                    {"hyperparameters": {"learning_rate": RATE}},
                    {"when": {"optimizer": "adam"}, "hyperparameters": {"beta_1": {"low": 0.5, "high": 0.9}}},
                ]
            )
        },
        "search.spaces.1.hyperparameters.beta_1: 'beta_1' is not a field of a training; did you mean beta1? Allowed:",
    ),
    (
        {
            "search": search_of(
                spaces=[
                    {"hyperparameters": {"learning_rate": RATE}},
                    {"when": {"optimizer": "adagrad"}, "hyperparameters": {"beta1": {"low": 0.5, "high": 0.9}}},
                ]
            )
        },
        (
            "search.spaces.1.hyperparameters.beta1: is a hyperparameter of adam, adamw, amsgrad, adamax, nadam, radam,"
            " not of adagrad, whose own are initial_accumulator_value,"
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
    # readout, targets, noise floor
    (
        {"readout": "best"},
        (
            "readout: is best, but the test bound is read once, at the end; set it to final, or choose the metric"
            " validation/lower_bound"
        ),
    ),
    (
        {"readout": {"mean_of_last": 11}, "metric": "validation/lower_bound"},
        "readout.mean_of_last: is 11; a training is evaluated 10 times, so it must be at most 10",
    ),
    ({"targets": [-100, -90, -100]}, "targets: has -100 twice; every target stands once"),
    (
        {"equivalence_margin_nats": "noise_floor"},
        (
            "equivalence_margin_nats: is noise_floor, but the study has none; add noise_floor: {at: {...}}, the cell"
            " that is trained again, or give a number"
        ),
    ),
    (
        {"noise_floor": {"at": {"optimizer": "adam"}}},
        (
            "noise_floor.at: means 2 cells: num_hidden_layers=1,optimizer=adam; num_hidden_layers=2,optimizer=adam;"
            " give further levels or a label"
        ),
    ),
    (
        {"noise_floor": {"at": {"optimizer": "adma", "num_hidden_layers": 1}}},
        (
            "noise_floor.at: num_hidden_layers=1,optimizer=adma matches no cell; the cells are"
            " num_hidden_layers=1,optimizer=adagrad; num_hidden_layers=2,optimizer=adagrad;"
        ),
    ),
    (
        {"noise_floor": {"at": "num_hidden_layers=1,optimizer=adma"}},
        (
            "noise_floor.at: 'num_hidden_layers=1,optimizer=adma' is not a cell of this study; did you mean"
            " num_hidden_layers=1,optimizer=adam? Allowed:"
        ),
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
    found = lines(**fields)
    assert len(found) == 1, found
    assert found[0].startswith(message), f"\nfound    {found[0]}\nexpected {message}"


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
    {"search": search_of(max_extra_rounds=2, extra_proposals=5, num_repeats=3)},
    {"readout": {"mean_of_last": 10}, "metric": "validation/lower_bound", "targets": [-104, -100]},
    {"readout": "best", "training": {"test_curve": True}, "search": search_of(objective="train/lower_bound")},
    {
        "noise_floor": {"at": {"optimizer": "adam", "num_hidden_layers": 2}, "num_seeds": 5},
        "equivalence_margin_nats": "noise_floor",
    },
    {"noise_floor": {"at": "num_hidden_layers=1,optimizer=adam"}},
    arms(["defaults", "tuned"], {"arm": "tuned"}),
    arms(["defaults", "tuned"], {"arm": "tuned"})
    | {
        "claims": [
            claim_of(at={"arm": "defaults"}),
            claim_of(name="arms", factor="arm", level="tuned", baseline="defaults"),
        ]
    },
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


def test_each_fault_is_found_once() -> None:
    found: list[Fault] = study_faults(study_of(training={"hidden_units": -1}))
    assert [str(fault) for fault in found] == ["training.hidden_units: is -1; it must be greater than or equal to 1"]


def test_a_plug_in_that_fails_or_ends_the_program_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "failing_plugin.py").write_text("raise RuntimeError('no licence')\n", encoding="utf-8")
    (tmp_path / "ending_plugin.py").write_text("import sys\nsys.exit(3)\n", encoding="utf-8")
    (tmp_path / "sound_plugin.py").write_text(
        "from vae.model.network import VAE as Model\ndef data() -> None: ...\n", encoding="utf-8"
    )
    assert "RuntimeError: no licence" in lines(training={"model": "failing_plugin:Model"})[0]
    assert lines(training={"dataset": "ending_plugin:data"}) == [
        "training.dataset: 'ending_plugin:data': its module ends the program when it is imported"
    ]
    assert lines(training={"model": "sound_plugin:Modle"}) == [
        "training.model: 'Modle' is not an attribute of module sound_plugin; did you mean Model? Allowed: Model, data."
    ]
    assert lines(training={"model": "sound_plugin:Model", "dataset": "sound_plugin:data"}) == []


def test_a_model_of_ones_own_is_told_its_further_fields_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    text = (
        "from vae.model.network import VAE\nclass Model(VAE):\n    def __init__(self, num_pixels: int, latent_dim: int,"
        " num_experts: int = 2) -> None: ...\n"
    )
    (tmp_path / "expert_plugin.py").write_text(text, encoding="utf-8")
    assert lines(training={"model": "expert_plugin:Model", "num_experts": 3}) == []
    assert (
        "'num_expert' is not a field of a training; did you mean num_experts?"
        in lines(training={"model": "expert_plugin:Model", "num_expert": 3})[0]
    )
