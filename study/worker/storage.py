"""Storage behind a URI that all nodes see: whether it is usable, and its files, whatever fsspec has for them."""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import os
import queue
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

import fsspec
from fsspec import available_protocols

from study.addresses.credentials import environment_secrets, secrets_of_address, without_credentials
from study.addresses.locations import OBJECT_STORAGE, checkpoints_fault
from vae.errors import RequestError

SECONDS_TO_ANSWER = 20.0
"""What storage is given for one small file before a study starts, for the copy that a training begins with, and for
the last copies when a worker stops."""

_PACKAGES = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("abfs", "abfss", "az"), "adlfs"),
    **dict.fromkeys(("sftp", "ssh"), "paramiko"),
}
"""What has to be installed for a kind of storage."""

Result = TypeVar("Result")


class SharedStorageError(RequestError):
    """The storage cannot hold checkpoints; the message says what to do."""


def is_uri(location: str) -> bool:
    """Whether `place` is a URI, and not a folder."""
    return "://" in location or "::" in location


class StorageThread:
    """A thread that does one thing after another. Unlike an executor's it does not hold up the end of its process,
    which silent storage would for minutes."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._late: Future[Any] | None = None
        threading.Thread(target=self._work, name="shared checkpoints", daemon=True).start()

    def do(self, task: Callable[[], Result]) -> Future[Result]:
        """Begins the task when the earlier ones are done."""
        future: Future[Result] = Future()
        self._queue.put(partial(self._do, task, future))
        return future

    def result_in_time(self, task: Callable[[], Result], seconds: float | None = None) -> Result:
        """What the task returns. Raises TimeoutError after SECONDS_TO_ANSWER, and at once while an earlier task still
        waits that was given up."""
        if self._late is not None and not self._late.done():
            raise TimeoutError
        self._late = future = self.do(task)
        return future.result(SECONDS_TO_ANSWER if seconds is None else seconds)

    @staticmethod
    def _do(task: Callable[[], Result], future: Future[Result]) -> None:
        try:
            future.set_result(task())
        except Exception as error:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(error)

    def _work(self) -> None:
        while True:
            self._queue.get()()


class Storage:
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
            return [str(path).rstrip("/").rpartition("/")[2] for path in self._files.ls(self._root, detail=False)]
        return []

    def read(self, name: str) -> bytes | None:
        """The content of a file as it is now; None where there is none."""
        self._files.invalidate_cache()
        with contextlib.suppress(FileNotFoundError):
            return bytes(self._files.cat_file(self._path(name)))
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
        part = self._path(f"{name}.{uuid.uuid4().hex}.part")
        self._files.makedirs(self._root, exist_ok=True)
        self._files.pipe_file(part, content)
        self._files.mv(part, self._path(name))

    def _put(self, name: str, content: bytes) -> None:
        try:
            self._files.pipe_file(self._path(name), content)
        except FileNotFoundError as error:
            raise SharedStorageError(
                f"there is no bucket {self._root.partition('/')[0]!r}; it has to be made first, it is not made for you"
            ) from error

    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""
        with contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


def require_usable(uri: str) -> None:
    """Raises SharedStorageError unless a small file can be written there, read and removed within SECONDS_TO_ANSWER."""
    address = without_credentials(uri)
    try:
        StorageThread().result_in_time(partial(_try, uri))
    except SharedStorageError as error:
        raise SharedStorageError(f"--checkpoints {address}: {error}") from error
    except TimeoutError as error:
        raise SharedStorageError(
            f"--checkpoints {address}: nothing answered there within {SECONDS_TO_ANSWER:g} s{_where_objects_are(uri)}"
        ) from error
    except Exception as error:
        raise SharedStorageError(
            f"--checkpoints {address}: no file could be written there and read again"
            f" ({_whole_cause(error, uri)}){_where_objects_are(uri)}"
        ) from error


def _try(uri: str) -> None:
    storage = open_storage(uri.rstrip("/"))
    name, content = f".probe.{uuid.uuid4().hex}.part", b"checkpoints go here"
    storage.write(name, content)
    read = storage.read(name)
    storage.remove(name)
    if read != content:
        raise SharedStorageError("a file written there did not come back as it was")


def open_storage(uri: str) -> Storage:
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
    return Storage(files, str(root).rstrip("/"), kind in OBJECT_STORAGE)


def cause_of(error: Exception) -> str:
    """What went wrong, in the same words for every file."""
    if isinstance(error, SharedStorageError):
        return str(error)
    if isinstance(error, TimeoutError):
        return "no answer in time"
    text = (isinstance(error, OSError) and error.strerror) or ""
    if isinstance(error, PermissionError):
        text = text or str(error)  # s3fs gives one without a number
    return _of_type(error, without_credentials(text, environment_secrets()))


def _whole_cause(error: Exception, uri: str) -> str:
    """What went wrong with the first file, as the storage's own package says it, in one line."""
    text = without_credentials(" ".join(str(error).split())[:300], (*secrets_of_address(uri), *environment_secrets()))
    return _of_type(error, text)


def _of_type(error: Exception, text: str) -> str:
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _where_objects_are(uri: str) -> str:
    """What a person may have forgotten who named a bucket, as the end of a sentence."""
    if not uri.startswith(("s3://", "s3a://")):
        return ""
    variables = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "FSSPEC_S3_ENDPOINT_URL")
    address = next(filter(None, map(os.environ.get, variables)), "")
    server = f"at {without_credentials(address)} (AWS_ENDPOINT_URL)"
    if not address:
        server = "at Amazon's; another server's address belongs in AWS_ENDPOINT_URL"
    return (
        f". The bucket was looked for {server}; keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or ~/.aws,"
        " on every node"
    )
