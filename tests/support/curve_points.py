"""Invented curves as anybody's file holds them: cells whose bounds differ by known amounts, paired by seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

STEPS = (100, 200, 300, 400)


def points(
    cells: Sequence[str] = ("adagrad", "adam"),
    seeds: Iterable[int] = range(6),
    steps: Sequence[int] = STEPS,
    gain: float = 1.0,
    noise: float = 0.1,
) -> pd.DataFrame:
    """A row per cell, seed and step; each cell ends `gain` above the one before it, but for noise that its seeds
    share in part."""
    rows = []
    for place, cell in enumerate(cells):
        for seed in seeds:
            shared, own = (
                np.random.default_rng([1, seed]).normal(0, 3 * noise),
                np.random.default_rng([2, place, seed]).normal(0, noise),
            )
            end = -100 + place * gain + shared + own
            rows += [(cell, seed, step, "bound", end - 50 * math.exp(-step / 80), step / 10 + place) for step in steps]
    return pd.DataFrame(rows, columns=["cell", "seed", "step", "metric", "value", "seconds"])


def exact_points(
    cells: tuple[str, ...] = ("adagrad", "adam"), num_seeds: int = 3, steps: tuple[int, ...] = (100, 200, 300)
) -> pd.DataFrame:
    """Curves without noise: a seed is a nat below the one before it."""
    rows = [
        (cell, seed, step, "bound", -100.0 - seed - 1e4 / step - len(cell), step / 10)
        for cell in cells
        for seed in range(num_seeds)
        for step in steps
    ]
    return pd.DataFrame(rows, columns=["cell", "seed", "step", "metric", "value", "seconds"])


def spoiled(frame: pd.DataFrame, cell: str, seed: int, step: int, value: float = math.nan) -> pd.DataFrame:
    """The same curves, one of which has `value` from `step` on."""
    chosen = (frame["cell"] == cell) & (frame["seed"] == seed) & (frame["step"] >= step)
    return frame.assign(value=frame["value"].mask(chosen, value))


def written(frame: pd.DataFrame, folder: Path, name: str = "curves.csv") -> Path:
    """The file that holds these curves."""
    path = folder / name
    frame.to_csv(path, index=False)
    return path
