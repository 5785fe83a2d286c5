"""Figures that a person explores: what the page is given of one, as data, and how it becomes text within HTML.

A figure that has an `Explorer` is drawn by Vega-Lite where JavaScript runs; elsewhere, and on paper, its SVG stays.
Specifications hold no numbers: those stand in datasets, each once on a page, and seconds in blocks of their own, so
that all else is the same bytes for the same trainings.

A dataset holds one of three things. `lines`: a mean or a single seed each, in `metrics` (see `Measured`), at points
that `words` says aloud (`after 1,000 training samples`). `comparisons`: paired differences under each reading (see
`figures.differences`). `rows`: objects that are drawn as they are; one with a `view` belongs to the view of that
key alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from markupsafe import Markup

CURVES = "curves"
MOST_NATS_BELOW_BEST = 60.0
Better = Literal["higher", "lower", ""]

MOST_EXACT = 2**53


@dataclass(frozen=True)
class ExplorerData:
    """Numbers that explorers show, as JSON holds them; `timing` has those in seconds, None where there are none."""

    name: str
    content: Mapping[str, Any]
    timing: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Measured:
    """What lines show the numbers of: its name, unit and direction, and the places after the point that are kept.

    The drawing looks no further than `most_from_best` from the best number, or, where that is None, at what follows
    the first quarter of the horizontal axis; a reader may ask for all of it. `ends` are those of a scale that has
    its own, as a share has.
    """

    key: str
    title: str
    unit: str = ""
    better: Better = ""
    decimals: int = 3
    most_from_best: float | None = None
    ends: tuple[float, float] | None = None

    def as_json(self) -> dict[str, Any]:
        """The fields as the page's script reads them."""
        named = {
            "key": self.key,
            "title": self.title,
            "unit": self.unit,
            "better": self.better,
            "decimals": self.decimals,
        }
        return named | {"mostFromBest": self.most_from_best, "ends": list(self.ends) if self.ends else None}


@dataclass(frozen=True)
class Group:
    """What a reader shows or hides by a click on the legend: rows whose field `group_by` is `key`. With a `shape`,
    points and not lines."""

    key: str
    title: str
    colour: str
    dash: tuple[float, ...] = ()
    shape: str = ""


@dataclass(frozen=True)
class View:
    """One choice that a reader has, such as the horizontal axis: its Vega-Lite specification, drawn from the dataset
    named `rows`."""

    key: str
    title: str
    specification: Mapping[str, Any]
    needs_seconds: bool = False


@dataclass(frozen=True)
class Explorer:
    """One figure as it is explored. `dataset` names what it draws from: `own_data`, or one that the page holds;
    `views_title` is said before the choice of a view."""

    name: str
    views: tuple[View, ...]
    groups: tuple[Group, ...]
    group_by: Literal["cell", "group"]
    groups_title: str
    dataset: str
    own_data: ExplorerData | None = None
    metric: str = ""
    views_title: str = "against"
    notes: Mapping[str, str] = field(default_factory=dict)


def script_seed(seed: int | None) -> int | str | None:
    """A seed as a script can hold it: as text where it has more digits than a script's numbers."""
    return str(seed) if seed is not None and abs(seed) > MOST_EXACT else seed


def as_script_text(content: Any) -> Markup:
    """`content` as JSON that may stand within a script element: no `<`, `>` or `&`, whatever a name holds. NaN is
    refused."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def explorer_text(explorer: Explorer) -> Markup:
    """What the page's script reads of one explorer, a specification that several views share once: the same bytes
    for the same explorer."""
    specifications: list[Mapping[str, Any]] = []
    for view in explorer.views:
        if view.specification not in specifications:
            specifications.append(view.specification)
    content = {
        "dataset": explorer.dataset,
        "metric": explorer.metric,
        "groupBy": explorer.group_by,
        "groupsTitle": explorer.groups_title,
        "groups": [_group_as_json(group) for group in explorer.groups],
        "viewsTitle": explorer.views_title,
        "views": [
            {
                "key": view.key,
                "title": view.title,
                "needsSeconds": view.needs_seconds,
                "spec": specifications.index(view.specification),
            }
            for view in explorer.views
        ],
        "specs": specifications,
        "notes": dict(explorer.notes),
    }
    return as_script_text(content)


def _group_as_json(group: Group) -> dict[str, Any]:
    return {
        "key": group.key,
        "title": group.title,
        "colour": group.colour,
        "dash": list(group.dash),
        "shape": group.shape,
    }


def shown_datasets(explorers: Sequence[Explorer], of_page: Sequence[ExplorerData]) -> dict[str, ExplorerData]:
    """The datasets that these explorers draw from, by name, in the order of their first use; one that is nowhere is
    left out."""
    by_name = {dataset.name: dataset for dataset in of_page} | {
        explorer.own_data.name: explorer.own_data for explorer in explorers if explorer.own_data
    }
    return {explorer.dataset: by_name[explorer.dataset] for explorer in explorers if explorer.dataset in by_name}
