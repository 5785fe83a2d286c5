"""Checkpoints on storage that all nodes see: a worker that is gone is continued by one that never saw its disk."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import study.shared_checkpoints
from study.checkpoints import remove_superseded, require_place
from study.shared_checkpoints import SharedCheckpoints, SharedStorageError
from study.worker import Job, Member, Worker
from tests.vae_tests.examples import small_configuration, small_data, small_dataset
from vae.randomness import Seeds
from vae.training import Training


@pytest.fixture
def own_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another node's disk: what scratch_folder names from now on."""
    return _another_node(tmp_path / "first node", monkeypatch)


def _another_node(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("study.worker.scratch_folder", lambda: folder)
    return folder


def _job(uri: str, num_members: int = 1) -> Job:
    members = tuple(Member(f"member{number}", Seeds.from_root(number)) for number in range(num_members))
    return Job(small_configuration(dataset="blobs").model_dump_json(), members, uri, checkpoint_every_seconds=0)


def _worker() -> Worker:
    return Worker({"blobs": small_dataset()})


def _weights(worker: Worker) -> list[bytes]:
    while not (report := worker.step()).done:
        assert not report.failure
    return [result.weights for result in report.results]


def _undisturbed(folder: Path, num_members: int) -> list[bytes]:
    worker = _worker()
    worker.take(_job(str(folder), num_members))
    return _weights(worker)


@pytest.mark.parametrize("num_members", [1, 2])
def test_a_lost_node_is_continued_elsewhere_to_the_same_bits(num_members: int, tmp_path: Path, own_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = f"file://{tmp_path}/shared"
    lost = _worker()
    lost.take(_job(uri, num_members))
    assert lost.step().samples == 500
    assert lost._trial is not None
    lost._trial.save()  # the periodic checkpoint, and its copy waited for
    assert list(own_disk.glob("*.safetensors"))

    other_disk = _another_node(tmp_path / "second node", monkeypatch)
    continued = _worker()
    continued.take(_job(uri, num_members))
    first = continued.step()
    assert first.samples == 1000, "it began again instead of continuing"
    assert [result.weights for result in first.results] == _undisturbed(tmp_path / "undisturbed", num_members)
    continued.stop()
    assert list(other_disk.iterdir()) == []
    assert list((tmp_path / "shared").iterdir()) == []


def test_a_stopped_worker_leaves_its_last_step_in_the_storage(tmp_path: Path, own_disk: Path) -> None:
    uri = f"file://{tmp_path}/shared"
    worker = _worker()
    worker.take(_job(uri))
    worker.step()
    worker.stop()
    assert (tmp_path / "shared" / "member0.safetensors").read_bytes() == (own_disk / "member0.safetensors").read_bytes()


def test_the_copy_that_is_further_wins(tmp_path: Path) -> None:
    """A node that was cut off comes back with an old checkpoint of its own: it takes the newer one; and the other way about."""
    configuration = small_configuration()
    training = Training(configuration, Seeds.from_root(0), small_data(configuration), checkpoint=tmp_path / "own.safetensors")
    shared = tmp_path / "shared" / "own.safetensors"
    shared.parent.mkdir()
    saved = []
    for _ in range(2):
        training._train_step()
        training.save()
        saved.append((tmp_path / "own.safetensors").read_bytes())
    for own, copy in ((saved[0], saved[1]), (saved[1], saved[0])):
        (tmp_path / "own.safetensors").write_bytes(own)
        shared.write_bytes(copy)
        SharedCheckpoints(f"file://{shared.parent}").fetch(tmp_path / "own.safetensors")
        assert (tmp_path / "own.safetensors").read_bytes() == saved[1]


def test_a_damaged_copy_is_not_taken(tmp_path: Path, own_disk: Path) -> None:
    uri = f"file://{tmp_path}/shared"
    worker = _worker()
    worker.take(_job(uri))
    worker.step()
    worker.stop()
    shared = tmp_path / "shared" / "member0.safetensors"
    content = bytearray(shared.read_bytes())
    content[-5] ^= 1
    shared.write_bytes(bytes(content))
    (own_disk / "member0.safetensors").unlink()
    again = _worker()
    again.take(_job(uri))
    assert again.step().samples == 500
    assert not list(own_disk.glob(".*"))


def test_storage_that_fails_in_mid_study_is_said_and_stops_no_training(tmp_path: Path, own_disk: Path) -> None:
    uri = f"file://{tmp_path}/shared"
    (tmp_path / "shared").write_text("a file where the folder should be")
    worker = _worker()
    worker.take(_job(uri))
    reports = [worker.step()]
    worker._shared[uri].finish()
    while not reports[-1].done:
        reports.append(worker.step())
    assert [result.weights for result in reports[-1].results] == _undisturbed(tmp_path / "undisturbed", 1)
    said = {message for report in reports for message in report.messages}
    assert any("shared checkpoints could not be written" in message for message in said)


def test_copies_of_recorded_trainings_and_torn_files_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    for name in ("done.safetensors", "open.safetensors", "pack-1.safetensors", "pack-2.safetensors", f"x.safetensors.{'0' * 32}.part", "notes.txt"):
        (folder / name).write_bytes(b"")
    (folder / "pack-1.members").write_text("other\ndone\n")
    (folder / "pack-2.members").write_text("other\nopen\n")
    remove_superseded(f"file://{folder}", lambda identity: identity == "done")
    assert sorted(path.name for path in folder.iterdir()) == ["notes.txt", "open.safetensors", "pack-2.members", "pack-2.safetensors"]


def test_a_place_that_can_be_used_is_left_as_it_was(tmp_path: Path) -> None:
    for place in (f"file://{tmp_path}/a", str(tmp_path / "b"), ""):
        require_place(place)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("nope://bucket/folder", "Known are a folder, file://"),
        ("memory://folder", "seen by one process alone"),
        ("simplecache::file:///tmp/x", "chain of file systems"),
        ("http://127.0.0.1:1/folder", "no file could be written there"),
        ("file:///proc/nothing/here", "no file could be written there"),
        ("/proc/nothing", "cannot be written"),
    ],
)
def test_a_place_that_cannot_be_used_is_one_message(place: str, said: str) -> None:
    with pytest.raises(SharedStorageError, match="--checkpoints") as raised:
        require_place(place)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_storage_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study.shared_checkpoints, "SECONDS_TO_ANSWER", 0.2)
    monkeypatch.setattr(study.shared_checkpoints, "_try", lambda uri: time.sleep(1))
    with pytest.raises(SharedStorageError, match=r"nothing answered there within 0\.2 s"):
        require_place(f"file://{tmp_path}")


def test_messages_show_no_credentials() -> None:
    with pytest.raises(SharedStorageError) as raised:
        require_place("nope://me:secret@host/folder")
    assert "secret" not in str(raised.value)
