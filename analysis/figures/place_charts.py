"""The Vega-Lite specifications of explored figures in which comparisons or cells stand one below the other, under
their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from analysis.document.explorer import Group
from analysis.figures.charts import colour, finished, hovered, ring, shape

PLACE_HEIGHT = 38
NAME_SIZE = 12
TWO_LINES = "indexof(datum.name, '\\n') >= 0"
"""Whether a name is broken in two, which the page's script does where it is too long for its place."""

_NAME: dict[str, Any] = {
    "align": "left",
    "fontSize": NAME_SIZE,
    "lineBreak": "\n",
    "limit": alt.ExprRef("width"),
    "color": "currentColor",
}


def differences_specification(name: str, groups: Sequence[Group], margin: float, title: str) -> dict[str, Any]:
    """Differences seed by seed, two places per comparison, the upper for its mean and interval; the margin of
    equivalence is shaded."""
    horizontal = _horizontal(title)
    tint, places = (
        colour(groups, "group"),
        alt.Y("place", type="nominal", axis=None, sort=alt.EncodingSortField("position", op="min")),
    )
    chart = alt.Chart(alt.NamedData("rows"))
    base = chart.transform_filter("isValid(datum.number)").encode(horizontal, places)
    of_seed, of_mean = (base.transform_filter(f"datum.mark === '{mark}'") for mark in ("seed", "mean"))
    names = chart.transform_filter("datum.mark === 'mean'").mark_text(
        yOffset=alt.ExprRef(f"{TWO_LINES} ? -29 : -16"), **_NAME
    )
    intervals = of_mean.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=3)
    means = of_mean.mark_point(shape="diamond", filled=True, size=110, opacity=1).encode(color=tint)
    dots = of_seed.mark_point(filled=True, size=45, opacity=0.75).encode(color=tint)
    layers = (
        *_around_zero(margin, title),
        names.encode(places, x=alt.value(0), text="name:N").properties(name="names"),
        intervals.encode(x=alt.X("low", type="quantitative", title=title), x2=alt.X2("high"), color=tint).properties(
            name="intervals"
        ),
        means.properties(name="means"),
        dots.properties(name="seeds"),
        hovered(base, {"title": "{}.title", "difference": "{}.said"}),
        ring(base, tint),
    )
    return finished(layers, name, alt.Step(PLACE_HEIGHT), {})


def variants_specification(
    name: str, groups: Sequence[Group], margin: float, title: str, num_claims: int
) -> dict[str, Any]:
    """The estimates of each claim under every variant, at their `height` below the claim's name; filled where the
    verdict is the declared one."""
    base = (
        alt.Chart(alt.NamedData("rows"))
        .transform_filter("isValid(datum.number)")
        .encode(_horizontal(title), _heights(num_claims))
    )
    tint = colour(groups, "group")
    agreeing, others = (base.transform_filter(f"datum.agrees === {text}") for text in ("true", "false"))
    layers = (
        *_around_zero(margin, title),
        _names(num_claims),
        agreeing.mark_point(filled=True, size=80, opacity=1)
        .encode(color=tint, shape=shape())
        .properties(name="agreeing"),
        others.mark_point(filled=False, size=80, strokeWidth=1.8, opacity=1)
        .encode(color=tint, shape=shape())
        .properties(name="differing"),
        hovered(base, {"title": "{}.title", "estimate": "{}.said"}),
        ring(base, tint),
    )
    return finished(layers, name, 20 + 92 * num_claims, {})


