"""What the parent run of a study says of it in MLflow: the note that people read, and the executions so far. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from study.spec import Study

MOST_CHARACTERS = 8_000
"""MLflow cuts longer tags of a run, and refuses them of an experiment."""


def with_execution(tag: str, execution: Mapping[str, Any]) -> str:
    """The executions that a tag lists, and one more: the newest, as many as a tag holds. What cannot be read is left
    out."""
    try:
        listed = [*json.loads(tag), dict(execution)] if tag else [dict(execution)]
    except (ValueError, TypeError):
        listed = [dict(execution)]
    while len(text := json.dumps(listed)) > MOST_CHARACTERS and len(listed) > 1:
        listed = listed[1:]
    return text if len(text) <= MOST_CHARACTERS else "[]"


def study_note(study: Study) -> str:
    """The question, the factors and the phases, as Markdown."""
    factors = "; ".join(f"{name}: {', '.join(map(str, levels))}" for name, levels in study.factors.items())
    phases = f"{study.search.num_proposals} proposals per cell by {study.search.sampler}, then " if study.search else ""
    note = (
        f"**{study.question}**\n\n{study.description}\n\nFactors:"
        f" {factors or 'none'}.\n\n{phases}{study.confirm.num_reporting_seeds} reporting seeds per cell."
    )
    return note[:MOST_CHARACTERS]
