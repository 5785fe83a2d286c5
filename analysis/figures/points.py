"""A figure of points in rows under their names: claims under every variant, mean ranks, a published number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import altair as alt
from matplotlib.figure import Figure as Canvas

from analysis.document.explorer import Explorer, ExplorerData, Group, View
from analysis.figures.canvas import legend_below, plain_label, rows_under_names, shade
from analysis.figures.style import INK, SHAPES
from analysis.figures.vega import NAME, TWO_LINES, across_numbers, hovered, layered, ring, rows, shaded, shape
from analysis.statistics.intervals import rounded


@dataclass(frozen=True)
class Row:
    """The name of a row; one with a group is shown or hidden with it."""

    title: str
    group: str = ""


@dataclass(frozen=True)
class Point:
    """A number in the row of that index, in the look of its group; without a group, in ink. `share` says how far down
    within the row, from 0 to 1; one that is not `is_filled` is an outline."""

    row: int
    number: float
    words: str
    group: str = ""
    share: float = 0.5
    is_filled: bool = True


@dataclass(frozen=True)
class Bar:
    """A vertical bar at a number, from the first to the last of its rows."""

    number: float
    first: int
    last: int


@dataclass(frozen=True)
class PointsView:
    """One choice of rows and the points in them; `ends`: those of its axis, where it has its own."""

    key: str
    title: str
    rows: tuple[Row, ...]
    points: tuple[Point, ...]
    bars: tuple[Bar, ...] = ()
    ends: tuple[float, float] | None = None


@dataclass(frozen=True)
class Points:
    """Points of groups, those of the first view drawn. `shaded`: a range with the line in the middle of it. `noun`:
    what the words of a point are about. An axis without ends of its own begins at 0 or, where `is_close`, near the
    numbers."""

    groups: tuple[Group, ...]
    groups_title: str
    views: tuple[PointsView, ...]
    axis_title: str
    noun: str
    row_height: int
    shaded: tuple[float, float, float] | None = None
    is_close: bool = False
    has_legend: bool = False
    heading: str = "to the right is better"
    about: str = ""
    views_title: str = "show"

    def draw(self) -> Canvas:
        """The rows of the first view, with their names on the left."""
        view = self.views[0]
        canvas, axis = rows_under_names([row.title for row in view.rows], self.row_height / 115, self.axis_title)
        if self.shaded:
            shade(axis, *self.shaded)
        for bar in view.bars:
            axis.plot(
                [bar.number] * 2, [bar.first, bar.last], color=INK, linewidth=3, alpha=0.45, solid_capstyle="round"
            )
        for group in (*self.groups, Group("", "", INK)):
            label = plain_label(group.title) if self.has_legend else None
            for is_filled in (True, False):
                points = [point for point in view.points if (point.group, point.is_filled) == (group.key, is_filled)]
                axis.plot(
                    [point.number for point in points],
                    [point.row + 0.6 * (point.share - 0.5) for point in points],
                    SHAPES[group.shape or "circle"],
                    color=group.colour,
                    markersize=7,
                    markerfacecolor=group.colour if is_filled else "none",
                    markeredgewidth=1.6,
                    label=label if points and is_filled else None,
                )
        if view.ends:
            axis.set_xlim(*view.ends)
        legend_below(canvas, [axis])
        return canvas

    def explorer(self, name: str) -> Explorer | None:
        """Every view, shown or hidden by group; None where no row has a point."""
        views = [view for view in self.views if view.points]
        if not views:
            return None
        return Explorer(
            name,
            tuple(View(view.key, view.title, self._specification(name, view)) for view in views),
            self.groups,
            "group",
            self.groups_title,
            name,
            ExplorerData(name, {"rows": [row for view in views for row in self._rows(view)]}),
            views_title=self.views_title,
            notes={"heading": self.heading} | ({"about": self.about} if self.about else {}),
        )

    def _rows(self, view: PointsView) -> list[dict[str, Any]]:
        groups = {group.key: group for group in self.groups}
        content: list[dict[str, Any]] = []
        for position, row in enumerate(view.rows):
            shared = {"view": view.key, "title": row.title}
            content.append(shared | _member(row.group) | {"mark": "name", "height": round(position - 0.38, 3)})
            for point in (point for point in view.points if point.row == position):
                group = groups.get(point.group, Group("", "", "currentColor"))
                look = {
                    "colour": group.colour,
                    "shape": group.shape or "circle",
                    "filled": point.is_filled,
                }
                numbers = {"number": rounded(point.number), "height": round(position - 0.2 + 0.6 * point.share, 3)}
                words = {"mark": "point", "series": position, "said": point.words}
                content.append(shared | _member(point.group) | look | numbers | words)
        return content + [
            {
                "view": view.key,
                "title": "",
                "mark": "bar",
                "number": rounded(bar.number),
                "height": round(bar.first + 0.1, 3),
                "foot": round(bar.last + 0.1, 3),
            }
            for bar in view.bars
        ]

    def _specification(self, name: str, view: PointsView) -> dict[str, Any]:
        scale = None
        if view.ends:
            scale = alt.Scale(domain=list(view.ends), nice=False)
        elif self.is_close:
            scale = alt.Scale(zero=False, nice=False, padding=24)
        return points_specification(
            name, len(view.rows), self.row_height, self.axis_title, self.noun, scale, self.shaded
        )


def _member(group: str) -> dict[str, str]:
    """What a row of data says of its group: nothing where it is shown whatever is picked."""
    return {"group": group} if group else {}


def points_specification(
    name: str,
    num_rows: int,
    row_height: int,
    title: str,
    noun: str,
    scale: alt.Scale | None = None,
    range_shaded: tuple[float, float, float] | None = None,
) -> dict[str, Any]:
    """Points at their `height`, one unit for a row, below the name of their row; bars behind them."""
    down = alt.Scale(domain=[num_rows - 0.5, -0.5], nice=False, zero=False)
    height, horizontal = alt.Y("height", type="quantitative", axis=None, scale=down), across_numbers(title, scale)
    tint = alt.Color("colour", type="nominal", legend=None, scale=None)
    base = rows("isValid(datum.number) && datum.mark === 'point'").encode(horizontal, height)
    filled, outlined = (base.transform_filter(f"datum.filled === {text}") for text in ("true", "false"))
    bars = rows("datum.mark === 'bar'").mark_rule(strokeWidth=4, opacity=0.4, color="currentColor", strokeCap="round")
    names = rows("datum.mark === 'name'").mark_text(
        baseline="middle", yOffset=alt.ExprRef(f"{TWO_LINES} ? -9 : 0"), **NAME
    )
    behind: Mapping[str, alt.Chart] = {}
    if range_shaded:
        behind = dict(zip(("shaded", "middle"), shaded(*range_shaded, title), strict=True))
    return layered(
        name,
        20 + row_height * num_rows,
        {},
        **behind,
        bars=bars.encode(horizontal, height, y2=alt.Y2("foot")),
        names=names.encode(height, x=alt.value(0), text="name:N"),
        filled=filled.mark_point(filled=True, size=90, opacity=1).encode(color=tint, shape=shape()),
        outlined=outlined.mark_point(filled=False, size=80, strokeWidth=1.8, opacity=1).encode(
            color=tint, shape=shape()
        ),
        points=hovered(base, {"title": "{}.title", noun: "{}.said"}),
        ring=ring(base, tint),
    )


def spread(position: int, number: int) -> float:
    """The share of a row at which the one of `number` points at that position stands."""
    return position / (number - 1) if number > 1 else 0.5