def ranks_specification(name: str, num_entrants: int) -> dict[str, Any]:
    """Mean ranks below the name of each entrant, the best on top; a bar joins those that are not told apart."""
    scale = alt.Scale(domain=[0.8, num_entrants + 0.2], nice=False)
    horizontal = alt.X(
        "number",
        type="quantitative",
        title="mean rank (1 is best)",
        scale=scale,
        axis=alt.Axis(tickMinStep=1, tickCount=6, format="~g"),
    )
    chart = alt.Chart(alt.NamedData("rows"))
    base = chart.transform_filter("datum.mark === 'rank'").encode(horizontal, _heights(num_entrants))
    tint = alt.Color("colour", type="nominal", legend=None, scale=None)
    bars = chart.transform_filter("datum.mark === 'bar'").mark_rule(
        strokeWidth=4, opacity=0.4, color="currentColor", strokeCap="round"
    )
    layers = (
        bars.encode(horizontal, _heights(num_entrants), y2=alt.Y2("foot")).properties(name="not_told_apart"),
        _names(num_entrants),
        base.mark_point(filled=True, size=110, opacity=1)
        .encode(color=tint, shape=shape())
        .properties(name="mean_ranks"),
        hovered(base, {"title": "{}.title", "rank": "{}.said"}),
        ring(base, tint),
    )
    return finished(layers, name, 20 + 46 * num_entrants, {})


def published_specification(
    name: str, groups: Sequence[Group], published: float, tolerance: float, title: str
) -> dict[str, Any]:
    """The number of every seed below the name of its cell, around the published one and what it tolerates."""
    horizontal = _horizontal(title, alt.Scale(zero=False, nice=False, padding=24))
    base = (
        alt.Chart(alt.NamedData("rows"))
        .transform_filter("isValid(datum.number)")
        .encode(horizontal, _heights(len(groups)))
    )
    tint = colour(groups)
    once = alt.Chart(
        alt.InlineData(values=[{"low": published - tolerance, "high": published + tolerance, "published": published}])
    )
    layers = (
        once.mark_rect(color="currentColor", opacity=0.1)
        .encode(x=alt.X("low", type="quantitative", title=title), x2=alt.X2("high"))
        .properties(name="tolerance"),
        once.mark_rule(color="currentColor")
        .encode(x=alt.X("published", type="quantitative", title=title))
        .properties(name="published"),
        _names(len(groups)),
        base.mark_point(filled=True, size=80, opacity=1).encode(color=tint).properties(name="seeds"),
        hovered(base, {"title": "{}.title", "seed": "{}.said"}),
        ring(base, tint),
    )
    return finished(layers, name, 20 + 92 * len(groups), {})


def _horizontal(title: str, scale: alt.Scale | None = None) -> alt.X:
    return alt.X(
        "number",
        type="quantitative",
        title=title,
        scale=scale or alt.Scale(zero=True),
        axis=alt.Axis(tickCount=6, labelFlush=False, labelOverlap=True),
    )


def _heights(num_places: int) -> alt.Y:
    """One unit below the other; a row says its `height`, 0 for the middle of the uppermost."""
    return alt.Y(
        "height",
        type="quantitative",
        axis=None,
        scale=alt.Scale(domain=[num_places - 0.5, -0.5], nice=False, zero=False),
    )


def _names(num_places: int) -> alt.Chart:
    """The name of each row whose mark is `name`, from the left end on."""
    chart = alt.Chart(alt.NamedData("rows")).transform_filter("datum.mark === 'name'")
    text = chart.mark_text(baseline="middle", yOffset=alt.ExprRef(f"{TWO_LINES} ? -9 : 0"), **_NAME)
    named: alt.Chart = text.encode(_heights(num_places), x=alt.value(0), text="name:N").properties(name="names")
    return named


def _around_zero(margin: float, title: str) -> tuple[alt.Chart, alt.Chart]:
    """The shaded differences that do not matter, and the line of no difference."""
    once = alt.Chart(alt.InlineData(values=[{"low": -margin, "high": margin, "zero": 0}]))
    shaded = once.mark_rect(color="currentColor", opacity=0.1).encode(
        x=alt.X("low", type="quantitative", title=title), x2=alt.X2("high")
    )
    zero = once.mark_rule(color="currentColor").encode(x=alt.X("zero", type="quantitative", title=title))
    return shaded.properties(name="margin_of_equivalence"), zero.properties(name="no_difference")
