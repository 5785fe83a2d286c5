"""What MLflow's run of a training says of it: its key, its tags, its parameters."""

from __future__ import annotations

import json
from typing import Any

from study.protocol.cell_protocol import PlannedTraining
from study.records.records import Record


def run_key(planned: PlannedTraining, identity_hash: str) -> str:
    """What makes a nested run unique: a training and its place in the study."""
    return f"{planned.place}|{identity_hash}"


def run_tags(planned: PlannedTraining, record: Record, study: str, parent_run_id: str) -> dict[str, str]:
    """The tags of a training's run, below its study's parent run."""
    tags = {
        "mlflow.parentRunId": parent_run_id,
        "kind": "training",
        "phase": planned.phase,
        "cell": planned.cell.label,
        "proposal": text_or_none(planned.proposal),
        "rank": text_or_none(planned.rank),
        "seed": str(planned.replicate),
        "outcome": record.outcome,
        "identity": record.identity.hash,
        "code_sha256": record.identity.code_sha256,
        "trial": record.trial,
        "machine": record.machine,
        "pack_size": str(record.pack_size),
        "weights_sha256": record.weights_sha256,
    }
    if planned.phase == "search":
        tags |= {"extra_round": str(planned.extra_round), "space": planned.space}
    if planned.repeat:
        tags["repeat"] = str(planned.repeat)
    if planned.cell.name:
        tags["cell_name"] = planned.cell.name
    if record.study != study:
        tags["reused_from"] = record.study
    if record.code_kept:
        tags["code_kept"] = "true"
    return tags


def run_params(record: Record) -> dict[str, str]:
    """The parameters of a training's run, as text."""
    return {
        name: _param_text(given)
        for name, given in (record.identity.configuration | {"num_parameters": record.num_parameters}).items()
    }


def text_or_none(number: int | None) -> str:
    """A number of a place in the study as a tag holds it; the word none where the training has no such number."""
    return "none" if number is None else str(number)


def _param_text(given: Any) -> str:
    return json.dumps(given) if isinstance(given, (list, dict, bool)) or given is None else str(given)
