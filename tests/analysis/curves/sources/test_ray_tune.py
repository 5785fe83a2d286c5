"""Ray Tune's folders, as Ray wrote them: the numbers are those of its own ResultGrid."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from analysis.curves.file import CurveFileError
from analysis.curves.sources import ray_tune
from analysis.curves.sources.raw import RawCurves
from tests.support.raw_curves import TOOLS, assert_same_points, reported

TRIALS = TOOLS / "ray" / "trials"


def _copy(folder: Path) -> Path:
    return Path(shutil.copytree(TRIALS, folder / "trials"))


def _as_single(values: pd.Series[float]) -> pd.Series[float]:
    """Ray writes an `np.float32` with all its digits as JSON, and with its own eight digits as CSV."""
    return values.astype("float32").astype("float64")


def test_numbers_are_those_that_ray_reports_nan_of_single_precision_among_them() -> None:
    raw = ray_tune.read(str(TRIALS))
    assert_same_points(raw, reported("ray"))
    assert raw.facts["trial_00002"] == {
        "folder.1": "trial_00002",
        "params.optimizer.lr": "0.5",
        "params.seed": "1",
    }
    last = raw.points[(raw.points["run"] == "trial_00003") & (raw.points["step"] == 3)].iloc[0]
    assert (last["file"], last["line"]) == ("trial_00003/result.json", 3)
    assert 0 < last["seconds"] < 60


def test_progress_csv_stands_in_where_there_is_no_other_file(tmp_path: Path) -> None:
    folder = _copy(tmp_path)
    for file in folder.glob("*/result.json"):
        file.unlink()
    assert ray_tune.matches(folder)
    raw = ray_tune.read(str(folder))
    points = raw.points.assign(value=raw.points["value"].mask(raw.points["metric"] == "single", _as_single))
    assert_same_points(RawCurves(points, raw.facts), reported("ray"))


def test_a_trial_that_reported_nothing_is_a_run_without_points(tmp_path: Path) -> None:
    folder = _copy(tmp_path)
    (folder / "trial_00000" / "result.json").write_text("", encoding="utf-8")
    raw = ray_tune.read(str(folder))
    assert set(raw.facts) - set(raw.points["run"]) == {"trial_00000"}


def test_every_line_and_file_that_is_cut_off_is_named(tmp_path: Path) -> None:
    folder = _copy(tmp_path)
    file = folder / "trial_00001" / "result.json"
    file.write_text(file.read_text(encoding="utf-8")[:-200], encoding="utf-8")
    (folder / "trial_00002" / "params.json").write_text("{", encoding="utf-8")
    with pytest.raises(CurveFileError) as caught:
        ray_tune.read(str(folder))
    assert "trial_00001/result.json, line 3 (run 'trial_00001') is no JSON" in str(caught.value)
    assert "trial_00002/params.json (run 'trial_00002') cannot be read as JSON" in str(caught.value)


def test_a_folder_without_trials_is_none_of_ray(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text("{}", encoding="utf-8")
    assert not ray_tune.matches(tmp_path)
    assert ray_tune.matches(TRIALS / "trial_00000")
    with pytest.raises(CurveFileError, match="no trial's"):
        ray_tune.read(str(tmp_path / "none"))
