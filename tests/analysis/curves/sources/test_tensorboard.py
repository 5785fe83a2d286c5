"""Event files that torch's writer left: the numbers are those of TensorBoard's own reader."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from analysis.curves.file import CurveFileError
from analysis.curves.sources import tensorboard
from tests.support.raw_curves import TOOLS, assert_same_points, reported

LOGS = TOOLS / "tensorboard" / "logs"


def test_numbers_are_those_that_tensorboard_reports_after_a_session_began_anew() -> None:
    raw = tensorboard.read(str(LOGS))
    assert_same_points(raw, reported("tensorboard"))
    assert raw.notes == ("Run 'sgd/seed_0' began anew at step 20: 4 points from there on count no more.",)


def test_folders_and_hyperparameters_are_facts() -> None:
    facts = tensorboard.read(str(LOGS)).facts
    assert facts["adam/seed_0"] == {
        "folder.1": "adam",
        "folder.2": "seed_0",
        "params.lr": "0.25",
        "params.optimizer": "adam",
    }
    assert facts["sgd/seed_1"] == {"folder.1": "sgd", "folder.2": "seed_1"}


def test_hyperparameters_in_a_folder_of_their_own_belong_to_the_run_above(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(LOGS / "adam", tmp_path / "adam"))
    second = sorted((folder / "seed_0").iterdir())[1]
    (folder / "seed_0" / "1796130044.25").mkdir()
    second.rename(folder / "seed_0" / "1796130044.25" / second.name)
    facts = tensorboard.read(str(tmp_path)).facts
    assert facts["adam/seed_0"]["params.optimizer"] == "adam"


@pytest.mark.parametrize(
    ("num_bytes", "says"),
    [
        (0, " (run 'seed_1') is empty"),
        (-5, ", line 7 (run 'seed_1') is cut off"),
        (6, ", line 1 (run 'seed_1') is cut"),
    ],
)
def test_a_file_that_is_cut_off_is_named_with_its_record(num_bytes: int, says: str, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(LOGS / "adam" / "seed_1", tmp_path / "seed_1"))
    (file,) = folder.iterdir()
    file.write_bytes(file.read_bytes()[:num_bytes])
    with pytest.raises(CurveFileError) as caught:
        tensorboard.read(str(tmp_path))
    assert f"seed_1/{file.name}{says}" in str(caught.value)


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(LOGS / "adam" / "seed_1", tmp_path / "seed_1"))
    (file,) = folder.iterdir()
    content = bytearray(file.read_bytes())
    content[-8] ^= 1
    file.write_bytes(content)
    with pytest.raises(CurveFileError, match=r"line 7 \(run 'seed_1'\) is damaged"):
        tensorboard.read(str(tmp_path))
    assert tensorboard.matches(tmp_path)
    assert not tensorboard.matches(tmp_path / "none")
