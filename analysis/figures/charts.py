"""The Vega-Lite specifications of explored lines and proposals, made with altair. They hold no numbers of a study;
every parameter and view has a name."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt

from analysis.document.explorer import Group

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"
HEIGHT = 320
COUNT_STEPS, MOST_TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500), 8
HOVERED, FOCUSED, LOWEST, HIGHEST = "hovered", "focused", "lowest", "highest"
CROSS = "M-.8,-.8L.8,.8M.8,-.8L-.8,.8"
FIT = alt.AutoSizeParams(type="fit-x", contains="padding")
SHAPES: Mapping[str, str] = {
    "o": "circle",
    "s": "square",
    "^": "triangle-up",
    "v": "triangle-down",
    "D": "diamond",
    "P": "cross",
    "<": "triangle-left",
    ">": "triangle-right",
}


@dataclass(frozen=True)
class Horizontal:
    """A horizontal axis: the field of a row, its title, its scale, how its numbers are written; where it counts
    something, up to which number."""

    field: str
    title: str
    logarithmic: bool = False
    number_format: str = "~s"
    count: int = 0

    def encoding(self) -> alt.X:
        """The axis, as close around the numbers as they are."""
        scale = (
            alt.Scale(type="log", nice=False, padding=8)
            if self.logarithmic
            else alt.Scale(type="linear", zero=False, nice=False, padding=8)
        )
        step = next(size for size in itertools.chain(COUNT_STEPS, [self.count or 1]) if size * MOST_TICKS >= self.count)
        marks: dict[str, Any] = {"values": list(range(step, self.count + 1, step))} if self.count else {"tickCount": 5}
        axis = alt.Axis(
            format=self.number_format, labelFlush=False, labelOverlap=True, grid=not self.logarithmic, **marks
        )
        return alt.X(self.field, type="quantitative", title=self.title, scale=scale, axis=axis)


@dataclass(frozen=True)
class LineWords:
    """What a tooltip calls the point's place, its number and the band around it; with `timed`, it says the seconds
    too."""

    along: str = "training samples"
    number: str = "nats"
    band: str = "interval"
    timed: bool = True


def lines_specification(
    name: str,
    groups: Sequence[Group],
    horizontal: Horizontal,
    words: LineWords,
    interpolate: Literal["linear", "step-after", "step-before"] = "linear",
) -> dict[str, Any]:
    """Means with their bands, and thin lines for single seeds, against `horizontal`."""
    ends = alt.Scale(zero=False, nice=False, padding=6, domainMin=alt.ExprRef(LOWEST), domainMax=alt.ExprRef(HIGHEST))
    tint, dash = colour(groups), _dash(groups)
    base = alt.Chart(alt.NamedData("rows")).encode(
        horizontal.encoding(), alt.Y("number", type="quantitative", title=None, scale=ends)
    )
    of_mean, of_seed = (base.transform_filter(f"isValid(datum.seed) === {text}") for text in ("false", "true"))
    band = of_mean.transform_filter("isValid(datum.low)").mark_area(opacity=0.2, clip=True, interpolate=interpolate)
    band = band.encode(y=alt.Y("low", type="quantitative", title=None), y2=alt.Y2("high"), color=tint)
    seeds = of_seed.mark_line(opacity=0.45, strokeWidth=1, clip=True, interpolate=interpolate).encode(
        color=tint, strokeDash=dash, detail="line:N"
    )
    means = of_mean.mark_line(strokeWidth=2.5, clip=True, interpolate=interpolate).encode(color=tint, strokeDash=dash)
    time = {"training time": "{}.time"} if words.timed else {}
    tooltip = {
        "title": "{}.title",
        "line": "{}.line",
        words.along: "{}.placed",
        **time,
        words.number: "{}.said",
        words.band: "{}.interval",
    }
    points = hovered(base.transform_filter(f"datum.number >= {LOWEST} && datum.number <= {HIGHEST}"), tooltip)
    layers = (
        band.properties(name="bands"),
        seeds.properties(name="seeds"),
        means.properties(name="means"),
        points,
        ring(base, tint),
    )
    return finished(layers, name, HEIGHT, {LOWEST: 0, HIGHEST: 1})


def sensitivity_specification(groups: Sequence[Group], horizontal: Horizontal) -> dict[str, Any]:
    """Every proposal's objective against one hyperparameter; a ring on winners, crosses for what was lost, dotted
    lines at a space's ends.

    Proposals stand at their `shown`, a bar reaches from their `worst` seed to their `best`: the page's script keeps
    all within what is looked at.
    """
    field = horizontal.field
    vertical = alt.Y("shown", type="quantitative", title=None, scale=alt.Scale(zero=False, nice=False, padding=14))
    tint, dash = colour(groups), _dash(groups)
    valid = alt.Chart(alt.NamedData("rows")).transform_filter(f"isValid(datum.{field})")
    base = valid.transform_filter("datum.mark === 'proposal'").encode(horizontal.encoding(), vertical)
    measured, lost = (base.transform_filter(f"datum.lost === {text}") for text in ("false", "true"))
    ends = (
        valid.transform_filter("datum.mark === 'end'")
        .mark_rule(strokeDash=[1.5, 3], strokeWidth=1.2, opacity=0.8)
        .encode(horizontal.encoding(), color=tint)
    )
    lines = (
        measured.transform_filter("datum.line")
        .mark_line(strokeWidth=1.4)
        .encode(color=tint, strokeDash=dash, order=alt.Order(f"{field}:Q"))
    )
    bars = base.transform_filter("isValid(datum.worst)").mark_rule(strokeWidth=4, opacity=0.35)
    bars = bars.encode(y=alt.Y("worst", type="quantitative", title=None), y2=alt.Y2("best"), color=tint)
    dots = measured.mark_point(filled=True, size=55, opacity=1).encode(color=tint, shape=shape())
    crosses = lost.mark_point(shape=CROSS, size=110, filled=False, strokeWidth=2.2, opacity=1).encode(color=tint)
    winners = (
        measured.transform_filter("datum.winner")
        .mark_point(filled=False, size=260, strokeWidth=1.8, opacity=1)
        .encode(color=tint)
    )
    named = (
        ends.properties(name="ends"),
        bars.properties(name="bars"),
        lines.properties(name="lines"),
        dots.properties(name="proposals"),
    )
    points = hovered(base, {"title": "{}.title", "proposal": "{}.said"})
    layers = (*named, crosses.properties(name="lost"), winners.properties(name="winners"), points, ring(base, tint))
    return finished(layers, f"sensitivity_{field}", HEIGHT, {})


# What all specifications share


def colour(groups: Sequence[Group], field: str = "cell") -> alt.Color:
    """The colour of a row's group."""
    return alt.Color(
        field,
        type="nominal",
        legend=None,
        scale=alt.Scale(domain=[group.key for group in groups], range=[group.colour for group in groups]),
    )


