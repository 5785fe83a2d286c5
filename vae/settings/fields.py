"""Fields of a configuration as people write them: their strict types, and what is wrong with one.

Numbers, true/false and text are never turned into one another: `"5"` is not 5 and `true` is not 1. The one exception
is a whole number written as a float, so that `1e6` samples can be said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, Strict, ValidationError
from pydantic_core import ErrorDetails

from vae.settings.nearest import unknown_name_message

Path = tuple[str | int, ...]
Scalar = int | float | bool | str


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong: the path of a field, and what is wrong with it.

    `others`: the further fields of those that disagree.
    """

    path: Path
    text: str
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{dotted(self.path)}: {self.text}" if self.path else self.text


class FieldError(ValueError):
    """Fields that are not what they may be: a fault for each."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class RuleError(ValueError):
    """A value that breaks the rule of its field; the message completes "it must be"."""


def dotted(path: Path) -> str:
    """A path as it is written in `field=value`: `search.spaces.0.when`."""
    return ".".join(str(step) for step in path)


def faults_of(error: ValidationError) -> list[Fault]:
    """Every fault that a validation reports, in the order of the fields."""
    faults: list[Fault] = []
    for details in error.errors(include_url=False):
        cause = details.get("ctx", {}).get("error")
        causes = cause.faults if isinstance(cause, FieldError) else (Fault((), fault_text(details)),)
        faults += [replace(fault, path=details["loc"] + fault.path) for fault in causes]
    return faults


def fault_text(details: ErrorDetails) -> str:
    """What is wrong according to one of pydantic's errors, in one sentence."""
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "value_error":
        error = context["error"]
        return broken_rule(value, str(error)) if isinstance(error, RuleError) else str(error)
    if kind == "literal_error":
        allowed = [name.strip().strip("'") for name in str(context["expected"]).replace(" or ", ", ").split(",")]
        if isinstance(value, str):
            return unknown_name_message(value, allowed, "one of its values")
        return broken_rule(value, f"one of {', '.join(allowed)}")
    if kind in _EMPTY:
        return f"is empty; {_EMPTY[kind]}"
    return broken_rule(value, _RULES.get(kind) or details["msg"].removeprefix("Input should be "))


_EMPTY = {"too_short": "give at least one", "string_too_short": "write at least a word"}
_RULES = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text; put it in quotes where it looks like a number",
    "tuple_type": "a list, such as [1, 2]",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of names to values",
    "model_attributes_type": "a mapping of names to values",
    "finite_number": "a finite number",
    "union_tag_not_found": "a range {low: ..., high: ...} or {choices: [...]}",
}
_SWITCHES = dict.fromkeys(("yes", "on", "y"), "true") | dict.fromkeys(("no", "off", "n"), "false")


def broken_rule(value: object, rule: str) -> str:
    """That a value is not what the rule says, with a hint where the value shows what was meant."""
    hint = ""
    if isinstance(value, str) and rule == "true or false" and value.lower() in _SWITCHES:
        hint = f"; write {_SWITCHES[value.lower()]}"
    elif isinstance(value, str) and "number" in rule and _is_number(value):
        hint = "; take the quotes away"
    return f"is {value_text(value)}; it must be {rule}{hint}"


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def value_text(value: object) -> str:
    """A received value in the words of YAML, cut to a readable length."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dict, BaseModel)):
        return "a mapping"
    if isinstance(value, float) and value == float(f"{value:g}"):
        return f"{value:g}"
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= 60 else text[:57] + "..."


def _as_integer(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _scalar(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        raise RuleError("a finite number")
    if not isinstance(value, (bool, int, float, str)):
        raise RuleError("a number, true, false or text")
    return value


def _scalar_or_list(value: object) -> object:
    return tuple(map(_scalar, value)) if isinstance(value, (list, tuple)) else _scalar(value)


Count = Annotated[int, Strict(), BeforeValidator(_as_integer)]
Number = Annotated[float, Strict()]
Switch = Annotated[bool, Strict()]
OneScalar = Annotated[Scalar, BeforeValidator(_scalar)]
ScalarOrList = Annotated[Scalar | tuple[Scalar, ...], BeforeValidator(_scalar_or_list)]
