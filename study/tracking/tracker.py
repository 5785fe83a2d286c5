"""MLflow as a projection of the records: one writer, batched, idempotent."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

from mlflow.entities import Param, RunTag
from mlflow.exceptions import MlflowException

from study.addresses.credentials import without_credentials
from study.errors import TrackingError
from study.protocol.cell_protocol import PlannedTraining
from study.protocol.declarations import TAG, recorded_declarations
from study.records.records import LOG, WEIGHTS, Record
from study.spec import Study
from study.tracking.cell_runs import cell_colours
from study.tracking.client import answering, open_client, public_cause
from study.tracking.contents import failure_tags, run_key, run_params, run_tags, study_note, with_execution
from study.tracking.pages import write_cells, write_views
from study.tracking.runs import KnownRun, existing_runs, metrics_of
from study.tracking.seal import SEAL, STUDY_SEAL, seal_of, study_seal
from study.tracking.server import require_sqlite
from study.tracking.store import link
from study.tracking.writer import BEAT_SECONDS, WRITER_TAG, Writer, beat, require_sole_writer

_BATCH = 900
"""Metrics in one call; the server takes at most 1,000."""

_MOST_CHARACTERS_OF_A_NAME = 250
"""PostgreSQL refuses longer names of runs."""

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
        self._folder_of = folder_of
        self._report = report
        self._confirmed: list[tuple[PlannedTraining, Record]] = []
        self._colours = cell_colours(study)
        self._queue: queue.SimpleQueue[tuple[PlannedTraining, Record] | None] = queue.SimpleQueue()
        self._attempts: list[_Attempt] = []
        self._writer: Writer | None = None
        self._last_beat = 0.0
        self._keys: set[str] = set()
        require_sqlite(uri)
        with answering(self._uri):
            self._client = open_client(uri)
            self._experiment_id = self._find_or_create_experiment(artifacts)
            self._runs, self._duplicates = existing_runs(self._client, self._experiment_id)
            self.parent_run_id = self._find_or_create_parent()
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
            self._begin(execution, replayed)
        self._writer = writer

    def _begin(self, execution: Mapping[str, Any], replayed: Collection[str]) -> None:
        parent = self._client.get_run(self.parent_run_id)
        tags = {
            "kind": "study",
            "study": self._study.name,
            "executions": with_execution(parent.data.tags.get("executions", ""), execution),
            "mlflow.note.content": study_note(self._study),
            STUDY_SEAL: study_seal(self._study.model_dump(mode="json")),
            **{name: str(value) for name, value in execution.items()},
        }
        declared = recorded_declarations(
            parent.data.tags.get(TAG), self._study, {*replayed, *(key.rpartition("|")[0] for key in self._runs if key)}
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
                self._mark_superseded()
                self._write_cells()
            self._client.set_terminated(self.parent_run_id, "FINISHED" if complete and not refused else "KILLED")
        except Exception as error:  # noqa: BLE001 - whatever it is, the records are safe
            return f"MLflow at {self._uri}: {public_cause(error)}; run the same command again when it answers"
        if refused:
            return (
                f"MLflow at {self._uri} refuses {len(refused)} of the trainings, first {refused[0].title}"
                f" ({refused[0].cause}). Their records are kept, and the same command offers them again"
            )
        return None

    def _find_or_create_experiment(self, artifacts: Path | None) -> str:
        experiment = self._client.get_experiment_by_name(self._study.name)
        if experiment is None:
            tags = {"mlflow.experimentKind": "custom_model_development"}  # the UI then shows runs, not traces
            folder = artifacts.absolute().as_uri() if artifacts else None
            return str(self._client.create_experiment(self._study.name, folder, tags))
        if experiment.lifecycle_stage != "active":
            raise TrackingError(
                f"the MLflow experiment {self._study.name!r} was deleted; restore it with `mlflow experiments restore"
                f" --experiment-id {experiment.experiment_id}`, or give the study another name"
            )
        return str(experiment.experiment_id)

    def _find_or_create_parent(self) -> str:
        parents = self._client.search_runs(
            [self._experiment_id], "tags.kind = 'study'", max_results=1, order_by=["attributes.start_time ASC"]
        )
        if parents:
            return str(parents[0].info.run_id)
        tags = {"kind": "study", "study": self._study.name}
        run = self._client.create_run(self._experiment_id, tags=tags, run_name=self._study.name)
        return str(run.info.run_id)

    def _work(self) -> None:
        """Writes what is queued, in order; while the server is away it tries again, until the end of the study."""
        pending: deque[tuple[PlannedTraining, Record]] = deque()
        is_ending = False
        while not is_ending or (pending and self._num_in_vain() < _LAST_ATTEMPTS):
            seconds = _RETRY_SECONDS if pending else BEAT_SECONDS
            with suppress(queue.Empty):
                while True:
                    item = self._queue.get(timeout=seconds)
                    seconds = 0.0
                    if item is None:
                        is_ending = True
                    else:
                        pending.append(item)
            while pending and self._attempt(*pending[0]):
                pending.popleft()
            self._beat()

    def _attempt(self, planned: PlannedTraining, record: Record) -> bool:
        """Whether the training needs no further attempt: it is written, or was refused twice and is left to the next
        execution, so that it does not hold up those behind it."""
        try:
            if not self._is_well():  # what was under way when the server went may be there or not
                self._runs, self._duplicates = existing_runs(self._client, self._experiment_id)
            self._write(planned, record)
            attempt = _Attempt("written")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
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

    def _write(self, planned: PlannedTraining, record: Record) -> None:
        """One training as one nested run; does nothing for one that is there, and completes one that is there in
        part."""
        key = run_key(planned, record.identity.hash)
        run = self._runs.get(key)
        if run is not None and run.status == "FINISHED":
            self._renew_files(run, record)
            if run.superseded:
                self._client.delete_tag(run.run_id, "superseded")
            if run.cell_title != planned.curve_title:  # written by a version that named runs otherwise
                self._client.set_tag(run.run_id, "cell_title", planned.curve_title)
                self._client.set_tag(run.run_id, "mlflow.runName", planned.title[:_MOST_CHARACTERS_OF_A_NAME])
            if run.code_kept != record.code_kept:
                self._client.set_tag(run.run_id, "code_kept", str(record.code_kept).lower())
            return
        if run is not None and run.started_ms != record.started_ms:
            run = None  # begun with a record that was damaged since, of which it may hold points
        if run is None:
            tags = run_tags(planned, record, self._study.name, self.parent_run_id) | {"key": key}
            tags["mlflow.runColor"] = self._colours[planned.cell.label]
            tags[SEAL] = seal_of(
                record.started_ms,
                run_params(record),
                tags,
                ((each.key, each.step, each.value) for each in metrics_of(record)),
            )
            run = KnownRun.of(
                self._client.create_run(
                    self._experiment_id,
                    start_time=record.started_ms,
                    tags=tags,
                    run_name=planned.title[:_MOST_CHARACTERS_OF_A_NAME],
                )
            )
            self._runs[key] = run
        metrics = metrics_of(record)
        self._client.log_batch(
            run.run_id,
            metrics=metrics[:_BATCH],
            params=[Param(name, text) for name, text in run_params(record).items()],
        )
        for start in range(_BATCH, len(metrics), _BATCH):
            self._client.log_batch(run.run_id, metrics=metrics[start : start + _BATCH])
        for file in (self._folder_of(record) / name for name in (WEIGHTS, LOG)):
            if not link(file, run.artifact_uri) and (file.name == WEIGHTS or file.exists()):
                self._client.log_artifact(run.run_id, str(file))
        self._client.set_terminated(run.run_id, "FINISHED", record.finished_ms)
        self._runs[key] = replace(run, status="FINISHED")

    def _renew_files(self, run: KnownRun, record: Record) -> None:
        """Gives a run that is there the files of its record: one that was damaged and trained again has others."""
        link(self._folder_of(record) / LOG, run.artifact_uri)
        if link(self._folder_of(record) / WEIGHTS, run.artifact_uri) and run.weights_sha256 != record.weights_sha256:
            self._client.set_tag(run.run_id, "weights_sha256", record.weights_sha256)

    def _mark_superseded(self) -> None:
        """Tags what this version of the study file does not ask for, and runs that are there twice, so that reports
        leave them out."""
        self._runs, self._duplicates = existing_runs(self._client, self._experiment_id)
        unwanted = [run for key, run in self._runs.items() if key not in self._keys]
        for run in [*unwanted, *self._duplicates]:
            if not run.superseded:
                self._client.set_tag(run.run_id, "superseded", "true")
            if run.status == "RUNNING":
                self._client.set_terminated(run.run_id, "KILLED")

    def _write_cells(self) -> None:
        """A run for each cell, and views whose charts show where the cells ended."""
        shown = write_cells(self._client, self._experiment_id, self._study, self._confirmed)
        write_views(self._client, self._experiment_id, self._study, lambda line: None, shown)

    def log_failure(self, planned: PlannedTraining, message: str, log: str = "") -> bool:
        """A training whose code raised: a run with the outcome `failed` and the traceback; it is tried again by the
        next run of the study. False where it was not taken."""
        with suppress(MlflowException, OSError):
            tags = failure_tags(planned, self.parent_run_id)
            run = self._client.create_run(
                self._experiment_id, tags=tags, run_name=planned.title[:_MOST_CHARACTERS_OF_A_NAME]
            )
            self._client.log_text(run.info.run_id, message, "failure.txt")
            if log:
                self._client.log_text(run.info.run_id, log, LOG)
            self._client.set_terminated(run.info.run_id, "FAILED")
            return True
        return False


def _is_refusal(error: BaseException) -> bool:
    """Whether the server answered, and turned down this one request."""
    return isinstance(error, MlflowException) and error.error_code in _REFUSALS
