"""Checkpoints on storage that all nodes see: a worker that is gone is continued by one that never saw its disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from study.worker.checkpoints import remove_superseded
from study.worker.shared_checkpoints import SharedCheckpoints
from tests.support.trainings import small_configuration, small_data
from tests.support.workers import another_node, job, undisturbed, worker
from vae.checkpoint import load_checkpoint
from vae.randomness import Seeds
from vae.training import Training


@pytest.fixture
def own_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another node's disk: what scratch_folder names from now on."""
    return another_node(tmp_path / "first node", monkeypatch)


@pytest.mark.parametrize("num_members", [1, 2])
def test_a_lost_node_is_continued_elsewhere_to_the_same_bits(
    num_members: int, tmp_path: Path, own_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"file://{tmp_path}/shared"
    lost = worker()
    lost.take(job(uri, num_members))
    assert lost.step().samples == 500
    assert lost._trial is not None
    lost._trial.save()  # the periodic checkpoint, and its copy waited for
    assert list(own_disk.glob("*.safetensors"))

    other_disk = another_node(tmp_path / "second node", monkeypatch)
    continued = worker()
    continued.take(job(uri, num_members))
    first = continued.step()
    assert first.samples == 1000, "it began again instead of continuing"
    assert [result.weights for result in first.results] == undisturbed(tmp_path / "undisturbed", num_members)
    continued.stop()
    assert list(other_disk.iterdir()) == []
    assert list((tmp_path / "shared").iterdir()) == []


def test_members_of_a_pack_of_a_lost_node_go_on_elsewhere_in_other_company(
    tmp_path: Path, own_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its copy is found by the list of its members; each goes on from where that has it."""
    uri = f"file://{tmp_path}/shared"
    lost = worker()
    lost.take(job(uri, 2))
    assert lost.step().samples == 500
    lost.stop()
    another_node(tmp_path / "second node", monkeypatch)
    others = job(uri, 3)
    continued = worker()
    continued.take(replace(others, members=others.members[1:]))
    reports = [continued.step(), continued.step()]
    assert [[result.identity for result in report.results] for report in reports] == [["member1"], ["member2"]]
    assert [report.samples for report in reports] == [500, 1000]
    alone = job(uri, 1)
    third = worker()
    third.take(replace(alone, members=alone.members[:1]))
    assert third.step().samples == 1000, "the one that is left goes on too"


def test_a_stopped_worker_leaves_its_last_step_in_the_storage(tmp_path: Path, own_disk: Path) -> None:
    uri = f"file://{tmp_path}/shared"
    trainer = worker()
    trainer.take(job(uri))
    trainer.step()
    trainer.stop()
    assert (tmp_path / "shared" / "member0.safetensors").read_bytes() == (own_disk / "member0.safetensors").read_bytes()


def test_the_copy_that_is_further_wins(tmp_path: Path) -> None:
    """A node that was cut off comes back with an old checkpoint of its own: it takes the newer one; and the other
    way about."""
    configuration = small_configuration()
    training = Training(
        configuration, Seeds.from_root(0), small_data(configuration), checkpoint=tmp_path / "own.safetensors"
    )
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
    trainer = worker()
    trainer.take(job(uri))
    trainer.step()
    trainer.stop()
    shared = tmp_path / "shared" / "member0.safetensors"
    content = bytearray(shared.read_bytes())
    content[-5] ^= 1
    shared.write_bytes(bytes(content))
    (own_disk / "member0.safetensors").unlink()
    again = worker()
    again.take(job(uri))
    assert again.step().samples == 500
    assert not list(own_disk.glob(".*"))


def test_storage_that_fails_in_mid_study_is_said_and_stops_no_training(tmp_path: Path, own_disk: Path) -> None:
    uri = f"file://{tmp_path}/shared"
    (tmp_path / "shared").write_text("a file where the folder should be")
    trainer = worker()
    trainer.take(job(uri))
    reports = [trainer.step()]
    trainer._shared[uri].finish()
    while not reports[-1].done:
        reports.append(trainer.step())
    assert [result.weights for result in reports[-1].results] == undisturbed(tmp_path / "undisturbed", 1)
    said = {message for report in reports for message in report.messages}
    assert any("shared checkpoints could not be written" in message for message in said)


def test_copies_of_recorded_trainings_and_torn_files_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    for name in (
        "done.safetensors",
        "open.safetensors",
        "pack-1.safetensors",
        "pack-2.safetensors",
        f"x.safetensors.{'0' * 32}.part",
        "notes.txt",
    ):
        (folder / name).write_bytes(b"")
    (folder / "pack-1.members").write_text("done\ndone-too\n")
    (folder / "pack-2.members").write_text("done\nopen\n")
    remove_superseded(f"file://{folder}", lambda identity: identity.startswith("done"))
    assert sorted(path.name for path in folder.iterdir()) == [
        "notes.txt",
        "open.safetensors",
        "pack-2.members",
        "pack-2.safetensors",
    ]


def test_a_copy_that_could_not_be_read_is_not_replaced_by_one_that_is_behind(tmp_path: Path, own_disk: Path) -> None:
    """The training begins anew; storage that was away for a moment keeps what another node may still continue."""
    uri, shared = f"file://{tmp_path}/shared", tmp_path / "shared" / "member0.safetensors"
    ahead = worker()
    ahead.take(job(uri))
    for samples in (500, 1000):
        assert ahead.step().samples == samples
    ahead._shared[uri].finish(own_disk / "member0.safetensors")
    saved, step = shared.read_bytes(), load_checkpoint(shared).facts["step"]
    (own_disk / "member0.safetensors").unlink()
    shared.unlink()
    shared.mkdir()  # whatever reads it fails
    behind = worker()
    behind.take(job(uri))
    assert behind.step().samples == 500
    behind._shared[uri].finish()
    shared.rmdir()
    shared.write_bytes(saved)
    behind.stop()
    assert int(load_checkpoint(own_disk / "member0.safetensors").facts["step"]) < int(step)
    assert shared.read_bytes() == saved
