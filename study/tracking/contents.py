"""What MLflow's runs say: of a training its key, tags and parameters; of a study its note and its executions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from study.protocol.cell_protocol import PlannedTraining
from study.records.identity import Identity
from study.records.records import Record
from study.spec import Study

MOST_CHARACTERS = 8_000
"""MLflow cuts longer tags of a run, and refuses them of an experiment."""


def run_key(planned: PlannedTraining, identity_hash: str) -> str:
    """What makes a nested run unique: a training and its place in the study."""
    return f"{planned.position}|{identity_hash}"


def run_tags(planned: PlannedTraining, record: Record, study: str, parent_run_id: str) -> dict[str, str]:
    """The tags of a training's run, below its study's parent run."""
    tags = _position_tags(planned, parent_run_id) | {
        "outcome": record.outcome,
        "identity": record.identity.hash,
        "code_sha256": record.identity.code_sha256,
        "data_sha256": record.identity.data_sha256,
        "trial": record.trial,
        "machine": record.machine,
        "pack_size": str(record.pack_size),
        "weights_sha256": record.weights_sha256,
    }
    if planned.phase == "search":
        tags |= {"extra_round": str(planned.extra_round), "space": planned.space}
    if planned.cell.name:
        tags["cell_name"] = planned.cell.name
    if record.study != study:
        tags["reused_from"] = record.study
    if record.code_kept:
        tags["code_kept"] = "true"
    return tags


def unfinished_tags(planned: PlannedTraining, parent_run_id: str) -> dict[str, str]:
    """The tags of a training's run while it is under way: its place, and no outcome, so that no report counts it."""
    return _position_tags(planned, parent_run_id)


def failure_tags(planned: PlannedTraining, parent_run_id: str) -> dict[str, str]:
    """The tags of a run that tells of a training whose code raised; no report counts it."""
    tags = _position_tags(planned, parent_run_id) | {"outcome": "failed", "superseded": "true"}
    return tags | ({"extra_round": str(planned.extra_round)} if planned.extra_round else {})


def _position_tags(planned: PlannedTraining, parent_run_id: str) -> dict[str, str]:
    tags = {
        "mlflow.parentRunId": parent_run_id,
        "kind": "training",
        "phase": planned.phase,
        "cell": planned.cell.label,
        "cell_title": planned.curve_title,
        "proposal": text_or_none(planned.proposal),
        "rank": text_or_none(planned.rank),
        "seed": str(planned.replicate),
    }
    return tags | ({"repeat": str(planned.repeat)} if planned.repeat else {})


def run_params(record: Record) -> dict[str, str]:
    """The parameters of a training's run, as text."""
    return unfinished_params(record.identity) | {"num_parameters": str(record.num_parameters)}


def unfinished_params(identity: Identity) -> dict[str, str]:
    """Those of them that are known before the training ends."""
    return {name: _param_text(value) for name, value in identity.configuration.items()}


def text_or_none(number: int | None) -> str:
    """A number of a place in the study as a tag holds it; the word none where the training has no such number."""
    return "none" if number is None else str(number)


def _param_text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, (list, dict, bool)) or value is None else str(value)


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


def answered_note(study: Study, answer: str) -> str:
    """The same below the answer of its report, Markdown as well."""
    return f"{answer}\n\n{study_note(study)}"[:MOST_CHARACTERS]


def renewed_note(note: str, study: Study) -> str:
    """What the study's run says from now on: the answer of a report stays above as long as the study is the same."""
    return note if note.endswith(study_note(study)) else study_note(study)
