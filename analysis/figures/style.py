"""How figures look: colours, style, and the way from a matplotlib figure to a `sections.Figure`. No numbers are
computed here.

Every figure is drawn once. Its ink (text, axes, grid) has one colour of its own, which becomes `currentColor` in the
SVG, so that the page's own text colour holds in light and dark; series have colours that stand out 3:1 on white and
on near-black alike (WCAG 1.4.11).
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from analysis.document.sections import Figure

INK = "#1b2026"
OPTIMIZER_COLOURS = {
    "adagrad": "#d55e00",
    "adam": "#0a7abf",
    "adamw": "#0c9279",
    "amsgrad": "#8f6bd0",
    "sgd": "#7d7d7d",
    "momentum": "#a0702a",
    "nesterov": "#bf4f92",
    "rmsprop": "#6b8e1e",
    "adadelta": "#ad8104",
    "adamax": "#2c94b0",
    "nadam": "#d9486f",
    "radam": "#6a80d4",
}
OTHER_COLOURS = ("#0a7abf", "#d55e00", "#0c9279", "#bf4f92", "#8f6bd0", "#a0702a", "#6b8e1e", "#7d7d7d")
OPTIMIZER_MARKERS = dict(zip(OPTIMIZER_COLOURS, "so^vDPX<>hdp", strict=True))
LINE_STYLES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
PNG_DOTS_PER_INCH = 200
PANEL_INCHES = (3.4, 2.9)

_STYLE = {
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "grid.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.labelsize": 12,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "axes.unicode_minus": True,
    "svg.fonttype": "none",
    "figure.constrained_layout.use": True,
    "lines.linewidth": 2.0,
}


@contextmanager
def report_style(name: str) -> Iterator[None]:
    """The style of all reports, for as long as a figure is drawn; `name` seeds the ids of its SVG."""
    style: Any = sns.axes_style("ticks") | _STYLE | {"svg.hashsalt": name}
    with matplotlib_defaults(), mpl.rc_context(style):
        yield


@contextmanager
def matplotlib_defaults() -> Iterator[None]:
    """What matplotlib comes with, whatever a matplotlibrc of the user's says, so that it changes no byte of a
    report."""
    with mpl.rc_context():
        mpl.rcdefaults()
        yield


def optimizer_colour(optimizer: str) -> str:
    """The optimizer's colour, the same in every figure; one of a plugin's name for `module:Class`."""
    return OPTIMIZER_COLOURS.get(optimizer) or OTHER_COLOURS[zlib.crc32(optimizer.encode()) % len(OTHER_COLOURS)]


def optimizer_marker(optimizer: str) -> str:
    """The optimizer's marker, for those who do not see its colour."""
    return OPTIMIZER_MARKERS.get(optimizer, "o")


def line_style(position: int) -> Any:
    """The dash pattern of the level at that position: a second way to tell lines apart."""
    return LINE_STYLES[position % len(LINE_STYLES)]


def panels(num_panels: int, num_columns: int = 2, share_y: bool = True) -> tuple[Canvas, list[Axes]]:
    """A canvas with that many axes, row by row; one panel is as wide as two."""
    columns = min(num_columns, num_panels)
    rows = -(-num_panels // columns)
    width, height = PANEL_INCHES
    canvas = Canvas(figsize=(max(columns, 1.9) * width, rows * height + 0.9))
    grid = canvas.subplots(rows, columns, squeeze=False, sharey=share_y)
    axes = [axis for row in grid for axis in row]
    for spare in axes[num_panels:]:
        spare.set_visible(False)
    return canvas, axes[:num_panels]


def label_first_column(axes: list[Axes], label: str) -> None:
    """Names the vertical axis once for every row of panels."""
    for axis in axes:
        place = axis.get_subplotspec()
        if place is None or place.is_first_col():
            axis.set_ylabel(label)


def legend_below(canvas: Canvas, axes: list[Axes], num_columns: int = 2) -> None:
    """One legend for all axes, under them: each label once, in ink where it stands for several colours."""
    found: dict[str, list[Line2D]] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            if isinstance(handle, Line2D):
                found.setdefault(label, []).append(handle)
    handles = [_legend_handle(same) for same in found.values()]
    if handles:
        canvas.legend(handles, list(found), loc="outside lower center", ncols=min(num_columns, len(handles)))


def _legend_handle(same: list[Line2D]) -> Line2D:
    first = same[0]
    if len({str(line.get_color()) for line in same}) == 1:
        return first
    general = Line2D([], [])
    general.update_from(first)
    general.set(color=INK, marker="")
    return general


def as_page_svg(svg: str) -> str:
    """The SVG as it stands within a page: no prologue, ink as currentColor, as wide as its place, no rule that leaks
    to the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = svg.replace(INK, "currentColor")
    opening, rest = svg[: svg.index(">")], svg[svg.index(">") :]
    width = re.search(r'\bwidth="([\d.]+)pt"', opening)
    opening = re.sub(r'\s(width|height)="[^"]*"', "", opening)
    most = f"max-width:{width.group(1)}pt;" if width else ""
    return f'{opening} stroke-linejoin="round" stroke-linecap="butt" style="width:100%;{most}height:auto"{rest}'


def to_figure(name: str, title: str, caption: str, frame: pd.DataFrame, draw: Callable[[], Canvas]) -> Figure:
    """What `draw` draws in the style of reports, as SVG and PNG: the same bytes for the same numbers."""
    with report_style(name):
        canvas = draw()
        FigureCanvasAgg(canvas)
        text, image = io.StringIO(), io.BytesIO()
        canvas.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        canvas.set_layout_engine("none")  # it is laid out: once is enough for both
        canvas.savefig(
            image,
            format="png",
            dpi=PNG_DOTS_PER_INCH,
            facecolor="white",
            metadata={"Software": None},
            pil_kwargs={"compress_level": 3},
        )
    return Figure(name, title, caption, as_page_svg(text.getvalue()), image.getvalue(), frame)


def contrast(first: str, second: str) -> float:
    """WCAG's contrast ratio of two colours given as #rrggbb, from 1 to 21."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))
