"""Whether a study as a whole can run: faults that no single field shows. Everything is checked before anything is
trained."""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from study.spec.cells import (
    WHOLE_CELL,
    Cell,
    claim_pairs,
    fixed_fields,
    grid_cells,
    level_text,
    num_grid_cells,
    search_space,
    space_path,
    study_cells,
)
from study.spec.configuration_checks import budget_of, configuration_faults, takes_whole_numbers
from study.spec.protocol_checks import protocol_faults
from study.spec.schema import Claim, Distribution, Level, Range, Search, Study, repeated_level, same_level
from vae.settings.fields import Fault, Path, value_text
from vae.settings.nearest import unknown_name_message

MAX_CELLS = 2_000
_WHEN_MEASURED = ("test_at_end", "test_curve")
_WHAT_IS_MEASURED = {
    *("dataset", "train_on_all", "pixels", "binarisation_seed", "budget_samples", "num_evaluations"),
    *("evaluation_spacing", "first_evaluation_samples", "num_importance_samples", "num_importance_images"),
    *_WHEN_MEASURED,
}


def study_faults(study: Study) -> list[Fault]:
    """Everything that keeps the study from running, in the study file's order; empty for a study that can run."""
    num_cells = num_grid_cells(study)
    if num_cells > MAX_CELLS:
        return [Fault(("factors",), f"make {num_cells:,} cells; at most {MAX_CELLS:,} can be run as one study")]
    faults = [*_factor_faults(study), *_cell_faults(study)]
    if not study_cells(study):
        return faults or [Fault(("cells", "exclude"), "leaves no cell; exclude less or add a cell")]
    faults += configuration_faults(study)
    if study.search is not None:
        faults += [*_space_faults(study, study.search), *_search_faults(study, study.search)]
        faults += _sampler_faults(study, study.search)
    faults += [*protocol_faults(study), *_measurement_faults(study), *_claim_faults(study)]
    return list(dict.fromkeys(faults))


def _factor_faults(study: Study) -> Iterator[Fault]:
    for factor, levels in study.factors.items():
        path: Path = ("factors", factor)
        repeated = repeated_level(levels)
        if not levels:
            yield Fault(path, "is empty; give at least one level, or leave the factor out")
        elif repeated is not None:
            yield Fault(path, f"has the level {value_text(repeated)} twice; every level stands once")
        if factor in _WHEN_MEASURED:
            yield Fault(path, "cannot be a factor: it says when the test set is read, which is the same in every cell")
        if factor in study.training:
            text = "is a factor too, so the value here cannot take effect; leave it out of training or out of factors"
            yield Fault(("training", factor), text)


def _cell_faults(study: Study) -> Iterator[Fault]:
    grid = grid_cells(study)
    for i, excluded in enumerate(study.cells.exclude):
        if not any(cell.matches(excluded) for cell in grid):
            text = f"{_levels_text(excluded)} matches no cell. {_why_no_match(excluded, grid)}"
            yield Fault(("cells", "exclude", i), text.strip())
    for i, named in enumerate(study.cells.add):
        path: Path = ("cells", "add", i)
        missing = [factor for factor in study.factors if factor not in named.levels]
        if missing:
            text = f"has no level of the factor {missing[0]}; a named cell gives a level of every factor:"
            yield Fault((*path, "levels"), f"{text} {', '.join(study.factors)}")
        if named.name in [earlier.name for earlier in study.cells.add[:i]]:
            yield Fault((*path, "name"), f"{named.name!r} is the name of another cell already")
        for name in set(named.levels) & set(_WHEN_MEASURED):
            yield Fault((*path, "levels", name), "cannot differ between cells: it says when the test set is read")
    if any(repeated_level(levels) is not None for levels in study.factors.values()):
        return
    for label, count in sorted(Counter(cell.label for cell in study_cells(study)).items()):
        if count > 1:
            yield Fault(("cells",), f"the cell {label} stands there twice; every cell has levels of its own")


def _space_faults(study: Study, search: Search) -> Iterator[Fault]:
    cells = study_cells(study)
    for i, space in enumerate(search.spaces):
        path: Path = ("search", "spaces", i)
        matches = [cell for cell in cells if cell.matches(space.when)]
        if not matches:
            text = f"{_levels_text(space.when)} matches no cell, so this space cannot take effect."
            yield Fault((*path, "when"), f"{text} {_why_no_match(space.when, cells)}".strip())
        for name, distribution in space.hyperparameters.items():
            for text in _hyperparameter_faults(study, matches, name, distribution):
                yield Fault((*path, "hyperparameters", name), text)


