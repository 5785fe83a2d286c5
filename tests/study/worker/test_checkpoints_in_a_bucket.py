"""Checkpoints in an S3 bucket, over HTTP to a server that checks keys: continued by a node that never saw the disk;
everything that people get wrong."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import study.worker.storage
from study.worker.checkpoints import remove_superseded, require_location
from study.worker.shared_checkpoints import SharedCheckpoints
from study.worker.storage import SharedStorageError
from tests.support.buckets import Bucket, bucket_server, forget_connections
from tests.support.workers import another_node, job, undisturbed, weights, worker

URI = "s3://checks/of/a-study"
FOLDER = "of/a-study"


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with bucket_server(tmp_path_factory.mktemp("s3")) as bucket:
        yield bucket


@pytest.fixture(autouse=True)
def _as_its_user(bucket: Bucket, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Nothing of the caller's own, on disk or in the environment, lets anybody in; what fails is not tried five
    times."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "FSSPEC_"))]:
        monkeypatch.delenv(name)
    none = {
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
    }
    for name, given in (bucket.environment | none).items():
        monkeypatch.setenv(name, given)
    forget_connections()
    yield
    forget_connections()


def test_a_bucket_that_can_be_used_is_left_as_it_was(bucket: Bucket) -> None:
    for place in (URI, "s3://checks", "s3a://checks/"):
        require_location(place)
    assert bucket.names() == []


@pytest.mark.parametrize("num_members", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_lost_node_is_continued_from_a_bucket_to_the_same_bits(
    bucket: Bucket, num_members: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    another_node(tmp_path / "first node", monkeypatch)
    lost = worker()
    lost.take(job(URI, num_members))
    assert lost.step().samples == 500
    assert lost._trial is not None
    lost._trial.save()
    assert len(bucket.names()) == num_members, "a pack's checkpoint has its list of members beside it"

    another_node(tmp_path / "second node", monkeypatch)
    continued = worker()
    continued.take(job(URI, num_members))
    first = continued.step()
    assert first.samples == 1000, "it began again instead of continuing"
    assert [result.weights for result in first.results] == undisturbed(tmp_path / "undisturbed", num_members)
    continued.stop()
    assert bucket.names() == []


def test_what_another_node_wrote_since_the_folder_was_listed_is_found(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """s3fs keeps listings, and looks for a file in them before it asks for it."""
    own_disk = another_node(tmp_path / "node", monkeypatch)
    trainer = worker()
    trainer.take(job(URI))
    trainer.step()
    trainer.stop()
    (name,) = bucket.names()
    content = bucket.read(name)
    here = SharedCheckpoints(URI)
    here.remove_superseded(lambda identity: identity == "member0")
    assert bucket.names() == []
    here.remove_superseded(lambda identity: False)
    bucket.write(name, content)
    (own_disk / "member0.safetensors").unlink()
    here.fetch(own_disk / "member0.safetensors")
    assert here.problems() == ()
    assert (own_disk / "member0.safetensors").read_bytes() == content
    remove_superseded(URI, lambda identity: True)
    assert bucket.names() == []


@pytest.mark.slow
def test_a_server_that_falls_silent_holds_up_no_training_for_long_and_gets_the_copies_when_it_is_back(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    another_node(tmp_path / "node", monkeypatch)
    monkeypatch.setattr(study.worker.storage, "SECONDS_TO_ANSWER", 1.0)
    trainer = worker()
    bucket.fall_silent()
    try:
        began = time.monotonic()
        trainer.take(job(URI))
        report = trainer.step()
        trainer._shared[URI].finish()
        assert time.monotonic() - began < 10
    finally:
        bucket.go_on()
    assert report.messages == (
        f"shared checkpoints could not be read at {URI} (no answer in time); trainings go on with each node's own disk",
    )
    monkeypatch.setattr(study.worker.storage, "SECONDS_TO_ANSWER", 30.0)
    trainer.stop()
    assert bucket.names() == [f"{FOLDER}/member0.safetensors"]
    continued = worker()
    continued.take(job(URI))
    assert weights(continued) == undisturbed(tmp_path / "undisturbed", 1)
    continued.stop()
    assert bucket.names() == []


def _refused(place: str, *said: str) -> None:
    """One line, within half a minute, without a key."""
    began = time.monotonic()
    with pytest.raises(SharedStorageError, match="--checkpoints") as raised:
        require_location(place)
    assert time.monotonic() - began < 30
    message = str(raised.value)
    assert "\n" not in message
    assert os.environ.get("AWS_SECRET_ACCESS_KEY", "-" * 9) not in message
    for each in said:
        assert each in message


def test_a_bucket_that_was_misspelt_is_said_and_not_made(bucket: Bucket) -> None:
    _refused("s3://cheks/of/mine", "there is no bucket 'cheks'")
    assert bucket.buckets() == ["checks"]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"AWS_ACCESS_KEY_ID": "AKIAOFNOBODYATALL"}, "PermissionError"),
        ({"AWS_SECRET_ACCESS_KEY": "a-hidden-word"}, "signature"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "NoCredentialsError"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, "missing: AWS_SECRET_ACCESS_KEY"),
        ({"AWS_PROFILE": "nobody"}, "profile (nobody) could not be found"),
        ({"AWS_ENDPOINT_URL": "127.0.0.1:9000"}, "Invalid endpoint: 127.0.0.1:9000"),
    ],
)
def test_keys_and_addresses_that_are_wrong_are_said(
    variables: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, given in variables.items():
        if given:
            monkeypatch.setenv(name, given)
        else:
            monkeypatch.delenv(name)
    _refused(URI, said, "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID")


def test_a_server_that_is_not_there_or_speaks_no_tls_is_said(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
        _refused(URI, "Could not connect to the endpoint URL")
    forget_connections()
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.environment["AWS_ENDPOINT_URL"].replace("http:", "https:"))
    _refused(URI, "SSL")


@pytest.mark.slow
def test_a_worker_that_may_not_write_says_so_and_trains_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    another_node(tmp_path / "node", monkeypatch)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-hidden-word")
    trainer = worker()
    trainer.take(job(URI))
    reports = [trainer.step()]
    trainer._shared[URI].finish()
    while not reports[-1].done:
        reports.append(trainer.step())
    assert [result.weights for result in reports[-1].results] == undisturbed(tmp_path / "undisturbed", 1)
    said = [message for report in reports for message in report.messages]
    assert any("could not be read" in message for message in said)
    assert any("could not be written" in message and "PermissionError" in message for message in said)
    assert not any("a-hidden-word" in message for message in said)
