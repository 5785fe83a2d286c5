"""Columns of a file as texts and numbers: whole numbers are whole whatever their size."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from analysis.curves import columns
from analysis.curves.table import read_curves

LARGE = (2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**127 + 3, -(2**63) - 1)


@pytest.mark.parametrize("seed", LARGE)
def test_seeds_of_any_size_are_kept_to_the_digit(seed: int, tmp_path: Path) -> None:
    lines = [f"{cell},{number},1,m,2" for cell in "ab" for number in (seed, seed - 1, 7)]
    (tmp_path / "curves.csv").write_text("cell,seed,step,metric,value\n" + "\n".join(lines))
    assert set(map(int, read_curves(tmp_path / "curves.csv").frame["seed"])) == {seed, seed - 1, 7}


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_whole_numbers_of_parquet_are_exact(dtype: str, tmp_path: Path) -> None:
    largest = 2**63 - 1 if dtype == "int64" else 2**64 - 1
    frame = pd.DataFrame({"cell": "a", "seed": pd.Series([largest, largest - 1], dtype=dtype), "step": 1})
    frame.assign(metric="m", value=2.0).to_parquet(tmp_path / "curves.parquet")
    assert list(map(int, read_curves(tmp_path / "curves.parquet").frame["seed"])) == [largest - 1, largest]


@pytest.mark.parametrize(("text", "number"), [("7", 7), (" 7.0", 7), ("1e3", 1000), ("-5", -5), ("+5", 5), ("007", 7)])
def test_a_whole_number_may_be_written_in_any_way(text: str, number: int) -> None:
    faults: list[str] = []
    assert (columns.wholes(pd.Series([text]), "seed", faults).tolist(), faults) == ([number], [])


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("1.5", "seed is not a whole number in row 0: '1.5'; allowed: a whole number"),
        ("", "seed is not a whole number in row 0: ''; allowed: a whole number"),
        ("inf", "seed is not a whole number in row 0: 'inf'; allowed: a whole number"),
        ("one", "seed is not a number in row 0: 'one'; allowed: a whole number"),
        ("1_000", "seed is not a number in row 0: '1_000'; allowed: a whole number"),
        (
            "1.8446744073709552e+19",
            (
                "seed is a floating-point number beyond 2^53 in row 0: '1.8446744073709552e+19', which stands for"
                " several; write all digits"
            ),
        ),
    ],
)
def test_what_is_no_whole_number_is_named_with_its_row(text: str, fault: str) -> None:
    faults: list[str] = []
    columns.wholes(pd.Series([text]), "seed", faults)
    assert faults == [fault]


def test_a_step_has_a_largest_size() -> None:
    faults: list[str] = []
    columns.wholes(pd.Series([str(2**53), str(2**53 + 1)]), "step", faults, largest=2**53)
    assert faults == [f"step is too large in row 1: '{2**53 + 1}'; allowed: up to 2^53"]


def test_nothing_written_is_told_from_a_nan_that_is_spelt_out() -> None:
    faults: list[str] = []
    numbers, nothing = columns.numbers(pd.Series(["", "NA", "None", "nan", "-NaN", "inf", "2"]), "value", faults)
    assert (numbers.isna().tolist(), faults) == ([True] * 5 + [False] * 2, [])
    assert nothing.tolist() == [True, True, True, False, False, False, False]
