"""Code that results name, `module:attribute`: it runs on this machine only where its user named it too.

Whoever can write to an MLflow server can write any name into a study or into the header of its weights; what is in a
database of one's own is one's own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from analysis.results.errors import ForeignCodeError
from study.addresses.credentials import without_credentials
from study.addresses.stores import database_path
from study.spec import Study
from study.spec.loading import read_study_file
from vae.plugins import is_plugin

_WORDS = frozenset({"name", "question", "description", "title"})
"""Fields for people, of studies, cells and claims, which are never imported."""


def code_named(content: object) -> frozenset[str]:
    """Every module:attribute in a document, such as a study file."""
    return frozenset(_code_named(content))


def _code_named(content: object) -> Iterator[str]:
    if isinstance(content, str) and is_plugin(content):
        yield content
    elif isinstance(content, dict):
        for key, entry in content.items():
            if key not in _WORDS:
                yield from _code_named(entry)
    elif isinstance(content, (list, tuple)):
        for entry in content:
            yield from _code_named(entry)


def code_of_file(name_or_path: str) -> frozenset[str]:
    """What the study file of that path names; nothing where it is a study's name."""
    if not name_or_path.endswith((".yaml", ".yml")):
        return frozenset()
    return code_named(read_study_file(Path(name_or_path)).content)


def require_own_code(study: Study, tracking_uri: str, allowed: frozenset[str]) -> None:
    """Raises ForeignCodeError where a study names what its reader did not; a SQLite file is on the reader's own
    disk."""
    is_own = database_path(tracking_uri) is not None
    foreign = () if is_own else sorted(code_named(study.model_dump(mode="json")) - allowed)
    if foreign:
        raise ForeignCodeError(
            f"the study {study.name} in MLflow at {without_credentials(tracking_uri)} names code, {foreign[0]}, which a"
            " report of it would import here. Whoever may write to that server may name any: give the study file that"
            f" names it too (--study FILE.yaml), or --allow-code {foreign[0]}"
        )


def code_beside(weights: Path, study: Study) -> tuple[str, ...]:
    """What the header of weights names and their study does not; nothing of a file that is not readable as weights,
    which is refused elsewhere."""
    try:
        with safe_open(weights, framework="numpy") as file:
            configuration: Any = json.loads((file.metadata() or {}).get("configuration", "{}"))
    except (SafetensorError, OSError, ValueError):
        return ()
    return tuple(sorted(code_named(configuration) - code_named(study.model_dump(mode="json"))))
