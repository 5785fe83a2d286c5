"""Time to a declared target, in samples and in seconds, with censoring kept: a run that never got there has no time,
only a bound on it.

A run that diverged never reaches a target, also where it had passed it before: it is censored at the end of the
budget. An unfinished run is censored where it stopped. Higher is better; times are of the first *evaluated* point at
or above the target.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.duration.survfunc import SurvfuncRight

from analysis.statistics import intervals as statistics
from analysis.statistics.intervals import Interval, Vector
from analysis.statistics.readouts import CellCurves, SeedOutcome

Clock = Literal["samples", "seconds"]


@dataclass(frozen=True)
class TargetTime:
    """When one seed reached the target; where it did not, `time` is when it was last known not to have."""

    seed: int
    time: float
    reached: bool
    outcome: SeedOutcome


@dataclass(frozen=True)
class TargetFinding:
    """One cell's times to one target. `survival` [times]: Kaplan-Meier's share of runs that have not reached it
    after each of `times`.

    `median`: the first time by which half have reached it, None where fewer than half do; with its interval
    (Brookmeyer and Crowley 1982; an end is infinite where the data do not bound it). `restricted_mean`: the area
    under the survival curve up to `budget`, which is the mean of min(time, budget); None where an unfinished run
    leaves the curve open before the budget.
    """

    cell: str
    target: float
    clock: Clock
    budget: float
    times: tuple[TargetTime, ...]
    event_times: Vector
    survival: Vector
    median: float | None
    median_interval: Interval | None
    restricted_mean: float | None

    @property
    def num_reached(self) -> int:
        """How many seeds got there."""
        return sum(time.reached for time in self.times)


@dataclass(frozen=True)
class TimeComparison:
    """Level minus baseline in mean restricted time, by pairs of seeds: negative where the level is faster. None for
    what cannot be had.

    `p` and `interval` are of the paired sign-flip test on min(time, budget); `logrank_p` ignores the pairs and keeps
    the censoring.
    """

    num_pairs: int
    difference: float | None
    interval: Interval | None
    p: float | None
    num_first_level: int
    num_first_baseline: int
    logrank_p: float | None


def budget_of(cells: tuple[CellCurves, ...], clock: Clock) -> float:
    """The end of the budget that all `cells` are judged by: the common last step, or the most seconds that any run
    took."""
    if clock == "samples":
        return float(min(cell.horizon for cell in cells))
    longest = [
        float(np.nanmax(cell.seconds)) for cell in cells if cell.seconds is not None and np.isfinite(cell.seconds).any()
    ]
    if not longest:
        raise ValueError("no cell has seconds; give the column seconds, or ask for the times in samples")
    return max(longest)


def unmeasured_seeds(cell: CellCurves) -> tuple[int, ...]:
    """The seeds that have a point without its seconds, diverged ones aside: by the clock they would seem never to
    have reached what they reached there."""
    sound = np.asarray([outcome != "diverged" for outcome in cell.outcomes])
    seconds = cell.seconds if cell.seconds is not None else np.full_like(cell.curves, math.nan)
    lacking = (np.isfinite(cell.curves) & ~np.isfinite(seconds)).any(axis=1) & sound
    return tuple(seed for seed, lacks in zip(cell.seeds, lacking, strict=True) if lacks)


def target_times(cell: CellCurves, target: float, clock: Clock, budget: float) -> tuple[TargetTime, ...]:
    """Each seed's time to `target`, censored at `budget` at the latest; by seconds only where no seed is of
    `unmeasured_seeds`."""
    if clock == "seconds" and cell.seconds is None:
        raise ValueError(
            f"the cell {cell.cell!r} has no seconds; give the column seconds, or ask for the times in samples"
        )
    return tuple(_target_time(cell, row, target, clock, budget) for row in range(len(cell.seeds)))


def _target_time(cell: CellCurves, row: int, target: float, clock: Clock, budget: float) -> TargetTime:
    seed, outcome, curve = cell.seeds[row], cell.outcomes[row], cell.curves[row]
    if outcome == "diverged":
        return TargetTime(seed, budget, False, outcome)
    ticks = cell.steps.astype(np.float64) if cell.seconds is None or clock == "samples" else cell.seconds[row]
    known = np.isfinite(curve) & np.isfinite(ticks)
    above = np.flatnonzero(known & (curve >= target))
    if above.size and ticks[above[0]] <= budget:
        return TargetTime(seed, float(ticks[above[0]]), True, outcome)
    last = float(ticks[known].max(initial=0.0))
    return TargetTime(seed, min(last, budget), False, outcome)


def target_finding(cell: CellCurves, target: float, clock: Clock, budget: float, confidence: float) -> TargetFinding:
    """The cell's times to `target`, their Kaplan-Meier curve (Kaplan and Meier 1958), its median and its restricted
    mean."""
    times = target_times(cell, target, clock, budget)
    moments = np.asarray([time.time for time in times], dtype=np.float64)
    reached = np.asarray([time.reached for time in times])
    # scipy counts a run that is censored at t as still at risk for what happens at t.
    curve = stats.ecdf(stats.CensoredData.right_censored(moments, ~reached)).sf
    event_times, survival = (
        np.asarray(curve.quantiles, dtype=np.float64),
        np.asarray(curve.probabilities, dtype=np.float64),
    )
    median = _first_at_most_half(event_times, survival)
    known = moments.max() >= budget or survival[-1] == 0
    return TargetFinding(
        cell=cell.cell,
        target=target,
        clock=clock,
        budget=budget,
        times=times,
        event_times=event_times,
        survival=survival,
        median=median,
        median_interval=_median_interval(moments, reached, confidence),
        restricted_mean=_area(event_times, survival, budget) if known else None,
    )


def _first_at_most_half(moments: Vector, survival: Vector) -> float | None:
    below_half = np.flatnonzero(survival <= 0.5 + 1e-12)
    return float(moments[below_half[0]]) if below_half.size else None


def _area(moments: Vector, survival: Vector, budget: float) -> float:
    """The integral of the survival step function from 0 to `budget`."""
    inside = moments < budget
    edges = np.concatenate([[0.0], moments[inside], [budget]])
    return float(np.sum(np.diff(edges) * np.concatenate([[1.0], survival[inside]])))


def _median_interval(moments: Vector, reached: NDArray[np.bool_], confidence: float) -> Interval | None:
    """The times whose survival is not told from 1/2, on the log(-log) scale; None where nobody reached the target,
    and for one seed."""
    if moments.size < 2 or not reached.any():
        return None
    with np.errstate(all="ignore"):  # log(-log) of a survival of 0, which no time is taken from
        low, high = SurvfuncRight(moments, reached.astype(np.int64)).quantile_ci(
            0.5, alpha=1 - confidence, method="cloglog"
        )
    return Interval(float(low), float(high)) if math.isfinite(low) else None


def compare_times(
    level: TargetFinding, baseline: TargetFinding, confidence: float, generator: np.random.Generator
) -> TimeComparison:
    """Whether `level` reaches the target sooner: pairs by seed, min(time, budget), a run that never reaches it
    counted at the budget."""
    if (level.clock, level.target, level.budget) != (baseline.clock, baseline.target, baseline.budget):
        raise ValueError(
            f"times are compared at one target and one budget; got {level.target:g} by {level.budget:g} and"
            f" {baseline.target:g} by {baseline.budget:g}"
        )
    ours, theirs = (
        {time.seed: time for time in side.times if time.outcome != "unfinished" or time.reached}
        for side in (level, baseline)
    )
    seeds = sorted(set(ours) & set(theirs))
    budget = level.budget
    left, right = (
        np.asarray([side[seed].time if side[seed].reached else budget for seed in seeds], dtype=np.float64)
        for side in (ours, theirs)
    )
    test = statistics.sign_flip(left - right, confidence, generator) if seeds else None
    return TimeComparison(
        num_pairs=len(seeds),
        difference=float((left - right).mean()) if seeds else None,
        interval=test.interval if test and test.interval.is_finite else None,
        p=test.p if test else None,
        num_first_level=int((left < right).sum()),
        num_first_baseline=int((left > right).sum()),
        logrank_p=_logrank_p(level, baseline),
    )


def _logrank_p(level: TargetFinding, baseline: TargetFinding) -> float | None:
    if not level.num_reached + baseline.num_reached:
        return None
    sides = [
        stats.CensoredData.right_censored(
            np.asarray([time.time for time in side.times]), np.asarray([not time.reached for time in side.times])
        )
        for side in (level, baseline)
    ]
    with np.errstate(all="ignore"):  # no variance where all got there at the same time
        p = float(stats.logrank(sides[0], sides[1]).pvalue)
    return p if math.isfinite(p) else None
