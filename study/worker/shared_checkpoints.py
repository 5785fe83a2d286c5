"""Copies of checkpoints on storage that all nodes see, so that a lost node costs at most the work since the last
one. Any fsspec URI."""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import os
import queue
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import fsspec
from fsspec import available_protocols

from study.addresses.addresses import OBJECT_STORAGE, checkpoints_fault
from study.addresses.credentials import environment_secrets, secrets_of_address, without_credentials
from vae.checkpoint import CheckpointError, load_checkpoint
from vae.disk import write_atomically
from vae.errors import RequestError

SECONDS_TO_ANSWER = 20.0
"""What storage is given for one small file before a study starts, for the copy that a training begins with, and for
the last copies when a worker stops."""

SECONDS_TO_TIDY = 60.0
"""What storage is given to list and remove what nobody needs, at a study's beginning and end."""

_PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "az": "adlfs",
    "sftp": "paramiko",
    "ssh": "paramiko",
}
"""What has to be installed for a kind of storage."""

_TORN = re.compile(r"\.[0-9a-f]{32}\.part$")

Answer = TypeVar("Answer")


class SharedStorageError(RequestError):
    """The storage cannot hold checkpoints; the message says what to do."""


def is_uri(place: str) -> bool:
    """Whether `place` is a URI, and not a folder."""
    return "://" in place or "::" in place


