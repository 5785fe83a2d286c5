"""What is found of invented curves, without a file, and the statement on a pair of cells."""

from __future__ import annotations

import math

import pandas as pd

from analysis.curves.findings import CurvePair, CurvesFindings, CurvesRequest, curves_findings
from analysis.curves.report import claim_row as curve_claim_row
from analysis.curves.table import CurveTable


def table_of(frame: pd.DataFrame) -> CurveTable:
    """The curves as they are read from a file."""
    ordered = frame.assign(seconds=frame.get("seconds", math.nan)).sort_values(
        ["cell", "seed", "metric", "step"], ignore_index=True
    )
    return CurveTable(ordered, "seconds" in frame, ())


def findings_of(frame: pd.DataFrame, **request: object) -> CurvesFindings:
    """What is found for a request of these fields."""
    return curves_findings(table_of(frame), CurvesRequest(**request))  # type: ignore[arg-type]


def statement_of(pair: CurvePair, found: CurvesFindings) -> str:
    """The sentences on a pair."""
    return curve_claim_row(pair, found).statement


def paired_points(differences: list[float], early: float = 0.0) -> pd.DataFrame:
    """Two cells that end these differences apart, seed by seed; at the first of two steps they are `early` apart."""
    rows = [("a", seed, step, "bound", -100.0 + seed / 8) for seed in range(len(differences)) for step in (100, 200)]
    rows += [
        ("b", seed, step, "bound", -100.0 + seed / 8 + (end if step == 200 else early))
        for seed, end in enumerate(differences)
        for step in (100, 200)
    ]
    return pd.DataFrame(rows, columns=["cell", "seed", "step", "metric", "value"])


def leading_statement(frame: pd.DataFrame, **request: object) -> str:
    """The sentences on `b` against `a`."""
    found = findings_of(frame, primary=("b", "a"), **request)
    return statement_of(found.pairs[0], found)
