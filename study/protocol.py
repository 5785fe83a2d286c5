"""The study's protocol, as a methods section would tell it: search, select, confirm, for each cell by itself."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

from study.cells import Cell, Phase, search_space, training_configuration
from study.search import CellSearch, Proposal
from study.seeding import sampler_seed, training_seeds
from study.spec import Search, Study
from vae.configuration import TrainingConfiguration
from vae.randomness import Seeds


@dataclass(frozen=True)
class PlannedTraining:
    """One training that the protocol asks for, with its place in the study."""

    phase: Phase
    cell: Cell
    proposal: int | None
    rank: int | None
    replicate: int
    configuration: TrainingConfiguration
    seeds: Seeds

    @property
    def place(self) -> str:
        """Its place in the study, unique within it: phase, cell, proposal, rank and seed."""
        numbers = ["none" if number is None else str(number) for number in (self.proposal, self.rank, self.replicate)]
        return "|".join([self.phase, self.cell.label, *numbers])

    @property
    def title(self) -> str:
        """A name that a person can read: the run's name in MLflow."""
        which = f"proposal {self.proposal}" if self.phase == "search" else "confirm" if not self.rank else f"runner-up {self.rank}"
        return f"{which} · seed {self.replicate} · {self.cell.name or self.cell.label}"


@dataclass(frozen=True)
class Summary:
    """What the protocol needs to know of a training that is done."""

    outcome: str
    metrics: Mapping[str, float]


CellProtocol = Generator[list[PlannedTraining], list[Summary], None]


def cell_protocol(study: Study, cell: Cell) -> CellProtocol:
    """One cell's part of the study.

    Yields trainings that may run at the same time, and is sent their summaries in the same order when all of them are in.
    """
    if study.search is None:
        yield _confirm_trainings(study, cell, None, 0)
        return
    ranked = yield from _search_phase(study, study.search, cell)
    if not ranked:  # every proposal diverged: there is nothing to confirm
        return
    yield [training for rank, proposal in enumerate(ranked[: 1 + study.confirm.num_runners_up]) for training in _confirm_trainings(study, cell, proposal, rank)]


def _search_phase(study: Study, search: Search, cell: Cell) -> Generator[list[PlannedTraining], list[Summary], list[Proposal]]:
    sampler = CellSearch(search_space(study, cell), search, sampler_seed(study.seed, cell))
    for first in range(0, search.num_proposals, search.round_size):
        proposals = sampler.ask(min(search.round_size, search.num_proposals - first))
        summaries = yield [training for proposal in proposals for training in _search_trainings(study, search, cell, proposal)]
        seeds = search.num_tuning_seeds
        sampler.tell([objective(summaries[start : start + seeds], search.objective) for start in range(0, len(summaries), seeds)])
    return sampler.ranked()


def objective(summaries: Sequence[Summary], metric: str) -> float:
    """The mean of `metric` over a proposal's tuning seeds, in nats; -inf when any of them diverged."""
    if any(summary.outcome == "diverged" for summary in summaries):
        return -math.inf
    return math.fsum(summary.metrics[metric] for summary in summaries) / len(summaries)


def _search_trainings(study: Study, search: Search, cell: Cell, proposal: Proposal) -> list[PlannedTraining]:
    configuration = training_configuration(study, cell, "search", dict(proposal.hyperparameters))
    seeds = [training_seeds(study.seed, "search", replicate) for replicate in range(search.num_tuning_seeds)]
    return [PlannedTraining("search", cell, proposal.number, None, replicate, configuration, own) for replicate, own in enumerate(seeds)]


def _confirm_trainings(study: Study, cell: Cell, proposal: Proposal | None, rank: int) -> list[PlannedTraining]:
    configuration = training_configuration(study, cell, "confirm", dict(proposal.hyperparameters) if proposal else {})
    number = proposal.number if proposal else None
    seeds = [training_seeds(study.seed, "confirm", replicate) for replicate in range(study.confirm.num_reporting_seeds)]
    return [PlannedTraining("confirm", cell, number, rank, replicate, configuration, own) for replicate, own in enumerate(seeds)]
