"""Runs a study's protocol on invented results, in any order and with interruptions."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from study.execution.execution import Completed, Execution
from study.protocol.cell_protocol import PlannedTraining
from study.records.identity import Identity
from study.records.records import Record
from study.spec import Study
from tests.support.studies import identify, invented_record

Train = Callable[[PlannedTraining], Record]


@dataclass
class Disk:
    """Records that outlive an execution, and how often each identity was trained."""

    records: dict[str, Record] = field(default_factory=dict)
    num_trained: Counter[str] = field(default_factory=Counter)

    def lookup(self, identity: Identity) -> Record | None:
        return self.records.get(identity.hash)

    def write(self, record: Record) -> None:
        self.records[record.identity.hash] = record
        self.num_trained[record.identity.hash] += 1


class WatchedExecution(Execution):
    """An execution that remembers all that it completed."""

    def __init__(
        self,
        study: Study,
        identify: Callable[[PlannedTraining], Identity] = identify,
        lookup: Callable[[Identity], Record | None] = lambda identity: None,
    ) -> None:
        super().__init__(study, identify, lookup)
        self.done = list(self.replayed)

    def complete(self, record: Record) -> list[Completed]:
        completed = super().complete(record)
        self.done += completed
        return completed


def execute(
    study: Study,
    disk: Disk,
    train: Train = invented_record,
    *,
    num_workers: int = 3,
    choose: random.Random | None = None,
    kill_after: int | None = None,
) -> WatchedExecution:
    """One execution with `num_workers` at once; what runs ends in an order that `choose` picks. Killed after so many
    records."""
    choose = choose or random.Random(0)
    execution = WatchedExecution(study, lookup=disk.lookup)
    running: list[PlannedTraining] = []
    while not execution.idle and kill_after != 0:
        while len(running) < num_workers and (released := execution.next()) is not None:
            running.append(released[1])
        record = train(running.pop(choose.randrange(len(running))))
        disk.write(record)
        execution.complete(record)
        kill_after = None if kill_after is None else kill_after - 1
    return execution


def all_trainings(study: Study, train: Train = invented_record) -> list[PlannedTraining]:
    """Every training that the study asks for, in the order in which they end."""
    return [planned for planned, _ in execute(study, Disk(), train).done]
