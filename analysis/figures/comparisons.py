"""The drawings that comparison reports share: learning curves, learning-rate sensitivity, paired differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter

from analysis.claims.comparison import Comparison
from analysis.document.explorer import MOST_NATS_BELOW_BEST
from analysis.document.sections import Figure
from analysis.figures import style as figures
from analysis.figures.comparison_explorers import (
    curves_explorer,
    differences_explorer,
    optimizer_of,
    sensitivity_explorer,
)
from analysis.findings.cells import CellFinding
from analysis.findings.titles import level_title, levels_title
from analysis.statistics.intervals import Interval, Vector, rounded
from analysis.statistics.readouts import metric_title
from study.spec import Study
from study.spec.schema import Level, Range

LOG_SAMPLES_RATIO = 30


def _levels(cell: CellFinding, without: str) -> dict[str, Level]:
    return dict(cell.cell.without(without).levels)


def panel_title(cell: CellFinding, panel_by: str) -> str:
    """What the panel that a cell is drawn in is called: the level that the figure is divided by."""
    return next((level_title(panel_by, level) for name, level in cell.cell.levels if name == panel_by), "all cells")


def _line_label(cell: CellFinding, panel_by: str) -> str:
    return cell.cell.name or levels_title(_levels(cell, panel_by)) or cell.title


def _grouped(cells: Sequence[CellFinding], panel_by: str) -> dict[str, list[CellFinding]]:
    groups: dict[str, list[CellFinding]] = {}
    for cell in cells:
        groups.setdefault(panel_title(cell, panel_by), []).append(cell)
    return groups


def samples_text(samples: float, _: object = None) -> str:
    """A count as an axis shows it: `250k`."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if samples >= size:
            return f"{samples / size:g}{unit}"
    return f"{samples:g}"


def curves_frame(cells: Sequence[CellFinding]) -> pd.DataFrame:
    """The numbers of the learning curves: a row per cell and point."""
    rows = []
    for cell in cells:
        if cell.curve is None:
            continue
        band = cell.curve.band
        for samples, mean, low, high in zip(cell.curve.samples, band.mean, band.low, band.high, strict=True):
            rows.append(
                (
                    cell.cell.label,
                    cell.curve.metric,
                    int(samples),
                    rounded(mean),
                    rounded(low),
                    rounded(high),
                    cell.curve.num_seeds,
                )
            )
    return pd.DataFrame(rows, columns=["cell", "metric", "samples", "mean_nats", "low_nats", "high_nats", "num_seeds"])


def learning_curves(name: str, study: Study, cells: Sequence[CellFinding], panel_by: str) -> Figure | None:
    """Mean bound over reporting seeds with its band, against training samples; None where no cell has a curve."""
    drawn = [cell for cell in cells if cell.curve is not None]
    if not drawn:
        return None
    metric = drawn[0].curve.metric if drawn[0].curve else ""
    counts = sorted({cell.curve.num_seeds for cell in drawn if cell.curve})
    title = f"Learning curves: {metric_title(metric)}"
    caption = (
        f"Mean over n = {' or '.join(map(str, counts))} reporting seeds; the band is the pointwise"
        f" {100 * study.confidence:g} % t interval of the mean"
        + (" (none for a single seed)" if counts[0] < 2 else "")
        + ". Higher is better. A curve ends where the first of its seeds diverged; "
        f"what lies more than {MOST_NATS_BELOW_BEST:g} nats below the best point is below the axis."
    )
    figure = figures.to_figure(name, title, caption, curves_frame(cells), partial(_draw_curves, study, drawn, panel_by))
    return replace(figure, explorer=curves_explorer(name, study, drawn, metric, _spans_decades(drawn)))


def _draw_curves(study: Study, cells: Sequence[CellFinding], panel_by: str) -> Canvas:
    groups = _grouped(cells, panel_by)
    canvas, axes = figures.panels(len(groups))
    positions = _positions(cells, panel_by)
    for axis, (title, group) in zip(axes, groups.items(), strict=True):
        for cell in group:
            _draw_curve(axis, cell, study, panel_by, positions[_style_key(cell, panel_by)])
        _finish_curves(axis, title, group)
    _focus(axes, cells)
    figures.label_first_column(axes, f"{_metric_of(cells)} (nats)")
    figures.legend_below(canvas, axes)
    return canvas


