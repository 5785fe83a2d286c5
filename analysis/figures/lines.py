"""A figure of lines with their bands: learning curves, what tuning buys, performance profiles, times to targets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import altair as alt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from analysis.document.explorer import Explorer, ExplorerData, Group, Measured, View, script_seed
from analysis.figures.canvas import (
    dash_pattern,
    finish_horizontal,
    label_first_column,
    legend_below,
    panels,
    plain_label,
)
from analysis.figures.panels import Axis, Panel
from analysis.figures.style import SHAPES
from analysis.figures.vega import HEIGHT, across, colour, dashes, hovered, layered, ring, rows, upright
from analysis.statistics.intervals import Vector

AFTER_SAMPLES = ("after ", " training samples")
SHARE = (0.0, 1.0)
SHARE_OUT_OF_VIEW = 0.25
DECADES_RATIO = 30
LOWEST, HIGHEST = "lowest", "highest"

Numbers = Sequence[float | None]
Interpolation = Literal["linear", "step-after", "step-before"]
STEPS: Mapping[Interpolation, str] = {"linear": "default", "step-after": "steps-post", "step-before": "steps-pre"}
BAND_STEPS: Mapping[str, Literal["pre", "post"] | None] = {"default": None, "steps-post": "post", "steps-pre": "pre"}


@dataclass(frozen=True)
class Line:
    """One line of a group at the points `along`: of a seed, or (seed None) a mean over `num_seeds` with its band; by
    metric, None where nothing was recorded. `name` is what it is called where it is no mean."""

    group: str
    along: Sequence[float]
    values: Mapping[str, Numbers]
    low: Mapping[str, Numbers] = field(default_factory=dict)
    high: Mapping[str, Numbers] = field(default_factory=dict)
    seed: int | None = None
    num_seeds: int = 0
    name: str = ""
    seconds: Numbers = ()

    def as_json(self) -> dict[str, Any]:
        """The line as the page's script reads it; its seconds stand apart."""
        content: dict[str, Any] = {"cell": self.group, "seed": script_seed(self.seed), "along": list(self.along)}
        content |= {"values": dict(self.values)} | ({"name": self.name} if self.name else {"n": self.num_seeds})
        return content | ({"low": dict(self.low), "high": dict(self.high)} if self.seed is None else {})


@dataclass(frozen=True)
class LineWords:
    """What a tooltip calls the point's place, its number and the band around it; with `timed`, it says the seconds
    too."""

    along: str = "training samples"
    number: str = "nats"
    band: str = "interval"
    timed: bool = True


@dataclass(frozen=True)
class LinesView:
    """One choice of the horizontal axis, with the words of its tooltips."""

    key: str
    title: str
    axis: Axis
    words: LineWords = LineWords()
    needs_seconds: bool = False


@dataclass(frozen=True)
class Lines:
    """Lines of groups in a first metric of `measured`, against the axis of the first view.

    `vertical` is the title of the vertical axis. `words` are said before and after the place of a point. `dataset`
    names the page's dataset that is explored, which has more lines than are drawn; without one, it is these lines.
    `points`: where a line has markers.
    """

    groups: tuple[Group, ...]
    panels: tuple[Panel, ...]
    lines: tuple[Line, ...]
    measured: tuple[Measured, ...]
    views: tuple[LinesView, ...]
    vertical: str
    words: tuple[str, str] = AFTER_SAMPLES
    interpolation: Interpolation = "linear"
    points: Literal["last", "all", "none"] = "none"
    dataset: str = ""
    timing: Mapping[str, Any] | None = None
    about: str = ""

    def draw(self) -> Canvas:
        """A panel beside the other, of one height, with one legend."""
        canvas, axes = panels(len(self.panels))
        for axis, panel in zip(axes, self.panels, strict=True):
            for group in panel.groups:
                for line in (line for line in self.lines if line.group == group.key):
                    self._draw_line(axis, line, group, panel.metric or self.measured[0].key)
            axis.set_title(plain_label(panel.title))
            finish_horizontal(axis, self.views[0].axis)
        axes[0].set_ylim(*focus(self.measured[0], self.lines))
        label_first_column(axes, self.vertical)
        legend_below(canvas, axes)
        return canvas

    def _draw_line(self, axis: Axes, line: Line, group: Group, metric: str) -> None:
        along, number = np.asarray(line.along, dtype=np.float64), _array(line.values, metric, line)
        step, marker = STEPS[self.interpolation], SHAPES[group.shape or "circle"]
        look: dict[str, Any] = {"color": group.colour, "linestyle": dash_pattern(group.dash), "drawstyle": step}
        if self.points != "none":
            look |= {"marker": marker, "markersize": 6, "markeredgewidth": 0}
            look |= {"markevery": [-1]} if self.points == "last" else {}
        label = plain_label(group.title)
        sns.lineplot(x=along, y=number, ax=axis, errorbar=None, legend=False, label=label, **look)
        low, high = (_array(ends, metric, line) for ends in (line.low, line.high))
        axis.fill_between(along, low, high, color=group.colour, alpha=0.2, linewidth=0, step=BAND_STEPS[step])

    def explorer(self, name: str) -> Explorer:
        """The lines as they are explored: all groups in one drawing."""
        views = [
            View(
                view.key,
                view.title,
                lines_specification(name, self.groups, view.axis, view.words, self.interpolation),
                view.needs_seconds,
            )
            for view in self.views
        ]
        content = {
            "metrics": [measured.as_json() for measured in self.measured],
            "words": list(self.words),
            "note": "",
            "lines": [line.as_json() for line in self.lines],
        }
        return Explorer(
            name,
            tuple(views),
            tuple(replace(group, shape="") for group in self.groups),
            "cell",
            "Cells",
            self.dataset or name,
            None if self.dataset else ExplorerData(name, content, self.timing),
            metric=self.measured[0].key,
            notes={"about": self.about} if self.about else {},
        )


