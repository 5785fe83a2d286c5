"""What curves from a file say: every cell, every pair of cells that is compared, times to targets, ranks. No study,
no drawing here.

Inside, higher is better everywhere: a metric that is better when lower is negated on the way in and turned back
where a number is shown.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from analysis.claims.schema import Kind
from analysis.curves.aligned import metric_curves
from analysis.curves.direction import higher_is_better
from analysis.curves.file import CurveFileError
from analysis.curves.table import CurveTable
from analysis.statistics.intervals import Band, Interval, Vector, mean_band, t_interval
from analysis.statistics.pairs import ComparedSide, PairedComparison, paired_result, with_holm
from analysis.statistics.rankings import RankFinding, rank_finding
from analysis.statistics.readouts import (
    CellCurves,
    Reading,
    Readout,
    lasting_crossovers,
    seed_outcomes,
    seed_readouts,
)
from analysis.statistics.targets import (
    Clock,
    TargetFinding,
    TimeComparison,
    budget_of,
    compare_times,
    target_finding,
    unmeasured_seeds,
)
from analysis.statistics.unpaired import unpaired_result
from analysis.statistics.verdicts import Rule
from vae.settings.nearest import unknown_name_message

MOST_CELLS_IN_ALL_PAIRS = 8
MOST_LAST_POINTS = 5
DRAWS = 0  # the seed of whatever is drawn: no name of a cell changes a number
FINAL, BEST = Readout("final"), Readout("best")

Design = Literal["baseline", "all pairs", "best against the others"]


@dataclass(frozen=True)
class CurvesRequest:
    """What a person asks of a file of curves. `margin` 0: no difference is small enough to be called equivalent.
    `higher_is_better` None: nobody said it, so that name and curves may refuse. `early_stopping`: curves that end early
    ended by their own rule. `unpaired`: the same seed in two cells means nothing."""

    metric: str = ""
    baseline: str = ""
    primary: tuple[str, str] | None = None
    readout: Readout = FINAL
    margin: float = 0.0
    confidence: float = 0.95
    targets: tuple[float, ...] = ()
    higher_is_better: bool | None = True
    unit: str = ""
    early_stopping: bool = False
    unpaired: bool = False

    @property
    def sign(self) -> float:
        """What a number is multiplied by so that higher is better."""
        return -1.0 if self.higher_is_better is False else 1.0


@dataclass(frozen=True)
class CurveCell:
    """One cell: `finals` by seed, and its mean with a t interval where no seed diverged; all as they were measured,
    not negated."""

    curves: CellCurves
    finals: Mapping[int, float]
    mean: float | None
    interval: Interval | None
    steps: Vector
    band: Band | None
    seconds: Vector | None

    @property
    def name(self) -> str:
        """The cell as the file names it."""
        return self.curves.cell


@dataclass(frozen=True)
class CurvePair(PairedComparison):
    """Level minus baseline, positive where the level is better. `num_missing`: trainings that are unfinished, or under
    a seed that the other cell has not. `num_lost_level`, `num_lost_baseline`: trainings that diverged. `num_unpaired`:
    the trainings of level and baseline where they are no pairs."""

    level: str
    baseline: str
    kind: Kind
    num_missing: int
    num_lost_level: int
    num_lost_baseline: int
    num_unpaired: tuple[int, int] | None = None

    @property
    def title(self) -> str:
        """`adam against adagrad`."""
        return f"{self.level} against {self.baseline}"

    @property
    def num_lost(self) -> int:
        """Trainings of either side that diverged."""
        return self.num_lost_level + self.num_lost_baseline


@dataclass(frozen=True)
class TargetTable:
    """Times of every cell to one target on one clock, and of each pair; `target` as it was given."""

    target: float
    clock: Clock
    cells: tuple[TargetFinding, ...]
    pairs: tuple[tuple[str, str, TimeComparison], ...]


@dataclass(frozen=True)
class CurvesFindings:
    """All that is said about the curves; `cells` best first, those without a mean last; `pairs` the leading one
    first. `request` has its direction filled in. `too_early_for`: where curves end, if their last common step, the
    horizon, lies so far before it that nothing is compared."""

    request: CurvesRequest
    direction_is_said: bool
    metric: str
    horizon: int
    too_early_for: int | None
    num_points: int
    cells: tuple[CurveCell, ...]
    design: Design
    pairs: tuple[CurvePair, ...]
    targets: tuple[TargetTable, ...]
    target_is_chosen: bool
    ranks: RankFinding | None
    has_seconds: bool
    notes: tuple[str, ...]


def curves_findings(table: CurveTable, request: CurvesRequest) -> CurvesFindings:
    """The findings; a CurveFileError where the file cannot answer what is asked, with what it could."""
    metric, asked = _metric(table, request), request
    if asked.higher_is_better is None and metric in table.metrics:
        rows = table.frame[table.frame["metric"] == metric]
        request = replace(asked, higher_is_better=higher_is_better(rows, metric))
    oriented = replace(table, frame=table.frame.assign(value=request.sign * table.frame["value"]))
    selection = metric_curves(oriented, metric, request.early_stopping)
    _check(selection.cells, request)
    is_near = selection.is_near
    cells = tuple(
        sorted(
            (_curve_cell(curves, request, is_near) for curves in selection.cells),
            key=lambda cell: _order(cell, request),
        )
    )
    design, planned = _planned_pairs(cells, request)
    by_name = {cell.name: cell.curves for cell in cells}
    compared = _pair if is_near else _open_pair
    every = [compared(by_name[level], by_name[baseline], kind, request) for level, baseline, kind in planned]
    pairs = _corrected(every, len(cells) if design == "best against the others" else 0)
    targets = (request.targets or _target_that_all_reach(cells, request)) if is_near else ()
    return CurvesFindings(
        request=request,
        direction_is_said=asked.higher_is_better is not None,
        metric=metric,
        horizon=cells[0].curves.horizon,
        too_early_for=None if is_near else selection.horizon,
        num_points=cells[0].curves.steps.size,
        cells=cells,
        design=design,
        pairs=pairs,
        targets=_target_tables(cells, pairs, targets, request),
        target_is_chosen=not request.targets,
        ranks=_ranks(cells, request) if len(cells) > 1 and is_near else None,
        has_seconds=all(cell.curves.seconds is not None for cell in cells),
        notes=tuple(
            dict.fromkeys(
                [
                    *table.notes,
                    *selection.notes,
                    *(_seconds_notes(selection.cells) if table.has_seconds and targets else ()),
                ]
            )
        ),
    )


def _corrected(pairs: Sequence[CurvePair], num_picked_from: int) -> tuple[CurvePair, ...]:
    """With Holm's p: a primary claim alone, all others together, with all pairs that the best cell was picked from."""
    primary, others = ([pair for pair in pairs if (pair.kind == "primary") == is_so] for is_so in (True, False))
    return (*with_holm(primary), *with_holm(others, max(0, math.comb(num_picked_from, 2) - len(pairs))))