def _dash(groups: Sequence[Group]) -> alt.StrokeDash:
    patterns: list[Any] = [list(group.dash) or [1, 0] for group in groups]
    return alt.StrokeDash(
        "cell", type="nominal", legend=None, scale=alt.Scale(domain=[group.key for group in groups], range=patterns)
    )


def shape() -> alt.Shape:
    """The shape that a row names itself."""
    return alt.Shape("shape", type="nominal", legend=None, scale=None)


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
    said = ", ".join(
        f"{json.dumps(label)}: {expression.format('(datum.datum || datum)')}" for label, expression in tooltip.items()
    )
    encoded = base.mark_point(opacity=0, size=60, filled=True).encode(tooltip=alt.value(alt.ExprRef(f"{{{said}}}")))
    points: alt.Chart = encoded.properties(name="points").add_params(selection)
    return points


def ring(base: alt.Chart, tint: alt.Color) -> alt.Chart:
    """The point under the pointer, or the one that the keyboard has come to."""
    chosen: Any = {"or": [{"param": HOVERED, "empty": False}, f"datum.row === {FOCUSED}"]}
    marked: alt.Chart = (
        base.transform_filter(chosen)
        .mark_point(size=130, strokeWidth=2.5, filled=False, opacity=1)
        .encode(color=tint)
        .properties(name="ring")
    )
    return marked


def finished(layers: Sequence[alt.Chart], name: str, height: Any, parameters: Mapping[str, float]) -> dict[str, Any]:
    """The layers as one specification as wide as its place, its ink the colour of the text around it."""
    ink = dict.fromkeys(("labelColor", "titleColor", "tickColor", "domainColor", "gridColor"), "currentColor")
    chart = alt.layer(*layers).add_params(alt.param(name=FOCUSED, value=-1))
    chart = chart.add_params(*(alt.param(name=key, value=number) for key, number in parameters.items()))
    chart = chart.properties(
        name=name,
        width="container",
        height=height,
        padding={"left": 2, "right": 10, "top": 4, "bottom": 2},
        autosize=FIT,
    )
    chart = chart.configure(font=FONT, aria=False, background="transparent").configure_view(stroke=None)
    chart = chart.configure_axis(
        **ink, gridOpacity=0.15, labelFontSize=12, titleFontSize=12, titleFontWeight="normal", titlePadding=8
    )
    specification: dict[str, Any] = chart.to_dict(validate=False)
    return specification
