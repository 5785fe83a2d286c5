"""Copies of checkpoints on storage that all nodes see, so that a lost node costs at most the work since the last one. Any fsspec URI."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec

from study.credentials import without_credentials
from vae.checkpoint import CheckpointError, load_checkpoint, write_atomically

SECONDS_TO_ANSWER = 20.0
"""What storage is given for one small file before a study starts, and to take the last copies when a worker stops."""

_OF_ONE_PROCESS = ("memory", "local_memory", "data")
_TORN = re.compile(r"\.[0-9a-f]{32}\.part$")


class SharedStorageError(Exception):
    """The storage cannot hold checkpoints; the message says what to do."""


def is_uri(place: str) -> bool:
    """Whether `place` is a URI, and not a folder."""
    return "://" in place or "::" in place


def scratch_folder() -> Path:
    """Where a node keeps its own checkpoints: below its temporary folder, a folder for each user."""
    return Path(tempfile.gettempdir()) / f"vae-study-{os.getuid()}" / "checkpoints"


class SharedCheckpoints:
    """A folder of checkpoints behind a URI. A worker writes to its own disk as ever; a thread of this copies what it wrote.

    Nothing here stops a training: what goes wrong is kept for `problems`, and the training goes on with its own disk alone.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri.rstrip("/")
        self._files, self._root = _opened(self._uri)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shared checkpoints")
        self._copied: dict[Path, tuple[int, int]] = {}
        self._copying: Future[None] | None = None
        self._problems: list[str] = []

    def fetch(self, path: Path) -> None:
        """Puts the shared copy of the checkpoint at `path` there, where it is whole and further than what is there already."""
        with self._forgiving("read"):
            try:
                content = self._files.cat_file(self._place(path.name))
            except FileNotFoundError:
                return
            beside = path.with_name(f".{path.name}.shared")
            write_atomically(beside, content)
            try:
                if _step(beside) > _step(path):
                    beside.replace(path)
                    self._copied[path] = _stamp(path)
            finally:
                beside.unlink(missing_ok=True)

    def copy(self, path: Path) -> None:
        """Begins to copy the checkpoint at `path` and what stands beside it, where it has changed and no copy is under way."""
        if (self._copying is None or self._copying.done()) and path.exists() and self._copied.get(path) != (stamp := _stamp(path)):
            self._copied[path] = stamp
            self._copying = self._thread.submit(self._copy, path)

    def finish(self, path: Path | None = None) -> None:
        """Waits until what is under way is done, and copies `path` once more where it has changed since."""
        self._wait()
        if path is not None:
            self.copy(path)
            self._wait()

    def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            self._thread.submit(lambda: None).result(SECONDS_TO_ANSWER)

    def remove(self, path: Path) -> None:
        """Removes the shared copy of the checkpoint at `path`, after whatever is under way."""
        self._copied.pop(path, None)
        self._thread.submit(self._remove, path.name)

    def problems(self) -> tuple[str, ...]:
        """What went wrong since this was last asked, as lines for a person."""
        found, self._problems = tuple(self._problems), []
        return found

    def remove_superseded(self, is_recorded: Callable[[str], bool]) -> None:
        """Removes copies of trainings that are recorded, of packs with a recorded member, and files that a killed worker left half written."""
        with self._forgiving("read"):
            for name in self._names():
                if _TORN.search(name) or self._is_superseded(name, is_recorded):
                    self._remove(name)

    def _is_superseded(self, name: str, is_recorded: Callable[[str], bool]) -> bool:
        stem, _, kind = name.rpartition(".")
        if kind == "members":
            return any(is_recorded(identity) for identity in self._files.cat_file(self._place(name)).decode().split())
        return kind == "safetensors" and is_recorded(stem)

    def _names(self) -> Iterable[str]:
        self._files.invalidate_cache()
        with contextlib.suppress(FileNotFoundError):
            return [str(found).rstrip("/").rpartition("/")[2] for found in self._files.ls(self._root, detail=False)]
        return []

    def _copy(self, path: Path) -> None:
        with self._forgiving("written"):
            for held in (path.with_suffix(".members"), path):
                if held.exists():
                    self._put(held.name, held.read_bytes())

    def _put(self, name: str, content: bytes) -> None:
        """Under another name, then renamed: readers see the old copy or the new one; where renaming is a copy, the checkpoint's digest tells."""
        part = self._place(f"{name}.{uuid.uuid4().hex}.part")
        self._files.makedirs(self._root, exist_ok=True)
        self._files.pipe_file(part, content)
        self._files.mv(part, self._place(name))

    def _remove(self, name: str) -> None:
        with self._forgiving("removed"):
            for each in dict.fromkeys((name, name.removesuffix(".safetensors") + ".members", name.removesuffix(".members") + ".safetensors")):
                with contextlib.suppress(FileNotFoundError):
                    self._files.rm_file(self._place(each))

    def _place(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextlib.contextmanager
    def _forgiving(self, done: str) -> Any:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - every storage has errors of its own, and none of them is worth a training
            self._problems.append(f"shared checkpoints could not be {done} at {without_credentials(self._uri)} ({type(error).__name__}); trainings go on with each node's own disk")


def require_usable(uri: str) -> None:
    """Raises SharedStorageError unless a small file can be written there, read and removed within SECONDS_TO_ANSWER."""
    shown = without_credentials(uri)
    trying = ThreadPoolExecutor(1)
    try:
        trying.submit(_try, uri).result(SECONDS_TO_ANSWER)
    except SharedStorageError:
        raise
    except TimeoutError as error:
        raise SharedStorageError(f"--checkpoints {shown}: nothing answered there within {SECONDS_TO_ANSWER:g} s") from error
    except Exception as error:
        said = (str(error).strip().splitlines() or [""])[0].replace(uri, shown)
        raise SharedStorageError(f"--checkpoints {shown}: no file could be written there and read again ({type(error).__name__}: {said})") from error
    finally:
        trying.shutdown(wait=False)


def _try(uri: str) -> None:
    files, root = _opened(uri.rstrip("/"))
    place, content = f"{root}/.probe.{uuid.uuid4().hex}.part", b"checkpoints go here"
    files.makedirs(root, exist_ok=True)
    files.pipe_file(place, content)
    read = files.cat_file(place)
    files.rm_file(place)
    if read != content:
        raise SharedStorageError(f"--checkpoints {without_credentials(uri)}: a file written there did not come back as it was")


def _opened(uri: str) -> tuple[Any, str]:
    """The file system of a URI and the folder's path in it. Raises SharedStorageError for one that cannot be shared or is not known here."""
    shown = without_credentials(uri)
    if "::" in uri:
        raise SharedStorageError(f"--checkpoints {shown}: a chain of file systems (::) cannot hold checkpoints; give a folder, or one URI such as s3://bucket/folder")
    if uri.partition("://")[0] in _OF_ONE_PROCESS:
        raise SharedStorageError(f"--checkpoints {shown}: that storage is seen by one process alone; give a folder that all nodes see, or a URI such as s3://bucket/folder")
    try:
        files, root = fsspec.url_to_fs(uri)
    except ImportError as error:
        raise SharedStorageError(f"--checkpoints {shown}: {error}. It has to be installed on every node.") from error
    except ValueError as error:
        raise SharedStorageError(f"--checkpoints {shown}: {error}. Known are a folder, file://, s3://, gs://, abfs://, sftp:// and what else fsspec has.") from error
    return files, str(root).rstrip("/")


def _step(path: Path) -> int:
    """How far the checkpoint at `path` is; -1 where there is none that is whole."""
    try:
        return int(load_checkpoint(path).facts.get("step", -1)) if path.exists() else -1
    except (CheckpointError, ValueError, KeyError):
        return -1


def _stamp(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_mtime_ns, facts.st_size
