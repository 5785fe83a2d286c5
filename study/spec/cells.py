"""From factors to cells, and from a cell to its search space and its trainings' configurations."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from study.spec.schema import ARM, Claim, Distribution, Level, Range, Search, Study, same_level
from vae.configuration import TrainingConfiguration
from vae.settings.fields import Path

Phase = Literal["search", "confirm", "noise_floor"]
WHOLE_CELL = "cell"


@dataclass(frozen=True)
class Cell:
    """One combination of factor levels; `name` only where the study file gave it one."""

    levels: tuple[tuple[str, Level], ...]
    name: str | None = None

    @property
    def label(self) -> str:
        """The cell as text, `latent_dim=20,optimizer=adam`, sorted by name; `all` where the study has no factor."""
        return ",".join(f"{factor}={level_text(level)}" for factor, level in sorted(self.levels)) or "all"

    def matches(self, levels: Mapping[str, Level]) -> bool:
        """Whether the cell has every one of these levels; 1 and true are different levels, 1 and 1.0 are not."""
        mine = dict(self.levels)
        return all(factor in mine and same_level(mine[factor], level) for factor, level in levels.items())

    @property
    def fields(self) -> dict[str, Level]:
        """The levels that are fields of its trainings: all but its arm, which only says how it is tuned."""
        return {name: level for name, level in self.levels if name != ARM}

    def without(self, factor: str) -> Cell:
        """The cell less one factor: what two cells that differ in that factor alone have in common."""
        return Cell(tuple(sorted((name, level) for name, level in self.levels if name != factor)))


def level_text(level: Level) -> str:
    """A level as labels and tables show it: `true`, `20`, `0.001`; different numbers never look alike."""
    if isinstance(level, bool):
        return str(level).lower()
    if isinstance(level, float):
        return f"{level:g}" if float(f"{level:g}") == level else repr(level)
    return str(level)


def study_cells(study: Study) -> tuple[Cell, ...]:
    """The grid of factors in the study file's order, less what it excludes, then the cells it adds."""
    grid = [cell for cell in grid_cells(study) if not any(cell.matches(excluded) for excluded in study.cells.exclude)]
    return (*grid, *(Cell(tuple(named.levels.items()), named.name) for named in study.cells.add))


def grid_cells(study: Study) -> tuple[Cell, ...]:
    """Every combination of the factors' levels, the last factor changing fastest; one cell without levels where
    there are neither factors nor named cells."""
    if not study.factors and study.cells.add:
        return ()
    names = list(study.factors)
    return tuple(Cell(tuple(zip(names, levels, strict=True))) for levels in itertools.product(*study.factors.values()))


def num_grid_cells(study: Study) -> int:
    """How many cells the grid of factors has, without making them."""
    return math.prod(len(levels) for levels in study.factors.values())


def claim_pairs(study: Study, claim: Claim) -> tuple[tuple[Cell, Cell], ...]:
    """The pairs of cells that a claim compares, (level, baseline): equal in everything but the claim's factor, and
    as its `at` says.

    A claim about `cell` compares the two cells that it names, by their names or labels, whatever they differ in. A
    named cell that sets a field which is no factor is a control: it takes part only where `at` names that field.
    """
    if claim.factor == WHOLE_CELL:
        level, baseline = named_cell(study, claim.level), named_cell(study, claim.baseline)
        return ((level, baseline),) if level is not None and baseline is not None else ()
    matches = [cell for cell in study_cells(study) if cell.matches(claim.at)]
    rests = [(cell, cell.without(claim.factor).label) for cell in matches if not _is_other_control(study, cell, claim)]
    baselines = {rest: cell for cell, rest in rests if cell.matches({claim.factor: claim.baseline})}
    levels = [(cell, rest) for cell, rest in rests if cell.matches({claim.factor: claim.level})]
    return tuple((cell, baselines[rest]) for cell, rest in levels if rest in baselines)


def _is_other_control(study: Study, cell: Cell, claim: Claim) -> bool:
    """Whether a cell sets a field that is no factor of the grid, and that the claim says nothing of."""
    return bool(study.factors) and any(
        name not in study.factors and name != claim.factor and name not in claim.at for name, _ in cell.levels
    )


