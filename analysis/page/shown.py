"""Figures and tables as a page embeds them: drawings as elements, data as addresses, numbers rounded for reading."""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd
from markupsafe import Markup, escape

from analysis.document.explorer import explorer_text
from analysis.document.paste_tables import latex_table, markdown_table
from analysis.document.sections import Figure, Table
from analysis.document.text import ShownCell, heading, shown_cell

LARGE_CSV_BYTES = 20_000


@dataclass(frozen=True)
class EmbeddedCsv:
    """A CSV inside the page: a data address and the name it is saved under; a large one is compressed."""

    address: str
    filename: str


@dataclass(frozen=True)
class ShownFigure:
    """A figure as the page embeds it; `explorer` is empty where it is not explored."""

    name: str
    title: str
    caption: str
    svg: Markup
    explorer: Markup
    csv: EmbeddedCsv
    timing: bool


@dataclass(frozen=True)
class ColumnHeading:
    """A column's heading."""

    title: str
    is_number: bool


@dataclass(frozen=True)
class ShownTable:
    """A table as the page shows it: numbers rounded; the CSV has all digits. `pasted`: its forms for pasting by name
    and file ending."""

    name: str
    title: str
    caption: str
    columns: tuple[ColumnHeading, ...]
    rows: tuple[tuple[ShownCell, ...], ...]
    csv: EmbeddedCsv | None
    pasted: tuple[tuple[str, str, str], ...]
    timing: bool


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """A frame as CSV with all digits and Unix line ends: the same bytes for the same numbers."""
    return frame.to_csv(index=False, lineterminator="\n").encode()


def is_timing(name: str) -> bool:
    """Whether a table or figure may hold seconds and dates."""
    return name.startswith("timing_")


def shown_figure(figure: Figure, datasets: Collection[str] = ()) -> ShownFigure:
    """The figure; it is explored where its numbers are among the page's `datasets`."""
    explored = figure.drawing.explorer is not None and figure.drawing.explorer.dataset in datasets
    explorer = explorer_text(figure.drawing.explorer) if explored and figure.drawing.explorer else Markup("")
    title, csv = figure.title.rstrip("."), embed_csv(figure.name, figure.frame)
    return ShownFigure(figure.name, title, figure.caption, inline_svg(figure), explorer, csv, is_timing(figure.name))


def inline_svg(figure: Figure) -> Markup:
    """The drawing as an element of the page: a role and a name for those who do not see it, ids that no other figure
    has."""
    svg = figure.drawing.svg[figure.drawing.svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="([^"]+)"', rf'id="{figure.name}-\1"', svg)
    svg = re.sub(r"url\(#([^)]+)\)", rf"url(#{figure.name}-\1)", svg)
    svg = re.sub(r'href="#([^"]+)"', rf'href="#{figure.name}-\1"', svg)
    opening = svg[: svg.index(">")]
    if "role=" not in opening:
        name = str(escape(f"{figure.title}. {figure.caption}"))
        svg = svg.replace("<svg", f'<svg role="img" aria-label="{name}"', 1)
    return Markup(svg)


def embed_csv(name: str, frame: pd.DataFrame) -> EmbeddedCsv:
    """The CSV as a data address, so that it comes along when the page is sent alone."""
    content = csv_bytes(frame)
    if len(content) <= LARGE_CSV_BYTES:
        return EmbeddedCsv("data:text/csv;base64," + base64.b64encode(content).decode(), f"{name}.csv")
    packed = gzip.compress(content, compresslevel=9, mtime=0)
    return EmbeddedCsv("data:application/gzip;base64," + base64.b64encode(packed).decode(), f"{name}.csv.gz")


def shown_table(table: Table, embed: bool = True) -> ShownTable:
    """The table; with `embed`, its CSV comes along."""
    frame = table.on_page if table.on_page is not None else table.frame
    numbers = {
        column: pd.api.types.is_numeric_dtype(frame[column]) and not pd.api.types.is_bool_dtype(frame[column])
        for column in frame.columns
    }
    columns = tuple(ColumnHeading(heading(str(column)), numbers[column]) for column in frame.columns)
    rows = tuple(tuple(shown_cell(value) for value in row) for row in frame.astype(object).itertuples(index=False))
    csv = embed_csv(table.name, table.frame) if embed else None
    pasted = (
        (("Markdown", "md", markdown_table(table)), ("LaTeX", "tex", latex_table(table))) if table.for_pasting else ()
    )
    return ShownTable(table.name, table.title, table.caption, columns, rows, csv, pasted, is_timing(table.name))
