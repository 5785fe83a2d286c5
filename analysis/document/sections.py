"""What a report is made of: typed findings turned into sections of text, figures, tables and claims. No drawing
here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
class Figure:
    """One drawn figure: an SVG for the page, a PNG for elsewhere, the numbers it shows, and where it has one, the
    form that a person explores."""

    name: str
    title: str
    caption: str
    svg: str
    png: bytes
    frame: pd.DataFrame
    explorer: Explorer | None = None


@dataclass(frozen=True)
class Table:
    """One table: its frame is what `tables/NAME.csv` holds; a name that begins with timing_ may hold seconds and dates.

    One that is `for_pasting` is written as Markdown and LaTeX too.
    """

    name: str
    title: str
    caption: str
    frame: pd.DataFrame
    for_pasting: bool = False


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
