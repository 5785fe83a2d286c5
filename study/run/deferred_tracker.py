"""What an execution gives to MLflow, which may still be opening: neither trainings nor their records wait for it."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING

from study.errors import StudyError
from study.execution.execution import Execution, Failure
from study.protocol.cell_protocol import PlannedTraining
from study.records.records import Record

if TYPE_CHECKING:
    from study.tracking.tracker import Tracker


class Projection:
    """The tracker of a study from before it is there: what is added meanwhile is kept, in order, and given to it
    once it is. Used from several threads."""

    def __init__(self, opening: Future[Tracker]) -> None:
        self._opening = opening
        self._kept: deque[tuple[PlannedTraining, Record]] = deque()
        self._lock = threading.Lock()

    def add(self, planned: PlannedTraining, record: Record) -> None:
        """A training whose record is on the disk; returns at once."""
        with self._lock:
            self._kept.append((planned, record))
        if self._opening.done() and self._opening.exception() is None:
            self._hand_over()

    def check(self) -> None:
        """Gives the tracker what waits for it, where it is there. Raises what went wrong with MLflow."""
        if self._opening.done():
            self._hand_over()

    def end(
        self,
        complete: bool,
        failures: list[Failure],
        log_of: Callable[[PlannedTraining], str],
        public: Callable[[str], str],
    ) -> str | None:
        """Waits until MLflow has everything; a message where it did not take it all. Raises TrackingError where it
        could not be opened.

        `public` takes passwords out of what the code of a failed training said.
        """
        self._hand_over()
        tracker = self._opening.result()
        for failure in failures:
            if not tracker.log_failure(failure.planned, public(failure.message), log_of(failure.planned)):
                break  # it is away; each attempt would wait for it
        return tracker.close(complete)

    def _hand_over(self) -> None:
        tracker = self._opening.result()
        with self._lock:
            while self._kept:
                tracker.add(*self._kept.popleft())


@contextlib.contextmanager
def projected(
    opening: Future[Tracker],
    execution: Execution,
    log_of: Callable[[PlannedTraining], str],
    public: Callable[[str], str],
) -> Iterator[Projection]:
    """MLflow while the study runs; at the end waits for what is still to be written. Raises StudyError for what is
    left over."""
    projection = Projection(opening)
    complete = False
    try:
        yield projection
        complete = execution.finished
    finally:
        left_over = projection.end(complete, execution.failures, log_of, public)
    if left_over:
        raise StudyError(left_over)
