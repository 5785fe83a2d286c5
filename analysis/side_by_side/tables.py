"""The tables of the page of two studies, and its rows as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from analysis.document.numbers import numeric
from analysis.document.sections import Table
from analysis.side_by_side.answer import IN_WORDS
from analysis.side_by_side.cells import CellDifference
from analysis.side_by_side.findings import ClaimChange, FieldDifference, StudiesFindings
from analysis.statistics.intervals import rounded
from analysis.statistics.pairs import interval_pair


def cells_table(findings: StudiesFindings) -> Table:
    """Every cell that both studies have."""
    caption = (
        "Means over the reporting seeds, and A minus B. Where a training diverged there is no mean: pairs of seeds"
        " count it as the worst outcome there is, and an interval then has one end. Same to the bit are pairs of"
        " trainings all of whose metrics agree at every point; reused are those that one study took over from the"
        " other. The largest gap is over all metrics and points of these pairs."
    )
    columns = [
        "cell",
        "verdict",
        "n_a",
        "n_b",
        "mean_a_nats",
        "mean_b_nats",
        "difference_nats",
        "low_nats",
        "high_nats",
        "p",
        "paired",
        "same_to_the_bit",
        "pairs",
        "reused",
        "largest_gap",
    ]
    rows = [cell_row(cell) | {"cell": cell.cell, "verdict": IN_WORDS[cell.verdict]} for cell in findings.cells]
    return Table(
        "cells", "Cells of both studies", caption, numeric(pd.DataFrame(rows, columns=columns)), for_pasting=True
    )


def cell_row(cell: CellDifference) -> dict[str, Any]:
    """A cell's difference as data."""
    estimate = cell.estimate
    tested = cell.worst_case.interval if cell.worst_case else estimate.interval if estimate else None
    low, high = interval_pair(tested) or [None, None]
    return {
        "verdict": cell.verdict,
        "n_a": len(cell.a.numbers),
        "n_b": len(cell.b.numbers),
        "mean_a_nats": rounded(cell.a.mean),
        "mean_b_nats": rounded(cell.b.mean),
        "interval_a_nats": interval_pair(cell.a.interval),
        "interval_b_nats": interval_pair(cell.b.interval),
        "difference_nats": rounded(estimate.mean) if estimate else None,
        "low_nats": low,
        "high_nats": high,
        "p": rounded(cell.p),
        "paired": cell.is_paired,
        "unlike": list(cell.unlike),
        "pairs": cell.num_matched,
        "same_to_the_bit": cell.num_identical,
        "reused": cell.num_shared,
        "largest_gap": rounded(cell.largest_gap),
        "num_diverged_or_failed_a": cell.a.num_lost,
        "num_diverged_or_failed_b": cell.b.num_lost,
        "num_missing_a": cell.a.num_missing,
        "num_missing_b": cell.b.num_missing,
    }


def timing_table(findings: StudiesFindings) -> Table:
    """Seconds per reporting training in both studies."""
    rows = [_timing_row(cell) for cell in findings.cells]
    columns = ["cell", "seconds_a", "seconds_b", "b_over_a"]
    caption = (
        "Mean seconds of a reporting training, evaluations left out, on the machines of each study; above 1, B was"
        " slower."
    )
    return Table("timing_of_studies", "Time", caption, numeric(pd.DataFrame(rows, columns=columns)))


def _timing_row(cell: CellDifference) -> dict[str, object]:
    a, b = cell.a.seconds, cell.b.seconds
    return {
        "cell": cell.cell,
        "seconds_a": rounded(a, 4),
        "seconds_b": rounded(b, 4),
        "b_over_a": rounded(b / a, 4) if a and b else None,
    }


def claims_table(findings: StudiesFindings) -> Table:
    """Every claim of either study."""
    rows = []
    for claim in findings.claims:
        row: dict[str, object] = {"claim": claim.name, "changed": _changed_text(claim)}
        for which, side in (("a", claim.a), ("b", claim.b)):
            row |= {
                f"verdict_{which}": side.verdict if side else "",
                f"estimate_{which}_nats": side.estimate if side else None,
                f"p_{which}": side.p if side else None,
            }
        rows.append(row)
    columns = ["claim", "changed", "verdict_a", "verdict_b", "estimate_a_nats", "estimate_b_nats", "p_a", "p_b"]
    return Table(
        "claims_side_by_side",
        "Claims side by side",
        "What the study files declared, with each study's own verdict.",
        numeric(pd.DataFrame(rows, columns=columns)),
    )


def statements_table(findings: StudiesFindings) -> Table:
    """What each study says to its claims, in words."""
    rows = [
        (claim.name, which, side.statement)
        for claim in findings.claims
        for which, side in (("A", claim.a), ("B", claim.b))
        if side
    ]
    return Table(
        "claims_in_words",
        "Claims in words",
        "Each study's own sentences.",
        pd.DataFrame(rows, columns=["claim", "study", "statement"]),
    )


def _changed_text(claim: ClaimChange) -> str:
    if claim.a is None or claim.b is None:
        return "only in A" if claim.a else "only in B"
    return ("yes" if claim.changed else "no") if claim.asks_the_same else "asks something else"


def fields_table(name: str, title: str, caption: str, fields: Sequence[FieldDifference]) -> Table:
    """The fields that differ, with the value of each study."""
    rows = [(field.field, field.a, field.b) for field in fields]
    return Table(name, title, caption, pd.DataFrame(rows, columns=["field", "a", "b"]))
