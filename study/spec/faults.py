"""What is wrong with the shape of a study, as text for a person: the field, what was received, what is allowed, the
nearest legal name."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from study.spec.schema import (
    Cells,
    Choices,
    Claim,
    Confirm,
    NamedCell,
    NoiseFloorCell,
    PublishedNumber,
    Range,
    Search,
    Space,
    Study,
)
from vae.configuration import TrainingConfiguration
from vae.settings.fields import Fault, Path, dotted, fault_text, value_text
from vae.settings.nearest import unknown_name_message

# The part of a study that stands at a path, list positions left out.
_PARTS: Mapping[Path, type[BaseModel]] = {
    (): Study,
    ("cells",): Cells,
    ("cells", "add"): NamedCell,
    ("search",): Search,
    ("search", "spaces"): Space,
    ("confirm",): Confirm,
    ("claims",): Claim,
    ("published",): PublishedNumber,
    ("noise_floor",): NoiseFloorCell,
}
_SAFE_NAME = "it must begin with a letter or a digit and hold only letters, digits, - and _, at most 64 of them"
_DISTRIBUTIONS: Mapping[str, type[BaseModel]] = {"range": Range, "choices": Choices}


def study_shape_faults(error: ValidationError) -> list[Fault]:
    """The faults of a study that does not have the shape of one, in the order of its fields."""
    return [_shape_fault(details) for details in error.errors(include_url=False)]


def _shape_fault(details: ErrorDetails) -> Fault:
    path, distribution = _without_tag(details["loc"])
    *steps, name = path or ("",)
    parent = tuple(steps)
    part = distribution or _PARTS.get(tuple(step for step in parent if isinstance(step, str)))
    if details["type"] == "extra_forbidden":
        return Fault(path, unknown_field_text(str(name), part, parent))
    if details["type"] == "missing":
        description = part.model_fields[str(name)].description if part else None
        return Fault(path, " ".join(f"is missing. {description or ''}".split()))
    if details["type"] == "string_pattern_mismatch":
        return Fault(path, f"is {value_text(details['input'])}; {_SAFE_NAME}")
    return Fault(path, fault_text(details))


def _without_tag(location: Path) -> tuple[Path, type[BaseModel] | None]:
    """The path in the study file of pydantic's location, which also names the kind of a distribution; and that kind."""
    path = tuple(step for step in location if step != "[key]")
    for i in range(2, len(path)):
        if path[i - 2] == "hyperparameters" and path[i] in _DISTRIBUTIONS:
            return path[:i] + path[i + 1 :], _DISTRIBUTIONS[str(path[i])]
    return path, None


def unknown_field_text(name: str, part: type[BaseModel] | None, parent: Path) -> str:
    """What to say about a field that a part of the study does not have."""
    what = f"a field of {dotted(parent)}" if parent else "a field of a study"
    text = unknown_name_message(name, part.model_fields if part else (), what)
    is_of_training = part is Study and name in TrainingConfiguration.model_fields
    return f"{text} It is a field of a training: write it under training." if is_of_training else text
