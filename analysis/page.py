"""The page of a report: what it shows, prepared as text, then a template. Self-contained: nothing is fetched."""

from __future__ import annotations

import base64
import gzip
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import pandas as pd
import yaml
from markupsafe import Markup, escape

from analysis.results import StudyResults
from analysis.sections import Figure, Section, Table
from study.spec import Choices, Distribution, Study

OUTCOMES = ("finished", "diverged", "failed_to_learn", "failed")
LARGE_CSV_BYTES = 20_000
SHORT_TEXT = 16
LONG_TEXT = 60
LONG_LIST = 8

_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#1a5694"/>'
    '<path d="M6 23C11 23 12 9 16 9s5 14 10 14" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round"/></svg>'
)


@dataclass(frozen=True)
class EmbeddedCsv:
    """A CSV inside the page: a data address and the name it is saved under; a large one is compressed."""

    address: str
    filename: str


@dataclass(frozen=True)
class ShownFigure:
    """A figure as the page embeds it."""

    name: str
    title: str
    caption: str
    svg: Markup
    csv: EmbeddedCsv
    timing: bool


@dataclass(frozen=True)
class Cell:
    """One cell of a table: its text, what it sorts by where that is not its text, its style."""

    text: str
    sort: str | None
    kind: str


@dataclass(frozen=True)
class Column:
    """A column's heading."""

    title: str
    is_number: bool


@dataclass(frozen=True)
class ShownTable:
    """A table as the page shows it: numbers rounded; the CSV has all digits."""

    name: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    csv: EmbeddedCsv | None
    timing: bool


@dataclass(frozen=True)
class ShownSection:
    """A report as the page folds it."""

    name: str
    title: str
    answer: str
    paragraphs: tuple[str, ...]
    figures: tuple[ShownFigure, ...]
    tables: tuple[ShownTable, ...]


@dataclass(frozen=True)
class Page:
    """All that the template is given."""

    study: Study
    only: str
    heading: str
    verdict: str
    answer: str
    figure: ShownFigure | None
    warnings: tuple[str, ...]
    sections: tuple[ShownSection, ...]
    totals: str
    outcomes: ShownTable
    missing: ShownTable
    search_space: ShownTable
    provenance: tuple[tuple[str, str], ...]
    study_file: str
    css: Markup
    script: Markup
    icon: str


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """A frame as CSV with all digits and Unix line ends: the same bytes for the same numbers."""
    return frame.to_csv(index=False, lineterminator="\n").encode()


def render(results: StudyResults, sections: Sequence[Section], only: str = "") -> str:
    """The page as HTML. `only` names the one report that it is of; empty for the whole study's.

    Whatever may differ between two reports on the same trainings (seconds, dates, machines, run ids) stands between the
    comments `begin timing` and `end timing`.
    """
    folder = Path(__file__).parent / "templates"
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(folder), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("page.html").render(page=_page(results, sections, only, folder)).strip() + "\n"


def _page(results: StudyResults, sections: Sequence[Section], only: str, folder: Path) -> Page:
    leading, claim = primary_claim(sections)
    return Page(
        study=results.study,
        only=only,
        heading=leading.title if only else "The answer",
        verdict=str(claim.get("verdict", "")),
        answer=str(claim.get("statement", leading.answer)),
        figure=_shown_figure(leading.figures[0]) if leading.figures and not only else None,
        warnings=tuple(dict.fromkeys([*completeness_warnings(results), *(warning for section in sections for warning in section.warnings)])),
        sections=tuple(_shown_section(section, without_first=section is leading and not only) for section in sections),
        totals=totals(results),
        outcomes=_shown_table(Table("outcomes", "Outcomes by cell", "How every training ended.", outcome_counts(results)), embed=False),
        missing=_shown_table(Table("missing", "Missing trainings", "Asked for by the study and not found.", results.missing), embed=False),
        search_space=_shown_table(Table("search_space", "Search space", "What was tuned in which cells.", search_space(results.study)), embed=False),
        provenance=tuple(_flat({name: held for name, held in results.provenance.items() if name != "study"})),
        study_file=yaml.safe_dump(results.study.model_dump(mode="json"), sort_keys=False, allow_unicode=True),
        css=Markup((folder / "page.css").read_text(encoding="utf-8")),
        script=Markup((folder / "page.js").read_text(encoding="utf-8")),
        icon="data:image/svg+xml," + quote(_ICON),
    )


def primary_claim(sections: Sequence[Section]) -> tuple[Section, Mapping[str, Any]]:
    """The section that holds the primary claim, and the claim; where none is declared, the first section and no claim."""
    for section in sections:
        for claim in section.claims:
            if claim.get("kind") == "primary":
                return section, claim
    return sections[0], {}


# What was run


def completeness_warnings(results: StudyResults) -> Iterator[str]:
    """Sentences on trainings that are missing or did not finish."""
    num_missing, num_found = len(results.missing), len(results.trainings)
    if num_missing:
        yield f"{num_missing} of {num_missing + num_found} trainings that the study asks for are missing; run the study again to train them."
    for outcome, words in (("diverged", "diverged"), ("failed_to_learn", "failed to learn"), ("failed", "failed")):
        for phase in ("search", "confirm"):
            number = int(((results.trainings["outcome"] == outcome) & (results.trainings["phase"] == phase)).sum())
            if number:
                of = int((results.trainings["phase"] == phase).sum())
                yield f"{number} of {of} trainings {words} in the {phase} phase."


