"""Finished trainings on disk, one folder each, named by their identity: a folder that is there is complete."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from study.records.identity import Identity
from vae.disk import file_sha256, flush_folder, sha256_of, write_atomically
from vae.errors import ExplainedError
from vae.outcomes import Evaluation, Outcome

_TRAINING = "training.json"
WEIGHTS = "weights.safetensors"
LOG = "log.jsonl"

_SEAL = re.compile(rb'\A\{\n "sha256": "([0-9a-f]{64})",')
"""What the file of a record begins with."""


class Record(BaseModel):
    """What a finished training leaves on disk; it alone decides that the training is complete.

    `pack_size` is how many trainings were begun at once, which changes a result by rounding alone. `code_kept` is not
    part of it: set on a record that stands in for one of newer code, as its user asked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    identity: Identity
    outcome: Outcome
    evaluations: tuple[Evaluation, ...]
    num_parameters: int
    seconds: float
    started_ms: int
    finished_ms: int
    diverged_at_samples: int | None
    trial: str
    study: str
    machine: str
    weights_sha256: str
    pack_size: int = 1
    code_kept: bool = Field(False, exclude=True)

    @property
    def final_metrics(self) -> dict[str, float]:
        """The metrics at the end of the budget; empty where the training diverged."""
        return dict(self.evaluations[-1].metrics) if self.outcome != "diverged" and self.evaluations else {}


@dataclass(frozen=True)
class Unfinished:
    """A training that is under way: what it is, when it began, in milliseconds since 1970, and its curve so far."""

    identity: Identity
    started_ms: int
    evaluations: tuple[Evaluation, ...]


class RecordsError(ExplainedError):
    """The records cannot be written; the message says why and how to go on."""


class Records:
    """The folder of finished trainings, shared by all studies under one outputs folder."""

    def __init__(self, folder: Path, report: Callable[[str], None] = print) -> None:
        self._folder = folder
        self._report = report
        self._folders_by_content: dict[str, list[Path]] | None = None
        self._trained_on: dict[str, set[str]] = {}
        self.unwritten: dict[str, Record] = {}
        """By hash: what study/records/writer.py was given and has not written yet. `get` answers with it too."""

    def path(self, identity_hash: str) -> Path:
        """Where the training of that identity lies, or would."""
        return self._folder / identity_hash

    def get(self, identity: Identity) -> Record | None:
        """The record of that training, its weights checked against their hash; None where it is not complete.

        A damaged one is set aside under another name, with a line that says so. Raises RecordsError for one that the
        disk does not give out now: it may be whole.
        """
        return self.unwritten.get(identity.hash) or self._read(self.path(identity.hash))

    def write(self, record: Record, weights: bytes, log: bytes = b"") -> None:
        """Adds a record, and the training's log where there is one. Raises RecordsError when the disk refuses.

        It is written beside its place, flushed, renamed, and its name is flushed too: what is passed on from here,
        to MLflow, is there after a power cut.
        """
        folder = self.path(record.identity.hash)
        beside = self._folder / f".{record.identity.hash}.{os.getpid()}"
        try:
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir(parents=True)
            write_atomically(beside / WEIGHTS, weights)
            write_atomically(beside / _TRAINING, encode_record(record))
            if log:
                (beside / LOG).write_bytes(log)  # not flushed: nothing is decided by it
            flush_folder(beside)
            beside.rename(folder)
            flush_folder(self._folder)
        except OSError as error:
            shutil.rmtree(beside, ignore_errors=True)
            if not folder.exists():
                raise RecordsError(
                    f"a finished training could not be written to {folder}: {error.strerror}. Make room or give another"
                    " --outputs, then run the same command again."
                ) from error

    def same_but_for_code(self, identity: Identity) -> Record | None:
        """An intact record that differs from `identity` in the code's digest alone, the newest where there are
        several."""
        if self._folders_by_content is None:
            self._folders_by_content = self._index()
        folders = self._folders_by_content.get(identity.hash_without_code, ())
        records = [self._read(folder) for folder in folders if folder.name != identity.hash]
        return max(filter(None, records), key=lambda record: record.finished_ms, default=None)

    def has_other_data(self, identity: Identity) -> bool:
        """Whether a record is the same but for the data, and the code."""
        if self._folders_by_content is None:
            self._folders_by_content = self._index()
        return bool(self._trained_on.get(identity.hash_without_data, set()) - {identity.data_sha256})

    def _index(self) -> dict[str, list[Path]]:
        folders: defaultdict[str, list[Path]] = defaultdict(list)
        for folder in sorted(self._folder.glob("*")):
            with contextlib.suppress(OSError, ValueError):
                record = decode_record((folder / _TRAINING).read_bytes())
                folders[record.identity.hash_without_code].append(folder)
                self._trained_on.setdefault(record.identity.hash_without_data, set()).add(record.identity.data_sha256)
        return folders

    def _read(self, folder: Path) -> Record | None:
        if not folder.is_dir() or not folder.name.isalnum():
            return None
        try:
            record = decode_record((folder / _TRAINING).read_bytes())
            intact = record.identity.hash == folder.name and file_sha256(folder / WEIGHTS) == record.weights_sha256
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError):
            intact = False
        except OSError as error:
            raise RecordsError(
                f"{folder} cannot be read: {error.strerror}. If that passes (a network disk that is away, too many open"
                " files), run the same command again; if its files are damaged, remove it, and it is trained again."
            ) from error
        if intact:
            return record
        self._set_aside(folder)
        return None

    def _set_aside(self, folder: Path) -> None:
        names = (folder.with_name(f"{folder.name}.damaged.{number}") for number in itertools.count(1))
        aside = next(name for name in names if not name.exists())
        try:
            folder.rename(aside)
        except OSError as error:
            raise RecordsError(
                f"{folder} is damaged and cannot be set aside: {error.strerror}. Remove it, then run the same command"
                " again."
            ) from error
        self._report(f"{folder} is damaged; it was set aside as {aside.name} and will be trained again")


def encode_record(record: Record) -> bytes:
    """The file of a record: JSON that begins with the sha256 of all the rest of it."""
    content = record.model_dump_json(indent=1).encode()
    return b'{\n "sha256": "' + sha256_of(content).encode() + b'",' + content[1:]


def decode_record(file: bytes) -> Record:
    """The record that a file holds, every bit of it checked; one from before files began with a hash is read as it
    stands.

    Raises ValueError (pydantic's ValidationError among them) for a file that is damaged or no record.
    """
    seal = _SEAL.match(file)
    if seal is None:
        return Record.model_validate_json(file)
    content = b"{" + file[seal.end() :]
    if sha256_of(content) != seal[1].decode():
        raise ValueError("the record does not have the hash that was written with it")
    return Record.model_validate_json(content)


def record_of(
    identity: Identity, facts: dict[str, Any], weights: bytes, trial: str, study: str, machine: str
) -> Record:
    """The record of what a worker returned: `facts` are a vae.training.TrainingResult without its weights, and the
    pack's size."""
    return Record(
        identity=identity, weights_sha256=sha256_of(weights), trial=trial, study=study, machine=machine, **facts
    )
