"""The study's protocol, as a methods section would tell it: search, search further where a winner touches an edge,
select, confirm; for each cell by itself."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from study.protocol.edges import Edge, beyond, encoded, extended_at, limits_of, touched_edges
from study.protocol.search import CellSearch, Proposal
from study.protocol.seeding import sampler_seed, training_seeds
from study.spec import Study
from study.spec.cells import Cell, Phase, noise_floor_cells, search_space, training_configuration
from study.spec.schema import Distribution, Range, Search
from study.spec.titles import short_title
from vae.configuration import TrainingConfiguration
from vae.randomness import Seeds
from vae.settings.fields import FieldError


@dataclass(frozen=True)
class PlannedTraining:
    """One training that the protocol asks for, with its place in the study.

    `repeat`: of which repeat of the search it is part. Of a proposal: `extra_round`, 0 for the declared rounds, and
    `space`, where it was drawn from, as `study.protocol.edges.encoded` writes it.
    """

    phase: Phase
    cell: Cell
    proposal: int | None
    rank: int | None
    replicate: int
    configuration: TrainingConfiguration
    seeds: Seeds
    repeat: int = 0
    extra_round: int = 0
    space: str = ""

    @property
    def position(self) -> str:
        """Its place in the study, unique within it: phase, cell, proposal, rank and seed; and the extra round and
        the repeat where it is of one."""
        numbers = ["none" if number is None else str(number) for number in (self.proposal, self.rank, self.replicate)]
        extra_round = [f"extra round {self.extra_round}"] if self.extra_round else []
        repeat = [f"repeat {self.repeat}"] if self.repeat else []
        return "|".join([self.phase, self.cell.label, *numbers, *extra_round, *repeat])

    @property
    def curve_title(self) -> str:
        """The cell, and what of it is not its winner: trainings of one title differ in seed or proposal alone."""
        runner_up = f" · runner-up {self.rank}" if self.phase == "confirm" and self.rank else ""
        noise_floor = " · noise floor" if self.phase == "noise_floor" else ""
        repeat = f" · repeat {self.repeat}" if self.repeat else ""
        return f"{short_title(self.cell)}{runner_up}{noise_floor}{repeat}"

    @property
    def title(self) -> str:
        """A name that a person can read: the run's name in MLflow, what differs first, since columns are narrow."""
        proposal = f" · proposal {self.proposal}" if self.phase == "search" else ""
        return f"{self.curve_title}{proposal} · seed {self.replicate}"


@dataclass(frozen=True)
class Summary:
    """What the protocol needs to know of a training that is done."""

    outcome: str
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Gate:
    """Between two rounds: a cell waits here until it is known whether the winner of any cell that it is compared
    with touches an edge.

    It is sent true where one does, its own among them: then it makes an extra round, as all of them do.
    """

    touched: bool


Step = list[PlannedTraining] | Gate
StepResult = list[Summary] | bool
CellProtocol = Generator[Step, StepResult | None, None]


def cell_protocol(study: Study, cell: Cell, repeat: int = 0, num_extra_rounds: int = 0) -> CellProtocol:
    """One cell's part of the study, or of a repeat of its search.

    Yields trainings that may run at the same time, and is sent their summaries in the same order when all of them
    are in; or a gate, and is sent whether there is an extra round, of which it makes at most `num_extra_rounds`.
    """
    search, space = study.search, search_space(study, cell)
    if search is None or not space:
        yield _confirm_trainings(study, cell, None) + _noise_floor_trainings(study, cell, None)
        return
    ranked = yield from _search_phase(study, search, cell, repeat, num_extra_rounds)
    if not ranked:  # every proposal diverged: there is nothing to confirm
        return
    if repeat:
        yield _confirm_trainings(study, cell, ranked[0], repeat=repeat)
        return
    confirmed = [
        training
        for rank, proposal in enumerate(ranked[: 1 + study.confirm.num_runners_up])
        for training in _confirm_trainings(study, cell, proposal, rank)
    ]
    yield confirmed + _noise_floor_trainings(study, cell, ranked[0])


