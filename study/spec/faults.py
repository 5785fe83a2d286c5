"""What is wrong with a study, as text for a person: the field, what was received, what is allowed, the nearest legal
name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from study.spec.schema import (
    Cells,
    Choices,
    Claim,
    Confirm,
    NamedCell,
    NoiseFloor,
    Published,
    Range,
    Search,
    Space,
    Study,
)
from vae.configuration import TrainingConfiguration
from vae.nearest import unknown_name_message

Path = tuple[str | int, ...]

# The part of a study that stands at a path, list positions left out.
_PARTS: Mapping[Path, type[BaseModel]] = {
    (): Study,
    ("cells",): Cells,
    ("cells", "add"): NamedCell,
    ("search",): Search,
    ("search", "spaces"): Space,
    ("confirm",): Confirm,
    ("claims",): Claim,
    ("published",): Published,
    ("noise_floor",): NoiseFloor,
}
_DISTRIBUTIONS: Mapping[str, type[BaseModel]] = {"range": Range, "choices": Choices}


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: the field's path in the study, and what is wrong with it."""

    path: Path
    text: str

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.text}" if self.path else self.text


def dotted(path: Path) -> str:
    """A path as it is written in `field=value`: `search.spaces.0.when`."""
    return ".".join(str(step) for step in path)


def shown(given: object) -> str:
    """A received value in the words of YAML, cut to a readable length."""
    if given is None:
        return "empty"
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, (dict, BaseModel)):
        return "a mapping"
    text = (
        repr(list(given))
        if isinstance(given, tuple)
        else f"{given:g}"
        if isinstance(given, float) and given == float(f"{given:g}")
        else repr(given)
    )
    return text if len(text) <= 60 else text[:57] + "..."


def study_shape_faults(error: ValidationError) -> list[Fault]:
    """The faults of a study that does not have the shape of one, in the order of its fields."""
    return [Fault(_path(details), _study_text(details)) for details in error.errors(include_url=False)]


def training_faults(error: ValidationError) -> list[tuple[str | None, str]]:
    """The faults of a training's configuration: the field at fault, None where several disagree, and what is wrong."""
    return [
        (str(details["loc"][0]) if details["loc"] else None, fault_text(details))
        for details in error.errors(include_url=False)
    ]


def fault_text(details: ErrorDetails) -> str:
    """What is wrong according to one of pydantic's errors, in one sentence."""
    kind, given, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "value_error":
        text = str(context.get("error", details["msg"]))
        return f"is {shown(given)}; {text}" if text.startswith("it must") else text
    if kind == "literal_error":
        allowed = _listed(str(context["expected"]))
        return (
            unknown_name_message(given, allowed, "one of its values")
            if isinstance(given, str)
            else _must_be(given, f"one of {', '.join(allowed)}")
        )
    if kind in ("too_short", "string_too_short"):
        return "is empty; give at least one" if kind == "too_short" else "is empty; write at least a word"
    if kind == "string_pattern_mismatch":
        return (
            f"is {shown(given)}; it must begin with a letter or a digit and hold only letters, digits, - and _, at most"
            " 64 of them"
        )
    return _must_be(given, _RULES.get(kind) or details["msg"].removeprefix("Input should be "))


_RULES = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text; put it in quotes where it looks like a number",
    "tuple_type": "a list, such as [1, 2]",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of names to values",
    "model_attributes_type": "a mapping of names to values",
    "finite_number": "a finite number",
    "union_tag_not_found": "a range {low: ..., high: ...} or {choices: [...]}",
}


def _must_be(given: object, rule: str) -> str:
    hint = ""
    if rule == "true or false" and isinstance(given, str) and given.lower() in {"yes", "on", "no", "off", "y", "n"}:
        hint = f"; write {'true' if given.lower() in {'yes', 'on', 'y'} else 'false'}"
    return f"is {shown(given)}; it must be {rule}{hint}"


def _listed(expected: str) -> list[str]:
    return [name.strip().strip("'") for name in expected.replace(" or ", ", ").split(",") if name.strip()]


def _path(details: ErrorDetails) -> Path:
    """Where an error lies in the study file: pydantic's location without the names of union members."""
    location = details["loc"]
    return tuple(step for i, step in enumerate(location) if not _is_tag(location, i) and step != "[key]")


def _is_tag(location: Path, i: int) -> bool:
    return i >= 2 and location[i - 2] == "hyperparameters" and location[i] in _DISTRIBUTIONS


def _study_text(details: ErrorDetails) -> str:
    if details["type"] not in ("extra_forbidden", "missing"):
        return fault_text(details)
    *parent, name = details["loc"]
    part = _part_at(tuple(parent))
    if details["type"] == "missing":
        return f"is missing. {part.model_fields[str(name)].description if part else ''}".strip()
    return unknown_field_text(str(name), part, tuple(parent))


def unknown_field_text(name: str, part: type[BaseModel] | None, parent: Path) -> str:
    """What to say about a field that a part of the study does not have."""
    place = (
        "a field of a study"
        if not parent
        else f"a field of {dotted(tuple(step for step in parent if step not in _DISTRIBUTIONS))}"
    )
    text = unknown_name_message(name, part.model_fields if part else (), place)
    return (
        f"{text} It is a field of a training: write it under training."
        if part is Study and name in TrainingConfiguration.model_fields
        else text
    )


def _part_at(parent: Path) -> type[BaseModel] | None:
    if parent and len(parent) > 2 and parent[-3] == "hyperparameters":
        return _DISTRIBUTIONS.get(str(parent[-1]))
    if parent and len(parent) > 1 and _is_tag(parent, len(parent) - 1):
        return _DISTRIBUTIONS[str(parent[-1])]
    return _PARTS.get(tuple(step for step in parent if isinstance(step, str)))
