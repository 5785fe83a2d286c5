"""The explored form of a figure: what all Vega-Lite specifications share, made with altair. They hold no numbers of a
study; every parameter and view has a name."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import altair as alt
import vl_convert
from markupsafe import Markup

from analysis.document.explorer import Group
from analysis.figures.panels import Axis

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"
HEIGHT = 320
COUNT_STEPS, MOST_TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500), 8
HOVERED, FOCUSED = "hovered", "focused"
FIT = alt.AutoSizeParams(type="fit-x", contains="padding")
BUNDLE = "window.vegaEmbed = vegaEmbed;"
TWO_LINES = "indexof(datum.name, '\\n') >= 0"
"""Whether a name is broken in two, which the page's script does where it is too long for its place."""

NAME: Mapping[str, Any] = {
    "align": "left",
    "fontSize": 12,
    "lineBreak": "\n",
    "limit": alt.ExprRef("width"),
    "color": "currentColor",
}


@cache
def vega_bundle() -> Markup:
    """Vega, Vega-Lite and vega-embed as one script for a page, 0.9 MB: it sets `vegaEmbed` and fetches nothing."""
    major_minor = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    script = vl_convert.javascript_bundle(
        BUNDLE, vl_version=major_minor if major_minor in vl_convert.get_vegalite_versions() else None
    )
    return Markup(script.replace("</script", "<\\/script").replace("<!--", "<\\!--"))


def rows(condition: str = "") -> alt.Chart:
    """A chart of the rows that the page's script makes, those of which the condition holds."""
    chart = alt.Chart(alt.NamedData("rows"))
    return chart.transform_filter(condition) if condition else chart


def across(axis: Axis) -> alt.X:
    """The horizontal axis, as close around the numbers as they are."""
    scale = (
        alt.Scale(type="log", nice=False, padding=8)
        if axis.logarithmic
        else alt.Scale(type="linear", zero=False, nice=False, padding=8)
    )
    step = next(size for size in itertools.chain(COUNT_STEPS, [axis.count or 1]) if size * MOST_TICKS >= axis.count)
    ticks: dict[str, Any] = {"values": list(range(step, axis.count + 1, step))} if axis.count else {"tickCount": 5}
    axis_look = alt.Axis(
        format=axis.number_format, labelFlush=False, labelOverlap=True, grid=not axis.logarithmic, **ticks
    )
    return alt.X(axis.field, type="quantitative", title=axis.title, scale=scale, axis=axis_look)


def across_numbers(title: str, scale: alt.Scale | None = None) -> alt.X:
    """The horizontal axis of rows that stand under their names."""
    axis = alt.Axis(tickCount=6, labelFlush=False, labelOverlap=True)
    return alt.X("number", type="quantitative", title=title, scale=scale or alt.Scale(zero=True), axis=axis)


def upright(field: str, scale: alt.Scale | None = None) -> alt.Y:
    """The vertical axis of a field; its title stands above the drawing."""
    return alt.Y(field, type="quantitative", title=None, scale=scale or alt.Undefined)


def colour(groups: Sequence[Group], field: str = "cell") -> alt.Color:
    """The colour of a row's group."""
    scale = alt.Scale(domain=[group.key for group in groups], range=[group.colour for group in groups])
    return alt.Color(field, type="nominal", legend=None, scale=scale)


def dashes(groups: Sequence[Group]) -> alt.StrokeDash:
    """The dash pattern of a row's group."""
    patterns: list[Any] = [list(group.dash) or [1, 0] for group in groups]
    scale = alt.Scale(domain=[group.key for group in groups], range=patterns)
    return alt.StrokeDash("cell", type="nominal", legend=None, scale=scale)


def shape() -> alt.Shape:
    """The shape that a row names itself."""
    return alt.Shape("shape", type="nominal", legend=None, scale=None)


def shaded(low: float, middle: float, high: float, title: str) -> tuple[alt.Chart, alt.Chart]:
    """A shaded range, and the line in the middle of it."""
    once = alt.Chart(alt.InlineData(values=[{"low": low, "middle": middle, "high": high}]))
    band = once.mark_rect(color="currentColor", opacity=0.1).encode(
        x=alt.X("low", type="quantitative", title=title), x2=alt.X2("high")
    )
    line = once.mark_rule(color="currentColor").encode(x=alt.X("middle", type="quantitative", title=title))
    return band, line


def hovered(base: alt.Chart, tooltip: Mapping[str, str]) -> alt.Chart:
    """Unseen points that say what they are when the pointer is near: the nearest one speaks, in the words of
    `tooltip`.

    These are expressions in which `{}` is the row. Tooltips by channel would do, but Vega-Lite 6 looks for text in
    the wrong place where the nearest point is asked for: what is under the pointer is then a region whose `datum` is
    the point.
    """
    selection = alt.selection_point(
        name=HOVERED, on="pointerover", clear="pointerout", nearest=True, empty=False, fields=["row"]
    )
    words = ", ".join(
        f"{json.dumps(label)}: {expression.format('(datum.datum || datum)')}" for label, expression in tooltip.items()
    )
    encoded = base.mark_point(opacity=0, size=60, filled=True).encode(tooltip=alt.value(alt.ExprRef(f"{{{words}}}")))
    points: alt.Chart = encoded.add_params(selection)
    return points


def ring(base: alt.Chart, tint: alt.Color) -> alt.Chart:
    """The point under the pointer, or the one that the keyboard has come to."""
    chosen: Any = {"or": [{"param": HOVERED, "empty": False}, f"datum.row === {FOCUSED}"]}
    marked: alt.Chart = (
        base.transform_filter(chosen).mark_point(size=130, strokeWidth=2.5, filled=False, opacity=1).encode(color=tint)
    )
    return marked


def layered(name: str, height: Any, parameters: Mapping[str, float], /, **layers: alt.Chart) -> dict[str, Any]:
    """The layers under their names as one specification as wide as its place, its ink the colour of the text around
    it."""
    ink: dict[str, Any] = dict.fromkeys(
        ("labelColor", "titleColor", "tickColor", "domainColor", "gridColor"), "currentColor"
    )
    axis = alt.AxisConfig(
        **ink, gridOpacity=0.15, labelFontSize=12, titleFontSize=12, titleFontWeight="normal", titlePadding=8
    )
    config = alt.Config(font=FONT, aria=False, background="transparent", view=alt.ViewConfig(stroke=None), axis=axis)
    chart = alt.layer(
        *(layer.properties(name=key) for key, layer in layers.items()),
        name=name,
        width="container",
        height=height,
        padding={"left": 2, "right": 10, "top": 4, "bottom": 2},
        autosize=FIT,
        config=config,
    )
    specification: dict[str, Any] = chart.to_dict(validate=False)
    named = [{"name": key, "value": number} for key, number in {FOCUSED: -1, **parameters}.items()]
    return specification | {"params": [*specification.get("params", []), *named]}