def totals(results: StudyResults) -> str:
    """One sentence: how many trainings there are and how they ended."""
    counts = [f"{int((results.trainings['outcome'] == outcome).sum())} {outcome.replace('_', ' ')}" for outcome in OUTCOMES]
    return f"{len(results.trainings)} trainings: {', '.join(counts)}, {len(results.missing)} missing."


def outcome_counts(results: StudyResults) -> pd.DataFrame:
    """Trainings by phase, cell and outcome."""
    found = results.trainings
    rows = [
        {"phase": phase, "cell": cell} | {outcome: int((part["outcome"] == outcome).sum()) for outcome in OUTCOMES}
        for (phase, cell), part in found.groupby(["phase", "cell"], sort=True)
    ]
    return pd.DataFrame(rows, columns=["phase", "cell", *OUTCOMES])


def search_space(study: Study) -> pd.DataFrame:
    """The declared search space: in which cells, which hyperparameter, over what."""
    rows = [
        {"cells": ", ".join(f"{factor}={level}" for factor, level in space.when.items()) or "all", "hyperparameter": name, "searched": _in_words(distribution)}
        for space in (study.search.spaces if study.search else ())
        for name, distribution in space.hyperparameters.items()
    ]
    return pd.DataFrame(rows, columns=["cells", "hyperparameter", "searched"])


def _in_words(distribution: Distribution) -> str:
    if isinstance(distribution, Choices):
        return "one of " + ", ".join(str(choice) for choice in distribution.choices)
    kind = "whole numbers " if distribution.integer else ""
    return f"{kind}{distribution.low:g} to {distribution.high:g}{', log scale' if distribution.log else ''}"


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, held in tree.items():
        label = above + heading(str(name))
        if isinstance(held, Mapping):
            yield from _flat(held, f"{label} / ")
        elif not (isinstance(held, (list, tuple)) and len(held) > LONG_LIST):
            yield label, held if isinstance(held, str) else json.dumps(held, default=str)


# How figures and tables are shown


def _shown_section(section: Section, without_first: bool) -> ShownSection:
    figures = section.figures[1:] if without_first else section.figures
    return ShownSection(
        section.name,
        section.title,
        section.answer,
        section.paragraphs,
        tuple(_shown_figure(figure) for figure in figures),
        tuple(_shown_table(table) for table in section.tables),
    )


def _shown_figure(figure: Figure) -> ShownFigure:
    return ShownFigure(figure.name, figure.title.rstrip("."), figure.caption, inline_svg(figure), embed_csv(figure.name, figure.frame), is_timing(figure.name))


def is_timing(name: str) -> bool:
    """Whether a table or figure may hold seconds and dates."""
    return name.startswith("timing_")


def inline_svg(figure: Figure) -> Markup:
    """The drawing as an element of the page: a role and a name for those who do not see it, ids that no other figure has."""
    svg = figure.svg[figure.svg.index("<svg") :]
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


def _shown_table(table: Table, embed: bool = True) -> ShownTable:
    frame = table.frame
    numbers = {column: pd.api.types.is_numeric_dtype(frame[column]) and not pd.api.types.is_bool_dtype(frame[column]) for column in frame.columns}
    columns = tuple(Column(heading(str(column)), numbers[column]) for column in frame.columns)
    rows = tuple(tuple(shown_cell(held) for held in row) for row in frame.astype(object).itertuples(index=False))
    csv = embed_csv(table.name, frame) if embed else None
    return ShownTable(table.name, table.title, table.caption, columns, rows, csv, is_timing(table.name))


def shown_cell(held: Any) -> Cell:
    """A number rounded for reading (it sorts by all its digits), a truth as yes or no, what is missing as nothing."""
    if held is None or held is pd.NA or held is pd.NaT or (isinstance(held, float) and math.isnan(held)):
        return Cell("", None, "")
    if isinstance(held, bool) or type(held).__name__ == "bool":
        return Cell("yes" if held else "no", None, "")
    if isinstance(held, (int, float)) or hasattr(held, "__float__"):
        return Cell(rounded(float(held), whole=float(held).is_integer() and not isinstance(held, float)), repr(float(held)), "number")
    text = str(held)
    kind = "long" if len(text) > LONG_TEXT else "text" if len(text) > SHORT_TEXT else ""
    breaking = text if " " in text else text.replace(",", ",\u200b")
    return Cell(breaking, text if breaking != text else None, kind)


def heading(name: str) -> str:
    """A column or field name for reading: `num_trainings` is `number of trainings`, `mean_nats` is `mean (nats)`."""
    words = re.sub(r"^num_", "number_of_", name)
    return re.sub(r"_nats$", "_(nats)", words).replace("_", " ")


def rounded(number: float, whole: bool = False) -> str:
    """A number for reading: counts with a thin space between thousands, others to two decimals or three digits."""
    if math.isinf(number):
        return "∞" if number > 0 else "−∞"
    size = abs(number)
    if whole:
        text = f"{size:,.0f}".replace(",", "\u2009") if size >= 10_000 else f"{size:.0f}"
    elif size >= 1e6 or 0 < size < 1e-3:
        mantissa, exponent = f"{size:.2e}".split("e")
        text = f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    else:
        text = f"{size:.2f}" if size >= 1 or size == 0 else f"{size:.3g}"
    return f"−{text}" if number < 0 and text.strip("0.") else text
