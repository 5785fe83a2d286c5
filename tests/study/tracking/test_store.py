"""Artifacts beside the records, as second names of the same files."""

from __future__ import annotations

from pathlib import Path

from study.records.records import WEIGHTS
from study.tracking.store import link
from tests.support.refusals import assert_soon_refused
from tests.support.tracked_studies import Done, tracker_of, write_all
from tests.support.workplaces import Workplace


def test_an_artifact_beside_the_records_is_a_second_name_of_the_weights(
    done: Done, tmp_path: Path, uri: str, said: list[str]
) -> None:
    assert write_all(tracker_of(uri, tmp_path, said), done[:1]) is None
    record = tmp_path / "trainings" / done[0][1].identity.hash / WEIGHTS
    (artifact,) = (tmp_path / "artifacts").glob(f"*/artifacts/{WEIGHTS}")
    assert artifact.samefile(record)
    assert link(record, artifact.parent.as_uri()), "a second time it is there already"
    assert not link(record, "mlflow-artifacts:/1/2/artifacts")
    assert not link(record, "/proc/version")
    artifact.unlink()
    artifact.write_bytes(b"weights of a record that was damaged")
    assert write_all(tracker_of(uri, tmp_path, said), done[:1]) is None
    assert artifact.samefile(record)
    assert [path.name for path in artifact.parent.iterdir()] == [WEIGHTS]


NO_DATABASE = b"this is not a database" * 100


def test_a_sqlite_file_that_cannot_be_opened_is_said_and_kept(workplace: Workplace) -> None:
    (workplace.folder / "notes.db").write_bytes(NO_DATABASE)
    for uri, said in {
        "sqlite:////proc/mlflow.db": "/proc/mlflow.db cannot be opened",
        "sqlite:///tiny.yaml/mlflow.db": "cannot be opened",
        "sqlite:///notes.db": "not a database",
    }.items():
        assert_soon_refused(workplace, 1, said, "--tracking-uri", uri)
    assert (workplace.folder / "notes.db").read_bytes() == NO_DATABASE


def test_a_damaged_tracking_database_is_said_and_kept(workplace: Workplace) -> None:
    workplace.outputs.mkdir()
    (workplace.outputs / "mlflow.db").write_bytes(NO_DATABASE)
    assert_soon_refused(workplace, 1, "not a database")
    assert (workplace.outputs / "mlflow.db").read_bytes() == NO_DATABASE
