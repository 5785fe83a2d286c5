"""What is released, what waits and what is done: each training once, failures contained."""

from __future__ import annotations

from study.cells import study_cells
from study.execution import Execution
from study.protocol import PlannedTraining
from study.records import Record
from study.spec import Study
from tests.study_tests.driving import Disk, execute
from tests.study_tests.invented import identify, invented_record, invented_study, searched

TWO_CHOICES = {"hyperparameters": {"learning_rate": {"choices": [0.01, 0.02]}}}


def _repeating_study() -> Study:
    """A random search over two choices, four times: proposals repeat, so places share trainings."""
    return invented_study(search=searched(sampler="random", num_proposals=4, round_size=4, spaces=[TWO_CHOICES]))


def test_places_that_share_a_training_share_one_record() -> None:
    disk = Disk()
    execution = execute(_repeating_study(), disk)
    done = execution.drain()
    assert execution.finished
    assert len(done) == execution.num_done == 20
    assert len(disk.records) < 20
    assert set(disk.num_trained.values()) == {1}
    assert all(identify(planned) == record.identity for planned, record in done)


def test_a_finished_study_is_replayed_without_releasing_anything() -> None:
    disk = Disk()
    before = execute(invented_study(), disk).drain()
    again = Execution(invented_study(), identify, disk.lookup)
    assert again.finished
    assert again.idle
    assert again.num_replayed == again.num_done == 16
    assert again.next() is None
    assert sorted(planned.place for planned, _ in again.drain()) == sorted(planned.place for planned, _ in before)


def test_drained_is_drained_once() -> None:
    execution = execute(invented_study(), Disk())
    assert len(execution.drain()) == 16
    assert execution.drain() == []


def test_another_study_reuses_what_is_recorded() -> None:
    disk = Disk()
    execute(invented_study(), disk)
    other = execute(invented_study(name="other", factors={"optimizer": ["adam", "sgd"]}), disk, lambda planned: invented_record(planned, "other"))
    reused = [planned.cell.label for planned, record in other.drain() if record.study == "invented"]
    assert reused == ["optimizer=adam"] * 8
    assert other.num_replayed == 8


def _run_with_failures(failing: str) -> Execution:
    """Every training of one optimizer raises; all others end."""
    execution = Execution(invented_study(), identify, lambda identity: None)
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
    done = execution.drain()
    assert not execution.finished
    assert {planned.cell.label for planned, _ in done} == {"optimizer=adagrad"}
    assert len(done) == 8
    assert {failure.planned.cell.label for failure in execution.failures} == {"optimizer=adam"}
    assert len(execution.failures) == 4


def test_rounds_of_different_cells_overlap() -> None:
    """One cell waits for a slow training; the other goes on to its end, so that no core waits."""
    study = invented_study()
    execution = Execution(study, identify, lambda identity: None)
    slow: PlannedTraining | None = None
    while (released := execution.next()) is not None:
        _, planned = released
        if slow is None:
            slow = planned
        else:
            execution.complete(invented_record(planned))
    assert slow is not None
    assert slow.cell == study_cells(study)[0]
    done = [planned for planned, _ in execution.drain()]
    assert [planned.phase for planned in done if planned.cell == study_cells(study)[1]].count("confirm") == 2
    assert not execution.idle
    execution.complete(invented_record(slow))
    assert execution.released


def test_a_result_that_nobody_waits_for_is_ignored() -> None:
    execution = execute(invented_study(), Disk())
    before = execution.num_done
    execution.complete(invented_record(execution.drain()[0][0]))
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
