"""DeepOBS's output files: the losses that it printed, and first entries that stand in NaN's place."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from analysis.curves.file import CurveFileError
from analysis.curves.sources import deepobs
from tests.support.tool_curves import curve, same_as_reported


@pytest.fixture
def folder(root: Path) -> Path:
    return root / "tests/data/curves/deepobs"


def test_numbers_are_those_that_deepobs_printed(folder: Path) -> None:
    assert deepobs.matches(folder)
    raw = deepobs.read(str(folder))
    # DeepOBS prints six digits, and no epoch that it filled.
    raw.points.drop(raw.points.index[raw.points["value"].isna()], inplace=True)
    same_as_reported(raw, folder, digits=5)


def test_settings_are_facts(folder: Path) -> None:
    raw = deepobs.read(str(folder))
    (facts,) = [
        known
        for run, known in raw.facts.items()
        if run.startswith("runs/quadratic_deep/Adam/") and known["params.random_seed"] == "43"
    ]
    assert facts["params.optimizer_name"] == "Adam"
    assert facts["params.optimizer_hyperparams.lr"] == "0.01"
    assert "params.test_losses" not in facts


@pytest.mark.parametrize(("group", "numbers"), [("late", 4), ("first", 1)])
def test_first_entries_that_deepobs_fills_in_are_nan(folder: Path, group: str, numbers: int) -> None:
    raw = deepobs.read(str(folder / group))
    (run,) = raw.facts
    for metric in ("train_losses", "valid_losses", "test_losses"):
        values = [value for _, value in curve(raw, run, metric)]
        assert [math.isnan(value) for value in values] == [epoch >= numbers for epoch in range(5)]
    assert raw.notes[0].startswith("Taken as NaN: what all metrics repeat of their first entries in ")
    assert f"from epoch {numbers} on" in raw.notes[0]


def test_a_training_that_never_moved_keeps_its_numbers(folder: Path) -> None:
    """With a rate of 0 DeepOBS measures other training data in every epoch, so that not all metrics repeat."""
    raw = deepobs.read(str(folder / "still"))
    (run,) = raw.facts
    assert len({value for _, value in curve(raw, run, "test_losses")}) == 1
    assert not raw.points["value"].isna().any()
    assert raw.notes == ()


def test_where_nothing_moved_from_the_start_and_no_loss_tells_numbers_stay_and_are_said(tmp_path: Path) -> None:
    output = {"testproblem": "mine", "optimizer_name": "SGD", "test_losses": [2.0, 2.0], "train_losses": [3.0, 3.0]}
    (tmp_path / "a.json").write_text(json.dumps(output), encoding="utf-8")
    raw = deepobs.read(str(tmp_path))
    assert curve(raw, "a", "test_losses") == [(0, 2.0), (1, 2.0)]
    assert raw.notes[0].startswith("Taken as numbers: every epoch repeats the first in a.json (run 'a')")


def test_one_metric_that_comes_back_to_its_first_value_is_no_divergence(tmp_path: Path) -> None:
    output = {
        "testproblem": "mine",
        "optimizer_name": "SGD",
        "random_seed": 1,
        "test_losses": [2.0, 1.5, 1.25],
        "test_accuracies": [0.1, 0.2, 0.1],
    }
    (tmp_path / "a.json").write_text(json.dumps(output), encoding="utf-8")
    raw = deepobs.read(str(tmp_path))
    assert curve(raw, "a", "test_accuracies") == [(0, 0.1), (1, 0.2), (2, 0.1)]
    assert raw.notes == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('"test_losses": [2.0, 1.5', "a.json (run 'a') cannot be read as JSON"),
        ('"test_losses": []}', "a.json (run 'a') has lists of [0] epochs"),
        ('"test_losses": [1.0], "train_losses": [1.0, 2.0]}', "a.json (run 'a') has lists of [1, 2] epochs"),
        ('"test_losses": ["x"]}', "a.json (run 'a'): test_losses holds what is no number"),
    ],
)
def test_a_damaged_output_is_one_message_with_file_and_run(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "a.json").write_text('{"testproblem": "mine", "optimizer_name": "SGD", ' + content, encoding="utf-8")
    with pytest.raises(CurveFileError) as caught:
        deepobs.read(str(tmp_path))
    assert message in str(caught.value)


def test_other_json_is_none_of_deepobs(tmp_path: Path) -> None:
    (tmp_path / "params.json").write_text('{"lr": 0.1}', encoding="utf-8")
    assert not deepobs.matches(tmp_path)
    with pytest.raises(CurveFileError, match="no output file of DeepOBS"):
        deepobs.read(str(tmp_path))
