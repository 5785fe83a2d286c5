"""What rows stand for: not measured or diverged, infinity in disguise, points that are there twice, clocks that begin
anew."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.curves.aligned import MetricCurves, metric_curves
from analysis.curves.file import CurveFileError
from analysis.curves.findings import CurvesRequest, curves_findings
from analysis.curves.table import CurveTable, read_curves
from tests.support.curve_points import points, spoiled

HEADER = "cell,seed,step,metric,value,seconds\n"


def _read(folder: Path, frame: pd.DataFrame, na: str = "") -> CurveTable:
    frame.to_csv(folder / "curves.csv", index=False, na_rep=na)
    return read_curves(folder / "curves.csv")


def _curves(folder: Path, frame: pd.DataFrame, na: str = "") -> MetricCurves:
    return metric_curves(_read(folder, frame, na), str(frame["metric"].iloc[0]))


def _sparse(every: int, rows: int, first: int = 0) -> pd.DataFrame:
    """Two cells by three seeds with a row at every step, measured at every so-manieth of them from `first` on."""
    frame = points(seeds=range(3), steps=range(rows)).drop(columns="seconds")
    return frame.assign(value=frame["value"].where((frame["step"] - first) % every == 0))


# Not measured, or diverged


@pytest.mark.parametrize("na", ["", "NA", "None", "null", "nan"])
@pytest.mark.parametrize(("every", "rows", "first"), [(2, 6, 0), (2, 6, 1), (3, 12, 1), (5, 20, 0), (10, 20, 9)])
def test_rows_between_the_measured_ones_are_not_measured(
    every: int, rows: int, first: int, na: str, tmp_path: Path
) -> None:
    found = _curves(tmp_path, _sparse(every, rows, first), na)
    expected = list(range(first, rows, every))
    assert [cell.steps.tolist() for cell in found.cells] == [expected, expected]
    assert {outcome for cell in found.cells for outcome in cell.outcomes} == {"finished"}
    assert all("Not measured: " in note for note in found.notes)


@pytest.mark.parametrize("na", ["", "nan"])
def test_a_sparse_curve_that_diverges_has_diverged(na: str, tmp_path: Path) -> None:
    frame = _sparse(3, 13)
    frame["value"] = frame["value"].mask((frame["cell"] == "adam") & (frame["seed"] == 1) & (frame["step"] >= 9))
    found = _curves(tmp_path, frame, na)
    assert [cell.outcomes for cell in found.cells] == [("finished",) * 3, ("finished", "diverged", "finished")]


def test_values_missing_in_one_cell_alone_do_not_turn_the_verdict_round(tmp_path: Path) -> None:
    frame = points(steps=(50, 100))
    lacking = frame.assign(value=frame["value"].mask((frame["cell"] == "adam") & (frame["step"] == 50)))
    (pair,) = curves_findings(_read(tmp_path, lacking), CurvesRequest()).pairs
    (whole,) = curves_findings(_read(tmp_path, frame), CurvesRequest()).pairs
    assert (pair.title, pair.verdict, pair.p, pair.num_lost) == ("adam against adagrad", "better", whole.p, 0)


@pytest.mark.parametrize(("value", "na"), [(math.nan, ""), (math.nan, "nan"), (math.inf, ""), (-math.inf, "")])
def test_what_ends_without_a_finite_number_has_diverged(value: float, na: str, tmp_path: Path) -> None:
    found = _curves(tmp_path, spoiled(points(), "adam", 2, 300, value), na)
    assert found.cells[1].outcomes[2] == "diverged"
    assert np.isnan(found.cells[1].curves[2]).tolist() == [False, False, True, True]
    assert "Diverged: cell 'adam', seed 2 from step 300 on." in found.notes
    assert any("Empty to the end" in note for note in found.notes) == (math.isnan(value) and na == "")


def test_an_infinite_value_is_a_divergence_though_numbers_follow(tmp_path: Path) -> None:
    frame = points()
    once = (frame["cell"] == "adam") & (frame["seed"] == 2) & (frame["step"] == 200)
    found = _curves(tmp_path, frame.assign(value=frame["value"].mask(once, math.inf)))
    assert found.cells[1].outcomes[2] == "diverged"
    assert np.isnan(found.cells[1].curves[2]).tolist() == [False, True, True, True]


def test_a_seed_without_any_number_has_diverged_where_its_cell_was_measured(tmp_path: Path) -> None:
    found = _curves(tmp_path, spoiled(points(), "adam", 2, 0))
    assert found.cells[1].outcomes[2] == "diverged"
    assert any("Where nobody measured, leave these rows out." in note for note in found.notes)


def test_a_cell_without_any_number_is_not_compared_unless_nan_is_spelt_out(tmp_path: Path) -> None:
    frame = points(("adagrad", "adam", "sgd"))
    frame = frame.assign(value=frame["value"].mask(frame["cell"] == "sgd"))
    found = _curves(tmp_path, frame, "NA")
    assert [cell.cell for cell in found.cells] == ["adagrad", "adam"]
    assert any("cell 'sgd' has no number of 'bound' and is left out" in note for note in found.notes)
    assert _curves(tmp_path, frame, "nan").cells[2].outcomes == ("diverged",) * 6


def test_an_empty_row_beside_a_measured_one_of_the_same_step_is_nothing(tmp_path: Path) -> None:
    frame = points()
    both = pd.concat([frame.assign(value=math.nan), frame, frame.assign(value=math.nan)])
    pd.testing.assert_frame_equal(_read(tmp_path, both).frame, _read(tmp_path, frame).frame)
    assert _read(tmp_path, both).metric_notes == {}


@pytest.mark.parametrize(("end", "why"), [(0.0, "exactly 0 twice or more"), (None, "its first value again")])
def test_a_curve_that_ends_as_tools_write_nan_is_asked_about(end: float | None, why: str, tmp_path: Path) -> None:
    frame = points()
    first = float(frame["value"].iloc[0])
    found = _curves(tmp_path, spoiled(frame, "adagrad", 0, 300, first if end is None else end))
    expected = f"Ends in {why}: cell 'adagrad', seed 0. Some tools write so where a loss is NaN: write nan there."
    assert expected in found.notes


# Infinity in disguise


@pytest.mark.parametrize("text", ["1.7976931348623157e+308", "1.797e308", "3.4028234663852886e+38", "3.4028235e38"])
@pytest.mark.parametrize("sign", ["", "-"])
def test_the_largest_number_of_a_type_is_infinity_and_is_said_to_be(sign: str, text: str, tmp_path: Path) -> None:
    frame = spoiled(points(), "adam", 2, 300, math.inf).astype({"value": object})
    frame["value"] = frame["value"].map(lambda value: sign + text if value == math.inf else value)
    found = _curves(tmp_path, frame)
    assert found.cells[1].outcomes[2] == "diverged"
    assert sum("Taken as infinite: " in note and "in rows 36, 37." in note for note in found.notes) == 1


# Points that are there twice


def test_the_same_value_twice_is_one_point_with_a_note(tmp_path: Path) -> None:
    frame = points()
    again = frame[(frame["cell"] == "adam") & (frame["seed"] == 3) & (frame["step"] > 200)].assign(seconds=99.0)
    table = _read(tmp_path, pd.concat([frame, again]))
    pd.testing.assert_frame_equal(table.frame, _read(tmp_path, frame).frame)
    assert table.metric_notes == {
        "bound": ("Logged again with the same value: 2 of the points of cell 'adam', seed 3. Each counts once.",)
    }


def test_another_value_of_the_same_point_is_a_fault_that_names_the_run(tmp_path: Path) -> None:
    lines = ["a,0,100,m,-1,5", "a,0,200,m,-1,6", "a,0,100,m,-2,5", "a,0,200,m,-3,5", "b,1,200,m,nan,6", "b,1,200,m,1,6"]
    (tmp_path / "curves.csv").write_text(HEADER + "\n".join(lines) + "\n")
    with pytest.raises(CurveFileError) as caught:
        read_curves(tmp_path / "curves.csv")
    assert (
        "the point of cell 'a', seed 0, step 100, metric 'm' is there 2 times, in rows 2, 4, with the values -1, -2; so"
        " are 1 further steps; allowed: once." in str(caught.value)
    )
    assert "the point of cell 'b', seed 1, step 200, metric 'm' is there 2 times, in rows 6, 7" in str(caught.value)


# Clocks


@pytest.mark.parametrize("restart", [lambda old: old - 20.5, lambda old: 0 * old, lambda old: old / 100])
def test_seconds_that_go_back_are_no_clock_of_that_seed(
    restart: Callable[[pd.Series[float]], pd.Series[float]], tmp_path: Path
) -> None:
    frame = points()
    after = (frame["cell"] == "adam") & (frame["seed"] == 3) & (frame["step"] >= 300)
    found = curves_findings(
        _read(tmp_path, frame.assign(seconds=frame["seconds"].mask(after, restart(frame["seconds"])))),
        CurvesRequest(targets=(-101.0,)),
    )
    assert {table.clock for table in found.targets} == {"samples"}
    assert found.pairs[0].verdict == "better"
    expected = "No clock of cell 'adam', seed 3: its seconds go back in row 40, from 21"
    assert any(expected in note for note in found.notes)


def test_a_clock_that_stands_still_is_one(tmp_path: Path) -> None:
    table = _read(tmp_path, points().assign(seconds=4.0))
    assert not table.metric_notes
    assert table.frame["seconds"].notna().all()
