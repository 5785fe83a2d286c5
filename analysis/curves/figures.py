"""The figures of a page about curves from a file: learning curves against steps and seconds, paired differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from analysis.curves.findings import CurveCell, CurvesFindings
from analysis.document.explorer import CURVES, ExplorerData, Group, Measured
from analysis.document.sections import Drawing, Figure
from analysis.figures.canvas import to_figure
from analysis.figures.curve_lines import COLUMNS, curve_dataset
from analysis.figures.differences import differences_by_kind
from analysis.figures.lines import Line, Lines, LinesView, LineWords, spans_decades
from analysis.figures.panels import Axis, one_panel
from analysis.figures.style import OPTIMIZER_COLOURS, OPTIMIZER_SHAPES, OTHER_COLOURS, dash
from analysis.statistics.intervals import rounded

MOST_CELLS_DRAWN = 8
MOST_PAIRS_DRAWN = 12
MOST_DECIMALS = 12


def curves_frame(cells: Sequence[CurveCell]) -> pd.DataFrame:
    """The numbers of the learning curves: a row per cell and step; `seconds` is the mean over the same seeds."""
    rows = []
    for cell in cells:
        if cell.band is None:
            continue
        num_seeds = len(cell.curves.seeds) - cell.curves.num("unfinished")
        seconds = cell.seconds if cell.seconds is not None else np.full(cell.steps.size, math.nan)
        for step, clock, mean, low, high in zip(
            cell.steps, seconds, cell.band.mean, cell.band.low, cell.band.high, strict=True
        ):
            rows.append((cell.name, int(step), rounded(clock), rounded(mean), rounded(low), rounded(high), num_seeds))
    frame = pd.DataFrame(rows, columns=["cell", "step", "seconds", "mean", "low", "high", "num_seeds"])
    return frame if frame["seconds"].notna().any() else frame.drop(columns="seconds")


def drawn_cells(findings: CurvesFindings) -> list[CurveCell]:
    """The best cells that have a curve of two points or more, as many as are drawn."""
    return [cell for cell in findings.cells if cell.band is not None and cell.steps.size > 1][:MOST_CELLS_DRAWN]


def learning_curves(findings: CurvesFindings) -> tuple[Figure, ...]:
    """Mean curves with bands against steps, and against seconds where they were measured; none where no cell has a
    curve of two points."""
    drawn = drawn_cells(findings)
    if not drawn:
        return ()
    request = findings.request
    left_out = len(findings.cells) - len(drawn)
    caption = (
        f"Mean over the seeds of each cell; the band is the pointwise {100 * request.confidence:g} % t interval of the"
        f" mean (none for a single seed). {'Lower' if request.sign < 0 else 'Higher'} is better. A curve ends"
        " where the first of its seeds diverged"
        + (f"; {left_out} cells are left out: the {len(drawn)} best are drawn." if left_out else ".")
    )
    frame, title = curves_frame(drawn), f"Learning curves: {findings.metric}"
    by_step = to_figure("curves_by_step", title, caption, frame, _lines(findings, drawn))
    if not findings.has_seconds:
        return (by_step,)
    clock = "Against the mean of the seconds that the seeds took up to each step. " + caption
    by_seconds = replace(
        _lines(findings, drawn),
        lines=tuple(
            _line(findings.metric, cell, cell.seconds if cell.seconds is not None else cell.steps) for cell in drawn
        ),
        views=(LinesView("seconds", "seconds", Axis("along", "seconds of training")),),
    )
    figure = to_figure("timing_curves_by_seconds", f"{title}, against time", clock, frame, by_seconds)
    return by_step, replace(figure, draw=partial(_unexplored, figure.draw))  # the first figure's has seconds too


def _unexplored(draw: Callable[[], Drawing]) -> Drawing:
    return replace(draw(), explorer=None)


def explored_curves(findings: CurvesFindings) -> ExplorerData:
    """The curves of all seeds that the page's explorer draws; unfinished ones are left out, as they are from the
    means."""
    rows, num_seeds, sign = [], {}, findings.request.sign
    for cell in drawn_cells(findings):
        curves = cell.curves
        indices = [row for row, outcome in enumerate(curves.outcomes) if outcome != "unfinished"]
        num_seeds[cell.name] = len(indices)
        for row in indices:
            seconds = curves.seconds[row] if curves.seconds is not None else np.full(curves.steps.size, math.nan)
            points = zip(curves.steps, seconds, sign * curves.curves[row], strict=True)
            rows += [
                (cell.name, curves.seeds[row], findings.metric, int(step), clock, number)
                for step, clock, number in points
            ]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return curve_dataset(frame, [_measured(findings)], findings.request.confidence, num_seeds, ("at step ", ""))


def _measured(findings: CurvesFindings) -> Measured:
    """The metric with as many places as tell its cells apart, whatever its size: a ten-thousandth of what its
    trainings differ by."""
    request, finals = findings.request, [number for cell in findings.cells for number in cell.finals.values()]
    size = (max(finals) - min(finals) or max(map(abs, finals))) if finals else 0.0
    decimals = min(MOST_DECIMALS, max(0, 4 - math.floor(math.log10(size)))) if size else MOST_DECIMALS // 2
    return Measured(findings.metric, findings.metric, request.unit, "lower" if request.sign < 0 else "higher", decimals)


def _lines(findings: CurvesFindings, cells: Sequence[CurveCell]) -> Lines:
    """The curves against steps: the colour is the cell's own, whatever its place in the order of merit."""
    request, names = findings.request, sorted(cell.name for cell in cells)
    colours = cell_colours(names)
    groups = tuple(
        Group(
            cell.name,
            cell.name,
            colours[cell.name],
            dash(names.index(cell.name)),
            OPTIMIZER_SHAPES.get(cell.name.lower(), "circle"),
        )
        for cell in cells
    )
    words = LineWords("step", request.unit or "number", timed=findings.has_seconds)
    steps = Axis("along", "step", spans_decades([cell.steps for cell in cells]))
    seconds = Axis("seconds", "training time (seconds)")
    return Lines(
        groups=groups,
        panels=one_panel(groups),
        lines=tuple(_line(findings.metric, cell, cell.steps) for cell in cells),
        measured=(_measured(findings),),
        views=(
            LinesView("samples", "steps", steps, words),
            LinesView("seconds", "training time", seconds, words, needs_seconds=True),
        ),
        vertical=f"{findings.metric} ({request.unit})" if request.unit else findings.metric,
        points="last",
        dataset=CURVES,
        about=(
            f"Thick: the mean over the seeds of a cell, with its pointwise {100 * request.confidence:g} % t interval."
            " Thin: single seeds."
        ),
    )


