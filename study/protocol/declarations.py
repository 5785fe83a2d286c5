"""What a study declares before it runs, and the history of that: a claim that changed when results were there says
so in the report. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from study.spec import Study
from study.spec.cells import level_text
from study.spec.schema import Claim
from vae.disk import sha256_of

TAG = "declarations"
MOST_CHARACTERS = 7_500
"""MLflow's tags hold 8,000."""

OF_THE_STUDY = (
    *("metric", "readout", "targets", "equivalence_margin_nats", "noise_floor", "confidence", "seed"),
    *("training", "factors", "cells"),
)
OF_THE_SEARCH = (
    *("spaces", "num_proposals", "sampler", "num_tuning_seeds", "objective", "budget_samples"),
    *("max_extra_rounds", "extra_proposals"),
)
SHARED = (*OF_THE_STUDY, "num_reporting_seeds", *OF_THE_SEARCH)
"""What every claim rests on beside the trainings: fields of the study, how many reporting seeds, fields of its
search."""

LONGEST = 400
DIGEST = "sha256:"
"""A field whose text is longer than `LONGEST` characters is kept as its digest: that it changed can then be told,
and not from what to what."""


@dataclass(frozen=True)
class Declaration:
    """What the study file declared from some moment on, when so many trainings were recorded, so many of them on
    reporting seeds.

    `claims`: each claim in words, by its name. `shared`: the fields of `SHARED`, as text.
    """

    num_trainings: int
    num_confirm: int
    claims: Mapping[str, str]
    shared: Mapping[str, str]


def declaration_of(study: Study, num_trainings: int, num_confirm: int) -> Declaration:
    """What the study file declares now."""
    fields = study.model_dump(mode="json")
    search = fields["search"] or {"num_proposals": 0}
    shared = {name: fields[name] for name in OF_THE_STUDY}
    shared |= {"num_reporting_seeds": study.confirm.num_reporting_seeds}
    shared |= {name: search.get(name) for name in OF_THE_SEARCH}
    claims = {claim.name: claim_words(claim) for claim in study.claims}
    return Declaration(num_trainings, num_confirm, claims, {name: _text(value) for name, value in shared.items()})


def _text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST else DIGEST + sha256_of(text.encode())


def claim_words(claim: Claim) -> str:
    """A claim as the history keeps it: `optimizer: adam over adagrad, num_hidden_layers=2, primary`."""
    at = "".join(f", {name}={level_text(level)}" for name, level in sorted(claim.at.items()))
    primary = ", primary" if claim.primary else ""
    return f"{claim.factor}: {level_text(claim.level)} over {level_text(claim.baseline)}{at}{primary}"


def recorded_declarations(text: str | None, study: Study, positions: Collection[str]) -> str | None:
    """The tag that the parent run is to have: what was in it, and what the study declares now where that is
    something else.

    `positions`: of all trainings that are there already (`PlannedTraining.position`), in MLflow or among the records
    that this execution uses again, be they of a study of another name. A history that begins when there are some says
    so by their number. None where no history fits the tag.
    """
    history, trained = declarations_in(text), frozenset(positions)
    now = declaration_of(study, len(trained), sum(position.startswith("confirm|") for position in trained))
    if not history or (history[-1].claims, history[-1].shared) != (now.claims, now.shared):
        history = (*history, now)
    while len(tag := _tag(history)) > MOST_CHARACTERS and len(history) > 2:
        history = _with_one_less(history)
    return tag if len(tag) <= MOST_CHARACTERS else None


def _tag(history: Sequence[Declaration]) -> str:
    return json.dumps([asdict(entry) for entry in history], separators=(",", ":"))


def _with_one_less(history: Sequence[Declaration]) -> tuple[Declaration, ...]:
    """The history without an entry between its first and its last: the earliest whose claims all stand in another
    one, else the earliest."""
    for i in range(1, len(history) - 1):
        others = (*history[:i], *history[i + 1 :])
        if set().union(*(entry.claims for entry in others)) >= set(history[i].claims):
            return others
    return (history[0], *history[2:])


def declarations_in(tag: Any) -> tuple[Declaration, ...]:
    """The history that a tag holds, as text or read already, oldest first; empty where there is none or it cannot be
    read."""
    try:
        return tuple(
            Declaration(
                int(each["num_trainings"]), int(each["num_confirm"]), dict(each["claims"]), dict(each["shared"])
            )
            for each in (json.loads(tag) if isinstance(tag, str) else tag or [])
        )
    except (ValueError, KeyError, TypeError):
        return ()
