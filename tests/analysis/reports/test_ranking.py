"""What the ranks of cells say in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from analysis.reports.ranking import ranking_findings, sentence
from tests.support.cells import BASELINE, LEVEL, cells_of, two_optimizers


@pytest.mark.parametrize(
    ("level", "baseline", "said"),
    [
        ([3.0, 4.0], [1.0, 5.0], "adagrad and adam share the best mean rank, 1.50 of 2."),
        ([3.0, 4.0], [1.0, 2.0], "adam has the best mean rank, 1.00 of 2; 1 of the other 1 is not told apart from it."),
        ([math.nan, 4.0], [1.0, 2.0], "adagrad and adam share the best mean rank, 1.50 of 2."),
    ],
    ids=["a tie", "one ahead", "a diverged seed is last"],
)
def test_the_sentence_names_all_that_are_best(level: Sequence[float], baseline: Sequence[float], said: str) -> None:
    study = two_optimizers(2)
    assert (
        sentence(ranking_findings(study, cells_of(study, {LEVEL: level, BASELINE: baseline}), []))
        == f"Over 2 reporting seeds {said}"
    )
