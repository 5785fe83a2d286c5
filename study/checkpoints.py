"""Where a training that is under way is checkpointed: by its identity; a pack by the identities of all its members."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from vae.checkpoint import write_atomically


def checkpoint_path(folder: Path, identities: Sequence[str]) -> Path:
    """The checkpoint of trainings that run together: other members, or another order of them, are another pack."""
    if len(identities) == 1:
        return folder / f"{identities[0]}.safetensors"
    return folder / f"pack-{hashlib.sha256(_lines(identities)).hexdigest()}.safetensors"


def list_members(checkpoint: Path, identities: Sequence[str]) -> None:
    """Writes beside a pack's checkpoint whose it is: one identity a line."""
    if len(identities) > 1:
        write_atomically(_list(checkpoint), _lines(identities))


def remove_checkpoint(checkpoint: Path) -> None:
    """Removes a checkpoint and what stands beside it."""
    checkpoint.unlink(missing_ok=True)
    _list(checkpoint).unlink(missing_ok=True)


def remove_superseded_packs(folder: Path, is_recorded: Callable[[str], bool]) -> None:
    """Removes checkpoints of packs of which a member is recorded: that member is in no pack again, so the others start in another one."""
    for members in folder.glob("pack-*.members"):
        if any(is_recorded(identity) for identity in members.read_text().split()):
            remove_checkpoint(members.with_suffix(".safetensors"))


def _list(checkpoint: Path) -> Path:
    return checkpoint.with_suffix(".members")


def _lines(identities: Sequence[str]) -> bytes:
    return "".join(f"{identity}\n" for identity in identities).encode()
