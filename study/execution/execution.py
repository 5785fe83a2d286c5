"""Which trainings may run now and which are done: drives the cells' protocols from records and results. Knows no
Ray."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

from study.execution.estimate import work
from study.execution.packing import Packing
from study.protocol.cell_protocol import CellProtocol, Gate, PlannedTraining, StepResult, Summary, cell_protocol
from study.records.identity import Identity
from study.records.records import Record
from study.spec import Study
from study.spec.cells import Cell, comparisons, search_space, study_cells

_SEEDS_BY_LENGTH = 6
"""So many seeds of every cell start longest first, at the end: enough for the cores not to wait for one late long
training."""


Completed = tuple[PlannedTraining, Record]
"""A place in the study, and the record of its training."""


@dataclass
class _CellState:
    cell: Cell
    repeat: int
    protocol: CellProtocol
    num_gates: int = 0
    batch: list[PlannedTraining] = field(default_factory=list)
    summaries: dict[int, Summary] = field(default_factory=dict)
    finished: bool = False

    @property
    def answer(self) -> StepResult:
        """What the protocol is told of a batch that is whole."""
        return [self.summaries[index] for index in range(len(self.batch))]


@dataclass
class _GateState:
    """Where the cells of one comparison wait for each other: those that are there, and whether one of all that came
    touches an edge."""

    num_came: int = 0
    touched: bool = False
    waiting: list[_CellState] = field(default_factory=list)


@dataclass(frozen=True)
class Failure:
    """A training that raised an exception: what it was and what it said."""

    planned: PlannedTraining
    message: str


class Execution:
    """One execution of a study: replays what is recorded, releases what is not, and advances each cell when its
    batch is in."""

    def __init__(
        self,
        study: Study,
        identify: Callable[[PlannedTraining], Identity],
        lookup: Callable[[Identity], Record | None],
    ) -> None:
        self._identify = identify
        self._lookup = lookup
        self._released: deque[tuple[Identity, PlannedTraining]] = deque()
        self._in_order = True
        self._waiting: dict[str, list[tuple[_CellState, int, PlannedTraining]]] = {}
        self.failures: list[Failure] = []
        self.num_done = 0
        self.num_replayed = 0
        """Of those that are done, the ones that a record answered."""
        self.num_extra = 0
        """Trainings that extra rounds added, as far as it is known."""
        self._num_seeds_in_turn = max(0, study.confirm.num_reporting_seeds - _SEEDS_BY_LENGTH)
        self._comparisons = comparisons(study)
        self._gates: dict[tuple[str, int, int], _GateState] = {}
        self._cells = [
            _CellState(cell, repeat, self._protocol(study, cell, repeat))
            for repeat in range(_num_repeats(study))
            for cell in _cells_of_repeat(study, repeat)
        ]
        self.replayed: list[Completed] = [each for state in self._cells for each in self._advance(state, None)]
        """What was recorded already, in the order of the study's cells."""

    def _protocol(self, study: Study, cell: Cell, repeat: int) -> CellProtocol:
        num_extra_rounds = study.search.max_extra_rounds if study.search and cell.label in self._comparisons else 0
        return cell_protocol(study, cell, repeat, num_extra_rounds)

    @property
    def finished(self) -> bool:
        """Whether every cell's protocol has ended."""
        return all(state.finished for state in self._cells)

    @property
    def unconfirmed(self) -> list[Cell]:
        """The cells all of whose proposals diverged: their search has ended and there is nothing to confirm."""
        return [
            state.cell
            for state in self._cells
            if state.finished and not state.repeat and state.batch[0].phase == "search"
        ]

    @property
    def waiting_cells(self) -> list[Cell]:
        """The cells that wait at an edge gate for others of their comparison: at the end, for those that failed."""
        return list(dict.fromkeys(state.cell for gate in self._gates.values() for state in gate.waiting))

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing can be released: the end, be it with failures."""
        return not self._released and not self._waiting

    @property
    def released(self) -> Sequence[PlannedTraining]:
        """What may start now, in order."""
        self._put_in_order()
        return [planned for _, planned in self._released]

    def next(self) -> tuple[Identity, PlannedTraining] | None:
        """The next training to start; None when all that may run now is running."""
        self._put_in_order()
        return self._released.popleft() if self._released else None

    def _put_in_order(self) -> None:
        """What others wait for first; then seed after seed, so that a study that is stopped has whole pairs; the
        last seeds longest first.

        So short trainings fill the cores at the end. No result depends on it.
        """
        if not self._in_order:
            self._released = deque(
                sorted(self._released, key=lambda released: _urgency(released[1], self._num_seeds_in_turn))
            )
        self._in_order = True

    def next_pack(self, packing: Packing) -> list[tuple[Identity, PlannedTraining]]:
        """The next training to start, and with it others of the same shape that may start too, of whichever cell and
        phase; empty when all that may run now is running. Each is completed, or fails, by itself."""
        first = self.next()
        if first is None:
            return []
        others = self._take_alike(first[1], packing)
        return [first, *others]

    def _take_alike(self, planned: PlannedTraining, packing: Packing) -> list[tuple[Identity, PlannedTraining]]:
        """Released trainings of the shape of `planned`, in order, as many as its pack has room for; they are released
        no longer."""
        most, shape = packing.max_members(planned) - 1, packing.shape(planned)
        if most <= 0 or shape is None:
            return []
        alike = list(islice((each for each in self._released if packing.shape(each[1]) == shape), most))
        taken = {identity.hash for identity, _ in alike}
        self._released = deque(each for each in self._released if each[0].hash not in taken)
        return alike

    def complete(self, record: Record) -> list[Completed]:
        """Takes in a training that has just ended, for every place in the study that waits for it. Returns what that
        completes, in order: these places, and those of what it releases that are recorded."""
        completed: list[Completed] = []
        for state, index, planned in self._waiting.pop(record.identity.hash, ()):
            completed.append(self._take(state, index, planned, record))
            if len(state.summaries) == len(state.batch):
                completed += self._advance(state, state.answer)
        return completed

    def release_again(self, identity: Identity, planned: PlannedTraining) -> None:
        """Lets a training start once more whose worker is gone."""
        self._released.append((identity, planned))
        self._in_order = False

    def fail(self, identity_hash: str, message: str) -> None:
        """Gives up a training whose code raised. Its cells go no further, nor beyond their next edge gate those that
        they are compared with; the others do.

        A comparison could not be made otherwise: whether the failed cell touches an edge is known when it is
        trained, and the others would then be searched further, after their winners had been confirmed.
        """
        self.failures += [Failure(planned, message) for _, _, planned in self._waiting.pop(identity_hash, ())]

    def _take(self, state: _CellState, index: int, planned: PlannedTraining, record: Record) -> Completed:
        state.summaries[index] = Summary(record.outcome, record.final_metrics)
        self.num_done += 1
        return planned, record

    def _advance(self, state: _CellState, answer: StepResult | None) -> list[Completed]:
        """Sends a whole batch, or what was found at a gate, to the cell's protocol and releases the next, over and
        over while all of it is recorded."""
        completed: list[Completed] = []
        while True:
            try:
                step = next(state.protocol) if answer is None else state.protocol.send(answer)
            except StopIteration:
                state.finished = True
                return completed
            if isinstance(step, Gate):
                return completed + self._wait(state, step)
            state.batch, state.summaries = step, {}
            self.num_extra += sum(planned.extra_round > 0 for planned in step)
            for index, planned in enumerate(state.batch):
                completed += self._release(state, index, planned)
            if len(state.summaries) < len(state.batch):
                return completed
            answer = state.answer

    def _wait(self, state: _CellState, edge: Gate) -> list[Completed]:
        """Keeps a cell until every cell of its comparison has come as far, or one of them touches an edge: then all
        make an extra round, those here at once."""
        comparison = self._comparisons[state.cell.label]
        state.num_gates += 1
        gate = self._gates.setdefault((comparison, state.repeat, state.num_gates), _GateState())
        gate.num_came += 1
        gate.touched = gate.touched or edge.touched
        gate.waiting.append(state)
        if gate.touched or gate.num_came == list(self._comparisons.values()).count(comparison):
            going, gate.waiting = gate.waiting, []
            return [completed for each in going for completed in self._advance(each, gate.touched)]
        return []

    def _release(self, state: _CellState, index: int, planned: PlannedTraining) -> list[Completed]:
        identity = self._identify(planned)
        waiting = self._waiting.get(identity.hash)
        if waiting is not None:
            waiting.append((state, index, planned))
            return []
        record = self._lookup(identity)
        if record is not None:
            self.num_replayed += 1
            return [self._take(state, index, planned, record)]
        self._waiting[identity.hash] = [(state, index, planned)]
        self._released.append((identity, planned))
        self._in_order = False
        return []


def _urgency(planned: PlannedTraining, num_seeds_in_turn: int) -> tuple[bool, int, float]:
    """Sorts what may start: a search holds up its cell's confirm phase; then come the first `num_seeds_in_turn`
    seeds in turn; of the rest what takes longest."""
    cost = 0.0
    with suppress(Exception):  # a user's model that cannot be built fails in its own training, and is told there
        cost = work(planned.configuration)
    return planned.phase != "search", min(planned.replicate, num_seeds_in_turn), -cost


def _num_repeats(study: Study) -> int:
    return study.search.num_repeats if study.search else 1


def _cells_of_repeat(study: Study, repeat: int) -> list[Cell]:
    """All cells at first; then those that are searched: a cell without a search has nothing to repeat."""
    return [cell for cell in study_cells(study) if not repeat or search_space(study, cell)]
