"""Records on disk: whole or not there, checked when read, never half-written."""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import os
import re
import resource
from dataclasses import replace
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from study.records.records import WEIGHTS, Record, Records, RecordsError, record_of
from study.worker.checkpoints import remove_superseded
from tests.support.executions import all_trainings
from tests.support.full_disks import no_file_above
from tests.support.studies import WEIGHTS_BYTES, invented_record, invented_study
from vae.disk import sha256_of

RECORD = invented_record(all_trainings(invented_study())[0])


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def records(tmp_path: Path, said: list[str]) -> Records:
    return Records(tmp_path / "trainings", said.append)


def _left(records: Records) -> list[str]:
    """What lies in the folder of records, hidden things too."""
    return sorted(path.name for path in records.path("").iterdir())


def test_what_is_written_is_read_back_equal(records: Records) -> None:
    assert records.get(RECORD.identity) is None
    records.write(RECORD, WEIGHTS_BYTES)
    assert records.get(RECORD.identity) == RECORD
    assert (records.path(RECORD.identity.hash) / WEIGHTS).read_bytes() == WEIGHTS_BYTES
    assert _left(records) == [RECORD.identity.hash]


def test_final_metrics_are_those_at_the_end_and_none_where_it_diverged() -> None:
    assert RECORD.final_metrics == RECORD.evaluations[-1].metrics
    assert RECORD.model_copy(update={"outcome": "diverged"}).final_metrics == {}


def test_what_is_written_beside_is_no_record(records: Records) -> None:
    """A kill in the middle of writing leaves a folder under another name."""
    records.write(RECORD, WEIGHTS_BYTES)
    place = records.path(RECORD.identity.hash)
    place.rename(place.with_name(f".{place.name}.123"))
    assert records.get(RECORD.identity) is None
    assert records.same_but_for_code(replace(RECORD.identity, code_sha256="0" * 64)) is None


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def _flip(path: Path) -> None:
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


def _move_to_another_identity(path: Path) -> None:
    path.write_text(path.read_text().replace('"device": "cpu"', '"device": "cuda"'))


def _change_a_digit(path: Path) -> None:
    """What is still a record by its form: only its own hash tells."""
    path.write_text(
        re.sub(r'"num_parameters": (\d+)', lambda found: f'"num_parameters": {int(found[1]) + 1}', path.read_text())
    )


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("training.json", _change_a_digit),
        (WEIGHTS, _cut),
        (WEIGHTS, _flip),
        (WEIGHTS, Path.unlink),
        ("training.json", _cut),
        ("training.json", Path.unlink),
        ("training.json", _move_to_another_identity),
    ],
)
def test_a_damaged_record_is_set_aside_said_and_made_again(
    records: Records, said: list[str], file: str, damage: object
) -> None:
    assert callable(damage)
    for number in (1, 2):
        records.write(RECORD, WEIGHTS_BYTES)
        damage(records.path(RECORD.identity.hash) / file)
        assert records.get(RECORD.identity) is None
        assert f"{RECORD.identity.hash}.damaged.{number}" in _left(records)
        assert "is damaged" in said[-1]
    records.write(RECORD, WEIGHTS_BYTES)
    assert records.get(RECORD.identity) == RECORD
    assert len(said) == 2


