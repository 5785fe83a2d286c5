"""Whether files are still what the study wrote: the database, the study itself, weights."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from pathlib import Path

import pytest

from analysis.results.errors import ResultsError
from analysis.results.integrity import require_same_study, require_same_weights, require_sound
from study.tracking.seal import STUDY_SEAL, study_seal


def test_a_database_is_sound_and_one_with_overwritten_pages_is_refused(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE runs (name TEXT)")
        connection.executemany("INSERT INTO runs VALUES (?)", [(1_000 * "x",)] * 50)
    connection.close()
    require_sound(database)
    content = bytearray(database.read_bytes())
    content[4096:12288] = 8192 * b"\xff"
    database.write_bytes(bytes(content))
    with pytest.raises(ResultsError, match=r"mlflow\.db is damaged"):
        require_sound(database)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    file.write_text(100 * "not a database ", encoding="utf-8")
    with pytest.raises(ResultsError, match="is damaged"):
        require_sound(file)


def test_a_study_is_the_one_that_its_run_was_sealed_with() -> None:
    study = {"name": "one", "seed": 3}
    text, tags = json.dumps(study), {STUDY_SEAL: study_seal(study)}
    assert require_same_study(tags, text) == text
    for changed in (json.dumps(study | {"seed": 4}), "not json", "[]"):
        with pytest.raises(ResultsError, match="was changed after the study wrote it"):
            require_same_study(tags, changed)
        assert require_same_study({}, changed) == changed, "a run from before there were seals"


def test_weights_are_the_bytes_that_the_training_left(tmp_path: Path) -> None:
    file = tmp_path / "weights.pt"
    file.write_bytes(b"weights")
    tags = {"weights_sha256": hashlib.sha256(b"weights").hexdigest(), "mlflow.runName": "adam-0"}
    assert require_same_weights(tags, file) == file
    file.write_bytes(b"others")
    with pytest.raises(ResultsError, match="the weights of the run adam-0 were changed"):
        require_same_weights(tags, file)
    assert require_same_weights({}, file) == file
