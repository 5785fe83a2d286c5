"""What the driver makes of what Tune tells it: which training starts next, what becomes of a worker's report, of a
worker that died. Knows no Ray."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from study.execution.capacity import Room
from study.execution.execution import Completed, Execution
from study.execution.packing import Packing
from study.protocol.cell_protocol import PlannedTraining
from study.records.identity import Identity
from study.records.records import Record, Unfinished, record_of
from study.worker.job import Job, Member, MemberCurve, MemberResult, TrialReport, WorkerSettings


class Observer(Protocol):
    """Who is told what happens; each method is called on the driver's own thread and must be quick."""

    def started(self, planned: PlannedTraining, identity: str, trial: str) -> None:
        """A training was handed to a worker."""

    def progressed(self, planned: PlannedTraining, samples: int, resumed_samples: int) -> None:
        """A training is so far; this execution took it up at `resumed_samples`."""

    def measured(self, planned: PlannedTraining, unfinished: Unfinished) -> None:
        """A training that goes on has come so far; told every few seconds, of a short one never."""

    def trained(self, planned: PlannedTraining, record: Record, weights: bytes) -> None:
        """A training of this execution ended; what it completes follows."""

    def completed(self, completed: Sequence[Completed]) -> None:
        """Places of the study are done, trained just now or recorded before."""

    def failed(self, planned: PlannedTraining, identity: str, message: str) -> None:
        """A training's code raised, or its workers kept dying."""

    def message(self, text: str) -> None:
        """Something that a person should know."""

    def tick(self) -> None:
        """A turn of the driver's loop."""


STOPPING = (
    "stopping: what is under way is checkpointed, which takes some seconds; asked again, this ends at once, and up to"
    " half a minute is trained again"
)


SECONDS_TO_ANOTHER_WORKER = (1.0, 5.0, 15.0, 30.0)
"""How long a training waits whose worker died, the first time, the second, ...: Ray may take half a minute to know
that a node is gone. Then it is given up."""


class LostWorkers:
    """Counts for each training the workers that died in a row without its getting further than ever before.

    Machines that may be taken away at any time kill a long training often; each time it goes on from its checkpoint.
    One that runs out of memory dies at the same place each time.
    """

    def __init__(self) -> None:
        self._num_in_a_row: Counter[str] = Counter()
        self._furthest: dict[str, int] = {}

    def add(self, identities: Collection[str], samples: int) -> int:
        """How many workers died in a row, with the one that has just died at `samples` training samples; of a pack
        the most that any member lost."""
        for identity in identities:
            if samples > self._furthest.get(identity, 0):
                self._furthest[identity], self._num_in_a_row[identity] = samples, 0
            self._num_in_a_row[identity] += 1
        return max((self._num_in_a_row[identity] for identity in identities), default=0)


