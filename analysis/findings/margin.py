"""The region of practical equivalence: as the study file declares it, or from the A/A noise floor of the cell that
it names."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from analysis.findings.readings import declared_readout, seed_numbers
from analysis.results.outcomes import LOST
from analysis.results.reader import StudyResults
from analysis.statistics.noise_floor import NoiseFloor, noise_floor
from analysis.statistics.readouts import Reading
from study.spec.cells import Cell, noise_floor_cells
from study.spec.schema import NOISE_FLOOR

NUM_SPLITS = 20_000


@dataclass(frozen=True)
class Margin:
    """Differences below `nats` do not matter; None where the noise floor that was to say it cannot be had,
    `why_none` says why.

    A margin from the noise floor has three digits, so that claims are judged by the number that is printed. `floor`
    is there whenever the study has one, also where the margin is a declared number. `floor_diverged`: it cannot be
    had because trainings of `floor_cell` diverged, and not because they are missing.
    """

    nats: float | None
    from_noise_floor: bool
    floor: NoiseFloor | None = None
    floor_cell: str = ""
    why_none: str = ""
    floor_diverged: bool = False


def equivalence_margin(results: StudyResults) -> Margin:
    """The margin of a study's claims, with its noise floor where it has one."""
    study = results.study
    cell = next(iter(noise_floor_cells(study)), None)
    if study.equivalence_margin_nats == NOISE_FLOOR:
        plain = Margin(None, True, why_none="the study declares no noise_floor")
    else:
        plain = Margin(float(study.equivalence_margin_nats), False)
    if cell is None:
        return plain
    rows = results.trainings[
        (results.trainings["cell"] == cell.label) & results.trainings["phase"].isin(["confirm", NOISE_FLOOR])
    ]
    outcomes = rows.loc[rows["rank"].fillna(0) == 0, "outcome"]
    if outcomes.isin(LOST).any():
        why = (
            f"{int(outcomes.isin(LOST).sum())} of the {len(outcomes)} trainings of {cell.label} that it rests on"
            " diverged or failed"
        )
        return replace(
            plain,
            floor_cell=cell.label,
            why_none=why,
            floor_diverged=bool((outcomes == "diverged").any()) and not (outcomes == "failed").any(),
        )
    absent = results.missing[
        (results.missing["cell"] == cell.label) & results.missing["phase"].isin(["confirm", NOISE_FLOOR])
    ]
    num_absent = int((absent["rank"].fillna(0) == 0).sum())
    if num_absent:
        why = (
            f"{num_absent} of the {len(outcomes) + num_absent} trainings of {cell.label} that it rests on"
            f" {'is' if num_absent == 1 else 'are'} missing"
        )
        return replace(plain, floor_cell=cell.label, why_none=why)
    floor, why_none = _floor(results, cell, len(outcomes))
    nats = (float(f"{floor.margin:.3g}") if floor else None) if plain.from_noise_floor else plain.nats
    return replace(plain, nats=nats, floor=floor, floor_cell=cell.label, why_none=why_none)


def _floor(results: StudyResults, cell: Cell, num_trained: int) -> tuple[NoiseFloor | None, str]:
    """The noise floor of `cell` at the study's number of reporting seeds, or why there is none: not every one of its
    trainings, `num_trained`, has the declared reading."""
    study = results.study
    reading = Reading(study.metric, declared_readout(study))
    sets = [seed_numbers(results, reading, phase).get(cell.label, {}) for phase in ("confirm", NOISE_FLOOR)]
    first, second = ([numbers[seed] for seed in sorted(numbers)] for numbers in sets)
    for numbers, seeds in ((first, "its reporting seeds"), (second, "further seeds")):
        if not numbers:
            return None, f"of {cell.label} under {seeds} there is no {reading.title}"
    if len(first) + len(second) < num_trained:
        return (
            None,
            (
                f"{num_trained - len(first) - len(second)} of the {num_trained} trainings of {cell.label} that it rests"
                f" on have no {reading.title}"
            ),
        )
    num_reporting = study.confirm.num_reporting_seeds
    num_seeds = min(num_reporting, (len(first) + len(second)) // 2)
    floor = noise_floor(
        first,
        second,
        num_seeds,
        study.confidence,
        NUM_SPLITS,
        np.random.default_rng([study.seed, len(first), len(second)]),
    )
    return (floor if num_seeds == num_reporting else _for_seeds(floor, num_reporting)), ""


def _for_seeds(floor: NoiseFloor, num_seeds: int) -> NoiseFloor:
    """The floor of `num_seeds` seeds a side from one of fewer: the standard deviation of a mean falls with the root
    of their number."""
    share = math.sqrt(floor.num_seeds / num_seeds)
    return replace(floor, margin=floor.margin * share, num_seeds=num_seeds, normal_margin=floor.normal_margin * share)
