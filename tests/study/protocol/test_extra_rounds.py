"""The search-edge gate: one touched edge gives every cell of a comparison the same extra round, whatever finishes
first and however often it is killed."""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.protocol.cell_protocol import PlannedTraining
from study.protocol.counts import max_extra_trainings, num_trainings
from study.protocol.edges import decoded, hull, touched_edges
from study.records.records import Record
from study.spec.cells import comparisons, search_space, study_cells
from study.spec.schema import Range
from tests.support.executions import Disk, all_trainings, execute
from tests.support.gated_studies import LOW, ONE_EDGE, WIDE, claim_of, extra_counts, gated_study
from tests.support.studies import identify, invented_metrics, invented_record, invented_study, searched


def test_an_edge_of_one_cell_gives_every_cell_of_its_comparison_the_same_extra_round_and_no_other() -> None:
    trainings = all_trainings(ONE_EDGE)
    assert extra_counts(ONE_EDGE, trainings) == {"adagrad": [4], "adam": [4], "sgd": []}
    assert Counter(training.cell.label for training in trainings if training.phase == "confirm") == dict.fromkeys(
        (f"optimizer={name}" for name in ("adagrad", "adam", "sgd")), 2
    )


def test_without_an_edge_there_is_no_extra_round() -> None:
    study = gated_study({"adagrad": WIDE, "adam": WIDE}, (("adam", "adagrad"),), num_proposals=16)
    assert extra_counts(study, all_trainings(study)) == {"adagrad": [], "adam": []}


def test_a_chain_of_claims_is_one_comparison() -> None:
    study = gated_study(
        {"adagrad": WIDE, "adam": WIDE, "sgd": LOW, "rmsprop": WIDE},
        (("adam", "adagrad"), ("adam", "sgd")),
        num_proposals=16,
    )
    assert comparisons(study) == dict.fromkeys(
        ("optimizer=adagrad", "optimizer=adam", "optimizer=sgd"), "optimizer=adagrad"
    )
    assert extra_counts(study, all_trainings(study)) == {"adagrad": [4], "adam": [4], "sgd": [4], "rmsprop": []}


def test_the_touched_cell_goes_on_beyond_its_winner_and_the_others_in_their_own_space() -> None:
    trainings = all_trainings(ONE_EDGE)
    for training in trainings:
        if training.phase == "search":
            (drawn_from,) = decoded(training.space).values()
            assert isinstance(drawn_from, Range)
            assert drawn_from.low <= training.configuration.learning_rate <= drawn_from.high
    spaces = {
        (training.configuration.optimizer, training.extra_round): decoded(training.space)["learning_rate"]
        for training in trainings
        if training.phase == "search"
    }
    best = _best(trainings, "adam", 0)
    assert spaces["adam", 0] == Range(low=1e-4, high=1e-2, log=True)
    assert spaces["adam", 1] == Range(low=best.configuration.learning_rate, high=0.1, log=True)
    assert spaces["adagrad", 0] == spaces["adagrad", 1] == Range(low=1e-3, high=0.1, log=True)


def _best(trainings: list[PlannedTraining], optimizer: str, last_round: int) -> PlannedTraining:
    """The proposal of the highest validation bound up to an extra round, found without the code under test."""
    own = [
        each
        for each in trainings
        if each.phase == "search" and each.configuration.optimizer == optimizer and each.extra_round <= last_round
    ]
    return max(own, key=lambda each: invented_metrics(each)["validation/lower_bound"])


def test_a_cell_that_touched_nothing_is_asked_what_more_proposals_would_have_asked() -> None:
    longer = gated_study(
        {"adagrad": WIDE, "adam": LOW, "sgd": LOW},
        (),
        num_proposals=20,
        round_size=4,
        max_extra_rounds=0,
        extra_proposals=None,
    )
    declared = {
        training.proposal: identify(training).hash
        for training in all_trainings(longer)
        if training.phase == "search" and training.configuration.optimizer == "adagrad"
    }
    further = {
        training.proposal: identify(training).hash
        for training in all_trainings(ONE_EDGE)
        if training.extra_round and training.configuration.optimizer == "adagrad"
    }
    assert further == {number: declared[number] for number in range(16, 20)}


def test_the_winner_of_all_rounds_is_confirmed() -> None:
    trainings = all_trainings(ONE_EDGE)
    confirmed = {
        training.proposal
        for training in trainings
        if training.phase == "confirm" and training.configuration.optimizer == "adam"
    }
    assert confirmed == {_best(trainings, "adam", 1).proposal}
    assert confirmed != {_best(trainings, "adam", 0).proposal}


