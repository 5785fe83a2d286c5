"""What the page of curves from a file is given to draw and to explore."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.curves.figures import cell_colours, explored_curves
from analysis.curves.findings import CurvesRequest, curves_findings
from analysis.curves.table import read_curves
from analysis.document.explorer import script_seed
from tests.support.curve_points import points, written


def test_a_small_loss_keeps_the_digits_that_tell_cells_apart(tmp_path: Path) -> None:
    frame = points()
    file = written(frame.assign(value=-1e-7 * frame["value"]), tmp_path)
    findings = curves_findings(read_curves(file), CurvesRequest(higher_is_better=False))
    dataset = explored_curves(findings)
    assert [(metric["title"], metric["better"]) for metric in dataset.content["metrics"]] == [("bound", "lower")]
    ends = {line["cell"]: line["values"]["bound"][-1] for line in dataset.content["lines"] if line["seed"] is None}
    assert [cell.name for cell in findings.cells] == ["adam", "adagrad"]
    assert ends["adagrad"] - ends["adam"] == pytest.approx(1e-7, rel=0.1)


def test_no_two_of_few_cells_have_one_colour() -> None:
    names = ["adam", "adagrad", "adamw", "mine", "yours"]
    colours = cell_colours(names)
    assert len(set(colours.values())) == 5
    assert cell_colours(names[::-1]) == colours
    assert set(cell_colours([str(number) for number in range(20)])) == {str(number) for number in range(20)}


def test_seeds_beyond_a_scripts_numbers_are_text_there_so_that_none_are_one(tmp_path: Path) -> None:
    large = [2**64 - 1 - place for place in range(6)]
    findings = curves_findings(read_curves(written(points(seeds=large), tmp_path)), CurvesRequest())
    seeds = {line["seed"] for line in explored_curves(findings).content["lines"]} - {None}
    assert seeds == set(map(str, large))
    assert [script_seed(seed) for seed in (None, 7, -(2**53), 2**53 + 1)] == [None, 7, -(2**53), str(2**53 + 1)]
