"""MLflow while it may still be opening, which takes seconds: neither trainings nor their records wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING

from study.errors import StudyError
from study.execution.execution import Execution
from study.protocol.cell_protocol import PlannedTraining
from study.records.records import Record, Unfinished
from study.run.logs import StudyLog

if TYPE_CHECKING:
    from study.tracking.tracker import Tracker


class DeferredTracker:
    """A study's tracker from before it is there: a thread opens it once it is told to, then gives it what was added, in
    order. So the seconds that importing MLflow takes are not those in which the first training starts.

    Leaving the `with` block waits until MLflow has everything, failures included. It raises TrackingError where MLflow
    could not be opened, and StudyError for what it did not take, unless an error ended the block.
    """

    def __init__(self, open_tracker: Callable[[], Tracker], execution: Execution, log: StudyLog) -> None:
        self._open_tracker = open_tracker
        self._execution = execution
        self._log = log
        self._thread = ThreadPoolExecutor(1, "mlflow-opener")
        self._opening: Future[Tracker] = Future()
        self._is_wanted = threading.Event()

    def __enter__(self) -> DeferredTracker:
        self._opening = self._thread.submit(self._open_when_wanted)
        return self

    def open(self) -> None:
        """Has the tracker opened, if it is not; what it is told and leaving the block do, too. Returns at once."""
        self._is_wanted.set()

    def _open_when_wanted(self) -> Tracker:
        self._is_wanted.wait()
        return self._open_tracker()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._thread:
            message = self._close(complete=error is None and self._execution.finished)
        if message and error is None:
            raise StudyError(message)

    def add(self, planned: PlannedTraining, record: Record) -> None:
        """A training whose record is on the disk; returns at once."""
        self._tell(lambda tracker: tracker.add(planned, record))

    def follow(self, planned: PlannedTraining, unfinished: Unfinished) -> None:
        """A training that is under way; returns at once."""
        self._tell(lambda tracker: tracker.follow(planned, unfinished))

    def give_up(self, planned: PlannedTraining) -> None:
        """A training that goes no further; what is to be said of it comes with leaving the block. Returns at once."""
        self._tell(lambda tracker: tracker.give_up(planned))

    def _tell(self, what: Callable[[Tracker], None]) -> None:
        self.open()
        self._thread.submit(lambda: what(self._opening.result()))

    def check(self) -> None:
        """Raises what went wrong with opening MLflow, once that is known."""
        if self._opening.done():
            self._opening.result()

    def _close(self, complete: bool) -> str | None:
        """A message where MLflow did not take everything."""
        self.open()
        tracker = self._opening.result()
        self._thread.shutdown()  # all that was added is given to the tracker
        for failure in self._execution.failures:
            message = self._log.public(failure.message)
            if not tracker.log_failure(failure.planned, message, self._log.of_failure(failure.planned)):
                break  # it is away; each attempt would wait for it
        return tracker.close(complete)
