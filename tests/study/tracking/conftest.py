from __future__ import annotations

from pathlib import Path

import pytest

from study.outputs import Outputs
from study.records.records import Records
from tests.support.executions import Disk, execute
from tests.support.studies import WEIGHTS_BYTES
from tests.support.tracked_studies import STUDY, Done, Open, tracker_of


@pytest.fixture
def done(tmp_path: Path) -> Done:
    """Every training of the study, recorded on disk."""
    records = Records(tmp_path / "trainings")
    trainings = execute(STUDY, Disk()).done
    for _, record in trainings:
        records.write(record, WEIGHTS_BYTES)
    return trainings


@pytest.fixture
def said() -> list[str]:
    """What the tracker said to the user."""
    return []


@pytest.fixture
def open_tracker(tmp_path: Path, said: list[str]) -> Open:
    return lambda uri: tracker_of(uri, tmp_path, said)


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return Outputs(tmp_path).tracking_uri
