"""Keras's CSVLogger: what `fit` returned is read, validation that there was none is no point, bad files are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.curves.file import CurveFileError
from analysis.curves.sources import keras_log
from tests.support.tool_curves import curve, reported, same_as_reported


@pytest.fixture
def folder(root: Path) -> Path:
    return root / "tests/data/curves/keras"


def test_numbers_are_those_that_fit_returned(folder: Path) -> None:
    assert keras_log.matches(folder)
    raw = keras_log.read(str(folder))
    same_as_reported(raw, folder)
    assert not raw.points["blank"].any()
    assert raw.facts["runs/sgd/0"] == {"folder.1": "runs", "folder.2": "sgd", "folder.3": "0"}


def test_an_epoch_without_validation_is_no_point_and_one_that_diverged_is(folder: Path) -> None:
    raw = keras_log.read(str(folder / "runs"))
    assert [step for step, _ in curve(raw, "adam/0", "val_loss")] == [1, 3, 5]
    assert {str(value) for _, value in curve(raw, "wild/0", "val_loss")[1:]} <= {"inf", "nan"}


def test_a_run_that_was_continued_is_one_curve(folder: Path) -> None:
    raw = keras_log.read(str(folder / "runs" / "sgd" / "2.csv"))
    assert [step for step, _ in curve(raw, "2", "loss")] == [0, 1, 2, 3, 4, 5]


def test_epochs_that_a_restart_logged_again_stay_twice(folder: Path) -> None:
    raw = keras_log.read(str(folder / "restarted"))
    assert [step for step, _ in curve(raw, "sgd/3", "loss")] == [0, 1, 0, 1]
    assert len(reported(folder, "restarted/sgd/3", "loss")) == 4


def test_semicolons_are_read(folder: Path, tmp_path: Path) -> None:
    text = (folder / "runs/sgd/0.csv").read_text(encoding="utf-8")
    (tmp_path / "log.csv").write_text(text.replace(",", ";"), encoding="utf-8")
    points = keras_log.read(str(tmp_path)).points
    assert points["value"].equals(keras_log.read(str(folder / "runs/sgd/0.csv")).points["value"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch,loss\n0,1.5\n1,", "sgd/0.csv (run 'sgd/0'): sgd/0.csv cannot be used: row 3 ends without a line break"),
        ("epoch,loss\n0,1.5\n1\n", "the header has 2 fields, row 3 1"),
        ("epoch,loss\n", "sgd/0.csv (run 'sgd/0') has a header and no line below it"),
        ("epoch,loss\n0.5,1.5\n", "sgd/0.csv (run 'sgd/0'): epoch is not a whole number in row 2: '0.5'"),
    ],
)
def test_a_damaged_log_is_one_message_with_file_run_and_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "sgd").mkdir()
    (tmp_path / "sgd/0.csv").write_text(text, encoding="utf-8")
    with pytest.raises(CurveFileError) as caught:
        keras_log.read(str(tmp_path))
    assert message in str(caught.value)


def test_other_tables_are_not_keras_logs(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("epoch,step,loss\n0,1,2.0\n", encoding="utf-8")
    (tmp_path / "mine.csv").write_text("cell,seed,step,metric,value\na,0,1,m,2.0\n", encoding="utf-8")
    (tmp_path / "empty.csv").write_text("", encoding="utf-8")
    assert not keras_log.matches(tmp_path)
    with pytest.raises(CurveFileError, match="no log of a CSVLogger"):
        keras_log.read(str(tmp_path))
