"""A study's claims as the page shows them, made from the rows of claims.json alone: the numbers of one, a table of
all, every field of each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.claims.numbers import decimals_of
from analysis.claims.schema import ClaimRow, PublishedClaim
from analysis.document.sections import AnyClaim, Section, Table
from analysis.document.text import heading, shown_cell

TABLE = "claims"
TABLE_COLUMNS = (
    *("claim", "kind", "verdict", "estimate_nats", "low_nats", "high_nats", "p", "holm_p", "n"),
    *("minimum_detectable_effect_nats", "horizon_samples"),
)
LEADING_FIELDS = ("name", "kind", "statement", "verdict")


MOST_BESIDE_THE_PRIMARY = 8
"""Claims that stand in the answer; the table of all claims has every one."""


StudyClaim = ClaimRow | PublishedClaim


@dataclass(frozen=True)
class ShownClaim:
    """One claim with all that it rests on: `fields` are names for reading and texts, `tables` what its row holds
    several of."""

    name: str
    verdict: str
    statement: str
    fields: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...]


def verdict_shown(claim: AnyClaim) -> str:
    """The verdict as badges and tables show it: of several declared claims, as Holm's correction leaves it."""
    return claim.corrected_verdict if isinstance(claim, ClaimRow) else claim.verdict


def claims_table(sections: Sequence[Section]) -> Table | None:
    """Every claim of the sections, one a row, the primary one first; None where there is none. Those about time are
    left out."""
    rows = [_row(claim) for claim in _claims(sections)]
    if not rows:
        return None
    frame = pd.DataFrame(rows, columns=list(TABLE_COLUMNS))
    for name in frame.columns[3:]:
        frame[name] = pd.to_numeric(frame[name], errors="coerce")
    caption = (
        "Difference of the first named from the second, positive where the first is better, with its interval and the p"
        " of the same test; where trainings diverged and count as the worst outcome there is, no difference, and an"
        " interval that may have one end; Holm's p is over the declared claims, and the"
        " verdict is as it leaves it. "
        + (
            "Beside a published number, the estimate is the mean over seeds. "
            if any(isinstance(claim, PublishedClaim) for claim in _claims(sections))
            else ""
        )
        + "All of it, as data: claims.json."
    )
    return Table(TABLE, "Every claim", caption, frame, for_pasting=True)


def shown_claims(sections: Sequence[Section]) -> tuple[ShownClaim, ...]:
    """Every claim with every field that its row has."""
    return tuple(_shown_claim(claim, number) for number, claim in enumerate(_claims(sections)))


def _shown_claim(claim: StudyClaim, number: int) -> ShownClaim:
    row = claim.model_dump()
    lists = {
        key: entries
        for key, entries in row.items()
        if isinstance(entries, (list, tuple)) and any(isinstance(entry, Mapping) for entry in entries)
    }
    tables = tuple(Table(f"claim-{number}-{key}", heading(key), "", _entries(lists[key])) for key in lists)
    fields = _fields({key: entry for key, entry in row.items() if key not in (*lists, *LEADING_FIELDS)})
    return ShownClaim(claim.name, verdict_shown(claim), claim.statement, tuple(fields), tables)


def _entries(entries: Sequence[Any]) -> pd.DataFrame:
    rows = [dict(_fields(entry)) if isinstance(entry, Mapping) else {"": _field_text(entry)} for entry in entries]
    return pd.DataFrame(rows).fillna("")


def claim_facts(claim: AnyClaim) -> tuple[tuple[str, str], ...]:
    """The numbers that a verdict rests on, as name and text; what its row does not have is left out."""
    if isinstance(claim, PublishedClaim):
        return _published_facts(claim)
    if not isinstance(claim, ClaimRow):
        return ()
    decimals = decimals_of([claim.estimate, *(claim.interval or ())])
    facts = [
        ("difference", _signed(claim.estimate, f" {claim.unit}".rstrip(), decimals)),
        (f"{100 * claim.confidence:g} % interval", _interval_text(claim, decimals)),
        ("p", shown_cell(claim.p).text),
        ("pairs of seeds", shown_cell(claim.n).text),
    ]
    return tuple((name, text) for name, text in facts if text)


