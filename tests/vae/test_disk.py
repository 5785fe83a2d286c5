"""Files on the disk: whole or not there, and called by their bytes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vae.disk import file_sha256, sha256_of, write_atomically


def test_a_file_is_replaced_only_once_the_new_one_is_whole_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, flushed = tmp_path / "file", os.fsync
    write_atomically(path, b"old")
    os.link(path, tmp_path / "held")  # a reader that opened the old file
    seen: list[bytes] = []

    def look(descriptor: int) -> None:
        seen.extend([path.read_bytes(), next(tmp_path.glob(".file.*")).read_bytes()])
        flushed(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    write_atomically(path, b"new")
    assert seen == [b"old", b"new"]
    assert (tmp_path / "held").read_bytes() == b"old"
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == {"file": b"new", "held": b"old"}


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_file_and_its_bytes_have_the_hash_that_the_standard_gives_for_abc(tmp_path: Path) -> None:
    write_atomically(tmp_path / "folder" / "file", b"abc")
    fips_180 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_sha256(tmp_path / "folder" / "file") == sha256_of(b"abc") == fips_180
