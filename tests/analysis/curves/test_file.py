"""Files of curves as people have them: separators, decimal commas, indexes; what can be read in two ways is refused."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from analysis.curves.file import CurveFileError, read_raw
from analysis.curves.table import read_curves
from tests.support.curve_points import points


def _written(folder: Path, text: str) -> Path:
    path = folder / "curves.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize("decimal", [".", ","])
def test_any_common_separator_and_decimal_mark_gives_the_same_table(
    separator: str, decimal: str, tmp_path: Path
) -> None:
    frame = points().round(3)
    frame.to_csv(tmp_path / "plain.csv", index=False)
    frame.to_csv(tmp_path / "other.csv", index=False, sep=separator, decimal=decimal)
    plain, other = read_curves(tmp_path / "plain.csv"), read_curves(tmp_path / "other.csv")
    pd.testing.assert_frame_equal(plain.frame, other.frame)
    commas = ", and commas as decimal marks" if decimal == "," else ""
    assert (plain.notes, other.notes) == ((), (f"Read with {separator!r} between the columns{commas}.",))


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("a;0;10.000;m;0,5", "step can be read in two ways in row 3: '10.000'"),
        ("a;0;10,000;m;0,5", "step can be read in two ways in row 3: '10,000'"),
        ("a;0;10;m;1.234,5", "value can be read in two ways in row 3: '1.234,5'"),
        ("a;0;10;m;1.234", "value can be read in two ways in row 3: '1.234'"),
    ],
)
def test_a_number_that_can_be_read_in_two_ways_is_refused(row: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(CurveFileError) as caught:
        read_raw(_written(tmp_path, f"cell;seed;step;metric;value\na;0;1;m;0,25\n{row}\n"))
    assert says in str(caught.value)
    assert "allowed: numbers without marks between thousands, and one decimal mark in the whole file" in str(
        caught.value
    )


def test_a_decimal_comma_between_commas_is_named_as_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(CurveFileError, match=r"the header has 5 fields, row 2 6.*decimals are written with a point"):
        read_raw(_written(tmp_path, "cell,seed,step,metric,value\na,0,1,m,0,85\n"))


def test_a_table_without_any_of_the_names_is_told_which_are_missing(tmp_path: Path) -> None:
    with pytest.raises(CurveFileError) as caught:
        read_curves(_written(tmp_path, "name;age\nx;1\n"))
    assert "the column 'cell' is missing" in str(caught.value)
    assert "Found: 'name', 'age'." in str(caught.value)


@pytest.mark.parametrize("index", [["cell"], ["step"], ["cell", "seed", "metric", "step"]])
def test_the_index_of_a_parquet_file_is_read_as_columns(index: list[str], tmp_path: Path) -> None:
    frame = points()
    frame.to_parquet(tmp_path / "plain.parquet")
    frame.set_index(index).to_parquet(tmp_path / "indexed.parquet")
    plain, indexed = read_curves(tmp_path / "plain.parquet"), read_curves(tmp_path / "indexed.parquet")
    pd.testing.assert_frame_equal(plain.frame, indexed.frame)
    assert indexed.notes == ()


def test_categories_and_nullable_numbers_of_parquet_are_what_they_say(tmp_path: Path) -> None:
    frame = points()
    frame.to_parquet(tmp_path / "plain.parquet")
    typed = frame.astype({"cell": "category", "metric": "category", "seed": "Int64", "step": "uint32"})
    typed.to_parquet(tmp_path / "typed.parquet")
    pd.testing.assert_frame_equal(
        read_curves(tmp_path / "plain.parquet").frame, read_curves(tmp_path / "typed.parquet").frame
    )
