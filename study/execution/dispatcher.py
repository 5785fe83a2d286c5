"""What the driver makes of what Tune tells it: which training starts next, what becomes of a worker's report, of a
worker that died. Knows no Ray."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from study.execution.capacity import Room
from study.execution.execution import Execution
from study.execution.lost_workers import LostWorkers, seconds_to_another
from study.execution.packing import Packing
from study.protocol.cell_protocol import PlannedTraining
from study.records.identity import Identity
from study.records.records import Record, record_of
from study.worker.worker import Job, Member, MemberResult, Report


@dataclass
class Observers:
    """Who is told what happens; each is called on the driver's own thread and must be quick."""

    on_start: Callable[[PlannedTraining, str, str], None] = lambda planned, identity, trial: None
    on_progress: Callable[[PlannedTraining, int, int], None] = lambda planned, samples, resumed_samples: None
    on_record: Callable[[Record, bytes], None] = lambda record, weights: None
    on_complete: Callable[[PlannedTraining], None] = lambda planned: None
    on_failure: Callable[[PlannedTraining, str, str], None] = lambda planned, identity, message: None
    on_tick: Callable[[], None] = lambda: None
    on_message: Callable[[str], None] = lambda message: None


STOPPING = (
    "stopping: what is under way is checkpointed, which takes some seconds; asked again, this ends at once, and up to"
    " half a minute is trained again"
)


@dataclass
class Dispatcher:
    """The execution, the trainings that run, and whether to stop: what Tune's searcher, callback and stopper share.
    Each job is `job` with its own configuration and members."""

    execution: Execution
    observers: Observers
    study: str
    job: Job
    packing: Packing
    room: Room
    running: dict[str, dict[str, tuple[Identity, PlannedTraining]]] = field(default_factory=dict)
    lost_workers: LostWorkers = field(default_factory=LostWorkers)
    samples: dict[str, int] = field(default_factory=dict)
    postponed: list[tuple[float, Identity, PlannedTraining]] = field(default_factory=list)
    said: set[str] = field(default_factory=set)
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
                if len(self.running) < self.room.num_workers:
                    return self._begun(trial_id, self.execution.next_pack(self.packing.max_members))
        return None

    def _begun(self, trial_id: str, released: list[tuple[Identity, PlannedTraining]]) -> Job | None:
        if not released:
            return None
        self.running[trial_id] = {identity.hash: (identity, planned) for identity, planned in released}
        for identity, planned in released:
            self.observers.on_start(planned, identity.hash, trial_id)
        members = tuple(Member(identity.hash, planned.seeds) for identity, planned in released)
        share = self.job.memory_share if self.job.device == "cuda" else 1 / self.room.num_workers
        return replace(
            self.job, configuration=released[0][1].configuration.model_dump_json(), members=members, memory_share=share
        )

    def report(self, trial_id: str, report: Report) -> None:
        """A worker's report."""
        with self._keeping_errors():
            self._say(report.messages)
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
                    self.observers.on_progress(planned, report.samples, report.resumed_samples)

    def _keep(self, trial_id: str, finished: MemberResult, machine: str) -> None:
        member = self.running[trial_id].pop(finished.identity, None)
        if member is None:  # its worker died after handing it over, and another one trained all of the trial again
            return
        identity, planned = member
        record = record_of(identity, finished.facts, finished.weights, trial_id, self.study, machine)
        self.observers.on_record(record, finished.weights)
        self.execution.complete(record)
        self.observers.on_complete(planned)

    def _say(self, messages: tuple[str, ...]) -> None:
        """Each message once, whichever worker said it."""
        for message in messages:
            if message not in self.said:
                self.said.add(message)
                self.observers.on_message(message)

    def tick(self) -> None:
        """A turn of Tune's loop."""
        with self._keeping_errors():
            if self.stopping:
                self._say((STOPPING,))
            self.observers.on_tick()

    def lost(self, trial_id: str) -> None:
        """A trial whose worker died: another one takes what it has not handed over, a little later; too often, and
        it is given up."""
        with self._keeping_errors():
            if trial_id in self.running:
                self._postpone(trial_id)

    def _postpone(self, trial_id: str) -> None:
        members = self.running[trial_id]
        num_lost = self.lost_workers.add(members.keys(), self.samples.pop(trial_id, 0))
        seconds = seconds_to_another(num_lost)
        if seconds is None:
            smaller = " or a smaller --pack-size" if len(members) > 1 else ""
            self._give_up(
                trial_id,
                f"{num_lost} workers died in a row, and none got further with it; is memory short? Run the same command"
                f" again, with fewer --num-cpus{smaller}",
            )
            return
        at = time.monotonic() + seconds
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
            self.observers.on_failure(planned, identity.hash, message)
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
