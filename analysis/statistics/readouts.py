"""Curves read out as one number per seed, and where two mean curves change order.

Every metric here is better when higher: negate a loss first. A seed that diverged has no readout, not even a best one:
the best value before a divergence would reward the luck of the moment.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.statistics.intervals import Vector

Matrix = NDArray[np.float64]
SeedOutcome = Literal["finished", "diverged", "unfinished"]


@dataclass(frozen=True)
class CellCurves:
    """The curves of one cell's seeds in one metric, at steps that all finished seeds share.

    `steps` [points], ascending; `curves` [seeds, points], NaN from where a seed diverged and where an unfinished one
    has no point; `seconds` [seeds, points], or None where nobody measured them. `seeds` ascending; `outcomes` in
    their order.
    """

    cell: str
    seeds: tuple[int, ...]
    outcomes: tuple[SeedOutcome, ...]
    steps: np.ndarray[Any, np.dtype[np.int64]]
    curves: Matrix
    seconds: Matrix | None = None

    @property
    def horizon(self) -> int:
        """The last step, at which a finished seed ends."""
        return int(self.steps[-1])

    def num(self, outcome: SeedOutcome) -> int:
        """How many seeds ended so."""
        return self.outcomes.count(outcome)


@dataclass(frozen=True)
class Readout:
    """How a curve becomes one number: its `final` point, its `best`, or the `mean_of_last` so many points."""

    kind: Literal["final", "best", "mean_of_last"]
    num_points: int = 1

    def __post_init__(self) -> None:
        if self.num_points < 1:
            raise ValueError(f"a readout takes at least one point; got {self.num_points}")

    @property
    def title(self) -> str:
        """In words: `mean of the last 5`."""
        return f"mean of the last {self.num_points}" if self.kind == "mean_of_last" else self.kind

    def of(self, curve: Vector) -> float:
        """The number that `curve` [points] comes to; NaN where any of its points is not finite."""
        if curve.size < self.num_points:
            raise ValueError(f"the readout '{self.title}' takes {self.num_points} points; the curve has {curve.size}")
        if not np.isfinite(curve).all():
            return math.nan
        if self.kind == "best":
            return float(curve.max())
        return float(curve[-1] if self.kind == "final" else curve[-self.num_points :].mean())


@dataclass(frozen=True)
class Reading:
    """What a training is compared by: the metric, and its curve's readout. No metric where every reading is of one."""

    metric: str
    readout: Readout

    @property
    def title(self) -> str:
        """In words: `validation lower bound, best`."""
        return f"{metric_title(self.metric)}, {self.readout.title}" if self.metric else self.readout.title


def metric_title(metric: str) -> str:
    """A metric in words: `test lower bound`."""
    return metric.replace("/", " ").replace("_", " ")


@dataclass(frozen=True)
class Crossover:
    """A change of order of two mean curves between two neighbouring steps; `step` where straight lines between them
    meet.

    `num_agree` of `num_seeds` seeds change order themselves: by their own mean difference over the stretch since the
    previous crossover they were on one side, and over the stretch to the next one on the other.
    """

    step_before: int
    step_after: int
    step: float
    leader_after: str
    num_agree: int
    num_seeds: int


def seed_readouts(cell: CellCurves, readout: Readout) -> dict[int, float]:
    """The readout of each finished seed; diverged and unfinished seeds have none."""
    numbers = {}
    for seed, outcome, curve in zip(cell.seeds, cell.outcomes, cell.curves, strict=True):
        number = readout.of(curve) if outcome == "finished" else math.nan
        if math.isfinite(number):
            numbers[seed] = number
    return numbers


def seed_outcomes(cell: CellCurves, readout: Readout) -> dict[int, float | None]:
    """The readout of each seed that ended, None where it diverged."""
    diverged = (seed for seed, outcome in zip(cell.seeds, cell.outcomes, strict=True) if outcome == "diverged")
    return dict.fromkeys(diverged) | seed_readouts(cell, readout)


def rank_crossovers(first: CellCurves, second: CellCurves) -> tuple[Crossover, ...]:
    """Every change of order of the two mean curves, over the seeds and steps that both have and up to where the
    first seed was lost.

    Means are over all common seeds that are not unfinished, nobody dropped. Points where the means are equal belong
    to the stretch before them.
    """
    steps, differences = _common_differences(first, second)
    return _crossovers(first, second, steps, differences, _changes(differences))