@dataclass
class Dispatcher:
    """The execution, the trainings that run, and whether to stop: what Tune's searcher, callback and stopper
    share."""

    execution: Execution
    observer: Observer
    study: str
    settings: WorkerSettings
    packing: Packing
    room: Room
    running: dict[str, dict[str, tuple[Identity, PlannedTraining]]] = field(default_factory=dict)
    lost_workers: LostWorkers = field(default_factory=LostWorkers)
    samples: dict[str, int] = field(default_factory=dict)
    postponed: list[tuple[float, Identity, PlannedTraining]] = field(default_factory=list)
    messages: set[str] = field(default_factory=set)
    handing_over: set[str] = field(default_factory=set)
    stopping: bool = False
    error: Exception | None = None

    @contextlib.contextmanager
    def _keeping_errors(self) -> Iterator[None]:
        """What is raised here would end Tune's loop with workers in the middle of something: it stops them as a
        signal does, and is raised after the loop."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised again after Tune's loop
            self.error = self.error or error

    def next_job(self, trial_id: str) -> Job | None:
        """What the next trial is to train; None while nothing can start, and when it is over."""
        with self._keeping_errors():
            if not self.over:
                self._release_what_waited()
                if len(self.running) < self.room.num_workers and not self.handing_over:  # what it releases is packed
                    return self._begun(trial_id, self.execution.next_pack(self.packing))
        return None

    def _begun(self, trial_id: str, released: list[tuple[Identity, PlannedTraining]]) -> Job | None:
        if not released:
            return None
        self.running[trial_id] = {identity.hash: (identity, planned) for identity, planned in released}
        for identity, planned in released:
            self.observer.started(planned, identity.hash, trial_id)
        members = tuple(
            Member(identity.hash, planned.configuration.model_dump_json(), planned.seeds)
            for identity, planned in released
        )
        share = self.settings.memory_share if self.settings.device == "cuda" else 1 / self.room.num_workers
        return Job(members, replace(self.settings, memory_share=share))

    def report(self, trial_id: str, report: TrialReport) -> None:
        """A worker's report."""
        with self._keeping_errors():
            self._say(report.messages)
            (self.handing_over.add if report.handing_over else self.handing_over.discard)(trial_id)
            for curve in report.curves:
                self._pass_on(trial_id, curve)
            for finished in report.results:
                self._keep(trial_id, finished, report.machine)
            if report.failure:
                self._give_up(trial_id, report.failure)
            elif report.done:
                del self.running[trial_id]
                self.samples.pop(trial_id, None)
            else:
                self.samples[trial_id] = report.samples
                for _, planned in self.running[trial_id].values():
                    self.observer.progressed(planned, report.samples, report.resumed_samples)

    def _pass_on(self, trial_id: str, curve: MemberCurve) -> None:
        member = self.running[trial_id].get(curve.identity)
        if member is not None:
            identity, planned = member
            self.observer.measured(planned, Unfinished(identity, curve.started_ms, curve.evaluations))

    def _keep(self, trial_id: str, finished: MemberResult, machine: str) -> None:
        member = self.running[trial_id].pop(finished.identity, None)
        if member is None:  # its worker died after handing it over, and another one trained all of the trial again
            return
        identity, planned = member
        record = record_of(identity, finished.facts, finished.weights, trial_id, self.study, machine)
        self.observer.trained(planned, record, finished.weights)
        self.observer.completed(self.execution.complete(record))

    def _say(self, messages: tuple[str, ...]) -> None:
        """Each message once, whichever worker said it."""
        for message in messages:
            if message not in self.messages:
                self.messages.add(message)
                self.observer.message(message)

    def tick(self) -> None:
        """A turn of Tune's loop."""
        with self._keeping_errors():
            if self.stopping:
                self._say((STOPPING,))
            self.observer.tick()

    def lost(self, trial_id: str) -> None:
        """A trial whose worker died: another one takes what it has not handed over, a little later; too often, and
        it is given up."""
        with self._keeping_errors():
            self.handing_over.discard(trial_id)
            if trial_id in self.running:
                self._postpone(trial_id)

    def _postpone(self, trial_id: str) -> None:
        members = self.running[trial_id]
        num_lost = self.lost_workers.add(members.keys(), self.samples.pop(trial_id, 0))
        if num_lost > len(SECONDS_TO_ANOTHER_WORKER):
            smaller = " or a smaller --pack-size" if len(members) > 1 else ""
            self._give_up(
                trial_id,
                f"{num_lost} workers died in a row, and none got further with it; is memory short? Run the same command"
                f" again, with fewer --num-cpus{smaller}",
            )
            return
        at = time.monotonic() + SECONDS_TO_ANOTHER_WORKER[num_lost - 1]
        for identity, planned in self.running.pop(trial_id).values():
            self.postponed.append((at, identity, planned))
            goes_on = "the same command goes on with it" if self.ending else "another one goes on with it"
            self._say(
                (f"the worker of {planned.title} died; {goes_on}, from its checkpoint where that can be reached",)
            )

    def _release_what_waited(self) -> None:
        now = time.monotonic()
        due = [each for each in self.postponed if each[0] <= now]
        self.postponed = [each for each in self.postponed if each[0] > now]
        for _, identity, planned in due:
            self.execution.release_again(identity, planned)

    def _give_up(self, trial_id: str, message: str) -> None:
        self.samples.pop(trial_id, None)
        for identity, planned in self.running.pop(trial_id).values():
            self.observer.failed(planned, identity.hash, message)
            self.execution.fail(identity.hash, message)

    def stop(self) -> None:
        """Asks every worker to stop at its next report, checkpointed."""
        self.stopping = True

    @property
    def over(self) -> bool:
        """Whether no further trial is to start: at the end, and when stopping."""
        return self.ending or self.execution.idle

    @property
    def ending(self) -> bool:
        """Whether every trial is to stop at its next report."""
        return self.stopping or self.error is not None