def named_cell(study: Study, name: Level) -> Cell | None:
    """The cell of that name or label; None where there is none."""
    return next((cell for cell in study_cells(study) if name in (cell.name, cell.label)), None)


def noise_floor_cells(study: Study) -> tuple[Cell, ...]:
    """The cells that `noise_floor.at` may mean: one in a study that can run. The one with exactly those levels goes
    before those that have more."""
    if study.noise_floor is None:
        return ()
    at = study.noise_floor.at
    if isinstance(at, str):
        cell = named_cell(study, at)
        return (cell,) if cell else ()
    matching = tuple(cell for cell in study_cells(study) if cell.matches(at))
    exact = tuple(cell for cell in matching if len(cell.levels) == len(at))
    return exact or matching


def comparisons(study: Study) -> dict[str, str]:
    """Which searched cells are compared with which, by label: cells of one comparison have the same name here, the
    label of their first cell.

    Two cells are of one comparison where a claim has them as a pair, or a chain of claims does: an extra round for
    one of them is one for all, so that no claim compares cells that were searched more and less. A cell that no
    claim compares is not in it.
    """
    labels = {cell.label for cell in study_cells(study) if search_space(study, cell)}
    groups: dict[str, set[str]] = {}
    for claim in study.claims:
        compared = {cell.label for pair in claim_pairs(study, claim) for cell in pair} & labels
        together = compared.union(*(groups[label] for label in compared if label in groups))
        groups |= dict.fromkeys(together, together)
    order = [cell.label for cell in study_cells(study)]
    return {label: min(together, key=order.index) for label, together in groups.items()}


def search_space(study: Study, cell: Cell) -> dict[str, Distribution]:
    """The nuisance hyperparameters of a cell, by name; a later space overrides an earlier one. Empty for a cell that
    is not searched."""
    space: dict[str, Distribution] = {}
    for each in study.search.spaces if study.search else ():
        if cell.matches(each.when):
            space |= each.hyperparameters
    return space


def space_path(search: Search, cell: Cell, name: str) -> Path:
    """Where the study sets what is searched as `name` in a cell: in the last space that has it there."""
    matches = [i for i, space in enumerate(search.spaces) if cell.matches(space.when) and name in space.hyperparameters]
    return ("search", "spaces", matches[-1], "hyperparameters", name)


def fixed_fields(study: Study, cell: Cell) -> dict[str, Any]:
    """The fields that every training of a cell has, before anything is proposed."""
    return study.training | cell.fields


def training_configuration(
    study: Study, cell: Cell, phase: Phase, nuisance: Mapping[str, Any]
) -> TrainingConfiguration:
    """The configuration of one training: the study's fixed fields, the cell's levels, one proposal, what the phase
    measures. Raises FieldError.

    The search phase never sees the test set; the others read it once, at the end.
    """
    fields = {"test_at_end": True} | fixed_fields(study, cell) | dict(nuisance)
    if phase == "search" and study.search is not None:
        fields |= _of_the_search(study.search, fields)
    return TrainingConfiguration.from_flat(fields)


def common_configuration(study: Study, cell: Cell, phase: Phase = "confirm") -> TrainingConfiguration:
    """A cell's configuration before anything is proposed, for what its trainings have in common. A searched learning
    rate has its first value, since an optimizer may have none of its own. Raises FieldError."""
    rate = search_space(study, cell).get("learning_rate")
    first = {} if rate is None else {"learning_rate": rate.low if isinstance(rate, Range) else rate.choices[0]}
    return training_configuration(study, cell, phase, first)


def _of_the_search(search: Search, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the trainings of proposals have otherwise: the search's own budget and evaluations, and nothing read from
    the test set."""
    changes: dict[str, Any] = {"test_at_end": False, "test_curve": False}
    if search.num_evaluations is not None:
        changes["num_evaluations"] = search.num_evaluations
    if search.budget_samples is not None:
        changes["budget_samples"] = search.budget_samples
        first = fields.get("first_evaluation_samples")
        if isinstance(first, (int, float)) and first > search.budget_samples:
            changes["first_evaluation_samples"] = None
    return changes
