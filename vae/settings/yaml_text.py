"""YAML text -> plain data, with the line of every field, read as a person means it.

YAML 1.1 has traps that this reader does not have: `1e-3` is a number, `no` and `on` are text (true and false are
written so), `010` is ten, `1:30` and dates are text, a key that stands twice is an error, aliases cannot blow a
small file up. Nothing in a file can make an object of any other kind than mapping, list, text, number, true/false
and null. The parser is PyYAML's. ruamel.yaml has the numbers of YAML 1.2, but dates, `0x10` and `.inf` too: it would
spare the table of scalars below and none of the checks.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from vae.errors import ExplainedError
from vae.settings.fields import Path

MAX_CHARACTERS = 200_000
MAX_VALUES = 20_000
MAX_DEPTH = 20


class YamlError(ExplainedError, ValueError):
    """Text that cannot be read: why, and at which line (from 1), where that is known."""

    def __init__(self, text: str, line: int | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.line = line


@dataclass(frozen=True)
class Document:
    """What a YAML text holds, and the line (from 1) on which every value begins, by its path."""

    content: Any
    lines: dict[Path, int]


class _Loader(yaml.SafeLoader):
    """PyYAML's parser with the scalars of YAML 1.2."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 (a class's own, as PyYAML has it)


_TAG = "tag:yaml.org,2002:"
_SCALARS = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "int": (r"[-+]?[0-9][0-9_]*", "-+0123456789"),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
}
"""The pattern of each kind of scalar but text, and the characters that one can begin with."""

for _kind, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(rf"^(?:{_pattern})\Z"), list(_first))


def read_yaml(text: str) -> Document:
    """The one document in `text`; raises YamlError with the line at fault."""
    if len(text) > MAX_CHARACTERS:
        raise YamlError(f"holds {len(text):,} characters; at most {MAX_CHARACTERS:,} are read. Is it the right file?")
    try:
        root = yaml.compose(text, _Loader)
    except yaml.MarkedYAMLError as error:
        raise YamlError(_syntax_message(error), _line_of(error)) from None
    except yaml.reader.ReaderError as error:
        raise YamlError(
            f"holds the character U+{int(error.character):04X}, which YAML does not allow; is it a text file?",
            text.count("\n", 0, error.position) + 1,
        ) from None
    except yaml.YAMLError as error:
        raise YamlError(f"is not YAML: {error}") from None
    except RecursionError:
        raise YamlError(f"is nested more than {MAX_DEPTH} deep") from None
    walk = _Walk()
    return Document(None if root is None else walk.content(root, ()), walk.lines)


def read_value(text: str) -> Any:
    """The value that a short text means in YAML, as in `field=value`; raises YamlError."""
    return read_yaml(text).content


@dataclass
class _Walk:
    """From YAML's nodes to plain data; counts what it has made, so that aliases cannot multiply without end."""

    lines: dict[Path, int] = field(default_factory=dict)
    num_values: int = 0

    def content(self, node: yaml.Node, path: Path) -> Any:
        """The plain data of the node at `path`. Raises YamlError where it holds too much, is nested too deep or is
        of a kind that study files do not have."""
        line = node.start_mark.line + 1
        self.num_values += 1
        if self.num_values > MAX_VALUES:
            raise YamlError(f"holds more than {MAX_VALUES:,} values once its aliases (*name) are written out", line)
        if len(path) > MAX_DEPTH:
            raise YamlError(f"is nested more than {MAX_DEPTH} deep", line)
        self.lines.setdefault(path, line)
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return [self.content(item, (*path, i)) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node, line)
        raise YamlError(f"the tag {node.tag} is not read; write plain mappings, lists, text and numbers", line)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise YamlError("a key is a list or a mapping; every key must be text", line)
            key = str(key_node.value)
            if key in mapping:
                first = self.lines[(*path, key)]
                raise YamlError(
                    f"the key {key!r} stands twice in the same mapping; its first place is line {first}", line
                )
            self.lines[(*path, key)] = line
            mapping[key] = self.content(value_node, (*path, key))
        return mapping


def _scalar(node: yaml.ScalarNode, line: int) -> str | int | float | bool | None:
    kind, text = node.tag.removeprefix(_TAG), str(node.value)
    if kind == "str":
        return text
    if kind not in _SCALARS or not re.fullmatch(_SCALARS[kind][0], text):
        raise YamlError(f"{text!r} cannot be read as {node.tag}; leave the tag out", line)
    if kind == "null":
        return None
    return text.lower() == "true" if kind == "bool" else _number(text.replace("_", ""), kind, line)


def _number(digits: str, kind: str, line: int) -> int | float:
    if len(digits) > 40 or "inf" in digits.lower() or "nan" in digits.lower() or not math.isfinite(float(digits)):
        raise YamlError(f"{digits[:40]} is not a finite number that can be used here", line)
    return int(digits) if kind == "int" else float(digits)


def _line_of(error: yaml.MarkedYAMLError) -> int | None:
    mark = error.problem_mark or error.context_mark
    return None if mark is None else mark.line + 1


def _syntax_message(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem or "").replace("\n", " ")
    if "cannot start any token" in problem and "\\t" in problem:
        return "is not YAML: a tab stands where YAML wants spaces; indent with spaces"
    context, began = error.context, error.context_mark
    if not context:
        hint = " A value with a colon in it needs quotes." if "mapping values" in problem else ""
        return f"is not YAML: {problem}.{hint}"
    elsewhere = began is not None and error.problem_mark is not None and began.line != error.problem_mark.line
    where = f" that began on line {began.line + 1}" if elsewhere and began is not None else ""
    return f"is not YAML: {context}{where}, {problem}"
