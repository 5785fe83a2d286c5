"""Curves of which an independent review said what is right: each is judged as a file, with the numbers that it gave."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.curves.findings import CurvesFindings, CurvesRequest, curves_findings
from analysis.curves.table import read_curves

FOLDER = Path(__file__).parents[1] / "data" / "curves_of_a_review"


def _found(path: Path, **request: object) -> CurvesFindings:
    return curves_findings(read_curves(path), CurvesRequest(**request))  # type: ignore[arg-type]


def test_no_name_of_a_cell_changes_a_number(tmp_path: Path) -> None:
    """25 pairs whose exact p is .05051, which drawn signs called better under one name in three."""
    text = (FOLDER / "names_Adam.csv").read_text()
    judged = set()
    for number, (ours, theirs) in enumerate([("Adam", "Adagrad"), ("adam", "adagrad"), ("a", "b"), ("z", "y")]):
        path = tmp_path / f"{number}.csv"
        path.write_text(text.replace("Adam", ours).replace("Adagrad", theirs))
        (pair,) = _found(path).pairs
        assert pair.estimate is not None
        assert pair.estimate.p == pytest.approx(0.05051, abs=5e-6)
        judged.add((pair.verdict, pair.estimate, tuple(one.verdict for one in pair.readings)))
    ((verdict, estimate, readings),) = judged
    assert estimate.interval is not None
    assert verdict == "inconclusive"
    assert estimate.interval.low < 0
    assert set(readings) == {"inconclusive"}


def test_ties_of_values_with_two_decimals_are_seen_at_1234() -> None:
    (pair,) = _found(FOLDER / "ties.csv").pairs
    assert (pair.p, pair.verdict) == (0.0625, "inconclusive")