def _published_facts(claim: PublishedClaim) -> tuple[tuple[str, str], ...]:
    mean = [("mean", _minus(f"{claim.estimate:.2f} nats"))] if claim.estimate is not None else []
    published, tolerance = (_minus(f"{nats:g} nats") for nats in (claim.published, claim.tolerance))
    return (*mean, ("published", published), ("tolerance", tolerance), ("seeds", shown_cell(claim.n).text))


def also_declared(sections: Sequence[Section]) -> tuple[tuple[str, str], ...]:
    """The declared claims beside the primary one, as title and what became of each, for the answer of a question
    that has several parts."""
    declared = [claim for claim in _claims(sections) if claim.kind == "descriptive"]
    return tuple((_title(claim), _outcome(claim)) for claim in declared[:MOST_BESIDE_THE_PRIMARY])


def _title(claim: StudyClaim) -> str:
    return claim.title if isinstance(claim, ClaimRow) else claim.name


def _outcome(claim: StudyClaim) -> str:
    facts = dict(claim_facts(claim))
    interval = next((text for name, text in facts.items() if name.endswith("interval") and text != "none"), "")
    difference = facts.get("difference", facts.get("mean", ""))
    measured = f"{difference} ({interval})" if difference and interval else difference or interval
    outcome = ", ".join(part for part in (verdict_shown(claim), measured) if part)
    if not isinstance(claim, ClaimRow) or claim.corrected_verdict == claim.verdict or claim.holm_p is None:
        return outcome
    return f"{outcome}; {claim.verdict} by its own p alone, {claim.holm_p:.3g} by Holm's correction"


def _interval_text(claim: ClaimRow, decimals: int) -> str:
    """The interval of the test whose p stands beside it, also where a divergence left it without one end."""
    if claim.interval:
        low, high = (_signed(end, decimals=decimals) for end in claim.interval)
        return f"{low} to {high}"
    low, high = map(_signed, claim.worst_case_interval or (None, None))
    if low and high:
        return f"{low} to {high}"
    if low or high:
        return f"above {low}" if low else f"below {high}"
    return "none" if claim.n else ""


def _claims(sections: Sequence[Section]) -> list[StudyClaim]:
    """The claims of studies, the primary one first; pairs of curves have tables of their own."""
    claims = [
        claim
        for section in sections
        for claim in section.claims
        if isinstance(claim, PublishedClaim) or (isinstance(claim, ClaimRow) and claim.source == "study")
    ]
    return sorted(claims, key=lambda claim: claim.kind != "primary")


def _row(claim: StudyClaim) -> dict[str, Any]:
    row: dict[str, Any] = {
        "claim": _title(claim),
        "kind": claim.kind,
        "verdict": verdict_shown(claim),
        "estimate_nats": claim.estimate,
        "n": claim.n,
        "horizon_samples": claim.horizon,
    }
    if isinstance(claim, PublishedClaim):
        return row
    low, high = claim.interval or claim.worst_case_interval or (None, None)
    return row | {
        "low_nats": low,
        "high_nats": high,
        "p": claim.p,
        "holm_p": claim.holm_p,
        "minimum_detectable_effect_nats": claim.minimum_detectable_effect,
    }


def _signed(number: float | None, unit: str = "", decimals: int = 2) -> str:
    return "" if number is None or not math.isfinite(number) else _minus(f"{number:+.{decimals}f}{unit}")


def _minus(text: str) -> str:
    return text.replace("-", "−")


def _fields(mapping: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, entry in mapping.items():
        label = above + heading(str(name))
        if isinstance(entry, Mapping) and entry:
            yield from _fields(entry, f"{label} / ")
        else:
            yield label, _field_text(entry)


def _field_text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_field_text(entry) for entry in value) or "none"
    if isinstance(value, Mapping):
        return "; ".join(f"{label} {text}" for label, text in _fields(value)) or "none"
    return shown_cell(value).text or "none"
