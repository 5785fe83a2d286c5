"""A study file, by name or path, with changes -> a Study that can run, or every fault as text."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from study.spec.cells import grid_cells, num_grid_cells, study_cells
from study.spec.checks import MAX_CELLS, study_faults
from study.spec.faults import study_shape_faults
from study.spec.schema import Confirm, Search, Study
from vae.configuration import field_names
from vae.errors import RequestError
from vae.settings.fields import Fault, dotted
from vae.settings.fields import Path as FieldPath
from vae.settings.nearest import unknown_name_message
from vae.settings.yaml_text import Document, YamlError, read_value, read_yaml

_CONFIGS = Path(__file__).parents[1] / "configs"
_MAX_BYTES = 1_000_000


class StudyFileError(RequestError):
    """A study file, or a change to it, that cannot be used; the message has one line for each fault."""


def shipped_studies() -> tuple[tuple[str, Path], ...]:
    """The studies that come with the project: name and file, sorted by name."""
    return tuple(sorted((path.stem, path) for path in _CONFIGS.glob("*.yaml")))


def load_study(name_or_path: str, overrides: Sequence[str] = ()) -> Study:
    """The study of that name, or in that file, with every `field=value` of `overrides` set.

    A field is a dotted path (`search.num_proposals`, `factors.optimizer`, `claims.0.primary`); a field of the training
    may stand alone (`budget_samples`). Values are YAML. Raises StudyFileError.
    """
    path = _study_path(name_or_path)
    document, file = read_study_file(path), _shown_path(path)
    source = _EditedFile(file, document.content, {field: f"{file}:{line}" for field, line in document.lines.items()})
    if not overrides:
        return source.study()
    written = None
    with suppress(StudyFileError):  # a file that cannot run as it stands may run when it is changed
        written = source.study()
    for override in overrides:
        source.set(override)
    if source.faults:
        raise StudyFileError("\n".join(source.faults))
    return source.study(written)


def read_study_file(path: Path) -> Document:
    """The mapping that a study file holds, unchecked, and the lines of its fields; raises StudyFileError."""
    file = _shown_path(path)
    try:
        document = read_yaml(_text(path))
    except YamlError as error:
        location = file if error.line is None else f"{file}:{error.line}"
        raise StudyFileError(f"{location}: {error.text}") from None
    if document.content is None:
        raise StudyFileError(f"{file}: is empty; a study file says at least name, question and confirm")
    if not isinstance(document.content, dict):
        kind = "a list" if isinstance(document.content, list) else "a single value"
        raise StudyFileError(f"{file}: is {kind}; a study file is a mapping, such as name: mine")
    return document


@dataclass
class _EditedFile:
    """A study file's content while it is changed, and the line or the change that set each of its fields."""

    file: str
    content: dict[str, Any]
    origins: dict[FieldPath, str]
    faults: list[str] = field(default_factory=list)

    def set(self, override: str) -> None:
        """Sets one `field=value`; notes a fault where that has no meaning."""
        name, equals, text = override.partition("=")
        origin = "--set " + "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in override)
        try:
            if not equals or not name.strip():
                raise ValueError("a change has the form field=value, such as training.budget_samples=1000")
            path = _field_path(name.strip(), self.content)
            _put(self.content, path, read_value(text))
        except ValueError as error:
            self.faults.append(f"{origin}: {error}")
            return
        others = {other: earlier for other, earlier in self.origins.items() if other[: len(path)] != path}
        self.origins = others | {path: origin}

    def study(self, written: Study | None = None) -> Study:
        """The study that the content makes, checked as a whole; `written` is what the file said before it was
        changed."""
        try:
            study = Study.model_validate(self.content)
        except ValidationError as error:
            raise self._error(study_shape_faults(error)) from None
        if written is not None and num_grid_cells(study) <= MAX_CELLS:
            study = _without_what_lost_its_cells(study, written)
        faults = study_faults(study)
        if faults:
            raise self._error(faults, is_changed=written is not None)
        return study

    def _error(self, faults: Sequence[Fault], is_changed: bool = False) -> StudyFileError:
        lines = []
        for fault in faults:
            origin = self._origin(fault.path)
            lost = is_changed and fault.path[:1] == ("claims",) and not origin.startswith("--set")
            remedy = " A change took this from the claim; add --set 'claims=[]' to make none." if lost else ""
            lines.append(f"{origin}: {fault}{remedy}")
        return StudyFileError("\n".join(lines))

    def _origin(self, path: FieldPath) -> str:
        """The line or the change that set what is at a path, or what it lies in; the file alone where none did."""
        lengths = range(len(path), 0, -1)
        return next((self.origins[path[:n]] for n in lengths if path[:n] in self.origins), self.file)