def _positions(cells: Sequence[CellFinding], panel_by: str) -> dict[str, int]:
    """A number for every combination of levels that neither the panel nor the colour shows: its dash pattern."""
    return {key: position for position, key in enumerate(dict.fromkeys(_style_key(cell, panel_by) for cell in cells))}


def _style_key(cell: CellFinding, panel_by: str) -> str:
    return cell.cell.name or cell.cell.without("optimizer").without(panel_by).label


def _metric_of(cells: Sequence[CellFinding]) -> str:
    return next((metric_title(cell.curve.metric) for cell in cells if cell.curve), "lower bound")


def _draw_curve(axis: Axes, cell: CellFinding, study: Study, panel_by: str, position: int) -> None:
    assert cell.curve is not None
    optimizer = optimizer_of(cell, study)
    colour, style = figures.optimizer_colour(optimizer), figures.line_style(position)
    samples, band = cell.curve.samples, cell.curve.band
    sns.lineplot(
        x=samples,
        y=band.mean,
        ax=axis,
        color=colour,
        linestyle=style,
        errorbar=None,
        label=_line_label(cell, panel_by),
        legend=False,
    )
    axis.plot(samples[-1:], band.mean[-1:], figures.optimizer_marker(optimizer), color=colour, markersize=6)
    axis.fill_between(samples, band.low, band.high, color=colour, alpha=0.25, linewidth=0)


def _spans_decades(cells: Sequence[CellFinding]) -> bool:
    points = np.concatenate([cell.curve.samples for cell in cells if cell.curve])
    return bool(points.min() > 0 and points.max() / points.min() > LOG_SAMPLES_RATIO)


def _finish_curves(axis: Axes, title: str, cells: Sequence[CellFinding]) -> None:
    if _spans_decades(cells):
        axis.set_xscale("log")
    axis.xaxis.set_major_formatter(FuncFormatter(samples_text))
    if axis.get_xscale() == "linear":
        axis.locator_params(axis="x", nbins=4)
    axis.set(title=title, xlabel="training samples", ylabel="")


def _focus(axes: Sequence[Axes], cells: Sequence[CellFinding]) -> None:
    """Looks at the part of the curves that is compared: no further down than `MOST_NATS_BELOW_BEST`."""
    means = np.concatenate([cell.curve.band.mean for cell in cells if cell.curve])
    best, worst = float(means.max()), float(means.min())
    bottom = max(worst, best - MOST_NATS_BELOW_BEST)
    margin = 0.05 * (best - bottom) or 1.0
    axes[0].set_ylim(bottom - margin, best + margin)


def sensitivity_frame(cells: Sequence[CellFinding]) -> pd.DataFrame:
    """Every proposal of every cell: what it proposed, its objective, how many of its seeds were lost, whether it
    won."""
    rows = [
        {"cell": cell.cell.label, "proposal": proposal.number}
        | {
            name: rounded(number) if isinstance(number, float) else number
            for name, number in proposal.hyperparameters.items()
        }
        | {
            "objective_nats": rounded(proposal.objective),
            "lowest_nats": rounded(min(proposal.by_seed.values(), default=None)),
            "highest_nats": rounded(max(proposal.by_seed.values(), default=None)),
        }
        | {"num_seeds": proposal.num_seeds, "num_lost": proposal.num_lost, "winner": proposal.number == cell.winner}
        for cell in cells
        for proposal in cell.proposals
    ]
    return (
        pd.DataFrame(rows)
        if rows
        else pd.DataFrame(
            columns=[
                "cell",
                "proposal",
                "objective_nats",
                "lowest_nats",
                "highest_nats",
                "num_seeds",
                "num_lost",
                "winner",
            ]
        )
    )


