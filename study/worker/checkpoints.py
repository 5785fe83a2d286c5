"""Where a training that is under way is checkpointed: by its identity; a pack by the identities of all its members."""

from __future__ import annotations

import contextlib
import os
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

from study.addresses.locations import checkpoints_fault, public_location
from study.worker.shared_checkpoints import SharedCheckpoints
from study.worker.storage import SharedStorageError, is_uri, require_usable
from vae.disk import sha256_of, write_atomically


def checkpoint_path(folder: Path, identities: Sequence[str]) -> Path:
    """The checkpoint of trainings that run together: other members, or another order of them, are another pack."""
    if len(identities) == 1:
        return folder / f"{identities[0]}.safetensors"
    return folder / f"pack-{sha256_of(_lines(identities))}.safetensors"


def list_members(checkpoint: Path, identities: Sequence[str]) -> None:
    """Writes beside a pack's checkpoint whose it is: one identity a line."""
    if len(identities) > 1:
        write_atomically(_list(checkpoint), _lines(identities))


def packs_with(checkpoint: Path, identities: Sequence[str]) -> list[Path]:
    """The checkpoints beside this one of other packs that have any of these trainings: an execution that was killed
    may have had them in other company."""
    wanted = set(identities)
    lists = [file for file in sorted(checkpoint.parent.glob("*.members")) if wanted & set(read_members(file))]
    others = [file.with_suffix(".safetensors") for file in lists if file.stem != checkpoint.stem]
    return [path for path in others if path.exists()]


def remove_checkpoint(checkpoint: Path) -> None:
    """Removes a checkpoint and what stands beside it; what cannot be removed stays: nothing reads it again."""
    for path in (checkpoint, _list(checkpoint)):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def is_of_writing(error: BaseException) -> bool:
    """Whether the disk refused a checkpoint; else the error is one of the training's own code."""
    return isinstance(error, OSError) and any(
        frame.f_code is write_atomically.__code__ for frame, _ in traceback.walk_tb(error.__traceback__)
    )


def remove_superseded(location: str, is_recorded: Callable[[str], bool]) -> None:
    """Removes from a folder or a URI the checkpoints of trainings that are recorded, which nothing reads again: a
    killed worker leaves them behind.

    Those of packs as well, where every member is recorded: until then the others go on from it.
    """
    if is_uri(location):
        SharedCheckpoints(location).remove_superseded(is_recorded)
        return
    files = (file for kind in ("*.safetensors", "*.members") for file in Path(location).glob(kind))
    for checkpoint in {file.with_suffix(".safetensors") for file in files}:
        members = read_members(_list(checkpoint)) or [checkpoint.stem]
        if all(map(is_recorded, members)):
            remove_checkpoint(checkpoint)


def require_location(location: str) -> None:
    """Raises SharedStorageError for a folder or URI that cannot be written; nothing for none."""
    if location and (fault := checkpoints_fault(location)) is not None:
        raise SharedStorageError(f"--checkpoints {public_location(location)}: {fault}")
    if is_uri(location):
        require_usable(location)
    elif location:
        try:
            write_atomically(probe := Path(location) / f"probe.{os.getpid()}", b"")
            probe.unlink()
        except OSError as error:
            raise SharedStorageError(
                f"--checkpoints {location}: the folder cannot be written ({error.strerror}); give one that every node"
                " can write, or a URI"
            ) from error


def read_members(file: Path) -> list[str]:
    """Whose a pack's checkpoint is, from the list beside it; nobody's where that cannot be read."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return file.read_text().splitlines()
    return []


def _list(checkpoint: Path) -> Path:
    return checkpoint.with_suffix(".members")


def _lines(identities: Sequence[str]) -> bytes:
    return "".join(f"{identity}\n" for identity in identities).encode()
