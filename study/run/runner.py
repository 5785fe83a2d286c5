"""One execution of a study from its file to its last record: data, records, tracking, Ray, started side by side."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from study.addresses.reachable import require_reachable
from study.errors import StudyError
from study.execution.capacity import Resources
from study.execution.dispatcher import Observers
from study.execution.execution import Execution
from study.execution.packing import AUTO, Packing, packing_notes, packing_of
from study.protocol.cell_protocol import PlannedTraining
from study.protocol.counts import num_trainings
from study.records.identity import Identity, training_identity
from study.records.records import Record, Records
from study.records.writer import RecordWriter
from study.run.deferred_tracker import projected
from study.run.display import Display
from study.run.lock import only_one
from study.run.logs import StudyLog, study_log
from study.run.provenance import execution_facts
from study.spec import Study
from study.spec.cells import study_cells, training_configuration
from study.spec.code import code_of
from study.spec.configuration_checks import fixed_fields
from study.tracking.server import require_sqlite, require_store
from study.tracking.writer import Writer
from study.worker.checkpoints import remove_superseded, require_place
from study.worker.scratch import scratch_folder
from study.worker.shared_checkpoints import is_uri
from vae.data.dataset import Dataset, load_dataset
from vae.errors import RequestError, StoppedError
from vae.model.precision import require_precision

if TYPE_CHECKING:
    from study.tracking.tracker import Tracker

CodeChanged = Literal["retrain", "keep"]
Report = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """How a study is run; nothing here changes a result but the kind of device."""

    outputs: Path
    tracking_uri: str
    address: str | None = None
    num_cpus: int | None = None
    num_gpus: int | None = None
    code_changed: CodeChanged | None = None
    checkpoint_every_seconds: float = 30.0
    command: str = ""
    pack_size: str = AUTO
    gpu_share: str = AUTO
    checkpoints: str = ""

    @property
    def device(self) -> str:
        """cuda where GPUs were asked for, else cpu."""
        return "cuda" if self.num_gpus else "cpu"


def load_datasets(study: Study, cache: Path, report: Report) -> dict[str, Dataset]:
    """Every dataset that a cell of the study names. Raises DataError."""
    names = dict.fromkeys(training_configuration(study, cell, "confirm", {}).dataset for cell in study_cells(study))
    return {name: load_dataset(name, cache, report) for name in names}


def replay(study: Study, datasets: dict[str, Dataset], records: Records, options: Options) -> Execution:
    """The execution as far as records take it. Raises RequestError when the code has changed since they were made
    and nobody said what to do."""

    def identify(planned: PlannedTraining) -> Identity:
        return training_identity(
            planned.configuration, planned.seeds, datasets[planned.configuration.dataset].sha256, options.device
        )

    def keep(identity: Identity) -> Record | None:
        record = records.get(identity) or records.same_but_for_code(identity)
        return record and record.model_copy(update={"code_kept": record.identity != identity})

    if options.code_changed == "keep":
        return Execution(study, identify, keep)
    asking, code_differs = options.code_changed is None, False

    def lookup(identity: Identity) -> Record | None:
        nonlocal code_differs
        found = records.get(identity)
        if asking and not code_differs and found is None:
            code_differs = records.same_but_for_code(identity) is not None
        return found

    execution = Execution(study, identify, lookup)
    asking = False  # what is released later in this execution follows from what it trained itself
    if code_differs:
        _require_same_code(Execution(study, identify, keep))
    return execution


def _require_same_code(kept: Execution) -> None:
    num_kept = sum(record.code_kept for _, record in kept.drain())
    if num_kept:
        raise RequestError(
            f"the code in vae/ (or a plug-in) has changed since {num_kept} of this study's trainings were made. Say"
            " --code-changed=retrain to train them again, or --code-changed=keep to use them as they are; the report"
            " marks kept ones."
        )


def run_study(study: Study, options: Options, report: Report = print) -> Execution:
    """Runs what the study asks for and no record answers; returns the finished execution.

    Raises RequestError, StudyError, StoppedError, and SharedStorageError, DataError, TrackingError, LaunchError,
    RecordsError of its parts.
    """
    _require_device(options)
    _require_precisions(study, options)
    require_place(options.checkpoints)
    packing = _packing(study, options, report)
    if options.address:
        require_reachable(options.address)
    require_store(options.tracking_uri)
    with (
        _prompt_threads(),
        only_one(options.outputs, study.name),
        _logged(study, options, report) as log,
        ThreadPoolExecutor(1) as background,
    ):
        report = log.beside(report)
        require_sqlite(options.tracking_uri)
        records = Records(options.outputs / "trainings", report)
        _remove_superseded(options, records)
        execution = replay(study, datasets := load_datasets(study, options.outputs / "data", report), records, options)
        display = Display(study, num_trainings(study))
        display.found(execution.num_replayed)
        replayed = execution.drain()
        for planned, record in replayed:
            display.done(planned, record)
        log.say("replayed", num_trainings=execution.num_replayed)
        open_tracker = partial(
            background.submit, partial(_open_tracker, study, options, records, replayed, report, log)
        )
        if execution.idle:
            with projected(open_tracker(), execution, log.of_failure, log.public):
                pass
        else:
            _train(study, options, packing, execution, datasets, records, open_tracker, display, log)
            _remove_superseded(options, records)  # those of a node that was cut off and trained on to the end
        _require_finished(execution, log)
    return execution


def _train(
    study: Study,
    options: Options,
    packing: Packing,
    execution: Execution,
    datasets: dict[str, Dataset],
    records: Records,
    open_tracker: Callable[[], Future[Tracker]],
    display: Display,
    log: StudyLog,
) -> None:
    """Runs the released trainings on Ray until the execution is idle. MLflow opens while the workers start; no
    training waits for it."""
    from study.cluster.launch import cluster_with_room, run

    resources = Resources(options.address, options.num_cpus, options.num_gpus, options.device, packing.gpu_share)

    with (
        cluster_with_room(resources, code_of(study), log.beside(display.say)) as room,
        projected(open_tracker(), execution, log.of_failure, log.public) as projection,
        RecordWriter(records, projection.add, log.of_record) as writer,
    ):
        log.say("workers_ready", num_workers=room.num_workers, device=resources.device, address=resources.address)

        def started(planned: PlannedTraining, identity: str, trial: str) -> None:
            display.started(planned)
            log.training_started(planned, identity, trial)

        def failed(planned: PlannedTraining, identity: str, message: str) -> None:
            display.failed(planned, log.public(message))
            log.training_failed(planned, identity, message)

        def completed(planned: PlannedTraining) -> None:
            display.trained(planned)
            for done, record in execution.drain():
                writer.pass_on(done, record)
                display.done(done, record)

        def tick() -> None:
            projection.check()
            writer.check()
            display.tick()

        observers = Observers(
            started, display.progressed, writer.write, completed, failed, tick, log.beside(display.say)
        )
        with display:
            went_through = run(
                execution,
                datasets,
                observers,
                study=study.name,
                folder=options.outputs / "ray",
                checkpoints=_checkpoint_place(options),
                room=room,
                resources=resources,
                packing=packing,
                checkpoint_every_seconds=options.checkpoint_every_seconds,
            )
        if not went_through:
            raise StoppedError(
                "stopped; everything finished is kept and what was under way is checkpointed. The same command"
                " continues."
            )


def _logged(study: Study, options: Options, report: Report) -> contextlib.AbstractContextManager[StudyLog]:
    """The log of this execution, begun with what was asked for."""
    asked = {"command": options.command, "outputs": options.outputs.absolute(), "address": options.address}
    return study_log(options.outputs / "logs", study.name, report, options.tracking_uri, **asked)


def _open_tracker(
    study: Study,
    options: Options,
    records: Records,
    replayed: Sequence[tuple[PlannedTraining, Record]],
    report: Report,
    log: StudyLog,
) -> Tracker:
    """The study's tracker, told of this execution and of what is recorded already."""
    from study.tracking.tracker import Tracker  # imports mlflow, which takes seconds

    local = options.tracking_uri.startswith("sqlite:")
    artifacts = options.outputs / "artifacts" if local else None
    tracker = Tracker(
        options.tracking_uri,
        study,
        artifacts=artifacts,
        place=lambda record: records.path(record.identity.hash),
        report=report,
    )
    facts = execution_facts(log.public(options.command)) | {"log": str(log.path.relative_to(options.outputs))}
    tracker.begin(facts, replayed=[planned.place for planned, _ in replayed], writer=Writer.of(options.outputs))
    for planned, record in replayed:
        tracker.add(planned, record)
    return tracker


