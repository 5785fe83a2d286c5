"""What is released, what waits and what is done: each training once, failures contained."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter

import pytest

from study.execution.estimate import work
from study.execution.execution import Execution
from study.execution.packing import Packing
from study.protocol.cell_protocol import PlannedTraining
from study.records.records import Record
from study.spec import Study
from study.spec.cells import study_cells
from study.spec.loading import load_study
from tests.support.executions import Disk, WatchedExecution, all_trainings, execute
from tests.support.gated_studies import ONE_EDGE, WIDE, gated_study
from tests.support.studies import identify, invented_record, invented_study, searched
from vae.pack.shape import pack_shape

TWO_CHOICES = {"hyperparameters": {"learning_rate": {"choices": [0.01, 0.02]}}}


def _repeating_study() -> Study:
    """A random search over two choices, four times: proposals repeat, so places share trainings."""
    return invented_study(search=searched(sampler="random", num_proposals=4, round_size=4, spaces=[TWO_CHOICES]))


def test_places_that_share_a_training_share_one_record() -> None:
    disk = Disk()
    execution = execute(_repeating_study(), disk)
    done = execution.done
    assert execution.finished
    assert len(done) == execution.num_done == 20
    assert len(disk.records) < 20
    assert set(disk.num_trained.values()) == {1}
    assert all(identify(planned) == record.identity for planned, record in done)


def test_a_finished_study_is_replayed_without_releasing_anything() -> None:
    disk = Disk()
    before = execute(invented_study(), disk).done
    again = Execution(invented_study(), identify, disk.lookup)
    assert again.finished
    assert again.idle
    assert again.num_replayed == again.num_done == 16
    assert again.next() is None
    assert sorted(planned.position for planned, _ in again.replayed) == sorted(
        planned.position for planned, _ in before
    )


def test_a_training_that_ends_completes_every_place_that_waits_for_it_and_each_place_once() -> None:
    execution = Execution(_repeating_study(), identify, lambda identity: None)
    completed = []
    while (released := execution.next()) is not None:
        completed.append(execution.complete(invented_record(released[1])))
        assert released[1] in [planned for planned, _ in completed[-1]]
        assert execution.complete(invented_record(released[1])) == []
    places = [planned.position for each in completed for planned, _ in each]
    assert len(places) == len(set(places)) == 20
    assert max(map(len, completed)) > 1


def test_another_study_reuses_what_is_recorded() -> None:
    disk = Disk()
    execute(invented_study(), disk)
    other = execute(
        invented_study(name="other", factors={"optimizer": ["adam", "sgd"]}),
        disk,
        lambda planned: invented_record(planned, "other"),
    )
    reused = [planned.cell.label for planned, record in other.done if record.study == "invented"]
    assert reused == ["optimizer=adam"] * 8
    assert other.num_replayed == 8


def _run_with_failures(failing: str) -> WatchedExecution:
    """Every training of one optimizer raises; all others end."""
    execution = WatchedExecution(invented_study())
    while not execution.idle:
        released = execution.next()
        assert released is not None
        identity, planned = released
        if planned.configuration.optimizer == failing:
            execution.fail(identity.hash, "Traceback\nRuntimeError: no")
        else:
            execution.complete(invented_record(planned))
    return execution


def test_a_failed_training_ends_its_cell_and_no_other() -> None:
    execution = _run_with_failures("adam")
    done = execution.done
    assert not execution.finished
    assert {planned.cell.label for planned, _ in done} == {"optimizer=adagrad"}
    assert len(done) == 8
    assert {failure.planned.cell.label for failure in execution.failures} == {"optimizer=adam"}
    assert len(execution.failures) == 4


def test_rounds_of_different_cells_overlap() -> None:
    """One cell waits for a slow training; the other goes on to its end, so that no core waits."""
    study = invented_study()
    execution = WatchedExecution(study)
    slow: PlannedTraining | None = None
    while (released := execution.next()) is not None:
        _, planned = released
        if slow is None:
            slow = planned
        else:
            execution.complete(invented_record(planned))
    assert slow is not None
    assert slow.cell == study_cells(study)[0]
    done = [planned for planned, _ in execution.done]
    assert [planned.phase for planned in done if planned.cell == study_cells(study)[1]].count("confirm") == 2
    assert not execution.idle
    execution.complete(invented_record(slow))
    assert execution.released


def test_a_result_that_nobody_waits_for_is_ignored() -> None:
    execution = execute(invented_study(), Disk())
    before = execution.num_done
    execution.complete(invented_record(execution.done[0][0]))
    assert execution.num_done == before


def test_a_cell_all_of_whose_proposals_diverged_is_told_from_one_that_is_confirmed() -> None:
    execution = execute(invented_study(), Disk(), _adam_diverges)
    assert execution.finished
    assert [cell.label for cell in execution.unconfirmed] == ["optimizer=adam"]
    assert execute(invented_study(), Disk()).unconfirmed == []
    assert execute(invented_study(search=None), Disk(), _adam_diverges).unconfirmed == []


def _adam_diverges(planned: PlannedTraining) -> Record:
    record = invented_record(planned)
    return record.model_copy(update={"outcome": "diverged"}) if planned.configuration.optimizer == "adam" else record


def _packs(execution: Execution, most: int) -> list[list[PlannedTraining]]:
    """Every pack of up to `most` that the execution releases, each completed before the next."""
    packs = []
    while pack := execution.next_pack(Packing(most)):
        packs.append([planned for _, planned in pack])
        for _, planned in pack:
            execution.complete(invented_record(planned))
    return packs


def test_a_pack_holds_trainings_of_one_shape_of_all_cells_proposals_and_seeds() -> None:
    """One hidden layer and two are two shapes; optimizers and learning rates are of none."""
    study = invented_study(
        factors={"optimizer": ["adagrad", "adam"], "num_hidden_layers": [1, 2]}, confirm={"num_reporting_seeds": 5}
    )
    execution = Execution(study, identify, lambda identity: None)
    packs = _packs(execution, 8)
    assert execution.finished
    assert all(len({pack_shape(planned.configuration) for planned in pack}) == 1 for pack in packs)
    assert sorted(planned.position for pack in packs for planned in pack) == sorted(
        planned.position for planned, _ in execute(study, Disk()).done
    )
    searched = [pack for pack in packs if pack[0].phase == "search"]
    # of each shape two cells x two seeds x first two proposals, then one
    assert sorted(len(pack) for pack in searched) == [4, 4, 8, 8]
    for pack in searched:
        assert {planned.configuration.optimizer for planned in pack} == {"adagrad", "adam"}
        assert len({planned.configuration.learning_rate for planned in pack}) == len(pack) / 2
    assert sorted(len(pack) for pack in packs if pack[0].phase == "confirm") == [2, 2, 8, 8]


def test_a_pack_is_filled_with_what_is_confirmed_where_a_search_leaves_room() -> None:
    space = {"when": {"optimizer": "adam"}, "hyperparameters": {"learning_rate": {"low": 1e-3, "high": 0.1}}}
    study = invented_study(search=searched(spaces=[space]), confirm={"num_reporting_seeds": 5})
    first, *others = _packs(Execution(study, identify, lambda identity: None), 8)
    assert [planned.phase for planned in first] == ["search"] * 4 + ["confirm"] * 4
    assert {planned.cell.label for planned in first[4:]} == {"optimizer=adagrad"}
    assert [len(pack) for pack in others] == [3, 5]


def test_what_cannot_be_packed_is_a_trial_by_itself() -> None:
    study = invented_study(search=None, factors={"optimizer": ["torch.optim:Adafactor", "adam", "sgd"]})
    packs = _packs(Execution(study, identify, lambda identity: None), 64)
    assert sorted(len(pack) for pack in packs) == [1, 1, 4]


def test_packs_of_one_are_the_trainings_in_their_order() -> None:
    packed, alone = (Execution(invented_study(), identify, lambda identity: None) for _ in range(2))
    while (released := alone.next()) is not None:
        assert packed.next_pack(Packing(1)) == [released]
        for execution in (packed, alone):
            execution.complete(invented_record(released[1]))
    assert packed.next_pack(Packing(1)) == []


def test_what_is_recorded_is_in_no_pack() -> None:
    study, disk = invented_study(search=None, confirm={"num_reporting_seeds": 4}), Disk()
    for planned in all_trainings(study):
        if planned.replicate in (0, 2):
            disk.write(invented_record(planned))
    (pack,) = _packs(Execution(study, identify, disk.lookup), 4)
    assert sorted(planned.replicate for planned in pack) == [1, 1, 3, 3]


def test_a_pack_whose_code_raises_fails_every_member() -> None:
    execution = Execution(invented_study(search=None), identify, lambda identity: None)
    for identity, _ in execution.next_pack(Packing(2)):
        execution.fail(identity.hash, "RuntimeError: no")
    assert len(execution.failures) == 2
    assert {failure.planned.cell.label for failure in execution.failures} == {"optimizer=adagrad"}
    assert len(execution.next_pack(Packing(2))) == 2


def test_what_holds_others_up_starts_first_and_then_the_longest() -> None:
    """Two layers take longer than one; a search holds up its cell's confirm phase, a cell without a search holds up
    nothing."""
    study = invented_study(factors={"num_hidden_layers": [1, 2]})
    execution = Execution(study, identify, lambda identity: None)
    layers = [planned.configuration.num_hidden_layers for planned in execution.released]
    assert layers == sorted(layers, reverse=True)
    assert set(layers) == {1, 2}
    while all(planned.phase == "search" for planned in execution.released):
        _, planned = execution.next() or pytest.fail("nothing is released")
        execution.complete(invented_record(planned))
    phases = [planned.phase for planned in execution.released]
    assert phases == sorted(phases, reverse=True)
    assert set(phases) == {"search", "confirm"}


def test_a_study_of_many_seeds_trains_them_in_turn_and_the_last_six_longest_first() -> None:
    """So a study that is stopped has whole pairs: its first seeds are there in every cell."""
    study = invented_study(search=None, factors={"num_hidden_layers": [1, 2]}, confirm={"num_reporting_seeds": 8})
    execution = Execution(study, identify, lambda identity: None)
    order = [(planned.replicate, planned.configuration.num_hidden_layers) for planned in execution.released]
    in_turn = [(replicate, layers) for replicate in (0, 1) for layers in (2, 1)]
    assert order[:4] == in_turn
    assert [layers for _, layers in order[4:]] == [2] * 6 + [1] * 6


@pytest.mark.parametrize(("num_workers", "least"), [(2, 0.99), (4, 0.99), (8, 0.97)])
def test_the_default_study_leaves_no_core_idle(num_workers: int, least: float) -> None:
    """Were a training's time just its work, and the longest ones released first."""
    execution = Execution(load_study("default"), identify, lambda identity: None)
    running: list[tuple[float, int, PlannedTraining]] = []
    number = itertools.count()
    now = busy = 0.0
    while not execution.idle:
        while len(running) < num_workers and (released := execution.next()) is not None:
            seconds = work(released[1].configuration)
            busy += seconds
            heapq.heappush(running, (now + seconds, next(number), released[1]))
        now, _, planned = heapq.heappop(running)
        execution.complete(invented_record(planned))
    assert execution.finished
    assert busy / (num_workers * now) >= least


