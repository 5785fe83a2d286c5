"""What a report is made of: typed findings turned into sections of text, figures, tables and claims. No drawing
here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from analysis.document.explorer import Explorer, ExplorerData


class Entry(BaseModel):
    """A row of claims.json, or what a row holds several of."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AnyClaim(Entry):
    """What every row of claims.json has, whatever it is about."""

    name: str = Field(description="the claim's name, or what is compared")
    kind: str = Field(description="`primary`, `descriptive` or `exploratory`")
    verdict: str = Field(description="`better`, `worse`, `equivalent` or `inconclusive`")
    statement: str = Field("", description="the headline, and everything that speaks for doubting it")


@dataclass(frozen=True)
class Drawing:
    """A figure as it is seen: an SVG for the page, a PNG for elsewhere, and where it has one, the form that a person
    explores."""

    svg: str
    png: bytes
    explorer: Explorer | None = None


@dataclass(frozen=True)
class Figure:
    """One figure: the numbers it shows, and what draws it when it is first looked at, here or in another process."""

    name: str
    title: str
    caption: str
    frame: pd.DataFrame
    draw: Callable[[], Drawing] = field(repr=False)

    @cached_property
    def drawing(self) -> Drawing:
        """The figure as it is seen, drawn once."""
        return self.draw()


@dataclass(frozen=True)
class Table:
    """One table: its frame is what `tables/NAME.csv` holds; a name that begins with timing_ may hold seconds and dates.

    One that is `for_pasting` is written as Markdown and LaTeX too. `on_page`: what the page shows in its place, where
    that is too long to read.
    """

    name: str
    title: str
    caption: str
    frame: pd.DataFrame
    for_pasting: bool = False
    on_page: pd.DataFrame | None = None


@dataclass(frozen=True)
class Section:
    """One report: the answer first, then what is needed to doubt it. `claims` are rows of claims.json."""

    name: str
    title: str
    answer: str
    warnings: tuple[str, ...] = ()
    paragraphs: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    claims: tuple[AnyClaim, ...] = ()


@dataclass(frozen=True)
class Subject:
    """What a page is about and what it was made from, beside its sections: a study, or curves from a file.

    `origin` is the heading of its last part, which holds `totals`, `tables`, `provenance` and `source`. `notices`
    stand above the answer: what it lacks. `datasets` are what explorers draw from that have no numbers of their own.
    What may differ between two pages on the same numbers stands in `provenance` and in the datasets' `timing` alone.
    """

    name: str
    eyebrow: str
    question: str
    description: str
    warnings: tuple[str, ...]
    origin: str
    totals: str
    tables: tuple[Table, ...]
    provenance_title: str
    source_title: str
    source: str
    footnote: str
    provenance: Mapping[str, Any] = field(default_factory=dict)
    datasets: tuple[ExplorerData, ...] = ()
    notices: tuple[str, ...] = ()
