"""The lock of a study: one execution at a time, free after a kill, and in words where it cannot be had."""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import resource
import signal
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from study.errors import StudyError
from study.run.lock import is_running, lock_path, only_one


def _hold(outputs: Path, held: Event) -> None:
    with only_one(outputs, "invented"):
        held.set()
        signal.pause()


def test_of_two_executions_one_runs_and_the_other_is_told_until_a_kill_frees_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    held = context.Event()
    holder = context.Process(target=_hold, args=(tmp_path, held))
    holder.start()
    try:
        assert held.wait(60)
        assert is_running(tmp_path, "invented")
        with (
            pytest.raises(StudyError, match=f"already running in .*process {holder.pid} of"),
            only_one(tmp_path, "invented"),
        ):
            pass
        with only_one(tmp_path, "another"):
            pass
    finally:
        holder.kill()
        holder.join()
    assert not is_running(tmp_path, "invented")
    with only_one(tmp_path, "invented"):
        assert is_running(tmp_path, "invented")
    assert not is_running(tmp_path, "invented")


def test_a_full_disk_takes_the_lock_without_the_name_of_its_holder(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with only_one(tmp_path, "invented"):
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            with pytest.raises(StudyError, match="its holder could not be written"), only_one(tmp_path, "invented"):
                pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_disk_without_locks_is_said_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As NFS without its lock service and Lustre without the option answer."""

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StudyError, match=r"has no file locks.*--outputs"), only_one(tmp_path, "invented"):
        pass
    lock_path(tmp_path, "invented").touch()
    assert not is_running(tmp_path, "invented")


def test_a_link_in_the_place_of_a_lock_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("somebody's")
    lock_path(tmp_path, "invented").parent.mkdir()
    lock_path(tmp_path, "invented").symlink_to(other)
    with pytest.raises(StudyError), only_one(tmp_path, "invented"):
        pass
    assert other.read_text() == "somebody's"
