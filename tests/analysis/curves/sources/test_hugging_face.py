"""Hugging Face's trainer states: means of the losses that the model computed, and 0.0 that stands for NaN."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.curves.file import CurveFileError
from analysis.curves.sources import hugging_face
from tests.support.tool_curves import curve, reported, same_as_reported


@pytest.fixture
def folder(root: Path) -> Path:
    return root / "tests/data/curves/hugging_face"


def _changed(folder: Path, target: Path, change: Any) -> Path:
    """A state of a run that diverged, with every entry of its log changed."""
    state = json.loads((folder / "runs/wild/seed=0/trainer_state.json").read_text(encoding="utf-8"))
    state["log_history"] = [entry for entry in map(change, state["log_history"]) if entry]
    (target / "trainer_state.json").write_text(json.dumps(state), encoding="utf-8")
    return target


def test_evaluations_are_those_that_evaluate_returned(folder: Path) -> None:
    assert hugging_face.matches(folder)
    raw = hugging_face.read(str(folder))
    same_as_reported(raw, folder, other=["step_loss"])
    assert raw.facts["runs/sgd/seed=1"]["folder.seed"] == "1"
    assert not {"train_loss", "epoch", "eval_runtime", "train_samples_per_second"} & set(raw.points["metric"])


def test_losses_are_means_of_what_the_model_computed_also_where_it_was_continued(folder: Path) -> None:
    raw = hugging_face.read(str(folder))
    for run in ("runs/adam/seed=0", "runs/sgd/seed=2"):
        single = reported(folder, run, "step_loss")["value"].to_numpy()
        means = single.reshape(-1, 2).mean(axis=1)
        # The Trainer adds float32 and rounds the mean.
        assert np.allclose([value for _, value in curve(raw, run, "loss")], means, rtol=1e-6)


def test_a_loss_of_zero_beside_gradients_that_are_not_finite_is_nan_and_said(folder: Path) -> None:
    raw = hugging_face.read(str(folder))
    for seed in range(3):
        run = f"runs/wild/seed={seed}"
        single = reported(folder, run, "step_loss")["value"].to_numpy().reshape(-1, 2)
        lost = ~np.isfinite(single).any(axis=1)
        assert lost.any()
        assert [math.isnan(value) for _, value in curve(raw, run, "loss")] == lost.tolist()
    assert len(raw.notes) == 1
    assert raw.notes[0].startswith("Taken as NaN: 9 losses of exactly 0")


def test_a_later_evaluation_that_is_not_finite_tells_nan_from_zero_too(folder: Path, tmp_path: Path) -> None:
    _changed(folder, tmp_path, lambda entry: {key: value for key, value in entry.items() if key != "grad_norm"})
    raw = hugging_face.read(str(tmp_path))
    assert math.isnan(curve(raw, tmp_path.name, "loss")[-1][1])


def test_a_zero_that_nothing_tells_from_nan_stays_a_number_and_is_said(folder: Path, tmp_path: Path) -> None:
    _changed(folder, tmp_path, lambda entry: {key: entry[key] for key in ("loss", "step") if "loss" in entry})
    raw = hugging_face.read(str(tmp_path))
    assert curve(raw, tmp_path.name, "loss")[-1] == (16, 0.0)
    assert raw.notes[0].startswith("Taken as numbers: 3 losses of exactly 0 without a gradient norm")


def test_a_zero_beside_finite_gradients_is_a_loss(folder: Path, tmp_path: Path) -> None:
    _changed(
        folder,
        tmp_path,
        lambda entry: {"loss": 0.0, "grad_norm": 1.0, "step": entry["step"]} if "loss" in entry else {},
    )
    raw = hugging_face.read(str(tmp_path))
    assert {value for _, value in curve(raw, tmp_path.name, "loss")} == {0.0}
    assert raw.notes == ()


def test_of_checkpoints_the_longest_log_counts_once(folder: Path, tmp_path: Path) -> None:
    raw = hugging_face.read(str(folder / "checkpoints"))
    assert set(raw.points["run"]) == {"sgd/seed=3"}
    assert [step for step, _ in curve(raw, "sgd/seed=3", "eval_loss")] == [4, 8, 12, 16]
    shutil.copytree(folder / "checkpoints/sgd/seed=3", tmp_path / "run")
    shutil.copy(folder / "runs/sgd/seed=0/trainer_state.json", tmp_path / "run")
    assert set(hugging_face.read(str(tmp_path)).points["file"]) == {"run/trainer_state.json"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a/trainer_state.json (run 'a') is no JSON with log_history"),
        ('{"log_history": [{"loss": 1.0, "st', "a/trainer_state.json (run 'a') is no JSON with log_history"),
        ('{"log_history": []}', "a/trainer_state.json (run 'a') holds no entry in log_history"),
        ('{"log_history": [{"loss": 1.0, "step": 1.5}]}', "(run 'a'): entry 1 has no whole step: 1.5"),
    ],
)
def test_a_damaged_state_is_one_message_with_file_run_and_entry(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/trainer_state.json").write_text(text, encoding="utf-8")
    with pytest.raises(CurveFileError) as caught:
        hugging_face.read(str(tmp_path))
    assert message in str(caught.value)


def test_a_folder_without_states_is_none(tmp_path: Path) -> None:
    assert not hugging_face.matches(tmp_path)
    with pytest.raises(CurveFileError, match=r"no trainer_state\.json is in it"):
        hugging_face.read(str(tmp_path))
