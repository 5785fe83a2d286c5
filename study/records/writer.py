"""Records written from a thread of its own, so that no core waits for the disk."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from functools import partial
from types import TracebackType

from study.protocol.cell_protocol import PlannedTraining
from study.records.records import Record, Records

MAX_WAITING = 8
"""Records that wait for the disk at once; a kill loses no more than these, and the next execution trains them again
to the same bits."""

Written = Callable[[PlannedTraining, Record], None]


class RecordWriter:
    """Writes records in the order in which they are given, and passes a training on once its record is on the disk.

    Leaving the `with` block waits until all is written. A record that could not be written is never passed on; the
    error is raised by the next call of `write` or `check`, or else on leaving, and the records after it are still
    written where they can be. `log_of` gives the lines that lie beside a record.
    """

    def __init__(
        self, records: Records, written: Written, log_of: Callable[[Record], bytes] = lambda record: b""
    ) -> None:
        self._records = records
        self._written = written
        self._log_of = log_of
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._room = threading.Semaphore(MAX_WAITING)
        self._lost: set[str] = set()
        self._error: Exception | None = None
        self._raised = False
        self._thread = threading.Thread(target=self._work, name="record writer", daemon=True)

    def __enter__(self) -> RecordWriter:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._queue.put(None)
        self._thread.join()
        if error is None and not self._raised:
            self.check()

    def write(self, record: Record, weights: bytes) -> None:
        """Queues a record; waits only where MAX_WAITING are queued. Raises what went wrong with an earlier one."""
        self.check()
        self._room.acquire()
        self._records.unwritten[record.identity.hash] = record
        self._queue.put(partial(self._write, record, weights))

    def pass_on(self, planned: PlannedTraining, record: Record) -> None:
        """Has `written` told of a training, on the writer's thread, after everything given before it is on the disk."""
        self._queue.put(partial(self._tell, planned, record))

    def check(self) -> None:
        """Raises what went wrong with a record, RecordsError where the disk refused it."""
        if self._error is not None:
            self._raised = True
            raise self._error

    def _work(self) -> None:
        while (task := self._queue.get()) is not None:
            try:
                task()
            except Exception as error:  # noqa: BLE001 - raised again on the study's own thread
                self._error = self._error or error

    def _tell(self, planned: PlannedTraining, record: Record) -> None:
        if record.identity.hash not in self._lost:
            self._written(planned, record)

    def _write(self, record: Record, weights: bytes) -> None:
        try:
            self._records.write(record, weights, self._log_of(record))
        except BaseException:
            self._lost.add(record.identity.hash)
            raise
        finally:
            self._records.unwritten.pop(record.identity.hash, None)
            self._room.release()
