"""Offline runs of W&B: every number that was logged, names and settings, parts of a run that was resumed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from analysis.curves.file import CurveFileError
from analysis.curves.sources import wandb_offline
from tests.support.tool_curves import curve, reported, same_as_reported


@pytest.fixture
def folder(root: Path) -> Path:
    return root / "tests/data/curves/wandb"


def _file(folder: Path) -> Path:
    return next((folder / "restarted").rglob("*.wandb"))


def test_numbers_are_those_that_were_logged_nan_and_infinity_too(folder: Path) -> None:
    assert wandb_offline.matches(folder)
    raw = wandb_offline.read(str(folder))
    same_as_reported(raw, folder)
    assert {str(value) for _, value in curve(raw, "wild-0", "train.loss")[3:]} == {"inf", "nan"}


def test_names_groups_and_settings_are_facts(folder: Path) -> None:
    facts = wandb_offline.read(str(folder / "offline")).facts["adam-1"]
    assert facts["params.optimizer.name"] == "adam"
    assert facts["params.seed"] == "1"
    assert facts["tags.group"] == "adam"
    assert facts["tags.id"] == "adam00001"
    assert not [name for name in facts if "_wandb" in name]


def test_a_step_that_wandb_dropped_is_not_there(folder: Path) -> None:
    raw = wandb_offline.read(str(folder / "offline"))
    assert 99.0 not in [value for _, value in curve(raw, "sgd-1", "val_loss")]


def test_parts_of_a_run_that_was_resumed_are_one_run_whose_steps_are_there_twice(folder: Path) -> None:
    raw = wandb_offline.read(str(folder / "restarted"))
    assert set(raw.facts) == {"sgd-7"}
    assert [step for step, _ in curve(raw, "sgd-7", "train.loss")] == [*range(6), *range(6)]
    assert raw.points["file"].nunique() == 2
    assert len(reported(folder, "sgd-7", "train.loss")) == 12


def test_runs_of_one_name_keep_apart(folder: Path, tmp_path: Path) -> None:
    content = _file(folder).read_bytes()
    for identity in (b"sgd00007", b"sgd00008"):
        record = content.replace(b"sgd00007", identity)
        (tmp_path / f"run-{identity.decode()}.wandb").write_bytes(_with_checksums(record))
    assert set(wandb_offline.read(str(tmp_path)).facts) == {"sgd-7 (sgd00007)", "sgd-7 (sgd00008)"}


def _with_checksums(content: bytes) -> bytes:
    """The same records with checksums that fit."""
    import struct
    import zlib

    place, parts = 7, [content[:7]]
    while place < len(content):
        _, length, kind = struct.unpack("<IHB", content[place : place + 7])
        part = content[place + 7 : place + 7 + length]
        parts.append(struct.pack("<IHB", zlib.crc32(part, zlib.crc32(bytes([kind]))), length, kind) + part)
        place += 7 + length
    return b"".join(parts)


def test_records_beyond_a_block_are_put_together(folder: Path, tmp_path: Path) -> None:
    import struct
    import zlib

    def record(kind: int, part: bytes) -> bytes:
        return struct.pack("<IHB", zlib.crc32(part, zlib.crc32(bytes([kind]))), len(part), kind) + part

    message = b"\x10" + b"\x01" * 40_000
    first = 32 * 1024 - 7 - 7
    (tmp_path / "run-a.wandb").write_bytes(
        b":W&B\xe1\xbe\x00" + record(2, message[:first]) + record(4, message[first:])
    )
    assert list(wandb_offline._records((tmp_path / "run-a.wandb").read_bytes())) == [message]


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (0, "it is empty"),
        (3, "it does not begin as W&B's files do"),
        (12, "record 1 has 5 bytes"),
        (-3, "bytes of"),
    ],
)
def test_a_file_that_is_cut_off_is_one_message_with_file_run_and_record(
    folder: Path, tmp_path: Path, keep: int, message: str
) -> None:
    content = _file(folder).read_bytes()
    (tmp_path / "run-sgd00007.wandb").write_bytes(content[:keep])
    with pytest.raises(CurveFileError) as caught:
        wandb_offline.read(str(tmp_path))
    assert "run-sgd00007.wandb (run 'sgd00007') is damaged or cut off" in str(caught.value)
    assert message in str(caught.value)


def test_a_changed_byte_is_found(folder: Path, tmp_path: Path) -> None:
    content = bytearray(_file(folder).read_bytes())
    content[-20] ^= 1
    (tmp_path / "run-a.wandb").write_bytes(bytes(content))
    with pytest.raises(CurveFileError, match="has another checksum"):
        wandb_offline.read(str(tmp_path))


def test_a_folder_without_runs_is_none(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "chart.csv", tmp_path)
    assert not wandb_offline.matches(tmp_path)
    with pytest.raises(CurveFileError, match=r"no run-\*\.wandb is in it"):
        wandb_offline.read(str(tmp_path))
