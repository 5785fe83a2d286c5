from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.curves.aligned import metric_curves
from analysis.curves.file import CurveFileError
from analysis.curves.findings import CurvesRequest, curves_findings
from analysis.curves.report import claim_row
from analysis.curves.table import read_curves
from tests.support.curve_points import exact_points

HEADER = "cell,seed,step,metric,value,seconds\n"


def _write(folder: Path, text: str, name: str = "curves.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def _fault(folder: Path, text: str) -> str:
    with pytest.raises(CurveFileError) as caught:
        read_curves(_write(folder, text))
    return str(caught.value)


def test_csv_and_parquet_give_the_same_table(tmp_path: Path) -> None:
    points = exact_points()
    points.to_csv(tmp_path / "curves.csv", index=False)
    points.to_parquet(tmp_path / "curves.parquet")
    csv, parquet = read_curves(tmp_path / "curves.csv"), read_curves(tmp_path / "curves.parquet")
    pd.testing.assert_frame_equal(csv.frame, parquet.frame)
    assert (csv.metrics, csv.has_seconds, csv.notes) == (("bound",), True, ())
    assert csv.frame.dtypes[["seed", "step", "value"]].tolist() == [np.int64, np.int64, np.float64]


def test_curves_are_typed_and_sorted_by_cell_seed_and_step(tmp_path: Path) -> None:
    exact_points().sample(frac=1, random_state=4).to_csv(tmp_path / "curves.csv", index=False)
    found = metric_curves(read_curves(tmp_path / "curves.csv"), "bound")
    adagrad, adam = found.cells
    assert (adagrad.cell, adam.cell, adam.seeds, adam.horizon) == ("adagrad", "adam", (0, 1, 2), 300)
    assert adam.curves[1].tolist() == pytest.approx([-205.0, -155.0, -105 - 1e4 / 300])
    assert adam.seconds is not None
    assert adam.seconds[2].tolist() == [10.0, 20.0, 30.0]
    assert found.notes == ()


def test_seconds_are_optional_and_other_columns_are_ignored_by_name(tmp_path: Path) -> None:
    table = read_curves(_write(tmp_path, "cell,seed,step,metric,value,run_id\na,0,1,m,2,x\na,1,1,m,3,y\n"))
    assert not table.has_seconds
    assert table.notes[0] == "Ignored: the columns 'run_id'."
    assert metric_curves(table, "m").cells[0].seconds is None


def test_missing_columns_are_named_with_the_nearest(tmp_path: Path) -> None:
    message = _fault(tmp_path, "Cells,seed,step,metric,valu\na,0,1,m,2\n")
    assert "the column 'cell' is missing; is 'Cells' meant?" in message
    assert "the column 'value' is missing; is 'valu' meant?" in message
    assert (
        "Needed: cell, seed, step, metric, value; optional: seconds. Found: 'Cells', 'seed', 'step', 'metric', 'valu'."
        in message
    )


def test_every_fault_is_reported_at_once_with_its_line(tmp_path: Path) -> None:
    lines = ["a,0,100,m,-1,5", "a,zero,100,m,-1,5", "", "a,1.5,200,m,-1,5", "a,1,-100,m,1.0.0,5", ",1,300,m,-1,-5"]
    message = _fault(tmp_path, HEADER + "\n".join(lines) + "\n")
    for expected in (
        "cell is empty in row 7",
        "seed is not a number in row 3: 'zero'",
        "value is not a number in row 6: '1.0.0'; allowed: a number such as -103.5",
        "step is below 0 in row 6: '-100'",
        "seconds is below 0 in row 7: '-5'",
    ):
        assert expected in message, message
    assert "seed is not a whole number in rows 3, 5: '1.5'" not in message


def test_a_seed_that_is_not_whole_is_named(tmp_path: Path) -> None:
    assert "seed is not a whole number in row 2: '1.5'; allowed: a whole number" in _fault(
        tmp_path, HEADER + "a,1.5,200,m,-1,5\n"
    )


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (
            "a,0,200,m,-1,inf",
            (
                "seconds is larger than 1e+100 in row 3: 'inf'; allowed: numbers up to that size; leave it empty where"
                " nobody measured it"
            ),
        ),
        ("a,0,200,m,-1,1e305", "seconds is larger than 1e+100 in row 3: '1e305'"),
        (
            "a,0,200,m,-1e305,5",
            (
                "value is larger than 1e+100 in row 3: '-1e305'; allowed: numbers up to that size; write inf where"
                " the training diverged"
            ),
        ),
    ],
)
def test_numbers_that_no_statistic_can_hold_are_refused_with_their_row(tmp_path: Path, row: str, says: str) -> None:
    assert says in _fault(tmp_path, HEADER + f"a,0,100,m,-1,5\n{row}\n")


def test_the_largest_numbers_allowed_make_every_statistic(tmp_path: Path) -> None:
    points = exact_points(num_seeds=7)
    points["value"] = 1e100 * np.where(points["cell"] == "adam", 1.0, -1.0) * (1 - points["seed"] / 100)
    points.assign(seconds=1e100).to_csv(tmp_path / "curves.csv", index=False)
    found = curves_findings(read_curves(tmp_path / "curves.csv"), CurvesRequest(targets=(0.0,)))
    assert (found.pairs[0].verdict, found.pairs[0].level) == ("better", "adam")
    assert "adam is better than adagrad by 1" in claim_row(found.pairs[0], found).statement


def test_seconds_may_be_empty(tmp_path: Path) -> None:
    table = read_curves(_write(tmp_path, HEADER + "a,0,100,m,-1,\na,0,200,m,-1,7\n"))
    assert table.has_seconds
    assert table.frame["seconds"].isna().tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty; allowed: a header with the columns cell, seed"),
        (HEADER, "it has a header and no rows"),
        (HEADER + "a,0,100,m,1,5,6,7\n", "the header has 6 fields, row 2 8; allowed: as many in every row"),
        (HEADER + "a,0,100,m,1,5\na,0,200,m\n", "the header has 6 fields, row 3 4"),
        ("cell,seed,step,metric,value,value\na,0,1,m,2,3\n", "is there more than once"),
    ],
)
def test_files_that_hold_no_curves_are_refused_as_text(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in _fault(tmp_path, text)


def test_a_file_that_is_not_there_or_not_parquet_is_refused_as_text(tmp_path: Path) -> None:
    with pytest.raises(CurveFileError, match="there is no file"):
        read_curves(tmp_path / "nothing.csv")
    with pytest.raises(CurveFileError, match="cannot be read as Parquet"):
        read_curves(_write(tmp_path, HEADER, "curves.parquet"))
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(CurveFileError, match="cannot be read as CSV"):
        read_curves(tmp_path / "binary.csv")
