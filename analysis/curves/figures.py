"""The drawings of a page about curves from a file: learning curves against steps and seconds, paired differences."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter

from analysis.curves.findings import CurveCell, CurvePair, CurvesFindings
from analysis.document.explorer import CURVES, Dataset, Explorer, Group, Measured, View
from analysis.document.sections import Figure
from analysis.figures import style as figures
from analysis.figures.charts import Horizontal, LineWords, lines_specification
from analysis.figures.comparison_explorers import (
    DASHES,
    KIND_COLOURS,
    KINDS,
    ExploredPair,
    paired_explorer,
    paired_numbers,
)
from analysis.figures.comparisons import LOG_SAMPLES_RATIO, draw_differences, samples_text
from analysis.figures.curve_lines import COLUMNS, curve_dataset
from analysis.statistics.intervals import Vector, rounded
from analysis.statistics.pairs import Estimate

MOST_CELLS_DRAWN = 8
MOST_PAIRS_DRAWN = 12
SHARE_OF_STEPS_IN_VIEW = 0.25
LONGEST_LABEL = 44
LONGEST_IN_TWO_COLUMNS = 24
ROW_INCHES = 0.24
MOST_DECIMALS = 12


def with_unit(text: str, unit: str) -> str:
    """An axis title: `validation/lower_bound (nats)`; the text alone where there is no unit."""
    return f"{text} ({unit})" if unit else text


def _drawn(name: str, title: str, caption: str, frame: pd.DataFrame, draw: Callable[[], Canvas]) -> Figure:
    """As `figures.to_figure`; a letter that the font of the PNG lacks is drawn as a box, without a warning for each:
    the SVG has it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        return figures.to_figure(name, title, caption, frame, draw)


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
        f" mean (none for a single seed). {'Higher' if request.higher_is_better else 'Lower'} is better. A curve ends"
        " where the first of its seeds diverged"
        + (f"; {left_out} cells are left out: the {len(drawn)} best are drawn." if left_out else ".")
    )
    frame, title = curves_frame(drawn), f"Learning curves: {findings.metric}"
    by_step = _drawn("curves_by_step", title, caption, frame, partial(_draw_curves, findings, drawn, False))
    by_step = replace(by_step, explorer=_curves_explorer(by_step.name, findings, drawn))
    if not findings.has_seconds:
        return (by_step,)
    clock = "Against the mean of the seconds that the seeds took up to each step. " + caption
    return by_step, _drawn(
        "timing_curves_by_seconds", f"{title}, against time", clock, frame, partial(_draw_curves, findings, drawn, True)
    )


def explored_curves(findings: CurvesFindings) -> Dataset:
    """The curves of all seeds that the page's explorer draws; unfinished ones are left out, as they are from the
    means."""
    rows, num_seeds, sign = [], {}, findings.request.sign
    for cell in drawn_cells(findings):
        curves = cell.curves
        kept = [row for row, outcome in enumerate(curves.outcomes) if outcome != "unfinished"]
        num_seeds[cell.name] = len(kept)
        for row in kept:
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
    return Measured(
        findings.metric, findings.metric, request.unit, "higher" if request.higher_is_better else "lower", decimals
    )


def _curves_explorer(name: str, findings: CurvesFindings, cells: Sequence[CurveCell]) -> Explorer:
    places, request = _places(cells), findings.request
    colours = cell_colours([cell.name for cell in cells])
    groups = tuple(
        Group(cell.name, cell.name, colours[cell.name], DASHES[places[cell.name] % len(DASHES)]) for cell in cells
    )
    words = LineWords("step", request.unit or "number", timed=findings.has_seconds)
    axes = Horizontal("along", "step", _is_logarithmic(cells)), Horizontal("seconds", "training time (seconds)")
    steps, seconds = (lines_specification("learning_curves", groups, axis, words) for axis in axes)
    views = (View("samples", "steps", steps), View("seconds", "training time", seconds, needs_seconds=True))
    about = (
        f"Thick: the mean over the seeds of a cell, with its pointwise {100 * request.confidence:g} % t interval. Thin:"
        " single seeds."
    )
    return Explorer(name, views, groups, "cell", "Cells", CURVES, metric=findings.metric, notes={"about": about})


def _places(cells: Sequence[CurveCell]) -> dict[str, int]:
    """A number for every cell by its name: its dash pattern, whatever the order of merit."""
    return {name: position for position, name in enumerate(sorted(cell.name for cell in cells))}


def _is_logarithmic(cells: Sequence[CurveCell]) -> bool:
    steps = np.concatenate([cell.steps for cell in cells])
    return bool(steps.min() > 0 and steps.max() / steps.min() > LOG_SAMPLES_RATIO)


