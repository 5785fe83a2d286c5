"""The seed tree of a study: study seed -> phase -> replicate -> streams, every node keyed by its name."""

from __future__ import annotations

from functools import lru_cache

from study.cells import Cell, Phase
from vae.randomness import Seeds, derive


@lru_cache(maxsize=65_536)
def training_seeds(study_seed: int, phase: Phase, replicate: int) -> Seeds:
    """The seeds of one training: the same in every cell, so that cells are paired; search and confirm never share any."""
    return Seeds.from_root(study_seed, phase, f"replicate {replicate}")


def sampler_seed(study_seed: int, cell: Cell) -> int:
    """The seed of a cell's sampler (32 bits, as Optuna takes them): keyed by the cell's content, so that another level changes nothing here."""
    return derive(study_seed, "sampler", cell.label) % 2**32
