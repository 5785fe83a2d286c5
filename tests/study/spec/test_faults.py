"""Faults of single fields in words: the field, what was received, what is allowed, the nearest legal name."""

from __future__ import annotations

import pytest

from tests.support.study_files import MINIMAL, TUNED, refusal

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("num_proposals: 2", "num_proposals: two", "8: search.num_proposals: is 'two'; it must be a whole number"),
        (
            "num_proposals: 2",
            "num_proposals: '2'",
            "8: search.num_proposals: is '2'; it must be a whole number; take the quotes away",
        ),
        (
            "num_proposals: 2",
            "num_proposals: 0",
            "8: search.num_proposals: is 0; it must be greater than or equal to 1",
        ),
        ("num_proposals: 2", "num_proposals:", "8: search.num_proposals: is empty; it must be a whole number"),
        (
            "num_proposals: 2",
            "num_proposals: 2\n  sampler: tpee",
            (
                "9: search.sampler: 'tpee' is not one of its values; did you mean tpe? Allowed: cmaes, gp, grid, qmc,"
                " random, tpe."
            ),
        ),
        (
            "name: mine",
            "name: ../mine",
            (
                "1: name: is '../mine'; it must begin with a letter or a digit and hold only letters, digits, - and _,"
                " at most 64 of them"
            ),
        ),
        ("question: Which?", "question: ''", "2: question: is empty; write at least a word"),
        (
            "question: Which?",
            "question: 5",
            "2: question: is 5; it must be text; put it in quotes where it looks like a number",
        ),
        (
            "hidden_units: 30",
            "hidden_units: '30'",
            "4: training.hidden_units: is '30'; it must be a whole number; take the quotes away",
        ),
        ("hidden_units: 30", "hidden_units: true", "4: training.hidden_units: is true; it must be a whole number"),
        (
            "hidden_units: 30",
            "hidden_units: 0",
            "4: training.hidden_units: is 0; it must be greater than or equal to 1",
        ),
        (
            "hidden_units: 30",
            "activation: tahn",
            (
                "4: training.activation: 'tahn' is not one of its values; did you mean tanh? Allowed: elu, gelu, relu,"
                " silu, softplus, tanh."
            ),
        ),
        ("[adagrad, adam]", "adam", "6: factors.optimizer: is 'adam'; it must be a list, such as [1, 2]"),
        (
            "[adagrad, adam]",
            "[adagrad, adam, [sgd]]",
            "6: factors.optimizer.2: is ['sgd']; it must be a number, true, false or text",
        ),
        (
            "{low: 0.003, high: 0.3, log: true}",
            "0.01",
            (
                "11: search.spaces.0.hyperparameters.learning_rate: is 0.01; it must be a range {low: ..., high: ...}"
                " or {choices: [...]}"
            ),
        ),
        (
            *("low: 0.003, high: 0.3", "low: 0.3, high: 0.003"),
            (
                "11: search.spaces.0.hyperparameters.learning_rate: the range is upside down or empty: low 0.3, high"
                " 0.003; low must be below high"
            ),
        ),
        (
            *("low: 0.003, high: 0.3", "low: 0.003, hihg: 0.3, high: 1"),
            (
                "11: search.spaces.0.hyperparameters.learning_rate.hihg: 'hihg' is not a field of"
                " search.spaces.0.hyperparameters.learning_rate; did you mean high? Allowed: high, integer, log, low."
            ),
        ),
        (
            *("confirm:", "confrim:"),
            (
                "14: confrim: 'confrim' is not a field of a study; did you mean confirm? Allowed: cells, claims,"
                " confidence, confirm, description, equivalence_margin_nats, factors, metric, name, noise_floor,"
                " published, question, readout, search, seed, targets, training."
            ),
        ),
    ],
)
def test_a_faulty_field_gets_its_line_path_rule_and_nearest_legal_name(old: str, new: str, message: str) -> None:
    assert refusal(TUNED.replace(old, new)).splitlines()[-1] == f"mine.yaml:{message}"


def test_a_missing_part_is_named_with_what_it_is_for() -> None:
    assert (
        refusal("name: mine\nquestion: Which?\n")
        == "mine.yaml: confirm: is missing. How the winners are trained again, on fresh seeds."
    )


def test_a_field_of_the_training_at_the_top_is_told_its_place() -> None:
    assert refusal(MINIMAL + "batch_size: 50\n").endswith("It is a field of a training: write it under training.")


def test_all_faults_are_listed_one_to_a_line() -> None:
    text = (
        TUNED.replace("num_proposals: 2", "num_proposals: 0")
        .replace("num_reporting_seeds: 2", "num_reporting_seeds: many")
        .replace("name: mine", "name: m/ine")
    )
    assert [line.split(": ")[1] for line in refusal(text).splitlines()] == [
        "name",
        "search.num_proposals",
        "confirm.num_reporting_seeds",
    ]
