"""Which trainings may run now and which are done: drives the cells' protocols from records and results. Knows no Ray."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from study.cells import Cell, study_cells
from study.identity import Identity
from study.protocol import CellProtocol, PlannedTraining, Summary, cell_protocol
from study.records import Record
from study.spec import Study


@dataclass
class _CellState:
    cell: Cell
    protocol: CellProtocol
    batch: list[PlannedTraining] = field(default_factory=list)
    summaries: dict[int, Summary] = field(default_factory=dict)
    finished: bool = False


@dataclass(frozen=True)
class Failure:
    """A training that raised an exception: what it was and what it said."""

    planned: PlannedTraining
    message: str


class Execution:
    """One execution of a study: replays what is recorded, releases what is not, and advances each cell when its batch is in."""

    def __init__(
        self,
        study: Study,
        identify: Callable[[PlannedTraining], Identity],
        lookup: Callable[[Identity], Record | None],
    ) -> None:
        self._identify = identify
        self._lookup = lookup
        self._done: list[tuple[PlannedTraining, Record]] = []
        self._released: deque[tuple[Identity, PlannedTraining]] = deque()
        self._waiting: dict[str, list[tuple[_CellState, int, PlannedTraining]]] = {}
        self.failures: list[Failure] = []
        self.num_done = 0
        self.num_replayed = 0
        self._cells = [_CellState(cell, cell_protocol(study, cell)) for cell in study_cells(study)]
        for state in self._cells:
            self._advance(state, None)

    @property
    def finished(self) -> bool:
        """Whether every cell's protocol has ended."""
        return all(state.finished for state in self._cells)

    @property
    def unconfirmed(self) -> list[Cell]:
        """The cells all of whose proposals diverged: their search has ended and there is nothing to confirm."""
        return [state.cell for state in self._cells if state.finished and state.batch[0].phase == "search"]

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing can be released: the end, be it with failures."""
        return not self._released and not self._waiting

    @property
    def released(self) -> Sequence[PlannedTraining]:
        """What may start now, in order."""
        return [planned for _, planned in self._released]

    def drain(self) -> list[tuple[PlannedTraining, Record]]:
        """What is done since the last call, replayed or trained, in order."""
        done, self._done = self._done, []
        return done

    def next(self) -> tuple[Identity, PlannedTraining] | None:
        """The next training to start; None when all that may run now is running."""
        return self._released.popleft() if self._released else None

    def complete(self, record: Record) -> None:
        """Takes in a training that has just ended, for every place in the study that waits for it."""
        for state, index, planned in self._waiting.pop(record.identity.hash, ()):
            self._take(state, index, planned, record)
            self._advance_when_whole(state)

    def fail(self, identity_hash: str, message: str) -> None:
        """Gives up a training whose code raised; its cells go no further, the others do."""
        self.failures += [Failure(planned, message) for _, _, planned in self._waiting.pop(identity_hash, ())]

    def _take(self, state: _CellState, index: int, planned: PlannedTraining, record: Record) -> None:
        state.summaries[index] = Summary(record.outcome, record.final_metrics)
        self.num_done += 1
        self._done.append((planned, record))

    def _advance_when_whole(self, state: _CellState) -> None:
        if len(state.summaries) == len(state.batch):
            self._advance(state, [state.summaries[index] for index in range(len(state.batch))])

    def _advance(self, state: _CellState, summaries: list[Summary] | None) -> None:
        """Sends a whole batch to the cell's protocol and releases the next, over and over while all of it is recorded."""
        while True:
            try:
                state.batch = next(state.protocol) if summaries is None else state.protocol.send(summaries)
            except StopIteration:
                state.finished = True
                return
            state.summaries = {}
            for index, planned in enumerate(state.batch):
                self._release(state, index, planned)
            if len(state.summaries) < len(state.batch):
                return
            summaries = [state.summaries[index] for index in range(len(state.batch))]

    def _release(self, state: _CellState, index: int, planned: PlannedTraining) -> None:
        identity = self._identify(planned)
        waiting = self._waiting.get(identity.hash)
        if waiting is not None:
            waiting.append((state, index, planned))
            return
        record = self._lookup(identity)
        if record is not None:
            self.num_replayed += 1
            self._take(state, index, planned, record)
            return
        self._waiting[identity.hash] = [(state, index, planned)]
        self._released.append((identity, planned))


def num_trainings(study: Study) -> dict[str, int]:
    """How many trainings each phase has when no cell loses all its proposals."""
    cells = len(study_cells(study))
    search = cells * study.search.num_proposals * study.search.num_tuning_seeds if study.search else 0
    return {"search": search, "confirm": cells * study.confirm.num_reporting_seeds * (1 + study.confirm.num_runners_up)}
