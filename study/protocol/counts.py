"""How many trainings a study asks for, before any is made."""

from __future__ import annotations

import math

from study.spec import Study
from study.spec.cells import Cell, Phase, comparisons, noise_floor_cells, search_space, study_cells
from study.spec.schema import Search

_RESULTS_BEFORE_LEARNING = {"tpe": 10, "gp": 10, "cmaes": 1}
"""How many results these samplers of Optuna's wait for; until then they draw at random."""


def num_trainings(study: Study) -> dict[str, int]:
    """How many trainings each phase has when no cell loses all its proposals and none makes an extra round."""
    cells = study_cells(study)
    phases: tuple[Phase, ...] = ("search", "confirm", *(("noise_floor",) if study.noise_floor else ()))
    return {phase: sum(num_trainings_of_cell(study, cell, phase) for cell in cells) for phase in phases}


def num_trainings_of_cell(study: Study, cell: Cell, phase: Phase) -> int:
    """How many of them are one cell's."""
    search, num_seeds = study.search, study.confirm.num_reporting_seeds
    if phase == "noise_floor":
        return (
            (study.noise_floor.num_seeds or num_seeds) if study.noise_floor and cell in noise_floor_cells(study) else 0
        )
    if search is None or not search_space(study, cell):
        return num_seeds if phase == "confirm" else 0
    if phase == "search":
        return search.num_proposals * search.num_tuning_seeds * search.num_repeats
    return num_seeds * (search.num_repeats + study.confirm.num_runners_up)


def fewest_seeds(study: Study, num_claims: int) -> int:
    """The fewest reporting seeds with which one of so many claims can be better or worse by Holm's correction: of n
    pairs no p is below 2^(1-n)."""
    return math.ceil(1 - math.log2((1 - study.confidence + 1e-12) / max(1, num_claims)))


def max_extra_trainings(study: Study) -> int:
    """How many search trainings the extra rounds add at most."""
    search = study.search
    return (
        len(comparisons(study))
        * search.max_extra_rounds
        * search.num_extra_proposals
        * search.num_tuning_seeds
        * search.num_repeats
        if search
        else 0
    )


def num_random_proposals(search: Search) -> int:
    """How many of a cell's declared proposals are drawn at random by a sampler that learns from results: those of the
    rounds that begin before it has enough of them. 0 for samplers that do not learn."""
    results = _RESULTS_BEFORE_LEARNING.get(search.sampler, 0)
    num_rounds = -(-results // search.round_size)
    return min(num_rounds * search.round_size, search.num_proposals)
