"""AlgoPerf's measurements: what its runner logged, NaN that pandas leaves empty, lines that an interruption undid."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from analysis.curves.file import CurveFileError
from analysis.curves.sources import algoperf
from tests.support.tool_curves import curve, reported

METRICS = ("train/loss", "validation/loss", "test/loss", "validation/accuracy")


@pytest.fixture
def folder(root: Path) -> Path:
    return root / "tests/data/curves/algoperf"


def test_numbers_and_seconds_are_those_that_the_runner_logged(folder: Path) -> None:
    assert algoperf.matches(folder)
    raw = algoperf.read(str(folder))
    assert len(raw.facts) == 9
    for run in raw.facts:
        for metric in METRICS:
            said = reported(folder, run, metric).drop_duplicates("step", keep="last")
            rows = raw.points[(raw.points["run"] == run) & (raw.points["metric"] == metric)]
            assert rows["step"].tolist() == said["step"].tolist()
            # AlgoPerf reads and writes all lines at every evaluation, by a parser that moves the last digits.
            assert np.allclose(rows["value"], said["value"], rtol=1e-12, atol=0, equal_nan=True)
            assert np.allclose(rows["seconds"], said["seconds"], rtol=1e-12, atol=0)


def test_settings_and_seed_are_facts(folder: Path) -> None:
    facts = algoperf.read(str(folder)).facts["adam/study_2/mnist_pytorch/trial_1"]
    assert facts["params.rng_seed"] == "2"
    assert facts["params.optimizer"] == "adam"
    assert facts["params.learning_rate"] == "0.01"
    assert facts["folder.1"] == "adam"


def test_an_empty_field_of_an_evaluation_is_nan(folder: Path) -> None:
    file = folder / "wild/study_1/mnist_pytorch/trial_1/eval_measurements.csv"
    raw = algoperf.read(str(file))
    points = curve(raw, "trial_1", "validation/loss")
    assert len(points) == 6
    assert math.isnan(points[-1][1])
    assert "nan" not in file.read_text(encoding="utf-8").lower()
    assert not raw.points["blank"].any()


def test_lines_before_an_interruption_that_were_done_anew_are_left_out_and_said(folder: Path) -> None:
    run = "sgd/study_3/mnist_pytorch/trial_1"
    raw = algoperf.read(str(folder))
    assert [step for step, _ in curve(raw, run, "train/loss")] == [1, 2, 3, 4, 5, 6]
    assert len(reported(folder, run, "train/loss")) == 7
    assert raw.notes == (
        f"Left out: 1 lines of {run}/eval_measurements.csv (run {run!r}) (line 5), which were measured before an"
        " interruption and done anew after it.",
    )


def test_without_evaluations_of_their_own_all_measurements_are_read_and_empty_may_be_either(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder / "wild/study_1/mnist_pytorch/trial_1", tmp_path / "a")
    (tmp_path / "a/eval_measurements.csv").unlink()
    raw = algoperf.read(str(tmp_path))
    assert set(raw.points["file"]) == {"a/measurements.csv"}
    assert raw.points["blank"].any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("accumulated_submission_time,global_step,test/loss\n1.0,1", "the header has 3 fields, row 2 2"),
        ("accumulated_submission_time,global_step,test/loss\n1.0,1,2.0\n2.0,2,1.", "row 3 ends without a line break"),
        ("accumulated_submission_time,global_step,test/loss\n1.0,x,2.0\n", "global_step is not a number in row 2: 'x'"),
    ],
)
def test_a_damaged_file_is_one_message_with_file_run_and_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/eval_measurements.csv").write_text(text, encoding="utf-8")
    with pytest.raises(CurveFileError) as caught:
        algoperf.read(str(tmp_path))
    assert message in str(caught.value)
    assert "a/eval_measurements.csv (run 'a')" in str(caught.value)


def test_settings_that_are_cut_off_are_a_fault(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "adam/study_1/mnist_pytorch/trial_1", tmp_path / "a")
    (tmp_path / "a/hparams.json").write_text('{"learning', encoding="utf-8")
    with pytest.raises(CurveFileError, match=r"hparams\.json \(run 'a'\) cannot be read as JSON"):
        algoperf.read(str(tmp_path))


def test_a_folder_without_measurements_is_none(tmp_path: Path) -> None:
    assert not algoperf.matches(tmp_path)
    with pytest.raises(CurveFileError, match=r"no eval_measurements\.csv is in it"):
        algoperf.read(str(tmp_path))