@pytest.mark.parametrize("most", [1, 2, 4])
def test_a_search_that_never_leaves_its_edge_ends_after_the_declared_rounds(most: int) -> None:
    study = gated_study(
        {"adagrad": {"low": 1e-9, "high": 1e-8, "log": True}, "adam": WIDE},
        (("adam", "adagrad"),),
        max_extra_rounds=most,
    )
    trainings = all_trainings(study)
    assert extra_counts(study, trainings) == {"adagrad": [4] * most, "adam": [4] * most}
    own = [
        training
        for training in trainings
        if training.phase == "search" and training.configuration.optimizer == "adagrad"
    ]
    space = search_space(study, study_cells(study)[0])
    for training in own:
        space = hull(space, decoded(training.space))
    proposals = [{"learning_rate": training.configuration.learning_rate} for training in own]
    winner = {"learning_rate": _best(trainings, "adagrad", most).configuration.learning_rate}
    assert touched_edges(space, proposals, winner), "the claim is to be labelled"


@pytest.mark.parametrize("most", [1, 3])
def test_a_search_of_one_proposal_is_given_more_in_its_own_space_and_no_longer_than_declared(most: int) -> None:
    study = gated_study(
        {"adagrad": WIDE, "adam": WIDE},
        (("adam", "adagrad"),),
        num_proposals=1,
        round_size=1,
        max_extra_rounds=most,
        extra_proposals=2,
    )
    trainings = all_trainings(study)
    counts = extra_counts(study, trainings)
    assert counts["adagrad"] == counts["adam"]
    assert 1 <= len(counts["adam"]) <= most
    first = [decoded(training.space)["learning_rate"] for training in trainings if training.extra_round == 1]
    assert first == [Range(low=1e-3, high=0.1, log=True)] * 4


def test_a_list_of_one_choice_is_never_searched_on() -> None:
    space = {"hyperparameters": {"learning_rate": {"choices": [0.01]}}}
    search = searched(
        sampler="random",
        num_proposals=1,
        round_size=1,
        num_tuning_seeds=1,
        max_extra_rounds=3,
        extra_proposals=2,
        spaces=[space],
    )
    study = invented_study(search=search, claims=[claim_of("adam", "adagrad")])
    assert not any(training.extra_round for training in all_trainings(study))


def test_trainings_of_extra_rounds_are_no_more_than_was_said() -> None:
    study = gated_study(
        {"adagrad": LOW, "adam": LOW}, (("adam", "adagrad"),), num_tuning_seeds=2, max_extra_rounds=2, num_repeats=2
    )
    trainings = all_trainings(study)
    assert sum(training.extra_round > 0 for training in trainings) <= max_extra_trainings(study) == 64
    assert len(trainings) - sum(training.extra_round > 0 for training in trainings) == sum(
        num_trainings(study).values()
    )


def test_a_cell_all_of_whose_proposals_diverged_is_searched_on_with_the_others() -> None:
    def train(planned: PlannedTraining) -> Record:
        record = invented_record(planned)
        diverges = planned.configuration.optimizer == "adagrad" and not planned.extra_round
        return record.model_copy(update={"outcome": "diverged"}) if diverges else record

    study = gated_study({"adagrad": WIDE, "adam": LOW}, (("adam", "adagrad"),), num_proposals=16)
    trainings = all_trainings(study, train)
    assert extra_counts(study, trainings) == {"adagrad": [4], "adam": [4]}


def test_a_winner_between_diverged_proposals_touches_no_edge() -> None:
    """What was tried on either side and diverged brackets it; only the outer tenth of the range counts then."""

    def train(planned: PlannedTraining) -> Record:
        record = invented_record(planned)
        return (
            record.model_copy(update={"outcome": "diverged"}) if planned.configuration.learning_rate > 4e-3 else record
        )

    study = gated_study({"adagrad": LOW, "adam": LOW}, (("adam", "adagrad"),), num_proposals=16)
    assert extra_counts(study, all_trainings(study, train)) == {"adagrad": [], "adam": []}


SAMPLED = {
    sampler: gated_study(
        {"adagrad": WIDE, "adam": LOW, "sgd": LOW},
        (("adam", "adagrad"),),
        {"num_reporting_seeds": 2, "num_runners_up": 1},
        sampler=sampler,
        num_tuning_seeds=2,
        max_extra_rounds=2,
        num_repeats=2,
    )
    for sampler in ("tpe", "qmc", "random")
}