def _hyperparameter_faults(study: Study, cells: Sequence[Cell], name: str, distribution: Distribution) -> Iterator[str]:
    """Why one hyperparameter of a space cannot be searched in the cells that the space is for."""
    if name in _WHAT_IS_MEASURED:
        text = "cannot be searched: proposals are compared at the same data, budget and evaluations; fix it in training"
        yield f"{text} or make it a factor"
    compared = [cell.label for cell in cells if name in dict(cell.levels)]
    if compared:
        yield f"is a level of the cell {compared[0]} already; a hyperparameter is either compared or tuned"
    if cells and not any(search_space(study, cell).get(name) is distribution for cell in cells):
        yield "cannot take effect: later spaces override it in every cell that it is meant for"
    is_continuous = isinstance(distribution, Range) and not distribution.integer
    if is_continuous and any(takes_whole_numbers(study, cell, name) for cell in cells):
        yield "takes whole numbers only; add integer: true"


def _search_faults(study: Study, search: Search) -> Iterator[Fault]:
    cells = study_cells(study)
    spaces = [search_space(study, cell) for cell in cells]
    num_proposals, num_runners_up = search.num_proposals, study.confirm.num_runners_up
    for name in study.training:
        if all(name in space for space in spaces):
            text = "is searched in every cell, so the value here cannot take effect; leave it out of training or out of"
            yield Fault(("training", name), f"{text} the spaces")
    if "round_size" in search.model_fields_set and search.round_size > num_proposals:
        text = f"is {search.round_size}; it must be at most num_proposals, {num_proposals}"
        yield Fault(("search", "round_size"), text)
    if num_runners_up >= num_proposals:
        text = f"is {num_runners_up}; it must be less than search.num_proposals, {num_proposals}: the winner is one of"
        yield Fault(("confirm", "num_runners_up"), f"{text} them")
    budget = min(budget_of(study, cell) for cell in cells)
    if search.budget_samples is not None and search.budget_samples > budget:
        text = f"is {search.budget_samples}; it must be at most the training's own budget_samples, {budget}"
        yield Fault(("search", "budget_samples"), text)


def _sampler_faults(study: Study, search: Search) -> Iterator[Fault]:
    path, sampler = ("search", "sampler"), search.sampler
    spaces = [(cell, space) for cell in study_cells(study) if (space := search_space(study, cell))]
    if sampler == "grid":
        yield from _grid_faults(search, spaces)
    if sampler == "cmaes" and importlib.util.find_spec("cmaes") is None:
        text = f"is '{sampler}', which needs the package cmaes, and it is not installed; run: pip install cmaes."
        yield Fault(path, f"{text} Or choose tpe, qmc, random, grid or gp")
    if sampler not in ("tpe", "random", "grid"):
        for cell, space in spaces:
            if not any(isinstance(distribution, Range) for distribution in space.values()):
                text = f"is '{sampler}', which needs at least one range {{low, high}} in every cell; {cell.label} has"
                yield Fault(path, f"{text} none. Choose tpe, random or grid")
                return


def _grid_faults(search: Search, spaces: Iterable[tuple[Cell, Mapping[str, Distribution]]]) -> Iterator[Fault]:
    sizes: dict[int, str] = {}
    for cell, space in spaces:
        size = 1
        for name, distribution in space.items():
            if isinstance(distribution, Range):
                text = "is a range; the sampler grid needs {choices: [...]} for every hyperparameter, or choose another"
                yield Fault(space_path(search, cell, name), f"{text} sampler")
                return
            size *= len(distribution.choices)
        sizes.setdefault(size, cell.label)
    if len(sizes) > 1:
        text = " and ".join(f"{size} in {label}" for size, label in sizes.items())
        rule = "every cell gets the same number of proposals, so the sizes must be equal"
        yield Fault(("search", "spaces"), f"make grids of different sizes, {text}; {rule}")
    elif sizes and search.num_proposals not in sizes:
        rule = f"with the sampler grid it must be the number of points in the grid, {next(iter(sizes))}"
        yield Fault(("search", "num_proposals"), f"is {search.num_proposals}; {rule}")


