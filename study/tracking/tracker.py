"""MLflow as a projection of the records: one writer, batched, idempotent."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

from mlflow.entities import RunTag
from mlflow.exceptions import MlflowException

from study.addresses.credentials import without_credentials
from study.protocol.cell_protocol import PlannedTraining
from study.protocol.declarations import TAG, recorded_declarations
from study.records.records import LOG, Record, Unfinished
from study.spec import Study
from study.tracking.client import answering, open_client, public_cause
from study.tracking.contents import renewed_note, run_key, study_note, with_execution
from study.tracking.pages import write_cells, write_views
from study.tracking.runs import open_experiment, open_parent
from study.tracking.seal import STUDY_SEAL, study_seal
from study.tracking.server import require_sqlite
from study.tracking.training_runs import TrainingRuns
from study.tracking.writer import BEAT_SECONDS, WRITER_TAG, Writer, beat, require_sole_writer

_FOLLOW_SECONDS = 3.0
"""Between two looks at what is under way at least; and so many times as long as the last one took:"""

_FOLLOW_PAUSES = 20

_RETRY_SECONDS = 5.0

_REFUSALS = frozenset(
    {"BAD_REQUEST", "INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"}
)
"""Codes of errors with which a server that is well turns down one request."""

_LAST_ATTEMPTS = 2
"""At the end of a study, after so many failures in a row, what is not written is left to the next execution."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What became of an attempt to write a training: it is there, refused for good, or waits for a server that is
    away."""

    outcome: Literal["written", "refused", "away"]
    title: str = ""
    cause: str = ""


_Told = Record | Unfinished | None
"""What is said of a training: its record, how far it is, or nothing more since it is given up."""


class Tracker:
    """Writes one study into MLflow, from a thread of its own, so that trainings never wait for it.

    What cannot be written while the server is away is written later; the records on disk are the queue, and another
    run of the study writes what is still missing. Every point carries its original time, so that writing again adds
    nothing.
    """

    def __init__(
        self,
        uri: str,
        study: Study,
        *,
        artifacts: Path | None,
        folder_of: Callable[[Record], Path],
        report: Callable[[str], None] = print,
    ) -> None:
        self._uri = without_credentials(uri)  # as messages name it
        self._study = study
        self._report = report
        self._confirmed: list[tuple[PlannedTraining, Record]] = []
        self._queue: queue.SimpleQueue[tuple[PlannedTraining, _Told] | None] = queue.SimpleQueue()
        self._under_way: dict[str, tuple[PlannedTraining, Unfinished]] = {}
        self._follow_at = 0.0
        self._is_unsure = False
        self._attempts: list[_Attempt] = []
        self._writer: Writer | None = None
        self._last_beat = 0.0
        self._keys: set[str] = set()
        require_sqlite(uri)
        with answering(self._uri):
            self._client = open_client(uri)
            self._experiment_id = open_experiment(self._client, study.name, artifacts, report)
            self.parent_run_id = open_parent(self._client, self._experiment_id, study.name, report)
            self._trainings = TrainingRuns(self._client, self._experiment_id, self.parent_run_id, study, folder_of)
        self._thread = threading.Thread(target=self._work, name="mlflow writer", daemon=True)
        self._thread.start()

    def begin(self, execution: Mapping[str, Any], replayed: Collection[str] = (), writer: Writer | None = None) -> None:
        """Marks the parent run as running again, and lists this execution (time, machine, versions, commit) on it.

        Raises TrackingError where another execution than `writer` writes this study at present, after up to 45 s in
        which it shows whether it lives. `replayed`: the places of trainings that are recorded on disk already,
        whether or not this store has them: what is declared now was declared after them.
        """
        with answering(self._uri):
            if writer is not None:
                require_sole_writer(self._client, self.parent_run_id, writer, self._uri, self._report)
                self._client.set_tag(self.parent_run_id, WRITER_TAG, writer.tag())
            self._trainings.end_unfinished()
            self._begin(execution, replayed)
        self._writer = writer

    def _begin(self, execution: Mapping[str, Any], replayed: Collection[str]) -> None:
        parent = self._client.get_run(self.parent_run_id)
        tags = {
            "kind": "study",
            "study": self._study.name,
            "executions": with_execution(parent.data.tags.get("executions", ""), execution),
            "mlflow.note.content": renewed_note(parent.data.tags.get("mlflow.note.content", ""), self._study),
            STUDY_SEAL: study_seal(self._study.model_dump(mode="json")),
            **{name: str(value) for name, value in execution.items()},
        }
        declared = recorded_declarations(
            parent.data.tags.get(TAG), self._study, {*replayed, *self._trainings.positions}
        )
        if declared is not None:
            tags[TAG] = declared
        self._client.log_batch(self.parent_run_id, tags=[RunTag(name, value) for name, value in tags.items()])
        self._client.update_run(self.parent_run_id, status="RUNNING")
        self._client.set_experiment_tag(self._experiment_id, "mlflow.note.content", study_note(self._study))
        write_views(self._client, self._experiment_id, self._study, self._report)
        self._client.log_dict(self.parent_run_id, self._study.model_dump(mode="json"), "study/study.json")

    def add(self, planned: PlannedTraining, record: Record) -> None:
        """Queues a finished training; returns at once."""
        if planned.phase == "confirm":
            self._confirmed.append((planned, record))
        self._keys.add(run_key(planned, record.identity.hash))
        self._queue.put((planned, record))

    def follow(self, planned: PlannedTraining, unfinished: Unfinished) -> None:
        """A training that is under way, as far as it is; returns at once. What a store that is away does not take
        comes with the next call, or with the record."""
        self._queue.put((planned, unfinished))

    def give_up(self, planned: PlannedTraining) -> None:
        """A training that goes no further; returns at once."""
        self._queue.put((planned, None))

    def close(self, complete: bool, seconds: float = 60.0) -> str | None:
        """Waits until all that was added is written, and ends the parent run; a message where MLflow did not take it
        all.

        Gives up when nothing could be written for `seconds`.
        """
        self._queue.put(None)
        num_written = -1
        while self._thread.is_alive() and num_written != self._num_written():
            num_written = self._num_written()
            self._thread.join(seconds)
        refused = [attempt for attempt in self._attempts if attempt.outcome == "refused"]
        if not refused and (self._thread.is_alive() or not self._is_well()):
            cause = "too slow" if self._is_well() else self._attempts[-1].cause
            return (
                f"MLflow at {self._uri} did not take everything ({cause}); nothing is lost: run the same command again"
                " when it answers"
            )
        try:
            if complete and not refused:
                self._trainings.mark_superseded(self._keys)
                self._write_cells()
            else:
                self._refresh()
                self._trainings.end_unfinished()
            self._client.set_terminated(self.parent_run_id, "FINISHED" if complete and not refused else "KILLED")
        except Exception as error:  # noqa: BLE001 - whatever it is, the records are safe
            return f"MLflow at {self._uri}: {public_cause(error)}; run the same command again when it answers"
        if refused:
            return (
                f"MLflow at {self._uri} refuses {len(refused)} of the trainings, first {refused[0].title}"
                f" ({refused[0].cause}). Their records are kept, and the same command offers them again"
            )
        return None

    def _work(self) -> None:
        """Writes what is queued, in order; while the server is away it tries again, until the end of the study."""
        pending: deque[tuple[PlannedTraining, Record]] = deque()
        is_ending = False
        while not is_ending or (pending and self._num_in_vain() < _LAST_ATTEMPTS):
            seconds = _RETRY_SECONDS if pending else BEAT_SECONDS
            if self._under_way:
                seconds = max(0.0, min(seconds, self._follow_at - time.monotonic()))
            with suppress(queue.Empty):
                while True:
                    item = self._queue.get(timeout=seconds)
                    seconds = 0.0
                    if item is None:
                        is_ending = True
                        continue
                    planned, told = item
                    if isinstance(told, Unfinished):
                        self._under_way[planned.position] = (planned, told)
                        continue
                    self._under_way.pop(planned.position, None)
                    if told is not None:
                        pending.append((planned, told))
                    else:
                        with self._noticing():
                            self._trainings.give_up(planned)
            while pending and self._attempt(*pending[0]):
                pending.popleft()
            if not pending and not is_ending:
                self._follow()
            self._beat()

    def _follow(self) -> None:
        """Writes what is new of the trainings under way, where it is time to."""
        began = time.monotonic()
        if not self._under_way or began < self._follow_at:
            return
        under_way, self._under_way = self._under_way, {}
        with self._noticing():
            self._refresh()
            for planned, unfinished in under_way.values():
                self._trainings.follow(planned, unfinished)
        ended = time.monotonic()
        self._follow_at = ended + max(_FOLLOW_SECONDS, _FOLLOW_PAUSES * (ended - began))

    @contextmanager
    def _noticing(self) -> Iterator[None]:
        """Lets an error of the store be: all of it comes again, with the record at the latest."""
        try:
            yield
        except Exception:  # noqa: BLE001 - whatever it is
            self._is_unsure = True

    def _refresh(self) -> None:
        """After an error, what was under way may be there or not."""
        if self._is_unsure:
            self._trainings.refresh()
            self._is_unsure = False

    def _attempt(self, planned: PlannedTraining, record: Record) -> bool:
        """Whether the training needs no further attempt: it is written, or was refused twice and is left to the next
        execution, so that it does not hold up those behind it."""
        try:
            self._refresh()
            self._trainings.write(planned, record)
            attempt = _Attempt("written")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
            self._is_unsure = True
            is_last = _is_refusal(error) and self._num_in_vain() + 1 >= _LAST_ATTEMPTS
            attempt = _Attempt("refused" if is_last else "away", planned.title, public_cause(error))
        self._announce(attempt)
        self._attempts.append(attempt)
        self._beat()
        return attempt.outcome != "away"

    def _announce(self, attempt: _Attempt) -> None:
        """Tells the person what has changed with this attempt."""
        was_well = self._is_well()
        if attempt.outcome == "written" and not was_well:
            self._report("MLflow takes results again")
        if attempt.outcome == "away" and was_well:
            self._report(f"MLflow does not take results at present ({attempt.cause}); they are kept and written later")
        if attempt.outcome == "refused" and not any(earlier.outcome == "refused" for earlier in self._attempts):
            self._report(
                f"MLflow refuses {attempt.title} ({attempt.cause}); what comes after it is written all the same"
            )

    def _is_well(self) -> bool:
        return not self._attempts or self._attempts[-1].outcome == "written"

    def _num_in_vain(self) -> int:
        """Attempts since the last that settled a training."""
        return sum(1 for _ in takewhile(lambda attempt: attempt.outcome == "away", reversed(self._attempts)))

    def _num_written(self) -> int:
        return sum(attempt.outcome == "written" for attempt in self._attempts)

    def _beat(self) -> None:
        """Shows that this execution lives, now and then."""
        if self._writer is None or not self._is_well() or time.monotonic() - self._last_beat < BEAT_SECONDS:
            return
        other = beat(self._client, self.parent_run_id, self._writer)
        self._last_beat = time.monotonic()
        if other is not None:
            self._report(
                f"MLflow at {self._uri}: this study is also being run by {other}; both write the same trainings. Stop"
                " one of them"
            )

    def _write_cells(self) -> None:
        """A run for each cell, and views whose charts show where the cells ended."""
        shown = write_cells(self._client, self._experiment_id, self.parent_run_id, self._study, self._confirmed)
        write_views(self._client, self._experiment_id, self._study, lambda line: None, shown)

    def log_failure(self, planned: PlannedTraining, message: str, log: str = "") -> bool:
        """A training whose code raised: a run with the outcome `failed` and the traceback; it is tried again by the
        next run of the study. False where it was not taken."""
        with suppress(MlflowException, OSError):
            self._trainings.explain(planned, {"failure.txt": message} | ({LOG: log} if log else {}))
            return True
        return False


def _is_refusal(error: BaseException) -> bool:
    """Whether the server answered, and turned down this one request."""
    return isinstance(error, MlflowException) and error.error_code in _REFUSALS
