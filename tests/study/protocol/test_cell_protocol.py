"""Search, select, confirm: what the methods section promises, on invented results."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.protocol.cell_protocol import CellProtocol, PlannedTraining, Summary, cell_protocol, objective
from study.protocol.counts import num_trainings
from study.records.records import Record
from study.spec import Study
from study.spec.cells import Cell, study_cells
from tests.support.executions import Disk, WatchedExecution, all_trainings, execute
from tests.support.studies import invented_metrics, invented_record, invented_study, searched


def _train_with(change: Callable[[PlannedTraining, Record], Record]) -> Callable[[PlannedTraining], Record]:
    return lambda planned: change(planned, invented_record(planned))


def _diverging(which: Callable[[PlannedTraining], bool]) -> Callable[[PlannedTraining], Record]:
    return _train_with(
        lambda planned, record: record.model_copy(update={"outcome": "diverged"}) if which(planned) else record
    )


def _validation(planned: PlannedTraining) -> float:
    return invented_metrics(planned)["validation/lower_bound"]


def _winner_by_hand(trainings: list[PlannedTraining], cell: Cell) -> int:
    """The proposal whose validation bounds have the best mean, found without the code under test."""
    bounds: dict[int, list[float]] = {}
    for training in trainings:
        if training.cell == cell and training.phase == "search" and training.proposal is not None:
            bounds.setdefault(training.proposal, []).append(_validation(training))
    return max(bounds, key=lambda proposal: math.fsum(bounds[proposal]) / len(bounds[proposal]))


def test_every_cell_gets_the_same_number_of_proposals_and_seeds() -> None:
    counts = Counter((training.cell.label, training.phase) for training in all_trainings(invented_study()))
    assert counts == {
        (f"optimizer={name}", phase): number
        for name in ("adagrad", "adam")
        for phase, number in (("search", 6), ("confirm", 2))
    }


def test_tuning_seeds_and_reporting_seeds_are_disjoint() -> None:
    seeds: dict[str, set[int]] = {"search": set(), "confirm": set()}
    for training in all_trainings(invented_study()):
        seeds[training.phase] |= set(asdict(training.seeds).values())
    assert not seeds["search"] & seeds["confirm"]


def test_the_winner_is_the_best_by_mean_validation_bound() -> None:
    study = invented_study(search=searched(num_proposals=7))
    trainings = all_trainings(study)
    for cell in study_cells(study):
        assert {
            training.proposal for training in trainings if training.phase == "confirm" and training.cell == cell
        } == {_winner_by_hand(trainings, cell)}


def test_a_better_test_bound_cannot_change_the_winner() -> None:
    """The same study where every test bound is turned round has the same winners: the search phase has none to see."""
    trainings = all_trainings(invented_study())
    turned = all_trainings(invented_study(), _train_with(_with_test_bounds_turned))
    assert [training.position for training in turned] == [training.position for training in trainings]


def _with_test_bounds_turned(planned: PlannedTraining, record: Record) -> Record:
    curve = [
        replace(
            point,
            metrics={name: -nats if name.startswith("test/") else nats for name, nats in point.metrics.items()},
        )
        for point in record.evaluations
    ]
    return record.model_copy(update={"evaluations": tuple(curve)})


def test_the_test_set_is_never_read_in_the_search_and_once_in_the_confirm_phase() -> None:
    study = invented_study(training={"hidden_units": 8, "latent_dim": 2, "budget_samples": 1000, "test_at_end": True})
    for training in all_trainings(study):
        assert training.configuration.test_at_end == (training.phase == "confirm"), training.position
        assert not training.configuration.test_curve


def test_confirmed_is_the_winners_own_configuration() -> None:
    trainings = all_trainings(invented_study())
    proposed = {
        (training.cell.label, training.proposal): training.configuration
        for training in trainings
        if training.phase == "search"
    }
    for training in trainings:
        if training.phase == "confirm":
            assert (
                training.configuration.model_copy(update={"test_at_end": False})
                == proposed[training.cell.label, training.proposal]
            )


def test_a_cell_all_of_whose_proposals_diverged_is_not_confirmed_and_the_others_are() -> None:
    trainings = all_trainings(invented_study(), _diverging(lambda planned: planned.configuration.optimizer == "adam"))
    assert Counter((training.cell.label, training.phase) for training in trainings) == {
        ("optimizer=adagrad", "search"): 6,
        ("optimizer=adagrad", "confirm"): 2,
        ("optimizer=adam", "search"): 6,
    }


def test_one_diverged_tuning_seed_makes_its_proposal_the_worst() -> None:
    study = invented_study()
    cell = study_cells(study)[0]
    best = _winner_by_hand(all_trainings(study), cell)
    trainings = all_trainings(
        study,
        _diverging(
            lambda planned: (
                planned.phase == "search"
                and planned.cell == cell
                and (planned.proposal, planned.replicate) == (best, 1)
            )
        ),
    )
    confirmed = {training.proposal for training in trainings if training.phase == "confirm" and training.cell == cell}
    assert confirmed
    assert best not in confirmed


def test_the_objective_is_the_mean_and_minus_infinity_where_any_seed_diverged() -> None:
    good, other = (
        Summary("finished", {"validation/lower_bound": -100.0}),
        Summary("failed_to_learn", {"validation/lower_bound": -210.0}),
    )
    assert objective([good, other], "validation/lower_bound") == -155.0
    assert objective([good, Summary("diverged", {})], "validation/lower_bound") == -math.inf


def test_runners_up_are_trained_on_the_winners_seeds_and_never_promoted() -> None:
    study = invented_study(search=searched(num_proposals=5), confirm={"num_reporting_seeds": 3, "num_runners_up": 2})
    for cell in study_cells(study):
        trainings = [training for training in all_trainings(study) if training.cell == cell]
        confirmed = [training for training in trainings if training.phase == "confirm"]
        seeds = {
            rank: {training.replicate: training.seeds for training in confirmed if training.rank == rank}
            for rank in (0, 1, 2)
        }
        assert len(seeds[0]) == 3
        assert seeds[0] == seeds[1] == seeds[2]
        assert {training.proposal for training in confirmed if training.rank == 0} == {_winner_by_hand(trainings, cell)}
        assert len({training.proposal for training in confirmed}) == 3


def test_there_are_no_more_runners_up_than_proposals_that_did_not_diverge() -> None:
    study = invented_study(confirm={"num_reporting_seeds": 2, "num_runners_up": 2})
    trainings = all_trainings(study, _diverging(lambda planned: planned.phase == "search" and planned.proposal != 0))
    assert {(training.proposal, training.rank) for training in trainings if training.phase == "confirm"} == {(0, 0)}


def test_a_study_without_a_search_confirms_every_cell_as_it_stands() -> None:
    trainings = all_trainings(invented_study(search=None))
    assert [(training.phase, training.proposal, training.rank) for training in trainings] == [("confirm", None, 0)] * 4


def test_a_round_is_proposed_before_any_of_it_is_known_and_the_next_after_all_of_it() -> None:
    study = invented_study()
    protocol = cell_protocol(study, study_cells(study)[0])
    first = next(protocol)
    assert isinstance(first, list)
    assert [(training.proposal, training.replicate) for training in first] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    second = _send(protocol, first)
    assert [(training.proposal, training.replicate) for training in second] == [(2, 0), (2, 1)]
    assert {training.phase for training in _send(protocol, second)} == {"confirm"}


def _send(protocol: CellProtocol, batch: list[PlannedTraining]) -> list[PlannedTraining]:
    step = protocol.send([Summary("finished", invented_metrics(training)) for training in batch])
    assert isinstance(step, list)
    return step


def test_adding_proposals_keeps_those_that_were_made() -> None:
    before = all_trainings(invented_study(search=searched(num_proposals=4)))
    after = {
        training.position: training for training in all_trainings(invented_study(search=searched(num_proposals=8)))
    }
    assert all(after[training.position] == training for training in before if training.phase == "search")


@pytest.mark.parametrize("sampler", ["tpe", "qmc", "random"])
def test_places_and_titles_name_each_training_once(sampler: str) -> None:
    trainings = all_trainings(
        invented_study(search=searched(sampler=sampler), confirm={"num_reporting_seeds": 2, "num_runners_up": 1})
    )
    assert (
        len({training.position for training in trainings})
        == len({training.title for training in trainings})
        == len(trainings)
        == 20
    )


# TPE takes in what it was told only after its first ten proposals.
STUDY_OF_MANY_ROUNDS = invented_study(
    search=searched(num_proposals=14, round_size=2, num_tuning_seeds=1),
    confirm={"num_reporting_seeds": 2, "num_runners_up": 1},
)


@settings(max_examples=20)
@given(st.randoms(use_true_random=False), st.lists(st.integers(0, 30), max_size=3), st.integers(1, 8))
def test_neither_order_nor_kills_nor_workers_change_what_is_trained(
    choose: random.Random, kills: list[int], num_workers: int
) -> None:
    """Trainings end in any order, the study is killed anywhere and continued: the same trainings, each of them once."""
    expected = _trained(STUDY_OF_MANY_ROUNDS, execute(STUDY_OF_MANY_ROUNDS, Disk(), num_workers=1))
    disk = Disk()
    for records_until_kill in kills:
        execute(STUDY_OF_MANY_ROUNDS, disk, num_workers=num_workers, choose=choose, kill_after=records_until_kill)
    last = execute(STUDY_OF_MANY_ROUNDS, disk, num_workers=num_workers, choose=choose)
    assert last.finished
    assert _trained(STUDY_OF_MANY_ROUNDS, last) == expected
    assert set(disk.num_trained.values()) == {1}


def _trained(study: Study, execution: WatchedExecution) -> dict[str, tuple[PlannedTraining, Record]]:
    done = {planned.position: (planned, record) for planned, record in execution.done}
    assert len(done) == sum(num_trainings(study).values())
    return done
