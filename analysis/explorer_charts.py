"""The Vega-Lite specifications of explored figures, made with altair. They hold no numbers of a study; every parameter and view has a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from analysis.explorer import Group

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"
HEIGHT = 320
PLACE_HEIGHT = 38
HOVERED, FOCUSED, LOWEST = "hovered", "focused", "lowest"
CROSS = "M-.8,-.8L.8,.8M.8,-.8L-.8,.8"
FIT = alt.AutoSizeParams(type="fit-x", contains="padding")
SHAPES: Mapping[str, str] = {"o": "circle", "s": "square", "^": "triangle-up", "v": "triangle-down", "D": "diamond", "P": "cross", "<": "triangle-left", ">": "triangle-right"}


def curves_specification(groups: Sequence[Group], axis: str, title: str, logarithmic: bool) -> dict[str, Any]:
    """Means with their bands, and thin lines for single seeds, against `axis`: samples or seconds."""
    horizontal = _horizontal(axis, title, logarithmic)
    vertical = alt.Y("nats", type="quantitative", title=None, scale=alt.Scale(zero=False, nice=False, padding=6, domainMin=alt.ExprRef(LOWEST)))
    colour, dash = _colour(groups), _dash(groups)
    base = alt.Chart(alt.NamedData("rows")).encode(horizontal, vertical)
    of_mean, of_seed = (base.transform_filter(f"isValid(datum.seed) === {text}") for text in ("false", "true"))
    band = of_mean.transform_filter("isValid(datum.low)").mark_area(opacity=0.2, clip=True).encode(y=alt.Y("low", type="quantitative", title=None), y2=alt.Y2("high"), color=colour)
    seeds = of_seed.mark_line(opacity=0.45, strokeWidth=1, clip=True).encode(color=colour, strokeDash=dash, detail="line:N")
    means = of_mean.mark_line(strokeWidth=2.5, clip=True).encode(color=colour, strokeDash=dash)
    tooltip = {"title": "{}.title", "line": "{}.line", "training samples": "format({}.samples, ',')", "training time": "{}.time", "nats": "format({}.nats, '.3f')"}
    points = _hovered(base.transform_filter(f"datum.nats >= {LOWEST}"), tooltip | {"interval": "{}.interval"})
    layers = (band.properties(name="bands"), seeds.properties(name="seeds"), means.properties(name="means"), points, _ring(base, colour))
    return _finished(layers, "learning_curves", HEIGHT, {LOWEST: -1e6})


def sensitivity_specification(groups: Sequence[Group], hyperparameter: str, title: str, logarithmic: bool) -> dict[str, Any]:
    """Every proposal's objective against one hyperparameter; a ring on winners, crosses for what was lost, dotted lines at a space's ends."""
    horizontal = _horizontal(hyperparameter, title, logarithmic)
    vertical = alt.Y("nats", type="quantitative", title=None, scale=alt.Scale(zero=False))
    colour, dash = _colour(groups), _dash(groups)
    valid = alt.Chart(alt.NamedData("rows")).transform_filter(f"isValid(datum.{hyperparameter})")
    base = valid.transform_filter("datum.mark === 'proposal'").encode(horizontal, vertical)
    measured, lost = (base.transform_filter(f"datum.lost === {text}") for text in ("false", "true"))
    ends = valid.transform_filter("datum.mark === 'end'").mark_rule(strokeDash=[1.5, 3], strokeWidth=1.2, opacity=0.8).encode(horizontal, color=colour)
    lines = measured.transform_filter("datum.line").mark_line(strokeWidth=1.4).encode(color=colour, strokeDash=dash, order=alt.Order(f"{hyperparameter}:Q"))
    dots = measured.mark_point(filled=True, size=55, opacity=1).encode(color=colour, shape=_shape())
    crosses = lost.mark_point(shape=CROSS, size=110, filled=False, strokeWidth=2.2, opacity=1).encode(color=colour)
    winners = measured.transform_filter("datum.winner").mark_point(filled=False, size=260, strokeWidth=1.8, opacity=1).encode(color=colour)
    tooltip = {"title": "{}.title", "proposal": "{}.said"}
    named = (ends.properties(name="ends"), lines.properties(name="lines"), dots.properties(name="proposals"))
    layers = (*named, crosses.properties(name="lost"), winners.properties(name="winners"), _hovered(base, tooltip), _ring(base, colour))
    return _finished(layers, f"sensitivity_{hyperparameter}", HEIGHT, {})


def differences_specification(groups: Sequence[Group], margin: float, num_comparisons: int) -> dict[str, Any]:
    """Differences seed by seed, two places per comparison, the upper for its mean and interval; the margin of equivalence is shaded."""
    title = "difference (nats)"
    horizontal = alt.X("nats", type="quantitative", title=title, scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=6, labelFlush=False, labelOverlap=True))
    colour, places = _colour(groups, "kind"), alt.Y("place", type="nominal", axis=None, sort=alt.EncodingSortField("position", op="min"))
    chart = alt.Chart(alt.NamedData("rows"))
    base = chart.transform_filter("isValid(datum.nats)").encode(horizontal, places)
    of_seed, of_mean = (base.transform_filter(f"datum.mark === '{mark}'") for mark in ("seed", "mean"))
    once = alt.Chart(alt.InlineData(values=[{"low": -margin, "high": margin, "zero": 0}]))
    shaded = once.mark_rect(color="currentColor", opacity=0.1).encode(x=alt.X("low", type="quantitative", title=title), x2=alt.X2("high"))
    zero = once.mark_rule(color="currentColor").encode(x=alt.X("zero", type="quantitative", title=title))
    names = chart.transform_filter("datum.mark === 'mean'").mark_text(align="left", fontSize=12, yOffset=-16, limit=alt.ExprRef("width"), color="currentColor")
    intervals = of_mean.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=3)
    means = of_mean.mark_point(shape="diamond", filled=True, size=110, opacity=1).encode(color=colour)
    dots = of_seed.mark_point(filled=True, size=45, opacity=0.75).encode(color=colour)
    tooltip = {"title": "{}.title", "difference": "{}.said"}
    layers = (
        shaded.properties(name="margin_of_equivalence"),
        zero.properties(name="no_difference"),
        names.encode(places, x=alt.value(0), text="title:N").properties(name="names"),
        intervals.encode(x=alt.X("low", type="quantitative", title=title), x2=alt.X2("high"), color=colour).properties(name="intervals"),
        means.properties(name="means"),
        dots.properties(name="seeds"),
        _hovered(base, tooltip),
        _ring(base, colour),
    )
    return _finished(layers, "paired_differences", 2 * PLACE_HEIGHT * num_comparisons, {})


def _horizontal(field: str, title: str, logarithmic: bool) -> alt.X:
    scale = alt.Scale(type="log", nice=False, padding=8) if logarithmic else alt.Scale(type="linear", zero=False, nice=False, padding=8)
    numbers = "~s" if field in ("samples", "seconds") else "~g"
    return alt.X(field, type="quantitative", title=title, scale=scale, axis=alt.Axis(format=numbers, tickCount=5, labelFlush=False, labelOverlap=True, grid=not logarithmic))


def _colour(groups: Sequence[Group], field: str = "cell") -> alt.Color:
    return alt.Color(field, type="nominal", legend=None, scale=alt.Scale(domain=[group.key for group in groups], range=[group.colour for group in groups]))


def _dash(groups: Sequence[Group]) -> alt.StrokeDash:
    patterns: list[Any] = [list(group.dash) or [1, 0] for group in groups]
    return alt.StrokeDash("cell", type="nominal", legend=None, scale=alt.Scale(domain=[group.key for group in groups], range=patterns))


def _shape() -> alt.Shape:
    return alt.Shape("shape", type="nominal", legend=None, scale=None)


def _hovered(base: alt.Chart, tooltip: Mapping[str, str]) -> alt.Chart:
    """Unseen points that say what they are when the pointer is near: the nearest one speaks, in the words of `tooltip`.

    These are expressions in which `{}` is the row. Tooltips by channel would do, but Vega-Lite 6 looks for text in the wrong place where
    the nearest point is asked for: what is under the pointer is then a region whose `datum` is the point.
    """
    selection = alt.selection_point(name=HOVERED, on="pointerover", clear="pointerout", nearest=True, empty=False, fields=["row"])
    said = ", ".join(f"'{label}': {expression.format('(datum.datum || datum)')}" for label, expression in tooltip.items())
    encoded = base.mark_point(opacity=0, size=60, filled=True).encode(tooltip=alt.value(alt.ExprRef(f"{{{said}}}")))
    points: alt.Chart = encoded.properties(name="points").add_params(selection)
    return points


def _ring(base: alt.Chart, colour: alt.Color) -> alt.Chart:
    """The point under the pointer, or the one that the keyboard has come to."""
    chosen: Any = {"or": [{"param": HOVERED, "empty": False}, f"datum.row === {FOCUSED}"]}
    ring: alt.Chart = base.transform_filter(chosen).mark_point(size=130, strokeWidth=2.5, filled=False, opacity=1).encode(color=colour).properties(name="ring")
    return ring


def _finished(layers: Sequence[alt.Chart], name: str, height: Any, parameters: Mapping[str, float]) -> dict[str, Any]:
    """The layers as one specification as wide as its place, its ink the colour of the text around it."""
    ink = dict.fromkeys(("labelColor", "titleColor", "tickColor", "domainColor", "gridColor"), "currentColor")
    chart = alt.layer(*layers).add_params(alt.param(name=FOCUSED, value=-1))
    chart = chart.add_params(*(alt.param(name=key, value=number) for key, number in parameters.items()))
    chart = chart.properties(name=name, width="container", height=height, padding={"left": 2, "right": 10, "top": 4, "bottom": 2}, autosize=FIT)
    chart = chart.configure(font=FONT, aria=False, background="transparent").configure_view(stroke=None)
    chart = chart.configure_axis(**ink, gridOpacity=0.15, labelFontSize=12, titleFontSize=12, titleFontWeight="normal", titlePadding=8)
    specification: dict[str, Any] = chart.to_dict(validate=False)
    return specification
