"""What waits for MLflow while it opens: no record and no training does, and everything is handed over in order,
once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from study.errors import StudyError, TrackingError
from study.execution.execution import Execution, Failure
from study.protocol.cell_protocol import PlannedTraining
from study.records.records import Record, Records, Unfinished
from study.records.writer import RecordWriter
from study.run.deferred_tracker import DeferredTracker
from study.run.logs import StudyLog
from tests.support.executions import Disk, execute
from tests.support.studies import WEIGHTS_BYTES, identify, invented_study
from tests.support.workplaces import wait_until

if TYPE_CHECKING:
    from study.tracking.tracker import Tracker

DONE = execute(invented_study(), Disk()).done


class Taker:
    """A tracker that only remembers; it takes `num_failures_taken` failures and then is away."""

    def __init__(self, num_failures_taken: int = 99, left_over: str | None = None) -> None:
        self.added: list[tuple[PlannedTraining, Record]] = []
        self.told: list[object] = []
        self.failures: list[str] = []
        self.closed: list[bool] = []
        self._num_failures_taken = num_failures_taken
        self._left_over = left_over

    def add(self, planned: PlannedTraining, record: Record) -> None:
        self.added.append((planned, record))

    def follow(self, planned: PlannedTraining, unfinished: Unfinished) -> None:
        self.told.append(unfinished)

    def give_up(self, planned: PlannedTraining) -> None:
        self.told.append(planned)

    def log_failure(self, planned: PlannedTraining, message: str, log: str = "") -> bool:
        self.failures.append(message)
        return len(self.failures) <= self._num_failures_taken

    def close(self, complete: bool) -> str | None:
        self.closed.append(complete)
        return self._left_over


@pytest.fixture
def opening() -> Future[Tracker]:
    """The tracker, as soon as a test has it open."""
    return Future()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[StudyLog]:
    log = StudyLog(tmp_path / "logs", "invented", print, "http://me:hidden-word@server")
    yield log
    log.close()


def _deferred(opening: Future[Tracker], log: StudyLog, execution: Execution | None = None) -> DeferredTracker:
    return DeferredTracker(opening.result, execution or execute(invented_study(), Disk()), log)


def _opens(opening: Future[Tracker], taker: Taker) -> None:
    opening.set_result(cast("Tracker", taker))


def test_mlflow_is_opened_when_that_is_asked_for_or_at_the_end(log: StudyLog) -> None:
    """Not before: importing it would hold up the first training."""
    opened: list[Taker] = []

    def open_tracker() -> Tracker:
        opened.append(Taker())
        return cast("Tracker", opened[-1])

    execution = execute(invented_study(), Disk())
    with DeferredTracker(open_tracker, execution, log) as tracker:
        assert not opened
        tracker.open()
        wait_until(lambda: bool(opened), "MLflow is opened")
    with DeferredTracker(open_tracker, execution, log):
        pass
    assert [taker.closed for taker in opened] == [[True], [True]]


def test_records_are_on_the_disk_while_mlflow_still_opens(
    tmp_path: Path, opening: Future[Tracker], log: StudyLog
) -> None:
    """More of them than may wait for the disk, so that a writer that waited for MLflow would stop the study."""
    records, taker = Records(tmp_path / "trainings"), Taker()
    with _deferred(opening, log) as tracker:
        with RecordWriter(records, tracker.add) as writer:
            for planned, record in DONE:
                writer.write(record, WEIGHTS_BYTES)
                writer.pass_on(planned, record)
        assert all(records.path(record.identity.hash).is_dir() for _, record in DONE)
        tracker.check()
        _opens(opening, taker)
    assert taker.added == DONE
    assert taker.closed == [True]


def test_what_ends_after_mlflow_opened_follows_what_waited(opening: Future[Tracker], log: StudyLog) -> None:
    taker = Taker()
    with _deferred(opening, log) as tracker:
        for number, (planned, record) in enumerate(DONE):
            if number == 5:
                _opens(opening, taker)
            tracker.add(planned, record)
    assert taker.added == DONE


def test_what_is_under_way_is_told_in_order_and_opens_mlflow(opening: Future[Tracker], log: StudyLog) -> None:
    taker, (planned, record) = Taker(), DONE[0]
    unfinished = Unfinished(record.identity, record.started_ms, record.evaluations[:1])
    with _deferred(opening, log) as tracker:
        tracker.follow(planned, unfinished)
        tracker.give_up(planned)
        assert tracker._is_wanted.is_set()
        _opens(opening, taker)
    assert taker.told == [unfinished, planned]


def test_a_store_that_cannot_be_opened_is_said_by_the_next_look_and_stops_no_record(
    opening: Future[Tracker], log: StudyLog
) -> None:
    tracker = _deferred(opening, log).__enter__()
    tracker.check()
    tracker.add(*DONE[0])
    opening.set_exception(TrackingError("no database"))
    wait_until(tracker._opening.done, "MLflow is known not to open", 10)
    for asked in (tracker.check, lambda: tracker.__exit__(None, None, None)):
        with pytest.raises(TrackingError, match="no database"):
            asked()


def test_failures_are_told_without_passwords_and_no_further_where_mlflow_is_away(
    opening: Future[Tracker], log: StudyLog
) -> None:
    taker = Taker(num_failures_taken=1)
    _opens(opening, taker)
    execution = Execution(invented_study(), identify, lambda identity: None)
    execution.failures = [Failure(planned, "RuntimeError: hidden-word") for planned, _ in DONE[:5]]
    with _deferred(opening, log, execution):
        pass
    assert taker.failures == ["RuntimeError: ***"] * 2
    assert taker.closed == [False]


def test_what_is_left_over_ends_the_study_unless_something_worse_does(opening: Future[Tracker], log: StudyLog) -> None:
    execution = Execution(invented_study(), identify, lambda identity: None)
    taker = Taker(left_over="MLflow did not take everything")
    _opens(opening, taker)
    with pytest.raises(StudyError, match="did not take everything"), _deferred(opening, log, execution):
        pass
    with pytest.raises(KeyboardInterrupt):
        _stopped_after_one(_deferred(opening, log, execution))
    assert taker.added == DONE[:1]
    assert taker.closed == [False, False]


def _stopped_after_one(deferred: DeferredTracker) -> None:
    with deferred as tracker:
        tracker.add(*DONE[0])
        raise KeyboardInterrupt