def _require_finished(execution: Execution, log: StudyLog) -> None:
    """Raises StudyError, with what failed and what waits for it, where the study has not come to its end."""
    if execution.finished:
        return
    if not execution.failures:
        raise StudyError(
            "Ray ended before the study did. Everything that finished is kept; the same command continues."
        )
    first = execution.failures[0]
    last_line = log.public(first.message).strip().splitlines()[-1]
    waiting = [cell.name or cell.label for cell in execution.held_up]
    held = (
        "\nCells that are compared with theirs wait for them, since it is not known whether there is an extra round:"
        f" {'; '.join(waiting)}."
        if waiting
        else ""
    )
    raise StudyError(
        f"{len(execution.failures)} trainings failed; the first: {first.planned.title}: {last_line}{held}\nThe whole"
        " traceback is in its MLflow run (failure.txt). Everything else is kept; after mending the cause the same"
        " command continues."
    )


def _remove_superseded(options: Options, records: Records) -> None:
    """Removes the checkpoints of recorded trainings wherever the driver sees some."""
    for place in dict.fromkeys(
        (str(options.outputs / "checkpoints"), _checkpoint_place(options) or str(scratch_folder()))
    ):
        remove_superseded(place, lambda identity: records.path(identity).is_dir())


def _require_device(options: Options) -> None:
    if options.device == "cuda" and not torch.cuda.is_available() and not options.address:
        raise RequestError(
            f"--num-gpus {options.num_gpus}: torch {torch.__version__} sees no GPU on this machine; leave it out to"
            " train on the CPU"
        )
    if options.num_gpus and not options.address and options.num_gpus > torch.cuda.device_count():
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        shown = f" (CUDA_VISIBLE_DEVICES={visible})" if visible is not None else ""
        raise RequestError(
            f"--num-gpus {options.num_gpus}: torch sees {torch.cuda.device_count()} on this machine{shown}"
        )
    cores = os.cpu_count() or 1
    if options.num_cpus is not None and not options.address and options.num_cpus > cores:
        raise RequestError(
            f"--num-cpus {options.num_cpus}: this machine has {cores}; more trainings at once than cores would only"
            " slow each other"
        )


def _require_precisions(study: Study, options: Options) -> None:
    """Raises RequestError for a cell whose arithmetic this machine does not have; what a cluster's nodes have, they
    say themselves."""
    for cell in study_cells(study) if not options.address else ():
        try:
            require_precision(fixed_fields(study, cell).get("precision", "float32"), options.device)
        except ValueError as error:
            raise RequestError(f"{cell.label}: {error}") from error


def _packing(study: Study, options: Options, report: Report) -> Packing:
    """What the options say about packs; raises RequestError where the study cannot be run so."""
    packing = packing_of(study, options.pack_size, options.gpu_share, options.num_gpus or 0)
    for note in packing_notes(study, packing, options.gpu_share):
        report(note)
    return packing


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


def _checkpoint_place(options: Options) -> str:
    """Where workers checkpoint: where the options say, else in the outputs folder here; on a cluster nowhere that is
    said: each node has a scratch folder."""
    if options.checkpoints and not is_uri(options.checkpoints):
        return str(Path(options.checkpoints).absolute())
    return options.checkpoints or ("" if options.address else str((options.outputs / "checkpoints").absolute()))
