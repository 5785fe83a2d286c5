"""What is recorded already: counted, kept or trained again where the code has changed since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from study.execution.execution import Execution
from study.protocol.cell_protocol import PlannedTraining
from study.records.records import Records
from study.run.replay import CodeChanged
from study.run.replay import replay as replay_study
from tests.support.executions import Disk, execute
from tests.support.studies import WEIGHTS_BYTES, invented_record, invented_study
from vae.data.dataset import Dataset
from vae.errors import RequestError

STUDY = invented_study()
DATASETS = {"mnist": cast(Dataset, SimpleNamespace(sha256="0" * 64))}
NUM_TRAININGS = 16


def _made_by_other_code(folder: Path, is_recorded: Callable[[PlannedTraining], bool] = lambda planned: True) -> Records:
    """Records of the study's trainings, from which nothing but the code differs."""
    records = Records(folder)
    for planned, record in execute(STUDY, Disk()).done:
        if is_recorded(planned):
            identity = replace(record.identity, code_sha256="1" * 64)
            records.write(record.model_copy(update={"identity": identity}), WEIGHTS_BYTES)
    return records


def _replayed(records: Records, code_changed: CodeChanged, lines: list[str] | None = None) -> Execution:
    reported: list[str] = [] if lines is None else lines
    return replay_study(STUDY, DATASETS, records, device="cpu", code_changed=code_changed, report=reported.append)


def test_who_says_nothing_is_asked_and_told_how_many_trainings_could_be_kept(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=f"changed since {NUM_TRAININGS} of this study's trainings were made"):
        _replayed(_made_by_other_code(tmp_path), "ask")


def test_kept_trainings_are_marked_and_end_the_study(tmp_path: Path) -> None:
    execution = _replayed(_made_by_other_code(tmp_path), "keep")
    assert execution.finished
    assert [record.code_kept for _, record in execution.replayed] == [True] * NUM_TRAININGS


def test_trainings_of_other_code_are_trained_again_where_that_was_said(tmp_path: Path) -> None:
    execution = _replayed(_made_by_other_code(tmp_path), "retrain")
    assert execution.num_replayed == 0
    assert execution.released


def test_nobody_is_asked_about_what_follows_from_trainings_of_this_code(tmp_path: Path) -> None:
    """The searches are missing, so no training of the confirm phase was asked for when the study began."""
    execution = _replayed(_made_by_other_code(tmp_path, lambda planned: planned.phase == "confirm"), "ask")
    phases = []
    while (released := execution.next()) is not None:
        phases.append(released[1].phase)
        execution.complete(invented_record(released[1]))
    assert execution.finished
    assert (phases.count("search"), phases.count("confirm")) == (12, 4)


@pytest.mark.parametrize("code", ["0" * 64, "1" * 64])
@pytest.mark.parametrize("code_changed", ["ask", "keep", "retrain"])
def test_trainings_on_data_that_changed_since_are_made_again_and_that_is_said(
    tmp_path: Path, code_changed: CodeChanged, code: str
) -> None:
    """Whether the code changed too or not: a function that makes the data is a part of it."""
    records, lines = Records(tmp_path), list[str]()
    for _, record in execute(STUDY, Disk()).done:
        identity = replace(record.identity, data_sha256="2" * 64, code_sha256=code)
        records.write(record.model_copy(update={"identity": identity}), WEIGHTS_BYTES)
    execution = _replayed(records, code_changed, lines)
    assert execution.num_replayed == 0
    assert lines == ["mnist has changed since 8 of this study's trainings were made; they are trained again"]


def test_nothing_is_said_where_the_data_are_the_same(tmp_path: Path) -> None:
    lines: list[str] = []
    _replayed(_made_by_other_code(tmp_path), "keep", lines)
    _replayed(Records(tmp_path / "empty"), "ask", lines)
    assert lines == []
