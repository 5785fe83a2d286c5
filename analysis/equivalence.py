"""The region of practical equivalence: as the study file declares it, or from the A/A noise floor of the cell that it names."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from analysis.noise_floor import NoiseFloor, noise_floor
from analysis.readings import Reading, declared_readout, seed_numbers
from analysis.results import StudyResults
from study.cells import Cell, noise_floor_cells
from study.spec import NOISE_FLOOR

NUM_SPLITS = 20_000


@dataclass(frozen=True)
class Margin:
    """Differences below `nats` do not matter; None where the noise floor that was to say it cannot be had, `why_none` says why.

    `floor` is there whenever the study has one, also where the margin is a declared number.
    """

    nats: float | None
    from_noise_floor: bool
    floor: NoiseFloor | None = None
    floor_cell: str = ""
    why_none: str = ""


@lru_cache(maxsize=2)
def equivalence_margin(results: StudyResults) -> Margin:
    """The margin of a study's claims, with its noise floor where it has one."""
    study = results.study
    cell = next(iter(noise_floor_cells(study)), None)
    floor, why_none = _floor(results, cell) if cell else (None, "the study declares no noise_floor")
    if study.equivalence_margin_nats == NOISE_FLOOR:
        return Margin(floor.margin if floor else None, True, floor, cell.label if cell else "", "" if floor else why_none)
    return Margin(float(study.equivalence_margin_nats), False, floor, cell.label if cell else "", "" if floor or cell is None else why_none)


def _floor(results: StudyResults, cell: Cell) -> tuple[NoiseFloor | None, str]:
    """The noise floor of `cell` at the study's number of reporting seeds, or why there is none."""
    study = results.study
    reading = Reading(study.metric, declared_readout(study))
    rows = results.trainings[(results.trainings["cell"] == cell.label) & results.trainings["phase"].isin(["confirm", NOISE_FLOOR])]
    rows = rows[rows["rank"].fillna(0) == 0]
    num_lost = int(rows["outcome"].isin(["diverged", "failed"]).sum())
    if num_lost:
        return None, f"{num_lost} of the {len(rows)} trainings of {cell.label} that it rests on diverged or failed"
    sets = [seed_numbers(results, reading, phase).get(cell.label, {}) for phase in ("confirm", NOISE_FLOOR)]
    first, second = ([held[seed] for seed in sorted(held)] for held in sets)
    if not first or not second:
        return None, f"the trainings of {cell.label} under further seeds are missing"
    asked = study.confirm.num_reporting_seeds
    num_seeds = min(asked, (len(first) + len(second)) // 2)
    found = noise_floor(first, second, num_seeds, study.confidence, NUM_SPLITS, np.random.default_rng([study.seed, len(first), len(second)]))
    return (found if num_seeds == asked else _for_seeds(found, asked)), ""


def _for_seeds(floor: NoiseFloor, num_seeds: int) -> NoiseFloor:
    """The floor of `num_seeds` seeds a side from one of fewer: the standard deviation of a mean falls with the root of their number."""
    share = math.sqrt(floor.num_seeds / num_seeds)
    return NoiseFloor(
        margin=floor.margin * share,
        quantile=floor.quantile,
        num_seeds=num_seeds,
        num_trainings=floor.num_trainings,
        num_splits=floor.num_splits,
        exact=floor.exact,
        normal_margin=floor.normal_margin * share,
        observed=floor.observed,
    )