def _metric(table: CurveTable, request: CurvesRequest) -> str:
    if request.metric:
        return request.metric
    if len(table.metrics) > 1:
        raise CurveFileError(
            f"the file holds {len(table.metrics)} metrics; name the one that is compared with --metric. Allowed:"
            f" {', '.join(table.metrics)}."
        )
    return table.metrics[0]


def _check(cells: Sequence[CellCurves], request: CurvesRequest) -> None:
    """That the cells asked for are there, and enough points for the readout."""
    names = [cell.cell for cell in cells]
    options = [("--baseline", request.baseline)] if request.baseline else []
    options += [("--primary", name) for name in request.primary or ()]
    for option, name in options:
        if name not in names:
            raise CurveFileError(f"{option}: {unknown_name_message(name, names, 'a cell of these curves')}")
    if request.primary and request.primary[0] == request.primary[1]:
        raise CurveFileError(
            f"--primary names {request.primary[0]!r} twice; allowed: two different cells, the level and the baseline"
        )
    num_points = cells[0].steps.size
    if request.readout.num_points > num_points:
        raise CurveFileError(
            f"the readout '{request.readout.title}' takes {request.readout.num_points} points; the cells share"
            f" {num_points}. Allowed: at most {num_points}."
        )


def _order(cell: CurveCell, request: CurvesRequest) -> tuple[float, str]:
    return (-request.sign * cell.mean if cell.mean is not None else math.inf, cell.name)


