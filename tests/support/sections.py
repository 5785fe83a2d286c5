"""Sections of a page with invented figures, tables and claims, whose words try to be markup."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd

from analysis.claims.schema import PublishedClaim
from analysis.document.explorer import Explorer, ExplorerData, Group, View
from analysis.document.sections import Drawing, Figure, Section, Table
from analysis.figures.lines import LineWords, lines_specification
from analysis.figures.panels import Axis

HOSTILE = '<img src=x onerror="alert(1)"></details>&'
SVG = (
    '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">'
    '<defs><clipPath id="c"><rect width="9" height="9"/></clipPath></defs><g clip-path="url(#c)"/></svg>'
)


def figure(name: str) -> Figure:
    """A figure with its numbers and what a person can explore of it."""
    frame = pd.DataFrame({"samples": [100, 200], "nats": [-101.25, 1 / 3]})
    drawing = Drawing(SVG, b"\x89PNG invented", explorer(name))
    return Figure(name, f"Figure {name}", f"A caption {HOSTILE}", frame, lambda: drawing)


def with_explorer(figure: Figure, explorer: Explorer | None) -> Figure:
    """The figure with another form to explore, or with none."""
    drawing = replace(figure.drawing, explorer=explorer)
    return replace(figure, draw=lambda: drawing)


def explorer(name: str) -> Explorer:
    """One view of one line whose every word is hostile."""
    groups = (Group("label", HOSTILE, "#0a7abf"),)
    view = View(
        "samples",
        HOSTILE,
        lines_specification("curves", groups, Axis("along", HOSTILE), LineWords(HOSTILE, HOSTILE)),
    )
    return Explorer(
        name,
        (view,),
        groups,
        "cell",
        "Cells",
        name,
        ExplorerData(name, {"rows": [{"cell": "label", "title": HOSTILE, "said": HOSTILE, "number": 1.0}]}),
    )


def section(name: str, kind: str = "descriptive", **changes: object) -> Section:
    """A section with two figures, a table and a claim of that kind."""
    made = Section(
        name,
        f"Title of {name}",
        f"Answer of {name}.",
        warnings=(f"Warning of {name}: {HOSTILE}",),
        figures=(figure(f"{name}_curves"), figure(f"{name}_differences")),
        tables=(
            Table(
                f"{name}_pairs",
                "Pairs",
                HOSTILE,
                pd.DataFrame({"cell": [HOSTILE, "b"], "nats": [-100.123456789, math.nan]}),
                for_pasting=True,
            ),
        ),
        claims=(
            PublishedClaim(
                name=f"{name}-claim",
                kind=kind,
                verdict="better",
                statement=f"Statement of {name}.",
                metric=HOSTILE,
                horizon=None,
                estimate=math.nan,
                published=-100.0,
                tolerance=0.5,
                n=6,
            ),
        ),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def frames_of(section: Section) -> dict[str, pd.DataFrame]:
    """The numbers of every table and figure, by name."""
    return {table.name: table.frame for table in section.tables} | {
        figure.name: figure.frame for figure in section.figures
    }
