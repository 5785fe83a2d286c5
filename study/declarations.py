"""What a study declares before it runs, and the history of that: a claim that changed when results were there says so in the report. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from study.cells import level_text
from study.spec import Claim, Study

TAG = "declarations"
MOST_CHARACTERS = 7_500
"""MLflow's tags hold 8,000."""

SHARED = ("metric", "readout", "equivalence_margin_nats", "noise_floor", "confidence", "num_reporting_seeds", "num_proposals")
"""What every claim rests on beside the trainings."""


@dataclass(frozen=True)
class Declaration:
    """What the study file declared from some moment on, when so many trainings were recorded, so many of them on reporting seeds.

    `claims`: each claim in words, by its name. `shared`: the fields of `SHARED`, as text.
    """

    num_trainings: int
    num_confirm: int
    claims: Mapping[str, str]
    shared: Mapping[str, str]


def declaration_of(study: Study, num_trainings: int, num_confirm: int) -> Declaration:
    """What the study file declares now."""
    held = study.model_dump(mode="json") | {"num_reporting_seeds": study.confirm.num_reporting_seeds, "num_proposals": study.search.num_proposals if study.search else 0}
    shared = {name: held[name] if isinstance(held[name], str) else json.dumps(held[name]) for name in SHARED}
    return Declaration(num_trainings, num_confirm, {claim.name: _words(claim) for claim in study.claims}, shared)


def _words(claim: Claim) -> str:
    at = "".join(f", {name}={level_text(level)}" for name, level in sorted(claim.at.items()))
    return f"{claim.factor}: {level_text(claim.level)} over {level_text(claim.baseline)}{at}" + (", primary" if claim.primary else "")


def recorded_declarations(text: str | None, study: Study, places: Collection[str]) -> str | None:
    """The tag that the parent run is to have: what was in it, and what the study declares now where that is something else.

    `places`: of the trainings that are recorded (`PlannedTraining.place`). None where trainings were recorded and no declaration: what was declared
    before them is not known, and is not made up.
    """
    history = declarations_in(text)
    if not history and places:
        return None
    now = declaration_of(study, len(places), sum(place.startswith("confirm|") for place in places))
    if not history or (history[-1].claims, history[-1].shared) != (now.claims, now.shared):
        history = (*history, now)
    while len(written := json.dumps([asdict(entry) for entry in history], separators=(",", ":"))) > MOST_CHARACTERS and len(history) > 2:
        history = (history[0], *history[2:])
    return written if len(written) <= MOST_CHARACTERS else None


def declarations_in(held: Any) -> tuple[Declaration, ...]:
    """The history that a tag holds, as text or read already, oldest first; empty where there is none or it cannot be read."""
    try:
        entries = json.loads(held) if isinstance(held, str) else held or []
        return tuple(Declaration(int(entry["num_trainings"]), int(entry["num_confirm"]), dict(entry["claims"]), dict(entry["shared"])) for entry in entries)
    except (ValueError, KeyError, TypeError):
        return ()