def all_but_adagrad_trained(execution: WatchedExecution) -> list[PlannedTraining]:
    """What is released of adagrad, when of the others all that can be trained without it is."""
    held: list[PlannedTraining] = []
    while (released := execution.next()) is not None:
        if released[1].configuration.optimizer == "adagrad":
            held.append(released[1])
        else:
            execution.complete(invented_record(released[1]))
    return held


def test_only_the_cells_of_a_comparison_wait_for_each_other_and_one_that_touches_an_edge_frees_the_rest_at_once() -> (
    None
):
    execution = WatchedExecution(ONE_EDGE)
    held = all_but_adagrad_trained(execution)
    done = Counter(
        (planned.configuration.optimizer, planned.phase, planned.extra_round) for planned, _ in execution.done
    )
    assert done == {
        ("adam", "search", 0): 16,
        ("adam", "search", 1): 4,
        ("adam", "confirm", 0): 2,
        ("sgd", "search", 0): 16,
        ("sgd", "confirm", 0): 2,
    }
    for planned in held:
        execution.complete(invented_record(planned))
    assert not execution.finished
    assert execution.released


def test_a_cell_without_an_edge_waits_until_it_is_known_that_nobody_has_one() -> None:
    study = gated_study({"adagrad": WIDE, "adam": WIDE}, (("adam", "adagrad"),), num_proposals=16)
    execution = WatchedExecution(study)
    held = all_but_adagrad_trained(execution)
    assert {planned.phase for planned, _ in execution.done} == {"search"}
    while held:
        execution.complete(invented_record(held.pop()))
        held += [
            planned
            for planned in execution.released
            if planned.configuration.optimizer == "adagrad" and planned.phase == "search"
        ]
        if any(planned.phase == "confirm" for planned in execution.released):
            break
        while execution.next() is not None:
            pass
    assert {planned.cell.label for planned in execution.released if planned.phase == "confirm"} == {
        "optimizer=adagrad",
        "optimizer=adam",
    }


def test_a_failed_training_holds_its_comparison_and_no_other() -> None:
    execution = WatchedExecution(ONE_EDGE)
    while (released := execution.next()) is not None:
        if released[1].configuration.optimizer == "adam":
            execution.fail(released[0].hash, "Traceback\nRuntimeError: no")
        else:
            execution.complete(invented_record(released[1]))
    assert execution.idle
    assert not execution.finished
    assert [cell.label for cell in execution.waiting_cells] == ["optimizer=adagrad"]
    confirmed = {planned.configuration.optimizer for planned, _ in execution.done if planned.phase == "confirm"}
    assert confirmed == {"sgd"}