def _measurement_faults(study: Study) -> Iterator[Fault]:
    search, training, validation = study.search, study.training, "validation/lower_bound"
    chosen_on_validation = search is not None and search.objective == validation
    if any(fixed_fields(study, cell).get("train_on_all") is True for cell in study_cells(study)):
        text = f"is {validation}, but train_on_all leaves no validation images; set train_on_all: false"
        if chosen_on_validation:
            yield Fault(("search", "objective"), f"{text}, or objective: train/lower_bound, or leave the search out")
        if study.metric == validation:
            yield Fault(("metric",), f"{text} or another metric: test/lower_bound, train/lower_bound")
    if training.get("test_curve") is True and chosen_on_validation:
        rule = "a test curve is drawn only where all is fixed or chosen on training data"
        text = f"is true, but the search chooses on held-out images; {rule}: set it to false, or search.objective to"
        yield Fault(("training", "test_curve"), f"{text} train/lower_bound")
    never_tested = training.get("test_at_end") is False and not training.get("test_curve")
    if study.metric == "test/lower_bound" and never_tested:
        text = "is test/lower_bound, but training.test_at_end is false; set it to true, or choose"
        yield Fault(("metric",), f"{text} validation/lower_bound or train/lower_bound")
    if search is None and study.confirm.num_runners_up:
        text = f"is {study.confirm.num_runners_up}, but nothing is searched, so there is no runner-up; set it to 0"
        yield Fault(("confirm", "num_runners_up"), text)


def _claim_faults(study: Study) -> Iterator[Fault]:
    cells = study_cells(study)
    names: list[Level] = [name for cell in cells for name in (cell.name, cell.label) if name]
    levels = _levels_by_factor(cells) | {WHOLE_CELL: names}
    for i, claim in enumerate(study.claims):
        path: Path = ("claims", i)
        faults = list(_levels_of_claim_faults(path, claim, levels))
        yield from faults
        if not faults and not claim_pairs(study, claim):
            at = f", at {_levels_text(claim.at)}" if claim.at else ""
            compared = f"{level_text(claim.level)} against {level_text(claim.baseline)}{at}"
            yield Fault(path, f"compares nothing: no two cells differ in {claim.factor} alone, {compared}")
        if claim.name in [earlier.name for earlier in study.claims[:i]]:
            yield Fault((*path, "name"), f"{claim.name!r} is the name of another claim already")
    primary = [claim.name for claim in study.claims if claim.primary]
    if len(primary) > 1:
        rule = "a study has at most one primary claim, the others are descriptive"
        yield Fault(("claims",), f"{', '.join(primary)} are all primary; {rule}")


def _levels_of_claim_faults(path: Path, claim: Claim, levels: Mapping[str, list[Level]]) -> Iterator[Fault]:
    if claim.factor not in levels:
        yield Fault((*path, "factor"), unknown_name_message(claim.factor, levels, "a factor of this study"))
        return
    for role, level in (("level", claim.level), ("baseline", claim.baseline)):
        if not _among(level, levels[claim.factor]):
            yield Fault((*path, role), _unknown_level(claim.factor, level, levels[claim.factor]))
    if same_level(claim.level, claim.baseline):
        yield Fault(
            (*path, "baseline"), f"is {value_text(claim.baseline)}, the same as level; a claim compares two levels"
        )
    if claim.at and claim.factor == WHOLE_CELL:
        yield Fault((*path, "at"), "cannot take effect: a claim about whole cells says all in level and baseline")
        return
    for factor, level in claim.at.items():
        text = ""
        if factor == claim.factor:
            text = "is the factor that the claim compares; `at` names levels of other factors"
        elif factor not in levels:
            text = unknown_name_message(factor, levels, "a factor of this study")
        elif not _among(level, levels[factor]):
            text = _unknown_level(factor, level, levels[factor])
        if text:
            yield Fault((*path, "at", factor), text)


def _levels_by_factor(cells: Iterable[Cell]) -> dict[str, list[Level]]:
    levels: dict[str, list[Level]] = {}
    for cell in cells:
        for factor, level in cell.levels:
            known = levels.setdefault(factor, [])
            known += [] if _among(level, known) else [level]
    return levels


def _among(level: Level, levels: Iterable[Level]) -> bool:
    return any(same_level(level, known) for known in levels)


def _unknown_level(factor: str, level: Level, levels: Iterable[Level]) -> str:
    what = "a cell of this study" if factor == WHOLE_CELL else f"a level of {factor} in any cell"
    return unknown_name_message(level_text(level), [level_text(known) for known in levels], what)


def _why_no_match(selection: Mapping[str, Level], cells: Iterable[Cell]) -> str:
    levels = _levels_by_factor(cells)
    for factor, level in selection.items():
        if factor not in levels:
            return unknown_name_message(factor, levels, "a factor of any cell")
        if not _among(level, levels[factor]):
            return _unknown_level(factor, level, levels[factor])
    return ""


def _levels_text(levels: Mapping[str, Level]) -> str:
    return Cell(tuple(levels.items())).label if levels else "an empty mapping"
