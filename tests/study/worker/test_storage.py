"""Storage for checkpoints that cannot be used is said in one message, before a study starts."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import study.worker.storage
from study.worker.checkpoints import require_location
from study.worker.storage import SharedStorageError


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("nope://bucket/folder", "Known are a folder, file://"),
        ("memory://folder", "seen by one process alone"),
        ("simplecache::file:///tmp/x", "chain of file systems"),
        ("http://127.0.0.1:9000/folder", "the server's own address belongs in AWS_ENDPOINT_URL"),
        ("nfs3://bucket", "did you mean s3://?"),
        ("S3://bucket/folder", "did you mean s3://?"),
        ("s3:/bucket/folder", "did you mean s3://bucket/folder?"),
        ("s3:bucket/folder", "did you mean s3://bucket/folder?"),
        ("s3//bucket/folder", "did you mean s3://bucket/folder?"),
        ("s3://", "names no bucket"),
        ("s3:///folder", "names no bucket"),
        ("s3://bucket/a folder", "a blank at position"),
        ("arn:aws:s3:::bucket/folder", "did you mean s3://bucket/folder?"),
        ("file:/shared/folder", "did you mean file:///shared/folder?"),
        ("file://shared/folder", "a third slash and a whole path, such as file:///shared/folder"),
        ("~/folder", "~, which the shell did not replace"),
        ("'/shared/folder'", "quotes"),
        (" ", "names no place"),
        (
            "gs://bucket/folder",
            "needs the package gcsfs, which is not installed here: `.venv/bin/uv pip install gcsfs`, on every node",
        ),
        ("file:///proc/nothing/here", "no file could be written there"),
        ("/proc/nothing", "cannot be written"),
    ],
)
def test_a_place_that_cannot_be_used_is_one_message(place: str, said: str) -> None:
    with pytest.raises(SharedStorageError, match="--checkpoints") as raised:
        require_location(place)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_storage_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study.worker.storage, "SECONDS_TO_ANSWER", 0.2)
    monkeypatch.setattr(study.worker.storage, "_try", lambda uri: time.sleep(1))
    with pytest.raises(SharedStorageError, match=r"nothing answered there within 0\.2 s"):
        require_location(f"file://{tmp_path}")
