"""What a report is made of: typed findings turned into sections of text, figures, tables and claims. No drawing here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True)
class Figure:
    """One drawn figure: an SVG for the page, a PNG for elsewhere, and the numbers it shows."""

    name: str
    title: str
    caption: str
    svg: str
    png: bytes
    frame: pd.DataFrame


@dataclass(frozen=True)
class Table:
    """One table: its frame is what `tables/NAME.csv` holds; a name that begins with timing_ may hold seconds and dates."""

    name: str
    title: str
    caption: str
    frame: pd.DataFrame


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
    claims: tuple[dict[str, Any], ...] = ()
