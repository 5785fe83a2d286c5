"""MLflow as a projection of the records: one writer, batched, idempotent. The only module of study that imports
mlflow."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

for _name, _given in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}.items():
    os.environ.setdefault(_name, _given)  # read by mlflow at import

from mlflow import MlflowClient
from mlflow.entities import Experiment, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException

from study.addresses.credentials import public_line, without_credentials
from study.errors import TrackingError
from study.protocol.cell_protocol import PlannedTraining
from study.protocol.declarations import TAG, recorded_declarations
from study.records.records import LOG, WEIGHTS, Record
from study.spec import Study
from study.tracking.contents import run_key, run_params, run_tags, text_or_none
from study.tracking.parent_run import study_note, with_execution
from study.tracking.seal import SEAL, STUDY_SEAL, seal_of, study_seal
from study.tracking.server import require_sqlite
from study.tracking.store import link, require_database
from study.tracking.writer import BEAT_SECONDS, Writer, beat, require_unheld
from study.tracking.writer import TAG as WRITER_TAG
from vae.errors import type_and_first_line

logging.getLogger("alembic").setLevel(logging.WARNING)
logging.getLogger("mlflow").setLevel(logging.WARNING)

_BATCH = 900
"""Metrics in one call; the server takes at most 1,000."""

_PAGE = 250
"""Runs asked for at once: each takes about 0.1 MB while it is read."""

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
class _Known:
    """What is kept of a nested run: ten thousand whole ones would be 300 MB."""

    run_id: str
    artifact_uri: str
    status: str
    started_ms: int
    superseded: bool
    code_kept: bool
    weights_sha256: str

    @classmethod
    def of(cls, run: Run) -> _Known:
        tags = run.data.tags
        superseded, code_kept = (tags.get(name) == "true" for name in ("superseded", "code_kept"))
        info = run.info
        return cls(
            info.run_id,
            info.artifact_uri or "",
            info.status,
            info.start_time,
            superseded,
            code_kept,
            tags.get("weights_sha256", ""),
        )


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
        place: Callable[[Record], Path],
        report: Callable[[str], None] = print,
    ) -> None:
        self._uri = without_credentials(uri)  # as messages name it
        self._study = study
        self._place = place
        self._report = report
        self._queue: queue.SimpleQueue[tuple[PlannedTraining, Record] | None] = queue.SimpleQueue()
        self._error: str | None = None
        self._num_failures = 0
        self._num_written = 0
        self._refused: list[str] = []
        self._writer: Writer | None = None
        self._last_beat = 0.0
        self._wanted: set[str] = set()
        require_sqlite(uri)
        with _answering(self._uri):
            require_database(uri)
            self._client = MlflowClient(uri)
            self._experiment_id = self._find_or_create_experiment(artifacts)
            self._runs, self._duplicates = self._existing_runs()
            self.parent_run_id = self._find_or_create_parent()
        self._thread = threading.Thread(target=self._work, name="mlflow writer", daemon=True)
        self._thread.start()

    def begin(self, execution: Mapping[str, Any], replayed: Collection[str] = (), writer: Writer | None = None) -> None:
        """Marks the parent run as running again, and lists this execution (time, machine, versions, commit) on it.

        Raises TrackingError where another execution than `writer` writes this study at present, after up to 45 s in
        which it shows whether it lives. `replayed`: the places of trainings that are recorded on disk already,
        whether or not this store has them: what is declared now was declared after them.
        """
        with _answering(self._uri):
            if writer is not None:
                require_unheld(self._client, self.parent_run_id, writer, self._uri, self._report)
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
            **{name: str(given) for name, given in execution.items()},
        }
        declared = recorded_declarations(
            parent.data.tags.get(TAG), self._study, {*replayed, *(key.rpartition("|")[0] for key in self._runs if key)}
        )
        if declared is not None:
            tags[TAG] = declared
        self._client.log_batch(self.parent_run_id, tags=[RunTag(name, given) for name, given in tags.items()])
        self._client.update_run(self.parent_run_id, status="RUNNING")
        self._client.set_experiment_tag(self._experiment_id, "mlflow.note.content", study_note(self._study))
        self._client.log_dict(self.parent_run_id, self._study.model_dump(mode="json"), "study/study.json")

    def add(self, planned: PlannedTraining, record: Record) -> None:
        """Queues a finished training; returns at once."""
        self._wanted.add(run_key(planned, record.identity.hash))
        self._queue.put((planned, record))

    def close(self, complete: bool, seconds: float = 60.0) -> str | None:
        """Waits until all that was added is written, and ends the parent run; a message where MLflow did not take it
        all.

        Gives up when nothing could be written for `seconds`.
        """
        self._queue.put(None)
        written = -1
        while self._thread.is_alive() and written != self._num_written:
            written = self._num_written
            self._thread.join(seconds)
        if not self._refused and (self._thread.is_alive() or self._error):
            return (
                f"MLflow at {self._uri} did not take everything ({self._error or 'too slow'}); nothing is lost: run the"
                " same command again when it answers"
            )
        complete = complete and not self._refused
        try:
            if complete:
                self._mark_superseded()
            self._client.set_terminated(self.parent_run_id, "FINISHED" if complete else "KILLED")
        except Exception as error:  # noqa: BLE001 - whatever it is, the records are safe
            return f"MLflow at {self._uri}: {_cause(error)}; run the same command again when it answers"
        if self._refused:
            return (
                f"MLflow at {self._uri} refuses {len(self._refused)} of the trainings, first {self._refused[0]}. Their"
                " records are kept, and the same command offers them again"
            )
        return None

    def _find_or_create_experiment(self, artifacts: Path | None) -> str:
        experiment = self._client.get_experiment_by_name(self._study.name)
        if experiment is None:
            tags = {
                "mlflow.experimentKind": "custom_model_development"
            }  # the UI then shows runs, not traces and prompts
            return str(
                self._client.create_experiment(
                    self._study.name, artifacts.absolute().as_uri() if artifacts else None, tags
                )
            )
        self._require_active(experiment)
        return str(experiment.experiment_id)

    def _require_active(self, experiment: Experiment) -> None:
        if experiment.lifecycle_stage != "active":
            raise TrackingError(
                f"the MLflow experiment {self._study.name!r} was deleted; restore it with `mlflow experiments restore"
                f" --experiment-id {experiment.experiment_id}`, or give the study another name"
            )

    def _existing_runs(self) -> tuple[dict[str, _Known], list[_Known]]:
        """The trainings that MLflow has already, by their key; and runs that share their key with another.

        Of two with the same key the finished one counts: a server that goes away may have made a run and never said so.
        """
        found: dict[str, _Known] = {}
        duplicates: list[_Known] = []
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment_id], "tags.kind = 'training'", max_results=_PAGE, page_token=token
            )
            for run in page:
                key, known = run.data.tags.get("key", ""), _Known.of(run)
                kept = found.setdefault(key, known)
                if kept is known or not key:
                    continue
                if known.status == "FINISHED" and kept.status != "FINISHED":
                    found[key] = known
                duplicates.append(kept if found[key] is known else known)
            token = page.token
            if not token:
                return found, duplicates

    def _find_or_create_parent(self) -> str:
        found = list(
            self._client.search_runs(
                [self._experiment_id], "tags.kind = 'study'", order_by=["attributes.start_time ASC"], max_results=1
            )
        )
        if found:
            return str(found[0].info.run_id)
        return str(
            self._client.create_run(
                self._experiment_id, tags={"kind": "study", "study": self._study.name}, run_name=self._study.name
            ).info.run_id
        )

    def _work(self) -> None:
        """Writes what is queued, in order; while the server is away it tries again, until the end of the study."""
        pending: list[tuple[PlannedTraining, Record]] = []
        closing_down = False
        while not (closing_down and (not pending or self._num_failures >= _LAST_ATTEMPTS)):
            with suppress(queue.Empty):
                item = self._queue.get(timeout=_RETRY_SECONDS if pending else BEAT_SECONDS)
                closing_down = closing_down or item is None
                pending += [item] if item is not None else []
                while not self._queue.empty():
                    item = self._queue.get()
                    closing_down = closing_down or item is None
                    pending += [item] if item is not None else []
            pending = self._write_pending(pending)
            self._beat()

    def _beat(self) -> None:
        """Shows that this execution lives, now and then."""
        if self._writer is None or self._error is not None or time.monotonic() - self._last_beat < BEAT_SECONDS:
            return
        other = beat(self._client, self.parent_run_id, self._writer)
        self._last_beat = time.monotonic()
        if other is not None:
            self._report(
                f"MLflow at {self._uri}: this study is also being run by {other}; both write the same trainings. Stop"
                " one of them"
            )

    def _write_pending(self, pending: list[tuple[PlannedTraining, Record]]) -> list[tuple[PlannedTraining, Record]]:
        """Writes in order; what is left where the server is away. A training that a server refuses twice does not
        hold up those behind it."""
        while pending:
            try:
                if self._error is not None:  # what was under way when the server went may be there or not
                    self._runs, self._duplicates = self._existing_runs()
                self._write(*pending[0])
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
                self._num_failures += 1
                if _is_refusal(error) and self._num_failures >= _LAST_ATTEMPTS:
                    self._set_aside(pending[0][0], error)
                    pending = pending[1:]
                    continue
                if self._error is None:
                    self._report(
                        f"MLflow does not take results at present ({_cause(error)}); they are kept and written later"
                    )
                self._error = _cause(error)
                return pending
            self._beat()
            if self._error is not None:
                self._report("MLflow takes results again")
            self._error = None
            self._num_failures = 0
            self._num_written += 1
            pending = pending[1:]
        return pending

    def _set_aside(self, planned: PlannedTraining, error: BaseException) -> None:
        """Leaves a training to the next execution, which finds it among the records."""
        self._refused.append(f"{planned.title} ({_cause(error)})")
        if len(self._refused) == 1:
            self._report(f"MLflow refuses {self._refused[0]}; what comes after it is written all the same")
        self._num_failures = 0

    def _write(self, planned: PlannedTraining, record: Record) -> None:
        """One training as one nested run; does nothing for one that is there, and completes one that is there in
        part."""
        key = run_key(planned, record.identity.hash)
        run = self._runs.get(key)
        if run is not None and run.status == "FINISHED":
            self._renew_files(run, record)
            if run.superseded:
                self._client.set_tag(run.run_id, "superseded", "false")
            if run.code_kept != record.code_kept:
                self._client.set_tag(run.run_id, "code_kept", str(record.code_kept).lower())
            return
        if (
            run is not None and run.started_ms != record.started_ms
        ):  # begun with a record that was damaged since, of which it may hold points
            run = None
        if run is None:
            tags = run_tags(planned, record, self._study.name, self.parent_run_id) | {"key": key}
            tags[SEAL] = seal_of(
                record.started_ms,
                run_params(record),
                tags,
                ((each.key, each.step, each.value) for each in _metrics(record)),
            )
            run = _Known.of(
                self._client.create_run(
                    self._experiment_id,
                    start_time=record.started_ms,
                    tags=tags,
                    run_name=planned.title[:_MOST_CHARACTERS_OF_A_NAME],
                )
            )
            self._runs[key] = run
        metrics = _metrics(record)
        self._client.log_batch(
            run.run_id,
            metrics=metrics[:_BATCH],
            params=[Param(name, text) for name, text in run_params(record).items()],
        )
        for start in range(_BATCH, len(metrics), _BATCH):
            self._client.log_batch(run.run_id, metrics=metrics[start : start + _BATCH])
        for file in (self._place(record) / name for name in (WEIGHTS, LOG)):
            if not link(file, run.artifact_uri) and (file.name == WEIGHTS or file.exists()):
                self._client.log_artifact(run.run_id, str(file))
        self._client.set_terminated(run.run_id, "FINISHED", record.finished_ms)
        self._runs[key] = replace(run, status="FINISHED")

    def _renew_files(self, run: _Known, record: Record) -> None:
        """Gives a run that is there the files of its record: one that was damaged and trained again has others."""
        link(self._place(record) / LOG, run.artifact_uri)
        if link(self._place(record) / WEIGHTS, run.artifact_uri) and run.weights_sha256 != record.weights_sha256:
            self._client.set_tag(run.run_id, "weights_sha256", record.weights_sha256)

    def _mark_superseded(self) -> None:
        """Tags what this version of the study file does not ask for, and runs that are there twice, so that reports
        leave them out."""
        self._runs, self._duplicates = self._existing_runs()
        unwanted = [run for key, run in self._runs.items() if key not in self._wanted]
        for run in [*unwanted, *self._duplicates]:
            if not run.superseded:
                self._client.set_tag(run.run_id, "superseded", "true")
            if run.status == "RUNNING":
                self._client.set_terminated(run.run_id, "KILLED")

    def log_failure(self, planned: PlannedTraining, message: str, log: str = "") -> bool:
        """A training whose code raised: a run with the outcome `failed` and the traceback; it is tried again by the
        next run of the study. False where it was not taken."""
        with suppress(MlflowException, OSError):
            tags = {
                "mlflow.parentRunId": self.parent_run_id,
                "kind": "training",
                "phase": planned.phase,
                "cell": planned.cell.label,
                "seed": str(planned.replicate),
            }
            tags |= {
                "proposal": text_or_none(planned.proposal),
                "rank": text_or_none(planned.rank),
                "outcome": "failed",
                "superseded": "true",
            }
            tags |= {
                name: str(number)
                for name, number in (("extra_round", planned.extra_round), ("repeat", planned.repeat))
                if number
            }
            run = self._client.create_run(
                self._experiment_id, tags=tags, run_name=planned.title[:_MOST_CHARACTERS_OF_A_NAME]
            )
            self._client.log_text(run.info.run_id, message, "failure.txt")
            if log:
                self._client.log_text(run.info.run_id, log, LOG)
            self._client.set_terminated(run.info.run_id, "FAILED")
            return True
        return False


def _metrics(record: Record) -> list[Metric]:
    """Every point of the curve with the time at which it was measured."""
    points = [
        Metric(name, nats, evaluation.timestamp_ms, evaluation.samples)
        for evaluation in record.evaluations
        for name, nats in [*evaluation.metrics.items(), ("seconds", evaluation.seconds)]
    ]
    if record.diverged_at_samples is not None:
        points.append(
            Metric("diverged_at_samples", record.diverged_at_samples, record.finished_ms, record.diverged_at_samples)
        )
    return points


def num_experiments(uri: str) -> int:
    """How many experiments the store at that address shows this user, at most a thousand. Raises TrackingError where
    it cannot be used."""
    with _answering(without_credentials(uri)):
        require_database(uri)
        return len(MlflowClient(uri).search_experiments(max_results=1000))


@contextmanager
def _answering(uri: str) -> Iterator[None]:
    """Turns what a store that is away, or damaged, or not one of MLflow's raises into a TrackingError."""
    try:
        yield
    except Exception as error:
        if isinstance(error, TrackingError):
            raise
        said = _cause(error)
        if "error code 401" in said or "error code 403" in said:
            message = (
                f"MLflow at {uri} does not let this user in; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
                " (or MLFLOW_TRACKING_TOKEN) to what it knows"
            )
            raise TrackingError(message) from error
        message = (
            f"MLflow at {uri} cannot be used: {said}. Start it, or give another --tracking-uri (default: SQLite in the"
            " outputs folder)"
        )
        raise TrackingError(message) from error


def _is_refusal(error: BaseException) -> bool:
    """Whether the server answered, and turned down this one request."""
    return isinstance(error, MlflowException) and error.error_code in _REFUSALS


def _cause(error: BaseException) -> str:
    return public_line(type_and_first_line(error))
