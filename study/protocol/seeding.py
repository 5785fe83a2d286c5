"""The seed tree of a study: study seed -> phase -> replicate -> streams, every node keyed by its name."""

from __future__ import annotations

from functools import lru_cache

from study.spec.cells import Cell, Phase
from vae.randomness import Seeds, derive


@lru_cache(maxsize=65_536)
def training_seeds(study_seed: int, phase: Phase, replicate: int, repeat: int = 0) -> Seeds:
    """The seeds of one training: the same in every cell, so that cells are paired; search and confirm never share
    any.

    Each repeat of the search has tuning seeds of its own. The noise floor's are further replicates of the confirm
    phase.
    """
    branch = "search" if phase == "search" else "confirm"
    return Seeds.from_root(
        study_seed, *_of_repeat((branch,), repeat if phase == "search" else 0), f"replicate {replicate}"
    )


def sampler_seed(study_seed: int, cell: Cell, repeat: int = 0, extra_round: int = 0) -> int:
    """The seed of a cell's sampler (32 bits, as Optuna takes them): keyed by the cell's content, so that another
    level changes nothing here."""
    path = _of_repeat(("sampler", cell.label), repeat)
    return derive(study_seed, *path, *((f"extra round {extra_round}",) if extra_round else ())) % 2**32


def _of_repeat(path: tuple[str, ...], repeat: int) -> tuple[str, ...]:
    """The first search has the names that it had before searches were repeated."""
    return (*path, f"repeat {repeat}") if repeat else path