def test_writers_at_once_leave_one_whole_record(records: Records, said: list[str]) -> None:
    context = multiprocessing.get_context("fork")
    start = context.Barrier(4)
    writers = [context.Process(target=_write_often, args=(records, start)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert records.get(RECORD.identity) == RECORD
    assert _left(records) == [RECORD.identity.hash]
    assert said == []


def _write_often(records: Records, start: Barrier) -> None:
    start.wait(60)
    for _ in range(20):
        records.write(RECORD, WEIGHTS_BYTES)


@pytest.mark.parametrize("num_bytes", [10, 500])
def test_a_full_disk_is_an_error_for_a_person_and_leaves_nothing_half_written(records: Records, num_bytes: int) -> None:
    """10 bytes stop the weights, 500 the JSON after them."""
    with no_file_above(num_bytes), pytest.raises(RecordsError) as caught:
        records.write(RECORD, WEIGHTS_BYTES)
    assert "could not be written" in str(caught.value)
    assert "run the same command again" in str(caught.value)
    assert _left(records) == []
    records.write(RECORD, WEIGHTS_BYTES)
    assert records.get(RECORD.identity) == RECORD


def test_an_outputs_folder_that_is_a_file_is_an_error_for_a_person(tmp_path: Path) -> None:
    (tmp_path / "trainings").write_text("")
    with pytest.raises(RecordsError) as caught:
        Records(tmp_path / "trainings").write(RECORD, WEIGHTS_BYTES)
    assert str(tmp_path / "trainings") in str(caught.value)


def _of_other_code(code: str, finished_ms: int = RECORD.finished_ms) -> Record:
    return RECORD.model_copy(
        update={"identity": replace(RECORD.identity, code_sha256=code * 64), "finished_ms": finished_ms}
    )


def test_a_record_of_other_code_is_found_the_newest_first(records: Records) -> None:
    for record in (_of_other_code("a", 1), _of_other_code("b", 3), _of_other_code("c", 2)):
        records.write(record, WEIGHTS_BYTES)
    assert records.same_but_for_code(RECORD.identity) == _of_other_code("b", 3)
    assert records.get(RECORD.identity) is None


def test_a_record_of_other_code_must_be_intact_and_differ_in_nothing_else(records: Records) -> None:
    other_data = _of_other_code("a").model_copy(
        update={"identity": replace(RECORD.identity, code_sha256="a" * 64, data_sha256="e" * 64)}
    )
    records.write(other_data, WEIGHTS_BYTES)
    damaged = _of_other_code("b")
    records.write(damaged, WEIGHTS_BYTES)
    (records.path(damaged.identity.hash) / WEIGHTS).write_bytes(b"else")
    assert records.same_but_for_code(RECORD.identity) is None


def test_that_code_was_kept_is_never_written(records: Records) -> None:
    records.write(RECORD.model_copy(update={"code_kept": True}), WEIGHTS_BYTES)
    read = records.get(RECORD.identity)
    assert read is not None
    assert not read.code_kept


def test_a_folder_that_cannot_be_renamed_is_an_error_for_a_person(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    records.write(RECORD, WEIGHTS_BYTES)
    _cut(records.path(RECORD.identity.hash) / WEIGHTS)

    def refuse(path: Path, target: Path) -> Path:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(RecordsError) as caught:
        records.get(RECORD.identity)
    assert "cannot be set aside: Permission denied" in str(caught.value)


def test_a_record_from_before_there_were_packs_is_one_of_a_single_training(records: Records) -> None:
    records.write(RECORD.model_copy(update={"pack_size": 8}), WEIGHTS_BYTES)
    packed = records.get(RECORD.identity)
    path = records.path(RECORD.identity.hash) / "training.json"
    path.write_text(
        json.dumps(
            {name: given for name, given in json.loads(path.read_text()).items() if name not in ("pack_size", "sha256")}
        )
    )
    old = records.get(RECORD.identity)
    assert packed is not None
    assert old is not None
    assert (packed.pack_size, old.pack_size) == (8, 1)


def test_the_weights_hash_is_that_of_the_file(records: Records) -> None:
    facts = {
        name: getattr(RECORD, name)
        for name in (
            "outcome",
            "evaluations",
            "num_parameters",
            "seconds",
            "started_ms",
            "finished_ms",
            "diverged_at_samples",
        )
    }
    record = record_of(RECORD.identity, facts, b"other weights", "trial", "study", "machine")
    records.write(record, b"other weights")
    content = (records.path(RECORD.identity.hash) / WEIGHTS).read_bytes()
    assert record.weights_sha256 == hashlib.sha256(content).hexdigest() == sha256_of(content)


def test_checkpoints_of_recorded_trainings_are_removed_and_no_others(records: Records, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"

    def is_recorded(identity: str) -> bool:
        return records.path(identity).is_dir()

    remove_superseded(str(folder), is_recorded)
    folder.mkdir()
    records.write(RECORD, WEIGHTS_BYTES)
    for name in (f"{RECORD.identity.hash}.safetensors", f"{'0' * 64}.safetensors", "notes.txt"):
        (folder / name).write_bytes(b"checkpoint")
    remove_superseded(str(folder), is_recorded)
    assert sorted(path.name for path in folder.iterdir()) == [f"{'0' * 64}.safetensors", "notes.txt"]


def test_a_record_that_the_disk_does_not_give_out_now_is_kept_and_said(records: Records, said: list[str]) -> None:
    """No file can be opened for a moment, as when a process has too many, or a network disk is away."""
    records.write(RECORD, WEIGHTS_BYTES)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, before[1]))
    try:
        with pytest.raises(RecordsError) as caught:
            records.get(RECORD.identity)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert os.strerror(errno.EMFILE) in str(caught.value)
    assert "run the same command again" in str(caught.value)
    assert records.get(RECORD.identity) == RECORD
    assert said == []


def test_a_record_and_its_name_are_flushed_before_it_is_passed_on(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is flushed, in order, as the system is asked; and whether the record had its name by then."""
    flushed: list[tuple[str, bool]] = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        flushed.append(
            (Path(f"/proc/self/fd/{descriptor}").readlink().name, records.path(RECORD.identity.hash).exists())
        )
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    records.write(RECORD, WEIGHTS_BYTES)
    beside, process = f".{RECORD.identity.hash}.{os.getpid()}", os.getpid()
    assert flushed == [
        (f".{WEIGHTS}.{process}", False),
        (f".training.json.{process}", False),
        (beside, False),
        ("trainings", True),
    ]