class _Errands:
    """A thread that does one thing after another. Unlike an executor's it does not hold up the end of its process,
    which silent storage would for minutes."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="shared checkpoints", daemon=True).start()

    def do(self, errand: Callable[[], Answer]) -> Future[Answer]:
        """Begins it when what was given before is done."""
        future: Future[Answer] = Future()
        self._queue.put(partial(self._do, errand, future))
        return future

    @staticmethod
    def _do(errand: Callable[[], Answer], future: Future[Answer]) -> None:
        try:
            future.set_result(errand())
        except Exception as error:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(error)

    def _work(self) -> None:
        while True:
            self._queue.get()()


class SharedCheckpoints:
    """A folder of checkpoints behind a URI. A worker writes to its own disk as ever; a thread of this copies what it
    wrote.

    Nothing here stops a training: what goes wrong is kept for `problems`, and the training goes on with its own disk
    alone.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri.rstrip("/")
        self._thread = _Errands()
        self._tried: dict[Path, tuple[int, int]] = {}
        self._copied: dict[Path, tuple[int, int]] = {}
        self._copying: Future[None] | None = None
        self._late: Future[Any] | None = None
        self._unread: set[Path] = set()
        self._problems: list[str] = []

    def fetch(self, path: Path) -> None:
        """Puts the shared copy of the checkpoint at `path` there, where it is whole and further than what is there
        already."""
        self._unread.add(path)
        with self._forgiving("read"):
            content = self._in_time(partial(self._content, path.name))
            self._unread.discard(path)
            if content is not None and _step_of(content, path) > _step(path):
                write_atomically(path, content)
                self._tried[path] = self._copied[path] = _stamp(path)

    def copy(self, path: Path) -> None:
        """Begins to copy the checkpoint at `path` and what stands beside it, where it has changed and no copy is
        under way."""
        if (
            (self._copying is None or self._copying.done())
            and path.exists()
            and self._tried.get(path) != (stamp := _stamp(path))
        ):
            self._tried[path] = stamp
            self._copying = self._thread.do(partial(self._copy, path, stamp))

    def finish(self, path: Path | None = None) -> None:
        """Waits until what is under way is done, and copies `path` once more where it has changed since, or could
        not be copied."""
        with self._forgiving("written"):
            self._in_time(lambda: None)
            if path is not None and self._tried.get(path) != self._copied.get(path):
                self._tried.pop(path, None)
            if path is not None:
                self.copy(path)
                self._in_time(lambda: None)

    def _in_time(self, errand: Callable[[], Answer], seconds: float | None = None) -> Answer:
        """What the thread finds in time. Raises TimeoutError after SECONDS_TO_ANSWER, and at once while an earlier
        errand still waits that was given up."""
        if self._late is not None and not self._late.done():
            raise TimeoutError
        self._late = self._thread.do(errand)
        result: Answer = self._late.result(SECONDS_TO_ANSWER if seconds is None else seconds)
        return result

    def remove(self, path: Path) -> None:
        """Removes the shared copy of the checkpoint at `path`, after whatever is under way."""
        self._tried.pop(path, None)
        self._copied.pop(path, None)
        self._thread.do(partial(self._remove, path.name))

    def problems(self) -> tuple[str, ...]:
        """What went wrong since this was last asked, as lines for a person."""
        found, self._problems = tuple(self._problems), []
        return found

    def remove_superseded(self, is_recorded: Callable[[str], bool]) -> None:
        """Removes copies of trainings that are recorded, of packs with a recorded member, and files that a killed
        worker left half written."""
        with self._forgiving("read"):
            self._in_time(partial(self._tidy, is_recorded), SECONDS_TO_TIDY)

    def _tidy(self, is_recorded: Callable[[str], bool]) -> None:
        for name in self._storage.names():
            if _TORN.search(name) or self._is_superseded(name, is_recorded):
                self._remove(name)

    @cached_property
    def _storage(self) -> _Storage:
        """Opened by whoever asks first: what a node lacks for it is one of the problems."""
        return _opened(self._uri)

    def _is_superseded(self, name: str, is_recorded: Callable[[str], bool]) -> bool:
        stem, _, kind = name.rpartition(".")
        if kind == "members":
            return any(is_recorded(identity) for identity in (self._content(name) or b"").decode().split())
        return kind == "safetensors" and is_recorded(stem)

    def _content(self, name: str) -> bytes | None:
        return self._storage.read(name)

    def _copy(self, path: Path, stamp: tuple[int, int]) -> None:
        with self._forgiving("written"):
            if path not in self._unread or not self._is_behind(path):
                for held in (path.with_suffix(".members"), path):
                    if held.exists():
                        self._storage.write(held.name, held.read_bytes())
                self._unread.discard(path)
            self._copied[path] = stamp

    def _is_behind(self, path: Path) -> bool:
        """Whether the shared copy is further: it could not be read when the training began, which so began anew, and
        may be of use to another one."""
        content = self._content(path.name)
        return content is not None and _step_of(content, path) > _step(path)

    def _remove(self, name: str) -> None:
        with self._forgiving("removed"):
            for each in dict.fromkeys(
                (name, name.removesuffix(".safetensors") + ".members", name.removesuffix(".members") + ".safetensors")
            ):
                self._storage.remove(each)

    @contextlib.contextmanager
    def _forgiving(self, done: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - every storage has errors of its own, and none of them is worth a training
            self._problems.append(
                f"shared checkpoints could not be {done} at {without_credentials(self._uri)} ({_cause(error)});"
                " trainings go on with each node's own disk"
            )


class _Storage:
    """The files of one folder behind a URI. Errors are fsspec's and those of the storage's own package."""

    def __init__(self, files: Any, root: str, holds_objects: bool) -> None:
        self._files = files
        self._root = root
        self._holds_objects = holds_objects

    def names(self) -> list[str]:
        """Of all files there, as the storage has them now; fsspec would list, and look for what it reads, in its
        memory."""
        self._files.invalidate_cache()
        with contextlib.suppress(FileNotFoundError):
            return [str(found).rstrip("/").rpartition("/")[2] for found in self._files.ls(self._root, detail=False)]
        return []

    def read(self, name: str) -> bytes | None:
        """The content of a file as it is now; None where there is none."""
        self._files.invalidate_cache()
        with contextlib.suppress(FileNotFoundError):
            return bytes(self._files.cat_file(self._place(name)))
        return None

    def write(self, name: str, content: bytes) -> None:
        """Readers see the old file or the new one.

        An object is put in one piece. Other files get another name, and are renamed; where renaming is a copy, the
        checkpoint's digest tells. A folder is made for those alone: for objects it is no more than a part of their
        name, and making it could make a bucket that was misspelt.
        """
        if self._holds_objects:
            self._put(name, content)
            return
        part = self._place(f"{name}.{uuid.uuid4().hex}.part")
        self._files.makedirs(self._root, exist_ok=True)
        self._files.pipe_file(part, content)
        self._files.mv(part, self._place(name))

    def _put(self, name: str, content: bytes) -> None:
        try:
            self._files.pipe_file(self._place(name), content)
        except FileNotFoundError as error:
            raise SharedStorageError(
                f"there is no bucket {self._root.partition('/')[0]!r}; it has to be made first, it is not made for you"
            ) from error

    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._place(name))

    def _place(self, name: str) -> str:
        return f"{self._root}/{name}"


