"""When a claim was declared, from the history that the tracker keeps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from analysis.claims.comparison import declared_comparisons
from analysis.claims.declared import declaration_in, withdrawn_in, withdrawn_sentence
from analysis.claims.schema import DeclaredEntry
from study.protocol.declarations import MOST_CHARACTERS, SHARED, declarations_in, recorded_declarations
from study.spec import Study
from tests.support.cells import BASELINE, LEVEL, cells_of, two_optimizers

RECORDED = ["search|optimizer=adam|0|none|0", "confirm|optimizer=adam|0|0|0", "confirm|optimizer=adam|0|0|1"]
NAME = "adam-over-adagrad"


BEFORE = DeclaredEntry(when="before any training")


def _history(*versions: tuple[Study, Sequence[str]]) -> str:
    """The tag after one execution for each version of the study file, with these trainings recorded when it began."""
    text: str | None = None
    for study, places in versions:
        text = recorded_declarations(text, study, places)
    assert text is not None
    return text


def test_a_claim_declared_first_is_declared_before_any_training() -> None:
    text = _history((two_optimizers(6), []), (two_optimizers(6), RECORDED))
    assert len(declarations_in(text)) == 1  # continuing the same study declares nothing new
    assert declaration_in(declarations_in(text), NAME) == BEFORE


def test_a_claim_added_when_trainings_were_recorded_says_how_many() -> None:
    added = two_optimizers(
        6,
        claims=[
            *two_optimizers(6).model_dump()["claims"],
            {"name": "later", "factor": "optimizer", "level": "adagrad", "baseline": "adam"},
        ],
    )
    found = declaration_in(declarations_in(_history((two_optimizers(6), []), (added, RECORDED))), "later")
    assert (found.when, found.num_trainings, found.num_confirm_trainings) == (
        "after trainings were recorded",
        3,
        2,
    )
    assert (
        found.sentence
        == "This claim was declared when 3 trainings (2 of them on reporting seeds) were recorded already."
    )
    assert declaration_in(declarations_in(_history((two_optimizers(6), []), (added, RECORDED))), NAME) == BEFORE


def test_seeds_added_and_a_readout_changed_after_looking_are_said() -> None:
    changed = two_optimizers(10, readout="best", metric="validation/lower_bound")
    found = declaration_in(declarations_in(_history((two_optimizers(6), []), (changed, RECORDED))), NAME)
    assert found.when == "changed after trainings were recorded"
    assert found.changed == ("metric", "num_reporting_seeds", "readout")
    assert "num reporting seeds from 6 to 10" in found.sentence
    assert "readout from final to best" in found.sentence


def test_proposals_added_and_another_cell_taken_for_the_noise_floor_after_looking_are_said() -> None:
    space = {"hyperparameters": {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}}
    before, after = (
        two_optimizers(
            6,
            search={"num_proposals": number, "spaces": [space]},
            equivalence_margin_nats="noise_floor",
            noise_floor={"at": f"optimizer={cell}"},
        )
        for number, cell in ((4, "adam"), (12, "adagrad"))
    )
    found = declaration_in(declarations_in(_history((before, []), (after, RECORDED))), NAME)
    assert found.changed == ("noise_floor", "num_proposals")
    assert "num proposals from 4 to 12" in found.sentence


def test_what_an_older_version_did_not_keep_is_not_said_to_have_changed() -> None:
    older = json.loads(_history((two_optimizers(6), [])))
    older[0]["shared"] = {
        name: text for name, text in older[0]["shared"].items() if name not in ("noise_floor", "num_proposals")
    }
    text = recorded_declarations(json.dumps(older), two_optimizers(6), RECORDED)
    assert declaration_in(declarations_in(text), NAME) == BEFORE


def test_a_claim_turned_round_after_looking_is_said() -> None:
    turned = two_optimizers(
        6, claims=[{"name": NAME, "factor": "optimizer", "level": "adagrad", "baseline": "adam", "primary": True}]
    )
    found = declaration_in(declarations_in(_history((two_optimizers(6), []), (turned, RECORDED))), NAME)
    assert "claim from optimizer: adam over adagrad, primary to optimizer: adagrad over adam, primary" in found.sentence


def test_what_changed_before_the_first_training_is_no_change() -> None:
    history = declarations_in(_history((two_optimizers(6), []), (two_optimizers(8), [])))
    assert declaration_in(history, NAME) == BEFORE


def test_a_history_that_begins_when_trainings_are_there_says_so_in_every_claim() -> None:
    """A study copied under another name in the same outputs, or one whose MLflow store was deleted: all trainings
    are used again, and nothing was declared before them."""
    found = declaration_in(declarations_in(_history((two_optimizers(6), RECORDED))), NAME)
    assert (found.when, found.num_trainings, found.num_confirm_trainings) == (
        "first recorded after trainings",
        3,
        2,
    )
    sentence = (
        "Nothing shows that this claim was declared before its trainings: when it was first recorded, 3 trainings (2 of"
        " them on reporting seeds) were there already."
    )
    assert found.sentence == sentence


def test_a_claim_without_a_history_says_that_it_is_not_recorded() -> None:
    found = declaration_in((), NAME)
    assert (found.when, "is not recorded" in found.sentence) == ("not recorded", True)
    assert declarations_in("no history at all") == ()
    assert declarations_in([{"claims": {}}]) == ()


def test_a_long_history_keeps_its_first_declaration_and_fits_a_tag() -> None:
    text: str | None = None
    for num_seeds in range(6, 60):
        text = recorded_declarations(text, two_optimizers(num_seeds), RECORDED[: num_seeds - 6])
    assert text is not None
    assert len(text) <= MOST_CHARACTERS
    history = declarations_in(text)
    assert (history[0].shared["num_reporting_seeds"], history[-1].shared["num_reporting_seeds"]) == ("6", "59")


SPACE = {"hyperparameters": {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}}
SEARCH = {"num_proposals": 4, "spaces": [SPACE]}


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"targets": [-100.0]}, "targets", "targets from [] to [-100.0]"),
        ({"training": {"budget_samples": 2_000}}, "training", "training: budget_samples from 1000 to 2000"),
        ({"training": {}}, "training", "training: budget_samples from 1000 to what it is by default"),
        (
            {"factors": {"optimizer": ["adagrad", "adam", "sgd"]}},
            "factors",
            'factors: optimizer from ["adagrad", "adam"] to ["adagrad", "adam", "sgd"]',
        ),
        ({"seed": 7}, "seed", "seed from 0 to 7"),
        ({"cells": {"exclude": [{"optimizer": "sgd"}]}}, "cells", 'cells: exclude from [] to [{"optimizer": "sgd"}]'),
        ({"search": SEARCH | {"max_extra_rounds": 2}}, "max_extra_rounds", "max extra rounds from 0 to 2"),
        ({"search": SEARCH | {"num_tuning_seeds": 3}}, "num_tuning_seeds", "num tuning seeds from 1 to 3"),
        (
            {
                "search": (
                    SEARCH
                    | {"spaces": [{"hyperparameters": {"learning_rate": {"low": 1e-5, "high": 1e-2, "log": True}}}]}
                )
            },
            "spaces",
            '"low": 1e-05',
        ),
    ],
)
def test_whatever_a_claim_rests_on_is_said_where_it_changed_after_looking(
    changes: dict[str, Any], field: str, words: str
) -> None:
    plain: dict[str, Any] = {"training": {"budget_samples": 1_000}, "search": SEARCH}
    found = declaration_in(
        declarations_in(_history((two_optimizers(6, **plain), []), (two_optimizers(6, **(plain | changes)), RECORDED))),
        NAME,
    )
    assert found.changed == (field,)
    assert words in found.sentence


def test_a_space_too_long_to_be_kept_is_said_to_have_changed_all_the_same() -> None:
    def study(top: float) -> Study:
        spaces = [
            {
                "when": {"optimizer": name},
                "hyperparameters": {f"argument_{place}": {"low": 0.1, "high": top} for place in range(12)},
            }
            for name in (LEVEL, BASELINE)
        ]
        return two_optimizers(6, search={"num_proposals": 4, "spaces": spaces})

    text = _history((study(1.0), []), (study(2.0), RECORDED))
    assert len(text) < 4_000
    found = declaration_in(declarations_in(text), NAME)
    assert found.changed == ("spaces",)
    assert found.sentence.endswith("were recorded already: the spaces.")


def _claims(*names: str) -> list[dict[str, Any]]:
    """Claims of these names, each about another pair: sgd, rmsprop, adam over adagrad."""
    levels = dict(zip(names, ("adam", "sgd", "rmsprop"), strict=False))
    return [
        {"name": name, "factor": "optimizer", "level": level, "baseline": BASELINE} for name, level in levels.items()
    ]


FOUR = {"optimizer": [BASELINE, LEVEL, "sgd", "rmsprop"]}


def test_a_claim_deleted_after_looking_is_named_and_makes_the_others_no_surer() -> None:
    before, after = (
        two_optimizers(6, factors=FOUR, claims=_claims(*names)) for names in (("one", "two", "three"), ("one",))
    )
    withdrawn = withdrawn_in(declarations_in(_history((before, []), (after, RECORDED))), after.claims)
    assert [(one.name, one.num_trainings, one.num_confirm) for one in withdrawn] == [("three", 3, 2), ("two", 3, 2)]
    said = withdrawn_sentence(withdrawn)
    assert said.startswith(
        "2 claims were taken out of the study file after trainings were recorded, and take part in Holm's correction"
        " with p = 1: three (optimizer: rmsprop over adagrad; "
    )
    cells = cells_of(
        after,
        {name: [1.0 + 0.1 * seed for seed in range(6)] if name == LEVEL else [0.0] * 6 for name in FOUR["optimizer"]},
    )
    (alone,), (held,) = (declared_comparisons(after, cells, num_withdrawn=number) for number in (0, len(withdrawn)))
    assert (alone.holm_p, held.holm_p) == (2**-5, 3 * 2**-5)


def test_a_claim_deleted_before_anything_ran_or_given_another_name_is_not_withdrawn() -> None:
    three, one = (
        two_optimizers(6, factors=FOUR, claims=_claims(*names)) for names in (("one", "two", "three"), ("one",))
    )
    assert withdrawn_in(declarations_in(_history((three, []), (one, []), (one, RECORDED))), one.claims) == ()
    renamed = two_optimizers(6, factors=FOUR, claims=_claims("first", "two", "three"))
    assert withdrawn_in(declarations_in(_history((three, []), (renamed, RECORDED))), renamed.claims) == ()
    assert withdrawn_sentence(()) == ""


def test_a_history_that_is_cut_to_fit_its_tag_forgets_no_claim() -> None:
    text: str | None = None
    for number in range(40):
        names = ("one", "two") if number == 5 else ("one",)
        text = recorded_declarations(text, two_optimizers(6 + number, factors=FOUR, claims=_claims(*names)), RECORDED)
    history = declarations_in(text)
    assert len(history) < 40
    assert [
        one.name for one in withdrawn_in(history, two_optimizers(6, factors=FOUR, claims=_claims("one")).claims)
    ] == ["two"]


def test_what_is_kept_is_what_the_study_file_calls_it() -> None:
    (entry,) = declarations_in(_history((two_optimizers(6, search=SEARCH), [])))
    assert set(entry.shared) == set(SHARED)
    assert {"targets", "spaces", "max_extra_rounds", "training", "factors"} <= set(SHARED)
