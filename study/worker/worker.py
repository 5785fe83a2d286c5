"""What a worker does with one trial after another: trains its members, one or several, a few seconds at a time. Knows
no Ray."""

from __future__ import annotations

import contextlib
import gc
import math
import os
import socket
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from study.records.identity import libraries
from study.worker.checkpoints import checkpoint_path, is_of_writing, list_members, packs_with, remove_checkpoint
from study.worker.job import DeviceLostError, Job, Member, MemberCurve, MemberResult, TrialReport, WorkerSettings
from study.worker.scratch import scratch_folder
from study.worker.shared_checkpoints import SharedCheckpoints
from study.worker.storage import is_uri
from vae.checkpoint import encode_weights
from vae.configuration import TrainingConfiguration
from vae.data.dataset import Dataset
from vae.errors import first_line
from vae.minibatches import PreparedData, prepare
from vae.outcomes import Progress
from vae.pack.members import PackedTraining
from vae.pack.memory import device_memory, is_out_of_memory, members_that_fit, num_images_on_device
from vae.pack.pack import Pack
from vae.pack.shape import PackError
from vae.training import Training, TrainingResult

PAUSE_SECONDS = 2.0
"""A worker reports where it is at least this often; between two reports it cannot be stopped."""

CURVES_EVERY_SECONDS = 5.0
"""A report brings the curves so far at most this often; those of a shorter training come with its result alone."""

BYTES_PER_REPORT = 2**28
"""Weights that are handed over in one report, at least one member's: those of a large pack would be gigabytes in one
piece."""


_DEVICE_ERRORS = ("CUDA error", "CUDA driver error", "No CUDA GPUs are available")


class Worker:
    """Trains one job after another, in slices."""

    def __init__(self, datasets: Mapping[str, Dataset]) -> None:
        self._datasets = datasets
        self._prepared: dict[tuple[Any, ...], PreparedData] = {}
        self._trial: _Trial | None = None
        self._superseded: list[Path] = []
        self._shared: dict[str, SharedCheckpoints] = {}
        self._device_fault = ""

    def take(self, job: Job) -> None:
        """Takes the next job; what the last one left unfinished is in its checkpoint."""
        self.stop()
        self._trial = _Trial(job, self._data, self._superseded, self._shared_checkpoints(job.settings.checkpoints))

    def step(self) -> TrialReport:
        """Trains for PAUSE_SECONDS or to the next evaluation. What the user's own code raises is reported, and the
        worker lives on.

        A GPU that fails is reported too; after that every step raises DeviceLostError, so that another process goes
        on with the job.
        """
        if self._device_fault:
            raise DeviceLostError(self._device_fault)
        if self._trial is None:
            raise RuntimeError("the worker has no job")
        trial = self._trial
        if fault := _libraries_fault(trial.settings.libraries):
            self._trial = None
            return trial.report(failure=fault)
        try:
            return trial.step()
        except Exception as error:  # noqa: BLE001 - the user's model may raise anything
            self._trial = None
            if trial.settings.device == "cuda" and is_of_device(error):
                line = traceback.extract_tb(error.__traceback__)[-1]
                self._device_fault = (
                    f"the GPU of a worker on {_machine()} failed ({first_line(error)}, in"
                    f" {line.filename}:{line.lineno}); the worker is started anew"
                )
                return trial.report(message=self._device_fault)
            return trial.report(failure=traceback.format_exc().rstrip())

    def stop(self) -> None:
        """Saves what is unfinished, so that the same command continues from here."""
        if self._trial is not None:
            self._trial.save()
        self._trial = None
        for checkpoint in self._superseded:
            remove_checkpoint(checkpoint)
            for shared in self._shared.values():
                shared.remove(checkpoint)
        self._superseded.clear()
        for shared in self._shared.values():
            shared.finish()

    def _shared_checkpoints(self, uri: str) -> SharedCheckpoints | None:
        if is_uri(uri) and uri not in self._shared:
            self._shared[uri] = SharedCheckpoints(uri)
        return self._shared.get(uri)

    def _data(self, configurations: Sequence[TrainingConfiguration]) -> list[PreparedData]:
        """The data of each training of a job, shared where they are the same; kept for the next job."""
        keys = [(own.dataset, own.train_on_all, own.pixels, own.binarisation_seed) for own in configurations]
        self._prepared = {key: self._prepared[key] for key in keys if key in self._prepared}
        for key, own in zip(keys, configurations, strict=True):
            if key not in self._prepared:
                self._prepared[key] = prepare(self._datasets[own.dataset], own)
        return [self._prepared[key] for key in keys]