def _line(metric: str, cell: CurveCell, along: np.ndarray[Any, Any]) -> Line:
    assert cell.band is not None
    mean, low, high = ({metric: part.tolist()} for part in (cell.band.mean, cell.band.low, cell.band.high))
    return Line(cell.name, along.tolist(), mean, low, high)


def cell_colours(names: Sequence[str]) -> dict[str, str]:
    """An optimizer's own colour for a cell of its name, and for the others, in the order of their names, what is
    left of the palette."""
    by_optimizer = {name: colour for name in sorted(names) if (colour := OPTIMIZER_COLOURS.get(name.lower()))}
    palette = [colour for colour in OTHER_COLOURS if colour not in by_optimizer.values()] or list(OTHER_COLOURS)
    others = sorted(set(names) - set(by_optimizer))
    return by_optimizer | {name: palette[position % len(palette)] for position, name in enumerate(others)}


def differences_frame(findings: CurvesFindings) -> pd.DataFrame:
    """The paired differences seed by seed, one row each; positive where the level is better."""
    rows = [
        (pair.level, pair.baseline, pair.kind, seed, rounded(difference))
        for pair in findings.pairs
        for seed, difference in zip(pair.seeds, pair.differences, strict=True)
    ]
    return pd.DataFrame(rows, columns=["level", "baseline", "kind", "seed", "difference"])


def paired_differences(findings: CurvesFindings) -> Figure | None:
    """Differences seed by seed with their mean, interval and the margin; None where no pair has a seed in common."""
    request = findings.request
    pairs = [pair for pair in findings.pairs if pair.seeds][:MOST_PAIRS_DRAWN]
    if not pairs:
        return None
    more = sum(1 for pair in findings.pairs if pair.seeds) - len(pairs)
    further = f" {more} further pairs are in the table." if more else ""
    margin = (
        f" Shaded: differences below {request.margin:g} {request.unit}".rstrip() + ", which do not matter."
        if request.margin
        else ""
    )
    caption = (
        f"Dots: one seed each. Diamond and bar: the mean and its {100 * request.confidence:g} % interval, the exact"
        " inversion of the paired sign-flip test; no bar where the seeds are too few for one, no diamond where a"
        f" training diverged.{margin} To the right, the first named is better.{further}"
    )
    differences = differences_by_kind(pairs, request.margin, request.unit, request.confidence, "as asked for")
    title = f"Paired differences in {findings.metric}"
    return to_figure("paired_differences", title, caption, differences_frame(findings), differences)
