"""Rows of claims.json for tests: invented ones, and those of a section as what they are."""

from __future__ import annotations

from typing import Any, TypeVar

from analysis.claims.schema import ClaimRow
from analysis.document.sections import Section
from analysis.statistics.verdicts import corrected

T = TypeVar("T")

INVENTED: dict[str, Any] = {
    "source": "study",
    "name": "b-over-a",
    "kind": "descriptive",
    "title": "b against a",
    "level": "b",
    "baseline": "a",
    "level_title": "b",
    "baseline_title": "a",
    "cells": (("optimizer=b", "optimizer=a"),),
    "num_cell_pairs": 1,
    "metric": "test/lower_bound",
    "unit": "nats",
    "readout": "final",
    "horizon": None,
    "horizons": (),
    "where": "in the test lower bound at the end of the budget",
    "decimals": 2,
    "confidence": 0.95,
    "equivalence_margin": None,
    "verdict": "better",
    "estimate": None,
    "interval": None,
    "p": None,
    "holm_p": None,
    "n": 10,
    "seeds": (),
    "worst_case_interval": None,
    "smallest_p": None,
    "minimum_detectable_effect": None,
    "median": None,
    "sign_test_p": None,
    "bca_interval": None,
    "correlation": None,
    "variance_gain": None,
    "skewness": None,
    "strongly_skewed": False,
    "readouts": (),
    "readout_verdicts": (),
    "crossovers": (),
    "without_most_extreme_pair": None,
    "overturned_by_seeds": None,
    "neighbouring_proposals": (),
    "robustness": (),
    "num_diverged_level": 0,
    "num_diverged_baseline": 0,
    "num_missing": 0,
}


def invented_row(**fields: Any) -> ClaimRow:
    """A row without a number; `fields` replace what it has."""
    row = INVENTED | fields
    return ClaimRow(**({"corrected_verdict": corrected(row["verdict"], row["holm_p"], row["confidence"])} | row))


def rows_of(section: Section) -> tuple[ClaimRow, ...]:
    """The claims of a section that has comparisons alone."""
    assert all(isinstance(claim, ClaimRow) for claim in section.claims)
    return tuple(claim for claim in section.claims if isinstance(claim, ClaimRow))


def some(value: T | None) -> T:
    """The value, which has to be there."""
    assert value is not None
    return value