class _Trial:
    """One job: one training as a vae.training.Training, several as a vae.pack.pack.Pack, or as parts that fit, one
    after the other, where memory is short."""

    def __init__(
        self,
        job: Job,
        prepared: Callable[[Sequence[TrainingConfiguration]], list[PreparedData]],
        superseded: list[Path],
        shared: SharedCheckpoints | None = None,
    ) -> None:
        self._job = job
        self.settings = job.settings
        self._shared = shared
        self._prepared = prepared
        self._superseded = superseded  # checkpoints to be removed with the next job, when the driver has the records
        self._to_train = deque(job.members)
        self._part_size: int | None = None
        self._part: tuple[Member, ...] = ()
        self._running: Training | Pack | None = None
        self._progress: Iterator[Progress] = iter(())
        self._samples = self._resumed_samples = 0
        self._trained: deque[tuple[Member, TrainingResult]] = deque()
        self._handed_over: set[str] = set()
        self._messages: list[str] = []
        self._curves_due = time.monotonic() + CURVES_EVERY_SECONDS

    @cached_property
    def _trainings(self) -> dict[str, tuple[TrainingConfiguration, PreparedData]]:
        """By identity. Read with the first step, whose errors are reported: they may name code that this node lacks."""
        members = self._job.members
        configurations = [TrainingConfiguration.model_validate_json(member.configuration) for member in members]
        pairs = zip(configurations, self._prepared(configurations), strict=True)
        return dict(zip((member.identity for member in members), pairs, strict=True))

    def step(self) -> TrialReport:
        """A slice of the training, or of handing over its results. Raises what the user's code raises."""
        if self._trained:
            return self._hand_over()
        try:
            return self._train()
        except OSError as error:
            if not is_of_writing(error):
                raise
            return self._go_on_without_checkpoint(error)
        except PackError as error:
            size, reason = 1, str(error)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or len(self._part) <= 1:
                raise
            size = math.ceil(len(self._part) / 2)
            reason = f"{_machine()} ran out of memory with {len(self._part)} trainings at once"
        return self._divide(size, reason)  # here, where no traceback holds what the pack took

    def save(self) -> None:
        """Checkpoints what is under way."""
        if self._running is not None:
            with contextlib.suppress(OSError):
                self._running.save()
            if self._shared:
                self._shared.finish(self._checkpoint())

    def report(self, results: Sequence[MemberResult] = (), failure: str = "", message: str = "") -> TrialReport:
        """Where the trial is."""
        if message:
            self._messages.append(message)
        messages, self._messages = (*self._messages, *(self._shared.problems() if self._shared else ())), []
        if failure and len(self._part) > 1:
            failure += f" (one of {len(self._part)} trained at once; --pack-size 1 trains one at a time)"
        return TrialReport(
            self._samples,
            _machine(),
            done=bool(failure) or not (self._running or self._trained or self._to_train),
            handing_over=bool(self._trained),
            results=tuple(results),
            messages=messages,
            failure=failure,
            resumed_samples=self._resumed_samples,
            curves=self._curves(),
        )

    def _curves(self) -> tuple[MemberCurve, ...]:
        """Those of the members that train on, where it is time to tell."""
        if self._running is None or time.monotonic() < self._curves_due:
            return ()
        self._curves_due = time.monotonic() + CURVES_EVERY_SECONDS
        if isinstance(self._running, Training):
            return (_curve(self._part[0], self._running),)
        going_on = zip(self._part, self._running.trainings, strict=True)
        return tuple(_curve(member, own) for member, own in going_on if own in self._running.members)

    def _train(self) -> TrialReport:
        """A slice of the part that runs; the last one begins to hand over its results."""
        if self._running is None:
            self._running = self._begin()
            self._resumed_samples = self._running.samples
            self._progress = self._running.run(PAUSE_SECONDS)
        self._samples = next(self._progress).samples
        if self._shared:
            self._shared.copy(self._checkpoint())
        self._trained += self._ended(self._running)
        if isinstance(self._running, Pack) and self._running.members:
            return self._hand_over() if self._trained else self.report()
        if self._trained:
            self._superseded += [self._running.resume_point.path] if self._running.resume_point.path else []
            self._running, self._progress = None, iter(())
            return self._hand_over()
        return self.report()

    def _ended(self, running: Training | Pack) -> list[tuple[Member, TrainingResult]]:
        """The members of the part that runs that ended with this slice, and what came of them."""
        if isinstance(running, Pack):
            return [(self._part[place], result) for place, result in running.take_results().items()]
        return [] if running.result is None else [(self._part[0], running.result)]

    def _begin(self) -> Training | Pack:
        if self._part_size is None:
            self._part_size = self._size_of_parts()
        self._part = tuple(self._to_train.popleft() for _ in range(min(self._part_size, len(self._to_train))))
        if self.settings.device == "cuda":  # a pack that outgrows its share fails itself, not its neighbour
            torch.cuda.set_per_process_memory_fraction(self.settings.memory_share if len(self._part) > 1 else 1.0)
        checkpoint, identities = self._checkpoint(), [member.identity for member in self._part]
        if self._shared:
            self._shared.fetch(checkpoint)
            self._shared.fetch_packs(checkpoint, identities)
        options: dict[str, Any] = {
            "device": self.settings.device,
            "checkpoint": checkpoint,
            "checkpoint_every_seconds": self.settings.checkpoint_every_seconds,
        }
        further = packs_with(checkpoint, identities)
        if len(self._part) == 1 and not further:
            configuration, data = self._trainings[identities[0]]
            return Training(configuration, self._part[0].seeds, data, **options)
        try:
            list_members(checkpoint, identities)
        except OSError as error:
            self._say_unwritten(error)
        trainings = [
            PackedTraining(configuration, member.seeds, data)
            for member in self._part
            for configuration, data in [self._trainings[member.identity]]
        ]
        return Pack(trainings, **options, further=further, report=self._messages.append)

    def _go_on_without_checkpoint(self, error: OSError) -> TrialReport:
        """A full disk costs no training: it goes on from where it is, in memory, and tries to write again after as
        long as it waits between two checkpoints."""
        self._say_unwritten(error)
        if self._running is not None:
            self._running.resume_point.every_seconds += max(PAUSE_SECONDS, self.settings.checkpoint_every_seconds)
            self._progress = self._running.run(PAUSE_SECONDS)
        return self.report()

    def _say_unwritten(self, error: OSError) -> None:
        self._messages.append(
            f"{_machine()} cannot write checkpoints ({error.strerror}); trainings there go on without them, and start"
            " anew where they are stopped"
        )

    def _checkpoint(self) -> Path:
        """That of the part that was begun last."""
        folder = scratch_folder() if self._shared or not self.settings.checkpoints else Path(self.settings.checkpoints)
        return checkpoint_path(folder, [member.identity for member in self._part])

    def _size_of_parts(self) -> int:
        """As many members as memory holds, in parts of about one size; at least one, which is trained alone."""
        num_members = len(self._job.members)
        if num_members == 1:
            return 1
        memory_bytes = _memory_bytes(self.settings)
        configurations, data = zip(*self._trainings.values(), strict=True)
        fit = max(1, members_that_fit(configurations, data[0].num_pixels, num_images_on_device(data), memory_bytes))
        size = math.ceil(num_members / math.ceil(num_members / fit))
        if size < num_members:
            self._messages.append(
                f"{_machine()} has no memory for {num_members} trainings at once; they are trained {size} at a time"
            )
        return size

    def _divide(self, size: int, reason: str) -> TrialReport:
        """Those members of the part that have not ended are trained in smaller parts, from where the checkpoint has
        them."""
        self._superseded.append(self._checkpoint())
        self._to_train.extendleft(member for member in reversed(self._part) if member.identity not in self._handed_over)
        self._part_size = size
        self._running, self._progress, self._samples = None, iter(()), 0
        gc.collect()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        self._messages.append(f"{reason}; they are trained {size} at a time")
        return self.report()

    def _hand_over(self) -> TrialReport:
        """The next of the results, about BYTES_PER_REPORT of them; the last report of a job is that of its last
        results. A pack whose other members train on does so with the step after them."""
        results: list[MemberResult] = []
        while self._trained and sum(len(result.weights) for result in results) < BYTES_PER_REPORT:
            member, result = self._trained.popleft()
            facts = asdict(replace(result, weights={}))
            del facts["weights"]
            facts["pack_size"] = len(self._part)
            configuration, data = self._trainings[member.identity]
            weights = encode_weights(result.weights, configuration, data.sha256)
            results.append(MemberResult(member.identity, facts, weights))
            self._handed_over.add(member.identity)
        return self.report(results)