def _curve_cell(curves: CellCurves, request: CurvesRequest, is_near: bool) -> CurveCell:
    """The cell; without numbers of its seeds unless the last common step `is_near` the end."""
    readouts = seed_readouts(curves, request.readout) if is_near else {}
    finals = {seed: request.sign * number for seed, number in readouts.items()}
    is_complete = bool(finals) and not curves.num("diverged")
    ran = np.asarray([outcome != "unfinished" for outcome in curves.outcomes])
    values = request.sign * curves.curves[ran]
    shared = np.isfinite(values).all(axis=0) if ran.any() else np.zeros(curves.steps.size, dtype=bool)
    seconds = curves.seconds[ran][:, shared].mean(axis=0) if curves.seconds is not None and shared.any() else None
    return CurveCell(
        curves=curves,
        finals=finals,
        mean=float(np.mean(list(finals.values()))) if is_complete else None,
        interval=t_interval(list(finals.values()), request.confidence) if is_complete else None,
        steps=curves.steps[shared].astype(np.float64),
        band=mean_band(values[:, shared], request.confidence) if shared.any() else None,
        seconds=seconds,
    )


def _planned_pairs(cells: Sequence[CurveCell], request: CurvesRequest) -> tuple[Design, list[tuple[str, str, Kind]]]:
    """Which pairs are compared, (level, baseline, kind), the primary one first, then by rank."""
    names = [cell.name for cell in cells]
    design: Design
    if request.baseline:
        design, chosen = "baseline", [(name, request.baseline) for name in names if name != request.baseline]
    elif len(names) <= MOST_CELLS_IN_ALL_PAIRS:
        design, chosen = "all pairs", list(itertools.combinations(names, 2))
    else:
        design, chosen = "best against the others", [(names[0], name) for name in names[1:]]
    rest: list[tuple[str, str, Kind]] = [
        (level, baseline, "exploratory")
        for level, baseline in chosen
        if {level, baseline} != set(request.primary or ())
    ]
    return design, ([(*request.primary, "primary"), *rest] if request.primary else rest)


