"""W&B's tables: a chart's export and the histories of runs, against what was logged."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from analysis.curves.file import CurveFileError
from analysis.curves.sources import wandb_table
from tests.support.tool_curves import curve, reported

CHART = '"Step","a - loss","a - loss__MIN","a - loss__MAX","b - c - loss"\n"0","2.5","2.5","2.5","3.5"\n'


@pytest.fixture
def folder(root: Path) -> Path:
    return root / "tests/data/curves/wandb"


def _pairs(folder: Path, run: str, metric: str) -> list[tuple[int, str]]:
    said = reported(folder, run, metric)
    return [(int(step), repr(float(value))) for step, value in zip(said["step"], said["value"], strict=True)]


@pytest.mark.parametrize("run", ["sgd-0", "sgd-1", "adam-0", "adam-1", "wild-0"])
def test_a_chart_holds_what_was_logged(folder: Path, run: str) -> None:
    assert wandb_table.matches(folder / "chart.csv")
    raw = wandb_table.read(str(folder / "chart.csv"))
    assert [(step, repr(value)) for step, value in curve(raw, run, "val_loss")] == _pairs(folder, run, "val_loss")
    assert raw.notes == ()


@pytest.mark.parametrize("run", ["sgd-0", "wild-1"])
def test_a_history_holds_what_was_logged_and_an_empty_field_may_be_either(folder: Path, run: str) -> None:
    raw = wandb_table.read(str(folder / "history"))
    for metric in ("train.loss", "val_loss"):
        points = raw.points[(raw.points["run"] == run) & (raw.points["metric"] == metric)]
        said = dict(_pairs(folder, run, metric))
        assert points["step"].tolist() == list(range(6))
        for step, value, blank in zip(points["step"], points["value"], points["blank"], strict=True):
            assert blank == (step not in said or said[step] == "nan")
            assert math.isnan(value) if blank else repr(value) == said[step]
    assert raw.points["seconds"].max() == 7.75
    assert set(raw.points["metric"]) == {"train.loss", "val_loss"}


def test_names_end_at_the_last_dash_and_least_and_largest_are_no_metrics(tmp_path: Path) -> None:
    (tmp_path / "chart.csv").write_text(CHART, encoding="utf-8")
    raw = wandb_table.read(str(tmp_path))
    assert curve(raw, "a", "loss") == [(0, 2.5)]
    assert curve(raw, "b - c", "loss") == [(0, 3.5)]
    assert set(raw.facts) == {"a", "b - c"}


def test_a_mean_of_steps_is_said(tmp_path: Path) -> None:
    (tmp_path / "chart.csv").write_text(CHART.replace('"2.5","2.5","3.5"', '"2","3","3.5"'), encoding="utf-8")
    raw = wandb_table.read(str(tmp_path))
    assert raw.notes[0].startswith("Means in chart.csv: the column 'a - loss' lies between other least and largest")


def test_a_mean_of_runs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "chart.csv").write_text(CHART.replace("a - loss", "Group: a - loss"), encoding="utf-8")
    with pytest.raises(CurveFileError, match="'Group: a - loss' is a mean of several runs, which has no seed"):
        wandb_table.read(str(tmp_path))


def test_a_run_without_numbers_to_the_end_is_said(tmp_path: Path) -> None:
    (tmp_path / "chart.csv").write_text(CHART + '"1","","","","1.5"\n', encoding="utf-8")
    raw = wandb_table.read(str(tmp_path))
    assert curve(raw, "a", "loss") == [(0, 2.5)]
    assert raw.notes[0].startswith("No number to the end of chart.csv: 'a'.")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CHART + '"1","2.5"\n', "chart.csv cannot be used: the header has 5 fields, row 3 2"),
        (CHART.splitlines()[0] + "\n", "chart.csv has a header and no line below it"),
        (CHART + '"1.5","2","2","2","3"\n', "chart.csv (run 'a'): Step is not a whole number in row 3: '1.5'"),
        (CHART + '"1","x","2","2","3"\n', "chart.csv (run 'a'): loss is not a number in row 3: 'x'"),
        (CHART.replace("b - c", "a"), "chart.csv has the column 'a - loss' twice"),
    ],
)
def test_a_damaged_table_is_one_message_with_file_run_and_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "chart.csv").write_text(text, encoding="utf-8")
    with pytest.raises(CurveFileError) as caught:
        wandb_table.read(str(tmp_path))
    assert message in str(caught.value)


def test_other_tables_are_none_of_wandb(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("epoch,step,loss\n0,1,2.0\n", encoding="utf-8")
    assert not wandb_table.matches(tmp_path)
    with pytest.raises(CurveFileError, match="no table of W&B is in it"):
        wandb_table.read(str(tmp_path))
