"""Ray's own folder: within one that nobody else may enter, and never one that somebody else made."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from pathlib import Path

import pytest

from study.cluster.connection import own_temporary_folder
from study.doctor.machine import SOCKET, longest_temporary
from study.errors import LaunchError


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("was_open", [False, True])
def test_nobody_else_may_enter_what_ray_is_given(temporary: Path, was_open: bool) -> None:
    own = temporary / f"ray-{os.getuid()}"
    if was_open:
        own.mkdir()
        own.chmod(0o777)  # as Ray leaves what it makes
    assert own_temporary_folder().parent == own
    assert stat.S_IMODE(own.stat().st_mode) == stat.S_IRWXU


def test_what_somebody_else_made_there_is_refused(temporary: Path) -> None:
    own = temporary / f"ray-{os.getuid()}"
    (temporary / "elsewhere").mkdir()
    own.symlink_to(temporary / "elsewhere")
    with pytest.raises(LaunchError, match=r"belongs to another user or is no folder; .*TMPDIR"):
        own_temporary_folder()
    own.unlink()
    own.write_text("")
    with pytest.raises(LaunchError, match="TMPDIR"):
        own_temporary_folder()


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a folder away")
def test_a_folder_of_another_user_is_refused(temporary: Path) -> None:
    own = temporary / f"ray-{os.getuid()}"
    own.mkdir()
    os.chown(own, 54321, 54321)
    with pytest.raises(LaunchError, match="belongs to another user"):
        own_temporary_folder()


@pytest.mark.parametrize("too_long", [0, 1])
def test_the_longest_temporary_folder_is_the_longest_whose_sockets_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, too_long: int
) -> None:
    """The socket's name stands for the path: it is made in a folder below which there is nothing."""
    folder = "x" * (longest_temporary() + too_long)
    path = f"{folder}/ray-{os.getuid()}/r/{SOCKET.format(process=os.getpid())}"
    (tmp_path / path).parent.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as made:
        if too_long:
            with pytest.raises(OSError, match="too long"):
                made.bind(path)
        else:
            made.bind(path)
