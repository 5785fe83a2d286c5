"""Curves out of tools' files: the metric is asked for, and what is wrong is named by file, run and line."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest

from analysis.curves.file import CurveFileError
from analysis.curves.runs.assignment import parsed_rule
from analysis.curves.runs.imported import ReadCurves, places, read_source, short_name
from analysis.curves.sources.raw import points_of
from tests.support.curve_points import points, written
from tests.support.raw_curves import TOOLS

TRIALS = TOOLS / "ray" / "trials"


def _read(address: Path, metric: str = "loss", *runs: str) -> ReadCurves:
    return read_source(str(address), "", parsed_rule(runs), metric)


def test_a_ray_folder_becomes_cells_and_seeds_with_its_divergences() -> None:
    curves = _read(TRIALS, "loss", "cell=params.optimizer.lr")
    ends = curves.table.frame.query("step == 3").set_index(["cell", "seed"])["value"]
    assert math.isnan(ends["0.5", 1])
    assert ends["0.25", 1] == math.inf
    assert ends["0.5", 0] == pytest.approx(0.5 / 3)
    assert (curves.name, curves.origin["format"], curves.is_numbered) == ("trials", "ray", False)
    assert curves.table.notes == ("A cell is params.optimizer.lr, a seed params.seed.",)
    assert curves.table.has_seconds


def test_of_several_metrics_one_has_to_be_named() -> None:
    with pytest.raises(CurveFileError, match=r"holds 3 metrics; name the one.*Allowed: loss, single, val/loss"):
        _read(TRIALS, "", "cell=params.optimizer.lr")
    with pytest.raises(CurveFileError, match="did you mean val/loss"):
        _read(TRIALS, "val_loss", "cell=params.optimizer.lr")


def test_runs_without_the_metric_are_said_and_not_compared(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(TRIALS, tmp_path / "trials"))
    file = folder / "trial_00000" / "result.json"
    file.write_text(file.read_text(encoding="utf-8").replace('"loss"', '"other"'), encoding="utf-8")
    notes = _read(folder, "loss", "cell=params.optimizer.lr").table.notes
    assert "Without 'loss', and not compared: trial_00000." in notes


def test_a_step_that_is_logged_again_with_another_value_is_named_by_file_run_and_lines(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(TRIALS, tmp_path / "trials"))
    file = folder / "trial_00001" / "result.json"
    lines = file.read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join([*lines, lines[2].replace('"loss": 0.08', '"loss": 0.09')]) + "\n", encoding="utf-8")
    with pytest.raises(CurveFileError) as caught:
        _read(folder, "loss", "cell=params.optimizer.lr")
    assert "cell '0.25', seed 0, step 3, metric 'loss' is there 2 times" in str(caught.value)
    assert "trial_00001/result.json, lines 3, 4 (run 'trial_00001')" in str(caught.value)


def test_own_tables_are_read_as_before_and_name_their_cells_themselves(tmp_path: Path) -> None:
    file = written(points(), tmp_path)
    assert _read(file, "").name == "curves.csv"
    assert set(_read(file, "").origin) == {"file", "sha256"}
    with pytest.raises(CurveFileError, match="names its cells and seeds itself"):
        _read(file, "", "seed=none")


def test_places_are_files_lines_and_runs() -> None:
    frame = points_of("a", "a/log.csv", [(step, "loss", 0.5, math.nan, step + 1) for step in range(1, 6)])
    assert places(frame, [0]) == "a/log.csv, line 2 (run 'a')"
    assert places(frame, range(5)) == "a/log.csv, lines 2, 3, 4 and 2 more (run 'a')"


def test_folders_of_pages_are_called_after_the_source() -> None:
    assert short_name("runs/curves.csv") == "curves"
    assert short_name("http://me:secret@host:5000/#/experiments/3") == "host-5000-experiments-3"
    assert short_name("sqlite:///folder/mlflow.db#my study") == "folder-mlflow.db-my-study"