def readouts_of(num_points: int, readout: Readout) -> tuple[Readout, ...]:
    """The readouts that verdicts are given under: the one asked for first, then the others."""
    last = Readout("mean_of_last", max(2, min(MOST_LAST_POINTS, num_points // 4)))
    kinds = (FINAL, BEST, last) if num_points > 2 else (FINAL, BEST)
    return (readout, *(other for other in kinds if other.kind != readout.kind))


def _pair(level: CellCurves, baseline: CellCurves, kind: Kind, request: CurvesRequest) -> CurvePair:
    """Everything about one pair: by pairs of seeds, or where these mean nothing, as two groups."""
    is_unpaired = request.unpaired or not set(level.seeds) & set(baseline.seeds)
    readings = [Reading("", readout) for readout in readouts_of(level.steps.size, request.readout)]
    num_unfinished = level.num("unfinished") + baseline.num("unfinished")
    num_missing = num_unfinished + (0 if is_unpaired else len(set(level.seeds) ^ set(baseline.seeds)))
    result = (unpaired_result if is_unpaired else paired_result)(
        _side(level, readings),
        _side(baseline, readings),
        Rule(request.confidence, request.margin),
        DRAWS,
        is_whole=not num_missing,
    )
    crossovers = lasting_crossovers(
        replace(level, cell="level"), replace(baseline, cell="baseline"), request.confidence
    )
    numbers = tuple(len(side.seeds) - side.num("unfinished") for side in (level, baseline))
    return CurvePair(
        result=replace(result, crossovers=() if is_unpaired else crossovers),
        level=level.cell,
        baseline=baseline.cell,
        kind=kind,
        num_missing=num_missing,
        num_lost_level=level.num("diverged"),
        num_lost_baseline=baseline.num("diverged"),
        num_unpaired=(numbers[0], numbers[1]) if is_unpaired else None,
    )


def _open_pair(level: CellCurves, baseline: CellCurves, kind: Kind, request: CurvesRequest) -> CurvePair:
    """A pair of which nothing is said, as its curves are not compared."""
    nobody = ComparedSide({Reading("", request.readout): {}})
    result = paired_result(nobody, nobody, Rule(request.confidence, request.margin), DRAWS, is_whole=False)
    return CurvePair(
        result=result,
        level=level.cell,
        baseline=baseline.cell,
        kind=kind,
        num_missing=0,
        num_lost_level=level.num("diverged"),
        num_lost_baseline=baseline.num("diverged"),
    )


def _side(curves: CellCurves, readings: Sequence[Reading]) -> ComparedSide:
    outcomes = {reading: seed_outcomes(curves, reading.readout) for reading in readings}
    return ComparedSide(outcomes, num_lost=curves.num("diverged"))


def _target_that_all_reach(cells: Iterable[CurveCell], request: CurvesRequest) -> tuple[float, ...]:
    """The mean that the worst cell ends at, where nobody named a target; nothing where no cell has a mean."""
    means = [cell.mean for cell in cells if cell.mean is not None]
    return (request.sign * min(request.sign * mean for mean in means),) if means else ()


def _target_tables(
    cells: Sequence[CurveCell], pairs: Sequence[CurvePair], targets: Sequence[float], request: CurvesRequest
) -> tuple[TargetTable, ...]:
    curves = tuple(cell.curves for cell in cells)
    if curves[0].steps.size < 2:
        return ()
    is_timed = all(cell.seconds is not None and not unmeasured_seeds(cell) for cell in curves)
    clocks: tuple[Clock, ...] = ("samples", "seconds") if is_timed else ("samples",)
    return tuple(_target_table(curves, pairs, target, clock, request) for target in targets for clock in clocks)


def _seconds_notes(cells: Sequence[CellCurves]) -> list[str]:
    """Why no time is given in seconds, though the file has some."""
    lacking = [
        f"cell {cell.cell!r}, seed {', '.join(map(str, seeds))}" for cell in cells if (seeds := unmeasured_seeds(cell))
    ]
    if not lacking:
        return []
    return [
        f"No time to a target in seconds: points of {'; '.join(lacking)} have none, and would count as never reached."
    ]


def _target_table(
    cells: tuple[CellCurves, ...], pairs: Sequence[CurvePair], target: float, clock: Clock, request: CurvesRequest
) -> TargetTable:
    budget = budget_of(cells, clock)
    by_cell = {
        cell.cell: target_finding(cell, request.sign * target, clock, budget, request.confidence) for cell in cells
    }
    compared = [
        (
            pair.level,
            pair.baseline,
            compare_times(
                by_cell[pair.level],
                by_cell[pair.baseline],
                request.confidence,
                np.random.default_rng(DRAWS),
            ),
        )
        for pair in pairs
    ]
    return TargetTable(target, clock, tuple(by_cell.values()), tuple(compared))


def _ranks(cells: Sequence[CurveCell], request: CurvesRequest) -> RankFinding:
    """Ranks within seeds; a diverged seed is last, an unfinished one leaves its seed out."""
    scores: dict[str, dict[int, float]] = {}
    for cell in cells:
        lost = {
            seed: -math.inf
            for seed, outcome in zip(cell.curves.seeds, cell.curves.outcomes, strict=True)
            if outcome == "diverged"
        }
        scores[cell.name] = {seed: request.sign * number for seed, number in cell.finals.items()} | lost
    return rank_finding(scores, request.confidence)
