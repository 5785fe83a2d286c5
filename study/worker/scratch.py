"""Folders below the machine's temporary one, which everybody may write: what is read back from them must be from
nobody else."""

from __future__ import annotations

import errno
import stat
import tempfile
from functools import cache
from os import getuid
from pathlib import Path


class ForeignFolderError(OSError):
    """What is there belongs to another user, or is no folder."""


def make_private(folder: Path) -> None:
    """Makes `folder`, or takes the one that is there, and closes it to everybody else. Raises ForeignFolderError,
    and other OSError where it cannot be made."""
    folder.mkdir(mode=stat.S_IRWXU, exist_ok=True)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != getuid():
        raise ForeignFolderError(errno.EPERM, "belongs to another user or is no folder", str(folder))
    folder.chmod(stat.S_IRWXU)


def scratch_folder() -> Path:
    """Where a node keeps its own checkpoints: a folder for each user, so that a later process finds them; where
    another user took that name, one for this process."""
    folder = Path(tempfile.gettempdir()) / f"vae-study-{getuid()}"
    try:
        make_private(folder)
    except ForeignFolderError:
        folder = _for_this_process()
    except OSError:
        pass  # nothing can be written there, which whoever tries to is told
    return folder / "checkpoints"


@cache
def _for_this_process() -> Path:
    return Path(tempfile.mkdtemp(prefix="vae-study-"))
