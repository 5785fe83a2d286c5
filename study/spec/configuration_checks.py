"""Whether every training that a study could start has a valid configuration: each cell, each phase, each end of its
search space."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any, get_args

from pydantic import ValidationError

from study.spec.cells import Cell, Phase, search_space, study_cells, training_configuration
from study.spec.faults import Fault, Path, shown, training_faults
from study.spec.schema import ARM, Distribution, Range, Study
from vae.configuration import TrainingConfiguration
from vae.data.published import PUBLISHED
from vae.model.network import model_argument_names
from vae.nearest import unknown_name_message
from vae.optimizers import OPTIMIZERS, hyperparameters_of
from vae.plugins import is_plugin, load_plugin

_Named = tuple[str | None, str]


def configuration_faults(study: Study) -> list[Fault]:
    """One fault for each thing that makes a configuration invalid; of a field of `training`, with the cells where it
    does, unless all."""
    cells = study_cells(study)
    found: dict[tuple[Path, str], list[str]] = {}
    for cell in cells:
        for key in dict.fromkeys(_faults_of_cell(study, cell)):
            found.setdefault(key, []).append(cell.label)
    return [
        Fault(path, text + (_in_cells(labels, len(cells)) if path[0] == "training" else ""))
        for (path, text), labels in found.items()
    ]


def fixed_fields(study: Study, cell: Cell) -> dict[str, Any]:
    """The fields that every training of a cell has, before anything is proposed."""
    return study.training | cell.fields


def budget_of(study: Study, cell: Cell) -> int:
    """The training samples of one training of a cell, in the confirm phase; the default where what is given is no
    number."""
    given = fixed_fields(study, cell).get("budget_samples")
    default = TrainingConfiguration.model_fields["budget_samples"].default
    return int(given) if isinstance(given, (int, float)) else int(default)


def takes_whole_numbers(study: Study, cell: Cell, name: str) -> bool:
    """Whether a field of a cell's trainings, or its optimizer's hyperparameter, can only be a whole number."""
    if name in TrainingConfiguration.model_fields:
        return int in _kinds(name)
    try:
        default = hyperparameters_of(str(fixed_fields(study, cell).get("optimizer", "adam")))[name].default
    except (ValueError, KeyError):
        return False
    return isinstance(default, int) and not isinstance(default, bool)


def _in_cells(labels: list[str], num_cells: int) -> str:
    if len(labels) == num_cells:
        return ""
    further = f" and {len(labels) - 3} more" if len(labels) > 3 else ""
    return f" (in {'; '.join(labels[:3])}{further})"


def _faults_of_cell(study: Study, cell: Cell) -> Iterator[tuple[Path, str]]:
    phases: tuple[Phase, ...] = ("search", "confirm") if study.search else ("confirm",)
    for proposal in _corners(search_space(study, cell)):
        for phase in phases:
            for name, text in _faults_of_training(study, cell, phase, proposal):
                yield _path(study, cell, phase, proposal, name), text


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


def _faults_of_training(study: Study, cell: Cell, phase: Phase, proposal: Mapping[str, Any]) -> list[_Named]:
    """The faults of one configuration as (field, text); the field is None where several disagree."""
    fields = fixed_fields(study, cell) | dict(proposal)
    faults = _code_faults(fields)
    if faults:
        return faults
    faults = [*_unknown_fields(fields), *_misread_fields(fields), *_hyperparameter_faults(fields)]
    sound = study.model_copy(
        update={"training": {name: given for name, given in study.training.items() if name not in dict(faults)}}
    )
    rest = {name: given for name, given in proposal.items() if name not in dict(faults)}
    levels = Cell(tuple((name, level) for name, level in cell.levels if name not in dict(faults)), cell.name)
    try:
        training_configuration(sound, levels, phase, rest)
    except ValidationError as error:
        return faults + [
            (name or _field_in(text, proposal), text)
            for name, text in training_faults(error)
            if name is not None or not faults
        ]
    except ValueError as error:
        return faults or [(_field_in(str(error), proposal), str(error))]
    return faults


def _field_in(text: str, proposal: Mapping[str, Any]) -> str | None:
    """The field that a message about several is put down to: one that is searched, else the one that it begins with."""
    words = re.findall(r"\w+", text)
    searched = next((word for word in words if word in proposal), None)
    return searched or (words[0] if words and words[0] in TrainingConfiguration.model_fields else None)


def _code_faults(fields: Mapping[str, Any]) -> list[_Named]:
    """What keeps the optimizer, the model or the dataset that the fields name from being found or told its
    arguments."""
    faults: list[_Named] = []
    for name, find in (("optimizer", hyperparameters_of), ("model", model_argument_names), ("dataset", _find_dataset)):
        given = fields.get(name)
        if given is None and name not in fields:
            continue
        try:
            if not isinstance(given, str):
                raise ValueError(f"is {shown(given)}; it must be text")
            find(given)
        except (ValueError, TypeError, SystemExit) as error:
            faults.append(
                (
                    name,
                    (
                        str(error)
                        if not isinstance(error, SystemExit)
                        else f"{given!r}: its module ends the program when it is imported"
                    ),
                )
            )
    for name in ("optimizer_arguments", "model_arguments"):
        given = fields.get(name, {})
        if not isinstance(given, dict):
            faults.append((name, f"is {shown(given)}; it must be a mapping of names to values"))
        else:
            faults += [
                (name, f"{own} is {shown(part)}; it must be a number, true, false or text")
                for own, part in given.items()
                if isinstance(part, (list, dict))
            ]
    return faults


def _find_dataset(name: str) -> None:
    if is_plugin(name):
        load_plugin(name)
    elif name not in PUBLISHED and not _is_folder(name):
        raise ValueError(
            unknown_name_message(name, PUBLISHED, "a dataset or a folder that exists") + " Or module:function."
        )


def _is_folder(name: str) -> bool:
    try:
        return FilePath(name).expanduser().is_dir()
    except (OSError, ValueError, RuntimeError):
        return False


def _unknown_fields(fields: Mapping[str, Any]) -> Iterator[_Named]:
    optimizer, model = fields.get("optimizer", "adam"), fields.get("model", "vae")
    own, further = hyperparameters_of(optimizer), model_argument_names(model)
    for name in fields:
        if name in TrainingConfiguration.model_fields or name in own or name in further:
            continue
        if name == ARM:
            yield (
                name,
                (
                    "is a factor, whose levels are names of tuning rules, and no field of a training; write it under"
                    f" factors: {ARM}: [defaults, learning_rate]"
                ),
            )
            continue
        owners = [other for other, known in OPTIMIZERS.items() if name in known.hyperparameters]
        if owners:
            yield (
                name,
                (
                    f"is a hyperparameter of {', '.join(owners)}, not of {optimizer}, whose own are"
                    f" {', '.join(own) or 'none'}"
                ),
            )
        else:
            known = {name for other in OPTIMIZERS.values() for name in other.hyperparameters}
            yield (
                name,
                unknown_name_message(
                    name, [*TrainingConfiguration.model_fields, *known, *own, *further], "a field of a training"
                ),
            )


def _misread_fields(fields: Mapping[str, Any]) -> Iterator[_Named]:
    """Text or true/false where a number belongs, and the like, which would otherwise be turned into what was not
    meant."""
    for name, given in fields.items():
        if name not in TrainingConfiguration.model_fields or name.endswith("_arguments"):
            continue
        kinds = _kinds(name)
        for part in given if isinstance(given, (list, tuple)) else (given,):
            if kinds & {int, float} and isinstance(part, (bool, str)):
                quoted = "; take the quotes away" if isinstance(part, str) and _is_number(part) else ""
                yield name, f"is {shown(given)}; it must be {'a whole number' if int in kinds else 'a number'}{quoted}"
            elif bool in kinds and not isinstance(part, bool):
                yes = {"yes": "; write true", "on": "; write true", "no": "; write false", "off": "; write false"}.get(
                    str(part).lower(), ""
                )
                yield name, f"is {shown(given)}; it must be true or false{yes}"
            else:
                continue
            break


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _kinds(name: str) -> set[Any]:
    """The plain types that a field of a training may have, out of whatever is wrapped around them."""
    waiting, found = [TrainingConfiguration.model_fields[name].annotation], set()
    while waiting:
        annotation = waiting.pop()
        inner = get_args(annotation)
        waiting += inner
        if isinstance(annotation, type) and not inner:
            found.add(annotation)
    return found


def _hyperparameter_faults(fields: Mapping[str, Any]) -> Iterator[_Named]:
    legal = hyperparameters_of(fields.get("optimizer", "adam"))
    for name, given in fields.items():
        if name in legal:
            try:
                legal[name].check(name, given)
            except ValueError as error:
                yield name, str(error).removeprefix(f"{name} ")


def _path(study: Study, cell: Cell, phase: Phase, proposal: Mapping[str, Any], name: str | None) -> Path:
    """Where the study says what a field of one of its trainings is."""
    if name is None:
        return ("training",)
    if name in proposal and study.search is not None:
        last = max(
            i
            for i, space in enumerate(study.search.spaces)
            if cell.matches(space.when) and name in space.hyperparameters
        )
        return ("search", "spaces", last, "hyperparameters", name)
    if phase == "search" and name in ("budget_samples", "num_evaluations") and getattr(study.search, name) is not None:
        return ("search", name)
    if name not in dict(cell.levels):
        return ("training", name)
    if cell.name is None:
        return ("factors", name)
    return ("cells", "add", [named.name for named in study.cells.add].index(cell.name), "levels", name)
