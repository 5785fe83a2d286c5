"""A figure of lines: how far its drawing looks, and that both its forms show the same lines in the same look."""

from __future__ import annotations

import math

import pytest

from analysis.document.explorer import Group, Measured
from analysis.figures.lines import Line, Lines, LinesView, focus, spans_decades
from analysis.figures.panels import Axis, one_panel

GROUPS = (Group("a", "A costs $5", "#0a7abf", shape="circle"), Group("b", "_b", "#d55e00", (10, 4), "square"))
BOUND = Measured("bound", "bound", "nats", "higher", 3, most_from_best=60)


def line(group: str, *numbers: float | None, low: float | None = None, high: float | None = None) -> Line:
    """A line at 1, 2, ... with a band at its last point."""
    before: list[float | None] = [None] * (len(numbers) - 1)
    ends = {"bound": [*before, low]}, {"bound": [*before, high]}
    return Line(group, list(range(1, len(numbers) + 1)), {"bound": list(numbers)}, *ends, num_seeds=3)


def lines() -> Lines:
    view = LinesView("samples", "training samples", Axis("along", "training samples"))
    drawn = (line("a", -300.0, -110.0, -100.0), line("b", -300.0, -120.0, None))
    return Lines(GROUPS, one_panel(GROUPS), drawn, (BOUND,), (view,), "bound (nats)", points="last")


def test_a_drawing_looks_no_further_down_than_the_metric_says() -> None:
    bottom, top = focus(BOUND, [line("a", -300.0, -110.0, -100.0)])
    assert bottom == pytest.approx(-160 - 3)
    assert top == pytest.approx(-100 + 3)


def test_a_drawing_of_an_unknown_metric_looks_at_where_the_curves_end() -> None:
    loss = Measured("bound", "loss", better="lower")
    assert focus(loss, [line("a", 900.0, *[2.0] * 6, 1.0)]) == pytest.approx((0.95, 2.05))


def test_the_band_of_a_last_point_is_in_view_and_a_share_has_its_own_ends() -> None:
    bottom, top = focus(BOUND, [line("a", -110.0, -100.0, low=-130.0, high=-70.0)])
    assert bottom < -130
    assert top > -70
    assert focus(Measured("bound", "share", ends=(0.0, 1.0)), []) == (-0.03, 1.03)


def test_lines_without_any_number_have_a_view_all_the_same() -> None:
    assert focus(BOUND, [line("a", None, None)]) == (0.0, 1.0)


def test_both_forms_show_the_same_groups_in_the_same_look() -> None:
    described = lines()
    (axis,) = described.draw().axes
    means = axis.get_lines()
    assert [drawn.get_color() for drawn in means] == [group.colour for group in GROUPS]
    assert [drawn.get_linestyle() for drawn in means] == ["-", "--"]
    explorer = described.explorer("curves")
    assert [(group.key, group.colour, group.dash) for group in explorer.groups] == [
        (group.key, group.colour, group.dash) for group in GROUPS
    ]
    assert explorer.own_data is not None
    assert [entry["values"]["bound"] for entry in explorer.own_data.content["lines"]] == [
        list(one.values["bound"]) for one in described.lines
    ]


def test_names_are_drawn_as_they_are() -> None:
    (legend,) = lines().draw().legends
    assert [text.get_text() for text in legend.get_texts()] == [r"A costs \$5", " _b"]


def test_a_logarithmic_axis_is_for_numbers_above_nothing_over_decades() -> None:
    assert spans_decades([[1, 2], [100]])
    assert not spans_decades([[0, 100]])
    assert not spans_decades([[10, 100]])
    assert math.isfinite(focus(BOUND, [line("a", -1.0)])[0])
