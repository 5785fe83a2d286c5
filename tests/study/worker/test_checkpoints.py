"""Checkpoints of trainings under way: by whose identity they are found again, and when they go."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.worker.checkpoints import (
    checkpoint_path,
    is_of_writing,
    list_members,
    packs_with,
    remove_checkpoint,
    remove_superseded,
    require_location,
)
from study.worker.storage import SharedStorageError
from tests.support.workers import job, worker
from vae.disk import write_atomically


def test_the_checkpoint_of_a_pack_goes_once_all_its_members_are_recorded(tmp_path: Path) -> None:
    """Until then those that are not go on from it."""
    for num_members in (2, 3):
        stopped = worker()
        stopped.take(job(str(tmp_path), num_members))
        stopped.step()
        stopped.stop()
    remove_superseded(str(tmp_path), lambda identity: identity in ("member0", "member1"))
    whole = checkpoint_path(tmp_path, ["member0", "member1", "member2"])
    assert {path.stem for path in tmp_path.iterdir()} == {whole.stem}


def test_packs_that_have_one_of_these_trainings_are_found_beside_a_checkpoint(tmp_path: Path) -> None:
    packs = [["a", "b"], ["b", "c"], ["d", "e"], ["a", "e"]]
    for members in packs:
        checkpoint = checkpoint_path(tmp_path, members)
        list_members(checkpoint, members)
        checkpoint.write_bytes(b"weights")
    checkpoint.unlink()  # the last one has not been written yet
    own = checkpoint_path(tmp_path, ["a", "b"])
    assert packs_with(own, ["a", "b"]) == [checkpoint_path(tmp_path, ["b", "c"])]
    other = checkpoint_path(tmp_path, ["b", "e"])
    assert set(packs_with(other, ["b", "e"])) == {checkpoint_path(tmp_path, members) for members in packs[:3]}


def test_other_members_or_another_order_of_them_are_another_checkpoint(tmp_path: Path) -> None:
    assert checkpoint_path(tmp_path, ["a"]) == tmp_path / "a.safetensors"
    packs = {checkpoint_path(tmp_path, identities) for identities in (["a", "b"], ["b", "a"], ["a", "b", "c"])}
    assert len(packs) == 3
    assert checkpoint_path(tmp_path, ["a", "b"]) in packs


def test_a_checkpoint_goes_with_the_list_of_its_members_and_one_that_is_gone_is_no_error(tmp_path: Path) -> None:
    checkpoint = checkpoint_path(tmp_path, ["a", "b"])
    checkpoint.write_bytes(b"weights")
    list_members(checkpoint, ["a", "b"])
    assert checkpoint.with_suffix(".members").read_text() == "a\nb\n"
    for _ in range(2):
        remove_checkpoint(checkpoint)
        assert list(tmp_path.iterdir()) == []


def test_a_single_trainings_checkpoint_goes_once_it_is_recorded(tmp_path: Path) -> None:
    for identity in ("recorded", "under-way"):
        checkpoint_path(tmp_path, [identity]).write_bytes(b"weights")
    remove_superseded(str(tmp_path), lambda identity: identity == "recorded")
    assert [path.stem for path in tmp_path.iterdir()] == ["under-way"]


def test_only_an_error_of_writing_is_the_disks(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="/proc") as refused:
        write_atomically(Path("/proc/checkpoint"), b"")
    assert is_of_writing(refused.value)
    with pytest.raises(OSError, match="No such file") as read:
        (tmp_path / "absent").read_bytes()
    assert not is_of_writing(read.value)


def test_a_place_that_can_be_used_is_left_as_it_was(tmp_path: Path) -> None:
    for place in (f"file://{tmp_path}/a", str(tmp_path / "b"), ""):
        require_location(place)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "place",
    [
        "nope://me:hidden-word@host/folder",
        "s3://key:hidden-word@bucket/folder",
        "s3:/key:hidden-word@bucket/folder",
        "sftp://me:hidden-word@host/folder",
    ],
)
def test_messages_show_no_credentials(place: str) -> None:
    with pytest.raises(SharedStorageError) as raised:
        require_location(place)
    assert "hidden-word" not in str(raised.value)
