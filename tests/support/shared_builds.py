"""What takes long to make and no test changes, made once for all processes of a test session."""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

Built = TypeVar("Built")


def built_once(name: str, build: Callable[[Path], Built], factory: pytest.TempPathFactory) -> Built:
    """What `build` returns for the folder `name`, which the first process that asks makes while the others wait."""
    session = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        session = session.parent
    folder, finished = session / name, session / f"{name}.pickle"
    with (session / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():
            shutil.rmtree(folder, ignore_errors=True)  # of another process, whose build failed
            folder.mkdir()
            finished.write_bytes(pickle.dumps(build(folder)))
    result: Built = pickle.loads(finished.read_bytes())
    return result
