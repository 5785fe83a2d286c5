"""Trainings that a study could start and that have no valid configuration: the field that is at fault, and where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from study.spec.checks import study_faults
from tests.support.faulty_studies import RATE, assert_only_fault, lines, search_of, searched, study_of
from vae.settings.fields import Fault

RULES: list[tuple[dict[str, Any], str]] = [
    # factors
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
    # search
    (
        {"search": search_of(budget_samples=20)},
        "search.budget_samples: budget_samples 20 is less than one minibatch (batch_size 50); give at least 50",
    ),
    # arms
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
]


@pytest.mark.parametrize(("fields", "message"), RULES, ids=[message[:50] for _, message in RULES])
def test_a_study_that_breaks_a_rule_gets_the_rules_message_and_no_other(fields: dict[str, Any], message: str) -> None:
    assert_only_fault(fields, message)


def test_each_fault_is_found_once() -> None:
    found: list[Fault] = study_faults(study_of(training={"hidden_units": -1}))
    assert [str(fault) for fault in found] == ["training.hidden_units: is -1; it must be greater than or equal to 1"]


def test_a_plug_in_that_fails_or_ends_the_program_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "failing_plugin.py").write_text("raise RuntimeError('no licence')\n", encoding="utf-8")
    (tmp_path / "ending_plugin.py").write_text("import sys\nsys.exit(3)\n", encoding="utf-8")
    (tmp_path / "sound_plugin.py").write_text(
        "from vae.model.network import VAE as Model\n"
        "def data():\n    from tests.support.trainings import blobs\n    return blobs(60, 0), blobs(10, 1)\n",
        encoding="utf-8",
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
        " num_experts: int = 2) -> None:\n        super().__init__(num_pixels, latent_dim=latent_dim)\n"
    )
    (tmp_path / "expert_plugin.py").write_text(text, encoding="utf-8")
    assert lines(training={"model": "expert_plugin:Model", "num_experts": 3}) == []
    assert (
        "'num_expert' is not a field of a training; did you mean num_experts?"
        in lines(training={"model": "expert_plugin:Model", "num_expert": 3})[0]
    )
    assert lines(training={"model": "tests.support.users_models:WidthsVAE", "widths": [6, 4]}) == []
    assert "widths" in lines(training={"model": "tests.support.users_models:WidthsVAE", "widths": [6, [4]]})[0]
