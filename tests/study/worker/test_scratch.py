"""Checkpoints on a node that other people use too: what they could have written is never read."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from study.worker import scratch as private_folder
from study.worker.scratch import scratch_folder
from tests.support.workers import job, weights, worker


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The node's folder of temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    private_folder._for_this_process.cache_clear()
    yield tmp_path
    private_folder._for_this_process.cache_clear()


@pytest.mark.parametrize("was_open", [False, True])
def test_a_later_process_finds_what_an_earlier_one_left_and_nobody_else_does(temporary: Path, was_open: bool) -> None:
    own = temporary / f"vae-study-{os.getuid()}"
    if was_open:
        own.mkdir()
        own.chmod(0o777)
    assert scratch_folder() == scratch_folder() == own / "checkpoints"
    assert stat.S_IMODE(own.stat().st_mode) == stat.S_IRWXU


def _linked_elsewhere(own: Path) -> None:
    (own.parent / "elsewhere").mkdir()
    own.symlink_to(own.parent / "elsewhere")


def _given_away(own: Path) -> None:
    own.mkdir()
    os.chown(own, 54321, 54321)


OF_ANOTHER = [
    _linked_elsewhere,
    pytest.param(_given_away, marks=pytest.mark.skipif(os.getuid() != 0, reason="only root may give a folder away")),
]


@pytest.mark.parametrize("made", OF_ANOTHER)
def test_what_another_user_made_under_that_name_is_neither_read_nor_written(temporary: Path, made: object) -> None:
    own = temporary / f"vae-study-{os.getuid()}"
    made(own)  # type: ignore[operator]
    trainer = worker()
    trainer.take(job(""))
    assert trainer.step().samples > 0
    (used,) = {path.parent for path in temporary.rglob("*.safetensors")}
    assert used == scratch_folder()
    assert (used.parent.parent, stat.S_IMODE(used.parent.stat().st_mode)) == (temporary, stat.S_IRWXU)
    assert used.parent != own
    assert list(own.iterdir()) == []
    assert weights(trainer)


def test_a_folder_that_cannot_be_made_costs_no_training(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(temporary / "not" / "there"))
    (temporary / "not").write_text("a file")
    trainer = worker()
    trainer.take(job(""))
    assert "cannot write checkpoints" in " ".join(trainer.step().messages)
    assert weights(trainer)