def require_usable(uri: str) -> None:
    """Raises SharedStorageError unless a small file can be written there, read and removed within SECONDS_TO_ANSWER."""
    shown = without_credentials(uri)
    try:
        _Errands().do(partial(_try, uri)).result(SECONDS_TO_ANSWER)
    except SharedStorageError as error:
        raise SharedStorageError(f"--checkpoints {shown}: {error}") from error
    except TimeoutError as error:
        raise SharedStorageError(
            f"--checkpoints {shown}: nothing answered there within {SECONDS_TO_ANSWER:g} s{_where_objects_are(uri)}"
        ) from error
    except Exception as error:
        raise SharedStorageError(
            f"--checkpoints {shown}: no file could be written there and read again"
            f" ({_whole_cause(error, uri)}){_where_objects_are(uri)}"
        ) from error


def _try(uri: str) -> None:
    storage = _opened(uri.rstrip("/"))
    name, content = f".probe.{uuid.uuid4().hex}.part", b"checkpoints go here"
    storage.write(name, content)
    read = storage.read(name)
    storage.remove(name)
    if read != content:
        raise SharedStorageError("a file written there did not come back as it was")


def _opened(uri: str) -> _Storage:
    """The storage behind a URI. Raises SharedStorageError for one that cannot hold checkpoints or is not known here."""
    fault = checkpoints_fault(uri)
    if fault is not None:
        raise SharedStorageError(fault)
    kind = uri.partition("://")[0]
    package = _PACKAGES.get(kind)
    if package is not None and importlib.util.find_spec(package) is None:
        raise SharedStorageError(
            f"{kind}:// needs the package {package}, which is not installed here: `.venv/bin/uv pip install {package}`,"
            " on every node"
        )
    try:
        files, root = fsspec.url_to_fs(uri)
    except ImportError as error:
        raise SharedStorageError(f"{error}. It has to be installed on every node") from error
    except ValueError as error:
        near = difflib.get_close_matches(kind, available_protocols(), n=1)
        meant = f"; did you mean {near[0]}://?" if near else "."
        raise SharedStorageError(
            f"{error}{meant} Known are a folder, file://, s3://, gs://, abfs://, sftp:// and what else fsspec has"
        ) from error
    return _Storage(files, str(root).rstrip("/"), kind in OBJECT_STORAGE)


def _cause(error: Exception) -> str:
    """What went wrong, in the same words for every file."""
    if isinstance(error, SharedStorageError):
        return str(error)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    said = error.strerror if isinstance(error, OSError) else ""
    if isinstance(error, PermissionError):
        said = said or str(error)  # s3fs gives one without a number
    return (
        f"{type(error).__name__}: {without_credentials(said, environment_secrets())}" if said else type(error).__name__
    )


def _whole_cause(error: Exception, uri: str) -> str:
    """What went wrong with the first file, as the storage's own package says it, in one line."""
    said = without_credentials(" ".join(str(error).split())[:300], (*secrets_of_address(uri), *environment_secrets()))
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _where_objects_are(uri: str) -> str:
    """What a person may have forgotten who named a bucket, as the end of a sentence."""
    if not uri.startswith(("s3://", "s3a://")):
        return ""
    at = (
        os.environ.get("AWS_ENDPOINT_URL_S3")
        or os.environ.get("AWS_ENDPOINT_URL")
        or os.environ.get("FSSPEC_S3_ENDPOINT_URL")
    )
    server = (
        f"at {without_credentials(at)} (AWS_ENDPOINT_URL)"
        if at
        else "at Amazon's; another server's address belongs in AWS_ENDPOINT_URL"
    )
    return (
        f". The bucket was looked for {server}; keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or ~/.aws,"
        " on every node"
    )


def _step(path: Path) -> int:
    """How far the checkpoint at `path` is; -1 where there is none that is whole."""
    try:
        return int(load_checkpoint(path).facts.get("step", -1)) if path.exists() else -1
    except (CheckpointError, ValueError, KeyError):
        return -1


def _step_of(content: bytes, path: Path) -> int:
    """How far the checkpoint is that these bytes are; `path` names a folder in which they may lie meanwhile."""
    beside = path.with_name(f".{path.name}.shared")
    try:
        write_atomically(beside, content)
        return _step(beside)
    finally:
        beside.unlink(missing_ok=True)


def _stamp(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_mtime_ns, facts.st_size
