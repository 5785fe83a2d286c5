"""The drawn form of a figure: what all drawings share, and the way from a description to a `sections.Figure`."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from analysis.document.explorer import Explorer
from analysis.document.sections import Drawing, Figure
from analysis.figures.panels import Axis
from analysis.figures.style import INK

PNG_DOTS_PER_INCH = 200
PANEL_INCHES = (3.4, 2.9)
WIDTH_INCHES = 1.9 * PANEL_INCHES[0]
LONGEST_LABEL, LONGEST_NAME = 60, 44
LONGEST_IN_TWO_COLUMNS = 30
LONGEST_LINE_OF_A_NAME = 24
LEGEND_ROW_INCHES = 0.24

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
    "figure.constrained_layout.w_pad": 0.08,
    "lines.linewidth": 2.0,
}


class Description(Protocol):
    """What a figure shows, described once: it can be drawn and be explored."""

    def draw(self) -> Canvas:
        """The drawing for SVG and PNG."""
        ...

    def explorer(self, name: str) -> Explorer | None:
        """What the page is given to explore; None where it is the drawing alone."""
        ...


def to_figure(name: str, title: str, caption: str, frame: pd.DataFrame, description: Description) -> Figure:
    """The figure of a description, drawn when it is looked at. `frame` holds the numbers that it shows."""
    return Figure(name, title, caption, frame, partial(drawing_of, name, description))


def drawing_of(name: str, description: Description) -> Drawing:
    """The description in all its forms: the same bytes for the same numbers.

    A letter that the font of the PNG lacks is drawn as a box, without a warning for each: the SVG has it.
    """
    with report_style(name), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        canvas = description.draw()
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
    return Drawing(as_page_svg(text.getvalue()), image.getvalue(), description.explorer(name))


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


# Axes that stand side by side


def panels(num_panels: int, num_columns: int = 2) -> tuple[Canvas, list[Axes]]:
    """A canvas with that many axes of one height, row by row; one panel is as wide as two."""
    columns = min(num_columns, num_panels)
    rows = -(-num_panels // columns)
    width, height = PANEL_INCHES
    canvas = Canvas(figsize=(max(columns, 1.9) * width, rows * height + 0.9))
    grid = canvas.subplots(rows, columns, squeeze=False, sharey=True)
    axes = [axis for row in grid for axis in row]
    for spare in axes[num_panels:]:
        spare.set_visible(False)
    return canvas, axes[:num_panels]


def finish_horizontal(axes: Axes, axis: Axis) -> None:
    """Scale, ticks and title of the horizontal axis."""
    if axis.logarithmic:
        axes.set_xscale("log")
    if axis.number_format == "~s":
        axes.xaxis.set_major_formatter(FuncFormatter(samples_text))
    if axis.count:
        axes.locator_params(axis="x", integer=True)
    elif not axis.logarithmic:
        subplot = axes.get_subplotspec()
        axes.locator_params(axis="x", nbins=8 // (subplot.get_gridspec().ncols if subplot else 1))
    axes.set(xlabel=plain_label(axis.title), ylabel="")


def samples_text(samples: float, _: object = None) -> str:
    """A count as an axis shows it: `250k`."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if samples >= size:
            return f"{samples / size:g}{unit}"
    return f"{samples:g}"


def label_first_column(axes: Sequence[Axes], label: str) -> None:
    """Names the vertical axis once for every row of panels."""
    for axis in axes:
        subplot = axis.get_subplotspec()
        if subplot is None or subplot.is_first_col():
            axis.set_ylabel(plain_label(label))


def legend_below(canvas: Canvas, axes: Sequence[Axes]) -> None:
    """One legend for all axes, under them: each label once, in ink where it stands for several colours."""
    by_label: dict[str, list[Line2D]] = {}
    for axis in axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            if isinstance(handle, Line2D):
                by_label.setdefault(label, []).append(handle)
    if not by_label:
        return
    columns = min(len(by_label), 2 if max(map(len, by_label)) <= LONGEST_IN_TWO_COLUMNS else 1)
    canvas.set_figheight(canvas.get_figheight() + LEGEND_ROW_INCHES * (-(-len(by_label) // columns) - 1))
    handles = [_legend_handle(same) for same in by_label.values()]
    canvas.legend(handles, list(by_label), loc="outside lower center", ncols=columns)


def _legend_handle(same: list[Line2D]) -> Line2D:
    first = same[0]
    if len({str(line.get_color()) for line in same}) == 1:
        return first
    general = Line2D([], [])
    general.update_from(first)
    general.set(color=INK, marker="")
    return general


# Rows that stand one below the other


def rows_under_names(names: Sequence[str], row_inches: float, title: str) -> tuple[Canvas, Axes]:
    """A canvas with a row for each of `names`, the first on top, and a horizontal axis called `title`."""
    canvas = Canvas(figsize=(WIDTH_INCHES, 1.25 + row_inches * len(names)))
    axis = canvas.subplots()
    axis.set_yticks(range(len(names)), [broken_name(name) for name in names])
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.grid(visible=False, axis="y")
    axis.set(xlabel=plain_label(title), ylabel="")
    return canvas, axis


def shade(axis: Axes, low: float, middle: float, high: float) -> None:
    """A shaded range and the line in the middle of it."""
    axis.axvspan(low, high, color=INK, alpha=0.10, linewidth=0)
    axis.axvline(middle, color=INK, linewidth=1)


def broken_name(name: str) -> str:
    """A long name in two lines: `adam, 2 hidden layers` above `against adagrad, 2 hidden layers`."""
    lines = [name]
    if len(name) > LONGEST_LINE_OF_A_NAME:
        end = next((at for mark in (" against ", " (", ", ") if (at := name.find(mark)) > 0), 0)
        end += name[end : end + 2] == ", "
        lines = [name[:end], name[end:].lstrip()] if end else [name]
    return "\n".join(plain_label(line, LONGEST_NAME) for line in lines)


def dash_pattern(dash: Sequence[float]) -> Any:
    """Dashes in pixels of a line that is two wide as matplotlib is told them, in widths of the line."""
    return (0, [length / 2 for length in dash]) if dash else "-"


def plain_label(name: str, longest: int = LONGEST_LABEL) -> str:
    """A name as matplotlib shows it as it is: no mathematics, no hidden entry of a legend, nothing that XML does not
    hold, not too long."""
    plain = "".join(letter if letter.isprintable() else " " for letter in name)
    short = plain if len(plain) <= longest else f"{plain[: longest - 1]}…"
    return (" " if short.startswith("_") else "") + short.replace("$", r"\$")
