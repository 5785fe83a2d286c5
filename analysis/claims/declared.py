"""When each claim was declared: before anything ran, after trainings were recorded, changed since, not at all; and
the claims that were declared and are no more."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.claims.comparison import Comparison
from analysis.claims.schema import DeclaredEntry
from analysis.results.reader import StudyResults
from study.protocol.declarations import DIGEST, TAG, Declaration, claim_words, declarations_in
from study.spec.schema import Claim

NOT_RECORDED = (
    "When this claim was declared is not recorded: its trainings are older than the record of declarations, or there is"
    " none."
)


@dataclass(frozen=True)
class WithdrawnClaim:
    """A claim that the study file once declared and does not any more, taken out when so many trainings were
    recorded. `words`: what it compared."""

    name: str
    words: str
    num_trainings: int
    num_confirm: int


def withdrawn_claims(results: StudyResults) -> tuple[WithdrawnClaim, ...]:
    """The claims that were taken out of the study file when trainings were there, in the order of their names."""
    return withdrawn_in(declarations_in(results.provenance.get(TAG)), results.study.claims)


def withdrawn_in(history: Sequence[Declaration], claims: Sequence[Claim]) -> tuple[WithdrawnClaim, ...]:
    """As `withdrawn_claims`, from the history of declarations, oldest first, and the claims that are left.

    One that was taken out before anything ran is none, nor is one that goes on under another name.
    """
    remaining, same = {claim.name for claim in claims}, {_compared(claim_words(claim)) for claim in claims}
    last = {name: position for position, entry in enumerate(history) for name in entry.claims if name not in remaining}
    withdrawn = []
    for name, position in sorted(last.items()):
        words, after = history[position].claims[name], history[min(position + 1, len(history) - 1)]
        if after.num_trainings and _compared(words) not in same:
            withdrawn.append(WithdrawnClaim(name, words, after.num_trainings, after.num_confirm))
    return tuple(withdrawn)


def _compared(words: str) -> str:
    return words.removesuffix(", primary")


def withdrawn_sentence(withdrawn: Sequence[WithdrawnClaim]) -> str:
    """What the top of a report says of claims that were taken out of the study file; empty where there is none."""
    if not withdrawn:
        return ""
    listed = "; ".join(
        f"{claim.name} ({claim.words}; when {_trainings(claim.num_trainings, claim.num_confirm)} were recorded)"
        for claim in withdrawn
    )
    what = "A claim was" if len(withdrawn) == 1 else f"{len(withdrawn)} claims were"
    return (
        f"{what} taken out of the study file after trainings were recorded, and take part in Holm's correction with p ="
        f" 1: {listed}."
    )


def claim_declaration(results: StudyResults, comparison: Comparison) -> DeclaredEntry:
    """The field `declared` of a claim's row: `when`, and a `sentence` with the numbers of trainings then recorded
    where that was not before anything ran."""
    if comparison.kind == "exploratory":
        return DeclaredEntry(when="not declared")
    return declaration_in(declarations_in(results.provenance.get(TAG)), comparison.claim.name)


def declaration_in(history: Sequence[Declaration], name: str) -> DeclaredEntry:
    """As `claim_declaration`, from the history of declarations, oldest first; `not recorded` where the claim is in
    none."""
    known = [entry for entry in history if name in entry.claims]
    if not known:
        return DeclaredEntry(when="not recorded", sentence=NOT_RECORDED)
    first = known[0]
    if first.num_trainings:
        return _first_seen_late(first, is_oldest=first is history[0])
    changes = [
        (later, fields)
        for earlier, later in itertools.pairwise(known)
        if later.num_trainings and (fields := _changed(earlier, later, name))
    ]
    if not changes:
        return DeclaredEntry(when="before any training")
    last = changes[-1][0]
    words = "; ".join(dict.fromkeys(words for _, fields in changes for words in fields.values()))
    names = tuple(sorted({field for _, fields in changes for field in fields}))
    sentence = f"What this claim rests on was changed when {_count(last)} were recorded already: {words}."
    return DeclaredEntry(
        when="changed after trainings were recorded",
        sentence=sentence,
        changed=names,
        num_trainings=last.num_trainings,
        num_confirm_trainings=last.num_confirm,
    )


def _first_seen_late(first: Declaration, is_oldest: bool) -> DeclaredEntry:
    """A claim whose first record is younger than trainings: added to a study that has a history, or of a history
    that begins so late."""
    late = f"when it was first recorded, {_count(first)} were there already"
    return DeclaredEntry(
        when="first recorded after trainings" if is_oldest else "after trainings were recorded",
        sentence=(
            f"Nothing shows that this claim was declared before its trainings: {late}."
            if is_oldest
            else f"This claim was declared when {_count(first)} were recorded already."
        ),
        num_trainings=first.num_trainings,
        num_confirm_trainings=first.num_confirm,
    )


def _changed(earlier: Declaration, later: Declaration, name: str) -> Mapping[str, str]:
    """In words, what of a claim and of all claims' grounds is not as it was, by field; a field that was not kept at
    first is not known to have changed."""
    fields = sorted(set(earlier.shared) & set(later.shared))
    pairs = {"claim": (earlier.claims[name], later.claims[name])} | {
        field: (earlier.shared[field], later.shared[field]) for field in fields
    }
    return {
        field: _difference(field.replace("_", " "), before, after)
        for field, (before, after) in pairs.items()
        if before != after
    }


def _difference(field: str, before: str, after: str) -> str:
    """From what to what; of a mapping the entries that differ, of a text too long to be kept only that it changed."""
    if DIGEST in (before[: len(DIGEST)], after[: len(DIGEST)]):
        return f"the {field}"
    was, became = _mapping(before), _mapping(after)
    if was is None or became is None:
        return f"{field} from {before} to {after}"
    names = [name for name in sorted({*was, *became}) if was.get(name) != became.get(name)]
    return f"{field}: " + ", ".join(f"{name} from {_entry(was, name)} to {_entry(became, name)}" for name in names)


def _mapping(text: str) -> dict[str, Any] | None:
    try:
        content = json.loads(text)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _entry(content: Mapping[str, Any], name: str) -> str:
    return json.dumps(content[name]) if name in content else "what it is by default"


def _count(entry: Declaration) -> str:
    return _trainings(entry.num_trainings, entry.num_confirm)


def _trainings(number: int, num_confirm: int) -> str:
    return f"{number} training{'' if number == 1 else 's'} ({num_confirm} of them on reporting seeds)"
