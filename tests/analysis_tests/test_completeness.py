"""What a study asks for and what is missing of it, with extra rounds, a noise floor, arms and repeated searches."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from analysis.completeness import drop_superseded, is_current, missing_trainings, num_extra_rounds, of_repeat, records
from study.protocol import PlannedTraining
from study.spec import Study
from tests.study_tests.driving import all_trainings
from tests.study_tests.invented import invented_study, searched

RATE: dict[str, Any] = {"low": 1e-4, "high": 1e-2, "log": True}


def study_of(num_proposals: int = 3, **search: Any) -> Study:
    """Two compared optimizers whose winners touch the upper edge, an arm of defaults, a noise floor, the search made twice."""
    spaces = [{"when": {"arm": "tuned"}, "hyperparameters": {"learning_rate": RATE}}]
    own = {"num_proposals": num_proposals, "round_size": 1, "num_tuning_seeds": 1, "max_extra_rounds": 1, "extra_proposals": 2, "num_repeats": 2, "spaces": spaces}
    return invented_study(
        factors={"optimizer": ["adagrad", "adam"], "arm": ["defaults", "tuned"]},
        search=searched(**(own | search)),
        claims=[{"name": "claim", "factor": "optimizer", "level": "adam", "baseline": "adagrad", "at": {"arm": "tuned"}}],
        noise_floor={"at": {"optimizer": "adam", "arm": "tuned"}, "num_seeds": 3},
    )


STUDY = study_of()
TRAININGS = all_trainings(STUDY)


def _row(planned: PlannedTraining) -> dict[str, Any]:
    place = {"phase": planned.phase, "cell": planned.cell.label, "proposal": planned.proposal, "rank": planned.rank, "seed": planned.replicate}
    rest = {"extra_round": planned.extra_round, "repeat": planned.repeat, "outcome": "finished", "objective": -100.0, "start_time": 0, "run_id": planned.place}
    return place | rest | {"optimizer": planned.configuration.optimizer, "budget_samples": planned.configuration.budget_samples}


def table(trainings: list[PlannedTraining], repeat: int = 0) -> pd.DataFrame:
    """The trainings of a repeat as analysis.results makes a table of them."""
    rows = of_repeat(STUDY, pd.DataFrame([_row(planned) for planned in trainings]), repeat)
    return rows.assign(**{name: rows[name].astype("Int64") for name in ("proposal", "rank", "seed")})


def test_the_study_of_these_tests_has_extra_rounds_in_both_searches() -> None:
    assert {planned.repeat for planned in TRAININGS if planned.extra_round} == {0, 1}
    tuned = {f"arm=tuned,optimizer={name}": 1 for name in ("adagrad", "adam")}
    assert num_extra_rounds(STUDY, table(TRAININGS)) == tuned | {f"arm=defaults,optimizer={name}": 0 for name in ("adagrad", "adam")}


@pytest.mark.parametrize("repeat", [0, 1])
def test_of_a_whole_study_all_is_current_and_nothing_is_missing(repeat: int) -> None:
    rows = table(TRAININGS, repeat)
    assert [is_current(STUDY, row) for row in records(rows)] == [True] * len(rows)
    assert len(drop_superseded(rows)) == len(rows)
    assert missing_trainings(STUDY, rows, repeat).empty


def test_a_repeat_is_a_whole_study_but_for_its_noise_floor() -> None:
    """What is not searched stands in every repeat, so that a claim about it can be made in each."""
    confirmed = [{row["cell"] for row in records(table(TRAININGS, repeat)) if row["phase"] == "confirm"} for repeat in (0, 1)]
    assert confirmed[0] == confirmed[1] == {f"arm={arm},optimizer={name}" for arm in ("defaults", "tuned") for name in ("adagrad", "adam")}
    assert {row["repeat"] for row in records(table(TRAININGS)) if row["phase"] != "confirm"} == {0}
    assert "noise_floor" not in set(table(TRAININGS, 1)["phase"])


@pytest.mark.parametrize("phase", ["search", "confirm", "noise_floor"])
@pytest.mark.parametrize("last", [True, False])
def test_whatever_is_taken_away_is_named_as_missing(phase: str, last: bool) -> None:
    own = [planned for planned in TRAININGS if planned.phase == phase and not planned.repeat]
    lost = max(own, key=lambda planned: (planned.extra_round, planned.place)) if last else own[0]
    missing = missing_trainings(STUDY, table([planned for planned in TRAININGS if planned is not lost]))
    assert [(row["phase"], row["cell"], row["seed"]) for row in records(missing)] == [(lost.phase, lost.cell.label, lost.replicate)]


def test_an_extra_round_that_only_one_cell_has_is_missing_in_the_other() -> None:
    rows = table([planned for planned in TRAININGS if not (planned.extra_round and planned.configuration.optimizer == "adam")])
    missing = missing_trainings(STUDY, rows)
    assert [(row["phase"], row["cell"], row["proposal"]) for row in records(missing)] == [("search", "arm=tuned,optimizer=adam", number) for number in (3, 4)]


def test_proposals_of_another_version_of_the_study_file_are_not_current() -> None:
    longer = [_row(planned) for planned in all_trainings(study_of(5, max_extra_rounds=0, extra_proposals=None)) if planned.phase == "search" and not planned.repeat]
    assert [row["proposal"] < 3 for row in longer] == [is_current(STUDY, row) for row in longer]
    extra = [_row(planned) for planned in TRAININGS if planned.extra_round]
    assert not any(is_current(study_of(max_extra_rounds=0, extra_proposals=None), row) for row in extra)
    assert not any(is_current(study_of(5), row) for row in extra), "their numbers are those of declared proposals now"


def test_further_noise_floor_seeds_and_repeats_than_are_asked_for_are_not_current() -> None:
    (row, *_) = [_row(planned) for planned in TRAININGS if planned.phase == "noise_floor"]
    assert is_current(STUDY, row)
    assert not is_current(STUDY, row | {"seed": 5})
    assert not is_current(STUDY, row | {"cell": "arm=tuned,optimizer=adagrad", "optimizer": "adagrad"})
    (row, *_) = [_row(planned) for planned in TRAININGS if planned.phase == "search"]
    assert is_current(STUDY, row | {"repeat": 1})
    assert not is_current(STUDY, row | {"repeat": 2})
    assert not is_current(study_of(num_repeats=1), row | {"repeat": 1})
    (row, *_) = [_row(planned) for planned in TRAININGS if planned.cell.matches({"arm": "defaults"})]
    assert not is_current(STUDY, row | {"repeat": 1}), "what is not searched is not repeated"
