"""Whether every training that a study could start has a valid configuration: each cell, each phase, each end of its
search space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

from study.spec.cells import Cell, Phase, fixed_fields, search_space, space_path, study_cells, training_configuration
from study.spec.schema import ARM, Distribution, Range, Study
from study.spec.trials import Trials, is_tried
from vae.configuration import TrainingConfiguration
from vae.data.folder import is_array_file
from vae.data.published import PUBLISHED
from vae.optimizers.specifications import hyperparameters_of
from vae.plugins import is_plugin, load_plugin
from vae.settings.fields import Fault, FieldError, Path
from vae.settings.nearest import unknown_name_message

_ARM_AS_FIELD = (
    "is a factor, whose levels are names of tuning rules, and no field of a training; write it under factors:"
    f" {ARM}: [defaults, learning_rate]"
)


def configuration_faults(study: Study) -> list[Fault]:
    """One fault for each thing that makes a configuration invalid; of a field of `training`, with the cells where it
    does, unless all."""
    cells, trials = study_cells(study), Trials()
    labels: dict[tuple[Path, str], list[str]] = {}
    for cell in cells:
        for fault in dict.fromkeys(_faults_of_cell(study, cell, trials)):
            labels.setdefault(fault, []).append(cell.label)
    return [
        Fault(path, text + (_in_cells(faulty, len(cells)) if path[0] == "training" else ""))
        for (path, text), faulty in labels.items()
    ]


def budget_of(study: Study, cell: Cell) -> int:
    """The training samples of one training of a cell, in the confirm phase; the default where the study's value is no
    number."""
    budget = fixed_fields(study, cell).get("budget_samples")
    default = TrainingConfiguration.model_fields["budget_samples"].default
    return int(budget) if isinstance(budget, (int, float)) else int(default)


def takes_whole_numbers(study: Study, cell: Cell, name: str) -> bool:
    """Whether a field of a cell's trainings, or its optimizer's hyperparameter, can only be a whole number."""
    if name in TrainingConfiguration.model_fields:
        return TrainingConfiguration.model_fields[name].annotation is int
    try:
        return hyperparameters_of(str(fixed_fields(study, cell).get("optimizer", "adam")))[name].is_integer
    except (ValueError, KeyError):
        return False


def _in_cells(labels: list[str], num_cells: int) -> str:
    if len(labels) == num_cells:
        return ""
    further = f" and {len(labels) - 3} more" if len(labels) > 3 else ""
    return f" (in {'; '.join(labels[:3])}{further})"


def _faults_of_cell(study: Study, cell: Cell, trials: Trials) -> Iterator[tuple[Path, str]]:
    phases: tuple[Phase, ...] = ("search", "confirm") if study.search else ("confirm",)
    for proposal in _corners(search_space(study, cell)):
        dataset = (fixed_fields(study, cell) | proposal).get("dataset")
        text = _dataset_fault(dataset) if isinstance(dataset, str) else ""
        if text:
            yield _study_path(study, cell, "confirm", proposal, ("dataset",)), text
        for phase in phases:
            try:
                configuration = training_configuration(study, cell, phase, proposal)
                if phase == "confirm" and not text and is_tried(configuration):
                    trials.require(configuration)
            except FieldError as error:
                for fault in error.faults:
                    searched = [(name,) for name in (fault.path[0], *fault.others) if name in proposal]
                    path = _study_path(study, cell, phase, proposal, searched[0] if searched else fault.path)
                    yield path, _ARM_AS_FIELD if fault.path == (ARM,) else fault.text


def _corners(space: Mapping[str, Distribution]) -> Iterator[dict[str, Any]]:
    """Proposals that together hold every end and every choice of the space."""
    ends = {name: _ends(distribution) for name, distribution in space.items()}
    first = {name: values[0] for name, values in ends.items()}
    yield first
    for name, values in ends.items():
        for value in values[1:]:
            yield first | {name: value}


def _ends(distribution: Distribution) -> tuple[Any, ...]:
    if not isinstance(distribution, Range):
        return distribution.choices
    ends = (distribution.low, distribution.high)
    return tuple(int(end) for end in ends) if distribution.integer else ends


def _dataset_fault(name: str) -> str:
    """Why there is no such dataset; empty where there is one."""
    if is_plugin(name):
        try:
            load_plugin(name)
        except ValueError as error:
            return str(error)
    elif name not in PUBLISHED and not _is_folder(name):
        return unknown_name_message(name, PUBLISHED, "a dataset or a folder that exists") + " Or module:function."
    return ""


def _is_folder(name: str) -> bool:
    try:
        place = FilePath(name).expanduser()
        return place.is_dir() or (is_array_file(name) and place.is_file())
    except (OSError, ValueError, RuntimeError):
        return False


def _study_path(study: Study, cell: Cell, phase: Phase, proposal: Mapping[str, Any], path: Path) -> Path:
    """Where the study sets the field at `path` of one of its trainings."""
    name = str(path[0])
    if name in proposal and study.search is not None:
        return (*space_path(study.search, cell, name), *path[1:])
    if phase == "search" and name in ("budget_samples", "num_evaluations") and getattr(study.search, name) is not None:
        return ("search", *path)
    if name not in dict(cell.levels):
        return ("training", *path)
    if cell.name is None:
        return ("factors", *path)
    return ("cells", "add", [named.name for named in study.cells.add].index(cell.name), "levels", *path)
