"""When a claim was declared, from the history that the tracker keeps."""

from __future__ import annotations

import json
from collections.abc import Sequence

from analysis.declarations import declaration_in
from study.declarations import MOST_CHARACTERS, declarations_in, recorded_declarations
from study.spec import Study
from tests.analysis_tests.invented_cells import two_optimizers

RECORDED = ["search|optimizer=adam|0|none|0", "confirm|optimizer=adam|0|0|0", "confirm|optimizer=adam|0|0|1"]
NAME = "adam-over-adagrad"


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
    assert declaration_in(declarations_in(text), NAME) == {"when": "before any training"}


def test_a_claim_added_when_trainings_were_recorded_says_how_many() -> None:
    added = two_optimizers(6, claims=[*two_optimizers(6).model_dump()["claims"], {"name": "later", "factor": "optimizer", "level": "adagrad", "baseline": "adam"}])
    found = declaration_in(declarations_in(_history((two_optimizers(6), []), (added, RECORDED))), "later")
    assert (found["when"], found["num_trainings"], found["num_confirm_trainings"]) == ("after trainings were recorded", 3, 2)
    assert found["sentence"] == "This claim was declared when 3 trainings (2 of them on reporting seeds) were recorded already."
    assert declaration_in(declarations_in(_history((two_optimizers(6), []), (added, RECORDED))), NAME) == {"when": "before any training"}


def test_seeds_added_and_a_readout_changed_after_looking_are_said() -> None:
    changed = two_optimizers(10, readout="best", metric="validation/lower_bound")
    found = declaration_in(declarations_in(_history((two_optimizers(6), []), (changed, RECORDED))), NAME)
    assert found["when"] == "changed after trainings were recorded"
    assert found["changed"] == ["metric", "num_reporting_seeds", "readout"]
    assert "num reporting seeds from 6 to 10" in found["sentence"]
    assert "readout from final to best" in found["sentence"]


def test_proposals_added_and_another_cell_taken_for_the_noise_floor_after_looking_are_said() -> None:
    space = {"hyperparameters": {"learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}}
    before, after = (
        two_optimizers(6, search={"num_proposals": number, "spaces": [space]}, equivalence_margin_nats="noise_floor", noise_floor={"at": f"optimizer={cell}"})
        for number, cell in ((4, "adam"), (12, "adagrad"))
    )
    found = declaration_in(declarations_in(_history((before, []), (after, RECORDED))), NAME)
    assert found["changed"] == ["noise_floor", "num_proposals"]
    assert "num proposals from 4 to 12" in found["sentence"]


def test_what_an_older_version_did_not_keep_is_not_said_to_have_changed() -> None:
    older = json.loads(_history((two_optimizers(6), [])))
    older[0]["shared"] = {name: text for name, text in older[0]["shared"].items() if name not in ("noise_floor", "num_proposals")}
    text = recorded_declarations(json.dumps(older), two_optimizers(6), RECORDED)
    assert declaration_in(declarations_in(text), NAME) == {"when": "before any training"}


def test_a_claim_turned_round_after_looking_is_said() -> None:
    turned = two_optimizers(6, claims=[{"name": NAME, "factor": "optimizer", "level": "adagrad", "baseline": "adam", "primary": True}])
    found = declaration_in(declarations_in(_history((two_optimizers(6), []), (turned, RECORDED))), NAME)
    assert "claim from optimizer: adam over adagrad, primary to optimizer: adagrad over adam, primary" in found["sentence"]


def test_what_changed_before_the_first_training_is_no_change() -> None:
    history = declarations_in(_history((two_optimizers(6), []), (two_optimizers(8), [])))
    assert declaration_in(history, NAME) == {"when": "before any training"}


def test_where_trainings_are_older_than_the_history_nothing_is_made_up() -> None:
    assert recorded_declarations(None, two_optimizers(6), RECORDED) is None
    assert declaration_in((), NAME) == {"when": "not recorded"}
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
