"""A figure of points under the names of their rows: both forms have every point of the first view."""

from __future__ import annotations

from analysis.document.explorer import Group
from analysis.figures.points import Bar, Point, Points, PointsView, Row, spread
from tests.support.drawings import line_points

GROUPS = (Group("a", "A", "#0a7abf", shape="square"), Group("b", "B", "#d55e00", shape="circle"))


def described(*points: Point) -> Points:
    rows = (Row("first", "a"), Row("second"))
    view = PointsView("cells", "cells", rows, points, (Bar(1.5, 0, 1),), (0.8, 3.2))
    return Points(GROUPS, "Cells", (view,), "rank", "rank", 46, has_legend=True)


def test_a_point_has_the_look_of_its_group_and_is_an_outline_where_it_is_not_filled() -> None:
    (axis,) = described(Point(0, 1.0, "one", "a"), Point(1, 2.0, "two", "b", is_filled=False)).draw().axes
    looks = {
        (line.get_color(), line.get_markerfacecolor(), line.get_marker(), line_points(line)[0][0])
        for line in axis.get_lines()
        if len(line_points(line)) == 1
    }
    assert looks == {("#0a7abf", "#0a7abf", "s", 1.0), ("#d55e00", "none", "o", 2.0)}
    assert axis.get_xlim() == (0.8, 3.2)


def test_rows_points_and_bars_are_explored_with_their_words() -> None:
    explorer = described(Point(0, 1.0, "one", "a"), Point(1, 2.0, "two")).explorer("ranks")
    assert explorer is not None
    assert explorer.own_data is not None
    rows = explorer.own_data.content["rows"]
    assert [(row["mark"], row.get("said"), row.get("group")) for row in rows] == [
        ("name", None, "a"),
        ("point", "one", "a"),
        ("name", None, None),
        ("point", "two", None),
        ("bar", None, None),
    ]
    assert [row["colour"] for row in rows if row["mark"] == "point"] == ["#0a7abf", "currentColor"]


def test_rows_without_a_point_are_drawn_and_not_explored() -> None:
    assert described().explorer("ranks") is None
    assert described().draw().axes


def test_points_are_spread_over_a_row() -> None:
    assert [spread(position, 3) for position in range(3)] == [0, 0.5, 1]
    assert spread(0, 1) == 0.5
