"""One execution of a study from its file to its last record: data, records, tracking, Ray, started side by side."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from study.addresses.reachable import require_reachable
from study.addresses.stores import database_path
from study.errors import StudyError
from study.execution.capacity import Resources
from study.execution.dispatcher import Dispatcher
from study.execution.execution import Completed, Execution
from study.execution.packing import Packing
from study.protocol.cell_protocol import PlannedTraining
from study.protocol.counts import num_trainings
from study.records.identity import libraries
from study.records.records import Record, Records, Unfinished
from study.records.writer import RecordWriter
from study.run.deferred_tracker import DeferredTracker
from study.run.display import Display
from study.run.lock import only_one
from study.run.logs import StudyLog, study_log
from study.run.options import Options, check_options, requested_packing
from study.run.provenance import execution_facts
from study.run.replay import load_datasets, replay
from study.spec import Study
from study.spec.code import code_of
from study.spec.trials import trial_notes
from study.tracking.server import require_sqlite, require_store
from study.tracking.writer import Writer
from study.worker.checkpoints import remove_superseded
from study.worker.job import WorkerSettings
from study.worker.scratch import scratch_folder
from vae.errors import StoppedError

if TYPE_CHECKING:
    from study.tracking.tracker import Tracker


def run_study(study: Study, options: Options, report: Callable[[str], None] = print) -> Execution:
    """Runs what the study asks for and no record answers; returns the finished execution.

    Raises RequestError, StudyError, StoppedError, and SharedStorageError, DataError, TrackingError, LaunchError,
    RecordsError of its parts.
    """
    check_options(study, options)
    packing = requested_packing(study, options, report)
    if options.address:
        require_reachable(options.address)
    require_store(options.tracking_uri)
    facts = {"command": options.command, "outputs": options.outputs.absolute(), "address": options.address}
    with (
        _prompt_threads(),
        only_one(options.outputs, study.name),
        study_log(options.files.logs, study.name, report, options.tracking_uri, **facts) as log,
    ):
        require_sqlite(options.tracking_uri)
        session = Session(study, options, log, log.beside(report))
        session.run(packing)
    return session.execution


class Session:
    """An execution of a study under way. It observes the trainings, and shows, logs, records and tracks them."""

    def __init__(self, study: Study, options: Options, log: StudyLog, report: Callable[[str], None]) -> None:
        self._study = study
        self._options = options
        self._log = log
        self._report = report
        self._records = Records(options.files.trainings, report)
        self._remove_superseded()
        self._datasets = load_datasets(study, options.files.data, report)
        for note in trial_notes(study):
            report(f"note: {note}")
        self.execution = replay(study, self._datasets, self._records, options.device, options.code_changed, report)
        self._display = Display(study, num_trainings(study))
        self._tracker = DeferredTracker(self._open_tracker, self.execution, log)
        self._writer = RecordWriter(self._records, self._tracker.add, log.of_record)

    def run(self, packing: Packing) -> None:
        """Trains what is missing. Raises StudyError where the study does not come to its end."""
        self._display.replayed(self.execution.replayed)
        self._log.say("replayed", num_trainings=self.execution.num_replayed)
        if self.execution.idle:
            with self._tracker:
                pass
        else:
            self._train(packing)
            self._remove_superseded()  # those of a node that was cut off and trained on to the end
        self._require_finished()

    def _train(self, packing: Packing) -> None:
        """Runs the released trainings on Ray until the execution is idle. MLflow opens with the first report of one; no
        training waits for it."""
        from study.cluster.connection import cluster_with_room
        from study.cluster.launch import run

        options, share = self._options, packing.gpu_share
        resources = Resources(options.address, options.num_cpus, options.num_gpus, options.device, share)
        settings = WorkerSettings(
            options.checkpoint_location, options.device, share, options.checkpoint_every_seconds, libraries()
        )
        with (
            cluster_with_room(resources, code_of(self._study), self.message) as room,
            self._tracker,
            self._writer,
        ):
            self._log.say(
                "workers_ready", num_workers=room.num_workers, device=resources.device, address=resources.address
            )
            dispatcher = Dispatcher(self.execution, self, self._study.name, settings, packing, room)
            with self._display:
                run(dispatcher, self._datasets, options.files.ray, resources)
            if dispatcher.stopping:
                raise StoppedError(
                    "stopped; everything finished is kept and what was under way is checkpointed. The same command"
                    " continues."
                )

    def started(self, planned: PlannedTraining, identity: str, trial: str) -> None:
        """A training was handed to a worker."""
        self._display.started(planned)
        self._log.training_started(planned, identity, trial)

    def progressed(self, planned: PlannedTraining, samples: int, resumed_samples: int) -> None:
        """A training is so far."""
        self._tracker.open()
        self._display.progressed(planned, samples, resumed_samples)

    def measured(self, planned: PlannedTraining, unfinished: Unfinished) -> None:
        """A training that goes on has come so far: MLflow has its run from here on."""
        self._tracker.follow(planned, unfinished)

    def trained(self, planned: PlannedTraining, record: Record, weights: bytes) -> None:
        """A training ended: its record is queued for the disk."""
        self._writer.write(record, weights)
        self._display.trained(planned)

    def completed(self, completed: Sequence[Completed]) -> None:
        """Places of the study are done: MLflow has them once their records are on the disk."""
        for planned, record in completed:
            self._writer.pass_on(planned, record)
            self._display.done(planned, record)

    def failed(self, planned: PlannedTraining, identity: str, message: str) -> None:
        """A training is given up."""
        self._tracker.give_up(planned)
        self._display.failed(planned, self._log.public(message))
        self._log.training_failed(planned, identity, message)

    def message(self, text: str) -> None:
        """Something that a person should know."""
        self._log.beside(self._display.say)(text)

    def tick(self) -> None:
        """A turn of the driver's loop. Raises what went wrong with MLflow or the disk."""
        self._tracker.check()
        self._writer.check()
        self._display.tick()

    def _open_tracker(self) -> Tracker:
        return open_tracker(self._study, self._options, self._log, self.execution.replayed, self._report)

    def _remove_superseded(self) -> None:
        """Removes the checkpoints of recorded trainings wherever the driver sees some."""
        for location in dict.fromkeys(
            (str(self._options.files.checkpoints), self._options.checkpoint_location or str(scratch_folder()))
        ):
            remove_superseded(location, lambda identity: self._records.path(identity).is_dir())

    def _require_finished(self) -> None:
        """Raises StudyError, with what failed and what waits for it, where the study has not come to its end."""
        if self.execution.finished:
            return
        if not self.execution.failures:
            raise StudyError(
                "Ray ended before the study did. Everything that finished is kept; the same command continues."
            )
        first = self.execution.failures[0]
        last_line = self._log.public(first.message).strip().splitlines()[-1]
        waiting = "; ".join(cell.name or cell.label for cell in self.execution.waiting_cells)
        consequence = (
            "\nCells that are compared with theirs wait for them, since it is not known whether there is an extra"
            f" round: {waiting}."
        )
        raise StudyError(
            f"{len(self.execution.failures)} trainings failed; the first: {first.planned.title}: {last_line}"
            f"{consequence if waiting else ''}\nThe whole traceback is in its MLflow run (failure.txt). Everything else"
            " is kept; after mending the cause the same command continues."
        )


def open_tracker(
    study: Study, options: Options, log: StudyLog, replayed: Sequence[Completed], report: Callable[[str], None]
) -> Tracker:
    """The study's tracker, told of this execution and of what is recorded already."""
    from study.tracking.tracker import Tracker  # imports mlflow, which takes seconds

    local = database_path(options.tracking_uri) is not None
    tracker = Tracker(
        options.tracking_uri,
        study,
        artifacts=options.files.artifacts if local else None,
        folder_of=lambda record: options.files.trainings / record.identity.hash,
        report=report,
    )
    facts = execution_facts(log.public(options.command)) | {"log": str(log.path.relative_to(options.outputs))}
    tracker.begin(facts, replayed=[planned.position for planned, _ in replayed], writer=Writer.of(options.outputs))
    for planned, record in replayed:
        tracker.add(planned, record)
    return tracker


@contextlib.contextmanager
def _prompt_threads() -> Iterator[None]:
    """Threads take turns ten times as often: a core waits for Tune's loop, which after each system call would wait 5
    ms for the MLflow writer."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(before / 10)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