def _study_path(name_or_path: str) -> Path:
    """The file of a shipped study, or the path itself; raises StudyFileError when neither exists."""
    shipped = dict(shipped_studies())
    if name_or_path in shipped:
        return shipped[name_or_path]
    path = Path(name_or_path).expanduser() if name_or_path[:2] == "~/" else Path(name_or_path)
    try:
        if name_or_path and (path.is_file() or (path.exists() and not path.is_dir())):
            return path
        is_folder = path.is_dir() and bool(name_or_path)
    except (OSError, ValueError):
        is_folder = False
    if not _looks_like_a_path(name_or_path):
        text = unknown_name_message(name_or_path, shipped, "a study")
        raise StudyFileError(f"{text} Or the path of a study file, such as ./mine.yaml.")
    if is_folder:
        text = f"is a folder; name a study file in it, or one of the studies: {', '.join(shipped)}"
        raise StudyFileError(f"{name_or_path}: {text}")
    raise StudyFileError(f"{name_or_path}: there is no such file{_neighbour(path)}")


def _looks_like_a_path(name: str) -> bool:
    return "/" in name or "\\" in name or name.endswith((".yaml", ".yml")) or name in (".", "..")


def _neighbour(path: Path) -> str:
    """The file with the nearest name in the same folder, as the end of a sentence."""
    try:
        names = {other.stem: other.name for other in path.parent.iterdir() if other.suffix in (".yaml", ".yml")}
    except (OSError, ValueError):
        return f", nor the folder {path.parent}"
    near = difflib.get_close_matches(path.stem, names, n=1, cutoff=0.5)
    return f"; did you mean {path.parent / names[near[0]]}?" if near else ""


def _shown_path(path: Path) -> str:
    """A path from the working directory where it lies below it."""
    absolute = path.absolute()
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else str(path)


def _text(path: Path) -> str:
    """What the file holds; raises StudyFileError when it cannot be read as UTF-8 text."""
    try:
        if not path.is_file():
            raise StudyFileError(f"{path}: is not a file that can be read; a study file is YAML text")
        if (size := path.stat().st_size) > _MAX_BYTES:
            rule = f"a study file has at most {_MAX_BYTES:,}. Is it the right file?"
            raise StudyFileError(f"{path}: is {size:,} bytes; {rule}")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise StudyFileError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = f"{error.object[error.start]:#x}"
        text = f"is not UTF-8 text (byte {byte}); save it as UTF-8, or is it the right file?"
        raise StudyFileError(f"{path}:{line}: {text}") from None


def _field_path(name: str, content: Mapping[str, Any]) -> FieldPath:
    """The path that the left side of `field=value` names; raises ValueError that names the nearest legal one."""
    steps = tuple(int(step) if step.isdecimal() else step for step in name.split("."))
    if steps[0] in Study.model_fields:
        return steps
    factors = content.get("factors")
    if isinstance(factors, dict) and name in factors:
        raise ValueError(f"{name!r} is a factor of this study; say which levels it has with factors.{name}=[...]")
    if name in field_names():
        return ("training", name)
    search, confirm = (
        (f"search.{field}" for field in Search.model_fields),
        (f"confirm.{field}" for field in Confirm.model_fields),
    )
    legal = [*Study.model_fields, *field_names(), *search, *confirm]
    within = [full for full in legal if full.endswith(f".{name}")]
    near = within or difflib.get_close_matches(name, legal, n=1, cutoff=0.5)
    nearest = f"; did you mean {near[0]}?" if near else "."
    allowed = f"{', '.join(Study.model_fields)}, what lies in them after a dot, and the fields of training by their own"
    raise ValueError(f"{name!r} is not a field of a study{nearest} Allowed: {allowed} names.")


def _put(content: dict[str, Any], path: FieldPath, value: object) -> None:
    """Sets the value at a path, making mappings on the way; raises ValueError where a path leads through something
    else."""
    part: Any = content
    for depth, step in enumerate(path):
        parent = dotted(path[:depth])
        if isinstance(part, list):
            if not isinstance(step, int) or step >= len(part):
                rule = f"after it comes a position from 0 to {len(part) - 1}, not {step!r}"
                raise ValueError(f"{parent} is a list of {len(part)}; {rule}")
        elif isinstance(part, dict):
            step = str(step)
        else:
            raise ValueError(f"{parent} holds no fields, so {dotted(path)} cannot be set")
        if depth == len(path) - 1:
            part[step] = value
            return
        if isinstance(part, dict) and part.get(step) is None:
            part[step] = {}
        part = part[step]


def _without_what_lost_its_cells(study: Study, written: Study) -> Study:
    """The changed study less those spaces and exclusions of the file whose last cell the change took away.

    `factors.optimizer=[adam]` alone thus makes a smaller study: the space for adagrad, which was right in the file,
    goes with it.
    """
    cells, grid, old = study_cells(study), grid_cells(study), written.cells.exclude
    exclude = [part for part in study.cells.exclude if part not in old or any(cell.matches(part) for cell in grid)]
    changed: dict[str, Any] = {"cells": study.cells.model_copy(update={"exclude": tuple(exclude)})}
    if study.search is not None and written.search is not None:
        old_spaces = written.search.spaces
        spaces = [
            space
            for space in study.search.spaces
            if space not in old_spaces or any(cell.matches(space.when) for cell in cells)
        ]
        changed["search"] = study.search.model_copy(update={"spaces": tuple(spaces)})
    return study.model_copy(update=changed)
