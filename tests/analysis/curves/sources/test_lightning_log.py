"""Lightning's CSVLogger: what the trainer computed is read, an empty field is no point, settings are facts."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest

from analysis.curves.file import CurveFileError
from analysis.curves.sources import lightning_log
from tests.support.tool_curves import curve, same_as_reported


@pytest.fixture
def folder(root: Path) -> Path:
    return root / "tests/data/curves/lightning"


def test_numbers_are_those_that_the_trainer_computed(folder: Path) -> None:
    assert lightning_log.matches(folder)
    raw = lightning_log.read(str(folder))
    same_as_reported(raw, folder)
    assert set(raw.points["metric"]) == {"train_loss", "val_loss"}
    assert raw.facts["runs/sgd/seed_1"]["params.cell"] == "sgd"
    assert raw.facts["runs/sgd/seed_1"]["params.seed"] == "1"


def test_training_and_validation_of_one_step_are_two_points_and_empty_fields_none(folder: Path) -> None:
    raw = lightning_log.read(str(folder / "runs"))
    assert [step for step, _ in curve(raw, "adam/seed_0", "val_loss")] == [3, 7, 11]
    assert [step for step, _ in curve(raw, "adam/seed_0", "train_loss")] == [1, 3, 5, 7, 9, 11]
    assert not raw.points["blank"].any()


def test_a_diverged_training_ends_infinite(folder: Path) -> None:
    raw = lightning_log.read(str(folder / "runs"))
    assert all(not math.isfinite(curve(raw, f"wild/seed_{seed}", "val_loss")[-1][1]) for seed in range(3))


def test_steps_go_on_where_a_training_was_continued(folder: Path) -> None:
    raw = lightning_log.read(str(folder / "continued"))
    steps = [step for run in ("sgd/seed_3", "sgd/seed_3_continued") for step, _ in curve(raw, run, "val_loss")]
    assert steps == [3, 7, 11]


def test_one_file_is_one_run_that_is_called_by_its_folder(folder: Path) -> None:
    raw = lightning_log.read(str(folder / "runs/sgd/seed_0/metrics.csv"))
    assert set(raw.points["run"]) == {"seed_0"}


def test_settings_that_hold_python_objects_are_not_loaded_and_said(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "runs/sgd/seed_0", tmp_path / "a")
    (tmp_path / "a/hparams.yaml").write_text("model: !!python/object/new:os.system [true]\n", encoding="utf-8")
    raw = lightning_log.read(str(tmp_path))
    assert raw.facts["a"] == {"folder.1": "a"}
    assert raw.notes[0].startswith("Not read: hparams.yaml (run 'a'), which is no plain YAML")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no metrics.csv with the column 'step' is in it"),
        ("epoch,step,loss\n0,1,2.5\n0,3,2", "row 3 ends without a line break"),
        ("epoch,step,loss\n0,-,2.5\n", "a/metrics.csv (run 'a'): step is not a number in row 2: '-'"),
        ("epoch,step,loss,loss\n0,1,2.5,2.5\n", "a/metrics.csv (run 'a') has the column 'loss' twice"),
    ],
)
def test_a_damaged_file_is_one_message_with_file_run_and_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/metrics.csv").write_text(text, encoding="utf-8")
    with pytest.raises(CurveFileError) as caught:
        lightning_log.read(str(tmp_path))
    assert message in str(caught.value)
