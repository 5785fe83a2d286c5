"""When each claim was declared: before anything ran, after trainings were recorded, changed since, or not at all."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.claims import Comparison
from analysis.results import StudyResults
from study.declarations import TAG, Declaration, declarations_in


def claim_declaration(results: StudyResults, comparison: Comparison) -> dict[str, Any]:
    """The field `declared` of a claim's row: `when`, and a `sentence` with the numbers of trainings then recorded where that was not before anything ran."""
    if comparison.kind == "exploratory":
        return {"when": "not declared"}
    return declaration_in(declarations_in(results.provenance.get(TAG)), comparison.claim.name)


def declaration_in(history: Sequence[Declaration], name: str) -> dict[str, Any]:
    """As `claim_declaration`, from the history of declarations, oldest first; `not recorded` where the claim is in none."""
    known = [entry for entry in history if name in entry.claims]
    if not known:
        return {"when": "not recorded"}
    first = known[0]
    if first.num_trainings:
        return {"when": "after trainings were recorded", "sentence": f"This claim was declared when {_count(first)} were recorded already."} | _numbers(first)
    changes = [(later, fields) for earlier, later in itertools.pairwise(known) if later.num_trainings and (fields := _changed(earlier, later, name))]
    if not changes:
        return {"when": "before any training"}
    last = changes[-1][0]
    words = "; ".join(dict.fromkeys(words for _, fields in changes for words in fields.values()))
    names = sorted({field for _, fields in changes for field in fields})
    sentence = f"What this claim rests on was changed when {_count(last)} were recorded already: {words}."
    return {"when": "changed after trainings were recorded", "changed": names, "sentence": sentence} | _numbers(last)


def _changed(earlier: Declaration, later: Declaration, name: str) -> Mapping[str, str]:
    """In words, what of a claim and of all claims' grounds is not as it was, by field; a field that was not kept at first is not known to have changed."""
    kept = sorted(set(earlier.shared) & set(later.shared))
    pairs = {"claim": (earlier.claims[name], later.claims[name])} | {field: (earlier.shared[field], later.shared[field]) for field in kept}
    return {field: f"{field.replace('_', ' ')} from {before} to {after}" for field, (before, after) in pairs.items() if before != after}


def _count(entry: Declaration) -> str:
    return f"{entry.num_trainings} trainings ({entry.num_confirm} of them on reporting seeds)"


def _numbers(entry: Declaration) -> dict[str, int]:
    return {"num_trainings": entry.num_trainings, "num_confirm_trainings": entry.num_confirm}
