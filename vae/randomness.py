"""Random streams by name and position: counter-based, so that a position in a training is all that a resume needs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray


def derive(seed: int, *path: str | int) -> int:
    """The 64-bit seed of the node `path` in the tree that grows from `seed`.

    Children are keyed by name, never by position: adding a sibling changes no other (numpy SeedSequence; each name
    enters as 128 bits of its sha256).
    """
    words: list[int] = []
    for name in path:
        digest = hashlib.sha256(str(name).encode()).digest()
        words += [int.from_bytes(digest[start : start + 4], "little") for start in range(0, 16, 4)]
    return int(np.random.SeedSequence(seed, spawn_key=tuple(words)).generate_state(1, np.uint64)[0])


def generator(seed: int, position: int = 0, stream: int = 0) -> np.random.Generator:
    """The generator at `position` of `stream`: Philox, whose counter keeps positions apart (Salmon et al. 2011)."""
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, position, stream]))


def standard_normal(random: np.random.Generator, batch: int, latent_dim: int) -> NDArray[np.float32]:
    """Noise [batch, latent] in float32, drawn a latent dimension at a time.

    For the same generator and batch, the first columns are the same whatever latent_dim is.
    """
    return random.standard_normal((latent_dim, batch), dtype=np.float32).T


@dataclass(frozen=True)
class Seeds:
    """The seeds of one training, one for each thing that is random in it."""

    init: int
    order: int
    noise: int
    pixels: int
    evaluation: int

    @classmethod
    def from_root(cls, root: int, *path: str | int) -> Self:
        """The seeds below the node `path` of the tree that grows from `root`."""
        return cls(**{field.name: derive(root, *path, field.name) for field in fields(cls)})