def sensitivity(name: str, study: Study, cells: Sequence[CellFinding], panel_by: str) -> Figure | None:
    """Objective of each proposal against its learning rate; None where no learning rate was searched."""
    searched = [
        cell
        for cell in cells
        if any(isinstance(p.hyperparameters.get("learning_rate"), (int, float)) for p in cell.proposals)
    ]
    if not searched or study.search is None:
        return None
    seeds = study.search.num_tuning_seeds
    title = "Learning-rate sensitivity"
    caption = (
        f"Each proposal of the search phase: {metric_title(study.search.objective)} at the end of its budget, mean over"
        f" n = {seeds} tuning seed{'s' if seeds > 1 else ''}. "
        + ("The bar reaches from its worst to its best seed. " if seeds > 1 else "")
        + "The ring marks the winner, a cross at the foot a proposal that diverged or failed, vertical lines the ends"
        " of the search space. Higher is better."
    )
    figure = figures.to_figure(
        name, title, caption, sensitivity_frame(searched), partial(_draw_sensitivity, study, searched, panel_by)
    )
    return replace(figure, explorer=sensitivity_explorer(name, study, searched, metric_title(study.search.objective)))


def _draw_sensitivity(study: Study, cells: Sequence[CellFinding], panel_by: str) -> Canvas:
    groups = _grouped(cells, panel_by)
    canvas, axes = figures.panels(len(groups))
    positions = _positions(cells, panel_by)
    objectives = [p.objective for cell in cells for p in cell.proposals if math.isfinite(p.objective)] or [0.0]
    best, worst = max(objectives), min(objectives)
    bottom = max(worst, best - MOST_NATS_BELOW_BEST)
    floor = bottom - (0.12 * (best - bottom) or 1.0)
    for axis, (title, group) in zip(axes, groups.items(), strict=True):
        for cell in group:
            _draw_proposals(axis, cell, study, panel_by, positions[_style_key(cell, panel_by)], floor)
        logarithmic = all(isinstance(s := cell.space.get("learning_rate"), Range) and s.log for cell in group)
        axis.grid(visible=False, axis="x")
        axis.set(title=title, xlabel="learning rate", ylabel="", xscale="log" if logarithmic else "linear")
    figures.label_first_column(axes, f"{metric_title(study.search.objective if study.search else '')} (nats)")
    axes[0].set_ylim(floor - 0.06 * (best - floor), best + 0.1 * (best - floor))
    figures.legend_below(canvas, axes)
    return canvas


def _draw_proposals(axis: Axes, cell: CellFinding, study: Study, panel_by: str, position: int, floor: float) -> None:
    optimizer = optimizer_of(cell, study)
    colour, marker = figures.optimizer_colour(optimizer), figures.optimizer_marker(optimizer)
    points = sorted((float(p.hyperparameters["learning_rate"]), p.objective, p.number) for p in cell.proposals)
    finite = [(rate, nats, number) for rate, nats, number in points if math.isfinite(nats)]
    shown = [max(nats, floor) for _, nats, _ in finite]
    style, label = figures.line_style(position), _line_label(cell, panel_by)
    axis.plot(
        [rate for rate, _, _ in finite],
        shown,
        color=colour,
        linestyle=style,
        linewidth=1.4,
        marker=marker,
        markersize=6,
        label=label,
    )
    for proposal in (p for p in cell.proposals if len(p.by_seed) > 1):
        low, high = max(min(proposal.by_seed.values()), floor), max(max(proposal.by_seed.values()), floor)
        axis.vlines(float(proposal.hyperparameters["learning_rate"]), low, high, color=colour, linewidth=4, alpha=0.35)
    lost = [rate for rate, nats, _ in points if not math.isfinite(nats)]
    axis.plot(lost, [floor] * len(lost), "x", color=colour, markersize=9, markeredgewidth=2)
    won = [(rate, nats) for rate, nats, number in finite if number == cell.winner]
    axis.plot(
        [rate for rate, _ in won],
        [nats for _, nats in won],
        "o",
        color=colour,
        markersize=14,
        markerfacecolor="none",
        markeredgewidth=1.8,
    )
    space = cell.space.get("learning_rate")
    for end in (space.low, space.high) if isinstance(space, Range) else ():
        axis.axvline(end, color=colour, linestyle=":", linewidth=1.2, alpha=0.8)


