"""Copies of checkpoints on storage that all nodes see, so that a lost node costs at most the work since the last
one. Any fsspec URI."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import cached_property, partial
from pathlib import Path

from study.addresses.credentials import without_credentials
from study.worker.storage import Storage, StorageThread, cause_of, open_storage
from vae.disk import write_atomically

SECONDS_TO_TIDY = 60.0
"""What storage is given to list and remove what nobody needs, at a study's beginning and end."""

_TORN = re.compile(r"\.[0-9a-f]{32}\.part$")


class SharedCheckpoints:
    """A folder of checkpoints behind a URI. A worker writes to its own disk as ever; a thread of this copies what it
    wrote.

    Nothing here stops a training: what goes wrong is kept for `problems`, and the training goes on with its own disk
    alone.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri.rstrip("/")
        self._thread = StorageThread()
        self._tried: dict[Path, tuple[int, int]] = {}
        self._copied: dict[Path, tuple[int, int]] = {}
        self._copying: Future[None] | None = None
        self._unread: set[Path] = set()
        self._problems: list[str] = []

    def fetch(self, path: Path) -> None:
        """Puts the shared copy of the checkpoint at `path` there, where it is whole and further than what is there
        already."""
        self._unread.add(path)
        with self._forgiving("read"):
            content = self._thread.result_in_time(lambda: self._storage.read(path.name))
            self._unread.discard(path)
            if content is not None and _step_of(content, path) > _step(path):
                write_atomically(path, content)
                self._tried[path] = self._copied[path] = _stamp(path)

    def fetch_packs(self, path: Path, identities: Sequence[str]) -> None:
        """Puts beside the checkpoint at `path` those of other packs that have any of these trainings, with the lists
        of their members."""
        with self._forgiving("read"):
            lists = self._thread.result_in_time(partial(self._lists_with, set(identities)))
            for name, content in lists.items():
                other = path.with_name(name)
                if other.stem != path.stem:
                    self.fetch(other.with_suffix(".safetensors"))
                    write_atomically(other, content)

    def _lists_with(self, identities: set[str]) -> dict[str, bytes]:
        """The lists of members, by name, that have any of these trainings."""
        contents = {
            name: self._storage.read(name) or b"" for name in self._storage.names() if name.endswith(".members")
        }
        return {name: content for name, content in contents.items() if identities & set(content.decode().splitlines())}

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
            self._thread.result_in_time(lambda: None)
            if path is not None and self._tried.get(path) != self._copied.get(path):
                self._tried.pop(path, None)
            if path is not None:
                self.copy(path)
                self._thread.result_in_time(lambda: None)

    def remove(self, path: Path) -> None:
        """Removes the shared copy of the checkpoint at `path`, after whatever is under way."""
        self._tried.pop(path, None)
        self._copied.pop(path, None)
        self._thread.do(partial(self._remove, path.name))

    def problems(self) -> tuple[str, ...]:
        """What went wrong since this was last asked, as lines for a person."""
        problems, self._problems = tuple(self._problems), []
        return problems

    def remove_superseded(self, is_recorded: Callable[[str], bool]) -> None:
        """Removes copies of trainings that are recorded, of packs all of whose members are, and files that a killed
        worker left half written."""
        with self._forgiving("read"):
            self._thread.result_in_time(partial(self._tidy, is_recorded), SECONDS_TO_TIDY)

    def _tidy(self, is_recorded: Callable[[str], bool]) -> None:
        for name in self._storage.names():
            if _TORN.search(name) or self._is_superseded(name, is_recorded):
                self._remove(name)

    @cached_property
    def _storage(self) -> Storage:
        """Opened by whoever asks first: what a node lacks for it is one of the problems."""
        return open_storage(self._uri)

    def _is_superseded(self, name: str, is_recorded: Callable[[str], bool]) -> bool:
        stem, _, kind = name.rpartition(".")
        if kind == "members":
            return all(is_recorded(identity) for identity in (self._storage.read(name) or b"").decode().splitlines())
        return kind == "safetensors" and is_recorded(stem)

    def _copy(self, path: Path, stamp: tuple[int, int]) -> None:
        with self._forgiving("written"):
            if path not in self._unread or not self._is_behind(path):
                for file in (path.with_suffix(".members"), path):
                    if file.exists():
                        self._storage.write(file.name, file.read_bytes())
                self._unread.discard(path)
            self._copied[path] = stamp

    def _is_behind(self, path: Path) -> bool:
        """Whether the shared copy is further: it could not be read when the training began, which so began anew, and
        may be of use to another one."""
        content = self._storage.read(path.name)
        return content is not None and _step_of(content, path) > _step(path)

    def _remove(self, name: str) -> None:
        with self._forgiving("removed"):
            for each in dict.fromkeys(
                (name, name.removesuffix(".safetensors") + ".members", name.removesuffix(".members") + ".safetensors")
            ):
                self._storage.remove(each)

    @contextlib.contextmanager
    def _forgiving(self, action: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - every storage has its own, none is worth a training
            self._problems.append(
                f"shared checkpoints could not be {action} at {without_credentials(self._uri)} ({cause_of(error)});"
                " trainings go on with each node's own disk"
            )


def _step(path: Path) -> int:
    """How far the checkpoint at `path` is; -1 where there is none that is whole."""
    from vae.checkpoint import CheckpointError, load_checkpoint  # with torch, which only a worker needs

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
