"""The picture of the targets: how far each measured number lies from its own, on one axis."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import seaborn as sns
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

from benchmarks.results_files import number_text, unit_text
from benchmarks.rows import Row

_COLOURS = {"met": "#0a7abf", "missed": "#d55e00"}
_MARKERS = {"met": "o", "missed": "X"}
_INCHES_PER_ROW = 0.42
_DOTS_PER_INCH = 144


@dataclass(frozen=True)
class Distance:
    """A row that has a target, as multiples of it: above 1 the target is met, whichever way it points."""

    label: str
    said: str
    low: float
    median: float
    high: float
    verdict: str


def distances(rows: list[Row]) -> list[Distance]:
    """The rows with a target and positive numbers, in order."""
    return [_distance(row) for row in rows if row.target is not None and row.numbers and min(row.numbers) > 0]


def _distance(row: Row) -> Distance:
    assert row.target is not None
    low, high = row.spread
    said = f"{number_text(row.median)} {unit_text(row.unit)}".strip() + f" (target {row.target})"
    if row.target.comparison == ">=":
        relative = (low / row.target.bound, row.median / row.target.bound, high / row.target.bound)
    else:
        relative = (row.target.bound / high, row.target.bound / row.median, row.target.bound / low)
    return Distance(f"{row.measurement}: {row.what}", said, *relative, row.verdict)


def draw(rows: list[Row], folder: Path, caption: str) -> list[Path]:
    """targets.png and targets.svg in `folder`; none where no row has a target and a number."""
    shown = distances(rows)
    if not shown:
        return []
    figure = Figure(figsize=(11, 1.8 + _INCHES_PER_ROW * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    with sns.axes_style("whitegrid"):
        axes = figure.add_subplot()
    frame = pd.DataFrame([vars(each) for each in shown])
    sns.scatterplot(
        frame,
        x="median",
        y="label",
        hue="verdict",
        style="verdict",
        palette=_COLOURS,
        markers=_MARKERS,
        hue_order=list(_COLOURS),
        style_order=list(_COLOURS),
        s=90,
        zorder=3,
        ax=axes,
    )
    for position, each in enumerate(shown):
        axes.hlines(position, each.low, each.high, color=_COLOURS[each.verdict], linewidth=2)
        axes.text(1.01, position, each.said, transform=axes.get_yaxis_transform(), va="center", fontsize=9)
    axes.axvline(1, color="#1b2026", linewidth=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(
        xlabel="multiples of the target: right of the line it is met (median, lowest to highest repeat)", ylabel=""
    )
    axes.set_title(caption, loc="left")
    handles, labels = axes.get_legend_handles_labels()
    axes.legend_ = None
    figure.legend(handles, labels, loc="outside lower left", ncols=2, frameon=False)
    paths = [folder / "targets.png", folder / "targets.svg"]
    for path in paths:
        figure.savefig(
            path, dpi=_DOTS_PER_INCH, facecolor="white", metadata={"Date": None} if path.suffix == ".svg" else None
        )
    return paths