@cache
def _expected(sampler: str) -> dict[str, tuple[PlannedTraining, Record]]:
    return {
        planned.position: (planned, record) for planned, record in execute(SAMPLED[sampler], Disk(), num_workers=1).done
    }


@settings(max_examples=12)
@given(
    st.sampled_from(sorted(SAMPLED)),
    st.randoms(use_true_random=False),
    st.lists(st.integers(0, 40), max_size=3),
    st.integers(1, 8),
)
def test_neither_order_nor_kills_nor_workers_change_the_extra_rounds(
    sampler: str, choose: random.Random, kills: list[int], num_workers: int
) -> None:
    study, disk = SAMPLED[sampler], Disk()
    for records_until_kill in kills:
        execute(study, disk, num_workers=num_workers, choose=choose, kill_after=records_until_kill)
    last = execute(study, disk, num_workers=num_workers, choose=choose)
    assert last.finished
    assert {planned.position: (planned, record) for planned, record in last.done} == _expected(sampler)
    assert set(disk.num_trained.values()) == {1}
    assert any(planned.extra_round for planned, _ in _expected(sampler).values())


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.floats(1e-6, 1e-2), st.floats(2, 1e3)), min_size=4, max_size=4),
    st.integers(0, 3),
    st.integers(0, 2**20),
)
def test_every_cell_of_a_comparison_gets_the_same_number_of_proposals(
    ranges: list[tuple[float, float]], most: int, seed: int
) -> None:
    rates = {
        name: {"low": low, "high": low * factor, "log": True}
        for name, (low, factor) in zip(("adagrad", "adam", "sgd", "rmsprop"), ranges, strict=True)
    }
    study = gated_study(
        rates, (("adam", "adagrad"), ("rmsprop", "sgd")), max_extra_rounds=most, extra_proposals=2 if most else None
    ).model_copy(update={"seed": seed})
    counts = extra_counts(study, all_trainings(study))
    assert counts["adagrad"] == counts["adam"]
    assert counts["sgd"] == counts["rmsprop"]
    assert max(map(len, counts.values())) <= most


@settings(max_examples=25)
@given(st.integers(1, 7), st.sampled_from(["tpe", "qmc", "random"]), st.floats(0.001, 50))
def test_adding_a_worse_proposal_never_changes_the_winner(num_added: int, sampler: str, by: float) -> None:
    """Whatever is proposed beyond the fifth is made worse than the best of the first five."""

    def train(planned: PlannedTraining) -> Record:
        record = invented_record(planned)
        if planned.phase != "search" or planned.proposal is None or planned.proposal < 5:
            return record
        worse = [replace(point, metrics=dict.fromkeys(point.metrics, -200.0 - by)) for point in record.evaluations]
        return record.model_copy(update={"evaluations": tuple(worse)})

    def winners(num_proposals: int) -> dict[str, int | None]:
        study = invented_study(search=searched(sampler=sampler, num_proposals=num_proposals, round_size=1))
        return {
            planned.cell.label: planned.proposal
            for planned in all_trainings(study, train)
            if planned.phase == "confirm"
        }

    assert winners(5 + num_added) == winners(5)


@settings(max_examples=25)
@given(st.integers(0, 5), st.integers(0, 1))
def test_a_diverged_seed_makes_a_proposal_the_worst_however_good_its_others_are(proposal: int, seed: int) -> None:
    def train(planned: PlannedTraining) -> Record:
        record = invented_record(planned)
        if (planned.phase, planned.proposal) != ("search", proposal):
            return record
        superb = tuple(replace(point, metrics=dict.fromkeys(point.metrics, -1.0)) for point in record.evaluations)
        return record.model_copy(
            update={"outcome": "diverged"} if planned.replicate == seed else {"evaluations": superb}
        )

    study = invented_study(search=searched(num_proposals=6), confirm={"num_reporting_seeds": 1, "num_runners_up": 5})
    trainings = all_trainings(study, train)
    confirmed = [planned.proposal for planned in trainings if planned.phase == "confirm"]
    assert proposal not in confirmed
    assert Counter(confirmed) == dict.fromkeys(set(range(6)) - {proposal}, 2)
    assert all(math.isfinite(invented_metrics(planned)["validation/lower_bound"]) for planned in trainings)
