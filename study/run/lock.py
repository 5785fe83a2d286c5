"""The lock of a study in an outputs folder: of two executions at once one runs, and the other is told. A kill leaves
nothing of it behind."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from study.errors import StudyError
from study.outputs import Outputs

_MOST_CHARACTERS = 500


def lock_path(outputs: Path, study: str) -> Path:
    """The file of a study's lock, which stays when nobody holds it."""
    return Outputs(outputs).locks / f"{study}.lock"


@contextlib.contextmanager
def only_one(outputs: Path, study: str) -> Iterator[None]:
    """Holds the study's lock in this outputs folder. Raises StudyError where another process has it, or where none
    can be had.

    It is the system's own (flock), which ends with its process however that ends; on NFS the server has it, for all
    machines. What the file says of its holder is for people alone.
    """
    descriptor = _opened(lock_path(outputs, study), outputs)
    try:
        _take(descriptor, outputs, study)
        with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} of {_user()} on {socket.gethostname()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def is_running(outputs: Path, study: str) -> bool:
    """Whether some process runs the study in this outputs folder now, as far as this user may look."""
    try:
        descriptor = os.open(lock_path(outputs, study), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def _opened(path: Path, outputs: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise StudyError(
            f"the outputs folder {outputs} cannot be written: {error.strerror}; give another with --outputs (OUTPUTS="
            " with make)"
        ) from error


def _take(descriptor: int, outputs: Path, study: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, _MOST_CHARACTERS, 0).decode(errors="replace").strip()
        raise StudyError(
            f"the study {study!r} is already running in {outputs} ({holder or 'its holder could not be written'});"
            " wait for it, or stop it and run the same command again"
        ) from None
    except OSError as error:
        raise StudyError(
            f"the disk of {outputs} has no file locks ({error.strerror}), which keep two executions of a study apart."
            " Have them switched on (NFS: its lock service; Lustre: the mount option flock), or give another folder"
            " with --outputs (OUTPUTS= with make)"
        ) from error


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
