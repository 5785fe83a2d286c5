"""What a study asks for and what is missing of it, with extra rounds, a noise floor, arms and repeated searches."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from analysis.results.completeness import (
    drop_superseded,
    is_current,
    missing_trainings,
    num_extra_rounds,
    of_repeat,
    records,
)
from study.protocol.cell_protocol import PlannedTraining
from study.spec import Study
from tests.support.executions import all_trainings
from tests.support.studies import invented_study, searched

RATE: dict[str, Any] = {"low": 1e-4, "high": 1e-2, "log": True}


def study_of(num_proposals: int = 3, **search: Any) -> Study:
    """Two compared optimizers whose winners touch the upper edge, an arm of defaults, a noise floor, the search made
    twice."""
    spaces = [{"when": {"arm": "tuned"}, "hyperparameters": {"learning_rate": RATE}}]
    own = {
        "num_proposals": num_proposals,
        "round_size": 1,
        "num_tuning_seeds": 1,
        "max_extra_rounds": 1,
        "extra_proposals": 2,
        "num_repeats": 2,
        "spaces": spaces,
    }
    return invented_study(
        factors={"optimizer": ["adagrad", "adam"], "arm": ["defaults", "tuned"]},
        search=searched(**(own | search)),
        claims=[
            {"name": "claim", "factor": "optimizer", "level": "adam", "baseline": "adagrad", "at": {"arm": "tuned"}}
        ],
        noise_floor={"at": {"optimizer": "adam", "arm": "tuned"}, "num_seeds": 3},
    )


STUDY = study_of()
TRAININGS = all_trainings(STUDY)


def _row(planned: PlannedTraining) -> dict[str, Any]:
    place = {
        "phase": planned.phase,
        "cell": planned.cell.label,
        "proposal": planned.proposal,
        "rank": planned.rank,
        "seed": planned.replicate,
    }
    rest = {
        "extra_round": planned.extra_round,
        "repeat": planned.repeat,
        "outcome": "finished",
        "objective": -100.0,
        "start_time": 0,
        "run_id": planned.position,
    }
    return (
        place
        | rest
        | {
            "optimizer": planned.configuration.optimizer,
            "budget_samples": planned.configuration.budget_samples,
        }
    )


def table(trainings: list[PlannedTraining], repeat: int = 0) -> pd.DataFrame:
    """The trainings of a repeat as analysis.results.reader makes a table of them."""
    rows = of_repeat(STUDY, pd.DataFrame([_row(planned) for planned in trainings]), repeat)
    return rows.assign(**{name: rows[name].astype("Int64") for name in ("proposal", "rank", "seed")})


def test_the_study_of_these_tests_has_extra_rounds_in_both_searches() -> None:
    assert {planned.repeat for planned in TRAININGS if planned.extra_round} == {0, 1}
    tuned = {f"arm=tuned,optimizer={name}": 1 for name in ("adagrad", "adam")}
    assert num_extra_rounds(STUDY, table(TRAININGS)) == tuned | {
        f"arm=defaults,optimizer={name}": 0 for name in ("adagrad", "adam")
    }


@pytest.mark.parametrize("repeat", [0, 1])
def test_of_a_whole_study_all_is_current_and_nothing_is_missing(repeat: int) -> None:
    rows = table(TRAININGS, repeat)
    assert [is_current(STUDY, row) for row in records(rows)] == [True] * len(rows)
    assert len(drop_superseded(rows)) == len(rows)
    assert missing_trainings(STUDY, rows, repeat).empty


def test_a_repeat_is_a_whole_study_but_for_its_noise_floor() -> None:
    """What is not searched stands in every repeat, so that a claim about it can be made in each."""
    confirmed = [
        {row["cell"] for row in records(table(TRAININGS, repeat)) if row["phase"] == "confirm"} for repeat in (0, 1)
    ]
    assert (
        confirmed[0]
        == confirmed[1]
        == {f"arm={arm},optimizer={name}" for arm in ("defaults", "tuned") for name in ("adagrad", "adam")}
    )
    assert {row["repeat"] for row in records(table(TRAININGS)) if row["phase"] != "confirm"} == {0}
    assert "noise_floor" not in set(table(TRAININGS, 1)["phase"])


@pytest.mark.parametrize("phase", ["search", "confirm", "noise_floor"])
@pytest.mark.parametrize("last", [True, False])
def test_whatever_is_taken_away_is_named_as_missing(phase: str, last: bool) -> None:
    own = [planned for planned in TRAININGS if planned.phase == phase and not planned.repeat]
    lost = max(own, key=lambda planned: (planned.extra_round, planned.position)) if last else own[0]
    missing = missing_trainings(STUDY, table([planned for planned in TRAININGS if planned is not lost]))
    assert [(row["phase"], row["cell"], row["seed"]) for row in records(missing)] == [
        (lost.phase, lost.cell.label, lost.replicate)
    ]


def test_an_extra_round_that_only_one_cell_has_is_missing_in_the_other() -> None:
    rows = table(
        [planned for planned in TRAININGS if not (planned.extra_round and planned.configuration.optimizer == "adam")]
    )
    missing = missing_trainings(STUDY, rows)
    assert [(row["phase"], row["cell"], row["proposal"]) for row in records(missing)] == [
        ("search", "arm=tuned,optimizer=adam", number) for number in (3, 4)
    ]


def test_proposals_of_another_version_of_the_study_file_are_not_current() -> None:
    longer = [
        _row(planned)
        for planned in all_trainings(study_of(5, max_extra_rounds=0, extra_proposals=None))
        if planned.phase == "search" and not planned.repeat
    ]
    assert [row["proposal"] < 3 for row in longer] == [is_current(STUDY, row) for row in longer]
    extra = [_row(planned) for planned in TRAININGS if planned.extra_round]
    assert not any(is_current(study_of(max_extra_rounds=0, extra_proposals=None), row) for row in extra)
    assert not any(is_current(study_of(5), row) for row in extra), "their numbers are those of declared proposals now"


def test_further_noise_floor_seeds_and_repeats_than_are_asked_for_are_not_current() -> None:
    row, *_ = [_row(planned) for planned in TRAININGS if planned.phase == "noise_floor"]
    assert is_current(STUDY, row)
    assert not is_current(STUDY, row | {"seed": 5})
    assert not is_current(STUDY, row | {"cell": "arm=tuned,optimizer=adagrad", "optimizer": "adagrad"})
    row, *_ = [_row(planned) for planned in TRAININGS if planned.phase == "search"]
    assert is_current(STUDY, row | {"repeat": 1})
    assert not is_current(STUDY, row | {"repeat": 2})
    assert not is_current(study_of(num_repeats=1), row | {"repeat": 1})
    row, *_ = [_row(planned) for planned in TRAININGS if planned.cell.matches({"arm": "defaults"})]
    assert not is_current(STUDY, row | {"repeat": 1}), "what is not searched is not repeated"


SMALL = invented_study()
OF_SMALL = all_trainings(SMALL)
ADAM = "optimizer=adam"


def _small(*changes: dict[str, Any], without: tuple[str, ...] = ()) -> pd.DataFrame:
    """The rows of `invented_study` but for these places, and further ones: each a place with what is otherwise."""
    rows = {
        planned.position: _row(planned) | {"superseded": False}
        for planned in OF_SMALL
        if planned.position not in without
    }
    further = [
        rows[change["place"]] | {"run_id": f"further {number}"} | change for number, change in enumerate(changes)
    ]
    frame = pd.DataFrame([*rows.values(), *further]).drop(columns="place", errors="ignore")
    return frame.assign(**{name: frame[name].astype("Int64") for name in ("proposal", "rank", "seed")})


def _confirmed(rows: pd.DataFrame) -> list[tuple[int, int]]:
    """Proposal and seed of the confirm trainings of adam that stay."""
    stay = records(drop_superseded(rows))
    return sorted((row["proposal"], row["seed"]) for row in stay if row["phase"] == "confirm" and row["cell"] == ADAM)


def test_a_training_whose_code_failed_is_one_of_this_study_file_though_it_came_to_no_parameters() -> None:
    row = _row(OF_SMALL[0]) | {"optimizer": math.nan, "budget_samples": math.nan}
    assert is_current(SMALL, row | {"outcome": "failed"})
    assert not is_current(SMALL, row | {"outcome": "failed", "optimizer": "sgd"})
    assert not is_current(SMALL, row)


def test_a_training_that_failed_makes_way_for_the_one_that_was_trained_in_its_place() -> None:
    place = OF_SMALL[0].position
    rows = _small({"place": place, "outcome": "failed", "start_time": 99})
    assert len(drop_superseded(rows)) == len(OF_SMALL)
    assert set(drop_superseded(rows)["outcome"]) == {"finished"}


def test_of_two_trainings_in_one_place_the_one_that_the_study_superseded_goes() -> None:
    """As after a change of code was first trained anew, then the earlier trainings kept."""
    rows = _small({"place": OF_SMALL[0].position, "superseded": True, "start_time": 99})
    assert "further 0" not in set(drop_superseded(rows)["run_id"])


@pytest.mark.parametrize("num_there", [0, 1, 2])
def test_of_two_winners_of_a_cell_only_the_trainings_of_the_better_one_stay_and_the_rest_is_missing(
    num_there: int,
) -> None:
    """A study to which proposals were added, stopped while the new winner was trained under the reporting seeds: no
    cell is half one and half the other."""
    former = [planned for planned in OF_SMALL if planned.phase == "confirm" and planned.cell.label == ADAM]
    better = (former[0].proposal or 0) + 1 if former[0].proposal != 2 else 0
    rows = _small(*({"place": planned.position, "proposal": better, "start_time": 0} for planned in former[:num_there]))
    is_better = (rows["phase"] == "search") & (rows["cell"] == ADAM) & (rows["proposal"] == better)
    rows = rows.assign(objective=rows["objective"].mask(is_better, -90.0))
    assert _confirmed(rows) == [(better, seed) for seed in range(num_there)]
    missing = missing_trainings(SMALL, drop_superseded(rows))
    assert [(row["phase"], row["cell"], row["seed"]) for row in records(missing)] == [
        ("confirm", ADAM, seed) for seed in range(num_there, 2)
    ]


def test_a_proposal_that_is_not_wholly_trained_beats_no_winner() -> None:
    former = next(planned for planned in OF_SMALL if planned.phase == "confirm" and planned.cell.label == ADAM)
    other = next(
        planned
        for planned in OF_SMALL
        if planned.phase == "search" and planned.cell.label == ADAM and planned.proposal != former.proposal
    )
    rows = _small(without=(other.position,))
    lucky = (rows["phase"] == "search") & (rows["cell"] == ADAM) & (rows["proposal"] == other.proposal)
    assert _confirmed(rows.assign(objective=rows["objective"].mask(lucky, -90.0))) == [
        (former.proposal, 0),
        (former.proposal, 1),
    ]


def test_a_cell_whose_proposals_all_failed_misses_its_confirm_trainings_and_one_whose_proposals_diverged_does_not() -> (
    None
):
    confirm = tuple(
        planned.position for planned in OF_SMALL if planned.phase == "confirm" and planned.cell.label == ADAM
    )
    rows = _small(without=confirm)
    searched = (rows["phase"] == "search") & (rows["cell"] == ADAM)
    for outcome, num_missing in (("failed", 2), ("diverged", 0)):
        assert (
            len(missing_trainings(SMALL, rows.assign(outcome=rows["outcome"].mask(searched, outcome)))) == num_missing
        )