def lasting_crossovers(first: CellCurves, second: CellCurves, confidence: float) -> tuple[Crossover, ...]:
    """The changes of order that are no noise: the lead before each and the lead after it are both told from 0.

    A stretch between two changes has a lead by each seed's mean over it: told from 0 by Student's t over the seeds, at
    `confidence` for all stretches together (Bonferroni). The least sure stretch is taken into its neighbours until all
    are. None with a single seed, whose noise is not known.
    """
    steps, differences = _common_differences(first, second)
    changes = _changes(differences)
    if not changes or len(differences) < 2:
        return ()
    starts = _sure_starts(differences, [after for _, after in changes], confidence)
    return _crossovers(first, second, steps, differences, [change for change in changes if change[1] in starts])


def _sure_starts(differences: Matrix, starts: list[int], confidence: float) -> frozenset[int]:
    """The points among `starts` at which a lead begins that is sure, after another sure one of the other side."""
    num_seeds, num_points = differences.shape
    sums = np.concatenate([np.zeros((num_seeds, 1)), differences.cumsum(axis=1)], axis=1)
    quantile = stats.t.ppf(1 - (1 - confidence) / (2 * (len(starts) + 1)), num_seeds - 1)
    bounds = np.asarray([0, *starts, num_points])
    while bounds.size > 2:
        leads = np.diff(sums[:, bounds], axis=1) / np.diff(bounds)
        mean, error = leads.mean(axis=0), leads.std(axis=0, ddof=1) / math.sqrt(num_seeds)
        same = np.flatnonzero(mean[1:] * mean[:-1] > 0)
        sureness = np.abs(mean) - quantile * error
        least = int(np.argmin(np.abs(mean) / np.maximum(error, np.finfo(float).tiny)))
        if same.size:
            bounds = np.delete(bounds, same + 1)
        elif (sureness > 0).all():
            break
        else:  # the first and the last point of all stay
            bounds = np.delete(bounds, [index for index in (least, least + 1) if 0 < index < bounds.size - 1])
    return frozenset(int(bound) for bound in bounds[1:-1])


def _changes(differences: Matrix) -> list[tuple[int, int]]:
    """The points before and after each change of sign of the mean difference."""
    mean = differences.mean(axis=0) if differences.size else np.zeros(0)
    signed = np.flatnonzero(mean != 0)
    return [(int(a), int(b)) for a, b in itertools.pairwise(signed) if mean[a] * mean[b] < 0]


def _crossovers(
    first: CellCurves,
    second: CellCurves,
    steps: np.ndarray[Any, np.dtype[np.int64]],
    differences: Matrix,
    changes: list[tuple[int, int]],
) -> tuple[Crossover, ...]:
    mean = differences.mean(axis=0) if changes else np.zeros(0)
    bounds = [0, *[after for _, after in changes], steps.size]
    crossovers = []
    for index, (before, after) in enumerate(changes):
        old = differences[:, bounds[index] : bounds[index + 1]].mean(axis=1)
        new = differences[:, after : bounds[index + 2]].mean(axis=1)
        agree = (np.sign(old) == np.sign(mean[before])) & (np.sign(new) == np.sign(mean[after]))
        share = mean[before] / (mean[before] - mean[after])
        crossovers.append(
            Crossover(
                step_before=int(steps[before]),
                step_after=int(steps[after]),
                step=float(steps[before] + share * (steps[after] - steps[before])),
                leader_after=first.cell if mean[after] > 0 else second.cell,
                num_agree=int(agree.sum()),
                num_seeds=len(differences),
            )
        )
    return tuple(crossovers)


def _common_differences(first: CellCurves, second: CellCurves) -> tuple[np.ndarray[Any, np.dtype[np.int64]], Matrix]:
    """First minus second, [seeds, points], with its steps; no points from where a seed diverged."""
    steps, ours, theirs = np.intersect1d(first.steps, second.steps, assume_unique=True, return_indices=True)
    rows_by_seed = [
        {
            seed: row
            for row, (seed, outcome) in enumerate(zip(cell.seeds, cell.outcomes, strict=True))
            if outcome != "unfinished"
        }
        for cell in (first, second)
    ]
    seeds = sorted(set(rows_by_seed[0]) & set(rows_by_seed[1]))
    if not seeds:
        return steps[:0], np.zeros((0, 0))
    left, right = ([rows_by_seed[side][seed] for seed in seeds] for side in (0, 1))
    differences = first.curves[left][:, ours] - second.curves[right][:, theirs]
    is_complete = np.logical_and.accumulate(np.isfinite(differences).all(axis=0))
    return steps[is_complete], differences[:, is_complete]
