"""A study's claims as the page shows them, made from the rows of claims.json alone: the numbers of one, a table of
all, every field of each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis.claims.statements import decimals_of
from analysis.document.sections import Section, Table
from analysis.document.text import heading, shown_cell

TABLE = "claims"
TABLE_FIELDS = (
    "name",
    "kind",
    "verdict",
    "estimate_nats",
    "low_nats",
    "high_nats",
    "p",
    "holm_p",
    "n",
    "minimum_detectable_effect_nats",
    "horizon_samples",
)
LEADING_FIELDS = ("name", "kind", "statement", "verdict")


MOST_BESIDE_THE_PRIMARY = 8
"""Claims that stand in the answer; the table of all claims has every one."""


@dataclass(frozen=True)
class ShownClaim:
    """One claim with all that it rests on: `fields` are names for reading and texts, `tables` what its row holds
    several of."""

    name: str
    verdict: str
    statement: str
    fields: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...]


def claims_table(sections: Sequence[Section]) -> Table | None:
    """Every claim of the sections, one a row, the primary one first; None where there is none. Those about time are
    left out."""
    rows = [_row(claim) for claim in _claims(sections)]
    if not rows:
        return None
    frame = pd.DataFrame(rows, columns=list(TABLE_FIELDS)).rename(columns={"name": "claim"})
    for name in frame.columns[3:]:
        frame[name] = pd.to_numeric(frame[name], errors="coerce")
    caption = (
        "Difference of the first named from the second, positive where the first is better, with its interval and the p"
        " of the same test; where trainings diverged and count as the worst outcome there is, no difference, and an"
        " interval that may have one end; Holm's p is over the declared claims. "
        + (
            "Beside a published number, the estimate is the mean over seeds. "
            if any("published_nats" in claim for claim in _claims(sections))
            else ""
        )
        + "All of it, as data: claims.json."
    )
    return Table(TABLE, "Every claim", caption, frame, for_pasting=True)


def shown_claims(sections: Sequence[Section]) -> tuple[ShownClaim, ...]:
    """Every claim with every field that its row has."""
    return tuple(_shown(claim, number) for number, claim in enumerate(_claims(sections)))


def _shown(claim: Mapping[str, Any], number: int) -> ShownClaim:
    lists = {
        key: held
        for key, held in claim.items()
        if isinstance(held, (list, tuple)) and any(isinstance(entry, Mapping) for entry in held)
    }
    tables = tuple(Table(f"claim-{number}-{key}", heading(key), "", _entries(held)) for key, held in lists.items())
    fields = _fields({key: held for key, held in claim.items() if key not in (*lists, *LEADING_FIELDS)})
    name, verdict, statement = (str(claim.get(key, "")) for key in ("name", "verdict", "statement"))
    return ShownClaim(name, verdict, statement, tuple(fields), tables)


def _entries(held: Sequence[Any]) -> pd.DataFrame:
    rows = [dict(_fields(entry)) if isinstance(entry, Mapping) else {"": _field_text(entry)} for entry in held]
    return pd.DataFrame(rows).fillna("")


def claim_facts(claim: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The numbers that a verdict rests on, as name and text; what its row does not have is left out."""
    if "published_nats" in claim:
        return _published_facts(claim)
    confidence, unit = claim.get("confidence"), str(claim.get("unit", "nats"))
    estimate, interval = (
        (claim.get("estimate"), claim.get("interval"))
        if "unit" in claim
        else (claim.get("estimate_nats"), claim.get("interval_nats"))
    )
    facts = [
        ("difference", _signed(estimate, f" {unit}".rstrip(), decimals_of([estimate, *(interval or ())]))),
        (f"{100 * confidence:g} % interval" if confidence else "interval", _interval_text(claim, interval)),
        ("p", shown_cell(claim.get("p")).text),
        ("pairs of seeds", shown_cell(claim.get("n")).text),
    ]
    return tuple((name, text) for name, text in facts if text)


def _published_facts(claim: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    mean = [("mean", _minus(f"{claim['estimate_nats']:.2f} nats"))] if claim["estimate_nats"] is not None else []
    published, tolerance = (_minus(f"{claim[name]:g} nats") for name in ("published_nats", "tolerance_nats"))
    return (*mean, ("published", published), ("tolerance", tolerance), ("seeds", shown_cell(claim["n"]).text))


def also_declared(sections: Sequence[Section]) -> tuple[tuple[str, str], ...]:
    """The declared claims beside the primary one, as title and what became of each, for the answer of a question
    that has several parts."""
    declared = [claim for claim in _claims(sections) if claim.get("kind") == "descriptive"]
    return tuple(
        (str(claim.get("title") or claim.get("name")), _outcome(claim)) for claim in declared[:MOST_BESIDE_THE_PRIMARY]
    )


def _outcome(claim: Mapping[str, Any]) -> str:
    facts = dict(claim_facts(claim))
    interval = next((text for name, text in facts.items() if name.endswith("interval") and text != "none"), "")
    difference = facts.get("difference", facts.get("mean", ""))
    measured = f"{difference} ({interval})" if difference and interval else difference or interval
    said = ", ".join(part for part in (str(claim.get("verdict", "")), measured) if part)
    holm_p = claim.get("holm_p")
    if claim.get("verdict") not in ("better", "worse") or holm_p is None or holm_p <= 1 - claim["confidence"]:
        return said
    return f"{said}; not by Holm's correction (p = {holm_p:.3g})"


def _interval_text(claim: Mapping[str, Any], interval: Sequence[float] | None) -> str:
    """The interval of the test whose p stands beside it, also where a divergence left it without one end."""
    if interval:
        decimals = decimals_of([claim.get("estimate_nats", claim.get("estimate")), *interval])
        return f"{_signed(interval[0], decimals=decimals)} to {_signed(interval[1], decimals=decimals)}"
    low, high = claim.get("worst_case_interval_nats") or (None, None)
    if low is None and high is None:
        return "none" if claim.get("n") else ""
    return (
        f"above {_signed(low)}"
        if high is None
        else f"below {_signed(high)}"
        if low is None
        else f"{_signed(low)} to {_signed(high)}"
    )


def _claims(sections: Sequence[Section]) -> list[dict[str, Any]]:
    """The claims in nats; those that name a unit of their own, as curves from a file do, have tables of their own."""
    held = [
        claim
        for section in sections
        for claim in section.claims
        if claim.get("kind") != "timing" and "unit" not in claim
    ]
    return sorted(held, key=lambda claim: claim.get("kind") != "primary")


def _row(claim: Mapping[str, Any]) -> dict[str, Any]:
    low, high = claim.get("interval_nats") or claim.get("worst_case_interval_nats") or (None, None)
    return {name: claim.get(name) for name in TABLE_FIELDS} | {
        "name": claim.get("title") or claim.get("name"),
        "low_nats": low,
        "high_nats": high,
    }


def _signed(number: float | None, unit: str = "", decimals: int = 2) -> str:
    return "" if number is None or not math.isfinite(number) else _minus(f"{number:+.{decimals}f}{unit}")


def _minus(text: str) -> str:
    return text.replace("-", "−")


def _fields(held: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, entry in held.items():
        label = above + heading(str(name))
        if isinstance(entry, Mapping) and entry:
            yield from _fields(entry, f"{label} / ")
        else:
            yield label, _field_text(entry)


def _field_text(held: Any) -> str:
    if isinstance(held, (list, tuple)):
        return ", ".join(_field_text(entry) for entry in held) or "none"
    if isinstance(held, Mapping):
        return "; ".join(f"{label} {text}" for label, text in _fields(held)) or "none"
    return shown_cell(held).text or "none"