def _search_phase(
    study: Study, search: Search, cell: Cell, repeat: int, num_extra_rounds: int
) -> Generator[Step, StepResult | None, list[Proposal]]:
    space = search_space(study, cell)
    cell_search = CellSearch(space, search, sampler_seed(study.seed, cell, repeat))
    for first in range(0, search.num_proposals, search.round_size):
        size = min(search.round_size, search.num_proposals - first)
        yield from _round(study, search, cell, repeat, cell_search, size)
    for extra_round in range(1, num_extra_rounds + 1):
        extensions = _extensions(study, cell, space, cell_search)
        if not (yield Gate(bool(extensions))):
            break
        space |= {edge.hyperparameter: extension for edge, extension in extensions}
        outside = space | {edge.hyperparameter: beyond(edge, extension) for edge, extension in extensions}
        if outside != cell_search.space:
            cell_search = cell_search.elsewhere(outside, sampler_seed(study.seed, cell, repeat, extra_round))
        yield from _round(study, search, cell, repeat, cell_search, search.num_extra_proposals, extra_round)
    return cell_search.ranked()


def _round(
    study: Study, search: Search, cell: Cell, repeat: int, cell_search: CellSearch, size: int, extra_round: int = 0
) -> Generator[Step, StepResult | None, None]:
    """Asks for one round, has it trained, and tells what came of it."""
    space, num_seeds = encoded(cell_search.space), search.num_tuning_seeds
    seeds = [training_seeds(study.seed, "search", replicate, repeat) for replicate in range(num_seeds)]
    batch = []
    for proposal in cell_search.ask(size):
        configuration = training_configuration(study, cell, "search", dict(proposal.hyperparameters))
        batch += [
            PlannedTraining(
                "search", cell, proposal.number, None, replicate, configuration, streams, repeat, extra_round, space
            )
            for replicate, streams in enumerate(seeds)
        ]
    summaries = yield batch
    assert isinstance(summaries, list)
    by_proposal = [summaries[start : start + num_seeds] for start in range(0, len(summaries), num_seeds)]
    cell_search.tell([objective(group, search.objective) for group in by_proposal])


def objective(summaries: Sequence[Summary], metric: str) -> float:
    """The mean of `metric` over a proposal's tuning seeds, in nats; -inf when any of them diverged."""
    if any(summary.outcome == "diverged" for summary in summaries):
        return -math.inf
    return math.fsum(summary.metrics[metric] for summary in summaries) / len(summaries)


def _extensions(
    study: Study, cell: Cell, space: Mapping[str, Distribution], cell_search: CellSearch
) -> list[tuple[Edge, Range]]:
    """The edges that the best proposal so far touches, each with its range extended beyond it; not those beyond
    which nothing legal lies."""
    ranked = cell_search.ranked()
    if not ranked:
        return []
    winner = dict(ranked[0].hyperparameters)
    configuration = training_configuration(study, cell, "search", winner)
    extensions = []
    for edge in touched_edges(space, [dict(proposal.hyperparameters) for proposal in cell_search.proposals], winner):
        extension = extended_at(edge, limits_of(configuration, edge.hyperparameter))
        if extension is not None and _is_legal(study, cell, winner, edge, extension):
            extensions.append((edge, extension))
    return extensions


def _is_legal(study: Study, cell: Cell, winner: Mapping[str, Any], edge: Edge, extension: Range) -> bool:
    """Whether a training at the extended end agrees with the rest of its configuration, as a batch larger than the
    budget would not."""
    end = extension.high if edge.side == "high" else extension.low
    proposal = dict(winner) | {edge.hyperparameter: int(end) if extension.integer else end}
    try:
        training_configuration(study, cell, "search", proposal)
    except FieldError:
        return False
    return True


def _confirm_trainings(
    study: Study, cell: Cell, proposal: Proposal | None, rank: int = 0, repeat: int = 0
) -> list[PlannedTraining]:
    return _trained_again(study, cell, "confirm", proposal, rank, repeat, range(study.confirm.num_reporting_seeds))


def _noise_floor_trainings(study: Study, cell: Cell, proposal: Proposal | None) -> list[PlannedTraining]:
    """The A/A comparison: the same winner under seeds that follow the reporting seeds; nothing but in the cell that
    the study names."""
    if study.noise_floor is None or cell not in noise_floor_cells(study):
        return []
    first = study.confirm.num_reporting_seeds
    return _trained_again(
        study, cell, "noise_floor", proposal, 0, 0, range(first, first + (study.noise_floor.num_seeds or first))
    )


def _trained_again(
    study: Study, cell: Cell, phase: Phase, proposal: Proposal | None, rank: int, repeat: int, replicates: range
) -> list[PlannedTraining]:
    configuration = training_configuration(study, cell, phase, dict(proposal.hyperparameters) if proposal else {})
    number = proposal.number if proposal else None
    return [
        PlannedTraining(
            phase, cell, number, rank, replicate, configuration, training_seeds(study.seed, phase, replicate), repeat
        )
        for replicate in replicates
    ]