def _array(numbers: Mapping[str, Numbers], metric: str, line: Line) -> Vector:
    return np.asarray(numbers.get(metric) or [math.nan] * len(line.along), dtype=np.float64)


def focus(measured: Measured, lines: Sequence[Line]) -> tuple[float, float]:
    """The lowest and the highest number that a drawing looks at, as `Measured` says it, with the bands of last points
    and a little room; explorer.js has the same rule for what a reader picks."""
    if measured.ends:
        return measured.ends[0] - 0.03, measured.ends[1] + 0.03
    starts_late = bool(measured.better) and measured.most_from_best is None
    start = SHARE_OUT_OF_VIEW * max(line.along[-1] for line in lines) if starts_late else -math.inf
    everything, late = [np.empty(0)], [np.empty(0)]
    for line in lines:
        number, low, high = (_array(entry, measured.key, line) for entry in (line.values, line.low, line.high))
        last = np.flatnonzero(np.isfinite(number))[-1:]
        everything.append(number)
        late += [number[np.asarray(line.along) >= start], number[last], low[last], high[last]]
    numbers, in_view = (part[np.isfinite(part)] for part in (np.concatenate(everything), np.concatenate(late)))
    if not numbers.size:
        return 0.0, 1.0
    bottom, top, most = in_view.min(), in_view.max(), measured.most_from_best or math.inf
    if measured.better == "lower":
        top = min(top, numbers.min() + most)
    else:
        bottom = max(bottom, numbers.max() - most)
    room = 0.05 * (top - bottom) or 1e-3 * abs(top) or 1.0
    return float(bottom - room), float(top + room)


def spans_decades(numbers: Sequence[Any]) -> bool:
    """Whether a logarithmic axis shows these numbers better."""
    points = np.concatenate([np.asarray(part, dtype=np.float64) for part in numbers])
    return bool(points.min() > 0 and points.max() / points.min() > DECADES_RATIO)


def as_numbers(array: np.ndarray[Any, Any], decimals: int) -> list[float | None]:
    """The array as JSON holds it: rounded, None for what is not finite."""
    return [round(float(entry), decimals) + 0.0 if math.isfinite(entry) else None for entry in array]


def lines_specification(
    name: str, groups: Sequence[Group], axis: Axis, words: LineWords, interpolate: Interpolation = "linear"
) -> dict[str, Any]:
    """Means with their bands, and thin lines for single seeds, against `axis`."""
    ends = alt.Scale(zero=False, nice=False, padding=6, domainMin=alt.ExprRef(LOWEST), domainMax=alt.ExprRef(HIGHEST))
    tint, dash = colour(groups), dashes(groups)
    base = rows().encode(across(axis), upright("number", ends))
    mean, seed = (base.transform_filter(f"isValid(datum.seed) === {text}") for text in ("false", "true"))
    line: dict[str, Any] = {"clip": True, "interpolate": interpolate}
    tooltip = {
        "title": "{}.title",
        "line": "{}.line",
        words.along: "{}.placed",
        **({"training time": "{}.time"} if words.timed else {}),
        words.number: "{}.said",
        words.band: "{}.interval",
    }
    return layered(
        name,
        HEIGHT,
        {LOWEST: 0, HIGHEST: 1},
        bands=mean.transform_filter("isValid(datum.low)")
        .mark_area(opacity=0.2, **line)
        .encode(y=upright("low"), y2=alt.Y2("high"), color=tint),
        seeds=seed.mark_line(opacity=0.45, strokeWidth=1, **line).encode(color=tint, strokeDash=dash, detail="line:N"),
        means=mean.mark_line(strokeWidth=2.5, **line).encode(color=tint, strokeDash=dash),
        points=hovered(base.transform_filter(f"datum.number >= {LOWEST} && datum.number <= {HIGHEST}"), tooltip),
        ring=ring(base, tint),
    )