def _curve(member: Member, own: Training | PackedTraining) -> MemberCurve:
    return MemberCurve(member.identity, own.started_ms, tuple(own.evaluations))


def is_of_device(error: BaseException) -> bool:
    """Whether the GPU, its driver or its context failed, and not the code that ran there; memory that ran out is
    neither."""
    if is_out_of_memory(error):
        return False
    return isinstance(error, torch.AcceleratorError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in _DEVICE_ERRORS)
    )


def _machine() -> str:
    return socket.gethostname()


def _libraries_fault(required: Mapping[str, str]) -> str | None:
    """Why this machine may not train for a driver with other libraries: results are recorded, and found again, under
    the driver's versions."""
    differences = "; ".join(
        f"{name} {version}, and the machine that runs the study has {name} {required[name]}"
        for name, version in libraries().items()
        if required.get(name, version) != version
    )
    if not differences:
        return None
    return (
        f"the node {_machine()} has {differences}: results would differ from what is recorded of them. Install the same"
        " environment on every node, then run the same command again"
    )


def _memory_bytes(settings: WorkerSettings) -> int:
    """What a pack of this job may take of its device's memory. A core's share of the machine's at least, a GPU's
    share at most."""
    if settings.device == "cpu":
        return int(device_memory(settings.device) * max(settings.memory_share, 1 / (os.cpu_count() or 1)))
    gc.collect()  # what an earlier pack held
    total = torch.cuda.mem_get_info(settings.device)[1]
    return min(
        device_memory(settings.device),
        int(settings.memory_share * total) - torch.cuda.memory_allocated(settings.device),
    )