def differences_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """The paired differences seed by seed, one row each."""
    rows = [
        (comparison.claim.name, comparison.kind, comparison.title, seed, rounded(difference))
        for comparison in comparisons
        for seed, difference in zip(comparison.seeds, comparison.differences, strict=True)
    ]
    return pd.DataFrame(rows, columns=["comparison", "kind", "title", "seed", "difference_nats"])


def paired_differences(name: str, study: Study, comparisons: Sequence[Comparison]) -> Figure | None:
    """Differences seed by seed with their mean, interval and the margin of equivalence; None where there is no
    difference."""
    shown = [comparison for comparison in comparisons if len(comparison.seeds)]
    if not shown:
        return None
    counts = sorted({len(comparison.seeds) for comparison in shown})
    margin = shown[0].margin_nats or 0.0
    title = f"Paired differences in the {metric_title(study.metric)}"
    caption = (
        f"Dots: one reporting seed each (n = {' or '.join(map(str, counts))}). Diamond and bar: the mean and its"
        f" {100 * study.confidence:g} % interval, the exact inversion of the paired sign-flip test; no bar where the"
        f" seeds are too few for one, no diamond where a training was lost. Shaded: differences below {margin:g} nats,"
        " which do not matter. To the right, the first named is better."
    )
    figure = figures.to_figure(
        name, title, caption, differences_frame(shown), partial(draw_differences, shown, margin, "nats")
    )
    return replace(figure, explorer=differences_explorer(name, study, shown))


class MeanWithInterval(Protocol):
    """A mean, and how sure it is."""

    @property
    def mean(self) -> float: ...
    @property
    def interval(self) -> Interval | None: ...


class PairedSeeds(Protocol):
    """What can be drawn as a row of paired differences: a claim of a study, or two cells of a file."""

    @property
    def kind(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def seeds(self) -> tuple[int, ...]: ...
    @property
    def differences(self) -> Vector: ...
    @property
    def estimate(self) -> MeanWithInterval | None: ...


def draw_differences(comparisons: Sequence[PairedSeeds], margin: float, unit: str) -> Canvas:
    """A row of dots per comparison with its mean and interval, and the margin around 0."""
    canvas = Canvas(figsize=(figures.PANEL_INCHES[0] * 1.9, 1.3 + 0.75 * len(comparisons)))
    axis = canvas.subplots()
    axis.axvspan(-margin, margin, color=figures.INK, alpha=0.10, linewidth=0)
    axis.axvline(0, color=figures.INK, linewidth=1)
    for row, comparison in enumerate(comparisons):
        colour = figures.OTHER_COLOURS[0] if comparison.kind == "primary" else figures.OTHER_COLOURS[7]
        sns.scatterplot(
            x=comparison.differences,
            y=np.full(len(comparison.seeds), row + 0.18),
            ax=axis,
            color=colour,
            s=34,
            linewidth=0,
            alpha=0.75,
            legend=False,
        )
        estimate = comparison.estimate
        if estimate is None:
            continue
        if estimate.interval:
            axis.plot(
                [estimate.interval.low, estimate.interval.high],
                [row - 0.14] * 2,
                color=colour,
                linewidth=3,
                solid_capstyle="butt",
            )
        axis.plot([estimate.mean], [row - 0.14], "D", color=colour, markersize=8)
    labels = [
        f"{comparison.title}\n({'primary claim' if comparison.kind == 'primary' else comparison.kind})"
        for comparison in comparisons
    ]
    axis.set_yticks(range(len(comparisons)), labels)
    axis.set_ylim(len(comparisons) - 0.5, -0.5)
    axis.grid(visible=False, axis="y")
    axis.set(xlabel=f"difference ({unit})" if unit else "difference", ylabel="")
    return canvas
