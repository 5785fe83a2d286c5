"""What readers of tools' files share: where files are, what folders say, tables with a column for each metric."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from analysis.curves.file import CurveFileError
from analysis.curves.sources.raw import (
    POINT_TYPES,
    below,
    first_few,
    flat,
    folder_facts,
    header_of,
    number,
    points_of,
    raw_curves,
    relative,
    run_of,
    run_of_file,
    table_of,
    text_table,
    wide_points,
)

LOG = "epoch,step,loss,val_loss,host\n0,10,nan,,a\n1,20,,-2.5,a\n2,30,inf,,a\n"


def _log(folder: Path, text: str = LOG) -> Path:
    file = folder / "metrics.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_files_below_a_folder_are_named_from_it_and_their_runs_by_their_folders(tmp_path: Path) -> None:
    for folder in ("adam/1", "adam/0", ".hidden/0"):
        (tmp_path / folder).mkdir(parents=True)
        _log(tmp_path / folder)
    files = below(tmp_path, "metrics.csv")
    assert [relative(file, tmp_path) for file in files] == ["adam/0/metrics.csv", "adam/1/metrics.csv"]
    assert [run_of(file, tmp_path) for file in files] == ["adam/0", "adam/1"]
    assert below(files[0], "metrics.csv") == [files[0]]
    assert below(files[0], "*.json") == below(tmp_path / "none", "*") == []
    assert (relative(files[0], files[0]), run_of(files[0], files[0])) == ("metrics.csv", "0")


def test_folders_are_facts_by_place_and_by_what_they_set() -> None:
    assert folder_facts("sweep/optimizer=adam,seed=3") == {
        "folder.1": "sweep",
        "folder.2": "optimizer=adam,seed=3",
        "folder.optimizer": "adam",
        "folder.seed": "3",
    }


def test_nested_settings_are_facts_with_dots() -> None:
    assert flat({"model": {"lr": 0.1, "act": "tanh"}, "seed": 3, "betas": [0.9, 0.99], "clip": None}) == {
        "params.model.lr": "0.1",
        "params.model.act": "tanh",
        "params.seed": "3",
        "params.betas": "[0.9, 0.99]",
        "params.clip": "None",
    }


def test_a_wide_table_gives_a_point_for_each_field_with_its_line(tmp_path: Path) -> None:
    faults: list[str] = []
    points = wide_points(text_table(_log(tmp_path), "metrics.csv"), "adam/0", "metrics.csv", "step", faults)
    assert not faults
    assert dict(points.dtypes.astype(str)) == POINT_TYPES
    rows = points[points["metric"] != "epoch"]
    assert list(zip(rows["metric"], rows["step"], rows["line"], strict=True)) == [
        ("loss", 10, 2),
        ("loss", 30, 4),
        ("val_loss", 20, 3),
    ]
    assert math.isnan(rows["value"].iloc[0])
    assert rows["value"].iloc[1:].tolist() == [math.inf, -2.5]
    assert "host" not in set(points["metric"])


def test_an_empty_field_may_be_a_point_that_is_blank(tmp_path: Path) -> None:
    table = text_table(_log(tmp_path), "metrics.csv")
    points = wide_points(table, "r", "metrics.csv", "step", [], metrics=["loss"], empty_is_blank=True)
    assert points["blank"].tolist() == [False, True, False]


def test_faults_of_a_wide_table_name_file_run_and_line(tmp_path: Path) -> None:
    faults: list[str] = []
    table = text_table(_log(tmp_path, "step,loss\n1,2\n1.5,x\n"), "0/metrics.csv")
    assert wide_points(table, "0", "0/metrics.csv", "step", faults, metrics=["loss"]).empty
    assert [fault.partition(" in row 3")[0] for fault in faults] == [
        "0/metrics.csv (run '0'): step is not a whole number",
        "0/metrics.csv (run '0'): loss is not a number",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a/metrics.csv is empty"),
        ("step,loss\n1,2\n2,0.12", "row 3 ends without a line break"),
        ("step,loss\n1,2\n2\n", "the header has 2 fields, row 3 1"),
    ],
)
def test_a_file_that_is_empty_or_cut_off_is_refused_with_its_line(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(CurveFileError) as caught:
        text_table(_log(tmp_path, text), "a/metrics.csv")
    assert says in str(caught.value)
    assert "a/metrics.csv" in str(caught.value)


def test_parts_are_put_together_with_their_types_even_if_there_are_none() -> None:
    one = points_of("a", "f", [(1, "loss", 0.5, math.nan, 2)])
    both = raw_curves([one, points_of("b", "f", ()), one.assign(run="b")], {"a": {}, "b": {}}, ["seen"])
    assert both.points["run"].tolist() == ["a", "b"]
    assert both.points.index.tolist() == [0, 1]
    assert (both.notes, dict(both.points.dtypes.astype(str))) == (("seen",), POINT_TYPES)
    assert dict(raw_curves([], {}).points.dtypes.astype(str)) == POINT_TYPES


def test_numbers_of_json_are_numbers_and_nothing_else_is() -> None:
    assert [number(value) for value in (1, 0.5, True, "null", None, [1])] == [1.0, 0.5, None, None, None, None]


def test_a_table_that_cannot_be_read_is_a_fault_that_names_file_and_run(tmp_path: Path) -> None:
    faults: list[str] = []
    assert table_of(_log(tmp_path, ""), "a", "a/metrics.csv", ("step",), faults) is None
    assert table_of(_log(tmp_path, "epoch,loss\n0,1\n"), "a", "a/metrics.csv", ("step",), faults) is None
    assert table_of(_log(tmp_path, "step,loss,loss\n"), "a", "a/metrics.csv", ("step",), faults) is None
    assert faults == [
        "a/metrics.csv (run 'a'): a/metrics.csv is empty; allowed: what the tool writes: a header, and a line for each"
        " step",
        "a/metrics.csv (run 'a') has no column 'step'",
        "a/metrics.csv (run 'a') has the column 'loss' twice",
        "a/metrics.csv (run 'a') has a header and no line below it",
    ]
    table = table_of(_log(tmp_path), "a", "a/metrics.csv", ("step",), faults)
    assert table is not None
    assert len(table) == 3


def test_a_header_is_read_with_commas_or_semicolons_and_none_where_there_is_none(tmp_path: Path) -> None:
    assert header_of(_log(tmp_path)) == ["epoch", "step", "loss", "val_loss", "host"]
    assert header_of(_log(tmp_path, "epoch; loss\n")) == ["epoch", "loss"]
    assert header_of(tmp_path / "missing.csv") == []
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    assert header_of(tmp_path / "binary.csv") == []


def test_a_run_that_is_one_file_is_called_by_folders_and_file(tmp_path: Path) -> None:
    file = tmp_path / "adam" / "seed=1.csv"
    file.parent.mkdir()
    file.touch()
    assert run_of_file(file, tmp_path) == "adam/seed=1"
    assert run_of_file(file, file) == "seed=1"


def test_of_many_names_the_first_few_are_said() -> None:
    assert first_few(["a", "b"]) == "a; b"
    assert first_few(["a", "b", "c", "d", "e"]) == "a; b; c and 2 more"
