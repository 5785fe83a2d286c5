"""What the page about curves from a file says beside its sections."""

from __future__ import annotations

import math

import yaml

from analysis.curves.findings import CurvesFindings, CurvesRequest, curves_findings
from analysis.curves.page import curves_subject
from analysis.curves.table import CurveTable
from tests.support.curve_points import points, spoiled


def _findings(**request: object) -> CurvesFindings:
    frame = spoiled(points(), "adam", 3, 300).sort_values(["cell", "seed", "metric", "step"], ignore_index=True)
    return curves_findings(CurveTable(frame, True, ()), CurvesRequest(**request))  # type: ignore[arg-type]


def test_the_question_is_that_of_the_primary_claim_or_of_all_cells() -> None:
    asked = curves_subject("mine", _findings(primary=("adam", "adagrad")), {})
    assert asked.question == "Is adam better than adagrad in bound?"
    assert curves_subject("mine", _findings(), {}).question == "Which of 2 cells is best in bound?"


def test_every_curve_is_counted_by_how_it_ended() -> None:
    subject = curves_subject("mine", _findings(), {})
    assert subject.totals == "12 curves of 2 cells, 4 points each up to step 400."
    (table,) = subject.tables
    assert table.frame.to_dict("records") == [
        {"cell": "adagrad", "seeds": 6, "finished": 6, "diverged": 0, "unfinished": 0},
        {"cell": "adam", "seeds": 6, "finished": 5, "diverged": 1, "unfinished": 0},
    ]


def test_the_request_is_written_with_its_defaults() -> None:
    request = yaml.safe_load(curves_subject("mine", _findings(margin=0.5), {}).source)
    assert (request["metric"], request["margin"], request["baseline"], request["higher_is_better"]) == (
        "bound",
        0.5,
        None,
        True,
    )
    assert math.isclose(request["confidence"], 0.95)
