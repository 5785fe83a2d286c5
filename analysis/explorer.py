"""Figures that a person explores: what the page is given of one, as data, and how it becomes text within HTML.

A figure that has an `Explorer` is drawn by Vega-Lite where JavaScript runs; elsewhere, and on paper, its SVG stays. Specifications
hold no numbers: those stand in datasets, each once on a page, and seconds in blocks of their own, so that all else is the same
bytes for the same trainings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from markupsafe import Markup

CURVES = "curves"
BUNDLE = "window.vegaEmbed = vegaEmbed;"


@dataclass(frozen=True)
class Dataset:
    """Numbers that explorers show, as JSON holds them; `timing` has those in seconds, None where there are none.

    Either `rows`, a list of objects that are drawn as they are, or `lines`: see `analysis.curve_dataset`.
    """

    name: str
    content: Mapping[str, Any]
    timing: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Group:
    """What a reader shows or hides by a click on the legend: rows whose field `group_by` is `key`."""

    key: str
    title: str
    colour: str
    dash: tuple[float, ...] = ()


@dataclass(frozen=True)
class View:
    """One choice of the horizontal axis: its Vega-Lite specification, drawn from the dataset named `rows`."""

    key: str
    title: str
    specification: Mapping[str, Any]
    needs_seconds: bool = False


@dataclass(frozen=True)
class Explorer:
    """One figure as it is explored. `dataset` names what it draws from: its `own`, or one that the page holds."""

    name: str
    views: tuple[View, ...]
    groups: tuple[Group, ...]
    group_by: Literal["cell", "kind"]
    groups_title: str
    dataset: str
    own: Dataset | None = None
    metric: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)


def as_script_text(content: Any) -> Markup:
    """`content` as JSON that may stand within a script element: no `<`, `>` or `&`, whatever a name holds. NaN is refused."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def explorer_text(explorer: Explorer) -> Markup:
    """What the page's script reads of one explorer: the same bytes for the same explorer."""
    content = {
        "dataset": explorer.dataset,
        "metric": explorer.metric,
        "groupBy": explorer.group_by,
        "groupsTitle": explorer.groups_title,
        "groups": [{"key": group.key, "title": group.title, "colour": group.colour, "dash": list(group.dash)} for group in explorer.groups],
        "views": [{"key": view.key, "title": view.title, "needsSeconds": view.needs_seconds, "spec": view.specification} for view in explorer.views],
        "notes": dict(explorer.notes),
    }
    return as_script_text(content)


def shown_datasets(explorers: Sequence[Explorer], of_page: Sequence[Dataset]) -> dict[str, Dataset]:
    """The datasets that these explorers draw from, by name, in the order of their first use; one that is nowhere is left out."""
    held = {dataset.name: dataset for dataset in of_page} | {explorer.own.name: explorer.own for explorer in explorers if explorer.own}
    return {explorer.dataset: held[explorer.dataset] for explorer in explorers if explorer.dataset in held}


@cache
def vega_bundle() -> Markup:
    """Vega, Vega-Lite and vega-embed as one script for a page, 0.9 MB: it sets `vegaEmbed` and fetches nothing."""
    import altair as alt
    import vl_convert

    major_minor = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    script = vl_convert.javascript_bundle(BUNDLE, vl_version=major_minor if major_minor in vl_convert.get_vegalite_versions() else None)
    return Markup(script.replace("</script", "<\\/script").replace("<!--", "<\\!--"))
