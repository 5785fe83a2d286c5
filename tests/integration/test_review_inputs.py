"""Curves of which an independent review said what is right: each is judged as a file, with the numbers that it gave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.curves.doubts import time_pairs_table
from analysis.curves.findings import CurvesFindings, CurvesRequest, curves_findings
from analysis.curves.report import answer, warnings
from analysis.curves.table import read_curves
from analysis.statistics.intervals import sign_flip

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


def test_the_best_of_nine_like_cells_is_corrected_for_all_pairs_that_it_was_picked_from() -> None:
    found = _found(FOLDER / "nine.csv")
    (pair,) = (pair for pair in found.pairs if {pair.level, pair.baseline} == {"c6", "c5"})
    assert (pair.p, pair.holm_p, pair.num_compared) == (2 * 2**-9, 36 * 2 * 2**-9, 36)
    assert (pair.verdict, pair.corrected_verdict) == ("better", "inconclusive")
    assert answer(found).endswith("Of 7 further comparisons: 7 inconclusive.")


@pytest.mark.parametrize("num_studies", [100, pytest.param(2_000, marks=pytest.mark.slow)])
def test_like_cells_are_told_apart_in_no_more_studies_than_the_confidence_allows(num_studies: int) -> None:
    """Nine like cells, ten seeds: the best against each other one, by Holm's correction over all 36 pairs."""
    generator, num_false = np.random.default_rng(1), 0
    for _ in range(num_studies):
        cells = generator.standard_normal((9, 10))
        best = cells[int(cells.mean(axis=1).argmax())]
        ps = [sign_flip(best - cell, 0.95, generator).p for cell in cells if cell is not best and (cell != best).any()]
        num_false += 36 * min(ps) <= 0.05
    assert num_false <= 0.05 * num_studies + 4 * np.sqrt(0.05 * 0.95 * num_studies)


def test_times_in_epochs_keep_their_fractions_so_that_interval_and_p_agree_in_print() -> None:
    table = time_pairs_table(_found(FOLDER / "epochs.csv", targets=(0.7,)), "samples").frame
    ((difference, low, high, p),) = table[["difference", "low", "high", "p"]].to_numpy()
    assert (difference, low, high) == pytest.approx((-0.75, -1.0, -1 / 3), abs=1e-5)
    assert p == pytest.approx(0.03125)


def test_the_same_curves_under_two_names_are_taken_for_a_mistake(tmp_path: Path) -> None:
    rows = [line for line in (FOLDER / "ties.csv").read_text().splitlines() if line.startswith("a,")]
    path = tmp_path / "twice.csv"
    path.write_text("\n".join(["cell,seed,step,metric,value", *rows, *("b" + row[1:] for row in rows)]) + "\n")
    found = _found(path, margin=0.5)
    assert [pair.verdict for pair in found.pairs] == ["equivalent"]
    (said,) = (warning for warning in warnings(found) if warning.startswith("Every value of"))
    assert said == "Every value of a is that of b: most likely the same curves were exported twice."
