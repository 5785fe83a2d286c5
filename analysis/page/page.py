"""The page of a report: what it shows, prepared as text, then a template. Self-contained: nothing is fetched."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from analysis.document import explorer
from analysis.document.sections import AnyClaim, Section, Subject
from analysis.document.text import heading
from analysis.figures.canvas import PNG_DOTS_PER_INCH
from analysis.figures.vega import vega_bundle
from analysis.page.claims import ShownClaim, also_declared, claim_facts, claims_table, shown_claims, verdict_shown
from analysis.page.shown import ShownFigure, ShownTable, is_timing, shown_figure, shown_table

LONG_LIST = 8

_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7"'
    ' fill="#1a5694"/><path d="M6 23C11 23 12 9 16 9s5 14 10 14" fill="none" stroke="#fff" stroke-width="3"'
    ' stroke-linecap="round"/></svg>'
)


@dataclass(frozen=True)
class ListedClaim:
    """A claim as the page folds it: its fields, and tables of what it has several of."""

    claim: ShownClaim
    tables: tuple[ShownTable, ...]


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
class ShownDataset:
    """Numbers of explored figures, and in a block of their own their seconds."""

    name: str
    text: Markup
    seconds: Markup
    timing: bool


@dataclass(frozen=True)
class Page:
    """All that the template is given."""

    subject: Subject
    only: str
    heading: str
    verdict: str
    answer: str
    facts: tuple[tuple[str, str], ...]
    also: tuple[tuple[str, str], ...]
    figure: ShownFigure | None
    warnings: tuple[str, ...]
    sections: tuple[ShownSection, ...]
    claims: tuple[ListedClaim, ...]
    claims_table: ShownTable | None
    tables: tuple[ShownTable, ...]
    provenance: tuple[tuple[str, str], ...]
    dots_per_inch: int
    css: Markup
    datasets: tuple[ShownDataset, ...]
    scripts: tuple[Markup, ...]
    icon: str


def render_page(subject: Subject, sections: Sequence[Section], only: str = "") -> str:
    """The page about `subject` as HTML, led by the primary claim or the first section.

    Whatever may differ between two reports on the same trainings (seconds, dates, machines, run ids) stands between the
    comments `begin timing` and `end timing`.
    """
    folder = Path(__file__).parent / "templates"
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html").render(page=_page(subject, sections, only, folder)).strip() + "\n"


def _page(subject: Subject, sections: Sequence[Section], only: str, folder: Path) -> Page:
    leading, claim = primary_claim(sections)
    datasets = explorer.shown_datasets(
        [figure.drawing.explorer for section in sections for figure in section.figures if figure.drawing.explorer],
        subject.datasets,
    )
    table = None if only else claims_table(sections)
    return Page(
        subject=subject,
        only=only,
        heading=leading.title if only else "The answer",
        verdict=verdict_shown(claim) if claim else "",
        answer=answer_of(sections),
        facts=claim_facts(claim) if claim else (),
        also=() if only else also_declared(sections),
        figure=shown_figure(leading.figures[0], datasets) if leading.figures and not only else None,
        warnings=tuple(
            dict.fromkeys([*subject.warnings, *(warning for section in sections for warning in section.warnings)])
        ),
        sections=tuple(
            _shown_section(section, datasets, without_first=section is leading and not only) for section in sections
        ),
        claims=(
            ()
            if only
            else tuple(
                ListedClaim(claim, tuple(shown_table(claim_table, embed=False) for claim_table in claim.tables))
                for claim in shown_claims(sections)
            )
        ),
        claims_table=shown_table(table) if table else None,
        tables=tuple(shown_table(table, embed=False) for table in subject.tables),
        provenance=tuple(_flat(subject.provenance)),
        dots_per_inch=PNG_DOTS_PER_INCH,
        css=Markup((folder / "page.css").read_text(encoding="utf-8")),
        datasets=tuple(map(_shown_dataset, datasets.values())),
        scripts=tuple(_scripts(folder, has_explorers=bool(datasets))),
        icon="data:image/svg+xml," + quote(_ICON),
    )


def _shown_dataset(dataset: explorer.ExplorerData) -> ShownDataset:
    seconds = Markup("") if dataset.timing is None else explorer.as_script_text(dataset.timing)
    return ShownDataset(dataset.name, explorer.as_script_text(dataset.content), seconds, is_timing(dataset.name))


def _scripts(folder: Path, has_explorers: bool) -> Iterator[Markup]:
    yield Markup((folder / "page.js").read_text(encoding="utf-8"))
    if has_explorers:
        yield vega_bundle()
        yield Markup((folder / "explorer.js").read_text(encoding="utf-8"))


def answer_of(sections: Sequence[Section]) -> str:
    """The sentence that leads the page: the primary claim's, or the first section's."""
    leading, claim = primary_claim(sections)
    return claim.statement if claim else leading.answer


def primary_claim(sections: Sequence[Section]) -> tuple[Section, AnyClaim | None]:
    """The section that holds the primary claim, and the claim; where none is declared, the first section and None."""
    for section in sections:
        for claim in section.claims:
            if claim.kind == "primary":
                return section, claim
    return sections[0], None


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, value in tree.items():
        label = above + heading(str(name))
        if isinstance(value, Mapping):
            yield from _flat(value, f"{label} / ")
        elif not (isinstance(value, (list, tuple)) and len(value) > LONG_LIST):
            yield label, value if isinstance(value, str) else json.dumps(value, default=str)


# How figures and tables are shown


def _shown_section(section: Section, datasets: Collection[str], without_first: bool) -> ShownSection:
    figures = section.figures[1:] if without_first else section.figures
    return ShownSection(
        section.name,
        section.title,
        section.answer,
        section.paragraphs,
        tuple(shown_figure(figure, datasets) for figure in figures),
        tuple(shown_table(table) for table in section.tables),
    )
