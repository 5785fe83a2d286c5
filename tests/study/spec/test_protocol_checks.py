"""Declarations of the protocol that cannot take effect: arms, extra rounds, readout, targets, noise floor."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.faulty_studies import RATE, arms, assert_only_fault, claim_of, lines, search_of

RULES: list[tuple[dict[str, Any], str]] = [
    # spaces: a proposal must never be invalid
    (
        {"search": search_of(spaces=[{"when": {"optimizer": "adam"}, "hyperparameters": {"learning_rate": RATE}}])},
        (
            "search.spaces: search nothing in num_hidden_layers=1,optimizer=adagrad;"
            " num_hidden_layers=2,optimizer=adagrad: no `when` matches; every cell is searched, with the same number of"
            " proposals"
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
        arms(["defaults", "tuned"], {"arm": "tuned", "optimizer": "adam"}),
        (
            "search.spaces: search nothing in arm=tuned,optimizer=adagrad, but something in arm=tuned,optimizer=adam:"
            " an arm is one rule for all its cells"
        ),
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
]


@pytest.mark.parametrize(("fields", "message"), RULES, ids=[message[:50] for _, message in RULES])
def test_a_study_that_breaks_a_rule_gets_the_rules_message_and_no_other(fields: dict[str, Any], message: str) -> None:
    assert_only_fault(fields, message)


SOUND: list[dict[str, Any]] = [
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
]


@pytest.mark.parametrize("fields", SOUND)
def test_a_study_that_breaks_no_rule_is_not_refused(fields: dict[str, Any]) -> None:
    assert lines(**fields) == []