def _draw_curves(findings: CurvesFindings, cells: Sequence[CurveCell], by_seconds: bool) -> Canvas:
    canvas, (axis,) = figures.panels(1)
    places, colours = _places(cells), cell_colours([cell.name for cell in cells])
    for cell in cells:
        assert cell.band is not None
        horizontal = cell.seconds if by_seconds and cell.seconds is not None else cell.steps
        colour, style = colours[cell.name], figures.line_style(places[cell.name])
        sns.lineplot(
            x=horizontal,
            y=cell.band.mean,
            ax=axis,
            color=colour,
            linestyle=style,
            errorbar=None,
            label=plain_label(cell.name),
            legend=False,
        )
        axis.plot(horizontal[-1:], cell.band.mean[-1:], figures.optimizer_marker(cell.name), color=colour, markersize=6)
        axis.fill_between(horizontal, cell.band.low, cell.band.high, color=colour, alpha=0.25, linewidth=0)
    if not by_seconds and _is_logarithmic(cells):
        axis.set_xscale("log")
    if not by_seconds:
        axis.xaxis.set_major_formatter(FuncFormatter(samples_text))
    axis.set(
        xlabel="seconds of training" if by_seconds else "step",
        ylabel=with_unit(plain_label(findings.metric), plain_label(findings.request.unit)),
    )
    _focus(axis, cells)
    num_columns = 2 if max(len(cell.name) for cell in cells) <= LONGEST_IN_TWO_COLUMNS else 1
    canvas.set_figheight(canvas.get_figheight() + ROW_INCHES * (-(-len(cells) // num_columns) - 1))
    figures.legend_below(canvas, [axis], num_columns)
    return canvas


def cell_colours(names: Sequence[str]) -> dict[str, str]:
    """An optimizer's own colour for a cell of its name, and for the others, in the order of their names, what is
    left of the palette."""
    own = {name: colour for name in sorted(names) if (colour := figures.OPTIMIZER_COLOURS.get(name.lower()))}
    left = [colour for colour in figures.OTHER_COLOURS if colour not in own.values()] or list(figures.OTHER_COLOURS)
    others = sorted(set(names) - set(own))
    return own | {name: left[position % len(left)] for position, name in enumerate(others)}


def plain_label(name: str) -> str:
    """A name as matplotlib shows it as it is: no mathematics, no hidden entry of a legend, nothing that XML does not
    hold, not too long."""
    plain = "".join(letter if letter.isprintable() else " " for letter in name)
    short = plain if len(plain) <= LONGEST_LABEL else f"{plain[: LONGEST_LABEL - 1]}…"
    return (" " if short.startswith("_") else "") + short.replace("$", r"\$")


def _focus(axis: Axes, cells: Sequence[CurveCell]) -> None:
    """Looks at where the curves end, not at where they start: the range of all means after the first quarter of the
    steps, with the ends' bands."""
    held: list[Vector] = []
    for cell in cells:
        assert cell.band is not None
        late = cell.steps >= SHARE_OF_STEPS_IN_VIEW * cell.curves.horizon
        held += [cell.band.mean[late], cell.band.mean[-1:], cell.band.low[-1:], cell.band.high[-1:]]
    shown = np.concatenate(held)
    shown = shown[np.isfinite(shown)]
    low, high = float(shown.min()), float(shown.max())
    margin = 0.06 * (high - low) or 1e-3 * abs(high) or 1.0
    axis.set_ylim(low - margin, high + margin)


@dataclass(frozen=True)
class _Row:
    """A pair as the drawing names it."""

    kind: str
    title: str
    seeds: tuple[int, ...]
    differences: Vector
    estimate: Estimate | None


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
    shown = [pair for pair in findings.pairs if pair.seeds][:MOST_PAIRS_DRAWN]
    if not shown:
        return None
    more = sum(1 for pair in findings.pairs if pair.seeds) - len(shown)
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
    labelled = [
        _Row(
            pair.kind,
            f"{plain_label(pair.level)}\nagainst {plain_label(pair.baseline)}",
            pair.seeds,
            pair.differences,
            pair.estimate,
        )
        for pair in shown
    ]
    draw = partial(draw_differences, labelled, request.margin, plain_label(request.unit))
    figure = _drawn(
        "paired_differences", f"Paired differences in {findings.metric}", caption, differences_frame(findings), draw
    )
    return replace(figure, explorer=_differences_explorer(figure.name, findings, shown))


def _differences_explorer(name: str, findings: CurvesFindings, pairs: Sequence[CurvePair]) -> Explorer:
    """The same pairs under every readout that the page gives verdicts of."""
    request = findings.request
    groups = tuple(
        Group(kind, KINDS[kind], KIND_COLOURS[kind], shape="diamond")
        for kind in ("primary", "exploratory")
        if any(pair.kind == kind for pair in pairs)
    )
    explored = [ExploredPair(pair.kind, pair.title, paired_numbers(pair)) for pair in pairs]
    titles = {
        f"r{place}": one.reading.title + ("" if place else ", as asked for")
        for place, one in enumerate(pairs[0].readings)
    }
    return paired_explorer(
        name, groups, "Comparisons", explored, titles, request.margin, request.unit, request.confidence
    )
