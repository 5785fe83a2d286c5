"""Artifacts beside the records, as second names of the same files."""

from __future__ import annotations

from pathlib import Path

from study.records.records import WEIGHTS
from study.tracking.store import link
from tests.support.tracked_studies import Done, tracker_of, write_all


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
